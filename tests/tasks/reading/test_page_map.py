"""The picture of a document's pages for operations: boxes and colours, small, and nothing that could be read."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from blocks.ocr.types import Line, PageText
from tasks.reading.page_map import BAD, DOUBTFUL, MOST, SURE, as_markdown, draw

WIDTH, HEIGHT = 1654, 2339  # A4 at 200 dpi


def page(*confidences: float, text: str = "Nguyễn Văn Mẫu", readable: bool = True) -> PageText:
    """Lines of 1200 × 60 px below each other."""
    boxes = [((200.0, y), (1400.0, y), (1400.0, y + 60.0), (200.0, y + 60.0)) for y in range(100, 2300, 100)]
    lines = tuple(Line(text, given, box) for given, box in zip(confidences, boxes, strict=False))
    return PageText(WIDTH, HEIGHT, 200, lines, readable=readable)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def count(image: np.ndarray, shade: str) -> int:
    return int((image == [int(shade[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2).sum())


def test_WH04_the_picture_comes_from_boxes_and_confidences_only() -> None:
    mine, other = page(0.99, 0.7, 0.2), page(0.99, 0.7, 0.2, text="079123456789")
    assert draw({1: mine}) == draw({1: other})
    assert "Nguyễn" not in as_markdown({1: mine})
    # Each line is one rectangle without a hole: no shape of a letter, whatever the detector calls a line.
    body = pixels(draw({1: mine}))[42:, 13:180]  # below the legend, inside the outline
    for shade in (SURE, DOUBTFUL, BAD):
        at = np.argwhere((body == [int(shade[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2))
        (top, left), (bottom, right) = at.min(axis=0), at.max(axis=0)
        assert len(at) == (bottom - top + 1) * (right - left + 1) > 100


def test_what_is_unsure_has_its_colour_and_is_counted() -> None:
    told = as_markdown({1: page(0.99, 0.95, 0.90), 2: page(0.89, 0.1)})
    assert "Độ tin cậy từ 0,90: 3 dòng; Độ tin cậy từ 0,60 đến dưới 0,90: 1 dòng; Độ tin cậy dưới 0,60: 1 dòng" in told
    sure, mixed = pixels(draw({1: page(0.99, 0.99)})), pixels(draw({1: page(0.99, 0.1)}))
    assert count(sure, BAD) < count(mixed, BAD) and count(sure, SURE) > count(mixed, SURE)


def test_of_many_pages_the_doubtful_ones_are_drawn_and_the_artifact_stays_small() -> None:
    pages = {number: page(*[0.99] * 22) for number in range(1, 201)}
    pages[150], pages[200] = page(*[0.5, 0.99] * 11), replace(page(), readable=False)
    told = as_markdown(pages)
    assert f"Sơ đồ {MOST} trang đáng ngờ nhất trong 200 trang" in told and len(told) < 60_000
    assert count(pixels(draw(pages)), BAD) > count(pixels(draw(pages | {150: pages[1]})), BAD)
    chosen = pixels(draw(pages, 2))[42:]  # below the legend, which counts all pages
    assert (chosen == pixels(draw({150: pages[150], 200: pages[200]}))[42:]).all()


def test_sheets_of_every_shape_fit() -> None:
    wide, tall = replace(page(0.9), width=HEIGHT, height=WIDTH), replace(page(0.9), width=300, height=3000)
    for pages in ({1: wide}, {1: tall}, {1: wide, 2: tall}, {n: tall for n in range(1, 60)}, {1: page()}):
        image = Image.open(io.BytesIO(draw(pages)))
        assert image.width == 800 and image.height < 1000
    assert as_markdown({}) == ""
