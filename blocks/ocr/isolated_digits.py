"""Numbers that stand alone: serial numbers in tables, numbers of pages and of paragraphs.

The detector draws a tight box round a single digit, and the recogniser, which learned on lines with room round them,
makes a word of it. Such a box is shown to it again with the room of a line; it counts only as a sure number.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from blocks.ocr import geometry
from blocks.ocr.readers import PageReader, RawLine

ROOM = (0.15, 0.3, 0.45)  # round the ink, of its height: tried in turn
DOUBTFUL, SURE = 0.9, 0.95
WIDEST, TALLEST = 1.6, 1.5  # of its height; of the usual height of lines
_NUMBER = re.compile(r"\d{1,3}[.)]?")


def read_lone_numbers(reader: PageReader, page: geometry.Upright, lines: list[RawLine]) -> list[RawLine]:
    """The lines of an upright page, with boxes of one number read anew where they were doubtful."""
    usual = float(np.median([np.ptp(line.polygon[:, 1]) for line in lines])) if lines else 0.0
    doubtful = [i for i, line in enumerate(lines) if line.confidence < DOUBTFUL and _narrow(line, usual)]
    inked = {i: box for i in doubtful if (box := _ink(page, lines[i])) is not None}
    result = list(lines)
    for room in ROOM:
        left = [i for i in inked if result[i] is lines[i]]
        if not left:
            break
        crops = [_crop(page, inked[i], room) for i in left]
        for i, (text, score) in zip(left, reader.recognise(crops), strict=True):
            if score >= SURE and _NUMBER.fullmatch(text):
                result[i] = replace(lines[i], text=text, confidence=score, positions=())
    return result


def _narrow(line: RawLine, usual: float) -> bool:
    width, height = np.ptp(line.polygon, axis=0)
    return bool(width <= WIDEST * height and height <= TALLEST * usual)


def _ink(page: geometry.Upright, line: RawLine) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of what is dark in the line's box."""
    (left, top), (right, bottom) = np.rint(line.polygon.min(0)).astype(int), np.rint(line.polygon.max(0)).astype(int)
    left, top = max(0, int(left)), max(0, int(top))
    part = _part(page, left, top, int(right), int(bottom))
    if part is None:
        return None
    dark = part < (float(part.min()) + float(np.median(part))) / 2
    ys, xs = np.flatnonzero(dark.sum(1) > 1), np.flatnonzero(dark.sum(0) > 1)
    if not len(ys) or not len(xs):
        return None
    return left + int(xs[0]), top + int(ys[0]), left + int(xs[-1]) + 1, top + int(ys[-1]) + 1


def _crop(page: geometry.Upright, box: tuple[int, int, int, int], room: float) -> geometry.Image:
    x0, y0, x1, y1 = box
    edge = round(room * (y1 - y0))
    part = _part(page, x0 - edge, y0 - edge, x1 + edge, y1 + edge)
    assert part is not None  # there is ink in it
    return part


def _part(page: geometry.Upright, x0: int, y0: int, x1: int, y1: int) -> geometry.Image | None:
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(page.width, x1), min(page.height, y1)
    return page.view((x0, y0, x1, y1)).pixels if x1 > x0 and y1 > y0 else None
