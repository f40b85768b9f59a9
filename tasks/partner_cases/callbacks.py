"""Thông báo cho hệ thống của đối tác: what changed in its cases, from the outbox, signed, until it is taken.

The agent starts a look when something has changed (deployments/agent.py), the clock each hour: what a partner may see
of a case is compared with what it was told last. An event is written with that, delivered later, at least once, each
time with the same id; after the last try it stays as a dead letter until somebody sends it again
(`sohoa partner resend`). It says what the status says, problems and all: nothing personal (WH04).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import ColumnElement, and_, delete, or_
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.named import naming
from blocks.records.partners import Partner, PartnerCase
from blocks.records.queries import locked
from blocks.records.sources import source_of
from blocks.records.tables import Outbox, now
from blocks.settings import load_stack_env
from blocks.webhooks import KEY, CallbackFailed, CallbackRefused, deliver, signed
from tasks.intake.names import part_of
from tasks.partner_cases.cases import start_case
from tasks.partner_cases.status import Phase, view_case

TOPIC = "partner-callback"
MINUTES = (0, 1, 5, 15, 60, 180, 360, 720, 1440, 2880)  # after its writing each try may be made; then it is dead
# Nobody took it within all its tries.
DEAD = (Outbox.topic == TOPIC, col(Outbox.delivered_at).is_(None), Outbox.tries >= len(MINUTES))
KEPT = timedelta(days=30)  # what was delivered
IN_A_ROW, AT_ONCE = 3, 500  # failures after which a partner has to wait for the next look; messages of one look
log = logging.getLogger(__name__)


class Told(BaseModel):
    """Events written, delivered, failed (tried again), cases that were started, cases that couldn't be looked at."""

    written: int = 0
    delivered: int = 0
    failed: int = 0
    started: int = 0
    faults: int = 0


def look(records: RecordsDatabase, catalog: Catalog, prefect: Orchestrator) -> Told:
    """Each case that has not ended; one that can't be looked at stops no other."""
    report = Told()
    with records.session() as session:
        query = select(PartnerCase.id).where(col(PartnerCase.ended_at).is_(None))
        cases = list(session.exec(query.order_by(col(PartnerCase.created_at))))
    for case in cases:
        try:
            report.written += _written(records, catalog, case)
            report.started += _started(records, prefect, case)
        except SohoaError as error:
            log.warning("partner case %s can't be looked at: %s", case, error.code)
            report.faults += 1
    return report


def _written(records: RecordsDatabase, catalog: Catalog, case_id: UUID) -> bool:
    """Write an event if the partner would see another thing than it was told. Returns whether one is new."""
    with records.session() as session:
        case = locked(session, PartnerCase, case_id)
        seen = view_case(session, catalog, case)
        shown = seen.model_dump(mode="json")
        if shown == case.told or (seen.phase is Phase.OPEN and not case.told):
            return False
        case.told, case.events = shown, case.events + 1
        case.ended_at = now() if seen.phase is Phase.ENDED else None
        session.add(case)
        partner = session.get(Partner, case.partner_id)
        if partner is None or not partner.callback_url or partner.revoked_at is not None:
            return False
        event: dict[str, Any] = {
            "id": str(uuid4()),
            "type": "submission.changed",
            "sequence": case.events,  # of this case: a later one counts, in whatever order they come
            "at": now().isoformat(timespec="seconds"),
            "data": shown,
        }
        payload = {"partner": partner.id, "event": event}
        row = Outbox(topic=TOPIC, dedup_key=f"{case.id}:{case.events}", payload=payload)
        session.add(row)
        details = {"partner": partner.id, "case": case.id, **naming(row)}
        audit(session, actor="system", action="notify-partner", rule="P03", details=details)
        return True


def _started(records: RecordsDatabase, prefect: Orchestrator, case_id: UUID) -> bool:
    """What was handed in while Prefect was away starts now."""
    with records.session() as session:
        case = session.exec(select(PartnerCase).where(PartnerCase.id == case_id)).one()
        waits = case.flow_run_id is None and source_of(session, case.submission, part_of(1)) is not None
    return waits and start_case(records, prefect, case_id).flow_run_id is not None


def send(records: RecordsDatabase, at: datetime | None = None) -> Told:
    """Everything that is due, the oldest first. A partner that doesn't answer stops no other."""
    load_stack_env()
    told, failures, moment = Told(), Counter[str](), at or now()
    with records.session() as session:
        old = col(Outbox.delivered_at) < moment - KEPT
        session.execute(delete(Outbox).where(col(Outbox.topic) == TOPIC, old))
        rows = session.exec(select(Outbox.id).where(due(moment)).order_by(col(Outbox.created_at)).limit(AT_ONCE)).all()
    for message in rows:
        _send_one(records, message, told, failures)
    return told


def due(moment: datetime) -> ColumnElement[bool]:
    """Messages whose next try may be made; who waits takes nobody's place."""
    ready = (
        and_(col(Outbox.tries) == tries, col(Outbox.created_at) <= moment - timedelta(minutes=minutes))
        for tries, minutes in enumerate(MINUTES)
    )
    return and_(col(Outbox.topic) == TOPIC, col(Outbox.delivered_at).is_(None), or_(*ready))


def _send_one(records: RecordsDatabase, message: UUID, told: Told, failures: Counter[str]) -> None:
    with records.session() as session:  # one transaction a message: what was delivered is not delivered again
        row = session.exec(select(Outbox).where(Outbox.id == message).with_for_update(skip_locked=True)).one_or_none()
        if row is None or row.delivered_at is not None:
            return
        partner = session.get(Partner, row.payload["partner"])
        if partner is None or not partner.callback_url or partner.revoked_at is not None:
            session.delete(row)
            return
        if failures[partner.id] >= IN_A_ROW:
            return
        row.tries += 1
        session.add(row)
        event = row.payload["event"]
        body = json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        try:
            headers = signed(os.environ[KEY], event["id"], int(time.time()), body)
            deliver(partner.callback_url, partner.hosts, headers, body)
        except (CallbackRefused, CallbackFailed) as error:
            log.warning("call-back to partner %s: %s", partner.id, getattr(error, "code", error))
            failures[partner.id] += 1
            told.failed += 1
            return
        row.delivered_at = now()
        told.delivered += 1


def dead(records: RecordsDatabase) -> list[Outbox]:
    """Call-backs that nobody took within all their tries, the oldest first."""
    with records.session() as session:
        rows = list(session.exec(select(Outbox).where(*DEAD).order_by(col(Outbox.created_at)).limit(1000)))
        session.expunge_all()
        return rows


def again(records: RecordsDatabase, partner: str) -> int:
    """Send the dead call-backs of a partner once more, from now on. Returns how many."""
    ids = [row.id for row in dead(records) if row.payload["partner"] == partner]
    with records.session() as session:
        for row in session.exec(select(Outbox).where(col(Outbox.id).in_(ids)).with_for_update()):
            row.tries, row.created_at = 0, now()
            session.add(row)
    return len(ids)


def tell_partners(records: RecordsDatabase, catalog: Catalog, prefect: Orchestrator) -> Told:
    """Note what changed, send what is due, start what couldn't be started."""
    seen, sent = look(records, catalog, prefect), send(records)
    return Told(
        written=seen.written, started=seen.started, faults=seen.faults, delivered=sent.delivered, failed=sent.failed
    )
