"""Hạn trả kết quả: which open dossiers are near or past their day of result, told to operations (QĐ 352, Điều 12).

The reminders (`tasks/monitoring/reminders.py`) reach the officers who are waited for. This is for those who watch the
machine: each dossier is noted once a level in the audit trail, its run gets a tag and an event of Prefect, to which an
automation (`deployments/automations.py`) and the office's own ones react.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import cache, partial

from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.ids import DossierId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import DOSSIER_OPEN
from blocks.records.queries import locked
from blocks.records.tables import AuditEntry, Dossier
from tasks.desk_views.worklist import NEAR, days_left
from tasks.prefect_task import one_by_one
from tasks.progress import DEADLINE_NOTED, label_run

EVENT, TOLD = "sohoa.dossier.", "sohoa.deadlines.noted"  # one a dossier and level; one for all that a look has found
LOOKED_AHEAD = timedelta(days=15)  # a next working day is never farther away (Tết)


class Due(BaseModel):
    """An open dossier near or past its day of result. left: working days, 0 on the day itself, below zero overdue."""

    dossier_id: DossierId
    flow_run_id: FlowRunId | None
    name: str  # of the run: the dossier's code
    left: int

    @property
    def action(self) -> str:
        return DEADLINE_NOTED[self.left < 0]


def due(session: Session, catalog: Catalog, today: date) -> list[Due]:
    """All open dossiers with at most NEAR working days left, whatever their runs do; the nearest first."""
    query = select(Dossier).where(col(Dossier.due_date) <= today + LOOKED_AHEAD, col(Dossier.state).in_(DOSSIER_OPEN))
    days = cache(partial(days_left, catalog, today))  # many are due on the same day
    found = [
        Due(
            dossier_id=dossier.id,
            flow_run_id=dossier.flow_run_id,
            name=dossier.code or dossier.submission,
            left=days(dossier.due_date),
        )
        for dossier in session.exec(query.order_by(col(Dossier.due_date)))
        if dossier.due_date is not None
    ]
    return [item for item in found if item.left <= NEAR]


def note_deadlines(records: RecordsDatabase, catalog: Catalog, at: datetime | None = None) -> list[Due]:
    """Those whose level is new, after noting it; on working days. Safe to run as often as one likes."""
    today = vietnam_day(at)
    if not catalog.is_working_day(today):
        return []
    with records.session() as session:
        found = due(session, catalog, today)
    return [item for item in one_by_one(found, lambda item: _noted(records, item)) if item is not None]


def _noted(records: RecordsDatabase, item: Due) -> Due | None:
    """The item when its level is new; None: it was noted before."""
    with records.session() as session:
        # Two looks at once: the second waits here, then finds the entry of the first.
        locked(session, Dossier, item.dossier_id)
        query = select(AuditEntry.seq).where(AuditEntry.dossier_id == item.dossier_id)
        if session.exec(query.where(AuditEntry.action == item.action)).first() is not None:
            return None
        audit(
            session,
            actor="system",
            action=item.action,
            dossier_id=item.dossier_id,
            details={"left_days": item.left},
        )
        return item


def tell(records: RecordsDatabase, new: list[Due]) -> None:
    """Tag the runs, emit the events: an event each, and one for all, so that many start one reaction."""
    if new:
        emit_event(TOLD, {"prefect.resource.id": "sohoa.deadlines"}, payload={"dossiers": len(new)})
    one_by_one(new, lambda item: _tell(records, item))


def _tell(records: RecordsDatabase, item: Due) -> None:
    if item.flow_run_id is None:
        return
    with suppress(ObjectNotFound):  # somebody has deleted the run; the incident and the figures remain
        label_run(records, item.dossier_id, item.flow_run_id)
        resource = {
            "prefect.resource.id": f"prefect.flow-run.{item.flow_run_id}",
            "prefect.resource.name": item.name,
        }
        emit_event(EVENT + item.action, resource, payload={"left_days": item.left})
