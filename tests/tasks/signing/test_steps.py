"""The signing steps on the real database, object store and PKI: once, in order, also after crashes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from blocks.errors import IntegrityError, InvalidTransition, SohoaError
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document, move_dossier
from blocks.records.states import DocumentState, DossierState, FieldSource, SignatureRole
from blocks.records.tables import AuditEntry, Document, Dossier, FieldValue, Signature, now
from blocks.signer import KeyMismatch, Signer
from blocks.trust import (
    CertificateExpired,
    CertificateRevoked,
    CertificateUsage,
    TimestampRefused,
    TimestampUnavailable,
    Trust,
    run,
)
from tasks.signing import sign as steps
from tasks.signing.authorised import NotAuthorised
from tasks.signing.errors import AgencyNotAllowed, FieldsUnconfirmed, ForeignFile, NotCaptured
from tasks.signing.pdf import sign_as_officer
from tasks.signing.sign import sign_agency, sign_capture, sign_manifest
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.conftest import TestPki
from tests.support.attested import allow_signature
from tests.tasks.signing.helpers import blank_pdf

D, H = DocumentState, DossierState
OWNER = "Nguyễn Văn Mẫu"


class Case:
    """A dossier with one document, captured and checked."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, captured_by: str = "tnhs.01") -> None:
        self.records, self.objects = records, objects
        dossier = Dossier(
            submission=uuid4().hex, unit_id="BHXH-TEST", procedure_code="1.001667", owner_name=OWNER,
            owner_id="001099012345", captured_by=captured_by,
        )  # fmt: skip
        document = Document(dossier_id=dossier.id, ordinal=1, type_code="LOCAL:GIAY-RA-VIEN", declared_pages=1)
        self.id, self.dossier_id = document.id, dossier.id
        self.data = blank_pdf()
        stored = objects.put_once(Bucket.WORKING, self.key("built.pdf"), self.data, content_type="application/pdf")
        document.file_key, document.file_sha256, document.page_count = stored.key, stored.sha256, 1
        with records.session() as session:
            session.add(dossier)
            session.flush()
            session.add(document)
        self.move(D.PHAN_LOAI, D.CHO_SAO_CHUP, D.DA_SAO_CHUP, D.DAT_KIEM_TRA)
        allow_signature(records, self.id)

    def key(self, name: str, attempt: int = 1) -> str:
        return document_key(self.dossier_id, self.id, attempt, name)

    def document(self) -> Document:
        with self.records.session() as session:
            return session.exec(select(Document).where(Document.id == self.id)).one()

    def signatures(self) -> list[Signature]:
        with self.records.session() as session:
            return list(session.exec(select(Signature).where(Signature.document_id == self.id)))

    def another(self, ordinal: int) -> UUID:
        """One more paper, captured and checked."""
        document = Document(
            dossier_id=self.dossier_id, ordinal=ordinal, type_code="LOCAL:GIAY-RA-VIEN", declared_pages=1
        )
        key = document_key(self.dossier_id, document.id, 1, "built.pdf")
        stored = self.objects.put_once(Bucket.WORKING, key, self.data, content_type="application/pdf")
        document.file_key, document.file_sha256, document.page_count = stored.key, stored.sha256, 1
        with self.records.session() as session:
            session.add(document)
        self.move(D.PHAN_LOAI, D.CHO_SAO_CHUP, D.DA_SAO_CHUP, D.DAT_KIEM_TRA, document=document.id)
        allow_signature(self.records, document.id)
        return document.id

    def move(self, *states: DocumentState, document: UUID | None = None) -> None:
        with self.records.session() as session:
            row = session.exec(select(Document).where(Document.id == (document or self.id))).one()
            for state in states:
                move_document(session, row, state, actor="system")

    def move_dossier(self, *states: DossierState) -> None:
        with self.records.session() as session:
            dossier = session.exec(select(Dossier).where(Dossier.id == self.dossier_id)).one()
            for state in states:
                move_dossier(session, dossier, state, actor="system", reason="lý do thử nghiệm")

    def to_signoff(self, ids: Sequence[UUID] = ()) -> None:
        """Everything between the two signatures, and the case succeeds."""
        for one in ids or [self.id]:
            self.move(D.OCR, D.CHO_XAC_NHAN, D.DA_BOC_TACH, D.DA_CAP_MA, D.CHO_KET_QUA, document=one)
        self.move_dossier(H.KIEM_TRA, H.DA_TIEP_NHAN, H.SO_HOA, H.DA_CHUYEN, H.THAM_DINH, H.TRINH_KY, H.KY_CO_QUAN)

    def field(
        self, name: str, value: str | None, confirmed: str | None = "gq.01", document: UUID | None = None
    ) -> None:
        with self.records.session() as session:
            session.add(
                FieldValue(
                    document_id=document or self.id, name=name, value=value, printed=value, confirmed_by=confirmed,
                    confirmed_at=now() if confirmed else None, confidence=0.97, source=FieldSource.OCR,
                )
            )  # fmt: skip


