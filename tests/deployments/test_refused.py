"""CA05, SC13, WH04: who scans again sees what capture refused, nobody else, and nothing of a secret paper."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pikepdf
import pytest
from PIL import Image

from blocks.catalog import Catalog
from blocks.ids import DossierId
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import get_dossier
from blocks.records.states import DocumentState
from blocks.records.tables import Document
from deployments.desk.images import LARGE, WIDTH, ImageGone, Images
from deployments.desk.prefect_access.policy import is_tricky
from deployments.desk.rescans import Rescans
from tasks.capture.document import capture
from tasks.capture.errors import ImageBomb, NotColour
from tasks.capture.file_checks import inspect_file
from tasks.capture.look import draw_pages
from tasks.capture.rescan import hand_in_rescan, missing_scans, receive_rescan
from tasks.intake.origin import by_command
from tasks.scope.quarantine import isolate
from tests.tasks.capture.pages_for_tests import DPI, encoded, jpeg, paper, pdf_of, scanned
from tests.tasks.capture.test_document import new_document, state

COUNTER = "tnhs.01"
GOOD = jpeg(scanned(paper(1)))
BLURRED = jpeg(scanned(paper(2), blur=4))
COARSE = jpeg(scanned(paper(3)).resize((1240, 1754)), 150)


class Desk:
    """A component that capture has refused, and what the pages show of it."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, files: list[bytes | None], pages: int) -> None:
        self.records, self.objects = records, objects
        self.images = Images(records, objects)
        self.rescans = Rescans(records, objects, Catalog(), self.images)
        self.document = new_document(records, objects, files, pages=pages)
        assert not capture(records, objects, self.document).ok

    @property
    def dossier(self) -> UUID:
        return state(self.records, self.document).dossier_id

    def pictures(self) -> list[dict[str, Any]]:
        return self.rescans.refused(COUNTER, self.dossier)[1]

    def open(self, picture: dict[str, Any], officer: str = COUNTER, width: int = WIDTH) -> Image.Image:
        assert not is_tricky(picture["url"].encode())  # the gateway would refuse such a path
        drawn = Image.open(
            io.BytesIO(self.images.open(picture["url"].removeprefix("/anh/"), officer, width, {"BHXH-TEST"}))
        )
        assert drawn.format == "JPEG"
        return drawn


