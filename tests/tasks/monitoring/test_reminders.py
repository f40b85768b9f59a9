"""Reminders: by working days, to those who may answer, once a level; by mail only a code and a link."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SmtpSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import Staff, load_staff
from blocks.mail import Mail, MailMisconfigured, MailUnavailable
from blocks.records import RecordsDatabase
from blocks.records.codes import issue_dossier_code
from blocks.records.tables import AuditEntry, Decision, Outbox, Waiting
from blocks.settings.sections import ReminderSettings
from infra.local.process import free_port
from tasks.desk_views.history import history
from tasks.desk_views.worklist import worklist
from tasks.monitoring.notices import EXPIRES, send_notices
from tasks.monitoring.reminders import sweep
from tests.tasks.lawcase import NAME, OWNER_ID, make_waiting, now_at

FRIDAY = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # 10:00 in Viet Nam; Tuesday 24/11 is a day off
DAYS = {
    name: FRIDAY + timedelta(days=days) for name, days in (("sat", 1), ("mon", 3), ("tue", 4), ("wed", 5), ("thu", 6))
}
BOUNDS = ReminderSettings(remind_after_days=1, escalate_after_days=2)
ADDRESSES = {"gq.01": "gq01@bhxh.example", "ld.01": "ld01@bhxh.example", "tnhs.02": "tnhs02@bhxh.example"}


@pytest.fixture
def staff() -> Staff:
    """The test list, some of its people with an address."""
    listed = load_staff()
    people = [person.model_copy(update={"email": ADDRESSES.get(person.id)}) for person in listed.staff]
    return Staff(staff=tuple(people), delegations=listed.delegations)


def paused(records: RecordsDatabase, stage: str = "verification-1", **values: Any) -> tuple[UUID, Waiting]:
    """A dossier that waits since Friday 10:00."""
    with records.session() as session:
        code = issue_dossier_code(session, "BHXH-TEST", FRIDAY)
    return make_waiting(records, stage, FRIDAY, code=code, **values)


def told(records: RecordsDatabase) -> list[tuple[str, list[str]]]:
    """Levels and officers of the trail, oldest first."""
    with records.session() as session:
        query = select(AuditEntry).where(col(AuditEntry.action).in_(["remind", "escalate"]))
        return [(e.action, e.details["officers"]) for e in session.exec(query.order_by(col(AuditEntry.seq)))]


def look(records: RecordsDatabase, staff: Staff, rows: list[Waiting], at: datetime) -> tuple[int, int]:
    done = sweep(records, Catalog(), staff, rows, at=at, limits=BOUNDS)
    return done.reminded, done.escalated


def test_who_may_answer_is_reminded_then_the_leader_is_told_each_once(records: RecordsDatabase, staff: Staff) -> None:
    dossier, row = paused(records, captured_by="tnhs.02")  # who holds RESOLVE, too, but captured it (WH03)
    assert look(records, staff, [row], FRIDAY + timedelta(hours=6)) == (0, 0)
    assert look(records, staff, [row], DAYS["sat"]) == (0, 0)  # nobody works
    assert look(records, staff, [row], DAYS["mon"] - timedelta(hours=5)) == (0, 0)  # five in the morning
    assert look(records, staff, [row], DAYS["mon"]) == (1, 0)
    assert look(records, staff, [row], DAYS["mon"] + timedelta(minutes=5)) == (0, 0)
    assert look(records, staff, [row], DAYS["tue"]) == (0, 0)  # a day off counts for nothing
    assert look(records, staff, [row], DAYS["wed"]) == (0, 1)
    assert look(records, staff, [row], DAYS["thu"]) == (0, 0)
    assert told(records) == [("remind", ["gq.01", "gq.02"]), ("escalate", ["ld.01"])]
    with records.session() as session:
        sentences = [event.sentence for event in history(session, dossier)]
        assert session.exec(select(Decision)).all() == []  # silence decides nothing
    assert sentences[-2:] == [
        "Thẩm định hồ sơ, xác nhận dữ liệu bóc tách: đã nhắc viên chức.",
        "Thẩm định hồ sơ, xác nhận dữ liệu bóc tách: đã báo lãnh đạo đơn vị.",
    ]


def test_the_next_pause_of_the_same_dossier_is_reminded_anew(records: RecordsDatabase, staff: Staff) -> None:
    dossier, row = paused(records)
    assert look(records, staff, [row], DAYS["mon"]) == (1, 0)
    again = now_at(records, dossier, "verification-2", FRIDAY)
    assert look(records, staff, [again], DAYS["mon"]) == (1, 0)


def test_a_near_deadline_reminds_earlier_but_not_at_once(records: RecordsDatabase, staff: Staff) -> None:
    _, near = paused(records, due_date=date(2026, 11, 23))
    _, due = paused(records, due_date=date(2026, 11, 20))
    assert look(records, staff, [near, due], FRIDAY + timedelta(minutes=10)) == (0, 0)
    assert look(records, staff, [near, due], FRIDAY + timedelta(hours=3)) == (2, 1)


def test_the_worklist_says_so_and_the_leader_sees_it(records: RecordsDatabase, staff: Staff) -> None:
    dossier, row = paused(records, due_date=date(2026, 12, 25))
    look(records, staff, [row], DAYS["mon"])
    (item,) = worklist(records, Catalog(), [row], day=DAYS["mon"].date())
    assert item.reminded_at and not item.escalated_at and not item.escalated
    leader = {"officer": "ld.01", "staff": staff, "day": DAYS["wed"].date()}
    assert worklist(records, Catalog(), [row], **leader) == []
    look(records, staff, [row], DAYS["wed"])
    (item,) = worklist(records, Catalog(), [row], **leader)
    assert item.dossier_id == dossier and item.escalated_at and item.escalated


# -- mail -----------------------------------------------------------------------------------------------------------
class Mailbox:
    """Handler of a real mail server: keeps what came, refuses an address when told to."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refuses = ""

    async def handle_RCPT(self, _: SMTP, __: SmtpSession, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address == self.refuses:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: SmtpSession, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage) and message["To"] == envelope.rcpt_tos[0]
        self.messages.append(message)
        return "250 OK"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    monkeypatch.setenv("SOHOA_SMTP_URL", f"smtp://127.0.0.1:{server.port}")
    monkeypatch.setenv("SOHOA_SMTP_FROM", "sohoa@bhxh.example")
    monkeypatch.setenv("SOHOA_GATEWAY_URL", "https://hoso.example.vn/")
    try:
        yield box
    finally:
        server.stop()


