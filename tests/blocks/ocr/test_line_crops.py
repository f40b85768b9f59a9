"""Lines cut out of a page: whole to their ends, their leaders told from marks (EX01)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from blocks.ocr.engine import OcrEngine
from blocks.ocr.geometry import Image as Pixels
from blocks.ocr.geometry import View, upright
from blocks.ocr.line_crops import GAP, MARGIN, cut, leader
from tests.samples.look import font

FACE = font("Tinos", False, False, 36)
TOP, LEFT = 100, 200


def drawn(text: str, *, dots: tuple[int, int] | None = None, rule: int | None = None) -> tuple[View, int]:
    """A page with one line of text, a leader from x to x under it, an upright rule; and where the text ends."""
    page = Image.new("L", (1600, 300), 245)
    pen = ImageDraw.Draw(page)
    pen.text((LEFT, TOP), text, font=FACE, fill=40)
    if dots:
        pen.text((dots[0], TOP + 6), "." * ((dots[1] - dots[0]) // 9), font=FACE, fill=40)
    if rule:
        pen.line((rule, 0, rule, 300), fill=40, width=2)
    pixels = np.asarray(cv2.GaussianBlur(np.asarray(page), (0, 0), 0.6), np.uint8)
    return upright(pixels, skew=0.0).view((0, 0, 1600, 300)), LEFT + round(FACE.getlength(text))


def box(left: float, right: float) -> np.ndarray:
    return np.array([[left, TOP - 4], [right, TOP - 4], [right, TOP + 44], [left, TOP + 44]])


def widths(view: View, *boxes: np.ndarray) -> list[tuple[int, int]]:
    """Left and right end of what the pieces cover."""
    return [(round(covered[:, 0].min()), round(covered[:, 0].max())) for _, covered in cut(view, boxes)]


def test_a_piece_goes_on_to_the_end_of_its_ink() -> None:
    view, end = drawn("Số định danh cá nhân: 031196309946")
    assert widths(view, box(LEFT - 5, end + 5)) == [(LEFT - 5, end + 5)]  # whole already
    ((left, right),) = widths(view, box(LEFT + 30, end - 40))
    assert left <= LEFT + 2 and end - 2 <= right <= end + GAP


def test_a_piece_ends_at_a_rule_and_before_another_line() -> None:
    view, end = drawn("Giới tính: Nam", rule=LEFT + round(FACE.getlength("Giới tính: Nam")) + 4)
    ((_, right),) = widths(view, box(LEFT - 5, end - 20))
    assert end - 6 <= right < end + 4
    ((_, first), _) = widths(view, box(LEFT - 5, end - 60), box(end - 60, end))
    assert first == end - 60


def test_a_speck_beside_a_line_is_no_part_of_it() -> None:
    view, end = drawn("048316973629")
    view.stored[TOP + 20 : TOP + 24, end + 6 : end + 10] = 40
    assert widths(view, box(LEFT - 5, end + 3)) == [(LEFT - 5, end + 3)]


def test_a_piece_does_not_reach_over_paper_nor_too_far() -> None:
    _, end = drawn("Nam")
    far = widths(drawn("Nam      Nữ")[0], box(LEFT - 5, end - 2))
    assert far[0][1] < end + GAP
    ((_, right),) = widths(drawn("m" * 40)[0], box(LEFT - 5, LEFT + 300))
    assert right <= LEFT + 300 + MARGIN


def ink(view: View) -> Pixels:
    """Dark pixels of a line as `leader` gets them."""
    strip = view.pixels[TOP - 4 : TOP + 44]
    return np.asarray(strip < 150)


def test_a_leader_is_told_from_marks() -> None:
    view, _ = drawn("Họ và tên: ", dots=(LEFT + 200, LEFT + 500))
    dots = leader(ink(view))
    assert dots is not None and not dots[:, : LEFT + 190].any()  # not the mark under `Họ`
    assert dots[:, LEFT + 200 : LEFT + 500].any(0).sum() > 60
    for text in ("Họ chị mượn việc, đợi một lượt rồi định vị lại.", "Mục lục. Tr. 5. V.v.", "a, b, c, d: e, f."):
        assert leader(ink(drawn(text)[0])) is None


def test_a_value_over_its_leader_comes_with_and_without_the_dots() -> None:
    view, end = drawn("Thơ", dots=(LEFT, LEFT + 400))
    ((piece, _),) = cut(view, [box(LEFT - 5, LEFT + 70)])
    assert piece.shape[:1] + piece.shape[2:] == (48, 2)
    low = (piece[39:45] < 150).any(0).sum(0)
    assert low[0] > 3 * low[1]
    ((piece, _),) = cut(drawn("Thơ", dots=(end + 20, end + 400))[0], [box(LEFT - 5, end + 5)])
    assert piece.ndim == 2  # no dots under the letters


@pytest.mark.parametrize("name", ["LÊ ĐÌNH NGHĨA", "Mai Tuấn Quân", "Hà Thị Thơ", "Phạm Phương Quỳnh"])
def test_EX01_names_typed_over_a_leader_keep_their_marks(name: str) -> None:
    view, end = drawn(f"Họ và tên: {name}")
    start = LEFT + round(FACE.getlength("Họ và tên: "))
    view, _ = drawn(f"Họ và tên: {name}", dots=(start, end + 300))
    page = np.repeat(view.pixels[..., None], 3, 2)
    page = np.vstack([page, np.full((1600, 1600, 3), 245, np.uint8)])
    assert name in OcrEngine().read(np.ascontiguousarray(page), 200).text
