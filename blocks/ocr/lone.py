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


def read_lone_numbers(reader: PageReader, image: geometry.Image, lines: list[RawLine]) -> list[RawLine]:
    """The lines of an upright page (H, W, 3) RGB, with boxes of one number read anew where they were doubtful."""
    usual = float(np.median([np.ptp(line.polygon[:, 1]) for line in lines])) if lines else 0.0
    doubtful = [i for i, line in enumerate(lines) if line.confidence < DOUBTFUL and _narrow(line, usual)]
    inked = {i: box for i in doubtful if (box := _ink(image, lines[i])) is not None}
    result = list(lines)
    for room in ROOM:
        left = [i for i in inked if result[i] is lines[i]]
        if not left:
            break
        crops = [_crop(image, inked[i], room) for i in left]
        for i, (text, score) in zip(left, reader.recognise(crops), strict=True):
            if score >= SURE and _NUMBER.fullmatch(text):
                result[i] = replace(lines[i], text=text, confidence=score, positions=())
    return result


def _narrow(line: RawLine, usual: float) -> bool:
    width, height = np.ptp(line.polygon, axis=0)
    return bool(width <= WIDEST * height and height <= TALLEST * usual)


def _ink(image: geometry.Image, line: RawLine) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of what is dark in the line's box."""
    (left, top), (right, bottom) = np.rint(line.polygon.min(0)).astype(int), np.rint(line.polygon.max(0)).astype(int)
    left, top = max(0, int(left)), max(0, int(top))
    part = geometry.grey(image[top:bottom, left:right]) if bottom > top and right > left else None
    if part is None or part.size == 0:
        return None
    dark = part < (float(part.min()) + float(np.median(part))) / 2
    ys, xs = np.flatnonzero(dark.sum(1) > 1), np.flatnonzero(dark.sum(0) > 1)
    if not len(ys) or not len(xs):
        return None
    return left + int(xs[0]), top + int(ys[0]), left + int(xs[-1]) + 1, top + int(ys[-1]) + 1


def _crop(image: geometry.Image, box: tuple[int, int, int, int], room: float) -> geometry.Image:
    x0, y0, x1, y1 = box
    edge = round(room * (y1 - y0))
    height, width = image.shape[:2]
    part = image[max(0, y0 - edge) : min(height, y1 + edge), max(0, x0 - edge) : min(width, x1 + edge)]
    return np.ascontiguousarray(part)
