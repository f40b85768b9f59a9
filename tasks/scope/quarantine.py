"""Cách ly giấy tờ mật (QĐ 1333, Điều 5.4; SC13) and removal of images that may not exist (Điều 5.3; SC12).

A *possible* stamp hides the paper at once (NGHI_MAT: the unit's leader sees it, nobody else; no text of it is kept) and
destroys nothing. Only when the leader has confirmed it, or the counter declared it, is it deleted: a machine's guess
never is enough. A false alarm goes on where it was.

A secret paper leaves no image behind: what the scanner wrote (INBOX, INTAKE) and all that was made from it (WORKING)
is deleted, every version of it, with the text read from it. What stays: the row that says a paper was there, the
incident, the audit entry. The deletion is repeated until it is done: state and incident are written first, so that a
crash in the middle leaves a document that nobody can open and that the next run cleans.
"""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import BaseModel
from sqlalchemy import delete
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.identity import DecisionNotProven
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.machine import DOCUMENT_SIGNED, move_document
from blocks.records.past import moves
from blocks.records.queries import get_document, get_dossier, locked
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, Decision, Document, FieldValue, Page, Scan
from tasks.decisions.proofs import proven_decision
from tasks.intake.batch import PLACE

TEXT = re.compile(r"/page-\d{4}(-[0-9a-f]{16})?\.json$")  # what was read of a page
SECRET = "SECRET"  # noqa: S105 - code of the incident


class SecrecyLevel(StrEnum):
    """Độ mật; DECLARED: the officer said so at the counter, no stamp was read."""

    MAT = "MAT"
    TOI_MAT = "TOI_MAT"
    TUYET_MAT = "TUYET_MAT"
    DECLARED = "DECLARED"


class SecretStored(SohoaError):
    """The paper is signed by the agency or locked already: it cannot be deleted here, people have to act (SC13)."""

    code, rule = "SECRET_STORED", "SC13"
    message = "Giấy tờ mật đã được ký số cơ quan hoặc lưu khóa, không thể tự xóa; vui lòng báo lãnh đạo ngay."
    remedy = Remedy.ADMINISTRATOR


class QuarantineReport(BaseModel):
    """What was removed; a second call finds nothing more: removed 0, first False."""

    document_id: DocumentId
    level: SecrecyLevel
    removed: int
    first: bool


def suspect(records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, level: SecrecyLevel | str) -> None:
    """DA_KY_CA_NHAN → NGHI_MAT: hidden from everybody but the unit's leader; what was read is forgotten. Idempotent."""
    level = SecrecyLevel(level)
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        details = {"level": level.value, "attempt": document.attempt}
        move_document(session, document, DocumentState.NGHI_MAT, actor="system", rule="SC13", details=details)
        for page in session.exec(select(Page).where(col(Page.document_id) == document_id)):
            page.text_key = page.readable = page.engine = None
            page.text_version = page.text_sha256 = ""
            session.add(page)
        place = f"{document.dossier_id}/{document_id}/"
    objects.delete_below(Bucket.WORKING, place, TEXT.search)


def isolate_as_decided(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, level: str, attempt: int, pause: str
) -> QuarantineReport:
    """The leader has confirmed at this pause that the paper is secret. Raises DecisionNotProven."""
    with records.session() as session:
        document = get_document(session, document_id)
        actor = _decided(session, document, attempt, pause, "XAC_NHAN_MAT").officer
    return isolate(records, objects, document_id, level, actor)


def take_back(records: RecordsDatabase, document_id: DocumentId, attempt: int, stage: str) -> None:
    """NGHI_MAT → DA_KY_CA_NHAN: the leader has decided at `stage` that this paper isn't secret. Idempotent.

    Raises DecisionNotProven, also where that decision was about another paper.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        kept = _decided(session, document, attempt, stage, "KHONG_PHAI_MAT")
        if document.state is DocumentState.NGHI_MAT and document.attempt == attempt:
            details = {"stage": stage, "attempt": attempt}
            move_document(
                session, document, DocumentState.DA_KY_CA_NHAN, actor=kept.officer, rule="SC13", details=details
            )


def require_cleared(records: RecordsDatabase, document_id: DocumentId, attempt: int, stage: str) -> None:
    """The leader has decided at `stage` that this paper isn't secret. Raises DecisionNotProven."""
    with records.session() as session:
        _decided(session, get_document(session, document_id), attempt, stage, "KHONG_PHAI_MAT")


def suspected_in(session: Session, document: Document, attempt: int) -> str | None:
    """Which stamp was suspected on this capture attempt, whatever became of it; None: none."""
    for entry in moves(session, document, DocumentState.NGHI_MAT):
        if entry.details.get("attempt") == attempt:
            return str(entry.details.get("level", SecrecyLevel.MAT.value))
    return None


