"""Lưu kết quả số hóa (QĐ 1333, Điều 11; LU01–LU03, LU06): locked storage, the owner's repository, the way out.

A record is three objects in RECORDS: ``record.pdf`` (signed by officer and agency), ``manifest.json`` (the extracted
data, exact bytes) and ``manifest.p7s``, each under object lock COMPLIANCE until the end of its retention. Written once
under keys of ids; what a crash left half done is found and finished by the next run.

In a ``test`` environment the lock is short, so that test data die: SOHOA_RETENTION_OVERRIDE_DAYS (default 1 there).
Anywhere else that variable is refused.
"""

from __future__ import annotations

import re
import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog import FOREVER, Catalog, Retention, TypeUnknown
from blocks.clock import VIET_NAM, vietnam_day
from blocks.errors import InvalidTransition, Remedy, SohoaError
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, StoredObject, file_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.named import insert_once, naming
from blocks.records.queries import get_document, get_dossier, locked
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import ArchivedObject, Document, Outbox, RepositoryEntry, Signature, now
from blocks.settings import in_production
from blocks.settings.sections import PreservationSettings
from blocks.signer import agency_signer
from blocks.trust import Trust
from tasks.scope.decide import case_date
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE
from tasks.signing.report import REPORT_TYPES
from tasks.signing.verify import verify_record_again

STORED = {DocumentState.DA_LUU, DocumentState.HIEN_THI_KHO, DocumentState.DA_LUU_CHUA_DINH_DANH}
FOREVER_YEARS = 100  # object lock needs a date: a lock "for ever" is renewed by the preservation run
NATIONAL_PORTAL = "national-portal"  # topic of the outbox (B4f)
OWNER_ID = re.compile(r"[0-9A-Z.]{1,35}")  # QĐ 20/2020; a personal id is 12 digits
RECORD = "record.pdf"
ORIGINAL = "original.pdf"  # an electronic original, byte for byte (SC05)
ORIGINAL_NAME = re.compile(r"\.r\d{4}(?=\.)")  # the mark of a renewal in an object's name


class NotAgencySigned(SohoaError):
    """A document would be stored as a record without valid signatures of the agency (EX17, LU03)."""

    code, rule = "NOT_AGENCY_SIGNED", "EX17"
    message = "Thành phần {component} chưa có đủ chữ ký số cơ quan hợp lệ nên chưa thể lưu; vui lòng ký số trước."
    remedy = Remedy.OFFICER


class RetentionOverrideRefused(SohoaError):
    """A shortened lock outside a test environment (LU06)."""

    code, rule = "RETENTION_OVERRIDE", "LU06"
    message = "Không được rút ngắn thời hạn lưu trữ ngoài môi trường thử; vui lòng bỏ SOHOA_RETENTION_OVERRIDE_DAYS."
    remedy = Remedy.ADMINISTRATOR


class OwnerConflict(SohoaError):
    """The document stands in another owner's repository already (LU02)."""

    code, rule = "OWNER_CONFLICT", "LU02"
    message = "Giấy tờ đã được hiển thị trong kho của chủ thể khác; vui lòng báo quản trị viên kiểm tra."
    remedy = Remedy.OFFICER


class OwnerIdInvalid(SohoaError):
    """Not the form of a personal id or of an organisation's e-identifier."""

    code, rule = "OWNER_ID_INVALID", "LU02"
    message = "Mã định danh không đúng định dạng; vui lòng nhập 12 chữ số của cá nhân hoặc mã định danh của tổ chức."
    remedy = Remedy.OFFICER


class StorageReport(BaseModel):
    """What became of a record; ids and versions only."""

    document_id: DocumentId
    state: DocumentState
    record_version: str = ""
    retention_class: str = ""
    retain_until: datetime | None = None
    shown: bool = False
    legally_usable: bool = False


def legally_usable(*, agency_signed: bool, stored: bool, legally_valid: bool) -> bool:
    """LU03 (Điều 11.3): extracted data count like the paper only if all three hold.

    legally_valid: the agency's signature validates and was made with real keys; one by test keys never is.
    """
    return agency_signed and stored and legally_valid


def lock_until(retention: Retention, signed_at: datetime, settings: PreservationSettings, today: date) -> datetime:
    """Last second of the lock: 31 December of the year of signing + the class's years [R].

    Counted from 1 January after the case was closed. Raises RetentionOverrideRefused outside ``test``.
    """
    if not in_production():
        days = 1 if settings.retention_override_days is None else settings.retention_override_days
        return _last_second(today + timedelta(days=max(days, 1)))
    if settings.retention_override_days is not None:
        raise RetentionOverrideRefused()
    years = FOREVER_YEARS if retention.years is None else retention.years
    return _last_second(date(vietnam_day(signed_at).year + years, 12, 31))


def _last_second(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), VIET_NAM)


