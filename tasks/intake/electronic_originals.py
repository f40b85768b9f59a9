"""Bản điện tử có chữ ký số được nộp (QĐ 1333, Điều 4.1, 5.1; SC05, SC10; NĐ 45/2020): examined, then kept as it is.

A component that is ONE signed PDF is an electronic original or electronic copy, no scan of a paper. Its signatures are
validated before reception (integrity, chain, revocation, time; each must be valid, and nothing but validation data may
follow the last). Valid: it is out of scope of digitisation, neither copied nor signed anew; its bytes are locked with
the record. Not valid, or an electronic copy without any signature: the component is refused (SC05), and the dossier
waits for a supplement like any other. A signed PDF in any other place is refused by capture (PDF_SIGNED).

When the case has succeeded the agency signs a manifest that names the file's hash and the verdict: its archive
time-stamp proves what the signatures were worth then, long after their own certificates have ended.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, select

from blocks.catalog import Catalog
from blocks.catalog.models import PaperOwner
from blocks.clock import vietnam_day
from blocks.errors import Problem, Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore, StoredObject, digest, file_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import attempt_entry, documents, get_document, get_dossier, locked
from blocks.records.states import DocumentState, ElectronicOriginal, Form
from blocks.records.tables import AuditEntry, Document, Scan, now
from blocks.settings.sections import PreservationSettings
from blocks.signer import agency_signer
from blocks.trust import Trust
from tasks.archive.store import (
    ORIGINAL,
    legally_usable,
    lock_until,
    note_archived,
    retention_of,
    store_locked,
)
from tasks.capture.errors import ScanError
from tasks.capture.facts import MAX_FILE_BYTES, MAX_PAGES
from tasks.capture.guard import inspect_electronic_guarded
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE, VERSION, canonical
from tasks.signing.report import REPORT_TYPES
from tasks.signing.sandbox import verify_untrusted
from tasks.signing.sign import require_succeeded, sign_data
from tasks.signing.verify_model import SignatureVerdict, Verdict
from tasks.signing.verify_words import ASKS, reason, told_changes

COPIES = {Form.E_COPY_REGISTER, Form.E_COPY_CERTIFIED}  # must be signed by the agency that issued or certified them
FORMS = COPIES | {Form.ORIGINAL}  # a photo of a paper, or a paper copy, is none
MARK = b"/ByteRange"  # stands in clear in every signed PDF: what it gives the place of is left out of the signature
VERIFICATION = "verification.json"
WHY = {  # where a signature's own words (tasks/signing/verify_words.py) would not do
    "PDF_ENCRYPTED": "tệp đặt mật khẩu hoặc bị khóa quyền",
    "IMAGE_BOMB": f"tệp quá lớn: hơn {MAX_PAGES} trang, quá nhiều đối tượng hoặc ảnh quá lớn",
    "FILE_TOO_LARGE": f"tệp quá lớn: hơn {MAX_FILE_BYTES // 1_000_000} MB",
    "FILE_EMPTY": "tệp rỗng",
    "FILE_TYPE": "tệp không phải PDF",
    "PDF_ZERO_PAGES": "tệp không có trang nào",
    "PDF_ACTIVE_CONTENT": "tệp chứa mã lệnh hoặc biểu mẫu động",
    "PDF_ATTACHMENTS": "tệp có tệp đính kèm bên trong",
    "PDF_VERSION": "phiên bản PDF thấp hơn 1.4",
    "PDF_TOO_LARGE": f"tệp quá lớn: hơn {MAX_PAGES} trang hoặc quá nhiều đối tượng bên trong",
    "END": "có nội dung khác được nối vào cuối tệp",
    "AGENCY": "chưa có chữ ký số của cơ quan",
    "NOT_ISSUER": (
        "người ký không phải cơ quan, đơn vị được cấp loại giấy tờ này, hoặc cơ quan đó chưa có trong danh mục"
    ),
    "ARCHIVE_STAMP": "thiếu dấu thời gian lưu trữ của cơ quan",
}


class OriginalRefused(SohoaError):
    """A signed PDF whose signatures are not valid, or that may not be opened (SC05)."""

    code, rule, remedy = "ELECTRONIC_INVALID", "SC05", Remedy.OFFICER
    message = (
        "Bản điện tử của thành phần {component} không hợp lệ: {reason}; "
        "vui lòng đề nghị nộp bản điện tử khác hoặc nộp bản giấy."
    )


class OriginalUnsigned(SohoaError):
    """Declared as an electronic copy from the register or certified, but nobody signed it (SC05)."""

    code, rule, remedy = "ELECTRONIC_UNSIGNED", "SC05", Remedy.OFFICER
    message = (
        "Bản sao điện tử của thành phần {component} không có chữ ký số; "
        "vui lòng đề nghị nộp tệp có chữ ký số của cơ quan cấp bản sao hoặc nộp bản giấy."
    )


class OriginalReport(BaseModel):
    """What was found about one component; no personal data. code: OK, or why it is refused."""

    document_id: DocumentId
    ordinal: int
    found: ElectronicOriginal
    code: str
    signatures: int = 0
    test: bool = False


def examine_originals(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, dossier_id: DossierId
) -> list[OriginalReport]:
    """Validate every component that is a signed PDF; the verdict stands in `electronic_original`. Idempotent.

    Examines the files of the current declaration. Papers that may not be opened (secret, only shown) and those
    shared as data are not. Raises RevocationUnavailable (retry), IntegrityError, the errors of the stores.
    """
    with records.session() as session:
        waiting = [
            (document, scans[0])
            for document in documents(session, dossier_id, [DocumentState.KHAI_BAO])
            if document.form in FORMS and not (document.secret or document.show_only or document.shared_as_data)
            if _outcome(session, document) is None
            if len(scans := _scans(session, document)) == 1 and scans[0].object_key
        ]
        session.expunge_all()
    found = [_examine(records, objects, catalog, document, scan) for document, scan in waiting]
    return [report for report in found if report is not None]


def _scans(session: Session, document: Document) -> list[Scan]:
    return list(session.exec(select(Scan).where(Scan.document_id == document.id, Scan.attempt == document.attempt)))


def _outcome(session: Session, document: Document) -> AuditEntry | None:
    """What was found about the current file, from the audit trail."""
    return attempt_entry(session, document.id, "examine_original", document.attempt)


def _examine(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, document: Document, scan: Scan
) -> OriginalReport | None:
    """None: no electronic original, a scan like others."""
    with tempfile.TemporaryDirectory(prefix="sohoa-original-") as folder:
        path = Path(folder) / ORIGINAL
        objects.download(Bucket.INTAKE, scan.object_key, path, version=scan.version, sha256=scan.sha256)
        if not _bears_mark(path):
            if document.form not in COPIES:
                return None
            return _note(records, objects, document, None, "NOT_SIGNED", 0)
        verdict, code, pages = _verdict(path)
    if verdict is not None and code == "NOT_SIGNED" and document.form not in COPIES:
        return None  # the mark stood in its text
    if verdict is not None and code == "OK" and not _issued_by_its_signer(catalog, document, verdict):
        code = "NOT_ISSUER"
    return _note(records, objects, document, verdict, code, pages)


def _issued_by_its_signer(catalog: Catalog, document: Document, verdict: Verdict) -> bool:
    """Whether one of those who signed may issue such a paper (Điều 4.1): a valid signature alone says only who.

    A paper without issuer is made by who hands it in, a paper of employers by any organisation; what is declared as a
    copy, and everything else, by a body on the list, on the day of its signature.
    """
    made_by = [(item, vietnam_day(item.signed_at or now())) for item in verdict.signatures]
    if document.form not in COPIES:
        kind = catalog.document_type(document.type_code, vietnam_day(now()))
        if not kind.issuer:
            return True
        if kind.owner is PaperOwner.ORGANISATION and not kind.prior_result:
            return any(item.organisation for item, _ in made_by)
    return any(catalog.issues(item.organisation, document.type_code, day) for item, day in made_by)


def _bears_mark(path: Path) -> bool:
    """A PDF with the mark of a signature. Whether there is one is the verifier's matter."""
    with path.open("rb") as stream:
        if stream.read(5) != b"%PDF-":
            return False
        seen = b""
        while piece := stream.read(1 << 20):
            if MARK in (seen := seen[-len(MARK) :] + piece):
                return True
    return False


