"""Which words a hand wrote: what the calibration of print says of their reading doesn't hold.

Print is black; pens are mostly blue, and then a word's ink is bluer than that of the other words on the page. A number
in a black pen is told from print by the reader of digits, which knows both. Other words in a black pen aren't told:
the reader of lines is seldom sure of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from blocks.ocr import geometry
from blocks.ocr.digits import DigitReader
from blocks.ocr.readers import RawLine, words
from blocks.ocr.types import Box

BLUER = 18  # shades, blue above red, by which a pen's ink differs from print: print as scanned stays below 11
PRINTED = 15  # % of a page's words that are print at least, also where a hand filled in whole tables
COLOURED, SHARE = 28, 0.0004  # shades from which a pixel is blue; share of them below which no pen was
FEWEST = 3  # digits of a word from which it is a number
SURE_LINE = 0.99  # the reader of lines is hardly ever that sure of what a hand wrote
HAND = 0.5  # probability of the reader of digits


def by_hand(
    reader: DigitReader, page: geometry.Upright, image: geometry.Image, lines: Sequence[RawLine]
) -> list[tuple[bool, ...]]:
    """For each line of an upright page, which of its words a hand wrote. image: (H, W, 3) RGB as stored."""
    rows = [[(span.text, _box(page, line, span.start, span.end)) for span in words(line)] for line in lines]
    blue = _blueness(page, image, [box for row in rows for _, box in row])
    usual = float(np.percentile(blue, PRINTED)) if blue else 0.0
    shades = iter(blue)
    return [
        tuple(
            next(shades, 0.0) > usual + BLUER or (line.confidence < SURE_LINE and _is_number(reader, page, text, box))
            for text, box in row
        )
        for line, row in zip(lines, rows, strict=True)
    ]


def _box(page: geometry.Upright, line: RawLine, start: float, end: float) -> Box:
    """The box of a word on the upright page."""
    (x0, y0), (x1, y1) = line.polygon.min(0).tolist(), line.polygon.max(0).tolist()
    left, right = x0 + start * (x1 - x0), x0 + end * (x1 - x0)
    return max(0.0, left), max(0.0, y0), min(page.width, max(right, left + 2)), min(page.height, max(y1, y0 + 2))


def _blueness(page: geometry.Upright, image: geometry.Image, boxes: Sequence[Box]) -> list[float]:
    """By how many shades the ink of each box is bluer than its paper; nothing on a page without blue."""
    red, _, blue = cv2.split(image)
    over = np.asarray(cv2.subtract(blue, red), np.uint8)
    if float((over[::3, ::3] > COLOURED).mean()) < SHARE:
        return []
    coloured = page.of(over)
    return [_shade(page.view(box).pixels, coloured.view(box).pixels) for box in boxes]


def _shade(grey: geometry.Image, over: geometry.Image) -> float:
    dark, paper = np.percentile(grey, (2, 90))
    ink = grey < (dark + paper) / 2
    if grey.shape != over.shape or not ink.any() or ink.all():
        return 0.0
    return float(np.median(over[ink])) - float(np.median(over[~ink]))


def _is_number(reader: DigitReader, page: geometry.Upright, text: str, box: Box) -> bool:
    """Whether the word is a number that a hand wrote."""
    if sum(c.isdigit() for c in text) < FEWEST:
        return False
    look = reader.look(page.view(box).pixels)
    return look is not None and look.handwritten >= HAND