def test_CA05_each_refused_image_is_shown_beside_what_is_wrong_with_it(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    desk = Desk(records, objects, [pdf_of([GOOD, BLURRED]), COARSE, GOOD[:9000], None], pages=5)
    pictures = desk.pictures()
    assert [picture["name"] for picture in pictures] == [f"thành phần 1, ảnh {n}" for n in (3, 4, 5, 1, 2)]
    faults = [" ".join(picture["faults"]) for picture in pictures]
    assert "150 dpi" in faults[0] and "cắt cụt" in faults[1] and "Chưa nhận được" in faults[2]
    assert faults[3:] == ["", ""]  # which page of the file is blurred isn't known while others are missing
    assert [bool(picture["url"]) for picture in pictures] == [True, False, False, True, True]
    first, second = desk.open(pictures[3]), desk.open(pictures[4])
    assert first.size == second.size == (WIDTH, 1754)
    assert first.tobytes() != second.tobytes()  # the two pages of one file
    assert desk.open(pictures[0]).convert("L").getextrema()[0] < 100  # print on it
    assert desk.open(pictures[3], width=LARGE).width == Image.open(io.BytesIO(GOOD)).width  # never blown up


def test_CA06_where_the_pages_are_known_they_are_named(records: RecordsDatabase, objects: ObjectStore) -> None:
    desk = Desk(records, objects, [pdf_of([GOOD, BLURRED])], pages=2)
    second, first = desk.pictures()  # what is wrong first
    assert (first["name"], first["faults"]) == ("thành phần 1, trang 1", [])
    assert second["name"] == "thành phần 1, trang 2" and "mờ, nhòe" in " ".join(second["faults"])


def test_WH04_an_address_is_for_one_officer_and_one_attempt(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    desk = Desk(records, objects, [BLURRED], pages=1)
    (picture,) = desk.pictures()
    desk.open(picture)
    with pytest.raises(ImageGone):
        desk.open(picture, officer="tnhs.02")
    again = tmp_path / "1.jpg"
    again.write_bytes(GOOD)
    submission = _submission(desk)
    hand_in_rescan(records, objects, by_command(), submission, 1, 2, [again])
    receive_rescan(records, objects, submission, desk.document, 2)
    with pytest.raises(ImageGone):  # it was seen before, and is still in memory
        desk.open(picture)
    assert capture(records, objects, desk.document).ok
    assert desk.rescans.refused(COUNTER, desk.dossier) == {}  # an accepted paper isn't shown this way


def _submission(desk: Desk) -> str:
    with desk.records.session() as session:
        return get_dossier(session, desk.dossier).submission


def test_SC13_nothing_is_shown_of_a_secret_paper(records: RecordsDatabase, objects: ObjectStore) -> None:
    desk = Desk(records, objects, [BLURRED], pages=1)
    (picture,) = desk.pictures()
    desk.open(picture)
    with records.session() as session:
        row = session.get_one(Document, desk.document)
        row.secret = True
        session.add(row)
    assert desk.rescans.refused(COUNTER, desk.dossier) == {}
    with pytest.raises(ImageGone):
        desk.open(picture)
    with records.session() as session:
        row = session.get_one(Document, desk.document)
        row.secret = False
        session.add(row)
    isolate(records, objects, desk.document, "MAT", "system")
    assert state(records, desk.document).state is DocumentState.CACH_LY_MAT
    assert desk.rescans.refused(COUNTER, desk.dossier) == {}
    with pytest.raises(ImageGone):
        desk.open(picture)


def test_SC12_deleted_scans_are_no_fault_of_the_page(records: RecordsDatabase, objects: ObjectStore) -> None:
    desk = Desk(records, objects, [BLURRED], pages=1)
    (picture,) = desk.pictures()
    for key in list(objects.list(Bucket.INTAKE, f"{desk.dossier}/")):
        objects.delete(Bucket.INTAKE, key)
    with pytest.raises(ImageGone):
        desk.open(picture)


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_what_lies_on_its_side_is_drawn_as_the_copy_would_be(tmp_path: Path, turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "scan.jpg"
    path.write_bytes(jpeg(scanned(paper(1)), exif=exif))
    assert draw_pages(path, tmp_path, 1, 5, 400) == 1
    with Image.open(tmp_path / "0001.jpg") as drawn:
        assert drawn.width == 400 and (drawn.height > 400) is (turned in (1, 3))


def test_what_is_refused_for_its_colours_can_be_seen_what_is_dangerous_can_not(tmp_path: Path) -> None:
    grey = tmp_path / "grey.tif"
    pages = [scanned(paper(n)).convert("L") for n in (1, 2, 3)]
    grey.write_bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], dpi=(DPI, DPI)))
    with pytest.raises(NotColour):
        inspect_file(grey, DPI)
    assert draw_pages(grey, tmp_path, 2, 10, 300) == 2  # from the second page on
    huge = tmp_path / "huge.pdf"

    def grow(pdf: pikepdf.Pdf) -> None:
        image = pdf.pages[0].obj.Resources.XObject.Im0
        image.Width, image.Height = 100_000, 100_000

    huge.write_bytes(pdf_of([GOOD], edit=grow))
    with pytest.raises(ImageBomb):
        draw_pages(huge, tmp_path, 1, 1, 300)


def test_CA06_a_blank_back_is_proposed_and_goes_when_the_counter_says_so(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page scanned on both sides: nothing has to be scanned again."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    blank = jpeg(scanned(Image.new("RGB", (1654, 2339), (250, 250, 247)), 7))
    desk = Desk(records, objects, [pdf_of([GOOD, blank])], pages=1)
    (asked,) = desk.rescans.asked(desk.dossier)
    assert asked.blank == {2: "ảnh 2"}
    with records.session() as session:
        dossier = get_dossier(session, desk.dossier)
        session.expunge(dossier)
    desk.rescans.receive(by_command(), dossier, {"drop.1.1": "1"}, {})  # the printed side isn't proposed
    assert missing_scans_of(records, dossier.id)
    desk.rescans.receive(by_command(), dossier, {"drop.1.2": "1"}, {})
    assert not missing_scans_of(records, dossier.id)
    assert receive_rescan(records, objects, dossier.submission, desk.document, 2) == 1
    report = capture(records, objects, desk.document)
    assert report.ok and report.pages == 1


def missing_scans_of(records: RecordsDatabase, dossier_id: DossierId) -> list[str]:
    with records.session() as session:
        return missing_scans(session, dossier_id)
