"""Patch codes: the sheets with four black bars that document scanners know as separators (Patch T, Patch 2, Patch 3).

Published geometry: four bars, two of them 0.20 inch wide and two 0.08, spaces of 0.08 between them, 0.80 altogether, at
least 2 inches long; which of the bars are the wide ones tells the patch. Read from the other side T is 3: both part.
Found by the shape of the bars, at any angle; what else is on the sheet doesn't matter, except close to the bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 800  # pixels of the shorter side in which bars are looked for: a narrow one is 8 of A4's
PARTING = {"0101", "1010", "1001"}  # T, 3 and 2; 1: a wide bar. 1, 4 and 6 switch a scanner's modes and part nothing
DARK = 0.62  # of the paper's brightness: what is darker is ink
FILLED = 0.82  # of the box around a bar: frames, letters and underlined words hold less
SLENDER = 7.0  # length by width of a bar: the wide ones are at least 10
ALIKE = 0.08  # lengths of the bars of one code differ by less
TURN = 2.5  # degrees, likewise their directions
WHOLE = (0.055, 0.16)  # all bars and spaces, by the page's shorter side: 0.097 of A4
UNITS, LONG = (
    10.0,
    21.0,
)  # narrow widths in the whole code; and in the length of its bars, at least (25 by the standard)
NARROW, WIDE = (0.45, 1.6), (1.75, 3.2)  # in narrow widths: copiers make bars wider and spaces narrower
QUIET = 1.6  # narrow widths before the first and behind the last bar in which nothing else stands


@dataclass(frozen=True)
class _Bar:
    """length, width: pixels; angle: of its length, degrees from 0 to 180."""

    x: float
    y: float
    length: float
    width: float
    angle: float


def parts_by_patch(grey: npt.NDArray[np.uint8]) -> bool:
    """Whether a patch code that parts documents stands on this page. grey: (H, W), 0 black."""
    scale = SIDE / min(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    paper = float(np.median(grey))
    if paper < 80:  # a dark page: nothing is said of it
        return False
    ink = (grey < DARK * paper).astype(np.uint8)
    bars = list(_bars(ink, min(grey.shape)))
    return any(_pattern(four, ink) in PARTING for four in _fours(bars, min(grey.shape)))


def _bars(ink: npt.NDArray[np.uint8], side: int) -> Iterator[_Bar]:
    """Filled oblong shapes that may be bars of a patch code."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=4)
    least = WHOLE[0] / UNITS * LONG * side
    for label in range(1, count):
        left, top, wide, high, area = (int(value) for value in stats[label])
        if max(wide, high) < 0.7 * least or area < least * 1.5:
            continue
        points = np.argwhere(labels[top : top + high, left : left + wide] == label)[:, ::-1].astype(np.float32)
        (x, y), (a, b), angle = cv2.minAreaRect(points)
        length, width = max(a, b) + 1, min(a, b) + 1
        if length < least or length < SLENDER * width or area < FILLED * length * width:
            continue
        yield _Bar(x + left, y + top, length, width, (angle if a >= b else angle + 90) % 180)


def _fours(bars: Sequence[_Bar], side: int) -> Iterator[list[_Bar]]:
    """Four bars beside each other, of one length and direction, in their order across."""
    for first in bars:
        direction = np.radians(first.angle)
        along, across = (
            np.array([np.cos(direction), np.sin(direction)]),
            np.array([-np.sin(direction), np.cos(direction)]),
        )
        beside = []
        for other in bars:
            offset = np.array([other.x - first.x, other.y - first.y])
            turned = abs((other.angle - first.angle + 90) % 180 - 90)
            if (
                turned < TURN
                and abs(other.length - first.length) < ALIKE * first.length
                and abs(float(offset @ along)) < ALIKE * first.length
                and 0 <= float(offset @ across) < WHOLE[1] * side
            ):
                beside.append((float(offset @ across), other))
        beside.sort(key=lambda item: item[0])
        if 4 <= len(beside) <= 8 and beside[0][1] is first:
            yield from ([first, *(bar for _, bar in three)] for three in combinations(beside[1:], 3))


def _pattern(bars: Sequence[_Bar], ink: npt.NDArray[np.uint8]) -> str:
    """Which bars are wide, as 1001; "" where they are no patch code."""
    direction = np.radians(bars[0].angle)
    across = np.array([-np.sin(direction), np.cos(direction)])
    places = [float(np.array([bar.x, bar.y]) @ across) for bar in bars]
    whole = places[3] - places[0] + (bars[0].width + bars[3].width) / 2
    unit = whole / UNITS
    if not WHOLE[0] * min(ink.shape) <= whole <= WHOLE[1] * min(ink.shape) or bars[0].length < LONG * unit:
        return ""
    spaces = [
        places[n + 1] - places[n] - (bars[n].width + bars[n + 1].width) / 2 for n in range(3)
    ]  # a bar between them would stand in a space that is too wide
    if not all(NARROW[0] <= space / unit <= NARROW[1] for space in spaces):
        return ""
    found = ""
    for bar in bars:
        if WIDE[0] <= bar.width / unit <= WIDE[1]:
            found += "1"
        elif NARROW[0] <= bar.width / unit <= NARROW[1]:
            found += "0"
    return found if len(found) == 4 and found.count("1") == 2 and _alone(bars, ink, unit) else ""


def _alone(bars: Sequence[_Bar], ink: npt.NDArray[np.uint8], unit: float) -> bool:
    """Whether nothing stands close before the first and behind the last bar: bars of a longer code would."""
    direction = np.radians(bars[0].angle)
    along, across = np.array([np.cos(direction), np.sin(direction)]), np.array([-np.sin(direction), np.cos(direction)])
    steps = np.linspace(-0.4, 0.4, 41)
    for bar, side in ((bars[0], -1), (bars[3], 1)):
        for beyond in np.linspace(0.7, QUIET, 4):
            away = side * (bar.width / 2 + beyond * unit)
            spots = np.array([bar.x, bar.y]) + away * across + steps[:, None] * bar.length * along
            inside = spots[(spots >= 0).all(1) & (spots[:, 0] < ink.shape[1]) & (spots[:, 1] < ink.shape[0])].astype(
                int
            )
            if len(inside) and ink[inside[:, 1], inside[:, 0]].mean() > 0.25:
                return False
    return True
