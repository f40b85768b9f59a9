"""One scan of a whole dossier: parted at the desk by drag and keys, or by its sheets in the inbox, to verified data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pikepdf
import pymupdf
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.ids import DossierId
from blocks.objects import Bucket
from blocks.records.queries import documents
from blocks.records.states import DossierState
from blocks.records.tables import Dossier, Signature
from tasks.intake.separators import separators_pdf
from tests.cases import sheets as draw
from tests.cases.separators import patch
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_browser import (
    SignIn,
    fill_in,
    picture,
    require_accessible,
    sign_in,
)
from tests.players.demo import play
from tests.players.officers import Sample
from tests.samples.documents import make_document
from tests.tasks.capture.pages_for_tests import SIZE, jpeg, scanned

__all__ = ["sign_in"]  # a fixture


def _sheet() -> bytes:
    with pymupdf.open("pdf", separators_pdf(Catalog())) as printed:  # type: ignore[no-untyped-call]
        drawn = printed[0].get_pixmap(dpi=200)
    return jpeg(scanned(Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples), 91, skew=1.2))


def _blank() -> bytes:
    return jpeg(scanned(Image.new("RGB", SIZE, (250, 250, 247)), 5))


def _on_its_side(path: Path, dpi: int) -> bytes:
    made = io.BytesIO()
    with Image.open(path) as image:
        image.rotate(90, expand=True).save(made, "JPEG", quality=92, dpi=(dpi, dpi))
    return made.getvalue()


def card(page: Page, number: int) -> Locator:
    return page.locator(f"#anh-{number}")


def order(page: Page) -> list[int]:
    found = page.locator(".scan-page").evaluate_all("cards => cards.map(card => Number(card.dataset.number))")
    return [int(number) for number in found]


def test_CA06_parted_by_drag_and_by_keys_and_verified(played: Journey, sign_in: SignIn, tmp_path: Path) -> None:
    """The paper's page lies on its side, a blank back and the second paper stand before it in the scan."""
    folder = played.samples["01-om-dau"].folder
    declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    scans = [tmp_path / name for name in ("1.jpg", "2.jpg", "3.pdf", "4.jpg", "5.jpg")]
    scans[0].write_bytes(_blank())
    scans[1].write_bytes(_sheet())
    scans[2].write_bytes((folder / "c2" / "0001.pdf").read_bytes())
    scans[3].write_bytes(_blank()[:-2] + b"\xff\xd9")
    scans[4].write_bytes(_on_its_side(folder / "c1" / "0001.jpg", 240))
    page = sign_in("tnhs.01", "/nop?procedure=1.001667")
    page.get_by_text("Quét cả hồ sơ một lần").click()
    page.get_by_role("button", name="Xem ảnh và tách bằng tay").click()  # nothing chosen yet
    expect(page.get_by_role("alert")).to_contain_text("Vui lòng chọn tệp")
    page.get_by_text("Quét cả hồ sơ một lần").click()
    page.locator('[name="scan.0"]').set_input_files([str(path) for path in scans])
    page.get_by_role("button", name="Xem ảnh và tách bằng tay").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tách bản quét cả hồ sơ")
    until(lambda: page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 50)"))
    require_accessible(page)
    picture(page, "parting-proposed")
    expect(card(page, 1)).to_contain_text("đề xuất bỏ: trang trắng")
    expect(card(page, 1).get_by_label("Bỏ ra")).to_have_value("")  # only proposed
    expect(card(page, 2).get_by_label("Bỏ ra")).to_have_value("SHEET")
    # By drag: the last image, which is the first paper, to the beginning.
    card(page, 5).locator(".about").drag_to(card(page, 1).locator(".about"), target_position={"x": 5, "y": 5})
    until(lambda: order(page) == [5, 1, 2, 3, 4], 10, lambda: str(order(page)))
    # By keys alone: turn it, begin a paper there; the blank ones out; the sheet to the end and back.
    card(page, 5).locator(".grab").focus()
    page.keyboard.press("Alt+x")
    expect(card(page, 5)).to_have_attribute("data-turn", "90")
    page.keyboard.press("Alt+n")
    page.keyboard.type("Giấy ra viện", delay=30)
    expect(card(page, 5).get_by_label("Bắt đầu")).to_have_value("LOCAL:GIAY-RA-VIEN")
    card(page, 1).locator(".grab").focus()
    page.keyboard.press("Alt+b")
    expect(card(page, 1).get_by_label("Bỏ ra")).to_have_value("BLANK")
    card(page, 2).locator(".grab").focus()
    page.keyboard.press("Alt+ArrowDown")
    assert order(page) == [5, 1, 3, 2, 4]
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('.scan-page').id") == "anh-3"
    card(page, 1).get_by_label("Bắt đầu").select_option("")
    card(page, 3).get_by_label("Bắt đầu").select_option("LOCAL:01B-HSB")
    card(page, 4).locator(".grab").focus()
    page.keyboard.press("Alt+Shift+ArrowUp")  # into the paper before, and back
    assert order(page) == [5, 1, 2, 4, 3]
    page.keyboard.press("Alt+Shift+ArrowDown")
    assert order(page) == [5, 1, 2, 3, 4]
    page.keyboard.press("Alt+b")
    expect(page.locator("#tom-tat")).to_have_text("2 giấy tờ · 5 ảnh · bỏ ra 3")
    page.evaluate("scrollTo(0, 0)")
    require_accessible(page)
    picture(page, "parting")
    page.get_by_role("button", name="Tiếp: khai và nộp").click()
    expect(page.get_by_text("Ảnh 5 của bản quét cả hồ sơ")).to_be_visible()
    page.get_by_role("link", name="Sửa cách tách").click()  # nothing is lost on the way back
    assert order(page) == [5, 1, 2, 3, 4]
    page.get_by_role("button", name="Tiếp: khai và nộp").click()
    declare(page, declared)
    require_accessible(page)
    picture(page, "parting-declared")
    page.get_by_role("button", name="Tiếp nhận hồ sơ").click()
    page.wait_for_url("**/ho-so/*")
    sample, dossier_id = _sample(played, folder, UUID(page.url.rpartition("/")[2]))
    played.wait_pause(sample, "verification-1")
    resolver = sign_in("gq.01", f"/ho-so/{dossier_id}")
    expect(resolver.locator("main")).to_contain_text("người sao chụp xem và tách")
    until(lambda: resolver.evaluate("[...document.images].some(i => i.complete && i.naturalWidth > 500)"))
    turned = resolver.locator("#t-1-1")
    assert turned.locator("img").evaluate("image => image.naturalHeight > image.naturalWidth")
    sheet, box = turned.locator("img").bounding_box(), turned.locator("rect.box").first.bounding_box()
    assert sheet and box and sheet["x"] <= box["x"] and box["y"] + box["height"] <= sheet["y"] + sheet["height"]
    assert box["width"] > box["height"]  # lies along the line that it shows
    picture(resolver, "parting-verified")
    fill_in(resolver, played.officers._verification(sample))
    resolver.get_by_label("Đã đối chiếu với bản giấy").check()
    resolver.get_by_role("button", name="Duyệt").click()
    expect(resolver.locator(".note.good")).to_contain_text("Đã ghi nhận: duyệt")
    _as_the_scanner_wrote(played, dossier_id, scans)


