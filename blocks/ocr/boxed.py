"""Numbers in boxes, one digit a box, as forms ask for identity and BHXH numbers.

Printed rules stand between the digits, so the reader of lines sees ones and bars among them, or a line of its own for
each box. The rows of boxes are found by their rules, and each box is read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from blocks.ocr import geometry
from blocks.ocr.digits import DigitReader, together
from blocks.ocr.types import Box, Written

DIGITS = tuple("0123456789")
FEWEST = 6  # boxes of a row: fewer are parts of a table
LOW, HIGH = 3.5 / 210, 13 / 210  # height of a box, of the page's width
THICK = 1.2 / 210  # of a rule
LEVEL, EQUAL = 0.2, 0.12  # of its height, how far the rules of a row differ; of its width, how far boxes do
SHAPES = (0.45, 1.6)  # width of a box by its height
INSIDE = 0.1  # of its sides: what is nearer to a rule isn't looked at
DARK = 60  # shades below paper
OTHER = 0.02  # probability of a second choice from which it is kept

Rule = tuple[float, float, float]  # x, top, bottom


def boxed_numbers(reader: DigitReader, page: geometry.Upright) -> list[Written]:
    """What stands in each row of boxes of an upright page; boxes left empty at its end don't count."""
    grey = page.view((0.0, 0.0, float(page.width), float(page.height))).pixels
    return [w for row in rows_of_boxes(grey) if (w := _read(reader, page, grey, row)) is not None]


def rows_of_boxes(grey: geometry.Image) -> list[list[Box]]:
    """Rows of equal boxes that share their sides, from left to right."""
    left = sorted(_rules(grey))
    found: list[list[Box]] = []
    while left:
        row = max((_row(left, n) for n in range(len(left))), key=len, default=[])
        if len(row) <= FEWEST:
            return found
        top, bottom = max(rule[1] for rule in row), min(rule[2] for rule in row)
        found.append([(a[0], top, b[0], bottom) for a, b in pairwise(row)])
        x0, x1 = row[0][0], row[-1][0]
        left = [r for r in left if not (x0 <= r[0] <= x1 and top <= (r[1] + r[2]) / 2 <= bottom)]
    return found


def _rules(grey: geometry.Image) -> list[Rule]:
    """Upright rules as high as boxes are."""
    width = grey.shape[1]
    paper = float(np.median(grey[::7, ::7]))
    ink = (grey < paper - DARK).astype(np.uint8)
    upright = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((max(3, round(LOW * width)), 1), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    return [
        (x + wide / 2, float(y), float(y + high))
        for x, y, wide, high, _ in stats[1:].tolist()
        if wide <= max(3, THICK * width) and high <= HIGH * width
    ]


def _row(rules: Sequence[Rule], first: int) -> list[Rule]:
    """The longest row of rules that begins with this one; what a hand drew between two of them is passed over."""
    x, top, bottom = rules[first]
    high = bottom - top
    level = [r for r in rules[first + 1 :] if abs(r[1] - top) < LEVEL * high and abs(r[2] - bottom) < LEVEL * high]
    best: list[Rule] = []
    for second in level:
        wide = second[0] - x
        if not SHAPES[0] * high <= wide <= SHAPES[1] * high:
            continue
        row = [rules[first], second]
        while after := [r for r in level if abs(r[0] - row[-1][0] - wide) < EQUAL * wide + 2]:
            row.append(min(after, key=lambda r: abs(r[0] - row[-1][0] - wide)))
        best = max(best, row, key=len)
    return best


def _read(reader: DigitReader, page: geometry.Upright, grey: geometry.Image, row: list[Box]) -> Written | None:
    """Digit by digit; None where a box between two digits is empty."""
    digits = [_digit(reader, grey, box) for box in row]
    while digits and not digits[-1]:
        digits.pop()
    if len(digits) < FEWEST or not all(digits):
        return None
    text, chance = "".join(d[0][0] for d in digits), float(np.prod([d[0][1] for d in digits]))
    others = [
        (text[:n] + other + text[n + 1 :], round(chance / digit[0][1] * second, 4))
        for n, digit in enumerate(digits)
        for other, second in digit[1:]
        if chance / digit[0][1] * second >= OTHER
    ]
    place = page.back_box((*row[0][:2], *row[-1][2:]))
    return Written(place, ((text, round(chance, 4)), *sorted(others, key=lambda o: -o[1])[:4]))


def _digit(reader: DigitReader, grey: geometry.Image, box: Box) -> list[tuple[str, float]]:
    """What stands in a box, the likeliest first; nothing where it is empty."""
    x0, y0, x1, y1 = box
    aside, above = INSIDE * (x1 - x0) + 1, INSIDE * (y1 - y0)
    part = grey[round(y0 + above) : round(y1 - above), round(x0 + aside) : round(x1 - aside)]
    look = reader.look(np.ascontiguousarray(part)) if part.size else None
    if look is None:
        return []
    read = together([look], 1, DIGITS)
    return [(read.text, read.probability), *read.others] if read.text else []
