"""Kiểm tra tính toàn vẹn của bản lưu (QĐ 1333, Điều 11.5; LU06): stored bytes are read again, damage is restored.

Every object is read again after `fixity_days` and compared with the hash that was recorded when it was signed. One that
differs, is gone, or is hidden by another version raises an incident and is restored from wherever the same bytes lie:
another version, the working copy, or a renewal (which begins with the file that it renews).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement
from sqlmodel import col, select

from blocks.errors import IntegrityError
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
from blocks.records.database import RecordsUnavailable
from blocks.records.incidents import close_incident, raise_incident
from blocks.records.queries import locked
from blocks.records.tables import ArchivedObject, Disposal, Document, Scan
from blocks.settings.sections import PreservationSettings
from blocks.trust import clock
from tasks.archive.store import ORIGINAL, RECORD
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE
from tasks.signing.report import REPORT_TYPES

TYPES = {
    RECORD: "application/pdf",
    ORIGINAL: "application/pdf",
    MANIFEST: "application/json",
    MANIFEST_SIGNATURE: "application/pkcs7-signature",
    **REPORT_TYPES,
}
DAMAGED = "ARCHIVED_OBJECT_DAMAGED"
logger = logging.getLogger(__name__)


class FixityReport(BaseModel):
    """What a look at some objects found; ids only."""

    checked: int = 0
    damaged: list[UUID] = []
    restored: list[UUID] = []
    unread: list[UUID] = []  # rows of objects whose look failed; the others were looked at


def objects_to_check(records: RecordsDatabase, limit: int, settings: PreservationSettings) -> list[UUID]:
    """Objects that were not looked at for `fixity_days`, or were damaged at the last look; longest first."""
    before = clock() - timedelta(days=settings.fixity_days)
    query = (
        select(ArchivedObject.id)
        .where((col(ArchivedObject.checked_at) < before) | ~col(ArchivedObject.intact), ~being_destroyed())
        .order_by(col(ArchivedObject.checked_at))
        .limit(limit)
    )
    with records.session() as session:
        return list(session.exec(query).all())


def being_destroyed() -> ColumnElement[bool]:
    """Being destroyed, or destroyed, by order of two persons (tasks/archive/destruction.py)."""
    return (
        select(Disposal.document_id)
        .where(Disposal.document_id == ArchivedObject.document_id, Disposal.destroyed_by != "")
        .exists()
    )


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
