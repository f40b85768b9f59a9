"""Numbers in boxes and numbers that a hand wrote are read digit by digit, beside what the reader of lines says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from blocks.ocr.boxed import rows_of_boxes
from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText, Written
from tests.samples.look import make_look
from tests.samples.scan import scan
from tests.samples.sheet import Sheet

ID, BHXH = "048068917294", "4179620318"


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


def form(seed: int, *numbers: tuple[str, str, int]) -> tuple[np.ndarray, int]:
    """Labels with a number in boxes behind each: label, digits, boxes."""
    look = make_look(random.Random(seed), 200).but(fill="Arimo", hand=True)
    sheet = Sheet(look)
    sheet.put(25, 40, "[01]. Họ và tên: theo mẫu của cơ quan", 12)
    for n, (label, digits, boxes) in enumerate(numbers):
        y = 60 + 15 * n
        x = sheet.put(25, y, label, 12) + 4
        for place in range(boxes):
            sheet.box(x, y - 5, 6, 7)
            sheet.put(x + 3, y, digits[place : place + 1], 12, family="Arimo", align="c")
            x += 6
    sheet.put(25, 100, "[08]. Địa chỉ nơi ở hiện nay: theo mẫu", 12)
    return scan(sheet.image, look, 1), look.dpi


def written(page: PageText) -> list[Written]:
    return [item for line in page.lines for item in line.written]


@pytest.mark.parametrize("seed", [1, 2])
def test_EX01_each_box_of_a_number_is_a_digit(engine: OcrEngine, seed: int) -> None:
    page = engine.read(*form(seed, ("[06]. Số CCCD/ĐDCN:", ID, 12), ("[13]. Mã số BHXH:", BHXH, 10)))
    assert {item.texts[0][0] for item in written(page)} == {ID, BHXH}
    assert written(PageText.from_json(page.to_json())) == written(page)


def test_EX01_boxes_that_are_empty_or_have_gaps_are_no_number(engine: OcrEngine) -> None:
    empty, gap = ("[06]. Số CCCD/ĐDCN:", "", 12), ("[13]. Mã số BHXH:", "417 620318", 10)
    assert written(engine.read(*form(3, empty, gap))) == []
    page = engine.read(*form(3, ("[13]. Mã số BHXH:", BHXH, 12)))  # two boxes more than digits
    assert [item.texts[0][0] for item in written(page)] == [BHXH]


def test_EX01_tables_are_no_rows_of_boxes() -> None:
    sheet = Sheet(make_look(random.Random(5), 200))
    sheet.table(
        20, 40, [12, 60, 30, 30, 30], [["STT", "Họ và tên", "Số", "Ngày", "Ghi chú"]] + [["1", "A", "2", "3", ""]] * 6
    )
    sheet.table(20, 150, [6] * 4, [["1", "2", "3", "4"]])
    assert rows_of_boxes(np.asarray(sheet.image.convert("L"))) == []
