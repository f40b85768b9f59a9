"""Quyết định tiêu hủy bản lưu hết thời hạn (Luật Lưu trữ; QĐ 1333, Điều 11.4, 11.5; LU05, LU06): two persons.

A leader proposes, another person of the unit confirms: in writing, after each has proved anew who they are, and exactly
what stood on the page. Nothing goes while a dispute is open, before the end of the retention, or whose class is not
known. Then three hands, each with its own rights, none with all: the desk writes who decided; `sohoa dispose` and the
nightly preservation carry it out (tasks/archive/destruction.py). What stays is the row: what, when, by whom, the
hashes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog.staff import Role
from blocks.errors import Remedy, SohoaError
from blocks.identity import freshly_authenticated, json_digest
from blocks.ids import DocumentId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.named import insert_once, naming
from blocks.records.queries import get_document, get_dossier
from blocks.records.tables import Disposal, Document, Dossier, Incident, now
from tasks.archive.custody import DISPUTE, may_dispose

SHORTEST, LONGEST = 10, 500  # characters of a reason
PROPOSES, CONFIRMS = (Role.LEAD,), (Role.LEAD, Role.SEAL)  # văn thư, lưu trữ confirm as well
PAGE = 100
Held = Collection[tuple[str, Role]]  # (unit, role) pairs that somebody holds today


class NotDisposable(SohoaError):
    """Its retention hasn't ended or isn't known, a dispute is open, or it isn't stored (LU05, LU06)."""

    code, rule = "NOT_DISPOSABLE", "LU06"
    message = (
        "Không được tiêu hủy bản lưu này: chưa hết thời hạn lưu trữ, chưa xác định thời hạn, hoặc đang có khiếu nại, "
        "tranh chấp."
    )
    remedy = Remedy.OFFICER


class DisposalNotYours(SohoaError):
    """The role is another's, the unit is another, or the same person would do both."""

    code, rule = "DISPOSAL_NOT_YOURS", "LU06"
    message = "Bạn không làm được việc này: {why}."
    remedy = Remedy.OFFICER


class DisposalReasonMissing(SohoaError):
    code, rule = "DISPOSAL_REASON_MISSING", "LU06"
    message = f"Vui lòng ghi căn cứ tiêu hủy, từ {SHORTEST} đến {LONGEST} ký tự."
    remedy = Remedy.OFFICER


class DisposalGone(SohoaError):
    code, rule = "DISPOSAL_GONE", "LU06"
    message = "Đề nghị tiêu hủy này không còn chờ; vui lòng mở lại trang."
    remedy = Remedy.OFFICER


class DisposalStepUp(SohoaError):
    """Who decides has not just proved at the identity provider who they are (WH03)."""

    code, rule = "STEP_UP", "WH03"
    message = "Tiêu hủy bản lưu không rút lại được; vui lòng xác thực lại với tài khoản của bạn."
    remedy = Remedy.OFFICER


class DisposalChanged(SohoaError):
    """The record, its retention or the proposal isn't what the page showed."""

    code, rule = "DISPOSAL_CHANGED", "LU06"
    message = "Bản lưu hoặc đề nghị tiêu hủy đã thay đổi so với trang bạn xem; vui lòng xem lại rồi quyết định."
    remedy = Remedy.OFFICER


@dataclass(frozen=True)
class Person:
    """Who decides. held: today's (unit, role) pairs; acr, auth_time: how and when they proved anew, for this act, who
    they are."""

    id: str
    held: Held
    acr: str = ""
    auth_time: datetime | None = None


class Candidate(BaseModel):
    """A record whose retention has ended, as the page lists it."""

    document_id: DocumentId
    record: str  # its place under lock
    dossier: str
    ordinal: int
    type_code: str
    unit: str
    retention_class: str
    retain_until: datetime
    proposed_by: str = ""
    reason: str = ""
    proposed_at: datetime | None = None

    @property
    def seen(self) -> str:
        """Hash of all that stands there: it comes back with the decision (`DisposalChanged`)."""
        return json_digest(self.model_dump(mode="json"))