def _verdict(path: Path) -> tuple[Verdict | None, str, int]:
    """(verdict, code, pages): OK, or the first thing that is wrong. Both readers run in processes with limits."""
    try:
        pages = inspect_electronic_guarded(path)
    except ScanError as error:
        return None, error.code, 0
    verdict = verify_untrusted(path, stamped=False)  # most agencies' signatures have none yet
    if not verdict.valid:
        wrong = [item.code for item in verdict.signatures if not item.valid]
        return verdict, wrong[0] if wrong else verdict.code, pages
    if verdict.missing:
        return verdict, verdict.missing[0], pages
    newest = max(verdict.signatures, key=lambda item: item.revision or 0)
    return verdict, "OK" if newest.modification in {"NONE", "LTA_UPDATES"} else "CHANGED", pages


def _note(
    records: RecordsDatabase, objects: ObjectStore, document: Document, verdict: Verdict | None, code: str, pages: int
) -> OriginalReport:
    """Verdict in the records and in the audit trail; the whole of it, which names the signers, beside the file."""
    found = ElectronicOriginal.VALID if code == "OK" else ElectronicOriginal.INVALID
    found = ElectronicOriginal.UNSIGNED if code == "NOT_SIGNED" else found
    kept: dict[str, str] = {}  # where the whole verdict lies; a rerun, at another time, makes another
    if verdict is not None:
        data = verdict.model_dump_json().encode()
        key = file_key(document, f"{digest(data)[0][:16]}-{VERIFICATION}")
        put = objects.put_once(Bucket.WORKING, key, data, content_type=REPORT_TYPES[VERIFICATION])
        kept = {"key": put.key, "version": put.version, "sha256": put.sha256}
    signatures = verdict.signatures if verdict else []
    report = OriginalReport(
        document_id=document.id,
        ordinal=document.ordinal,
        found=found,
        code=code,
        signatures=len(signatures),
        test=any(item.test for item in signatures),
    )
    with records.session() as session:
        row = locked(session, Document, document.id, key_share=True)
        if row.attempt != document.attempt or _outcome(session, row) is not None:
            return report
        row.electronic_original = found
        row.page_count = pages or None
        session.add(row)
        details: dict[str, Any] = {
            "attempt": row.attempt,
            "verdict": found,
            "code": code,
            "sha256": verdict.sha256 if verdict else None,
            "signatures": [
                item.model_dump(include={"code", "level", "test", "changes", "stamp"}) for item in signatures
            ],
            "revisions": verdict.revisions if verdict else [],
            "kept": kept,
        }
        audit(
            session,
            actor="system",
            action="examine_original",
            dossier_id=row.dossier_id,
            document_id=row.id,
            rule="SC05",
            details=details,
        )
    return report


