"""KQ01–KQ03, B4e: result documents born electronic, on real PostgreSQL, object store and PKI."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pikepdf
import pymupdf
import pytest
import yaml
import zxingcpp
from pikepdf import pdfa
from PIL import Image, ImageDraw
from sqlmodel import select

from blocks import fonts
from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.codes import assign_dossier_code
from blocks.records.machine import move_document
from blocks.records.states import DocumentState, DossierState, OwnerKind, SignatureRole
from blocks.records.tables import (
    AuditEntry,
    Document,
    Dossier,
    FieldValue,
    RepositoryEntry,
    ResultNumber,
    Signature,
    SigningRequest,
)
from blocks.trust import Trust
from tasks.archive.closing import NotStored
from tasks.archive.store import NotAgencySigned, store_record
from tasks.capture.completeness.facts import dossier_facts
from tasks.pauses.facts import unconfirmed
from tasks.pauses.issue import Issue, IssueDecision
from tasks.pauses.issue import check as check_issue
from tasks.pauses.issue import describe as describe_issue
from tasks.pauses.issue import proven as result_signatures_tell
from tasks.pauses.signoff import SignOff, SignOffDecision
from tasks.pauses.signoff import check as check_signoff
from tasks.pauses.verification import Verification, needed_fields
from tasks.pauses.verification import check as check_verification
from tasks.pauses.verification import describe as describe_verification
from tasks.results.document import ResultContent, ResultNotDrawable, result_pdf
from tasks.results.issue import issue_results
from tasks.results.views import drafts, read_results
from tasks.scope.decide import case_date
from tasks.sheet import Sheet
from tasks.signing.batch import sign_issued_results
from tasks.signing.errors import AgencyNotAllowed, SignerMissing
from tasks.signing.sign import sign_agency, sign_manifest, sign_result
from tasks.signing.verify import verify_manifest, verify_pdf
from tasks.verification.review import NotAssignedToUnit
from tests.conftest import TestPki
from tests.support.csc_server import control
from tests.tasks.decided import close_as_returned, decide
from tests.tasks.lawcase import NAME, OWNER_ID, get, get_case, make_dossier, walk_dossier
from tests.tasks.signing.conftest import signing_settings, trust  # noqa: F401
from tests.tasks.signing.test_deferred import Listing, csc, listed  # noqa: F401  (fixtures)

D, H = DocumentState, DossierState
CATALOG = Catalog()
CONTENT = ResultContent(
    parent="BẢO HIỂM XÃ HỘI VIỆT NAM",
    agency="BẢO HIỂM XÃ HỘI TỈNH (TEST)",
    number="05/QĐ-BHXH",
    symbol="QĐ-BHXH",
    place="Hà Nội",
    day=date(2026, 2, 5),
    title="QUYẾT ĐỊNH",
    abstract="Về việc hưởng chế độ ốm đau",
    authority="GIÁM ĐỐC BẢO HIỂM XÃ HỘI TỈNH (TEST)",
    bases=("Căn cứ Luật Bảo hiểm xã hội", "Căn cứ hồ sơ đề nghị"),
    articles=("Giải quyết hưởng chế độ ốm đau đối với ông (bà) Nguyễn Thị Thử Nghiệm", "Quyết định này có hiệu lực"),
    recipients=("Như Điều 1", "Lưu: VT"),
    office=("KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC"),
    signer="Vũ Đình Khuê",
    qr="BẢO HIỂM XÃ HỘI TỈNH\nSố: 05/QĐ-BHXH",
)
ARTICLES = ["Số ngày nghỉ hưởng chế độ: 05 ngày", "Số tiền: 1.234.500 đồng (một triệu đồng)"]


@pytest.fixture
def registered(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the blocks' documents in Prefect would name; its server is not needed for the checks of the pauses."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(Catalog, "get", staticmethod(lambda: CATALOG))


def text_of(data: bytes) -> str:
    with pymupdf.open(stream=data) as pdf:
        return " ".join(" ".join(page.get_text() for page in pdf).split())


def succeeded(records: RecordsDatabase, **values: Any) -> UUID:
    """A case whose leader has allowed the agency's signature; its one paper was left out of the digitisation."""
    dossier_id, (document_id,) = make_dossier(records, ["LOCAL:01B-HSB"], **values)
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    with records.session() as session:
        assign_dossier_code(session, session.get_one(Dossier, dossier_id), actor="test")
        document = session.get_one(Document, document_id)
        move_document(session, document, D.PHAN_LOAI, actor="test")
        move_document(session, document, D.NGOAI_PHAM_VI, actor="test")
    decide(records, dossier_id, "verification-1", "DUYET", "gq.01", result=ARTICLES)
    return dossier_id


