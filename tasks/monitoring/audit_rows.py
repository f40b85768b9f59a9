"""Sổ sách khớp nhật ký: rows that no entry of the trail tells of, and entries whose row is gone (P14).

Custody, owners' repositories, the outbox, the closing of incidents and disposals can be written by whoever has the
password of a database role; the sealed entry that names each of them (blocks/records/named.py) can't. A row counts
from the moment at which the database itself says that it came in, so none can be put in under an earlier day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sql
from pydantic import BaseModel
from sqlalchemy import func
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit, entry_hash
from blocks.records.incidents import raise_incident
from blocks.records.named import ROWS, kind_of, row_hash
from blocks.records.tables import AuditEntry, Custody, Disposal, Incident, Outbox, RepositoryEntry, now
from blocks.seals import DISPOSAL, GATEWAY, WORKER, Seals, part_of
from tasks.archive.custody import DISPUTE
from tasks.monitoring.notices import TOPIC as MAIL
from tasks.partner_cases.callbacks import TOPIC as CALLBACKS

CODE = "ROWS_UNPROVEN"
WINDOW = timedelta(hours=6)  # so much is in memory at once
MARGIN = timedelta(hours=1)  # between row and entry of one transaction, and the clocks of two machines
MOST = 20  # told of
# Whose entries count for what.
WRITERS: Mapping[str, frozenset[str]] = {
    "custody": frozenset({WORKER}),
    "repositoryentry": frozenset({WORKER}),
    "outbox": frozenset({WORKER}),
    "incident": frozenset({WORKER, GATEWAY}),
}
PASSING = {f"outbox/{topic}" for topic in (MAIL, CALLBACKS)}  # deleted once delivered, or when nobody is to be told
NAMES = {
    "custody": "sổ giao nhận bản giấy",
    "repositoryentry": "kho của chủ hồ sơ",
    "outbox": "tin gửi đi",
    "incident": "việc đóng sự cố",
    "disposal": "tiêu hủy",
}
REJECTED = "dispose-rejected"
# The steps of a disposal: action, whose entry, what of the row isn't known before.
_LATER: dict[str, Any] = {"confirmed_by": "", "confirmed_at": None, "confirmation": "", "destroyed_at": None}
STEPS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dispose-proposed", GATEWAY, _LATER),
    ("dispose-confirmed", GATEWAY, {"destroyed_at": None}),
    ("dispose", DISPOSAL, {}),
)


class RowsUnproven(SohoaError):
    """Rows and trail say different things."""

    code, rule = CODE, "P14"
    message = (
        "Sổ sách không khớp nhật ký ({what}): có người đã ghi hoặc xóa thẳng trong cơ sở dữ liệu; giữ nguyên máy và "
        "báo người phụ trách an toàn thông tin."
    )
    remedy = Remedy.ADMINISTRATOR


class Unproven(NamedTuple):
    """kind: of the row; id: the row's, or the entry that has no row; gone: it is the row that is missing."""

    kind: str
    id: str
    gone: bool = False

    @property
    def place(self) -> str:
        return self.kind.partition("/")[0]


class RowsReport(BaseModel):
    """rows: looked at; since: number of the entry from which on, 0: all."""

    rows: int
    since: int


class Named(NamedTuple):
    """What an entry says of a row."""

    seq: int
    at: datetime
    part: str
    kind: str
    hash: str
    document: DocumentId | None


