"""The stamp of who received a paper has a number and a day of its own: they are never the paper's."""

from __future__ import annotations

import random
from datetime import date

import pytest

from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import Box, Line, PageText, Word
from tasks.extraction.arrival import without_arrivals
from tasks.extraction.extract import extract
from tasks.extraction.layout import read_page
from tests.bench.heads import TYPE, drawn_head


def line(text: str, x: float, y: float, wide: float | None = None) -> Line:
    right = x + (wide or 12.0 * len(text))
    box: Box = (x, y, right, y + 30)
    return Line(text, 0.98, ((x, y), (right, y), (right, y + 30), (x, y + 30)), (Word(text, box),))


NATIONAL = (
    line("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", 750, 130, 730),
    line("Độc lập - Tự do - Hạnh phúc", 880, 180, 440),
)


def head(*more: Line) -> PageText:
    return PageText(1654, 2339, 200, (line("ỦY BAN NHÂN DÂN", 260, 130, 330), *NATIONAL, *more), engine="x")


@pytest.mark.parametrize("heading", ["ĐẾN", "CÔNG VĂN ĐẾN", "VĂN BẢN ĐẾN:"])
@pytest.mark.parametrize("number", ["Số: 1234", "Số: 1234/VP", "Số 88"])
def test_EXd_EXđ_what_stands_in_the_stamp_is_not_the_papers(heading: str, number: str) -> None:
    page = head(line(heading, 200, 330), line(number, 180, 380), line("Ngày: 12 tháng 5 năm 2025", 180, 430))
    found = extract([(1, page)], TYPE, date(2026, 1, 1)).fields
    assert found["number_symbol"].value is None and found["issue_date"].value is None


def test_EXd_EXđ_the_papers_own_beside_the_stamp_stay() -> None:
    page = head(
        line("Số: 57/QĐ-UBND", 260, 260),
        line("Hà Nội, ngày 04 tháng 01 năm 2025", 880, 260),
        line("ĐẾN", 200, 330),
        line("Số: 1234", 180, 380),
        line("Ngày: 12 tháng 5 năm 2025", 180, 430),
    )
    found = extract([(1, page)], TYPE, date(2026, 1, 1)).fields
    assert found["number_symbol"].value == "57/QĐ-UBND" and found["issue_date"].value == "2025-01-04"
    left = [row.text for row in without_arrivals(read_page(1, page), read_page(1, page).rows)]
    assert "Số: 1234" not in left and "Số: 57/QĐ-UBND" in left


def test_EXd_a_sentence_that_ends_with_den_is_no_stamp() -> None:
    page = head(line("Kính gửi các đơn vị có văn bản gửi đến", 200, 230), line("Số: 12/TB-UBND", 200, 270))
    assert extract([(1, page)], TYPE, date(2026, 1, 1)).fields["number_symbol"].value == "12/TB-UBND"


@pytest.mark.parametrize("seed", range(3))
def test_EXd_EXđ_a_stamp_on_a_page(seed: int) -> None:
    """Drawn, read and extracted: whatever is found is the paper's own."""
    day = date(2024, 8, 25)
    page = drawn_head(
        random.Random(f"arrival {seed}"), day=day, number="637", by_hand=False, arrival=random.Random(seed)
    )
    found = extract([(1, OcrEngine().read(page.pixels, page.dpi))], TYPE).fields
    assert found["number_symbol"].value in (page.number_symbol, None)
    assert found["issue_date"].value == "2024-08-25"
