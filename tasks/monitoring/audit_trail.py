"""Nhật ký: the audit trail for auditors, who search its entries over all dossiers of a unit and verify it (P14).

Looking into the trail is itself an entry of it. No personal data stand there (`blocks.records.audit`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select

from blocks.catalog.staff import Staff
from blocks.clock import VIET_NAM
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import ChainFaults, audit, chain_head, read_chain
from blocks.records.incidents import raise_incident
from blocks.records.tables import AuditEntry, Document, Dossier
from blocks.trust import Trust
from tasks.desk_views.history import ARTICLES, sentence
from tasks.monitoring.audit_anchor import anchors, faults, newest

BROKEN = "TRAIL_BROKEN"
SUNDAY, NEWEST_SIGNATURES = 6, 3
MACHINE = ("system", "unknown")  # who acts without a unit


class TrailBroken(SohoaError):
    """Entries were changed, put in or taken out."""

    code, rule = BROKEN, "P14"
    message = "Nhật ký không còn nguyên vẹn từ dòng {seq}; giữ nguyên máy và báo người phụ trách an toàn thông tin."
    remedy = Remedy.ADMINISTRATOR


class Unsealed(TrailBroken):
    """Entries that no part has sealed: somebody put them in with the password of a database role."""

    message = (
        "Dòng {seq} của nhật ký không do bộ phận nào của hệ thống ghi: có người đã ghi thẳng vào cơ sở dữ liệu; giữ "
        "nguyên máy và báo người phụ trách an toàn thông tin."
    )


class AnchorsBroken(TrailBroken):
    """What was signed and locked outside the database says something else than the trail."""

    message = (
        "Nhật ký không khớp với mốc neo đã ký và khóa ngoài cơ sở dữ liệu ({what}); giữ nguyên máy và báo người phụ "
        "trách an toàn thông tin."
    )


class TrailFilter(BaseModel):
    """Which entries. Days are Viet Nam's, both included; before: only entries with a smaller number."""

    code: str = ""  # of a dossier
    actor: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None
    before: int | None = None


class TrailLine(BaseModel):
    """One entry. dossier: its code or submission; details: ids, counts and codes."""

    seq: int
    at: datetime
    actor: str
    action: str
    sentence: str
    rule: str
    article: str
    dossier_id: DossierId | None
    dossier: str
    details: dict[str, Any]
    hash: str


class TrailReport(BaseModel):
    """entries: the newest number; hash: its hash; anchors: how many outside the database agree; since: read from."""

    entries: int
    hash: str
    anchors: int = 0
    since: int = 0


def entries(
    records: RecordsDatabase, wanted: TrailFilter, units: Collection[str], staff: Staff, limit: int
) -> list[TrailLine]:
    """The newest entries that are wanted, newest first, of dossiers of these units and of their staff."""
    people = {person.id for person in (*staff.staff, *staff.delegations) if person.units & set(units)}
    mine = col(Dossier.unit_id).in_(units)
    ours = col(AuditEntry.dossier_id).is_(None) & col(AuditEntry.actor).in_({*people, *MACHINE})
    query = select(AuditEntry, Dossier, Document.ordinal).where(or_(mine, ours), *_conditions(wanted))
    query = query.join(Dossier, col(Dossier.id) == AuditEntry.dossier_id, isouter=True)
    query = query.join(Document, col(Document.id) == AuditEntry.document_id, isouter=True)
    with records.session() as session:
        return [_line(*row) for row in session.exec(query.order_by(col(AuditEntry.seq).desc()).limit(limit))]


def _conditions(wanted: TrailFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.code:
        found.append(_named(wanted.code))
    if wanted.actor:
        found.append(col(AuditEntry.actor) == wanted.actor)
    if wanted.action:
        found.append(col(AuditEntry.action) == wanted.action)
    if wanted.since:
        found.append(col(AuditEntry.at) >= _midnight(wanted.since))
    if wanted.until:
        found.append(col(AuditEntry.at) < _midnight(wanted.until + timedelta(days=1)))
    if wanted.before is not None:
        found.append(col(AuditEntry.seq) < wanted.before)
    return found


def _named(code: str) -> ColumnElement[bool]:
    return or_(col(Dossier.code) == code.upper(), col(Dossier.submission) == code)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), VIET_NAM)


def _line(entry: AuditEntry, dossier: Dossier | None, ordinal: int | None) -> TrailLine:
    ordinals = {entry.document_id: ordinal} if entry.document_id and ordinal else {}
    return TrailLine(
        seq=entry.seq or 0,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        sentence=sentence(entry, ordinals),
        rule=entry.rule,
        article=ARTICLES.get(entry.rule, ""),
        dossier_id=entry.dossier_id,
        dossier=(dossier.code or dossier.submission) if dossier else "",
        details=entry.details,
        hash=entry.hash,
    )


def record_access(records: RecordsDatabase, officer: str, action: str, wanted: TrailFilter, shown: int) -> None:
    """Who looked into the trail for what. A dossier is named by its id, an officer's id is kept only if it is known."""
    with records.session() as session:
        found = session.exec(select(Dossier).where(_named(wanted.code))).first() if wanted.code else None
        dossier = found.id if found else None
        asked = wanted.model_dump(mode="json", include={"action", "since", "until", "before"}, exclude_defaults=True)
        audit(session, actor=officer, action=action, dossier_id=dossier, rule="P14", details=asked | {"shown": shown})


def look_through(
    records: RecordsDatabase, objects: ObjectStore | None = None, trust: Trust | None = None, *, whole: bool = True
) -> tuple[TrailReport, ChainFaults, list[str]]:
    """(report, entries that don't fit or aren't sealed, what the anchors say against the trail). Nothing is written.

    objects: where the anchors lie; None: the chain alone. whole: from the first entry; else from the newest anchor.
    """
    found = anchors(objects, trust, signatures=None if whole else NEWEST_SIGNATURES) if objects else []
    with records.session() as session:
        against = faults(session, found) if objects else []
        last = newest(found) if not whole and not against else None
        head, wrong = chain_head(session), read_chain(session, since=last.head if last else None)
    report = TrailReport(
        entries=head.seq if head else 0,
        hash=head.hash if head else "",
        anchors=sum(not one.fault for one in found),
        since=last.seq if last else 0,
    )
    return report, wrong, against


def check_trail(
    records: RecordsDatabase,
    actor: str,
    objects: ObjectStore | None = None,
    trust: Trust | None = None,
    *,
    whole: bool = True,
) -> TrailReport:
    """The trail and its anchors, and an entry of it that it was read. What is broken is an incident; nothing is mended.

    Arguments: as of `look_through`. Raises TrailBroken with the first number that doesn't fit, Unsealed with the first
    that no part wrote, or AnchorsBroken.
    """
    report, found, against = look_through(records, objects, trust, whole=whole)
    with records.session() as session:
        if found.wrong or found.unsealed or against:
            named = {kind: [f"entry{seq}" for seq in seqs[:5]] for kind, seqs in found._asdict().items()}
            details = {"anchors": against[:20], **named}
            raise_incident(session, code=BROKEN, rule="P14", details=details, actor=actor)
        else:
            audit(session, actor=actor, action="check_trail", rule="P14", details=report.model_dump())
    if found.wrong:
        raise TrailBroken(seq=found.wrong[0])
    if found.unsealed:
        raise Unsealed(seq=found.unsealed[0])
    if against:
        raise AnchorsBroken(what=", ".join(against[:5]))
    return report
