"""Two papers on one image are noticed, one paper never is taken for two; nothing of two is sure (EXb)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blocks.ocr.types import Line, PageText
from tasks.extraction.extract import SEVERAL, extract
from tasks.extraction.layout import read_page
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.extraction.several import holds_several
from tests.tasks.extraction.test_extract import PAGES, paper

ALL = sorted(p.stem for p in PAGES.glob("*.json"))


def shifted(line: Line, dx: float, dy: float) -> Line:
    words = tuple(replace(w, box=(w.box[0] + dx, w.box[1] + dy, w.box[2] + dx, w.box[3] + dy)) for w in line.words)
    return replace(line, polygon=tuple((x + dx, y + dy) for x, y in line.polygon), words=words, slots=())


def together(first: PageText, second: PageText, *, beside: bool) -> PageText:
    """Both pages as one image, each straightened by itself."""
    dx, dy = (first.width, 0) if beside else (0, first.height)
    lines = (*(shifted(line, 0, 0) for line in first.lines), *(shifted(line, dx, dy) for line in second.lines))
    width = first.width + second.width if beside else max(first.width, second.width)
    height = max(first.height, second.height) if beside else first.height + second.height
    return replace(first, width=width, height=height, lines=lines, skew=0.0, codes=())


def level(name: str) -> PageText:
    """The first page of a paper that lies straight."""
    return replace(paper(name)[2][0], skew=0.0)


@pytest.mark.parametrize("name", ALL)
def test_EXb_one_paper_is_not_taken_for_two(name: str) -> None:
    assert not any(holds_several(read_page(n, page)) for n, page in enumerate(paper(name)[2], 1))


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("giay-ra-vien", "giay-ra-vien"),
        ("c65-hd", "c65-hd"),
        ("giay-ra-vien", "giay-khai-sinh"),
        ("trich-luc-khai-sinh", "giay-chung-sinh"),
        ("quyet-dinh-huong", "bien-ban-giam-dinh"),
    ],
)
def test_EXb_nothing_of_two_papers_on_one_image_is_sure(first: str, second: str, beside: bool) -> None:
    found = extract([(1, together(level(first), level(second), beside=beside))], paper(first)[0])
    assert found.several == (1,)
    values = [item for item in found.fields.values() if item.value]
    assert values and all(item.confidence < CONFIDENCE_THRESHOLD and SEVERAL in item.rule for item in values)


def test_EXb_two_pages_of_a_letter_on_a_broad_sheet_are_two() -> None:
    _, _, pages = paper("bien-ban-giam-dinh")
    assert holds_several(read_page(1, together(level("van-ban-hanh-chinh"), replace(pages[0], skew=0.0), beside=True)))
