"""Bảo quản bản lưu điện tử (QĐ 1333, Điều 11.5; LU06): stored bytes are looked at again, proofs renewed in time.

Fixity: every object is read again after `fixity_days` and compared with the hash that was recorded when it was signed.
One that differs, is gone, or is hidden by another version raises an incident and is restored from wherever the same
bytes lie: another version, the working copy, or a renewal (which begins with the file that it renews).

Renewal: a record gets one more archive time-stamp before the certificate of the last one ends. The renewed file is a
new locked object beside the old one; what was signed is never changed. Each step is idempotent: a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from asn1crypto import cms
from pydantic import BaseModel
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError, ObjectConflict, SohoaError
from blocks.ids import DocumentId
from blocks.objects import (
    Bucket,
    ObjectMissing,
    ObjectStore,
    ObjectStoreUnavailable,
    StoredObject,
    digest,
    document_key,
)
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.database import RecordsUnavailable
from blocks.records.incidents import close_incident, raise_incident
from blocks.records.queries import locked
from blocks.records.tables import ArchivedObject, Disposal, Document, Scan
from blocks.settings import in_production
from blocks.settings.sections import PreservationSettings
from blocks.trust import Trust, clock, run
from tasks.archive.store import FOREVER_YEARS, ORIGINAL, RECORD, note_archived
from tasks.prefect_task import one_by_one
from tasks.signing import cades
from tasks.signing.errors import ForeignFile, SignatureInvalid
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE
from tasks.signing.pdf import renew
from tasks.signing.report import REPORT_TYPES
from tasks.signing.verify import Verdict, verify_manifest, verify_pdf

TYPES = {
    RECORD: "application/pdf",
    ORIGINAL: "application/pdf",
    MANIFEST: "application/json",
    MANIFEST_SIGNATURE: "application/pkcs7-signature",
    **REPORT_TYPES,
}
logger = logging.getLogger(__name__)
DAMAGED = "ARCHIVED_OBJECT_DAMAGED"
UNRENEWABLE = "RENEWAL_FAILED"


class NotPreserved(SohoaError):
    """An object is damaged and its bytes are nowhere else, or a proof could not be renewed."""

    code, rule = "NOT_PRESERVED", "LU06"
    message = (
        "Có bản lưu bị hỏng chưa khôi phục được hoặc chưa gia hạn được dấu thời gian; "
        "vui lòng báo quản trị viên xem báo cáo bảo quản và khôi phục từ bản sao dự phòng."
    )


class FixityReport(BaseModel):
    """What a look at some objects found; ids only."""

    checked: int = 0
    damaged: list[UUID] = []
    restored: list[UUID] = []
    unread: list[UUID] = []  # rows of objects whose look failed; the others were looked at


class RenewalReport(BaseModel):
    document_id: DocumentId
    renewed: list[str] = []  # kinds
    renew_before: datetime | None = None


# -- what is due --------------------------------------------------------------------------------------------------
def objects_to_check(records: RecordsDatabase, limit: int, settings: PreservationSettings) -> list[UUID]:
    """Objects that were not looked at for `fixity_days`, or were damaged at the last look; longest first."""
    before = clock() - timedelta(days=settings.fixity_days)
    query = (
        select(ArchivedObject.id)
        .where((col(ArchivedObject.checked_at) < before) | ~col(ArchivedObject.intact), ~_disposed())
        .order_by(col(ArchivedObject.checked_at))
        .limit(limit)
    )
    with records.session() as session:
        return list(session.exec(query).all())


def documents_to_renew(records: RecordsDatabase, limit: int, settings: PreservationSettings) -> list[UUID]:
    """Documents whose newest time-stamp ends within `renewal_days`; most urgent first."""
    before = clock() + timedelta(days=settings.renewal_days)
    query = select(ArchivedObject.document_id, ArchivedObject.renew_before).where(
        col(ArchivedObject.renew_before) < before, ~_disposed()
    )
    with records.session() as session:
        rows = session.exec(query.order_by(col(ArchivedObject.renew_before))).all()
    return list(dict.fromkeys(document for document, _ in rows))[:limit]


def _disposed() -> ColumnElement[bool]:
    """Being destroyed, or destroyed, by order of two persons (tasks/archive/destruction.py)."""
    return (
        select(Disposal.document_id)
        .where(Disposal.document_id == ArchivedObject.document_id, Disposal.destroyed_by != "")
        .exists()
    )


# -- fixity -------------------------------------------------------------------------------------------------------
def check_fixity(records: RecordsDatabase, objects: ObjectStore, ids: list[UUID]) -> FixityReport:
    """Read each object again; restore what is damaged. Raises ObjectStoreUnavailable when nothing can be read."""
    report = FixityReport()
    for object_id in ids:
        try:
            _check(records, objects, object_id, report)
        except (ObjectStoreUnavailable, RecordsUnavailable):
            raise
        except Exception as error:
            logger.warning("An archived object can't be looked at: %s", type(error).__name__)
            report.unread.append(object_id)
    return report


def _check(records: RecordsDatabase, objects: ObjectStore, object_id: UUID, report: FixityReport) -> None:
    with records.session() as session:
        row = session.get_one(ArchivedObject, object_id)
        session.expunge(row)
    fault = _fault(objects, row)
    report.checked += 1
    if fault is None:
        _looked_at(records, row)
        return
    report.damaged.append(row.document_id)
    _incident(records, row, fault)
    if _restore(records, objects, row):
        report.restored.append(row.document_id)


def _fault(objects: ObjectStore, row: ArchivedObject) -> str | None:
    """None when the version that was stored has its bytes and is what a reader of the key gets."""
    try:
        if objects.stored_hash(Bucket.RECORDS, row.object_key, row.version) != row.sha256:
            return "DIFFERENT"
        newest = next(objects.versions(Bucket.RECORDS, row.object_key), None)
    except IntegrityError:
        return "DIFFERENT"
    except ObjectMissing:
        return "MISSING"
    except ObjectStoreUnavailable:
        next(objects.list(Bucket.RECORDS, row.object_key), None)  # raises when the whole store is away
        return "UNREADABLE"
    return None if newest == row.version else "HIDDEN"


def _looked_at(records: RecordsDatabase, row: ArchivedObject) -> None:
    with records.session() as session:
        known = locked(session, ArchivedObject, row.id)
        known.checked_at, known.intact = clock(), True
        session.add(known)


def _incident(records: RecordsDatabase, row: ArchivedObject, fault: str) -> None:
    with records.session() as session:
        known = locked(session, ArchivedObject, row.id)
        known.intact = False
        session.add(known)
        document = session.get_one(Document, row.document_id)
        raise_incident(
            session,
            code=DAMAGED,
            dossier_id=document.dossier_id,
            document_id=document.id,
            rule="LU06",
            details={"object": row.id, "kind": row.kind, "number": row.number, "fault": fault},
        )


def _restore(records: RecordsDatabase, objects: ObjectStore, row: ArchivedObject) -> bool:
    """Store the right bytes again under the same key, locked as before. False when they are nowhere."""
    with tempfile.TemporaryDirectory(prefix="sohoa-restore-") as folder:
        path = Path(folder) / "object"
        source = _find(records, objects, row, path)
        if source is None:
            return False
        until = max(row.locked_until, clock() + timedelta(days=1))
        stored = objects.put_version(
            Bucket.RECORDS, row.object_key, path, content_type=TYPES[row.kind], lock_until=until
        )
    with records.session() as session:
        known = locked(session, ArchivedObject, row.id)
        known.version, known.checked_at, known.intact = stored.version, clock(), True
        session.add(known)
        document = session.get_one(Document, row.document_id)
        if document.record_key == row.object_key:
            document.record_version = stored.version
            session.add(document)
        incident = raise_incident(
            session, code=DAMAGED, dossier_id=document.dossier_id, document_id=document.id, rule="LU06"
        )
        close_incident(session, incident, actor="system", details={"restored_from": source, "object": row.id})
    return True


def _find(records: RecordsDatabase, objects: ObjectStore, row: ArchivedObject, path: Path) -> str | None:
    """The right bytes into `path`; where they were found."""
    for source, stored in _places(records, row):
        try:
            objects.download(stored.bucket, stored.key, path, version=stored.version, sha256=stored.sha256)
        except (ObjectMissing, IntegrityError, ObjectStoreUnavailable):
            continue
        if path.stat().st_size > row.size:
            with path.open("r+b") as stream:
                stream.truncate(row.size)
        if digest(path)[0] == row.sha256:
            return source
    return None


def _places(records: RecordsDatabase, row: ArchivedObject) -> Iterator[tuple[str, StoredObject]]:
    """Where the bytes may be. Each place with the hash that it must have: other versions are looked through by it."""

    def place(bucket: Bucket, key: str) -> StoredObject:
        return StoredObject(bucket, key, "", row.sha256, row.size)

    yield "VERSION", place(Bucket.RECORDS, row.object_key)
    with records.session() as session:
        document = session.get_one(Document, row.document_id)
        names = {RECORD: "agency.pdf"}
        working = document_key(document.dossier_id, document.id, row.attempt, names.get(row.kind, row.kind))
        scan = session.exec(
            select(Scan).where(col(Scan.document_id) == document.id, col(Scan.attempt) == row.attempt)
        ).first()
        later = session.exec(
            select(ArchivedObject).where(
                col(ArchivedObject.document_id) == row.document_id,
                col(ArchivedObject.attempt) == row.attempt,
                col(ArchivedObject.kind) == row.kind,
                col(ArchivedObject.number) > row.number,
            )
        ).all()
    if row.number == 0:
        yield "WORKING", place(Bucket.WORKING, working)
    if row.kind == ORIGINAL and scan is not None:
        yield "INTAKE", place(Bucket.INTAKE, scan.object_key)
    if row.kind == RECORD:  # a renewed PDF begins with the one that it renews
        for item in later:
            yield "RENEWAL", StoredObject(Bucket.RECORDS, item.object_key, item.version, item.sha256, item.size)


# -- renewal ------------------------------------------------------------------------------------------------------
def renew_proof(records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, trust: Trust) -> RenewalReport:
    """One more archive time-stamp on the record and on the signature of its data, as new locked objects. Idempotent.

    Raises SignatureInvalid (with an incident) when the last proof is not valid any more, TimestampUnavailable and
    RevocationUnavailable (retry), the errors of the store.
    """
    report = RenewalReport(document_id=document_id)
    for kind in (RECORD, MANIFEST_SIGNATURE):
        row = _newest(records, document_id, kind)
        if row is None or row.renew_before is None:
            continue
        if row.renew_before < clock() + timedelta(days=PreservationSettings().renewal_days):
            try:
                row = _renewed(records, objects, row, trust)
            except SohoaError as error:
                if error.remedy.value != "RETRY":
                    _failed(records, row, error)
                raise
            report.renewed.append(kind)
        report.renew_before = min(filter(None, (report.renew_before, row.renew_before)), default=None)
    return report


def _newest(records: RecordsDatabase, document_id: DocumentId, kind: str) -> ArchivedObject | None:
    query = (
        select(ArchivedObject)
        .where(col(ArchivedObject.document_id) == document_id, col(ArchivedObject.kind) == kind)
        .order_by(col(ArchivedObject.attempt).desc(), col(ArchivedObject.number).desc())
    )
    with records.session() as session:
        row = session.exec(query).first()
        if row is not None:
            session.expunge(row)
        return row


def _failed(records: RecordsDatabase, row: ArchivedObject, error: SohoaError) -> None:
    with records.session() as session:
        document = session.get_one(Document, row.document_id)
        raise_incident(
            session, code=UNRENEWABLE, dossier_id=document.dossier_id, document_id=document.id, rule="LU06",
            details={"kind": row.kind, "number": row.number, "error": error.code},
        )  # fmt: skip


def _renewed(records: RecordsDatabase, objects: ObjectStore, row: ArchivedObject, trust: Trust) -> ArchivedObject:
    number = row.number + 1
    stem, _, suffix = row.kind.rpartition(".")
    key = f"{row.object_key.rpartition('/')[0]}/{stem}.r{number:04d}.{suffix}"
    with tempfile.TemporaryDirectory(prefix="sohoa-renew-") as folder:
        path = Path(folder) / row.kind
        objects.download(Bucket.RECORDS, row.object_key, path, version=row.version, sha256=row.sha256)
        data = _manifest(records, objects, row) if row.kind == MANIFEST_SIGNATURE else None
        stored = None
        if not objects.exists(Bucket.RECORDS, key):
            _require(path, data, trust)
            if data is None:
                run(renew(path, trust))
            else:
                path.write_bytes(run(cades.archive(cms.ContentInfo.load(path.read_bytes()), data, trust)).dump())
            verdict = _require(path, data, trust)
            until = row.locked_until
            with suppress(ObjectConflict):  # another run was faster
                stored = objects.put_once(Bucket.RECORDS, key, path, content_type=TYPES[row.kind], lock_until=until)
        if stored is None:  # what lies there must be a renewal of this very proof
            proof = objects.read(Bucket.RECORDS, row.object_key, version=row.version, sha256=row.sha256)
            stored = objects.download_unproven(Bucket.RECORDS, key, path)
            if not _continues(proof, path.read_bytes(), pdf=data is None):
                raise ForeignFile()
            verdict = _require(path, data, trust)
    return _note_renewed(records, row, stored, verdict, number)


def _continues(before: bytes, after: bytes, *, pdf: bool) -> bool:
    """A renewed PDF begins with the one that it renews; a renewed CMS has the same signature, with more beside it."""
    if pdf:
        return after.startswith(before)
    old, new = (cms.ContentInfo.load(data)["content"]["signer_infos"] for data in (before, after))
    return len(old) == len(new) == 1 and old[0]["signature"].native == new[0]["signature"].native


def _manifest(records: RecordsDatabase, objects: ObjectStore, row: ArchivedObject) -> bytes:
    manifest = _newest(records, row.document_id, MANIFEST)
    assert manifest is not None
    return objects.read(Bucket.RECORDS, manifest.object_key, version=manifest.version, sha256=manifest.sha256)


def _require(path: Path, data: bytes | None, trust: Trust) -> Verdict:
    verdict = verify_pdf(path, trust) if data is None else verify_manifest(data, path, trust)
    if not verdict.valid:
        raise SignatureInvalid()
    return verdict


def _note_renewed(
    records: RecordsDatabase, old: ArchivedObject, stored: StoredObject, verdict: Verdict, number: int
) -> ArchivedObject:
    with records.session() as session:
        document = locked(session, Document, old.document_id)
        known = session.exec(
            select(ArchivedObject).where(
                col(ArchivedObject.document_id) == old.document_id,
                col(ArchivedObject.attempt) == old.attempt,
                col(ArchivedObject.kind) == old.kind,
                col(ArchivedObject.number) == number,
            )
        ).first()
        if known is None:
            known = note_archived(session, document, stored, old.locked_until, verdict.renew_before, number)
            before = session.get_one(ArchivedObject, old.id)
            before.renew_before = None  # the new one is renewed from now on
            session.add(before)
            if old.kind == RECORD:
                document.record_key, document.record_version = stored.key, stored.version
                document.record_sha256 = stored.sha256
                session.add(document)
            audit(
                session, actor="system", action="renew", dossier_id=document.dossier_id, document_id=document.id,
                rule="LU06", details={"kind": old.kind, "number": number, "sha256": stored.sha256,
                                      "version": stored.version, "revisions": verdict.revisions},
            )  # fmt: skip
        session.flush()
        session.expunge(known)
        return known


def extend_locks(records: RecordsDatabase, objects: ObjectStore) -> int:
    """A lock needs a date: one "for ever" is set anew while half of it is left. Returns how many."""
    limit = clock() + timedelta(days=365 * FOREVER_YEARS // 2)
    until = clock() + timedelta(days=365 * FOREVER_YEARS)

    def extend(object_id: UUID) -> None:
        with records.session() as session:
            row = locked(session, ArchivedObject, object_id)
            objects.extend_lock(Bucket.RECORDS, row.object_key, row.version, until)
            row.locked_until = until
            session.add(row)

    return len(one_by_one(_short_locks(records, limit), extend))


def _short_locks(records: RecordsDatabase, limit: datetime) -> list[UUID]:
    if not in_production():
        return []  # there locks are short on purpose
    query = (
        select(ArchivedObject.id)
        .join(Document, col(Document.id) == ArchivedObject.document_id)
        .where(col(Document.retain_until).is_(None), col(ArchivedObject.locked_until) < limit)
    )
    with records.session() as session:
        return list(session.exec(query).all())


# -- tasks --------------------------------------------------------------------------------------------------------


def report_preservation(
    records: RecordsDatabase, checks: list[FixityReport], renewed: list[UUID], failed: list[UUID], locks: int
) -> str:
    """One table for operations: counts and ids, no personal data (Markdown). The trail keeps the counts, too."""
    damaged = [item for report in checks for item in report.damaged]
    restored = [item for report in checks for item in report.restored]
    rows = [
        ("Bản lưu đã kiểm tra", sum(report.checked for report in checks)),
        ("Bản lưu bị hỏng", len(damaged)),
        ("Bản lưu chưa xem được", sum(len(report.unread) for report in checks)),
        ("Đã khôi phục", len(restored)),
        ("Hồ sơ đã gia hạn dấu thời gian", len(renewed)),
        ("Gia hạn không thành công", len(failed)),
        ("Khóa lưu trữ được kéo dài", locks),
    ]
    table = "\n".join(["| Nội dung | Số lượng |", "|---|---|", *(f"| {name} | {count} |" for name, count in rows)])
    lost = [item for item in damaged if item not in restored]
    for title, ids in (("Chưa khôi phục được", lost), ("Gia hạn không thành công", failed)):
        if ids:
            table += f"\n\n**{title}:**\n" + "\n".join(f"- `{item}`" for item in ids)
    with records.session() as session:
        _audit_run(session, checks, renewed, failed)
    return table


def _audit_run(session: Session, checks: list[FixityReport], renewed: list[UUID], failed: list[UUID]) -> None:
    counts = {
        "checked": sum(report.checked for report in checks),
        "damaged": sum(len(report.damaged) for report in checks),
        "unread": sum(len(report.unread) for report in checks),
        "restored": sum(len(report.restored) for report in checks),
        "renewed": len(renewed),
        "failed": len(failed),
    }
    audit(session, actor="system", action="preservation", rule="LU06", details=counts)