def test_WH04_messages_carry_code_and_link_and_nobodys_data(
    records: RecordsDatabase, staff: Staff, mailbox: Mailbox
) -> None:
    dossier, row = paused(records, due_date=date(2026, 12, 25))
    look(records, staff, [row], DAYS["mon"])
    look(records, staff, [row], DAYS["wed"])
    assert send_notices(records, staff, Mail()).sent == 3
    assert send_notices(records, staff, Mail()).sent == 0  # once each
    first, _, last = mailbox.messages
    assert [message["To"] for message in mailbox.messages] == [ADDRESSES[who] for who in ("gq.01", "tnhs.02", "ld.01")]
    assert first["Subject"] == "Nhắc việc: hồ sơ đang chờ · BHXH-TEST-261120-0001"
    assert last["Subject"] == "Báo lãnh đạo: hồ sơ chờ quá lâu · BHXH-TEST-261120-0001"
    text = first.get_content()
    assert "chờ bước: Thẩm định hồ sơ, xác nhận dữ liệu bóc tách." in text and "Từ lúc 10:00 ngày 20/11/2026." in text
    assert "Hạn trả kết quả: 25/12/2026." in text and f"https://hoso.example.vn/ho-so/{dossier}\n" in text
    everything = "".join(str(message) + message.get_content() for message in mailbox.messages)
    assert NAME not in everything and OWNER_ID not in everything
    assert len({message["Message-ID"] for message in mailbox.messages}) == 3


def test_a_mail_server_that_is_down_is_asked_again_and_nothing_is_lost(
    records: RecordsDatabase, staff: Staff, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = paused(records)
    look(records, staff, [row], DAYS["mon"])
    up = Mail()
    monkeypatch.setenv("SOHOA_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(MailUnavailable):
        send_notices(records, staff, Mail())
    assert send_notices(records, staff, up).sent == 2


def test_a_refused_address_holds_up_nobody_else(records: RecordsDatabase, staff: Staff, mailbox: Mailbox) -> None:
    _, row = paused(records)
    look(records, staff, [row], DAYS["mon"])
    mailbox.refuses = ADDRESSES["gq.01"]
    done = send_notices(records, staff, Mail())
    assert (done.sent, done.refused) == (1, 1)
    mailbox.refuses = ""
    assert send_notices(records, staff, Mail()).sent == 1


def test_who_has_left_and_what_is_old_is_not_written_to(
    records: RecordsDatabase, staff: Staff, mailbox: Mailbox
) -> None:
    _, row = paused(records)
    look(records, staff, [row], DAYS["mon"])
    with records.session() as session:
        row = session.exec(select(Outbox).where(col(Outbox.dedup_key).endswith("tnhs.02"))).one()
        row.created_at -= EXPIRES
        session.add(row)
    others = Staff(staff=tuple(person for person in staff.staff if person.id != "gq.01"))
    assert send_notices(records, others, Mail()).dropped == 2 and mailbox.messages == []
    with records.session() as session:
        assert session.exec(select(Outbox)).all() == []


def test_without_a_mail_server_nothing_waits_for_one(records: RecordsDatabase, staff: Staff) -> None:
    _, row = paused(records)
    assert look(records, staff, [row], DAYS["mon"]) == (1, 0)
    with records.session() as session:
        assert session.exec(select(Outbox)).all() == []


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that we trust, as a mail server of the office has one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.bhxh.example")])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return context


@pytest.mark.parametrize("offers_tls", [True, False])
def test_a_password_is_sent_with_tls_and_never_in_clear(
    encrypted: ssl.SSLContext, offers_tls: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[bytes] = []

    def check(_: SMTP, __: SmtpSession, ___: Envelope, ____: str, login: Any) -> AuthResult:
        assert isinstance(login, LoginPassword)
        said.append(login.password)
        return AuthResult(success=True)

    tls = {"tls_context": encrypted} if offers_tls else {"auth_require_tls": False}
    server = Controller(Mailbox(), hostname="127.0.0.1", port=free_port(), authenticator=check, **tls)
    server.start()
    try:
        (tmp_path / "mail").write_text("geheim")
        (tmp_path / "mail").chmod(0o600)
        monkeypatch.setenv("SOHOA_SMTP_PASSWORD", f"file:{tmp_path / 'mail'}")
        monkeypatch.setenv("SOHOA_SMTP_FROM", "sohoa@bhxh.example")
        monkeypatch.setenv("SOHOA_SMTP_URL", f"smtp://sohoa@127.0.0.1:{server.port}")
        if offers_tls:
            with Mail().connected() as session:
                assert session.noop()[0] == 250
            assert said == [b"geheim"]
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(MailUnavailable), Mail().connected():  # a certificate that nobody vouches for
                pass
        else:
            with pytest.raises(MailMisconfigured), Mail().connected():
                pass
            assert said == []
    finally:
        server.stop()
