"""Where a form has a field whose value nobody read: the officer is shown the place."""

from __future__ import annotations

import numpy as np
import pytest

from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import Box, Line, PageText, Word
from tasks.extraction.extract import extract
from tasks.extraction.places import PLACE
from tests.samples.documents import make_document, page_pixels

TYPE = "LOCAL:14-HSB"


def line(y: float, *words: tuple[str, float, float]) -> Line:
    made = tuple(Word(text, (x0, y, x1, y + 30)) for text, x0, x1 in words)
    x0, x1 = words[0][1], words[-1][2]
    return Line(" ".join(w[0] for w in words), 0.98, ((x0, y), (x1, y), (x1, y + 30), (x0, y + 30)), made)


def page(*lines: Line) -> PageText:
    return PageText(1654, 2339, 200, (line(300, ("ĐƠN", 600, 700), ("ĐỀ", 710, 760), ("NGHỊ", 770, 900)), *lines))


def box_of(text: PageText, field: str) -> Box:
    item = extract([(1, text)], TYPE).fields[field]
    assert item.value is None and item.rule == PLACE and item.confidence == 0 and item.page == 1 and item.box
    return item.box


def test_EX02_from_a_label_to_the_next() -> None:
    row = line(
        500,
        ("1.", 180, 200),
        ("Họ", 210, 250),
        ("và", 260, 290),
        ("tên:", 300, 360),
        ("Giới", 1000, 1050),
        ("tính:", 1060, 1120),
    )
    edge = line(700, ("Tôi", 180, 250), ("cam", 260, 330), ("đoan", 1300, 1450))
    x0, y0, x1, y1 = box_of(page(row, edge), "full_name")
    assert 340 <= x0 <= 361 and x1 == pytest.approx(1000, abs=1) and y0 < 500 and y1 > 530
    assert box_of(page(row, edge), "special.sex")[2] == pytest.approx(1450, abs=1)


def test_EX02_below_a_label_that_takes_its_whole_row() -> None:
    row = line(500, ("Mã", 180, 300), ("số", 310, 700), ("BHXH:", 710, 1450))
    x0, y0, x1, y1 = box_of(page(row), "special.bhxh_number")
    assert (x0, x1) == (pytest.approx(180, abs=1), pytest.approx(1450, abs=1)) and y0 >= 529 and y1 > 560


def test_EX02_without_its_label_a_field_has_no_place() -> None:
    item = extract([(1, page())], TYPE).fields["full_name"]
    assert item.value is None and item.box is None and item.page is None and item.rule == ""


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_EX02_the_place_lies_on_the_stored_image(turns: int) -> None:
    """A form whose name is blotted out, scanned in each of four ways: the blot lies in the place."""
    paper, look = make_document(3, 7, TYPE)
    x0, base, x1, text = paper.sheets[0].filled[0]
    mm = look.dpi / 25.4
    pixels = page_pixels(paper, look)[0].copy()
    pixels[int((base - 6) * mm) : int((base + 2) * mm), int(x0 * mm) : int((x1 + 5) * mm)] = 245
    blot = np.zeros(pixels.shape[:2], bool)
    blot[int((base - 2) * mm), int((x0 + x1) / 2 * mm)] = True
    turned = np.ascontiguousarray(np.rot90(pixels, turns))
    (y,), (x,) = np.nonzero(np.rot90(blot, turns))
    item = extract([(1, OcrEngine().read(turned, look.dpi))], TYPE).fields["full_name"]
    assert text and item.value is None and item.box
    assert item.box[0] <= x <= item.box[2] and item.box[1] <= y <= item.box[3]
