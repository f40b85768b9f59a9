"""Thông báo cho viên chức: e-mail that waits in the outbox until the mail server has taken it.

Noted in the transaction of its cause, delivered later, at least once. Written without personal data: a dossier's code,
a step, a link. Without `SOHOA_SMTP_URL` nothing is noted: the worklist and the page of operations show the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from smtplib import SMTP
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog.staff import Staff
from blocks.clock import vietnam_day
from blocks.mail import Mail, MailRefused
from blocks.records import RecordsDatabase
from blocks.records.named import insert_once
from blocks.records.tables import Outbox, now
from tasks.prefect_task import one_by_one

TOPIC = "officer-mail"
EXPIRES = timedelta(days=7)  # a reminder that comes later helps nobody


class Delivery(BaseModel):
    """sent, refused by the server (tried again), dropped: nobody to tell any more, or too old."""

    sent: int = 0
    refused: int = 0
    dropped: int = 0


def note(session: Session, staff: Staff, officers: Iterable[str], *, key: str, subject: str, text: str) -> list[Outbox]:
    """Queue a message to those of the officers who have an address. key: one message a key and officer, for ever.

    Returns the new ones; the entry of their cause names them.
    """
    if not Mail().on:
        return []
    new: list[Outbox] = []
    for officer in officers:
        if staff.address(officer, vietnam_day()) is None:
            continue
        payload = {"officer": officer, "subject": subject, "text": text}
        row = Outbox(topic=TOPIC, dedup_key=f"{key}:{officer}", payload=payload)
        if insert_once(session, row, "topic", "dedup_key"):
            new.append(row)
    return new


def send_notices(records: RecordsDatabase, staff: Staff, mail: Mail, day: date | None = None) -> Delivery:
    """Hand all waiting messages to the mail server. Raises MailUnavailable; what was taken till then stays taken."""
    delivery = Delivery()
    with records.session() as session:
        query = select(Outbox.id).where(Outbox.topic == TOPIC, col(Outbox.delivered_at).is_(None))
        waiting = list(session.exec(query.order_by(col(Outbox.created_at))))
    if not waiting or not mail.on:
        return delivery
    with mail.connected() as server:

        def one(message: UUID) -> None:
            _deliver_one(records, staff, mail, server, message, day, delivery)

        one_by_one(waiting, one, ends=(OSError,))  # the server is gone
    return delivery


def _deliver_one(
    records: RecordsDatabase,
    staff: Staff,
    mail: Mail,
    server: SMTP,
    message: UUID,
    day: date | None,
    told: Delivery,
) -> None:
    """One transaction a message: what was sent is not sent again."""
    with records.session() as session:
        row = session.exec(select(Outbox).where(Outbox.id == message).with_for_update()).one_or_none()
        if row is None or row.delivered_at is not None:
            return
        to = staff.address(str(row.payload.get("officer")), day or vietnam_day())
        if to is None or now() - row.created_at > EXPIRES:
            session.delete(row)
            told.dropped += 1
            return
        row.tries += 1
        session.add(row)
        try:
            subject, text = row.payload["subject"], row.payload["text"]
            mail.send(server, to=to, subject=subject, text=text, message_id=str(row.id))
        except MailRefused:
            told.refused += 1
            return
        row.delivered_at = now()
        told.sent += 1