def declare(page: Page, declared: dict[str, Any]) -> None:
    """What only the officer knows; type and pages of each paper are there."""
    owner = declared["owner"]
    page.get_by_label("Họ tên, tên tổ chức").fill(owner["name"])
    page.get_by_label("Mã định danh").fill(str(owner["id"]))
    page.get_by_label("Ngày sinh").fill(f"{owner['birth_date']:%d/%m/%Y}")
    page.get_by_label("Số lượng giấy tờ bản giấy đã nhận").fill("2")
    page.evaluate("document.querySelectorAll('.declared details').forEach(d => d.open = true)")
    for n, component in enumerate(declared["components"], 1):
        expect(page.locator(f'[name="c.{n}.type"]')).to_have_value(component["type"])
        expect(page.locator(f'[name="c.{n}.pages"]')).to_have_value(str(component["pages"]))
        page.locator(f'[name="c.{n}.dpi"]').fill(str(component["dpi"]))
    page.get_by_label("Tôi đã kiểm tra và ký số").check()


def _sample(played: Journey, folder: Path, dossier_id: UUID) -> tuple[Sample, DossierId]:
    with played.officers.records.session() as session:
        sample = Sample(folder, submission=session.get_one(Dossier, dossier_id).submission)
    played.officers._begin(sample)  # finds the run
    return sample, DossierId(dossier_id)


def _as_the_scanner_wrote(played: Journey, dossier_id: DossierId, scans: list[Path]) -> None:
    """All that came is kept; the copy of the turned page holds the scanner's image, shown upright."""
    objects = played.officers.objects
    kept = [objects.unproven(Bucket.INTAKE, key)[0] for key in objects.list(Bucket.INTAKE, f"{dossier_id}/batch/")]
    assert sorted(kept) == sorted(path.read_bytes() for path in scans)
    with played.officers.records.session() as session:
        paper = documents(session, dossier_id)[0]
        key, sha256 = str(paper.file_key), str(paper.file_sha256)
    with pikepdf.open(io.BytesIO(objects.read(Bucket.WORKING, key, sha256=sha256))) as pdf:
        (copy,) = pdf.pages
        assert int(copy.obj["/Rotate"]) == 90
        (image,) = copy.get_images().values()
        assert image.read_raw_bytes() in scans[4].read_bytes()


