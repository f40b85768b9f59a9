"""The three signatures of a document as steps of its way: officer, agency, manifest (Điều 8.1, 9.4).

A file is signed as a copy, verified, and only then stored under a key that is written once: whoever stored first has
signed. A step that finds a stored file from an interrupted run verifies and adopts it, so there are never two
signatures and never none.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import select

from blocks.errors import ObjectConflict
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, StoredObject, digest, file_key
from blocks.records import RecordsDatabase
from blocks.records.state_names import STATES
from blocks.records.states import DocumentState, DossierState, SignatureRole
from blocks.records.tables import Document, Dossier, FieldValue
from blocks.signer import Signer, agency_signer, picture, signer_for
from blocks.trust import Trust, run
from tasks.capture.scan_time import LABELS
from tasks.signing import manifest as manifests
from tasks.signing.authorised import require_authorised
from tasks.signing.deferred import SignatureWanted, prepare, sign_deferred
from tasks.signing.errors import (
    AgencyNotAllowed,
    ForeignFile,
    NotCaptured,
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
from tasks.signing.signature_rows import (
    SignatureReport,
    Work,
    captured_sha256,
    expect,
    record_signature,
    signature_row,
    verified_again,
    work_of,
)
from tasks.signing.signed_copy import file_to_sign, require_valid, signed_copy
from tasks.signing.verify import (
    Verdict,
    verify_manifest,
    verify_manifest_again,
)

JSON_TYPE, CMS_TYPE = "application/json", "application/pkcs7-signature"


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
    work = work_of(records, document_id, SignatureRole.OFFICER)
    if work.done:
        return verified_again(objects, work.done, trust)
    expect(work.document, DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN)
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

    verdict, stored = signed_copy(objects, work.document, "officer.pdf", SignatureRole.OFFICER, signer, trust, sign)
    return record_signature(
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
    work = work_of(records, document_id, SignatureRole.OFFICER)
    if work.done or objects.exists(Bucket.WORKING, file_key(work.document, "officer.pdf")):
        return
    expect(work.document, DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN)
    if work.captured_at is None:
        raise NotCaptured()
    require_authorised(records, objects, document_id)
    signer, agency = signer_for(work.dossier.captured_by), agency_signer()
    with file_to_sign(objects, work.document, "officer.pdf") as path:
        wanted = _capture_wanted(work, signer, agency, work.captured_at, trust)
        prepare(records, objects, path, wanted)


def _capture_wanted(work: Work, signer: Signer, agency: Signer, captured_at: datetime, trust: Trust) -> SignatureWanted:
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
    work = work_of(records, document_id, SignatureRole.AGENCY)
    if work.done:
        return verified_again(objects, work.done, trust)
    require_succeeded(work.dossier)
    expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    if work.document.is_issued:
        with records.session() as session:
            if signature_row(session, work.document, SignatureRole.SIGNER) is None:
                raise SignerMissing()
    signer = agency_signer()
    if not work.document.is_issued and work.document.file_sha256 != captured_sha256(records, work.document):
        raise ForeignFile()

    filling, seal = (ISSUED_BY, picture("agency")) if work.document.is_issued else (COPY, None)

    def sign(path: Path) -> None:
        run(sign_as_agency(path, signer, datetime.now(UTC), trust, filling=filling, picture=seal))

    verdict, stored = signed_copy(objects, work.document, "agency.pdf", SignatureRole.AGENCY, signer, trust, sign)
    reports = _keep_reports(objects, work.document, stored, verdict, trust)
    return record_signature(
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
    work = work_of(records, document_id, SignatureRole.SIGNER)
    if work.done:
        return verified_again(objects, work.done, trust)
    require_succeeded(work.dossier)
    expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    signer = signer_for(officer)

    def sign(path: Path) -> None:
        if signer.is_deferred:
            sign_deferred(records, objects, path, _result_wanted(work.document, signer, officer, trust))
        else:
            now, hand = datetime.now(UTC), picture(officer)
            run(sign_as_agency(path, signer, now, trust, filling=SIGNED_BY, picture=hand))

    verdict, stored = signed_copy(objects, work.document, "signer.pdf", SignatureRole.SIGNER, signer, trust, sign)
    return record_signature(records, work, SignatureRole.SIGNER, stored, verdict, actor=officer, rule="B4e")


def prepare_result(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, officer: str, *, trust: Trust | None = None
) -> None:
    """Note what who signs a result must confirm on the phone, unless it is signed. Nobody is asked yet.

    Raises like sign_result, but for what the service says.
    """
    trust = trust or Trust()
    work = work_of(records, document_id, SignatureRole.SIGNER)
    if work.done or objects.exists(Bucket.WORKING, file_key(work.document, "signer.pdf")):
        return
    require_succeeded(work.dossier)
    expect(work.document, DocumentState.CHO_KET_QUA, DocumentState.DA_KY_CO_QUAN)
    signer = signer_for(officer)
    with file_to_sign(objects, work.document, "signer.pdf") as path:
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
    work = work_of(records, document_id, SignatureRole.MANIFEST)
    if work.done:
        return verified_again(objects, work.done, trust)
    require_succeeded(work.dossier)
    expect(work.document, DocumentState.DA_KY_CO_QUAN, DocumentState.DA_KY_CO_QUAN)
    signer = agency_signer()
    with records.session() as session:
        rows = session.exec(select(FieldValue).where(FieldValue.document_id == document_id)).all()
    data = manifests.build(work.dossier, work.document, rows, test=signer.test)
    manifest, token, verdict = sign_data(objects, work.document, data, work.document.file_sha256, signer, trust)
    return record_signature(records, work, SignatureRole.MANIFEST, token, verdict, actor="system", rule="EX17",
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


def require_succeeded(dossier: Dossier) -> None:
    if dossier.state is not DossierState.KY_CO_QUAN:
        raise AgencyNotAllowed(state=STATES[dossier.state])