def code_of(records: RecordsDatabase, dossier_id: UUID) -> str:
    return get_case(records, dossier_id).code or ""


def sign(records: RecordsDatabase, objects: ObjectStore, document_id: UUID, trust: Trust) -> None:  # noqa: F811
    sign_result(records, objects, document_id, "ld.01", trust=trust)
    sign_agency(records, objects, document_id, trust=trust)
    sign_manifest(records, objects, document_id, trust=trust)


# -- the document -------------------------------------------------------------------------------------------------


def test_KQ01_layout_of_appendix_I() -> None:
    data, places = result_pdf(CONTENT)
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert str(pdfa.check(pdf, "2b").verdict).endswith("pass")
        assert pdf.open_metadata()["dc:title"] == "Quyết định 05/QĐ-BHXH"  # no person in the metadata
    with pymupdf.open(stream=data) as pdf:
        (page,) = pdf
        assert {font[3].split("+")[-1] for font in page.get_fonts()} <= {
            "Tinos-Regular", "Tinos-Bold", "Tinos-Italic", "Tinos-BoldItalic", "Tinos Regular", "Tinos Bold",
            "Tinos Italic", "Tinos Bold Italic", "Tinos",
        }  # fmt: skip

        def at(words: str) -> tuple[float, float]:
            (box, *_) = page.search_for(words)
            return (box.x0 + box.x1) / 2, box.y0

        middle = page.rect.width / 2
        nation, motto = at("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"), at("Độc lập - Tự do - Hạnh phúc")
        parent, agency = at("BẢO HIỂM XÃ HỘI VIỆT NAM"), at("BẢO HIỂM XÃ HỘI TỈNH")
        number, day = at("Số: 05/QĐ-BHXH"), at("Hà Nội, ngày 05 tháng 02 năm 2026")
        assert parent[0] < middle < nation[0] and number[0] < middle < day[0]
        assert abs(nation[0] - motto[0]) < 1 and abs(motto[0] - day[0]) < 1  # one axis
        assert abs(parent[0] - number[0]) < 1
        assert nation[1] < motto[1] < day[1] and parent[1] < agency[1] < number[1] and abs(number[1] - day[1]) < 4
        title, abstract = at("QUYẾT ĐỊNH"), at("Về việc hưởng")
        assert number[1] < title[1] < abstract[1] < at("Căn cứ Luật")[1] < at("Điều 1.")[1] < at("Nơi nhận:")[1]
        assert at("Nơi nhận:")[0] < middle < at("KT. GIÁM ĐỐC")[0]
        assert at("PHÓ GIÁM ĐỐC")[1] < at("Vũ Đình Khuê")[1]
        # the signatures stand between office and name, in the signer's half and to the left of it
        low, high = page.rect.height - places.signer[1], page.rect.height - places.signer[3]
        assert at("PHÓ GIÁM ĐỐC")[1] < high < low < at("Vũ Đình Khuê")[1] + 4
        assert places.agency[2] < places.signer[0]
        margins = [word[:4] for word in page.get_text("words")]
        assert min(box[0] for box in margins) >= 84.9 and max(box[2] for box in margins) <= page.rect.width - 56
        image = page.get_pixmap(dpi=200)
        pixels = np.frombuffer(image.samples, np.uint8).reshape(image.height, image.width, image.n)[..., :3]
    (code,) = zxingcpp.read_barcodes(np.ascontiguousarray(pixels))
    assert code.text == CONTENT.qr
    told = text_of(data)
    assert "hiệu lực./." in told and "Căn cứ hồ sơ đề nghị." in told and "- Lưu: VT." in told


