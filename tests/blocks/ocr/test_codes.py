"""QR codes of identity cards are decoded exactly, however the page lies; other pages have none."""

from __future__ import annotations

import io

import numpy as np
import pytest
import segno
from PIL import Image

from blocks.ocr.codes import read_codes
from blocks.ocr.types import Line, PageText

CARD = "001099012345|123456789|Nguyễn Thị Ánh|01021990|Nữ|số 1 Lê Lợi, phường Bến Nghé|05062021"


def page(text: str, pixels_a_module: int = 4) -> np.ndarray:
    png = io.BytesIO()
    segno.make(text, error="m").save(png, kind="png", scale=pixels_a_module, border=4)
    sheet = Image.new("RGB", (800, 1100), "white")
    with Image.open(png) as code:
        sheet.paste(code.convert("RGB"), (500, 60))
    return np.asarray(sheet)


@pytest.mark.parametrize("turns", range(4))
def test_EXb_a_code_is_read_whichever_way_the_page_lies(turns: int) -> None:
    image = np.rot90(page(CARD), turns)
    (code,) = read_codes(image)
    assert code.text == CARD and code.kind == "QRCode"
    x0, y0, x1, y1 = (round(value) for value in code.box)
    inside = image[y0:y1, x0:x1]
    assert (inside < 100).mean() > 0.3  # the box holds the code
    assert (image < 100).any(axis=2).sum() == (inside < 100).any(axis=2).sum()


def test_a_page_without_code_and_a_damaged_code_give_nothing() -> None:
    assert read_codes(np.full((300, 300, 3), 255, np.uint8)) == ()
    damaged = page(CARD).copy()
    damaged[60:300, 560:640] = 255
    assert read_codes(damaged) == ()


def test_codes_are_kept_with_the_text_of_the_page() -> None:
    (code,) = read_codes(page(CARD))
    text = PageText(800, 1100, 200, (Line("x", 0.9, ((0, 0), (1, 0), (1, 1), (0, 1))),), codes=(code,))
    assert PageText.from_json(text.to_json()) == text
