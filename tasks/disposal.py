"""Tiêu hủy bản lưu hết thời hạn (Luật Lưu trữ; QĐ 1333, Điều 11.4, 11.5; LU05, LU06): two persons and a certificate.

A leader proposes, another person of the unit confirms, both in writing. Nothing goes while a dispute is open, before
the end of the retention, or whose class is not known. Then three hands, each with its own rights, none with all:
the desk writes who decided; `sohoa dispose` deletes the locked record, with the store's identity that may do nothing
else; the nightly preservation removes the copies and the personal data and signs the certificate of destruction.
What stays is the row: what, when, by whom, the hashes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from blocks.catalog.staff import Role
from blocks.errors import Remedy, SohoaError
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import get_document, get_dossier
from blocks.records.tables import (
    ArchivedObject,
    Disposal,
    Document,
    Dossier,
    FieldValue,
    Incident,
    RepositoryEntry,
    now,
)
from blocks.settings import in_production, settings
from blocks.signer import agency_signer
from blocks.trust import Trust
from tasks.custody import DISPUTE, may_dispose
from tasks.quarantine import discard_images
from tasks.shell import one_by_one, step
from tasks.signing.manifest import canonical, sign_statement

SHORTEST, LONGEST = 10, 500  # characters of a reason
CERTIFICATE_YEARS, TEST_DAYS = 70, 1  # how long a certificate is locked
PLACE = "tieu-huy/"  # of certificates in RECORDS
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


class Candidate(BaseModel):
    """A record whose retention has ended, as the page lists it."""

    document_id: UUID
    dossier: str
    type_code: str
    unit: str
    retention_class: str
    retain_until: datetime
    proposed_by: str = ""
    reason: str = ""
    proposed_at: datetime | None = None


# -- deciding -----------------------------------------------------------------------------------------------------
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
    return [
        _candidate(document, dossier).model_copy(
            update={"proposed_by": row.proposed_by, "reason": row.reason, "proposed_at": row.proposed_at}
        )
        for row, document, dossier in session.exec(query.order_by(col(Disposal.proposed_at)).limit(limit))
    ]


def _candidate(document: Document, dossier: Dossier) -> Candidate:
    assert document.retain_until is not None
    return Candidate(
        document_id=document.id,
        dossier=dossier.code or dossier.submission,
        type_code=document.type_code,
        unit=dossier.unit_id,
        retention_class=document.retention_class or "",
        retain_until=document.retain_until,
    )


def propose(
    records: RecordsDatabase, document_id: UUID, officer: str, roles: Held, reason: str, at: datetime | None = None
) -> None:
    """The first person, a leader of the unit. Raises DisposalNotYours, NotDisposable, DisposalReasonMissing."""
    written = _written(reason)
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        _insist_role(dossier.unit_id, roles, PROPOSES, "lãnh đạo đơn vị đề nghị tiêu hủy")
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    with records.session() as session:
        row = Disposal(
            document_id=document_id, dossier_id=dossier.id, unit_id=dossier.unit_id,
            retention_class=document.retention_class or "", retain_until=document.retain_until or now(),
            proposed_by=officer, proposed_at=at or now(), reason=written,
        )  # fmt: skip
        known = insert(Disposal).values(**row.model_dump()).on_conflict_do_nothing(index_elements=["document_id"])
        if not session.execute(known.returning(col(Disposal.document_id))).first():
            raise DisposalGone()
        _audit(session, document, officer, "dispose-proposed")


def confirm(
    records: RecordsDatabase, document_id: UUID, officer: str, roles: Held, reason: str, at: datetime | None = None
) -> None:
    """The second person. Raises as `propose`, and DisposalGone."""
    written = _written(reason)
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    with records.session() as session:
        row = _waiting(session, document_id)
        _insist_role(row.unit_id, roles, CONFIRMS, "lãnh đạo hoặc văn thư của đơn vị xác nhận tiêu hủy")
        if row.proposed_by == officer:
            raise DisposalNotYours(why="người đề nghị không được tự xác nhận")
        row.confirmed_by, row.confirmed_at, row.confirmation = officer, at or now(), written
        session.add(row)
        _audit(session, get_document(session, document_id), officer, "dispose-confirmed")


def reject(records: RecordsDatabase, document_id: UUID, officer: str, roles: Held, reason: str) -> None:
    """The second person, or the first again, says no: the record stays and may be proposed anew."""
    _written(reason)
    with records.session() as session:
        row = _waiting(session, document_id)
        _insist_role(row.unit_id, roles, CONFIRMS, "lãnh đạo hoặc văn thư của đơn vị bác đề nghị")
        session.delete(row)
        _audit(session, get_document(session, document_id), officer, "dispose-rejected")


def _waiting(session: Session, document_id: UUID) -> Disposal:
    row = session.exec(select(Disposal).where(Disposal.document_id == document_id).with_for_update()).first()
    if row is None or row.confirmed_at is not None:
        raise DisposalGone()
    return row


def _insist_role(unit: str, roles: Held, wanted: Sequence[Role], who: str) -> None:
    if not any((unit, role) in roles for role in wanted):
        raise DisposalNotYours(why=f"chỉ {who}")


def _written(reason: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(reason.split()))
    if not SHORTEST <= len(text) <= LONGEST:
        raise DisposalReasonMissing()
    return text


def _audit(session: Session, document: Document, actor: str, action: str, **details: Any) -> None:
    audit(
        session, actor=actor, action=action, dossier_id=document.dossier_id, document_id=document.id, rule="LU06",
        details={"retention": document.retention_class or "", **details},
    )  # fmt: skip


# -- destroying ---------------------------------------------------------------------------------------------------
def ordered(session: Session, limit: int = PAGE) -> list[UUID]:
    """Confirmed by two persons and not destroyed yet."""
    query = select(Disposal.document_id).where(
        col(Disposal.confirmed_at).is_not(None), col(Disposal.destroyed_at).is_(None)
    )
    return list(session.exec(query.order_by(col(Disposal.confirmed_at)).limit(limit)))


def destroy(
    records: RecordsDatabase, objects: ObjectStore, document_id: UUID, actor: str, at: datetime | None = None
) -> int:
    """Delete every version of every locked object of a record. Returns how many. Idempotent after a stop in the middle.

    objects: with the store's identity for disposal. Raises NotDisposable (also for an order that two persons have not
    given), ObjectStoreRefused while a lock holds.
    """
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    with records.session() as session:
        row = session.exec(select(Disposal).where(Disposal.document_id == document_id)).first()
        if row is None or row.confirmed_at is None or row.confirmed_by in ("", row.proposed_by):
            raise NotDisposable()
        kept = session.exec(select(ArchivedObject).where(ArchivedObject.document_id == document_id)).all()
        if any(item.locked_until > (at or now()) for item in kept):
            raise NotDisposable()
        if not row.destroyed_by:  # from now on preservation doesn't miss it
            row.destroyed_by = actor
            row.objects = [
                {"kind": item.kind, "number": item.number, "sha256": item.sha256, "size": item.size} for item in kept
            ]
            session.add(row)
        keys = sorted({item.object_key for item in kept})
    count = sum(objects.destroy(key) for key in keys)
    with records.session() as session:
        row = session.get_one(Disposal, document_id)
        row.destroyed_at = at or now()
        session.add(row)
        _audit(session, get_document(session, document_id), actor, "dispose", objects=len(keys), versions=count)
    return count


def destroy_ordered(records: RecordsDatabase, objects: ObjectStore, actor: str) -> int:
    """All that two persons have ordered. Returns how many; raises RowsFailed after the last when some could not go."""
    with records.session() as session:
        waiting = ordered(session)
    return len(one_by_one(waiting, lambda document: destroy(records, objects, document, actor)))


def finish(records: RecordsDatabase, objects: ObjectStore, trust: Trust, document_id: UUID) -> str:
    """The copies and the personal data go, the certificate is signed and locked. Returns its key. Idempotent."""
    with records.session() as session:
        row, document = session.get_one(Disposal, document_id), get_document(session, document_id)
        if row.destroyed_at is None:
            raise NotDisposable()
        if row.certificate_key:
            return row.certificate_key
        where = (document.dossier_id, get_dossier(session, document.dossier_id).submission, document.ordinal)
        told = row.model_dump(mode="json", exclude={"reason", "confirmation", "certificate_key"})
    discard_images(objects, *where, document_id)
    key = f"{PLACE}{document_id}.json"
    if not objects.exists(Bucket.RECORDS, key):
        data = canonical({"what": "BIEN_BAN_TIEU_HUY", "organisation": settings().unit_id, **told})
        body = sign_statement("certificate", data, agency_signer(), trust)
        until = now() + timedelta(days=366 * CERTIFICATE_YEARS if in_production() else TEST_DAYS)
        objects.put_once(Bucket.RECORDS, key, body, content_type="application/json", lock_until=until)
    stored = objects.unproven(Bucket.RECORDS, key)[1]  # the first version: what was locked
    with records.session() as session:
        _forget(session, document_id)
        row = session.get_one(Disposal, document_id)
        row.certificate_key = key
        session.add(row)
        _audit(session, get_document(session, document_id), "system", "dispose-certified",
               sha256=stored.sha256, version=stored.version)  # fmt: skip
    return key


def _forget(session: Session, document_id: UUID) -> None:
    """What was read of the paper, and in whose name it was shown; of the dossier too, with its last paper."""
    session.execute(delete(FieldValue).where(col(FieldValue.document_id) == document_id))
    session.execute(delete(RepositoryEntry).where(col(RepositoryEntry.document_id) == document_id))
    document = get_document(session, document_id)
    document.code = document.code_owner = document.code_number = None
    document.record_key = document.record_version = document.file_key = None
    session.add(document)
    left = select(Document.id).where(
        Document.dossier_id == document.dossier_id, Document.id != document_id, col(Document.record_key).is_not(None)
    )
    if session.exec(left.limit(1)).first() is None:
        dossier = get_dossier(session, document.dossier_id)
        dossier.owner_id, dossier.owner_name, dossier.owner_birth_date = None, "", None
        session.add(dossier)


def unfinished(session: Session, limit: int = PAGE) -> list[UUID]:
    """Destroyed, but without certificate."""
    query = select(Disposal.document_id).where(col(Disposal.destroyed_at).is_not(None), Disposal.certificate_key == "")
    return list(session.exec(query.limit(limit)))


@step("Lập biên bản tiêu hủy, xóa bản sao", rule="LU06")
def certify_disposals() -> int:
    """Each night: what was destroyed gets its certificate. Returns how many."""
    records, objects, trust = RecordsDatabase.get(), ObjectStore.get(), Trust.get()
    with records.session() as session:
        left = unfinished(session)
    return len(one_by_one(left, lambda document: finish(records, objects, trust, document)))
