"""Words that a hand wrote are told from print by their ink and, numbers, by their shape."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText, Word
from tasks.extraction.written import Doubtful, settled
from tests.samples.documents import make_document, page_pixels
from tests.samples.look import make_look
from tests.samples.scan import scan
from tests.samples.sheet import Sheet

PEN = (25, 40, 130)


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


def form(colour: tuple[int, int, int], seed: int = 1) -> tuple[np.ndarray, int]:
    """Print in black, two values in a colour."""
    look = make_look(random.Random(seed), 200)
    sheet = Sheet(look)
    for n, label in enumerate(("Họ và tên:", "Nơi cư trú:", "Nghề nghiệp:", "Ghi chú khác:", "Lý do đề nghị:")):
        sheet.put(25, 40 + 12 * n, label, 13)
        sheet.put(70, 40 + 12 * n, "theo mẫu của cơ quan", 13)
    sheet.put(130, 40, "Nguyễn Văn Bình", 13, colour=colour)
    sheet.put(130, 52, "phường Tân Bình", 13, colour=colour)
    return scan(sheet.image, look, 1), look.dpi


def told(page: PageText) -> set[str]:
    return {word.text for line in page.lines for word in line.words if word.by_hand}


@pytest.mark.parametrize("seed", [1, 2])
def test_EX01_blue_words_among_black_print(engine: OcrEngine, seed: int) -> None:
    found = told(engine.read(*form(PEN, seed)))
    assert {"Nguyễn", "Văn", "phường", "Tân"} <= found and not found & {"Họ", "theo", "mẫu", "quan", "Nghề"}


def test_EX01_black_and_grey_scans_have_none(engine: OcrEngine) -> None:
    assert not told(engine.read(*form((0, 0, 0))))
    pixels, dpi = form(PEN)
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert not told(engine.read(grey, dpi))


def test_EX01_a_page_that_is_all_blue_is_no_handwriting(engine: OcrEngine) -> None:
    """Forms are printed in blue, too."""
    look = make_look(random.Random(4), 200)
    sheet = Sheet(look)
    for n in range(6):
        sheet.put(25, 40 + 12 * n, "Hóa đơn bán hàng theo mẫu", 13, colour=PEN)
    assert not told(engine.read(scan(sheet.image, look, 1), look.dpi))


@pytest.mark.parametrize("kind", ["LOCAL:14-HSB", "LOCAL:C65-HD", "LOCAL:D02-TS"])
def test_EX01_print_is_hardly_ever_taken_for_it(engine: OcrEngine, kind: str) -> None:
    paper, look = make_document(31, 2, kind)
    page = engine.read(page_pixels(paper, look)[0], look.dpi)
    words = [word for line in page.lines for word in line.words]
    assert sum(word.by_hand for word in words) <= 0.02 * len(words)


def test_EXd_what_a_hand_wrote_is_doubtful_and_survives_being_kept(engine: OcrEngine) -> None:
    page = engine.read(*form(PEN))
    assert PageText.from_json(page.to_json()) == page
    line = next(line for line in page.lines if any(word.by_hand for word in line.words))
    after = settled(line)
    assert [isinstance(word, Doubtful) for word in after.words] == [word.by_hand for word in line.words]
    assert after.text == line.text and all(isinstance(word, Word) for word in after.words)


def test_EX01_a_form_that_is_mostly_filled_in(engine: OcrEngine) -> None:
    """Most words on the page are the pen's."""
    look = make_look(random.Random(6), 200)
    sheet = Sheet(look)
    for n in range(8):
        sheet.put(25, 40 + 10 * n, "Họ và tên:", 13)
        sheet.put(60, 40 + 10 * n, "Trần Bình Minh ở phường Tân Bình", 13, colour=PEN)
    page = engine.read(scan(sheet.image, look, 1), look.dpi)
    words = [word for line in page.lines for word in line.words]
    assert sum(word.by_hand for word in words if word.text in ("Trần", "Bình", "Minh", "phường")) >= 28
    assert not any(word.by_hand for word in words if word.text in ("Họ", "tên:"))
