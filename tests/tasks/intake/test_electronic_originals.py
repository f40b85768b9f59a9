"""SC05, SC10: signed PDFs that were handed in, made with the TEST PKI; real verifier, database and object store."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pikepdf
import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.queries import get_dossier
from blocks.records.states import DocumentState, DossierState, ElectronicOriginal, Form
from blocks.records.tables import ArchivedObject, AuditEntry, Document, Scan
from blocks.settings import settings
from blocks.trust import RevocationUnavailable, Trust, run
from deployments.desk.images import ImageGone, Images
from tasks.archive.closing import NotStored
from tasks.archive.fixity import check_fixity
from tasks.capture.errors import PdfSigned
from tasks.capture.guard import inspect_guarded
from tasks.intake.electronic_originals import (
    _issued_by_its_signer,
    examine_originals,
    original_problems,
    signers_of,
    store_originals,
)
from tasks.intake.reception import receive
from tasks.monitoring.case_report import report_dossier
from tasks.pauses.outages import service_away
from tasks.pauses.verification import Verification
from tasks.pauses.verification import check as check_verification
from tasks.scope.decide import decide_scope
from tasks.signing.errors import AgencyNotAllowed
from tasks.signing.sandbox import verify_untrusted
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.conftest import TestPki
from tests.support.own_pki import own_pki
from tests.support.signed_pdf import objects as pdf_objects
from tests.support.signed_pdf import revision, sealed, second, signed_objects
from tests.tasks.decided import close_as_returned
from tests.tasks.lawcase import NAME, RECEIVED, get, make_dossier, walk_dossier
from tests.tasks.signing.conftest import signing_settings, trust  # noqa: F401
from tests.tasks.signing.helpers import blank_pdf

D, H, E = DocumentState, DossierState, ElectronicOriginal
CATALOG = Catalog()
SICKNESS = ["LOCAL:C65-HD", "LOCAL:01B-HSB"]


def signed_with(
    pki: Path,
    trust: Trust,  # noqa: F811
    who: str,
    *,
    stamped: bool = True,
    data: bytes = b"",
    field: str = "Signature1",
) -> bytes:
    """A PDF signed with a certificate of the TEST PKI, whatever is wrong with that."""
    key = who if (pki / f"keys/{who}.pem").exists() else "bad"
    chain = tuple(str(path) for path in (pki / "intermediates").iterdir())
    signer = signers.SimpleSigner.load(f"{pki}/keys/{key}.pem", f"{pki}/certs/{who}.pem", chain)
    assert signer is not None
    metadata = PdfSignatureMetadata(field, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    writer = IncrementalPdfFileWriter(io.BytesIO(data or blank_pdf(pages=2)))

    async def signed() -> bytes:
        tool = signers.PdfSigner(metadata, signer, timestamper=trust.timestamper() if stamped else None)
        return bytes((await tool.async_sign_pdf(writer)).getvalue())

    return run(signed())


def sign(pki: TestPki, trust: Trust, who: str, **wanted: Any) -> bytes:  # noqa: F811
    return signed_with(pki.folder, trust, who, **wanted)


def changed(data: bytes) -> bytes:
    stream = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(stream)
    writer.root["/Pages"]["/Kids"][0]["/Rotate"] = generic.NumberObject(90)
    writer.update_container(writer.root["/Pages"]["/Kids"][0])
    writer.write_in_place()
    return stream.getvalue()


def form() -> bytes:
    """A PDF with one empty text field."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(blank_pdf())) as pdf:
        field = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Widget, FT=pikepdf.Name.Tx, T="so_tien", F=4,
            DA="/Helv 12 Tf", Rect=[100, 100, 200, 120], P=pdf.pages[0].obj,
        )  # fmt: skip
        held = pdf.make_indirect(field)
        pdf.pages[0].obj.Annots = pdf.make_indirect(pikepdf.Array([held]))
        pdf.Root.AcroForm = pdf.make_indirect(pikepdf.Dictionary(Fields=pikepdf.Array([held])))
        pdf.save(out)
    return out.getvalue()