def original_problems(session: Session, document: Document) -> list[Problem]:
    """What keeps a component from being received because of its signatures (SC05); [] when nothing does."""
    if document.electronic_original == ElectronicOriginal.UNSIGNED:
        return [OriginalUnsigned(component=document.ordinal).problem(component=document.ordinal)]
    entry = _outcome(session, document)
    if document.electronic_original != ElectronicOriginal.INVALID or entry is None:
        return []
    why = _why(str(entry.details["code"]), entry.details["signatures"])
    return [OriginalRefused(component=document.ordinal, reason=why).problem(component=document.ordinal)]


def _why(code: str, signatures: list[dict[str, Any]]) -> str:
    """In words: which signature, what is wrong with it, what came after it, what the sender can do."""
    numbered = list(enumerate(signatures, 1))
    meant = [(number, item) for number, item in numbered if item["code"] == code]
    if code == "CHANGED" and not meant:  # each is valid by itself
        meant = [(number, item) for number, item in numbered if item.get("changes")][-1:]
    why = WHY.get(code) or reason(code)
    if not meant:
        return why
    number, item = meant[0]
    which = f"chữ ký số thứ {number} trong {len(signatures)}: " if len(signatures) > 1 else ""
    ask = f"; {ASKS[code]}" if code in ASKS else ""
    return f"{which}{why}{told_changes(item.get('changes', []))}{ask}"


def signers_of(objects: ObjectStore, session: Session, document: Document) -> list[SignatureVerdict]:
    """Who signed an electronic original, for the officer who looks at it; [] where nothing is known (any more).

    Raises IntegrityError for a report that isn't the one that was kept.
    """
    entry = _outcome(session, document)
    kept = entry.details.get("kept") if entry else None
    if not kept:
        return []
    data = objects.read(Bucket.WORKING, kept["key"], version=kept["version"], sha256=kept["sha256"])
    return Verdict.model_validate_json(data).signatures