def store_record(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, document_id: DocumentId, actor: str
) -> StorageReport:
    """DA_KY_CO_QUAN → DA_LUU → HIEN_THI_KHO | DA_LUU_CHUA_DINH_DANH. Idempotent, also after a crash in the middle.

    Raises NotAgencySigned, IntegrityError (stored bytes are not the signed ones), InvalidTransition.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        if document.state in STORED and document.record_key:
            return _report(document)
        if document.state is not DocumentState.DA_KY_CO_QUAN:
            raise InvalidTransition(source=document.state.value, target=DocumentState.DA_LUU.value)
        agency, manifest = _signatures(session, document)
        renewals = {RECORD: _renew_before(agency), MANIFEST_SIGNATURE: _renew_before(manifest)}
        retention = retention_of(session, catalog, document)
    until = lock_until(retention, agency.signed_at, PreservationSettings(), vietnam_day(now()))
    assert document.manifest_sha256  # _signatures has looked
    data_key = document.manifest_key or file_key(document, MANIFEST)
    data = StoredObject(Bucket.WORKING, data_key, document.manifest_version, document.manifest_sha256, 0)
    lawful = (
        (_signed(agency), RECORD, "application/pdf"),
        (data, MANIFEST, "application/json"),
        (_signed(manifest), MANIFEST_SIGNATURE, "application/pkcs7-signature"),
    )
    stored = [store_locked(objects, document, *item, until) for item in lawful]
    reports = [
        (StoredObject(Bucket.WORKING, **place, size=0), name, REPORT_TYPES[name])
        for name, place in agency.verdict.get("reports", {}).items()
    ]
    kept = [store_locked(objects, document, *item, until) for item in reports]
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        if document.state is DocumentState.DA_KY_CO_QUAN:
            _note_stored(session, document, stored, retention, until, agency, actor)
            for item in [*stored, *kept]:
                note_archived(session, document, item, until, renewals.get(PurePosixPath(item.key).name))
        if document.state is DocumentState.DA_LUU:
            _show(session, document, document.code_owner or None, actor)
        return _report(document)


def _signed(row: Signature) -> StoredObject:
    return StoredObject(Bucket.WORKING, row.object_key, row.version, row.sha256, 0)


def _signatures(session: Session, document: Document) -> tuple[Signature, Signature]:
    found = session.exec(
        select(Signature).where(col(Signature.document_id) == document.id, col(Signature.attempt) == document.attempt)
    ).all()
    by_role = {signature.role: signature for signature in found if signature.valid}
    agency, manifest = by_role.get(SignatureRole.AGENCY), by_role.get(SignatureRole.MANIFEST)
    if agency is None or manifest is None or not document.manifest_sha256:
        raise NotAgencySigned(component=document.ordinal)
    return agency, manifest


def retention_of(session: Session, catalog: Catalog, document: Document) -> Retention:
    """The class of the paper's type; for ever when the type is not (or no longer) known (LU06)."""
    on = case_date(get_dossier(session, document.dossier_id))
    try:
        code = catalog.document_type(document.type_code, on).retention
    except TypeUnknown:
        code = FOREVER
    return catalog.retention(code, on)


def store_locked(
    objects: ObjectStore,
    document: Document,
    source: StoredObject,
    name: str,
    content_type: str,
    until: datetime,
) -> StoredObject:
    """Copy one file to RECORDS under lock, through a file on disk: records may be hundreds of MB.

    source: as the records name it. Raises IntegrityError, ObjectConflict when other bytes are locked under that name.
    """
    with tempfile.TemporaryDirectory(prefix="sohoa-") as folder:
        path = Path(folder) / name
        objects.download(source.bucket, source.key, path, version=source.version, sha256=source.sha256)
        return objects.put_once(
            Bucket.RECORDS, file_key(document, name), path, content_type=content_type, lock_until=until
        )


def _note_stored(
    session: Session,
    document: Document,
    stored: list[StoredObject],
    retention: Retention,
    until: datetime,
    agency: Signature,
    actor: str,
) -> None:
    record, manifest, signature = stored
    document.record_key, document.record_version = record.key, record.version
    document.record_sha256 = record.sha256
    document.manifest_key, document.manifest_version = manifest.key, manifest.version
    document.retention_class = retention.code
    document.retain_until = None if retention.years is None else until  # None: never deleted (LU06)
    document.legally_valid = legally_usable(agency_signed=agency.valid, stored=True, legally_valid=not agency.test)
    session.add(document)
    details = {
        "versions": {RECORD: record.version, MANIFEST: manifest.version, MANIFEST_SIGNATURE: signature.version},
        "sha256": {RECORD: record.sha256, MANIFEST: manifest.sha256, MANIFEST_SIGNATURE: signature.sha256},
        "retention": retention.code,
        "locked_until": until.isoformat(),
        "test": agency.test,
    }
    move_document(session, document, DocumentState.DA_LUU, actor=actor, rule="LU01", details=details)