def test_KQ01_a_long_document_keeps_its_signer_with_its_text() -> None:
    articles = tuple(f"{'Nội dung của điều này được trình bày đầy đủ theo quy định. ' * 6}({n})" for n in range(14))
    data, places = result_pdf(CONTENT.model_copy(update={"articles": articles}))
    with pymupdf.open(stream=data) as pdf:
        assert len(pdf) >= 2 and places.page == len(pdf) - 1
        assert "Nơi nhận" in pdf[-1].get_text() and "Vũ Đình Khuê" in pdf[-1].get_text()
        assert pdf[1].get_text().split()[0] == "2" or "\n2\n" in f"\n{pdf[1].get_text()}\n"
        for page in pdf:
            assert all(word[3] < page.rect.height - 50 for word in page.get_text("words"))


def test_KQ01_a_font_names_the_widths_of_what_is_written() -> None:
    """As the font file has them, and no others: each check of a signature walks through them."""
    sheet = Sheet()
    sheet.text("Quyết định số 12 – đã ký", 80, 12)
    with pikepdf.open(io.BytesIO(sheet.data())) as pdf:
        (font,) = [
            item
            for item in pdf.objects
            if isinstance(item, pikepdf.Dictionary) and item.get("/Subtype") == "/CIDFontType2"
        ]
        told = list(font.W)
        widths = {int(glyph): int(row[0]) for glyph, row in zip(told[::2], told[1::2], strict=True)}
    letters = pymupdf.Font(fontfile=str(fonts.REGULAR))
    wanted = {letters.has_glyph(ord(letter)): letters.glyph_advance(ord(letter)) for letter in "Quyếtđịnhsố12–ãký "}
    assert widths.keys() == wanted.keys() | {0}
    assert all(abs(widths[glyph] / 1000 - width) < 0.001 for glyph, width in wanted.items())


def test_KQ01_what_the_font_lacks_is_refused_not_lost() -> None:
    with pytest.raises(ResultNotDrawable):
        result_pdf(CONTENT.model_copy(update={"articles": ("漢字",)}))


# -- issued, signed, stored ---------------------------------------------------------------------------------------


