"""Where hands write numbers into print: found in the lines, cut out of the page, read beside what print says."""

from __future__ import annotations

import random
from datetime import date

import cv2
import numpy as np
import pytest

from blocks.ocr.engine import OcrEngine
from blocks.ocr.readers import RawLine
from blocks.ocr.slots import _parts, _places, _row, fold, on_line
from blocks.ocr.types import PageText, Slot
from tests.bench.heads import Head, drawn_head

SEED = "slots 1"


def raw(text: str, x: float = 100, y: float = 100) -> RawLine:
    wide = 20.0 * len(text)
    return RawLine(text, 0.9, np.array([(x, y), (x + wide, y), (x + wide, y + 40), (x, y + 40)], np.float64))


def places(*lines: RawLine) -> list[tuple[str, str]]:
    """Kind of each slot of a row of lines, and what stands in it."""
    text, letters = _row(lines, range(len(lines)))
    return [(kind, text[start:end]) for kind, start, end in _places(text, letters)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Số: 574/UBND-KTTH", [("number", "574")]),
        ("Số:574 /QĐ-BHXH", [("number", "574")]),
        ("Só.M2/QĐ-UBND", [("number", "M2")]),
        ("Số: /KH-BHXH", [("number", "")]),
        ("Số: 12/2024/NQ-HĐND", [("number", "12")]),
        ("Số: 0012345", [("number", "0012345")]),
        ("- Số: 5/TB", [("number", "5")]),
        ("Quyết định số 15/QĐ-UBND", []),
        ("Số người: 15/QĐ", []),
        ("Hà Nội, ngày 04 tháng 01 năm 2021", [("day", "04"), ("month", "01")]),
        ("Hà Nội, ngàyM tháng \\ năm 2021", [("day", "M"), ("month", "\\")]),
        ("Hà Nội, ngày tháng năm 2021", [("day", ""), ("month", "")]),
        ("ngày (day) 05 tháng (month) 6 năm (year) 2021", [("day", "05"), ("month", "6")]),
        ("Trong tháng 5 năm 2021", []),
        ("Số: /33 /ec-sNv", [("number", "/33")]),
        ("Tân An, ngày (Z táng { năm 2023", [("day", "(Z"), ("month", "{")]),
        ("ngày lễ trong tháng cuối cùng của năm 2021", []),
        ("Tam Kỳ, ngày C Cnáng 5 ăm 2025", [("day", "C"), ("month", "5")]),
        ("Tân An ngày 12 háng 4 Trăm 2O24", [("day", "12"), ("month", "4 T")]),
        ("số: 40Z3 Tr-STC", [("number", "40Z3")]),
        ("s« 3584/QĐ-UBND", [("number", "3584")]),
        ("Số điện thoại: 0912-CH", []),
    ],
)
def test_EXd_EXđ_where_hands_write(text: str, found: list[tuple[str, str]]) -> None:
    assert places(raw(text)) == found


def test_EXd_a_number_in_a_line_of_its_own() -> None:
    """The detector cuts the line where a hand wrote: `Số:`, `574`, `/QĐ-UBND`."""
    lines = [raw("Số:"), raw("574", 200), raw("/QĐ-UBND", 300), raw("Hà Nội, ngày 5 tháng 6 năm 2024", 800)]
    assert places(*lines) == [("number", "574"), ("day", "5"), ("month", "6")]
    text, letters = _row(lines, range(4))
    start = text.index("574")
    assert _parts(letters, text, start, start + 3) == [(1, 0, 3)]
    assert _parts(letters, text, start, start) == [(0, 3, 3)]  # nothing: behind the letter before it


def test_folded_text_has_its_length() -> None:
    text = "Số: Ngày ĐƯỢC Ẵ ǆ ß ﬁ"
    assert len(fold(text)) == len(text)


def test_a_slot_keeps_its_place_when_spaces_are_dropped() -> None:
    line = raw("  Số:   574 /QĐ ")
    slot = Slot("number", line.text.index("574"), line.text.index("574") + 3, (0, 0, 1, 1), "574", 1, 1, 1)
    after = on_line(RawLine(line.text, 1, line.polygon, slots=(slot,)))[0]
    assert " ".join(line.text.split())[after.start : after.end] == "574"


@pytest.fixture(scope="module")
def head() -> Head:
    return drawn_head(random.Random(SEED), day=date(2024, 8, 25), number="637")


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


@pytest.fixture(scope="module")
def page(engine: OcrEngine, head: Head) -> PageText:
    return engine.read(head.pixels, head.dpi)


def slots(page: PageText) -> dict[str, Slot]:
    """Those of the head; the date of the law in the body comes after them."""
    found: dict[str, Slot] = {}
    for line in page.lines:
        for slot in line.slots:
            found.setdefault(slot.kind, slot)
    return found


def test_EXd_EXđ_the_slots_of_a_page_written_by_hand(page: PageText) -> None:
    found = slots(page)
    assert {kind: slot.text for kind, slot in found.items()} == {"number": "637", "day": "25", "month": "8"}
    for slot in found.values():
        assert slot.handwritten > 0.5 and not slot.stamped and 0 < slot.weakest <= 1
    law = [slot for line in page.lines for slot in line.slots if "Luật" in line.text]
    assert [slot.text for slot in law] == ["29", "6"] and all(slot.handwritten < 0.1 for slot in law)


def test_slots_survive_being_kept(page: PageText) -> None:
    assert PageText.from_json(page.to_json()) == page
    assert any(line.slots for line in page.lines)


def test_EX01_a_page_that_lies_on_its_side(engine: OcrEngine, head: Head, page: PageText) -> None:
    """Boxes are of the image as it is stored."""
    turned = engine.read(np.ascontiguousarray(np.rot90(head.pixels)), head.dpi)
    for kind, slot in slots(turned).items():
        upright = slots(page)[kind]
        assert slot.text == upright.text
        wide = head.pixels.shape[1]
        x0, y0, x1, y1 = upright.box
        assert np.allclose(slot.box, (y0, wide - x1, y1, wide - x0), atol=12)


def test_EXd_a_stamp_over_the_number_is_told(engine: OcrEngine, head: Head, page: PageText) -> None:
    x0, _, x1, y1 = (round(v) for v in slots(page)["number"].box)
    stamped = head.pixels.copy()
    cv2.circle(stamped, ((x0 + x1) // 2, y1 + 40), 80, (215, 40, 50), 5, cv2.LINE_AA)
    cv2.circle(stamped, ((x0 + x1) // 2, y1 + 40), 60, (215, 40, 50), 30, cv2.LINE_AA)
    found = slots(engine.read(stamped, head.dpi))
    assert found["number"].stamped and not found["day"].stamped