def unproven(session: Session, since: datetime | None = None) -> tuple[int, list[Unproven]]:
    """(rows looked at, those that trail and tables disagree about). since: rows and entries from then on; None: all.

    One snapshot of the database: what is written meanwhile is neither here nor there.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    count, found = _disposals(session)
    first, end = since or _first(session), now() + MARGIN
    while first is not None and first < end:
        last = min(first + WINDOW, end)
        rows = dict(_rows(session, first - MARGIN, last + MARGIN))
        named = list(_named(session, first - MARGIN, last + MARGIN))
        hashes = {one.hash for one in named if one.part in WRITERS.get(one.kind.partition("/")[0], ())}
        for hash_, (row, written) in rows.items():
            if first <= written < last:
                count += 1
                if hash_ not in hashes:
                    found.append(row)
        missing = [one for one in named if first <= one.at < last and one.hash not in rows]
        found += [Unproven(one.kind, f"entry{one.seq}", gone=True) for one in missing if not _may_be_gone(session, one)]
        first = last
    return count, found


def _first(session: Session) -> datetime | None:
    """When the first row or entry that counts was written."""
    times = [
        session.exec(select(func.min(column))).one()
        for column in (Custody.written_at, RepositoryEntry.written_at, Outbox.written_at, Incident.written_at)
    ]
    sealed = select(AuditEntry.at).where(AuditEntry.seal != "").order_by(col(AuditEntry.seq)).limit(1)
    times.append(session.exec(sealed).first())
    return min((at - MARGIN for at in times if at is not None), default=None)


def _rows(session: Session, first: datetime, last: datetime) -> Iterator[tuple[str, tuple[Unproven, datetime]]]:
    """(hash, (row, when it was written)) of all that came in between."""
    tables: tuple[Any, ...] = (Custody, RepositoryEntry, Outbox, Incident)
    for table in tables:
        query = select(table).where(col(table.written_at) >= first, col(table.written_at) < last)
        if table is Incident:
            query = query.where(col(Incident.closed_at).is_not(None))
        for row in session.exec(query.execution_options(yield_per=1000)):
            yield row_hash(row), (Unproven(kind_of(row), str(row.id)), row.written_at)


def _named(session: Session, first: datetime, last: datetime) -> Iterator[Named]:
    rows, at, seal = col(AuditEntry.details)[ROWS], col(AuditEntry.at), col(AuditEntry.seal)
    query = sql.select(col(AuditEntry.seq), at, seal, rows, col(AuditEntry.document_id)).where(
        at >= first, at < last, rows.is_not(None), seal != "",
        col(AuditEntry.action).not_in([action for action, *_ in STEPS]),
    )  # fmt: skip
    for seq, written, sealed, told, document in session.execute(query.execution_options(yield_per=1000)):
        for kind, hashes in (told or {}).items():
            for hash_ in hashes:
                yield Named(int(seq), written, part_of(sealed), kind, hash_, document)


def _may_be_gone(session: Session, one: Named) -> bool:
    """Messages that pass, and whose paper's record was destroyed by order of two persons."""
    if one.kind in PASSING:
        return True
    if one.kind != "repositoryentry":
        return False
    query = select(AuditEntry.seal).where(
        AuditEntry.document_id == one.document, AuditEntry.action == "dispose-certified", col(AuditEntry.seq) > one.seq
    )
    return any(part_of(seal) == WORKER for seal in session.exec(query))


def _disposals(session: Session) -> tuple[int, list[Unproven]]:
    """All of them: they are few. What was written before there were seals is told by an entry without one."""
    entries_of: dict[DocumentId | None, dict[str, list[AuditEntry]]] = defaultdict(lambda: defaultdict(list))
    actions = [*(action for action, *_ in STEPS), REJECTED]
    query = select(AuditEntry).where(col(AuditEntry.action).in_(actions)).order_by(col(AuditEntry.seq))
    for entry in session.exec(query):
        entries_of[entry.document_id][entry.action].append(entry)
    found: list[Unproven] = []
    rows = session.exec(select(Disposal)).all()
    for row in rows:
        done = (True, row.confirmed_at is not None, row.destroyed_at is not None)
        entries = entries_of[row.document_id]
        noted = [entry for of_action in entries.values() for entry in of_action]
        steps = [step for step, is_done in zip(STEPS, done, strict=True) if is_done]
        if not _told(noted, row, steps):
            found.append(Unproven("disposal", str(row.document_id)))
    there = {row.document_id for row in rows}
    for document, by_action in entries_of.items():
        last = {action: entries[-1].seq or 0 for action, entries in by_action.items() if entries}
        if document not in there and last.get("dispose-proposed", 0) > last.get(REJECTED, 0):
            found.append(Unproven("disposal", f"entry{last['dispose-proposed']}", gone=True))
    return len(rows), found