def filled_afterwards(data: bytes) -> bytes:
    """A form filler's change, which no signature covers: tolerated by the verifier, but not in an original."""
    stream = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(stream)
    fields = [item.get_object() for item in writer.root["/AcroForm"]["/Fields"]]
    field = next(item for item in fields if item["/T"] == "so_tien")
    field["/V"] = generic.TextStringObject("1000000")
    writer.update_container(field)
    writer.write_in_place()
    return stream.getvalue()


def with_script() -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(blank_pdf())) as pdf:
        pdf.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        pdf.save(out)
    return out.getvalue()


def submitted(
    records: RecordsDatabase,
    objects: ObjectStore,
    data: bytes,
    form: Form = Form.ORIGINAL,
    kind: str = SICKNESS[0],
    **values: object,
) -> tuple[UUID, UUID]:
    """A sickness dossier whose first component came as this file; its second is a paper."""
    kinds = [{"type_code": kind, "form": form, "declared_pages": 2}, SICKNESS[1]]
    dossier_id, ids = make_dossier(records, kinds, **({"originals_declared": 1} | values))
    sha256 = hashlib.sha256(data).hexdigest()
    key = document_key(dossier_id, ids[0], 1, f"0001-{sha256[:16]}.pdf")
    objects.put_once(Bucket.INTAKE, key, data, content_type="application/octet-stream")
    with records.session() as session:
        session.add(Scan(document_id=ids[0], ordinal=1, object_key=key, sha256=sha256, size=len(data)))
    return dossier_id, ids[0]


def test_SC05_a_valid_original_is_kept_byte_for_byte_with_its_verdict(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
) -> None:
    data = sign(pki, trust, "ubnd")
    dossier_id, document_id = submitted(records, objects, data)
    (report,) = examine_originals(records, objects, CATALOG, dossier_id)
    assert (report.found, report.code, report.signatures, report.test) == (E.VALID, "OK", 1, True)
    assert examine_originals(records, objects, CATALOG, dossier_id) == []  # looked at once
    assert receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED).accepted  # one paper was counted (CA04)
    with records.session() as session:
        from blocks.records.machine import move_dossier
        from blocks.records.tables import Dossier

        move_dossier(session, session.get_one(Dossier, dossier_id), H.SO_HOA, actor="test")
    scope = decide_scope(records, objects, CATALOG, dossier_id, "system")
    assert document_id not in scope.to_capture and len(scope.to_capture) == 1
    document = get(records, document_id)
    assert (document.state, document.scope_rule, document.in_scope) == (D.TAI_SU_DUNG, "SC05", False)
    assert document.page_count == 2

    with pytest.raises(AgencyNotAllowed):  # EX17: not before the case has succeeded
        store_originals(records, objects, CATALOG, dossier_id, trust, "system")
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    with pytest.raises(NotStored):
        close_as_returned(records, dossier_id)
    for _ in range(2):
        assert store_originals(records, objects, CATALOG, dossier_id, trust, "system").stored == 1
    document = get(records, document_id)
    assert document.record_key == document_key(dossier_id, document_id, 1, "original.pdf")
    assert objects.unproven(Bucket.RECORDS, document.record_key)[0] == data
    assert not document.legally_valid  # test keys (LU03)
    manifest = objects.unproven(Bucket.RECORDS, document_key(dossier_id, document_id, 1, "manifest.json"))[0]
    token = objects.unproven(Bucket.RECORDS, document_key(dossier_id, document_id, 1, "manifest.p7s"))[0]
    assert verify_manifest(manifest, token, trust, pdf_sha256=hashlib.sha256(data).hexdigest()).valid
    assert json.loads(manifest)["original"]["verdict"] == "VALID"

    with records.session() as session:
        rows = session.exec(select(ArchivedObject).where(ArchivedObject.document_id == document_id)).all()
        assert {row.kind for row in rows} == {"original.pdf", "manifest.json", "manifest.p7s", "verification.json"}
        ids = [row.id for row in rows]
        entries = session.exec(select(AuditEntry).where(AuditEntry.document_id == document_id)).all()
        assert [e.action for e in entries if e.action.endswith("_original")] == ["examine_original", "store_original"]
        told = json.dumps([entry.details for entry in entries], ensure_ascii=False)
        assert "NHÂN DÂN" not in told and NAME not in told  # who signed stands beside the file, not in the trail (WH04)
        assert hashlib.sha256(data).hexdigest() in told
        assert verify_chain(session) == []
    assert check_fixity(records, objects, ids).damaged == []
    assert "bản điện tử, chữ ký số hợp lệ, giữ nguyên trạng" in report_dossier(records, dossier_id)


