"""Gia hạn dấu thời gian của bản lưu (QĐ 1333, Điều 11.5; LU06): proofs are renewed before they end.

A record gets one more archive time-stamp before the certificate of the last one ends. The renewed file is a new locked
object beside the old one; what was signed is never changed. Each step is idempotent: a run that was stopped goes on
where it was.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from asn1crypto import cms
from pydantic import BaseModel
from sqlmodel import col, select

from blocks.errors import ObjectConflict, SohoaError
from blocks.ids import DocumentId
from blocks.objects import (
    Bucket,
    ObjectStore,
    StoredObject,
)
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.queries import locked
from blocks.records.tables import ArchivedObject, Document
from blocks.settings.sections import PreservationSettings
from blocks.trust import Trust, clock, run
from tasks.archive.fixity import TYPES, being_destroyed
from tasks.archive.store import RECORD, note_archived
from tasks.signing import cades
from tasks.signing.errors import ForeignFile, SignatureInvalid
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE
from tasks.signing.pdf import renew
from tasks.signing.verify import Verdict, verify_manifest, verify_pdf

UNRENEWABLE = "RENEWAL_FAILED"


class RenewalReport(BaseModel):
    document_id: DocumentId
    renewed: list[str] = []  # kinds
    renew_before: datetime | None = None


def documents_to_renew(records: RecordsDatabase, limit: int, settings: PreservationSettings) -> list[UUID]:
    """Documents whose newest time-stamp ends within `renewal_days`; most urgent first."""
    before = clock() + timedelta(days=settings.renewal_days)
    query = select(ArchivedObject.document_id, ArchivedObject.renew_before).where(
        col(ArchivedObject.renew_before) < before, ~being_destroyed()
    )
    with records.session() as session:
        rows = session.exec(query.order_by(col(ArchivedObject.renew_before))).all()
    return list(dict.fromkeys(document for document, _ in rows))[:limit]


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
