"""Tiêu hủy bản lưu mà hai người đã quyết định (Luật Lưu trữ; QĐ 1333, Điều 11.5; LU06), and its certificate.

`sohoa dispose` deletes the locked record, with the store's identity that may do nothing else; the nightly preservation
removes the copies and the personal data and signs the certificate of destruction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.named import naming
from blocks.records.queries import get_document, get_dossier
from blocks.records.tables import ArchivedObject, Disposal, Document, FieldValue, RepositoryEntry, now
from blocks.settings import in_production, settings
from blocks.signer import agency_signer
from blocks.trust import Trust
from tasks.archive.custody import may_dispose
from tasks.archive.disposal import PAGE, NotDisposable, as_proposed, note_disposal
from tasks.monitoring.audit_rows import NAMES, RowsUnproven, disputes_proven, order_proven
from tasks.prefect_task import one_by_one
from tasks.scope.quarantine import discard_images
from tasks.signing.manifest import canonical, sign_statement

CERTIFICATE_YEARS, TEST_DAYS = 70, 1  # how long a certificate is locked
PLACE = "tieu-huy/"  # of certificates in RECORDS


def ordered(session: Session, limit: int = PAGE) -> list[DocumentId]:
    """Confirmed by two persons and not destroyed yet."""
    query = select(Disposal.document_id).where(
        col(Disposal.confirmed_at).is_not(None), col(Disposal.destroyed_at).is_(None)
    )
    found = session.exec(query.order_by(col(Disposal.confirmed_at)).limit(limit))
    return [DocumentId(document) for document in found]


def destroy(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, actor: str, at: datetime | None = None
) -> int:
    """Delete every version of every locked object of a record. Returns how many. Idempotent after a stop in the middle.

    objects: with the store's identity for disposal. Raises NotDisposable (also for an order that two persons have not
    given), RowsUnproven (an order that the desk has not sealed), ObjectStoreRefused while a lock holds.
    """
    if not may_dispose(records, document_id, at=at):
        raise NotDisposable()
    with records.session() as session:
        row = session.exec(select(Disposal).where(Disposal.document_id == document_id)).first()
        if row is None or row.confirmed_at is None or row.confirmed_by in ("", row.proposed_by):
            raise NotDisposable()
        if not as_proposed(row, get_document(session, document_id)):
            raise NotDisposable()
        if not order_proven(session, row) or not disputes_proven(session, row.dossier_id):
            raise RowsUnproven(what=NAMES["disposal"])
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
        if not all(key.startswith(f"{row.dossier_id}/{document_id}/") for key in keys):
            raise RowsUnproven(what=NAMES["disposal"])  # another record's object was put under this one
    count = sum(objects.destroy(key) for key in keys)
    with records.session() as session:
        row = session.get_one(Disposal, document_id)
        row.destroyed_at = at or now()
        session.add(row)
        details = {"objects": len(keys), "versions": count, **naming(row)}
        note_disposal(session, get_document(session, document_id), actor, "dispose", **details)
    return count


def destroy_ordered(records: RecordsDatabase, objects: ObjectStore, actor: str) -> int:
    """All that two persons have ordered. Returns how many; raises RowsFailed after the last when some could not go."""
    with records.session() as session:
        waiting = ordered(session)
    return len(one_by_one(waiting, lambda document: destroy(records, objects, document, actor)))


def finish(records: RecordsDatabase, objects: ObjectStore, trust: Trust, document_id: DocumentId) -> str:
    """The copies and the personal data go, the certificate is signed and locked. Returns its key. Idempotent."""
    with records.session() as session:
        row, document = session.get_one(Disposal, document_id), get_document(session, document_id)
        if row.destroyed_at is None:
            raise NotDisposable()
        if row.certificate_key:
            return row.certificate_key
        where = (document.dossier_id, get_dossier(session, document.dossier_id).submission, document.ordinal)
        details = row.model_dump(mode="json", exclude={"reason", "confirmation", "certificate_key"})
    discard_images(objects, *where, document_id)
    key = f"{PLACE}{document_id}.json"
    if not objects.exists(Bucket.RECORDS, key):
        data = canonical({"what": "BIEN_BAN_TIEU_HUY", "organisation": settings().unit_id, **details})
        body = sign_statement("certificate", data, agency_signer(), trust)
        until = now() + timedelta(days=366 * CERTIFICATE_YEARS if in_production() else TEST_DAYS)
        objects.put_once(Bucket.RECORDS, key, body, content_type="application/json", lock_until=until)
    stored = objects.unproven(Bucket.RECORDS, key)[1]  # the first version: what was locked
    with records.session() as session:
        _forget(session, document_id)
        row = session.get_one(Disposal, document_id)
        row.certificate_key = key
        session.add(row)
        details = {"sha256": stored.sha256, "version": stored.version}
        note_disposal(session, get_document(session, document_id), "system", "dispose-certified", **details)
    return key


def _forget(session: Session, document_id: DocumentId) -> None:
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


def unfinished(session: Session, limit: int = PAGE) -> list[DocumentId]:
    """Destroyed, but without certificate."""
    query = select(Disposal.document_id).where(col(Disposal.destroyed_at).is_not(None), Disposal.certificate_key == "")
    return [DocumentId(document) for document in session.exec(query.limit(limit))]


def certify_disposals(records: RecordsDatabase, objects: ObjectStore, trust: Trust) -> int:
    """What was destroyed gets its certificate. Returns how many."""
    with records.session() as session:
        left = unfinished(session)
    return len(one_by_one(left, lambda document: finish(records, objects, trust, document)))