def test_LU06_a_damaged_original_is_restored_from_what_was_handed_in(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    data = sign(pki, trust, "ubnd", stamped=False)
    dossier_id, document_id = submitted(records, objects, data)
    examine_originals(records, objects, CATALOG, dossier_id)
    decide_scope(records, objects, CATALOG, dossier_id, "system")
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    store_originals(records, objects, CATALOG, dossier_id, trust, "system")
    with records.session() as session:
        query = select(ArchivedObject).where(
            ArchivedObject.document_id == document_id, ArchivedObject.kind == "original.pdf"
        )
        row = session.exec(query).one()
        row_id, row.version = row.id, "0" * 32  # its version is gone
        session.add(row)
    objects.client.put_object(
        Bucket=objects.bucket_name(Bucket.RECORDS), Key=get(records, document_id).record_key or "", Body=b"other"
    )
    report = check_fixity(records, objects, [row_id])
    assert report.restored == [document_id]
    assert objects.unproven(Bucket.RECORDS, get(records, document_id).record_key or "")[0] == data


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("changed", "CHANGED", "nội dung đã bị thay đổi sau khi ký"),
        ("filled", "CHANGED", "nội dung đã bị thay đổi sau khi ký"),
        ("revoked", "", "đã bị thu hồi"),
        ("unknown-issuer", "", "không do tổ chức được tin cậy cấp"),
        ("expired", "", "hết hạn"),
        ("byte", "HASH_FAILURE", "nội dung đã bị thay đổi sau khi ký"),
        ("script", "PDF_ACTIVE_CONTENT", "mã lệnh"),
        ("cut", "PDF_DAMAGED", "tệp bị hỏng"),
        ("tail", "END", "nối vào cuối tệp"),
    ],
)
def test_SC05_what_is_not_valid_is_refused_at_the_counter(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    kind: str,
    code: str,
    told: str,
) -> None:
    if kind in {"revoked", "unknown-issuer", "expired"}:
        data = sign(pki, trust, kind, stamped=False)
    else:
        data = sign(pki, trust, "ubnd", data={"script": with_script, "filled": form}.get(kind, blank_pdf)())
    if kind == "changed":
        data = changed(data)
    elif kind == "filled":
        data = filled_afterwards(data)
    elif kind == "byte":
        place = data.index(b"/MediaBox")
        data = data[:place] + b"/MediaBoy" + data[place + 9 :]
    elif kind == "tail":
        data += b"what nobody signed"
    elif kind == "cut":
        data = data[: data.index(b"/ByteRange") + 20]
    dossier_id, document_id = submitted(records, objects, data, originals_declared=2)
    (report,) = examine_originals(records, objects, CATALOG, dossier_id)
    assert report.found is E.INVALID and (report.code == code or not code), report
    received = receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED)
    assert not received.accepted and received.state is H.BO_SUNG_TRUOC
    (problem,) = received.problems
    assert (problem.code, problem.rule, problem.component) == ("ELECTRONIC_INVALID", "SC05", 1)
    assert told in problem.text and "vui lòng" in problem.text and "(TEST)" not in problem.text
    assert get(records, document_id).electronic_original == E.INVALID
    assert "bản điện tử, chữ ký số KHÔNG hợp lệ" in report_dossier(records, dossier_id)