@pytest.mark.parametrize("kind", ["qr", "patch"])
def test_CA06_a_batch_in_the_inbox_is_parted_by_its_sheets_and_verified(played: Journey, kind: str) -> None:
    sample = played.variant(f"ca-xap-{kind}", "01-om-dau", captured_by="tnhs.02")
    folder = sample.folder
    declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    for component in declared["components"]:
        del component["files"]
    whole = folder / "xap"
    whole.mkdir()
    (folder / "c1" / "0001.jpg").rename(whole / "1.jpg")
    (whole / "2.jpg").write_bytes(_sheet() if kind == "qr" else jpeg(scanned(patch("T", 200), 3)))
    (folder / "c2" / "0001.pdf").rename(whole / "3.pdf")
    declared["batch"] = {"files": ["xap"]}
    (folder / "dossier.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    played.officers.hand_in(sample, "inbox")
    until(lambda: played.officers.collected(sample), 150)
    states = play(played.officers, [sample], timeout=600)
    assert states == {sample.run_id: "COMPLETED"}
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state is DossierState.LUU_TRU


def test_CA06_two_papers_on_one_image_become_two_components(played: Journey, sign_in: SignIn) -> None:
    """Discharge papers of two people on A3: parted on the page of verification, signed, each read by itself."""
    sample = played.variant("hai-giay-mot-anh", "01-om-dau", captured_by="tnhs.02")
    folder = sample.folder
    declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8"))
    declared["components"][0]["dpi"] = draw.DPI
    (folder / "dossier.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    kind = "LOCAL:GIAY-RA-VIEN"
    both = draw.beside(draw.pages(kind, 1)[0], draw.pages(kind, 2)[0])
    (folder / "c1" / "0001.jpg").write_bytes(jpeg(Image.fromarray(both), draw.DPI))
    played.officers.hand_in(sample, "desk")
    played.wait_pause(sample, "verification-1")
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    page = sign_in("gq.01", f"/ho-so/{dossier.id}")
    expect(page.get_by_text("ảnh này có vẻ chứa hai giấy tờ").first).to_be_visible()
    until(lambda: page.evaluate("[...document.images].some(i => i.complete && i.naturalWidth > 500)"))
    page.get_by_role("button", name="Tách hai giấy tờ trên một ảnh").click()  # no side is chosen yet
    expect(page.locator("#loi")).to_contain_text("Vui lòng ghi ảnh nào có hai giấy tờ")
    row = page.get_by_role("group", name="Ảnh 1", exact=True)
    expect(row.get_by_label("Thành phần", exact=True)).to_have_value("1")  # the page that was found is filled in
    expect(row.get_by_label("Trang", exact=True)).to_have_value("1")
    row.get_by_label("Giấy tờ của thành phần này nằm ở").select_option("bên trái")
    row.get_by_label("Giấy tờ kia là").select_option(kind)
    row.scroll_into_view_if_needed()
    require_accessible(page)
    picture(page, "split-asked")
    page.get_by_role("button", name="Tách hai giấy tờ trên một ảnh").click()
    expect(page.locator(".note.good")).to_contain_text("tách hai giấy tờ trên một ảnh")
    played.wait_pause(sample, "verification-2")  # both copies are signed: the hand-in has allowed it for this very file
    page = sign_in("gq.01", f"/ho-so/{dossier.id}")
    expect(page.get_by_text("ảnh này có vẻ chứa hai giấy tờ")).to_have_count(0)
    expect(page.get_by_text("ảnh có hai giấy tờ: chỉ đọc phần trong khung đứt")).to_have_count(2)
    names = [page.locator(f'[name="v.{n}.full_name"]').input_value().title() for n in (1, 3)]
    truths = [make_document(5, n, kind, dpi=draw.DPI)[0].fields["full_name"] for n in (1, 2)]
    assert names == truths
    until(lambda: page.evaluate("[...document.images].some(i => i.complete && i.naturalWidth > 500)"))
    require_accessible(page)
    picture(page, "split-read")
    with played.officers.records.session() as session:
        first, _, other = documents(session, dossier.id)
        assert (first.attempt, other.attempt) == (2, 1)
        query = select(Signature).where(
            ((Signature.document_id == first.id) & (Signature.attempt == 2)) | (Signature.document_id == other.id)  # type: ignore[arg-type]
        )
        assert [row.valid for row in session.exec(query)] == [True, True]