def scan_of(session: Session, document: Document) -> Scan | None:
    """The file of an electronic original as it was handed in."""
    found = _scans(session, document)
    return found[0] if document.electronic_original == ElectronicOriginal.VALID and len(found) == 1 else None


def awaits_storage(document: Document) -> bool:
    """A valid electronic original that is not locked away yet (KQ03)."""
    valid = document.electronic_original == ElectronicOriginal.VALID
    return valid and document.state is DocumentState.TAI_SU_DUNG and document.record_key is None


class OriginalsStored(BaseModel):
    """How many electronic originals the dossier has under lock."""

    stored: int


def store_originals(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, dossier_id: DossierId, trust: Trust, actor: str
) -> OriginalsStored:
    """Lock the originals away, byte for byte, with the agency's signed manifest of what was found (LU06). Idempotent.

    Raises AgencyNotAllowed unless the case has succeeded (EX17), the errors of signing and of the stores.
    """
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        waiting = [document for document in documents(session, dossier_id) if awaits_storage(document)]
        if waiting:
            require_succeeded(dossier)
        ids = [document.id for document in waiting]
    for document_id in ids:
        _store(records, objects, catalog, document_id, trust, actor)
    with records.session() as session:
        kept = [d for d in documents(session, dossier_id) if d.electronic_original == ElectronicOriginal.VALID]
        return OriginalsStored(stored=sum(document.record_key is not None for document in kept))


def _store(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, document_id: DocumentId, trust: Trust, actor: str
) -> None:
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        (scan,), entry = _scans(session, document), _outcome(session, document)
        assert entry is not None
        retention = retention_of(session, catalog, document)
        found = dict(entry.details)
        signer = agency_signer()
        data = canonical(
            {
                "version": VERSION,
                "test": signer.test,
                "dossier": {"id": str(dossier.id), "code": dossier.code, "procedure": dossier.procedure_code},
                "document": {
                    "id": str(document.id),
                    "ordinal": document.ordinal,
                    "type_code": document.type_code,
                    "form": document.form.value,
                    "pages": document.page_count,
                },
                "pdf": {"sha256": scan.sha256},
                "original": {"verdict": found["verdict"], "signatures": found["signatures"], "examined_at": entry.at},
            }
        )
        session.expunge_all()
    manifest, token, signed = sign_data(objects, document, data, scan.sha256, signer, trust)
    until = lock_until(retention, signed.signatures[0].signed_at or now(), PreservationSettings(), vietnam_day(now()))
    came = StoredObject(Bucket.INTAKE, scan.object_key, scan.version, scan.sha256, scan.size)
    verdict = StoredObject(Bucket.WORKING, **found["kept"], size=0)
    original = store_locked(objects, document, came, ORIGINAL, "application/pdf", until)
    locked_manifest = store_locked(objects, document, manifest, MANIFEST, "application/json", until)
    locked_token = store_locked(objects, document, token, MANIFEST_SIGNATURE, "application/pkcs7-signature", until)
    locked_verdict = store_locked(objects, document, verdict, VERIFICATION, REPORT_TYPES[VERIFICATION], until)
    with records.session() as session:
        row = locked(session, Document, document_id, key_share=True)
        if row.record_key is not None:
            return
        row.record_key, row.record_version = original.key, original.version
        row.record_sha256 = original.sha256
        row.manifest_key, row.manifest_version = locked_manifest.key, locked_manifest.version
        row.manifest_sha256 = locked_manifest.sha256
        row.retention_class, row.retain_until = retention.code, None if retention.years is None else until
        lawful = not signer.test and not any(item["test"] for item in found["signatures"])
        row.legally_valid = legally_usable(agency_signed=True, stored=True, legally_valid=lawful)
        session.add(row)
        for item in (original, locked_manifest, locked_token, locked_verdict):
            note_archived(session, row, item, until, signed.renew_before if item is locked_token else None)
        audit(
            session,
            actor=actor,
            action="store_original",
            dossier_id=row.dossier_id,
            document_id=row.id,
            rule="SC05",
            details={
                "sha256": original.sha256,
                "version": original.version,
                "manifest_sha256": signed.sha256,
                "retention": retention.code,
                "locked_until": until.isoformat(),
            },
        )
