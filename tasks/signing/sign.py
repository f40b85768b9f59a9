"""The three signatures of a document as steps of its way: officer, agency, manifest (Điều 8.1, 9.4).

A file is signed as a copy, verified, and only then stored under a key that is written once: whoever stored first has
signed. A step that finds a stored file from an interrupted run verifies and adopts it, so there are never two
signatures and never none.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import InvalidTransition, ObjectConflict
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, StoredObject, digest, file_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import locked
from blocks.records.states import DocumentState, DossierState, SignatureRole
from blocks.records.tables import AuditEntry, Document, Dossier, FieldValue, Signature
from blocks.signer import Signer, agency_signer, picture, signer_for
from blocks.trust import Trust, run
from tasks.capture.scan_time import LABELS, TimeSource
from tasks.signing import manifest as manifests
from tasks.signing.authorised import require_authorised
from tasks.signing.deferred import SignatureWanted, prepare, sign_deferred
from tasks.signing.errors import (
    AgencyNotAllowed,
    DiskFull,
    ForeignFile,
    NotCaptured,
    SignatureInvalid,
    SignerMissing,
)
from tasks.signing.manifest import MANIFEST, MANIFEST_SIGNATURE
from tasks.signing.pdf import (
    AGENCY_FIELD,
    COPY,
    ISSUED_BY,
    ISSUER_FIELD,
    OFFICER_FIELD,
    SIGNED_BY,
    SIGNER_FIELD,
    officer_fields,
    sign_as_agency,
    sign_as_officer,
    waiting_field,
)
from tasks.signing.report import REPORT_TYPES, etsi_reports
from tasks.signing.verify import (
    SignatureVerdict,
    Verdict,
    prefix_sha256,
    verify_again,
    verify_manifest,
    verify_manifest_again,
    verify_pdf,
)

PDF_TYPE, JSON_TYPE, CMS_TYPE = "application/pdf", "application/json", "application/pkcs7-signature"


class SignatureReport(BaseModel):
    """One signature, without personal data. already: an earlier run had made it. sha256: of the signed file."""

    document_id: DocumentId
    role: SignatureRole
    attempt: int
    object_key: str
    sha256: str
    level: str  # PAdES-B-LT, PAdES-B-LTA, CAdES-B-T
    signed_at: datetime
    test: bool
    valid: bool
    already: bool = False


@dataclass(frozen=True)
class _Work:
    """What a step needs to know, read in one transaction."""

    dossier: Dossier
    document: Document
    done: Signature | None
    captured_at: datetime | None = None
    known: TimeSource = TimeSource.CHECKED  # how that time is known


def sign_capture(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, *, trust: Trust | None = None
) -> SignatureReport:
    """Sign the captured copy with the personal certificate of the officer who captured it (CA01–CA03, CA10).

    DAT_KIEM_TRA → DA_KY_CA_NHAN; stores officer.pdf. Raises InvalidTransition, NotCaptured, NotAuthorised,
    SignerUnknown, CertificateRefused, TimestampUnavailable (retry), SignatureInvalid, ForeignFile,
    the errors of the stores; SignaturePending where the officer confirms on a phone and hasn't yet: call it again,
    however much later.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.OFFICER)
    if work.done:
        return _again(objects, work.done, trust)
    _expect(work.document, DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN)
    captured_at = work.captured_at
    if captured_at is None:
        raise NotCaptured()
    allowed = require_authorised(records, objects, document_id)
    signer, agency = signer_for(work.dossier.captured_by), agency_signer()
    wanted = _capture_wanted(work, signer, agency, captured_at, trust)

    placed: dict[str, object] = {"authorised": allowed}

    def sign(path: Path) -> None:
        if signer.is_deferred:
            made = sign_deferred(records, objects, path, wanted)
        else:
            made = run(sign_as_officer(path, signer, agency, captured_at, trust, known=LABELS[work.known]))
        placed.update(visible=made.visible, moved=list(made.moved), overlapping=list(made.overlapping))

    verdict, stored = _signed_copy(objects, work.document, "officer.pdf", SignatureRole.OFFICER, signer, trust, sign)
    return _record(
        records, work, SignatureRole.OFFICER, stored, verdict, actor=work.dossier.captured_by, rule="CA01",
        target=DocumentState.DA_KY_CA_NHAN, placed=placed,
    )  # fmt: skip


