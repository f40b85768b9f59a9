"""Both signatures stand where the law wants them, on every kind of page (CA03; Decree 30/2020, appendix I)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.clock import vietnam_time
from blocks.signer import Signer
from blocks.trust import Trust, run
from tasks.signing.appearance import MARGIN, PADDING, agency_text, fit, officer_text, place
from tasks.signing.errors import CharacterMissing
from tasks.signing.geometry import MM, SeenPage
from tasks.signing.ink import FREE, InkMap
from tasks.signing.pdf import AGENCY_FIELD, OFFICER_FIELD, sign_as_agency, sign_as_officer
from tasks.signing.verify import verify_pdf
from tests.tasks.signing.helpers import A4, HEAD, blank_pdf, printed_pdf, write

CAPTURED = datetime(2026, 11, 24, 20, 5, 9, tzinfo=UTC)
DPI = 144
PAGES: dict[str, dict[str, Any]] = {
    "A4": {},
    "A4 turned 90": {"Rotate": 90},
    "A4 turned 180": {"Rotate": 180},
    "A4 turned 270": {"Rotate": 270},
    "landscape": {"size": (A4[1], A4[0])},
    "CropBox": {"CropBox": [60, 80, 540, 700]},
    "CropBox turned 90": {"CropBox": [60, 80, 540, 700], "Rotate": 90},
    "CropBox beyond the MediaBox": {"CropBox": [-100, -100, 500, 5000], "Rotate": 270},
    "MediaBox from below zero": {"MediaBox": [-300, -400, 295.28, 441.89]},
    "UserUnit 2": {"size": (A4[0] / 2, A4[1] / 2), "UserUnit": 2},
    "UserUnit 2 turned 90": {"size": (A4[1] / 2, A4[0] / 2), "UserUnit": 2, "Rotate": 90},
    "A3": {"size": (841.89, 1190.55)},
    "A5": {"size": (419.53, 595.28)},
    "A6": {"size": (297.64, 419.53)},
    "A0": {"size": (2383.94, 3370.39)},
    "70 mm wide": {"size": (70 * MM, 120 * MM)},
}


@pytest.mark.parametrize("name", PAGES)
def test_CA03_both_signatures_in_their_corners(
    name: str, officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    """Ink within 1 mm of where it belongs, upright, 10 pt for the agency, on pages of every geometry."""
    path = write(tmp_path / "page.pdf", blank_pdf(**PAGES[name]))
    assert run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False)).visible
    assert run(sign_as_agency(path, agency, CAPTURED, trust, long_term=False)).visible
    assert verify_pdf(path, trust).valid

    with pymupdf.open(path) as pdf:
        pixmap = pdf[0].get_pixmap(dpi=DPI, colorspace="gray")
        ink = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.stride)[:, : pixmap.width] < 128
        pdf.bake()
        page = pdf[0]
        lines = [line for block in page.get_text("dict")["blocks"] for line in block.get("lines", [])]
        turned = [pymupdf.Point(line["dir"]) * page.rotation_matrix.concat(page.rotation_matrix, _back(page))
                  for line in lines]  # fmt: skip
    rows, columns = np.nonzero(ink)
    mm = 25.4 / DPI
    assert columns.min() * mm == pytest.approx(7, abs=1)  # the officer's box
    assert rows.min() * mm == pytest.approx(7, abs=1)
    right = (pixmap.width - 1 - columns.max()) * mm  # the agency's longest line ends a padding before the margin
    assert right == pytest.approx(7 + PADDING / MM, abs=1)
    half = np.nonzero(ink[:, pixmap.width // 2 :])[0]
    assert half.min() * mm == pytest.approx(7 + PADDING / MM, abs=1.5)  # capitals start below the line's top
    assert all(point.x > 0.99 for point in turned), "text stands upright as seen"
    text = " ".join(span["text"].strip() for line in lines for span in line["spans"])
    assert "SAO Y" in text and "Người sao chụp:" in text and "TEST" in text
    assert "25/11/2026 03:05:09 +07:00" in " ".join(text.split())
    unit = PAGES[name].get("UserUnit", 1)
    for line in lines:
        for span in line["spans"]:
            size = span["size"] * (1 if span["size"] > 8 else unit)
            assert min(abs(size - 9), abs(size - 10)) < 0.02, "never shrunk"


def _back(page: pymupdf.Page) -> pymupdf.Matrix:
    """Only the turn counts for directions, not the shift."""
    return pymupdf.Matrix(1, 0, 0, 1, -page.rotation_matrix.e, -page.rotation_matrix.f)


def test_CA03_too_small_a_page_is_signed_invisibly(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    path = write(tmp_path / "card.pdf", blank_pdf(size=(40 * MM, 30 * MM)))
    assert not run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False)).visible
    assert not run(sign_as_agency(path, agency, CAPTURED, trust, long_term=False)).visible
    assert verify_pdf(path, trust).valid


def boxes(path: Path) -> dict[str, pymupdf.Rect]:
    """Field → its rectangle as seen, points from the top left."""
    with pymupdf.open(path) as pdf:
        page = pdf[0]
        return {w.field_name: (w.rect * page.rotation_matrix).normalize() for w in page.widgets()}


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_CA03_boxes_move_off_what_is_printed(
    rotate: int, officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    """An ordinary letter whose head begins at 8 mm: each box finds a place in its corner that is not printed on."""
    path = write(tmp_path / "letter.pdf", printed_pdf(HEAD, rotate=rotate))
    before = InkMap.of(path, A4[0])
    signed = run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False))
    assert signed.visible and set(signed.moved) == {"officer", "agency"} and signed.overlapping == ()
    found = boxes(path)
    for name, on_the_left in ((OFFICER_FIELD, True), (AGENCY_FIELD, False)):
        box = found[name]
        assert before.share(box.x0, box.y0, box.width, box.height) <= FREE
        assert box.y0 >= 3 * MM - 0.1 and box.y1 < A4[1] / 3 and ((box.x0 + box.x1) / 2 < A4[0] / 2) is on_the_left
        assert box.x0 >= 3 * MM - 0.1 and box.x1 <= A4[0] - 3 * MM + 0.1
    run(sign_as_agency(path, agency, CAPTURED, trust, long_term=False))
    assert verify_pdf(path, trust).valid


def test_CA03_a_full_corner_is_said_and_the_emptiest_place_taken(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    lines = [(4, y, "Nội dung in dày đặc trên toàn trang giấy " * 3) for y in range(5, 110, 5)]
    path = write(tmp_path / "full.pdf", printed_pdf(lines))
    before = InkMap.of(path, A4[0])
    signed = run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False))
    assert signed.visible and set(signed.overlapping) == {"officer", "agency"}
    box = boxes(path)[OFFICER_FIELD]
    assert (
        FREE
        < before.share(box.x0, box.y0, box.width, box.height)
        <= before.share(MARGIN, MARGIN, box.width, box.height)
    )


def test_CA03_a_page_that_is_empty_there_keeps_the_usual_place(
    officer: Signer, agency: Signer, trust: Trust, tmp_path: Path
) -> None:
    path = write(tmp_path / "low.pdf", printed_pdf([(x, y + 45, text) for x, y, text in HEAD]))
    assert run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False)).moved == ()
    assert tuple(boxes(path)[OFFICER_FIELD].top_left) == pytest.approx((MARGIN, MARGIN), abs=0.1)


def test_CA02_time_has_the_colon_and_the_zone() -> None:
    assert vietnam_time(CAPTURED) == "25/11/2026 03:05:09 +07:00"


def test_CA02_names_are_composed_and_complete() -> None:
    """A decomposed name is written composed; a character that the font lacks is refused, never dropped."""
    composed = officer_text("Nguyễn Thị Hằng", CAPTURED, test=False)
    assert composed == ["Người sao chụp: Nguyễn Thị Hằng", "Thời gian sao chụp: 25/11/2026 03:05:09 +07:00"]
    with pytest.raises(CharacterMissing):
        officer_text("Nguyễn 中", CAPTURED, test=False)


def test_soft_keys_are_marked() -> None:
    assert agency_text("BẢO HIỂM XÃ HỘI", CAPTURED, test=False) == ["SAO Y", "BẢO HIỂM XÃ HỘI", vietnam_time(CAPTURED)]
    assert "TEST" in agency_text("BẢO HIỂM XÃ HỘI", CAPTURED, test=True)[-1]


@given(
    width=st.floats(100, 3000), height=st.floats(100, 3000), rotation=st.sampled_from([0, 90, 180, 270]),
    unit=st.floats(0.5, 4), x=st.floats(-500, 500), y=st.floats(-500, 500),
)  # fmt: skip
def test_CA03_boxes_are_on_the_page_apart_and_never_shrunk(
    width: float, height: float, rotation: int, unit: float, x: float, y: float
) -> None:
    page = SeenPage((x, y, x + width, y + height), rotation, unit)
    placed = place(page, officer_text("Trần Văn Đức", CAPTURED, test=True), agency_text("BHXH", CAPTURED, test=True))
    for box in (placed.officer, placed.agency):
        if box:
            assert x - 0.01 <= box[0] < box[2] <= x + width + 0.01
            assert y - 0.01 <= box[1] < box[3] <= y + height + 0.01
    if placed.officer and placed.officer_lines:
        seen = page.seen_size(placed.officer)
        assert seen == pytest.approx((placed.officer_lines.width, placed.officer_lines.height), abs=0.02)
    if placed.officer and placed.agency:
        across = 0 if rotation in (0, 180) else 1
        first, second = sorted((placed.officer, placed.agency), key=lambda box: box[across])
        assert first[across + 2] + MARGIN / unit <= second[across] + 0.02


def test_text_is_wrapped_or_refused_never_cut() -> None:
    wrapped = fit(["Bảo hiểm xã hội tỉnh"], 10, 60)
    assert wrapped and " ".join(wrapped.lines) == "Bảo hiểm xã hội tỉnh" and len(wrapped.lines) > 1
    assert fit(["Nghiêng"], 10, 20) is None


def test_rendered_bytes_are_the_same_pdf(officer: Signer, agency: Signer, trust: Trust, tmp_path: Path) -> None:
    """The signature is an increment: what was captured stays, byte by byte (CA08)."""
    before = blank_pdf()
    path = write(tmp_path / "page.pdf", before)
    run(sign_as_officer(path, officer, agency, CAPTURED, trust, long_term=False))
    assert io.BytesIO(path.read_bytes()).read(len(before)) == before