def _renew_before(signature: Signature) -> datetime | None:
    """When the newest archive time-stamp's certificate ends, as the verdict at signing said."""
    told = signature.verdict.get("renew_before")
    return datetime.fromisoformat(told) if told else None


def note_archived(
    session: Session,
    document: Document,
    stored: StoredObject,
    until: datetime,
    renew_before: datetime | None,
    number: int = 0,
) -> ArchivedObject:
    """The row by which preservation finds an object again. number: 0 as first stored, n after the n-th renewal."""
    row = ArchivedObject(
        document_id=document.id,
        attempt=document.attempt,
        kind=ORIGINAL_NAME.sub("", PurePosixPath(stored.key).name),
        number=number,
        object_key=stored.key,
        version=stored.version,
        sha256=stored.sha256,
        size=stored.size,
        locked_until=until,
        renew_before=renew_before,
    )
    session.add(row)
    return row


def _show(session: Session, document: Document, owner_id: str | None, actor: str) -> None:
    """LU02: with a full id into the owner's repository and out to the portal; without, stored but not shown."""
    if not owner_id:
        move_document(session, document, DocumentState.DA_LUU_CHUA_DINH_DANH, actor=actor, rule="LU02")
        return
    shown = insert_once(session, RepositoryEntry(owner_id=owner_id, document_id=document.id), "document_id")
    payload = {"document": str(document.id), "dossier": str(document.dossier_id)}
    message = enqueue_message(session, NATIONAL_PORTAL, document.id, payload)
    details = naming(shown, message)
    move_document(session, document, DocumentState.HIEN_THI_KHO, actor=actor, rule="LU02", details=details)


def enqueue_message(session: Session, topic: str, key: UUID, payload: dict[str, str]) -> Outbox | None:
    """One message for others, in the transaction of its effect; the same topic and key only once. Ids only (WH04).

    The entry of the effect names what is returned; None: it is there already.
    """
    return insert_once(session, Outbox(topic=topic, dedup_key=str(key), payload=payload), "topic", "dedup_key")


def set_owner_id(records: RecordsDatabase, document_id: DocumentId, owner_id: str, actor: str) -> StorageReport:
    """A late id makes a stored document appear in its owner's repository (LU02). Idempotent.

    The record itself is locked and signed: it, and its code with the empty first part, stay as they are; the id is
    noted as LOOKUP. Raises OwnerIdInvalid, OwnerConflict, InvalidTransition when nothing is stored yet.
    """
    if not OWNER_ID.fullmatch(owner_id):
        raise OwnerIdInvalid()
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        if document.state is DocumentState.HIEN_THI_KHO:
            query = select(RepositoryEntry).where(col(RepositoryEntry.document_id) == document_id)
            if session.exec(query).one().owner_id != owner_id:
                raise OwnerConflict()
            return _report(document)
        if document.state is not DocumentState.DA_LUU_CHUA_DINH_DANH:
            raise InvalidTransition(source=document.state.value, target=DocumentState.HIEN_THI_KHO.value)
        document.owner_id_source = "LOOKUP"
        session.add(document)
        audit(
            session,
            actor=actor,
            action="attach_owner",
            dossier_id=document.dossier_id,
            document_id=document.id,
            rule="LU02",
            details={"owner_id_source": "LOOKUP"},
        )
        _show(session, document, owner_id, actor)
        return _report(document)


def _report(document: Document) -> StorageReport:
    return StorageReport(
        document_id=document.id,
        state=document.state,
        record_version=document.record_version or "",
        retention_class=document.retention_class or "",
        retain_until=document.retain_until,
        shown=document.state is DocumentState.HIEN_THI_KHO,
        legally_usable=document.legally_valid,
    )


def require_signed(records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, trust: Trust) -> None:
    """The files themselves are signed by the agency, whatever the rows say; before they are locked (EX17, LU03).

    A record that is locked already is left alone. Raises NotAgencySigned, the errors of the stores.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        if document.state is not DocumentState.DA_KY_CO_QUAN:
            return
        agency, manifest = _signatures(session, document)
    manifest_key, sha256 = document.manifest_key or file_key(document, MANIFEST), document.manifest_sha256 or ""
    data = objects.read(Bucket.WORKING, manifest_key, version=document.manifest_version, sha256=sha256)
    token = objects.read(Bucket.WORKING, manifest.object_key, version=manifest.version, sha256=manifest.sha256)
    copy = objects.read(Bucket.WORKING, agency.object_key, version=agency.version, sha256=agency.sha256)
    verdict = verify_record_again(data, token, copy, trust)
    signers = {mark.role: mark.signer for mark in verdict.signatures}
    person = SignatureRole.SIGNER if document.is_issued else SignatureRole.OFFICER
    ours = {signers.get(SignatureRole.AGENCY.value), signers.get(SignatureRole.MANIFEST.value)}
    if not verdict.valid or person.value not in signers or ours != {agency_signer().name}:
        raise NotAgencySigned(component=document.ordinal)
