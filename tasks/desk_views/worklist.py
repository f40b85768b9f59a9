"""Danh sách việc: which dossiers wait for an officer, at which step, since when, and how long the deadline allows.

The deadline is the day of result promised at reception, in working days of Viet Nam (QĐ 352, Điều 12).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import ColumnElement, false, or_
from sqlmodel import Session, col, select

from blocks.catalog import CalendarUnknown, Catalog
from blocks.catalog.staff import Grants, Role, Staff, four_eyes
from blocks.clock import vietnam_day
from blocks.ids import DossierId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.tables import AuditEntry, Dossier, Waiting
from blocks.records.waiting import OUTAGE, page
from tasks.pauses.registry import pause_label, pauses

SATURDAY = 5  # date.weekday()
NEAR = 1  # working days left: remind; none left, the leader of the unit sees it too
REMINDED, ESCALATED = "remind", "escalate"  # actions in the audit trail (tasks/monitoring/reminders.py)
Reminders = dict[tuple[DossierId, str], dict[str, datetime]]


class Item(BaseModel):
    """One waiting dossier. left: working days until the deadline, below zero overdue; None: no deadline yet."""

    dossier_id: DossierId
    flow_run_id: FlowRunId
    code: str
    procedure: str  # its name; its code when the catalogue doesn't know it any more
    unit: str
    stage: str  # key of the pause: verification-1 …
    pause: str  # verification …
    step: str  # the same, as an officer reads it
    since: datetime
    due: date | None = None
    left: int | None = None
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None

    @property
    def near(self) -> bool:
        return self.left is not None and self.left <= NEAR

    @property
    def escalated(self) -> bool:
        """Due today, overdue, or waiting too long: the unit's leader sees it, too. It stays undecided until a person
        decides."""
        return (self.left is not None and self.left <= 0) or self.escalated_at is not None


def worklist(
    records: RecordsDatabase,
    catalog: Catalog,
    rows: Iterable[Waiting],
    *,
    day: date | None = None,
    officer: str | None = None,
    staff: Staff | None = None,
) -> list[Item]:
    """Waiting dossiers, the nearest deadline first, then the longest wait.

    rows: where they wait; Prefect isn't asked, so that a page costs the same however many runs it has suspended. With
    an officer (and the staff): only what this officer may decide, and for a leader what is escalated in the unit. The
    captured-by rule (WH03) hides one's own captures.
    """
    today = day or vietnam_day()
    names = {procedure.code: procedure.name for procedure in catalog.procedures(today)}
    waiting = {row.dossier_id: row for row in rows if row.kind != OUTAGE}
    with records.session() as session:
        dossiers = session.exec(select(Dossier).where(col(Dossier.id).in_(list(waiting)))).all()
        reminders = reminders_of(session, list(waiting))
    items = [_item(catalog, names, dossier, waiting[dossier.id], today, reminders) for dossier in dossiers]
    captured = {dossier.id: dossier.captured_by for dossier in dossiers}
    if officer is not None and staff is not None:
        items = [item for item in items if _mine(item, officer, staff, today, captured[item.dossier_id])]
    return sorted(items, key=lambda item: (item.due or date.max, item.since))


def first_items(
    records: RecordsDatabase,
    catalog: Catalog,
    *,
    officer: str | None = None,
    staff: Staff | None = None,
    limit: int = 200,
) -> list[Item]:
    """The most urgent of what waits, for an officer or all."""
    today = vietnam_day()
    mine = (
        for_officer(officer, staff, today) if officer is not None and staff is not None else col(Waiting.kind) != OUTAGE
    )
    with records.session() as session:
        rows = page(session, mine, limit=limit)
    return worklist(records, catalog, rows, day=today, officer=officer, staff=staff)


def for_officer(officer: str, staff: Staff, today: date, grants: Grants | None = None) -> ColumnElement[bool]:
    """Rows of `Waiting` that this officer may decide, and for a leader what is escalated in the unit.

    grants: what the provider's groups say, which must say so, too; None on the command line.
    """
    mine: list[ColumnElement[bool]] = []
    for unit in sorted({unit for person in staff.of(officer, today) for unit in person.units}):
        listed = {pause.role for pause in pauses().values() if staff.may(officer, unit, pause.role, today)}
        held = {role for role in listed if grants is None or (unit, role.value) in grants}
        ours = col(Waiting.unit_id) == unit
        kinds = sorted(kind for kind, pause in pauses().items() if pause.role in held)
        own = [kind for kind in kinds if pauses()[kind].role is Role.RESOLVE] if four_eyes() else []
        capturers = [kind for kind in kinds if pauses()[kind].capturer_only]
        mine.append(
            ours
            & col(Waiting.kind).in_(kinds)
            & ((col(Waiting.captured_by) != officer) | col(Waiting.kind).not_in(own))
            & ((col(Waiting.captured_by) == officer) | col(Waiting.kind).not_in(capturers))
        )
        if Role.LEAD in held:
            urgent = (col(Waiting.due) <= today) | col(Waiting.escalated_at).is_not(None)
            mine.append(ours & urgent & (col(Waiting.kind) != OUTAGE))
    return or_(*mine) if mine else false()


def days_left(catalog: Catalog, today: date, due: date) -> int:
    """Working days until the deadline, below zero overdue.

    Until somebody has entered the days off of a year, its days from Monday to Friday count: one dossier that is due
    in it must not hide the others.
    """
    try:
        return catalog.working_days_left(today, due)
    except CalendarUnknown:
        first, last = sorted((today, due))
        days = sum(
            (first + timedelta(days=n)).weekday() < SATURDAY for n in range(1, min((last - first).days, 3660) + 1)
        )
        return days if today < due else -days


def reminders_of(session: Session, dossier_ids: Sequence[DossierId]) -> Reminders:
    """When officers were reminded of a pause, and when it was escalated: (dossier, pause) → level → time."""
    query = select(AuditEntry).where(
        col(AuditEntry.dossier_id).in_(dossier_ids), col(AuditEntry.action).in_([REMINDED, ESCALATED])
    )
    found: Reminders = {}
    for entry in session.exec(query.order_by(col(AuditEntry.seq))):
        if entry.dossier_id is not None:
            found.setdefault((entry.dossier_id, str(entry.details.get("stage"))), {})[entry.action] = entry.at
    return found


def _item(
    catalog: Catalog, names: Mapping[str, str], dossier: Dossier, row: Waiting, today: date, told: Reminders
) -> Item:
    levels = told.get((dossier.id, row.stage), {})
    return Item(
        dossier_id=dossier.id,
        flow_run_id=row.flow_run_id,
        code=dossier.code or dossier.submission,
        procedure=names.get(dossier.procedure_code, dossier.procedure_code),
        unit=dossier.unit_id,
        stage=row.stage,
        pause=row.kind,
        step=pause_label(row.stage),
        since=row.since,
        due=dossier.due_date,
        left=days_left(catalog, today, dossier.due_date) if dossier.due_date else None,
        reminded_at=levels.get(REMINDED),
        escalated_at=levels.get(ESCALATED),
    )


def _mine(item: Item, officer: str, staff: Staff, today: date, captured_by: str) -> bool:
    if item.escalated and staff.may(officer, item.unit, Role.LEAD, today):
        return True
    pause = pauses().get(item.pause)
    if pause is None or (pause.capturer_only and officer != captured_by):
        return False
    if pause.role is Role.RESOLVE and officer == captured_by and four_eyes():
        return False
    return staff.may(officer, item.unit, pause.role, today)
