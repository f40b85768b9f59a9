"""E-mail to officers: short notices with a dossier's code and a link, never personal data (WH04). Off unless set.

``SOHOA_SMTP_URL``: ``smtp://user@host:587`` (TLS by STARTTLS; without it only where no password is sent) or
``smtps://user@host:465``. ``SOHOA_SMTP_PASSWORD``: a reference, ``file:…`` or ``env:…``. ``SOHOA_SMTP_FROM``: sender.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from blocks.errors import Remedy, SohoaError
from blocks.secrets import secret
from blocks.settings import home
from blocks.settings.sections import MailSettings

SECONDS = 20  # a mail server that answers later counts as down


class MailUnavailable(SohoaError):
    """The mail server doesn't answer, or refuses us (not one message)."""

    code, remedy = "MAIL_UNAVAILABLE", Remedy.RETRY
    message = "Chưa gửi được thư qua máy chủ thư; hệ thống sẽ tự gửi lại."


class MailRefused(SohoaError):
    """The server doesn't take this message: its address is unknown there."""

    code = "MAIL_REFUSED"
    message = "Máy chủ thư từ chối địa chỉ nhận; vui lòng kiểm tra địa chỉ thư trong danh sách viên chức."


class MailMisconfigured(SohoaError):
    """The settings contradict themselves, or would send a password in clear."""

    code = "MAIL_MISCONFIGURED"
    message = "Cấu hình máy chủ thư chưa đúng hoặc gửi mật khẩu không mã hóa; vui lòng kiểm tra SOHOA_SMTP_URL."


class Mail(MailSettings):
    """The mail server of the settings."""

    @property
    def on(self) -> bool:
        return bool(self.smtp_url)

    @contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """A session with the server. Raises MailUnavailable, MailMisconfigured, SecretMissing."""
        place = urlsplit(self.smtp_url)
        if place.scheme not in {"smtp", "smtps"} or not place.hostname or not self.smtp_from:
            raise MailMisconfigured()
        trusted = ssl.create_default_context()
        try:
            server: smtplib.SMTP
            if place.scheme == "smtps":
                server = smtplib.SMTP_SSL(place.hostname, place.port or 465, timeout=SECONDS, context=trusted)
            else:
                server = smtplib.SMTP(place.hostname, place.port or 25, timeout=SECONDS)
            with server:
                safe = place.scheme == "smtps"
                server.ehlo()
                if not safe and server.has_extn("starttls"):
                    server.starttls(context=trusted)
                    safe = True
                if place.username:
                    if not safe:
                        raise MailMisconfigured()
                    password = secret(self.smtp_password, home()).get_secret_value()
                    server.login(unquote(place.username), password)
                yield server
        except (OSError, smtplib.SMTPException) as error:  # SMTPException is an OSError, too; said for the reader
            raise MailUnavailable() from error

    def send(self, server: smtplib.SMTP, *, to: str, subject: str, text: str, message_id: str) -> None:
        """One message, within `connected`. message_id: the same for the same notice, so that servers drop doubles.

        Raises MailRefused when the server will not take it, or it can't be written (an address beyond ASCII); others
        mean that the server is down.
        """
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.smtp_from, to, subject
        message["Date"] = formatdate(localtime=True)
        message["Message-ID"] = f"<{message_id}@{self.smtp_from.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
        message.set_content(text)
        try:
            server.send_message(message)
        except (
            smtplib.SMTPRecipientsRefused,
            smtplib.SMTPDataError,
            smtplib.SMTPNotSupportedError,
            ValueError,
        ) as error:
            raise MailRefused() from error  # this message's own fault: the next may be taken