class Outcome(BaseModel):
    """What two persons have ordered, and how far it is."""

    document_id: DocumentId
    dossier: str
    ordinal: int
    type_code: str
    proposed_by: str
    confirmed_by: str
    confirmed_at: datetime
    destroyed_at: datetime | None
    certified: bool


def due(session: Session, units: Collection[str], at: datetime | None = None, limit: int = PAGE) -> list[Candidate]:
    """Records that may be proposed, the longest over first. Those for ever or of unknown class have no end: never."""
    disputed = select(Incident.id).where(
        Incident.dossier_id == Dossier.id, Incident.code == DISPUTE, col(Incident.closed_at).is_(None)
    )
    known = select(Disposal.document_id).where(Disposal.document_id == Document.id)
    query = select(Document, Dossier).join(Dossier).where(
        col(Document.retain_until) < (at or now()), col(Document.record_key).is_not(None),
        col(Dossier.unit_id).in_(units), ~disputed.exists(), ~known.exists(),
    )  # fmt: skip
    rows = session.exec(query.order_by(col(Document.retain_until)).limit(limit))
    return [_candidate(document, dossier) for document, dossier in rows]


def proposed(session: Session, units: Collection[str], limit: int = PAGE) -> list[Candidate]:
    """What waits for the second person, the oldest first."""
    query = select(Disposal, Document, Dossier).join(Document, col(Document.id) == Disposal.document_id)
    query = query.join(Dossier, col(Dossier.id) == Disposal.dossier_id)
    query = query.where(col(Disposal.confirmed_at).is_(None), col(Disposal.unit_id).in_(units))
    rows = session.exec(query.order_by(col(Disposal.proposed_at)).limit(limit))
    return [_proposal(row, document, dossier) for row, document, dossier in rows]


def decided(session: Session, units: Collection[str], limit: int = PAGE) -> list[Outcome]:
    """What two persons have ordered, the newest first."""
    query = select(Disposal, Document, Dossier).join(Document, col(Document.id) == Disposal.document_id)
    query = query.join(Dossier, col(Dossier.id) == Disposal.dossier_id)
    query = query.where(col(Disposal.confirmed_at).is_not(None), col(Disposal.unit_id).in_(units))
    return [
        Outcome(
            **row.model_dump(include={"document_id", "proposed_by", "confirmed_by", "confirmed_at", "destroyed_at"}),
            dossier=dossier.code or dossier.submission,
            ordinal=document.ordinal,
            type_code=document.type_code,
            certified=bool(row.certificate_key),
        )
        for row, document, dossier in session.exec(query.order_by(col(Disposal.confirmed_at).desc()).limit(limit))
    ]


def _candidate(document: Document, dossier: Dossier) -> Candidate:
    assert document.retain_until is not None  # else it is in no list, and `may_dispose` says no
    return Candidate(
        document_id=document.id,
        record=document.record_key or "",
        dossier=dossier.code or dossier.submission,
        ordinal=document.ordinal,
        type_code=document.type_code,
        unit=dossier.unit_id,
        retention_class=document.retention_class or "",
        retain_until=document.retain_until,
    )


def _proposal(row: Disposal, document: Document, dossier: Dossier) -> Candidate:
    """As it was proposed; `as_proposed` tells whether it still is so."""
    return Candidate(
        **row.model_dump(
            include={"document_id", "retention_class", "retain_until", "proposed_by", "reason", "proposed_at"}
        ),
        record=document.record_key or "",
        dossier=dossier.code or dossier.submission,
        ordinal=document.ordinal,
        type_code=document.type_code,
        unit=row.unit_id,
    )