def test_KQ01_KQ03_a_result_is_numbered_signed_stored_and_returned(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
    tmp_path: Path,
) -> None:
    dossier_id = succeeded(records)
    (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    with pytest.raises(NotStored):  # KQ03: not returned before it is stored
        close_as_returned(records, dossier_id)
    sign(records, objects, document_id, trust)
    sign(records, objects, document_id, trust)  # a rerun signs nothing again
    report = store_record(records, objects, CATALOG, document_id, "system")
    assert report.state is D.HIEN_THI_KHO and not report.legally_usable  # test keys
    assert close_as_returned(records, dossier_id).state is H.LUU_TRU

    document = get(records, document_id)
    assert document.code == f"{OWNER_ID}.KQ.G24.000005.01/QĐ-BHXH" and document.ordinal == 2
    assert OWNER_ID not in (document.record_key or "") and NAME not in (document.record_key or "")
    data = objects.unproven(Bucket.RECORDS, document.record_key or "")[0]
    verdict = verify_pdf(data, trust)
    assert verdict.valid and [item.role for item in verdict.signatures] == ["SIGNER", "AGENCY"]
    signer, agency = verdict.of("SIGNER"), verdict.of("AGENCY")
    assert signer and agency and signer.certification and not agency.certification
    assert (signer.signer, agency.level) == ("Vũ Đình Khuê (TEST)", "B-LTA")
    (tmp_path / "result.pdf").write_bytes(data)
    told = subprocess.run(["pdfsig", str(tmp_path / "result.pdf")], capture_output=True, text=True).stdout
    assert told.count("Signature is Valid.") == 2, told
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert pdf.open_metadata().pdfa_status == "2B" and pdf.check_pdf_syntax() == []
    text = text_of(data)
    assert f"đối với ông (bà) {NAME}, số định danh cá nhân {OWNER_ID}" in text
    assert "Điều 2. Số ngày nghỉ hưởng chế độ: 05 ngày." in text and "Điều 4. Quyết định này" in text
    assert "- Như Điều 4;" in text
    assert "Ký bởi: Vũ Đình Khuê (TEST)" in text and "TEST – không có giá trị pháp lý" in text
    assert "SAO Y" not in text

    base = (document.record_key or "").removesuffix("record.pdf")
    manifest = objects.unproven(Bucket.RECORDS, base + "manifest.json")[0]
    token = objects.unproven(Bucket.RECORDS, base + "manifest.p7s")[0]
    assert verify_manifest(manifest, token, trust, pdf_sha256=verdict.sha256).valid
    with records.session() as session:
        rows = session.exec(select(FieldValue).where(FieldValue.document_id == document_id))
        fields = {row.name: row.value for row in rows}
        assert fields["number_symbol"] == "01/QĐ-BHXH" and fields["abstract"] == "Về việc hưởng chế độ ốm đau"
        roles = session.exec(select(Signature.role).where(Signature.document_id == document_id)).all()
        assert sorted(roles) == [SignatureRole.AGENCY, SignatureRole.MANIFEST, SignatureRole.SIGNER]
        assert session.exec(select(RepositoryEntry)).one().owner_id == OWNER_ID
        entries = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier_id)).all()
        assert [e.actor for e in entries if e.action in {"number", "issue"}] == ["vt.01", "vt.01"]
        assert verify_chain(session) == []
        assert dossier_facts(session, dossier_id) == ([], [])  # a rerun of the flow doesn't take it for a paper
    assert read_results(records, objects, CATALOG, code_of(records, dossier_id), "gq.01", grants=None) == [data]