@pytest.fixture
def case(records: RecordsDatabase, objects: ObjectStore) -> Case:
    return Case(records, objects)


@pytest.fixture
def capture(case: Case) -> Iterator[Case]:
    sign_capture(case.records, case.objects, case.id)
    yield case


def test_CA01_CA02_officer_signs_the_capture(case: Case, trust: Trust) -> None:
    report = sign_capture(case.records, case.objects, case.id)
    assert (report.role, report.level, report.valid, report.test) == (SignatureRole.OFFICER, "PAdES-B-LT", True, True)
    assert report.object_key == case.key("officer.pdf") and not report.already
    document = case.document()
    assert document.state is D.DA_KY_CA_NHAN
    assert (document.file_key, document.file_sha256) == (report.object_key, report.sha256)
    data = case.objects.read(Bucket.WORKING, report.object_key, sha256=report.sha256)
    assert data.startswith(case.data), "the captured file is kept byte by byte (CA08)"
    [row] = case.signatures()
    assert row.verdict["signatures"][0]["certification"] and "TEST" in row.signer
    with case.records.session() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.target_state == D.DA_KY_CA_NHAN.value)).one()
    assert entry.actor == "tnhs.01" and entry.details["sha256"] == report.sha256
    assert OWNER not in report.model_dump_json() and "Hằng" not in report.model_dump_json()


def test_CA01_signed_once_however_often_asked(capture: Case) -> None:
    first = capture.signatures()[0]
    again = sign_capture(capture.records, capture.objects, capture.id)
    assert again.already and again.sha256 == first.sha256 and len(capture.signatures()) == 1


def test_CA01_two_workers_at_once_sign_once(case: Case) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: sign_capture(case.records, case.objects, case.id), range(4)))
    assert len({report.sha256 for report in reports}) == 1 and len(case.signatures()) == 1
    assert sum(not report.already for report in reports) == 1