def propose(
    records: RecordsDatabase,
    document_id: DocumentId,
    person: Person,
    reason: str,
    seen: str,
    at: datetime | None = None,
) -> None:
    """The first person, a leader of the unit. seen: the `Candidate.seen` that the page showed.

    Raises DisposalNotYours, NotDisposable, DisposalReasonMissing, DisposalChanged; DisposalStepUp when all else is as
    it must be.
    """
    written = _written(reason)
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        _require_role(dossier.unit_id, person, PROPOSES, "lãnh đạo đơn vị đề nghị tiêu hủy")
        if session.get(Disposal, document_id) is not None:
            raise DisposalGone()
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    if seen != (shown := _candidate(document, dossier)).seen:
        raise DisposalChanged()
    _require_proven(person)
    with records.session() as session:
        row = Disposal(
            document_id=document_id, dossier_id=dossier.id, unit_id=dossier.unit_id,
            retention_class=shown.retention_class, retain_until=shown.retain_until,
            proposed_by=person.id, proposed_at=at or now(), reason=written,
        )  # fmt: skip
        if insert_once(session, row, "document_id") is None:
            raise DisposalGone()
        note_disposal(session, document, person.id, "dispose-proposed", **_how(person, seen), **naming(row))


def confirm(
    records: RecordsDatabase,
    document_id: DocumentId,
    person: Person,
    reason: str,
    seen: str,
    at: datetime | None = None,
) -> None:
    """The second person. Raises as `propose`, and DisposalGone."""
    written = _written(reason)
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    with records.session() as session:
        row = _waiting(session, document_id)
        _require_role(row.unit_id, person, CONFIRMS, "lãnh đạo hoặc văn thư của đơn vị xác nhận tiêu hủy")
        if row.proposed_by == person.id:
            raise DisposalNotYours(why="người đề nghị không được tự xác nhận")
        document, dossier = get_document(session, document_id), get_dossier(session, row.dossier_id)
        if seen != _proposal(row, document, dossier).seen or not as_proposed(row, document):
            raise DisposalChanged()
        _require_proven(person)
        row.confirmed_by, row.confirmed_at, row.confirmation = person.id, at or now(), written
        session.add(row)
        note_disposal(session, document, person.id, "dispose-confirmed", **_how(person, seen), **naming(row))


def reject(records: RecordsDatabase, document_id: DocumentId, person: Person, reason: str) -> None:
    """The second person, or the first again, says no: the record stays and may be proposed anew."""
    _written(reason)
    with records.session() as session:
        row = _waiting(session, document_id)
        _require_role(row.unit_id, person, CONFIRMS, "lãnh đạo hoặc văn thư của đơn vị bác đề nghị")
        session.delete(row)
        note_disposal(session, get_document(session, document_id), person.id, "dispose-rejected")


def as_proposed(row: Disposal, document: Document) -> bool:
    """Whether the retention is still the one that was over when it was proposed."""
    return (row.retention_class, row.retain_until) == (document.retention_class or "", document.retain_until)


def _how(person: Person, seen: str) -> dict[str, Any]:
    proved = person.auth_time.isoformat() if person.auth_time else ""
    return {"acr": person.acr[:64], "auth_time": proved, "shown": seen}


def _require_proven(person: Person) -> None:
    if not freshly_authenticated(person.auth_time, now()):
        raise DisposalStepUp()


def _waiting(session: Session, document_id: DocumentId) -> Disposal:
    row = session.exec(select(Disposal).where(Disposal.document_id == document_id).with_for_update()).first()
    if row is None or row.confirmed_at is not None:
        raise DisposalGone()
    return row


def _require_role(unit: str, person: Person, wanted: Sequence[Role], who: str) -> None:
    if not any((unit, role) in person.held for role in wanted):
        raise DisposalNotYours(why=f"chỉ {who}")


def _written(reason: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(reason.split()))
    if not SHORTEST <= len(text) <= LONGEST:
        raise DisposalReasonMissing()
    return text


def note_disposal(session: Session, document: Document, actor: str, action: str, **details: Any) -> None:
    audit(
        session, actor=actor, action=action, dossier_id=document.dossier_id, document_id=document.id, rule="LU06",
        details={"retention": document.retention_class or "", **details},
    )  # fmt: skip