def disputes_proven(session: Session, dossier_id: DossierId) -> bool:
    """Whether each closed dispute of this dossier was closed by somebody whom a sealed entry names (LU05)."""
    closed = session.exec(
        select(Incident).where(
            Incident.dossier_id == dossier_id, Incident.code == DISPUTE, col(Incident.closed_at).is_not(None)
        )
    ).all()
    query = select(AuditEntry).where(AuditEntry.dossier_id == dossier_id, AuditEntry.action == "incident-closed")
    entries = session.exec(query.order_by(col(AuditEntry.seq))).all() if closed else []
    hashes = {
        hash_
        for entry in _sealed(entries)
        if part_of(entry.seal or "") in WRITERS["incident"]
        for hash_ in entry.details.get(ROWS, {}).get("incident", [])
    }
    return all(row_hash(row) in hashes for row in closed)


def _sealed(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Those that the part which their seal names has written. entries: in their order."""
    seals = Seals(entries[0].at if entries else None)
    return [entry for entry in entries if seals.fits(entry.seal or "", entry_hash(entry.model_dump()), entry.at)]


def order_proven(session: Session, row: Disposal) -> bool:
    """Whether the desk has sealed that two persons have ordered this, as it stands: a row alone destroys nothing."""
    query = select(AuditEntry).where(
        AuditEntry.document_id == row.document_id,
        col(AuditEntry.action).in_([*(action for action, *_ in STEPS[:2]), REJECTED]),
    )
    return _told(_sealed(session.exec(query.order_by(col(AuditEntry.seq))).all()), row, STEPS[:2])


def _told(entries: Sequence[AuditEntry], row: Disposal, steps: Sequence[tuple[str, str, dict[str, Any]]]) -> bool:
    """Whether entries after the last rejection tell of each of these steps of the row."""
    rejected = max((entry.seq or 0 for entry in entries if entry.action == REJECTED), default=0)
    since = [entry for entry in entries if (entry.seq or 0) > rejected]
    return all(
        any(
            entry.action == action and _tells(entry, part, row_hash(Disposal(**row.model_dump() | later)))
            for entry in since
        )
        for action, part, later in steps
    )


def _tells(entry: AuditEntry, part: str, hash_: str) -> bool:
    if not entry.seal:
        return True
    return part_of(entry.seal) == part and hash_ in entry.details.get(ROWS, {}).get("disposal", [])


def check_rows(records: RecordsDatabase, since: int = 0, actor: str = "system") -> RowsReport:
    """Compare, and note in the trail that it was done. What doesn't fit is an incident; nothing is mended.

    since: number of an entry that was proven; only what came later is compared. Raises RowsUnproven.
    """
    with records.session() as session:
        at = session.exec(select(AuditEntry.at).where(AuditEntry.seq == since)).first() if since else None
    with records.session() as session:
        count, found = unproven(session, at - MARGIN if at else None)
    report = RowsReport(rows=count, since=since)
    with records.session() as session:
        if found:
            rows = [{"kind": one.kind, "gone": one.gone, "id": one.id} for one in found[:MOST]]
            raise_incident(session, code=CODE, rule="P14", details={"count": len(found), "found": rows}, actor=actor)
        else:
            audit(session, actor=actor, action="check_rows", rule="P14", details=report.model_dump())
    if found:
        raise RowsUnproven(
            what=", ".join(NAMES.get(place, place) for place in dict.fromkeys(one.place for one in found))
        )
    return report