def prepare_capture(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, *, trust: Trust | None = None
) -> None:
    """Note what the officer must confirm on the phone for this paper, unless it is signed. Nobody is asked yet.

    Raises like sign_capture, but for what the service says.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.OFFICER)
    if work.done or objects.exists(Bucket.WORKING, file_key(work.document, "officer.pdf")):
        return
    _expect(work.document, DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN)
    if work.captured_at is None:
        raise NotCaptured()
    require_authorised(records, objects, document_id)
    signer, agency = signer_for(work.dossier.captured_by), agency_signer()
    with _copy(objects, work.document, "officer.pdf") as path:
        wanted = _capture_wanted(work, signer, agency, work.captured_at, trust)
        prepare(records, objects, path, wanted)


def _capture_wanted(
    work: _Work, signer: Signer, agency: Signer, captured_at: datetime, trust: Trust
) -> SignatureWanted:
    known = LABELS[work.known]
    return SignatureWanted(
        work.document,
        signer,
        trust,
        SignatureRole.OFFICER,
        "CA01",
        lambda path, writer: officer_fields(path, writer, signer, agency, captured_at, trust, known),
    )


def sign_agency(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, *, trust: Trust | None = None
) -> SignatureReport:
    """Sign copy or result with the agency's certificate, once the case has succeeded (EX17; Decree 30/2020, Điều 25).

    CHO_KET_QUA → DA_KY_CO_QUAN; stores agency.pdf. Raises AgencyNotAllowed unless the dossier is in KY_CO_QUAN,
    SignerMissing, and the errors of sign_capture.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.AGENCY)
    if work.done:
        return _again(objects, work.done, trust)
    require_succeeded(work.dossier)
    _expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    if work.document.is_issued:
        with records.session() as session:
            if _row(session, work.document, SignatureRole.SIGNER) is None:
                raise SignerMissing()
    signer = agency_signer()
    if not work.document.is_issued and work.document.file_sha256 != _captured_sha256(records, work.document):
        raise ForeignFile()

    filling, seal = (ISSUED_BY, picture("agency")) if work.document.is_issued else (COPY, None)

    def sign(path: Path) -> None:
        run(sign_as_agency(path, signer, datetime.now(UTC), trust, filling=filling, picture=seal))

    verdict, stored = _signed_copy(objects, work.document, "agency.pdf", SignatureRole.AGENCY, signer, trust, sign)
    reports = _keep_reports(objects, work.document, stored, verdict, trust)
    return _record(
        records, work, SignatureRole.AGENCY, stored, verdict, actor="system", rule="EX17",
        target=DocumentState.DA_KY_CO_QUAN, reports=reports,
    )  # fmt: skip


def sign_result(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, officer: str, *, trust: Trust | None = None
) -> SignatureReport:
    """Sign an issued result with the personal certificate of who may sign it, before the agency does (B4e).

    State CHO_KET_QUA, which stays; stores signer.pdf. Raises the errors of sign_agency; SignaturePending where the
    person confirms on a phone and hasn't yet: call it again, however much later.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.SIGNER)
    if work.done:
        return _again(objects, work.done, trust)
    require_succeeded(work.dossier)
    _expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    signer = signer_for(officer)

    def sign(path: Path) -> None:
        if signer.is_deferred:
            sign_deferred(records, objects, path, _result_wanted(work.document, signer, officer, trust))
        else:
            now, hand = datetime.now(UTC), picture(officer)
            run(sign_as_agency(path, signer, now, trust, filling=SIGNED_BY, picture=hand))

    verdict, stored = _signed_copy(objects, work.document, "signer.pdf", SignatureRole.SIGNER, signer, trust, sign)
    return _record(records, work, SignatureRole.SIGNER, stored, verdict, actor=officer, rule="B4e")


def prepare_result(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, officer: str, *, trust: Trust | None = None
) -> None:
    """Note what who signs a result must confirm on the phone, unless it is signed. Nobody is asked yet.

    Raises like sign_result, but for what the service says.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.SIGNER)
    if work.done or objects.exists(Bucket.WORKING, file_key(work.document, "signer.pdf")):
        return
    require_succeeded(work.dossier)
    _expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    signer = signer_for(officer)
    with _copy(objects, work.document, "signer.pdf") as path:
        prepare(records, objects, path, _result_wanted(work.document, signer, officer, trust))


