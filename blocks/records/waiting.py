"""Which dossiers wait, for whom: a row a dossier, so that a page of work costs the same whatever lies in the archive.

The worklist is made of these rows alone, in the order in which officers work. Prefect decides whether a run really
waits: the desk asks it when a dossier is opened or decided, the watch lets the rows fit it again
(tasks/monitoring/reminders.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, literal, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from blocks.ids import DossierId, FlowRunId
from blocks.records.pause_keys import pause_of
from blocks.records.tables import Dossier, Waiting, now

OUTAGE = "outage"  # kind of who waits for a service; its stage is the code of the error


class Place(NamedTuple):
    """Where a row stands in the order of work: after it goes on the next page."""

    due: date
    since: datetime
    dossier_id: DossierId


def wait_at(
    session: Session,
    dossier: Dossier,
    flow_run: FlowRunId,
    stage: str,
    *,
    kind: str = "",
    since: datetime | None = None,
) -> None:
    """The dossier waits at this stage, e.g. ``verification-1``; since when stays when it did before."""
    row = {
        "dossier_id": dossier.id,
        "flow_run_id": flow_run,
        "stage": stage,
        "kind": kind or pause_of(stage),
        "unit_id": dossier.unit_id,
        "captured_by": dossier.captured_by,
        "due": dossier.due_date or date.max,
        "since": since or now(),
        "escalated_at": None,
        "tries": 1,
    }
    fresh = insert(Waiting).values(**row)
    same = (col(Waiting.stage) == fresh.excluded.stage) & (col(Waiting.flow_run_id) == fresh.excluded.flow_run_id)
    changed = {name: fresh.excluded[name] for name in row if name != "dossier_id"}
    session.execute(fresh.on_conflict_do_update(index_elements=["dossier_id"], set_=changed, where=~same))


def waits_no_more(session: Session, dossier_id: DossierId) -> None:
    session.execute(delete(Waiting).where(col(Waiting.dossier_id) == dossier_id))


def waits_at(session: Session, dossier_id: DossierId, kind: str) -> bool:
    """Whether the dossier waits at a pause of this kind, e.g. ``confirm``: its answer has not been taken yet."""
    query = select(Waiting.dossier_id).where(Waiting.dossier_id == dossier_id, Waiting.kind == kind)
    return session.exec(query).first() is not None


def page(
    session: Session, *conditions: ColumnElement[bool], after: Place | None = None, limit: int = 50
) -> list[Waiting]:
    """The next rows in the order of work: the nearest day of result first, then the longest wait."""
    order = (col(Waiting.due), col(Waiting.since), col(Waiting.dossier_id))
    query = select(Waiting).where(*conditions)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(*map(literal, after)))
    rows = list(session.exec(query.order_by(*order).limit(limit)))
    for row in rows:
        session.expunge(row)
    return rows


def place(row: Waiting) -> Place:
    return Place(row.due, row.since, row.dossier_id)


def counts(session: Session, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """Rows by kind."""
    query = select(Waiting.kind, func.count()).where(*conditions).group_by(Waiting.kind)
    return {kind: count for kind, count in session.exec(query)}


def at_a_pause(session: Session) -> int:
    """How many wait for an officer."""
    return session.exec(select(func.count()).select_from(Waiting).where(Waiting.kind != OUTAGE)).one()


def forget_all_but(session: Session, runs: Iterable[FlowRunId], before: datetime) -> int:
    """Drop rows of pauses older than `before` whose run waits no more. Returns how many."""
    gone = delete(Waiting).where(
        col(Waiting.kind) != OUTAGE, col(Waiting.since) < before, col(Waiting.flow_run_id).not_in(list(runs))
    )
    return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]