def suspected_level(session: Session, document: Document) -> str | None:
    """Which stamp it may be, of a paper in NGHI_MAT; None in any other state."""
    if document.state is not DocumentState.NGHI_MAT:
        return None
    found = moves(session, document, DocumentState.NGHI_MAT)
    return str((found[0].details if found else {}).get("level", SecrecyLevel.MAT.value))


def _decided(session: Session, document: Document, attempt: int, stage: str, decision: str) -> Decision:
    """The leader's decision about exactly this paper. Raises DecisionNotProven."""
    kept = proven_decision(session, document.dossier_id, stage)
    about = ["suspected", str(document.id), attempt] in (kept.shown or [])
    if kept.decision != decision or not about:
        raise DecisionNotProven()
    return kept


def isolate(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, level: SecrecyLevel | str, actor: str
) -> QuarantineReport:
    """→ CACH_LY_MAT, incident, audit, images and extracted text deleted (SC13). Idempotent.

    Raises SecretStored, after the incident is written, when the agency has signed or stored the document already.
    """
    level = SecrecyLevel(level)
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        dossier = get_dossier(session, document.dossier_id)
        stored = document.state in DOCUMENT_SIGNED
        first = document.state is not DocumentState.CACH_LY_MAT
        if first:  # it may be closed already
            raise_incident(
                session,
                code=SecretStored.code if stored else SECRET,
                dossier_id=dossier.id,
                document_id=document_id,
                rule="SC13",
                details={"level": level.value, "component": document.ordinal},
                actor=actor,
            )
        if not stored:
            details = {"level": level.value}
            if document.state is DocumentState.KHAI_BAO:
                move_document(session, document, DocumentState.PHAN_LOAI, actor=actor, rule="SC13")
            move_document(session, document, DocumentState.CACH_LY_MAT, actor=actor, rule="SC13", details=details)
            document.secret, document.in_scope, document.scope_rule = True, False, "SC13"
            document.file_key = document.file_sha256 = None
            session.add(document)
            session.execute(delete(FieldValue).where(col(FieldValue.document_id) == document_id))
        where = (dossier.id, dossier.submission, document.ordinal)
    if stored:
        raise SecretStored()
    removed = discard_images(objects, *where, document_id)
    with records.session() as session:
        _audit_once(session, where[0], document_id, actor, "quarantine", "SC13", removed)
    return QuarantineReport(document_id=document_id, level=level, removed=removed, first=first)


def refuse_images(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, actor: str, *, code: str, rule: str
) -> int:
    """Delete the images of a paper that must not be captured (SC12); its Scan rows stay and carry the code."""
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        where = (dossier.id, dossier.submission, document.ordinal)
        for scan in session.exec(select(Scan).where(col(Scan.document_id) == document_id)):
            scan.refused_code = code
            session.add(scan)
    removed = discard_images(objects, *where, document_id)
    with records.session() as session:
        _audit_once(session, where[0], document_id, actor, "refuse", rule, removed)
    return removed


def discard_images(
    objects: ObjectStore, dossier_id: DossierId, submission: str, ordinal: int, document_id: DocumentId
) -> int:
    """Delete every object of one document outside RECORDS; returns how many. Raises ObjectStoreUnavailable.

    A scan of several papers goes, too: it shows this one. The others have files of their own.
    """
    keys = [
        (bucket, key)
        for bucket in (Bucket.INTAKE, Bucket.WORKING)
        for key in objects.list(bucket, f"{dossier_id}/{document_id}/")
    ]
    keys += [(Bucket.INTAKE, key) for key in objects.list(Bucket.INTAKE, f"{dossier_id}/{PLACE}/")]
    # In INBOX a component is known by its place: <submission>/r<n>/c<ordinal>/… and <submission>/rescan/<ordinal>/…
    place = re.compile(rf"{re.escape(submission)}/(r\d+/(c{ordinal}|{PLACE})|rescan/{ordinal})/")
    keys += [(Bucket.INBOX, key) for key in objects.list(Bucket.INBOX, f"{submission}/") if place.match(key)]
    for bucket, key in keys:
        objects.delete(bucket, key)
    return len(keys)


def _audit_once(
    session: Session, dossier_id: DossierId, document_id: DocumentId, actor: str, action: str, rule: str, removed: int
) -> None:
    """The deletion in the audit trail: the first time, and again whenever something was still there."""
    known = session.exec(
        select(AuditEntry).where(
            col(AuditEntry.document_id) == document_id,
            col(AuditEntry.action) == action,
            col(AuditEntry.rule) == rule,
        )
    ).first()
    if removed or known is None:
        audit(
            session,
            actor=actor,
            action=action,
            dossier_id=dossier_id,
            document_id=document_id,
            rule=rule,
            details={"objects_removed": removed},
        )