@pytest.mark.parametrize("owner_id", [OWNER_ID, None])
def test_KQ02_an_issued_result_carries_all_fields_and_the_agency_signs_them(
    records: RecordsDatabase,
    objects: ObjectStore,
    trust: Trust,  # noqa: F811
    owner_id: str | None,
) -> None:
    """Điều 12.2: the fields of Điều 9.2, a–l, as of a paper that was read; the same values stand in the document."""
    dossier_id = succeeded(records, owner_id=owner_id)
    (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    sign(records, objects, document_id, trust)
    document, dossier = get(records, document_id), get_case(records, dossier_id)
    manifest = json.loads(objects.unproven(Bucket.WORKING, document.manifest_key or "")[0])
    fields = {item["name"]: item for item in manifest["fields"]}
    present = {name for name, item in fields.items() if item["value"]}
    missing = {"owner_id"} if owner_id is None else set()  # its substitutes are there (CO03)
    kind = CATALOG.document_type(document.type_code, case_date(dossier))
    assert set(needed_fields(kind, dossier.owner_kind, present)) - present == missing and "type_code" in present
    assert {item["confirmed_by"] for item in fields.values()} == {"ld.01"}
    assert all(item["extracted_at"] and item["confirmed_at"] for item in fields.values())  # EXl
    text = text_of(objects.unproven(Bucket.WORKING, document.file_key or "")[0])
    day = date.fromisoformat(fields["issue_date"]["value"])
    assert f"ngày {day:%d} tháng {day:%m} năm {day:%Y}" in text
    for name in ("title", "number_symbol", "issuer", "abstract", "full_name"):
        assert fields[name]["value"] in text, name


def test_B4e_pictures_of_signature_and_seal_stand_as_appendix_I_says(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    """The seal in its real size, over a third of the signature, on its left; both between office and name."""
    folder = pki.folder / "pictures"
    folder.mkdir()
    try:
        for name, size, colour in (("ld.01", (600, 380), (20, 40, 200)), ("agency", (850, 850), (220, 20, 20))):
            image = Image.new("RGBA", size, (0, 0, 0, 0))
            ImageDraw.Draw(image).ellipse((8, 8, size[0] - 8, size[1] - 8), outline=(*colour, 255), width=16)
            image.save(folder / f"{name}.png")
        dossier_id = succeeded(records)
        (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
        sign(records, objects, document_id, trust)
    finally:
        shutil.rmtree(folder)
    data = objects.unproven(Bucket.WORKING, get(records, document_id).file_key or "")[0]
    assert verify_pdf(data, trust).valid
    with pymupdf.open(stream=data) as pdf:
        (page,) = pdf
        boxes = {widget.field_name: widget.rect for widget in page.widgets()}
        hand, seal = boxes["NguoiKyBanHanh"], boxes["CoQuanBanHanh"]
        assert abs(seal.width - 36 * 72 / 25.4) < 0.1 and abs(seal.height - seal.width) < 0.1
        assert seal.x0 < hand.x0 and abs((seal.x1 - hand.x0) / hand.width - 1 / 3) < 0.01
        (office,), (name,) = page.search_for("GIÁM ĐỐC", clip=(300, 400, 600, 800)), page.search_for("Vũ Đình Khuê")
        assert office.y1 < seal.y0 + 3 and seal.y1 < name.y0 + 3
        image = page.get_pixmap(dpi=100)
        pixels = np.frombuffer(image.samples, np.uint8).reshape(image.height, image.width, image.n).astype(int)
        red = (pixels[..., 0] > 180) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
        blue = (pixels[..., 2] > 150) & (pixels[..., 0] < 90) & (pixels[..., 1] < 90)
        assert red.sum() > 300 and blue.sum() > 300
        assert "TEST – không có giá trị pháp lý" in " ".join(page.get_text().split())


@pytest.mark.parametrize("place", ["tasks.signing.deferred._complete", "tasks.signing.sign.record_signature"])
@pytest.mark.usefixtures("registered")
def test_B4e_a_leader_confirms_on_a_phone_though_the_process_dies(
    records: RecordsDatabase,
    objects: ObjectStore,
    trust: Trust,  # noqa: F811
    csc: str,  # noqa: F811
    listed: Listing,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Waits, is declined, is asked again, dies when the signature is there: one signature, then the agency's."""
    listed(officer="ld.01", kind="csc", url=csc, credential="test/ld.01", token="env:CSC_TOKEN", pin="")
    dossier_id = succeeded(records)
    decide(records, dossier_id, "signoff-1", "KY", "ld.01")
    (document_id,) = ids = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")

    def attempt(mode: str) -> list[UUID]:
        control(csc, mode=mode)
        batch = sign_issued_results(records, objects, dossier_id, ids, "ld.01", trust=trust)
        batch.require()
        return batch.waiting

    yes = Issue(decision=IssueDecision.DA_XAC_NHAN, officer="ld.01")
    assert attempt("pending") == ids and unconfirmed(dossier_id, SignatureRole.SIGNER) == [(2, False)]
    assert not result_signatures_tell(dossier_id, yes)
    assert attempt("declined") == ids and unconfirmed(dossier_id, SignatureRole.SIGNER) == [(2, True)]
    assert "Văn bản kết quả 2: đã bị từ chối hoặc hết hạn" in describe_issue(dossier_id)
    with pytest.raises(SignerMissing):
        sign_agency(records, objects, document_id, trust=trust)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(place, dies)
        attempt("ok")
    assert attempt("down") == []  # what was confirmed is kept: nobody confirms twice
    assert result_signatures_tell(dossier_id, yes)
    assert not result_signatures_tell(dossier_id, yes.model_copy(update={"officer": "ld.02"}))
    sign_agency(records, objects, document_id, trust=trust)
    sign_manifest(records, objects, document_id, trust=trust)
    data = objects.unproven(Bucket.WORKING, get(records, document_id).file_key or "")[0]
    verdict = verify_pdf(data, trust)
    assert verdict.valid and [(s.role, s.level) for s in verdict.signatures] == [
        ("SIGNER", "B-LTA"),
        ("AGENCY", "B-LTA"),
    ]
    assert control(csc)["hashes"] == 1
    text = text_of(data)
    assert "Ký bởi: Vũ Đình Khuê (TEST)" in text
    assert "Thời gian ký" not in text  # drawn before anybody confirmed: the time-stamp alone tells
    with records.session() as session:
        (request,) = session.exec(select(SigningRequest)).all()
        assert (request.role, request.document_id) == (SignatureRole.SIGNER, document_id)
        asked = session.exec(select(AuditEntry).where(AuditEntry.action == "sign-asked")).one()
        assert asked.rule == "B4e"


@pytest.mark.usefixtures("registered")
def test_B4e_only_who_signs_a_result_answers_for_the_phone(
    records: RecordsDatabase,
    objects: ObjectStore,
    trust: Trust,  # noqa: F811
    csc: str,  # noqa: F811
    listed: Listing,  # noqa: F811
) -> None:
    listed(officer="ld.01", kind="csc", url=csc, credential="test/ld.01", token="env:CSC_TOKEN", pin="")
    dossier_id = succeeded(records)
    decide(records, dossier_id, "signoff-1", "KY", "ld.01")
    ids = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    control(csc, mode="pending")
    assert sign_issued_results(records, objects, dossier_id, ids, "ld.01", trust=trust).waiting == ids
    assert check_issue(dossier_id, Issue(decision=IssueDecision.DA_XAC_NHAN, officer="ld.01")) == []
    refused = check_issue(dossier_id, Issue(decision=IssueDecision.DA_XAC_NHAN, officer="vt.01"))
    assert len(refused) == 1 and "Văn bản do ld.01 ký" in refused[0]


def test_B4e_retried_and_concurrent_tasks_issue_one_number(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id = succeeded(records)
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01"), range(4))
        )
    assert len({tuple(ids) for ids in made}) == 1 and len(made[0]) == 1
    with records.session() as session:
        assert len(session.exec(select(ResultNumber)).all()) == 1
        assert len(session.exec(select(Document).where(Document.scope_rule == "KQ01")).all()) == 1


@pytest.mark.parametrize("place", ["tasks.results.issue.result_pdf", "tasks.results.issue._register"])
def test_B4e_a_death_on_the_way_is_finished_with_the_same_number(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    dossier_id = succeeded(records)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(place, killed)
        issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    document = get(records, document_id)
    assert document.code_number == "01/QĐ-BHXH" and document.file_key and document.state is D.CHO_KET_QUA
    with records.session() as session:
        assert session.exec(select(ResultNumber)).one().document_id == document_id


def test_EX17_nothing_is_issued_or_stored_before_its_turn(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id, _ = make_dossier(records, [])
    walk_dossier(records, dossier_id, H.TRINH_KY)
    with pytest.raises(AgencyNotAllowed):
        issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    with pytest.raises(SignerMissing):  # the seal never goes before the signature
        sign_agency(records, objects, document_id, trust=trust)
    sign_result(records, objects, document_id, "ld.01", trust=trust)
    sign_agency(records, objects, document_id, trust=trust)
    with pytest.raises(NotAgencySigned):  # its data are not signed yet
        store_record(records, objects, CATALOG, document_id, "system")


def test_KQ01_books_and_cards_are_not_issued(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id = succeeded(records, procedure_code="1.001939")
    assert issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01") == []
    assert close_as_returned(records, dossier_id).state is H.LUU_TRU


def test_CO03_an_owner_without_id_is_named_by_the_substitutes(
    records: RecordsDatabase,
    objects: ObjectStore,
    pki: TestPki,
    trust: Trust,  # noqa: F811
) -> None:
    dossier_id = succeeded(records, owner_id=None)
    (document_id,) = issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    sign(records, objects, document_id, trust)
    assert get(records, document_id).code == ".KQ.G24.000005.01/QĐ-BHXH"
    report = store_record(records, objects, CATALOG, document_id, "system")
    assert report.state is D.DA_LUU_CHUA_DINH_DANH
    text = text_of(objects.unproven(Bucket.RECORDS, get(records, document_id).record_key or "")[0])
    assert f"{NAME}, sinh ngày 02/01/1999" in text


@pytest.mark.usefixtures("registered")
def test_B4e_the_content_of_a_result_is_the_resolving_officers(records: RecordsDatabase) -> None:
    """Asked for where there is such a document, refused where there is none or the font can't show it."""
    issued, _ = make_dossier(records, [])
    cards, _ = make_dossier(records, [], procedure_code="1.001939")

    def faults(dossier_id: UUID, decision: str, *result: str) -> list[str]:
        said = Verification(decision=decision, officer="gq.01", reason="x", result=list(result))  # type: ignore[arg-type]
        return check_verification(dossier_id, said)

    assert faults(issued, "DUYET", ARTICLES[0]) == [] == faults(issued, "TRA_LAI")
    (missing,) = faults(issued, "DUYET", "  ")
    assert missing.startswith("Vui lòng ghi nội dung kết quả giải quyết")
    (strange,) = faults(issued, "DUYET", "漢字")
    assert "ký tự không hiển thị được" in strange
    assert faults(cards, "DUYET") == []
    (superfluous,) = faults(cards, "DUYET", ARTICLES[0])
    assert "không có văn bản kết quả do hệ thống phát hành" in superfluous
    assert "Quyết định hưởng chế độ ốm đau" in describe_verification([], issued)
    assert "văn bản kết quả" not in describe_verification([], cards)


@pytest.mark.usefixtures("registered")
def test_B4e_who_has_no_key_cannot_allow_a_result(records: RecordsDatabase, pki: TestPki) -> None:
    """Told at the pause, not when the number is taken."""
    dossier_id, _ = make_dossier(records, [])
    listing = pki.folder / "officers.yml"
    before = listing.read_text()
    assert check_signoff(dossier_id, SignOff(decision=SignOffDecision.KY, officer="ld.01")) == []
    known = yaml.safe_load(before)
    del known["officers"]["ld.01"]
    listing.write_text(yaml.safe_dump(known, allow_unicode=True))
    try:
        (fault,) = check_signoff(dossier_id, SignOff(decision=SignOffDecision.KY, officer="ld.01"))
        refused = SignOff(decision=SignOffDecision.TRA_LAI, reason="x", officer="ld.01")
        assert "chưa có chữ ký số" in fault and check_signoff(dossier_id, refused) == []
    finally:
        listing.write_text(before)


def test_B4e_a_draft_follows_what_is_typed_and_ends_with_the_number(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    dossier_id = succeeded(records)
    (decided,) = drafts(records, CATALOG, dossier_id, signer="ld.01")
    assert decided.articles[1:3] == tuple(ARTICLES) and "Vũ Đình Khuê" in text_of(decided.pdf)
    (typed,) = drafts(records, CATALOG, dossier_id, typed=["Đang soạn"])
    assert typed.articles[1:-1] == ("Đang soạn",) and "Điều 2. Đang soạn." in text_of(typed.pdf)
    assert "Vũ Đình Khuê" not in text_of(typed.pdf)
    issue_results(records, objects, CATALOG, dossier_id, "ld.01", "vt.01")
    assert drafts(records, CATALOG, dossier_id) == []


def test_B4e_the_leader_reads_the_draft_and_strangers_do_not(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id = succeeded(records, owner_kind=OwnerKind.ORGANISATION, owner_name="Công ty Thử", owner_id="0101234567")
    (draft,) = read_results(records, objects, CATALOG, code_of(records, dossier_id), "ld.01", grants=None)
    text = text_of(draft)
    assert "Số: /QĐ-BHXH" in text and "Công ty Thử, mã định danh điện tử 0101234567" in text and ARTICLES[0] in text
    with pytest.raises(NotAssignedToUnit):
        read_results(records, objects, CATALOG, code_of(records, dossier_id), "nguoi.la", grants=None)
    with records.session() as session:
        looks = session.exec(select(AuditEntry).where(AuditEntry.action == "view")).all()
        assert [entry.actor for entry in looks] == ["ld.01"]
        assert session.exec(select(ResultNumber)).all() == []  # a draft takes no number
    assert get_case(records, dossier_id).state is H.KY_CO_QUAN