def _result_wanted(document: Document, signer: Signer, officer: str, trust: Trust) -> SignatureWanted:
    """The appearance names no time: it is drawn before the person confirms."""
    return SignatureWanted(
        document,
        signer,
        trust,
        SignatureRole.SIGNER,
        "B4e",
        lambda _, writer: waiting_field(writer, signer, None, trust, filling=SIGNED_BY, picture=picture(officer)),
    )


def sign_manifest(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, *, trust: Trust | None = None
) -> SignatureReport:
    """Sign the extracted data with the agency's certificate: manifest.json and manifest.p7s (EX17).

    After sign_agency (state DA_KY_CO_QUAN, which stays). Raises FieldsUnconfirmed and the errors of sign_agency.
    """
    trust = trust or Trust()
    work = _read(records, document_id, SignatureRole.MANIFEST)
    if work.done:
        return _again(objects, work.done, trust)
    require_succeeded(work.dossier)
    _expect(work.document, DocumentState.DA_KY_CO_QUAN, DocumentState.DA_KY_CO_QUAN)
    signer = agency_signer()
    with records.session() as session:
        rows = session.exec(select(FieldValue).where(FieldValue.document_id == document_id)).all()
    data = manifests.build(work.dossier, work.document, rows, test=signer.test)
    manifest, token, verdict = sign_data(objects, work.document, data, work.document.file_sha256, signer, trust)
    return _record(records, work, SignatureRole.MANIFEST, token, verdict, actor="system", rule="EX17",
                   manifest=manifest)  # fmt: skip


def sign_data(
    objects: ObjectStore, document: Document, data: bytes, pdf_sha256: str | None, signer: Signer, trust: Trust
) -> tuple[StoredObject, StoredObject, Verdict]:
    """Store manifest.json and its detached signature, verified; or adopt the signature that is stored already.

    pdf_sha256: the file that the manifest names. Returns data and signature as they are stored, and the verdict.
    Raises SignatureInvalid when what is stored as signature isn't the one of `signer` over these data.
    """
    json_key, key = file_key(document, MANIFEST), file_key(document, MANIFEST_SIGNATURE)
    manifest = objects.put_once(Bucket.WORKING, json_key, data, content_type=JSON_TYPE)
    if not objects.exists(Bucket.WORKING, key):
        token = run(manifests.sign_detached(data, signer, trust))
        verdict = verify_manifest_again(data, token, trust, pdf_sha256=pdf_sha256)
        require_valid(verdict, SignatureRole.MANIFEST, signer)
        with suppress(ObjectConflict):  # another run was faster: what it stored is the signature
            return manifest, objects.put_once(Bucket.WORKING, key, token, content_type=CMS_TYPE), verdict
    token, stored = objects.unproven(Bucket.WORKING, key)
    verdict = verify_manifest(data, token, trust, pdf_sha256=pdf_sha256)
    require_valid(verdict, SignatureRole.MANIFEST, signer)
    return manifest, stored, verdict


def _keep_reports(
    objects: ObjectStore, document: Document, signed: StoredObject, verdict: Verdict, trust: Trust
) -> dict[str, Any]:
    """Our verdict and the ETSI reports, kept with the record: key, version and hash by name.

    A rerun looks at another time and stores others, under keys with their hash; the records name one of each.
    """
    with tempfile.TemporaryDirectory(prefix="sohoa-report-") as folder:
        path = Path(folder) / "signed.pdf"
        objects.download(Bucket.WORKING, signed.key, path, version=signed.version, sha256=signed.sha256)
        etsi = etsi_reports(path, trust)
    reports = {
        "etsi-officer.xml": (etsi.get(OFFICER_FIELD) or etsi.get(SIGNER_FIELD, "")).encode(),
        "etsi-agency.xml": (etsi.get(AGENCY_FIELD) or etsi.get(ISSUER_FIELD, "")).encode(),
        "verification.json": verdict.model_dump_json().encode(),
    }
    kept = {}
    for name, data in reports.items():
        key = file_key(document, f"{digest(data)[0][:16]}-{name}")
        stored = objects.put_once(Bucket.WORKING, key, data, content_type=REPORT_TYPES[name])
        kept[name] = {"key": stored.key, "version": stored.version, "sha256": stored.sha256}
    return kept


