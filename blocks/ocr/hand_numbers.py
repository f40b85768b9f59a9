"""Numbers in forms that a hand wrote: identity numbers, dates, amounts are read a second time, digit by digit.

The reader of lines takes a written 1 for a slash, a 5 for an S and leaves digits out. What the reader of digits makes
of such a place is kept beside the line, whose own text stays as it was read. It is never sure; extraction says what it
is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from blocks.ocr import geometry
from blocks.ocr.boxed import boxed_numbers
from blocks.ocr.digits import DigitReader, together
from blocks.ocr.pens import HAND
from blocks.ocr.readers import RawLine, words
from blocks.ocr.types import Box, Written

LIKE_DIGITS = frozenset("0123456789oOQDCIlLÌÍÎìíî|/\\[]{}()!SsZzqgGBbtTJjAaY")  # what digits are read as
FILL = frozenset(".:,;-–_'’ ")  # between digits
SHORTEST, LEAST = 4, 2  # characters like digits in a number, and digits among them
SHARE = 0.75  # of its characters that are like digits or between them
ABOVE, ASIDE, FURTHER = 0.3, 0.12, 0.3  # room round the place, of its height; at its end a digit may not have been read
TIGHT = 0.15  # of its height: the second look is lower by this


def with_numbers(reader: DigitReader, page: geometry.Upright, lines: Sequence[RawLine]) -> list[RawLine]:
    """The lines of an upright page with what the reader of digits sees in numbers by hand, and in rows of boxes.

    A row of boxes is kept with the line that is nearest to it.
    """
    boxes = boxed_numbers(reader, page) if lines else []
    found = [
        [w for box in _places(line) if (w := _read(reader, page, box)) is not None and not _covered(w, boxes)]
        if any(line.by_hand)
        else []
        for line in lines
    ]
    middles = [page.back(line.polygon).mean(0) for line in lines]
    for box in boxes:
        at = ((box.box[0] + box.box[2]) / 2, (box.box[1] + box.box[3]) / 2)
        found[int(np.argmin([np.hypot(*(middle - at)) for middle in middles]))].append(box)
    return [replace(line, written=tuple(own)) if own else line for line, own in zip(lines, found, strict=True)]


def _covered(written: Written, boxes: Sequence[Written]) -> bool:
    x, y = (written.box[0] + written.box[2]) / 2, (written.box[1] + written.box[3]) / 2
    return any(b.box[0] <= x <= b.box[2] and b.box[1] <= y <= b.box[3] for b in boxes)


def _places(line: RawLine) -> list[Box]:
    """Where words stand that are like numbers, those beside each other as one, with what is free round them."""
    (x0, y0), (x1, y1) = line.polygon.min(0).tolist(), line.polygon.max(0).tolist()
    spans, high = words(line), y1 - y0
    numeric = [_like(span.text) for span in spans]
    found, first = [], None
    for n in range(len(spans) + 1):
        if n < len(spans) and numeric[n]:
            first = n if first is None else first
            continue
        if first is not None and _number("".join(s.text for s in spans[first:n])) and any(line.by_hand[first:n]):
            before = spans[first - 1].end if first else 0.0
            after = spans[n].start if n < len(spans) else 1.0 + FURTHER * high / max(1.0, x1 - x0)
            left = max(x0 + before * (x1 - x0), x0 + spans[first].start * (x1 - x0) - ASIDE * high)
            right = min(x0 + after * (x1 - x0), x0 + spans[n - 1].end * (x1 - x0) + FURTHER * high)
            found.append((left, y0 - ABOVE * high, right, y1 + ABOVE * high))
        first = None
    return found


def _like(text: str) -> bool:
    return sum(c in LIKE_DIGITS or c in FILL for c in text) >= SHARE * len(text) and not text.isalpha()


def _number(text: str) -> bool:
    return sum(c in LIKE_DIGITS for c in text) >= SHORTEST and sum(c.isdigit() for c in text) >= LEAST


def _read(reader: DigitReader, page: geometry.Upright, box: Box) -> Written | None:
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(page.width), box[2]), min(float(page.height), box[3])
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    lower = TIGHT * (y1 - y0)
    cuts = [(x0, y0, x1, y1), (x0, y0 + lower, x1, y1 - lower)]
    looks = [look for cut in cuts if (look := reader.look(page.view(cut).pixels)) is not None]
    read = together(looks, len(cuts))
    if not read.text or read.handwritten < HAND:
        return None
    return Written(page.back_box((x0, y0, x1, y1)), ((read.text, round(read.probability, 4)), *read.others))