@pytest.mark.parametrize("away", [404, 503])
def test_SC05_an_original_is_examined_again_when_the_revocation_service_is_back(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """Away means later: nothing is written as this attempt's outcome, and the flow waits (service_away)."""
    with own_pki(tmp_path / "own") as own:
        monkeypatch.setenv("SOHOA_PKI_DIR", str(own.folder))
        monkeypatch.setenv("SOHOA_FETCH_HOSTS", f"127.0.0.1:{own.port}")
        settings.cache_clear()
        data = sealed(revision(signed_objects()), own.issue())
        dossier_id, document_id = submitted(records, objects, data, kind="LOCAL:14-HSB")
        own.status |= {"/crl": away, "/ocsp": away}
        with pytest.raises(RevocationUnavailable) as raised:
            examine_originals(records, objects, CATALOG, dossier_id)
        assert service_away(raised.value) == "REVOCATION_UNAVAILABLE"
        assert get(records, document_id).electronic_original is None
        own.status.clear()
        (report,) = examine_originals(records, objects, CATALOG, dossier_id)
        assert (report.found, report.code) == (E.VALID, "OK")


def test_SC05_what_is_added_between_two_signatures_is_told_to_the_officer(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leader signs, the clerk's number comes as an annotation, the agency signs."""
    with own_pki(tmp_path / "own") as own:
        monkeypatch.setenv("SOHOA_PKI_DIR", str(own.folder))
        monkeypatch.setenv("SOHOA_FETCH_HOSTS", f"127.0.0.1:{own.port}")
        settings.cache_clear()
        who = own.issue()
        page = pdf_objects()[3].replace(b"/Annots [5 0 R]", b"/Annots [5 0 R 30 0 R]")
        note = b"<< /Type /Annot /Subtype /FreeText /Rect [72 690 400 730] /Contents (So: 12) /DA (/F1 12 Tf) >>"
        first = sealed(revision(signed_objects()), who)
        data = sealed(second(revision({3: page, 30: note}, first), notes=b"30 0 R"), who)
        dossier_id, document_id = submitted(records, objects, data)
        assert examine_originals(records, objects, CATALOG, dossier_id)[0].code == "CHANGED"
    with records.session() as session:
        (problem,) = original_problems(session, session.get_one(Document, document_id))
    assert "chữ ký số thứ 1 trong 2: nội dung đã bị thay đổi sau khi ký" in problem.text
    assert "chữ ở trang 1" in problem.text and "trước khi người đầu tiên ký" in problem.text


def test_SC05_an_electronic_copy_without_signature_is_refused(records: RecordsDatabase, objects: ObjectStore) -> None:
    for form, found in ((Form.E_COPY_REGISTER, E.UNSIGNED), (Form.E_COPY_CERTIFIED, E.UNSIGNED), (Form.ORIGINAL, None)):
        dossier_id, document_id = submitted(records, objects, blank_pdf(pages=2), form)
        assert [report.found for report in examine_originals(records, objects, CATALOG, dossier_id)] == (
            [found] if found else []
        )
        with records.session() as session:
            problems = original_problems(session, session.get_one(Document, document_id))
        assert [problem.code for problem in problems] == (["ELECTRONIC_UNSIGNED"] if found else [])


def test_SC05_a_paper_that_only_speaks_of_signatures_is_a_scan(records: RecordsDatabase, objects: ObjectStore) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(blank_pdf())) as pdf:
        pdf.docinfo["/Title"] = "/ByteRange"
        pdf.save(out, compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    assert b"/ByteRange" in out.getvalue()
    dossier_id, document_id = submitted(records, objects, out.getvalue())
    assert examine_originals(records, objects, CATALOG, dossier_id) == []
    assert get(records, document_id).electronic_original is None


def test_SC05_a_supplement_is_examined_anew(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id, document_id = submitted(records, objects, changed(sign(pki, trust, "ubnd")))
    assert examine_originals(records, objects, CATALOG, dossier_id)[0].found is E.INVALID
    data = sign(pki, trust, "ubnd", stamped=False)
    key = document_key(dossier_id, document_id, 2, "0001-x.pdf")
    objects.put_once(Bucket.INTAKE, key, data, content_type="application/octet-stream")
    with records.session() as session:  # as register does with a second revision
        document = session.get_one(Document, document_id)
        document.attempt, document.electronic_original = 2, None
        sha256 = hashlib.sha256(data).hexdigest()
        session.add(Scan(document_id=document_id, attempt=2, ordinal=1, object_key=key, sha256=sha256, size=len(data)))
    assert examine_originals(records, objects, CATALOG, dossier_id)[0].found is E.VALID
    assert receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED).accepted


def test_CA01_a_signed_pdf_is_never_a_scan(pki: TestPki, trust: Trust, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "signed.pdf"
    path.write_bytes(sign(pki, trust, "ubnd"))
    assert verify_pdf(path, trust).valid
    with pytest.raises(PdfSigned):
        inspect_guarded(path, 300)


@pytest.mark.parametrize(
    ("who", "kind", "form", "accepted"),
    [
        ("ubnd", "LOCAL:TRICH-LUC-KHAI-SINH", Form.E_COPY_REGISTER, True),
        ("gq.02", "LOCAL:TRICH-LUC-KHAI-SINH", Form.E_COPY_REGISTER, False),  # a person
        ("hospital", "LOCAL:TRICH-LUC-KHAI-SINH", Form.E_COPY_REGISTER, False),  # issues other papers
        ("hospital", "LOCAL:GIAY-RA-VIEN", Form.ORIGINAL, True),
        ("gq.02", "LOCAL:GIAY-RA-VIEN", Form.ORIGINAL, False),
        ("gq.02", "LOCAL:14-HSB", Form.ORIGINAL, True),  # who applies signs the application
        ("gq.02", "LOCAL:14-HSB", Form.E_COPY_CERTIFIED, False),  # but certifies no copy of it
        ("gq.02", "LOCAL:01B-HSB", Form.ORIGINAL, False),  # an employer's list
        ("hospital", "LOCAL:01B-HSB", Form.ORIGINAL, True),
    ],
)
def test_SC05_who_may_sign_which_paper(
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
    who: str,
    kind: str,
    form: Form,
    accepted: bool,
) -> None:
    path = tmp_path / "original.pdf"
    path.write_bytes(sign(pki, trust, who))
    verdict = verify_untrusted(path, stamped=False)
    assert verdict.valid
    document = Document(dossier_id=uuid4(), ordinal=1, type_code=kind, form=form, declared_pages=1)
    assert _issued_by_its_signer(CATALOG, document, verdict) is accepted


def test_SC05_an_officer_sees_who_signed(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id, document_id = submitted(records, objects, sign(pki, trust, "ubnd"))
    examine_originals(records, objects, CATALOG, dossier_id)
    images = Images(records, objects)
    with records.session() as session:
        document = session.get_one(Document, document_id)
        (mark,) = signers_of(objects, session, document)
        unit = get_dossier(session, dossier_id).unit_id
    assert (mark.signer, mark.organisation, mark.valid) == (
        "ỦY BAN NHÂN DÂN PHƯỜNG (TEST)", "MST:0100000001-TEST", True,
    )  # fmt: skip
    token = images.of_original("gq.01", document_id, 1).removeprefix("/anh/")
    assert images.open(token, "gq.01", 400, {unit}).startswith(b"\xff\xd8\xff")
    for officer, units in (("gq.02", {unit}), ("gq.01", {"BHXH-KHAC"})):
        with pytest.raises(ImageGone):
            images.open(token, officer, 400, units)


def test_WH03_a_case_with_electronic_originals_is_confirmed_after_a_look(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id, _ = submitted(records, objects, sign(pki, trust, "ubnd"))
    examine_originals(records, objects, CATALOG, dossier_id)
    said = {"decision": "DUYET", "officer": "gq.01", "flagged_checked": True, "result": ["Điều một"]}
    asked = "Vui lòng xem bản điện tử gốc và người ký (thành phần 1), rồi đánh dấu đã xem."
    assert asked in check_verification(dossier_id, Verification.model_validate(said))
    seen = check_verification(dossier_id, Verification.model_validate(said | {"originals_seen": True}))
    assert asked not in seen