# -- reading ------------------------------------------------------------------------------------------------------


def _read(records: RecordsDatabase, document_id: DocumentId, role: SignatureRole) -> _Work:
    with records.session() as session:
        document = session.exec(select(Document).where(Document.id == document_id)).one()
        dossier = session.exec(select(Dossier).where(Dossier.id == document.dossier_id)).one()
        if document.captured_at:
            known = TimeSource(document.captured_at_source)
            return _Work(dossier, document, _row(session, document, role), document.captured_at, known)
        captured = session.exec(  # of a paper that was captured before the time was kept
            select(AuditEntry.at)
            .where(
                AuditEntry.document_id == document_id,
                AuditEntry.action == "transition",
                AuditEntry.target_state == DocumentState.DA_SAO_CHUP.value,
            )
            .order_by(col(AuditEntry.seq).desc())
            .limit(1)
        ).first()
        return _Work(dossier, document, _row(session, document, role), captured)


def _row(session: Session, document: Document, role: SignatureRole) -> Signature | None:
    query = select(Signature).where(
        Signature.document_id == document.id, Signature.role == role, Signature.attempt == document.attempt
    )
    return session.exec(query).first()


def _expect(document: Document, state: DocumentState, target: DocumentState) -> None:
    if document.state is not state:
        raise InvalidTransition(source=document.state.value, target=target.value)


def _captured_sha256(records: RecordsDatabase, document: Document) -> str | None:
    """The file that the officer signed, which is what leader and clerk saw."""
    with records.session() as session:
        row = _row(session, document, SignatureRole.OFFICER)
        return row.sha256 if row else None


def require_succeeded(dossier: Dossier) -> None:
    if dossier.state is not DossierState.KY_CO_QUAN:
        raise AgencyNotAllowed(state=dossier.state.value)


# -- signing ------------------------------------------------------------------------------------------------------


def _signed_copy(
    objects: ObjectStore,
    document: Document,
    name: str,
    role: SignatureRole,
    signer: Signer,
    trust: Trust,
    sign: Callable[[Path], None],
) -> tuple[Verdict, StoredObject]:
    """Sign a copy of the document's file, verify, store; or adopt what an earlier run stored under that key.

    Nobody vouches for what lies there already: it must be the document's file with this signer's valid signature after
    it. Raises ForeignFile, SignatureInvalid.
    """
    key = file_key(document, name)
    with _copy(objects, document, name) as path:
        size = path.stat().st_size
        if not objects.exists(Bucket.WORKING, key):
            sign(path)
            verdict = verify_again(path, trust)
            require_valid(verdict, role, signer)
            with suppress(ObjectConflict):  # another run was faster: what it stored is the signed file
                return verdict, objects.put_once(Bucket.WORKING, key, path, content_type=PDF_TYPE)
        stored = objects.download_unproven(Bucket.WORKING, key, path)
        with path.open("rb") as stream:
            if prefix_sha256(stream, size) != document.file_sha256:
                raise ForeignFile()
        verdict = verify_pdf(path, trust)
        require_valid(verdict, role, signer)
        return verdict, stored


@contextmanager
def _copy(objects: ObjectStore, document: Document, name: str) -> Iterator[Path]:
    """The document's file, to be signed in place."""
    if document.file_key is None or document.file_sha256 is None:
        raise ForeignFile()
    with tempfile.TemporaryDirectory(prefix="sohoa-sign-") as folder:
        path = Path(folder) / name
        try:
            objects.download(
                Bucket.WORKING, document.file_key, path, version=document.file_version, sha256=document.file_sha256
            )
            yield path
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise DiskFull() from error
            raise


