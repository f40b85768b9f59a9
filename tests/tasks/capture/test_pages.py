"""CA06, CA07: count, order, duplicates and sticky notes over the pages of a component; printed page numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from blocks.errors import Problem
from blocks.ocr.types import Line, PageText
from tasks.capture.file_checks import inspect_file
from tasks.capture.numbers import check_printed_numbers
from tasks.capture.pages import ScannedPage, check_count, check_names, check_pages, layout, measure
from tests.tasks.capture.pages_for_tests import DPI, font, jpeg, noted, paper, scanned


def component(folder: Path, *images: Image.Image, sequence: tuple[int, ...] = ()) -> list[ScannedPage]:
    pages = []
    for index, image in enumerate(images, 1):
        out = folder / str(index)
        out.mkdir()
        facts = inspect_file(jpeg(image), DPI, out).pages[0]
        pages.append(measure(facts, DPI, index, sequence[index - 1] if sequence else index))
    return pages


def found(pages: list[ScannedPage], declared: int, notes: tuple[int, ...] = ()) -> list[tuple[str, int | None]]:
    problems, slots = check_pages(pages, declared, notes, DPI)
    assert len(slots) == len(pages)
    return [(problem.code, problem.page) for problem in problems]


def test_CA06_good_pages_in_order(tmp_path: Path) -> None:
    assert found(component(tmp_path, *(scanned(paper(seed), seed) for seed in (1, 2, 3))), 3) == []


def test_CA06_PAGES_MISSING_and_PAGES_EXTRA(tmp_path: Path) -> None:
    pages = component(tmp_path, scanned(paper(1)), scanned(paper(2)))
    assert found(pages, 3) == [("PAGES_MISSING", None)]
    assert found(pages, 1) == [("PAGES_EXTRA", None)]


def test_CA06_names_that_tell_another_order_are_a_notice_and_no_fault(tmp_path: Path) -> None:
    images = [scanned(paper(seed)) for seed in (1, 3, 2)]
    assert found(component(tmp_path, *images, sequence=(1, 3, 2)), 3) == []
    assert [(p.code, p.file) for p in check_names([(1, 1), (2, 3), (3, 2)])] == [("PAGES_ORDER", 3)]


def test_CA06_gaps_and_unknown_names_are_harmless() -> None:
    assert check_names([(1, 4), (2, 0), (3, 9), (4, 9)]) == []


def test_CA06_PAGES_DUPLICATE_same_bytes_and_second_capture(tmp_path: Path) -> None:
    again = scanned(paper(1), 9, skew=-0.6, shift=(-9, 7), blur=0.8)
    pages = component(tmp_path, scanned(paper(1)), scanned(paper(1)), again)
    assert found(pages, 3) == [("PAGES_DUPLICATE", 2), ("PAGES_DUPLICATE", 3)]


@pytest.mark.parametrize("texts", [("1.250.000", "7.850.000"), ("", "Có"), ("Nam", "Nữ")])
def test_CA06_one_form_filled_in_differently_is_no_duplicate(tmp_path: Path, texts: tuple[str, str]) -> None:
    images = []
    for seed, text in enumerate(texts):
        form = paper(7, lines=26, table=True).copy()
        ImageDraw.Draw(form).text((600, 1850), text, font=font(36), fill=(20, 20, 90))
        images.append(scanned(form, seed, skew=0.4 - seed))
    assert found(component(tmp_path, *images), 2) == []


# -- sticky notes ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("box", [(800, 900, 1250, 1350), (1300, 400, 1430, 760), (300, 300, 1080, 900)])
def test_CA07_note_pair_is_accepted(tmp_path: Path, box: tuple[int, int, int, int]) -> None:
    page = paper(2)
    images = [scanned(paper(1)), scanned(noted(page, box), 3), scanned(page, 4, skew=-0.5, shift=(8, 6))]
    assert found(component(tmp_path, *images), 2, (2,)) == []


def test_CA07_NOTE_PAIR_faults(tmp_path: Path) -> None:
    page = paper(2)
    with_note, clean = scanned(noted(page), 3), scanned(page, 4, skew=-0.4)
    cases = {
        "one image": [with_note],
        "identical": [clean, clean],
        "no note": [scanned(page, 5), clean],
        "another page": [with_note, scanned(paper(3), 6)],
        "wrong order": [clean, with_note],
    }
    for name, images in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        assert found(component(folder, *images), 1, (1,)) == [("NOTE_PAIR", 1)], name


@given(st.integers(1, 40), st.sets(st.integers(1, 40)))
def test_CA07_images_of_a_paper(pages: int, notes: set[int]) -> None:
    marked = sorted(n for n in notes if n <= pages)
    slots = layout(pages, marked)
    assert len(slots) == pages + len(marked)
    assert [slot.paper_page for slot in slots if not slot.with_note] == list(range(1, pages + 1))
    assert all(slots[i + 1].paper_page == s.paper_page for i, s in enumerate(slots) if s.with_note)
    assert check_count(len(slots), pages, marked) is None


# -- printed numbers ------------------------------------------------------------------------------------------------
def read(text: str | None, *, y: int = 100, x: int = 827, confidence: float = 0.99) -> PageText:
    def line(words: str, cx: int, top: int, sure: float) -> Line:
        left, right = cx - 20, cx + 20
        return Line(words, sure, ((left, top), (right, top), (right, top + 40), (left, top + 40)))

    lines = [line("Căn cứ Nghị định số 45", 700, 900, 0.98), line("15", 827, 1200, 0.98)]
    if text is not None:
        lines.append(line(text, x, y, confidence))
    return PageText(1654, 2339, 200, tuple(lines))


def numbers(*printed: str | None) -> list[tuple[str, int | None]]:
    problems: list[Problem] = check_printed_numbers([read(text) for text in printed])
    return [(problem.code, problem.page) for problem in problems]


@pytest.mark.parametrize(
    "printed",
    [
        (None, "2", "3"),
        (None, None, None),
        ("Trang 1/3", "Trang 2/3", "Trang 3/3"),
        (None, "2", None, "4"),
        (None, "2", "3", None, "2", "3"),  # two papers stapled together
        (None, "2", "7"),  # a misread number that fits nothing
        ("5", "6", "7"),  # an extract
        (None, "- 2 -", "–3–"),
    ],
)
def test_CA06_printed_numbers_in_order(printed: tuple[str | None, ...]) -> None:
    assert numbers(*printed) == []


def test_CA06_printed_numbers_swapped_duplicate_missing_extra() -> None:
    assert numbers(None, "3", "2", "4") == [("PAGES_SWAPPED", 3)]
    assert numbers("Trang 2/2", "Trang 1/2") == [("PAGES_SWAPPED", 2)]
    assert numbers(None, "2", "2") == [("PAGES_DUPLICATE", 3)]
    assert numbers(None, "2", "4", "5") == [("PAGES_MISSING", 3)]
    assert numbers("Trang 1/3", "Trang 2/3") == [("PAGES_MISSING", None)]
    assert numbers("Trang 1/2", "Trang 2/2", None) == [("PAGES_EXTRA", None)]


def test_CA06_numbers_elsewhere_or_unsure_don_t_count() -> None:
    body = [read(None), read("9", y=1100), read("8", x=300), read("2", confidence=0.5)]
    assert check_printed_numbers(body) == []