@pytest.mark.parametrize("place", ["put_once", "_record"])
def test_CA01_crash_between_signing_and_storing(case: Case, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies before the file is stored, or before the row is: the next run ends with one signature."""

    class Crash(BaseException):
        pass

    def dies(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        if place == "put_once":
            patch.setattr(ObjectStore, "put_once", dies)
        else:
            patch.setattr(steps, "record_signature", dies)
        with pytest.raises(Crash):
            sign_capture(case.records, case.objects, case.id)
    key = case.key("officer.pdf")
    stored = case.objects.unproven(Bucket.WORKING, key)[1] if case.objects.exists(Bucket.WORKING, key) else None
    assert (stored is not None) == (place == "_record")
    assert case.document().state is D.DAT_KIEM_TRA and not case.signatures()
    report = sign_capture(case.records, case.objects, case.id)
    assert len(case.signatures()) == 1 and case.document().state is D.DA_KY_CA_NHAN
    if stored:
        assert report.sha256 == stored.sha256, "what the first run stored is the signed file"


def test_CA08_foreign_file_is_not_adopted(case: Case, officer: Signer, agency: Signer, trust: Trust,
                                          tmp_path: Path) -> None:  # fmt: skip
    """A validly signed PDF of another document under this key."""
    path = tmp_path / "other.pdf"
    path.write_bytes(blank_pdf(size=(300, 300)))
    run(sign_as_officer(path, officer, agency, now(), trust, long_term=False))
    case.objects.put_once(Bucket.WORKING, case.key("officer.pdf"), path, content_type="application/pdf")
    with pytest.raises(ForeignFile):
        sign_capture(case.records, case.objects, case.id)
    assert not case.signatures() and case.document().state is D.DAT_KIEM_TRA


def test_CA08_changed_stored_file_is_found(capture: Case) -> None:
    key = capture.key("officer.pdf")
    capture.objects.delete(Bucket.WORKING, key)
    capture.objects.put_once(Bucket.WORKING, key, b"%PDF-1.7 other", content_type="application/pdf")
    with pytest.raises(IntegrityError):
        sign_capture(capture.records, capture.objects, capture.id)


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        ("expired", CertificateExpired),
        ("revoked", CertificateRevoked),
        ("wrong-usage", CertificateUsage),
        ("wrong-key", KeyMismatch),
    ],
)
def test_CA01_refused_before_anything_is_stored(
    records: RecordsDatabase, objects: ObjectStore, who: str, refusal: type[SohoaError]
) -> None:
    case = Case(records, objects, captured_by=who)
    with pytest.raises(refusal):
        sign_capture(records, objects, case.id)
    assert not objects.exists(Bucket.WORKING, case.key("officer.pdf"))
    assert case.document().state is D.DAT_KIEM_TRA and not case.signatures()


def test_CA02_time_stamp_service_down_then_up(case: Case, pki: TestPki) -> None:
    with pytest.raises(TimestampUnavailable) as caught:
        sign_capture(case.records, case.objects, case.id, trust=Trust(tsa_url="http://127.0.0.1:1/", timeout=0.5))
    assert caught.value.remedy == "RETRY"
    with pytest.raises(TimestampRefused):
        sign_capture(case.records, case.objects, case.id, trust=Trust(tsa_url=f"{pki.url}/none"))
    assert not case.signatures()
    assert sign_capture(case.records, case.objects, case.id).valid


def test_ST01_only_what_passed_the_checks(records: RecordsDatabase, objects: ObjectStore) -> None:
    case = Case(records, objects)
    case.move(D.CHUP_LAI)
    with pytest.raises(InvalidTransition):
        sign_capture(records, objects, case.id)


def test_CA02_rescan_is_signed_anew(capture: Case) -> None:
    capture.move(D.OCR, D.CHO_XAC_NHAN, D.CHUP_LAI, D.DA_SAO_CHUP, D.DAT_KIEM_TRA)
    data = blank_pdf(size=(500, 700))
    stored = capture.objects.put_once(Bucket.WORKING, capture.key("built.pdf", 2), data, content_type="application/pdf")
    with capture.records.session() as session:
        document = session.exec(select(Document).where(Document.id == capture.id)).one()
        document.attempt, document.file_key, document.file_sha256 = 2, stored.key, stored.sha256
        session.add(document)
    with pytest.raises(NotAuthorised):  # what was allowed for the first attempt isn't for another file
        sign_capture(capture.records, capture.objects, capture.id)
    allow_signature(capture.records, capture.id)
    report = sign_capture(capture.records, capture.objects, capture.id)
    assert report.attempt == 2 and report.object_key == capture.key("officer.pdf", 2)
    assert sorted(row.attempt for row in capture.signatures()) == [1, 2]


def test_CA02_time_of_capture_is_never_guessed(records: RecordsDatabase, objects: ObjectStore,
                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    case = Case(records, objects)
    whole = steps.work_of

    def without(*arguments: object) -> object:
        work = whole(*arguments)  # type: ignore[arg-type]
        return steps.Work(work.dossier, work.document, work.done, None)

    monkeypatch.setattr(steps, "work_of", without)
    with pytest.raises(NotCaptured):
        sign_capture(records, objects, case.id)


# -- the agency ---------------------------------------------------------------------------------------------------


def test_EX17_agency_signs_copy_and_data(capture: Case, trust: Trust, tmp_path: Path, pki: TestPki) -> None:
    capture.field("title", "Giấy ra viện")
    capture.field("valid_until", None, confirmed=None)
    capture.to_signoff()
    copy = sign_agency(capture.records, capture.objects, capture.id)
    assert (copy.level, copy.object_key) == ("PAdES-B-LTA", capture.key("agency.pdf"))
    data = sign_manifest(capture.records, capture.objects, capture.id)
    assert (data.level, data.role) == ("CAdES-B-LTA", SignatureRole.MANIFEST)
    document = capture.document()
    assert document.state is D.DA_KY_CO_QUAN and document.file_sha256 == copy.sha256

    pdf = capture.objects.unproven(Bucket.WORKING, copy.object_key)[0]
    verdict = verify_pdf(pdf, trust)
    assert verdict.valid and [item.role for item in verdict.signatures] == ["OFFICER", "AGENCY"]

    manifest = capture.objects.read(Bucket.WORKING, capture.key("manifest.json"), sha256=document.manifest_sha256)
    token = capture.objects.read(Bucket.WORKING, capture.key("manifest.p7s"), sha256=data.sha256)
    content = json.loads(manifest)
    assert content["pdf"]["sha256"] == copy.sha256 and content["test"] is True
    assert {row["name"]: row["value"] for row in content["fields"]} == {"title": "Giấy ra viện", "valid_until": None}
    assert verify_manifest(manifest, token, trust, pdf_sha256=copy.sha256).valid

    # what was found is kept: our verdict and the reports by ETSI TS 119 102-2
    [row] = [row for row in capture.signatures() if row.role is SignatureRole.AGENCY]
    reports = {
        name: capture.objects.read(Bucket.WORKING, place["key"], version=place["version"], sha256=place["sha256"])
        for name, place in row.verdict["reports"].items()
    }
    kept = json.loads(reports["verification.json"])
    assert kept["valid"] and kept["sha256"] == copy.sha256
    for name in ("etsi-officer.xml", "etsi-agency.xml"):
        assert b"total-passed" in reports[name]
    with capture.records.session() as session:  # every revision's hash is in the audit trail
        entries = session.exec(select(AuditEntry).where(AuditEntry.document_id == capture.id)).all()
        assert verdict.revisions in [entry.details.get("revisions") for entry in entries]

    # asked again: the same signatures
    assert sign_agency(capture.records, capture.objects, capture.id).sha256 == copy.sha256
    again = sign_manifest(capture.records, capture.objects, capture.id)
    assert again.already and again.sha256 == data.sha256
    assert len(capture.signatures()) == 3

    # tampering: value, PDF, signature
    assert verify_manifest(manifest.replace("ra viện".encode(), b"ra vien"), token, trust).code == "INVALID"
    assert verify_manifest(manifest + b" ", token, trust).code == "INVALID"
    wrong = verify_manifest(manifest, token, trust, pdf_sha256="0" * 64)
    assert not wrong.valid and wrong.signatures[0].code == "PDF_DIFFERS"
    assert verify_manifest(manifest, token[:-20], trust).code == "CMS_DAMAGED"
    assert verify_manifest(manifest, b"", trust).code == "CMS_DAMAGED"

    if shutil.which("openssl"):
        (tmp_path / "m.json").write_bytes(manifest)
        (tmp_path / "m.p7s").write_bytes(token)
        command = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "m.p7s", "-content",
                   "m.json", "-CAfile", str(pki.folder / "certs/root.pem"), "-purpose", "any", "-out", "o"]  # fmt: skip
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


@pytest.mark.parametrize("end", [H.TRA_LAI, H.RUT])
def test_EX17_failed_case_is_never_signed(capture: Case, end: DossierState) -> None:
    capture.to_signoff()
    capture.move_dossier(end)
    with pytest.raises(AgencyNotAllowed) as caught:
        sign_agency(capture.records, capture.objects, capture.id)
    assert caught.value.rule == "EX17"
    assert not capture.objects.exists(Bucket.WORKING, capture.key("agency.pdf"))


def test_EX17_not_before_the_signoff(capture: Case) -> None:
    with pytest.raises(AgencyNotAllowed):
        sign_agency(capture.records, capture.objects, capture.id)
    with pytest.raises(AgencyNotAllowed):
        sign_manifest(capture.records, capture.objects, capture.id)


def test_WH03_unconfirmed_values_are_not_signed(capture: Case) -> None:
    capture.field("title", "Giấy ra viện", confirmed=None)
    capture.to_signoff()
    sign_agency(capture.records, capture.objects, capture.id)
    with pytest.raises(FieldsUnconfirmed):
        sign_manifest(capture.records, capture.objects, capture.id)
    assert not capture.objects.exists(Bucket.WORKING, capture.key("manifest.p7s"))


def test_EX17_crash_after_the_manifest_was_stored(capture: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    capture.field("title", "Giấy ra viện")
    capture.to_signoff()
    sign_agency(capture.records, capture.objects, capture.id)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "record_signature", dies)
        with pytest.raises(KeyboardInterrupt):
            sign_manifest(capture.records, capture.objects, capture.id)
    stored = capture.objects.unproven(Bucket.WORKING, capture.key("manifest.p7s"))[1]
    assert stored
    assert sign_manifest(capture.records, capture.objects, capture.id).sha256 == stored.sha256