def require_valid(verdict: Verdict, role: SignatureRole, signer: Signer) -> SignatureVerdict:
    """Every signature is valid and the one of `role` was made with the certificate of `signer`.

    The agency signs nothing that a person has not signed before it.
    """
    found = verdict.of(role.value)
    if not verdict.valid or found is None or found.serial != f"{signer.certificate.serial_number:x}":
        raise SignatureInvalid()
    persons = SignatureRole.OFFICER, SignatureRole.SIGNER
    if role is SignatureRole.AGENCY and not any(verdict.of(person.value) for person in persons):
        raise SignatureInvalid()
    return found


# -- recording ----------------------------------------------------------------------------------------------------


def _record(
    records: RecordsDatabase,
    work: _Work,
    role: SignatureRole,
    stored: StoredObject,
    verdict: Verdict,
    *,
    actor: str,
    rule: str,
    target: DocumentState | None = None,
    manifest: StoredObject | None = None,
    placed: dict[str, object] | None = None,
    reports: dict[str, Any] | None = None,
) -> SignatureReport:
    """Row, state and audit entry in one transaction; when another run was faster, its row is the answer."""
    found = verdict.of(role.value)
    assert found is not None and found.signed_at is not None
    details = {
        "role": role.value,
        "attempt": work.document.attempt,
        "sha256": stored.sha256,
        "revision_sha256": found.revision_sha256 or verdict.sha256,
        "level": found.level,
        "test": found.test,
        "revisions": verdict.revisions,
        **(placed or {}),
    }
    with records.session() as session:
        document = locked(session, Document, work.document.id)
        if row := _row(session, document, role):
            return _report(row, already=True)
        row = Signature(
            document_id=document.id,
            role=role,
            attempt=document.attempt,
            level=f"{'CAdES' if role is SignatureRole.MANIFEST else 'PAdES'}-{found.level}",
            signer=found.signer,
            serial=found.serial,
            test=found.test,
            signed_at=found.signed_at,
            object_key=stored.key,
            version=stored.version,
            sha256=stored.sha256,
            valid=True,
            verdict=verdict.model_dump(mode="json") | {"reports": reports or {}},
        )
        session.add(row)
        if manifest is not None:
            document.manifest_key, document.manifest_sha256 = manifest.key, manifest.sha256
            document.manifest_version = manifest.version
        else:
            document.file_key, document.file_sha256 = stored.key, stored.sha256
            document.file_version = stored.version
        if target is None:
            audit(session, actor=actor, action="sign", dossier_id=document.dossier_id, document_id=document.id,
                  rule=rule, details=details)  # fmt: skip
        else:
            move_document(session, document, target, actor=actor, rule=rule, details=details)
        session.add(document)
        return _report(row)


def _again(objects: ObjectStore, row: Signature, trust: Trust) -> SignatureReport:
    """A rerun: the stored file still has the recorded hash (IntegrityError) and still verifies (SignatureInvalid)."""
    with tempfile.TemporaryDirectory(prefix="sohoa-sign-") as folder:
        path = Path(folder) / "signed"
        objects.download(Bucket.WORKING, row.object_key, path, version=row.version, sha256=row.sha256)
        if row.role is SignatureRole.MANIFEST:
            json_key = row.object_key.removesuffix("p7s") + "json"
            data = objects.read(Bucket.WORKING, json_key, sha256=row.verdict["sha256"])
            verdict = verify_manifest(data, path, trust)
        else:
            verdict = verify_pdf(path, trust)
    if not verdict.valid:
        raise SignatureInvalid()
    return _report(row, already=True)


def _report(row: Signature, *, already: bool = False) -> SignatureReport:
    return SignatureReport(
        document_id=row.document_id,
        role=row.role,
        attempt=row.attempt,
        object_key=row.object_key,
        sha256=row.sha256,
        level=row.level,
        signed_at=row.signed_at,
        test=row.test,
        valid=row.valid,
        already=already,
    )
