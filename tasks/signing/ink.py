"""What is printed on page 1, so that a signature's box doesn't lie on it (Điều 8.1; NĐ 30/2020, appendix I).

The page is drawn small, as seen. A box that would cover print moves within its corner, as little as possible; where
the corner is full it takes the emptiest place. The officer and the agency each keep their own corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.capture.drawn import PageUndrawable, first_page_grey
from tasks.signing.geometry import MM

ACROSS = 900  # pixels of the drawing
CONTRAST = 60  # of 255, darker than the paper: print
FREE = 0.0005  # share of a box that may be dark: specks
GAP = 1 * MM  # between a box and print
EDGE = 3 * MM  # nearest to the edge of the page: what office printers still print
REACH = 42 * MM  # how far from its usual place a box may move


@dataclass(frozen=True)
class Spot:
    """Where a box goes, points from the top left as seen; ink: dark share of what it covers there."""

    left: float
    top: float
    ink: float
    moved: bool

    @property
    def overlaps(self) -> bool:
        return self.ink > FREE


class InkMap:
    """Dark pixels of a page as seen, summed up so that the ink below any rectangle is known at once."""

    def __init__(self, dark: NDArray[np.bool_], width: float) -> None:
        """dark: (H, W); width: of the page in points."""
        self._scale = dark.shape[1] / width
        self._sums = np.pad(dark.astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    @classmethod
    def of(cls, path: Path, width: float) -> InkMap:
        """Draw page 1 of a file. Raises ValueError for a page that can't be drawn."""
        try:
            grey = first_page_grey(path, ACROSS).astype(np.int16)
        except PageUndrawable as error:
            raise ValueError("the first page can't be drawn") from error
        return cls(grey < float(np.median(grey)) - CONTRAST, width)

    def share(self, left: float, top: float, width: float, height: float) -> float:
        """Dark share of a rectangle in points from the top left, with the gap that it needs round it."""
        left, top, width, height = left - GAP, top - GAP, width + 2 * GAP, height + 2 * GAP
        rows, columns = self._sums.shape[0] - 1, self._sums.shape[1] - 1
        x0, x1 = (int(min(columns, max(0, round(v * self._scale)))) for v in (left, left + width))
        y0, y1 = (int(min(rows, max(0, round(v * self._scale)))) for v in (top, top + height))
        if x0 >= x1 or y0 >= y1:
            return 0.0
        s = self._sums
        return float(s[y1, x1] - s[y0, x1] - s[y1, x0] + s[y0, x0]) / ((x1 - x0) * (y1 - y0))

    def spot(self, usual: tuple[float, float], size: tuple[float, float], room: tuple[float, float, float]) -> Spot:
        """The free place nearest to the usual one, else the emptiest.

        usual: left and top; size: width and height; room: leftmost left, rightmost right, lowest bottom. Points.
        """
        (left, top), (width, height) = usual, size
        first, last, bottom = room
        here = self.share(left, top, width, height)
        if here <= FREE:
            return Spot(left, top, here, moved=False)
        steps = [float(step) for step in np.arange(-REACH, REACH + 0.1, MM)]
        xs = [left + x for x in steps if first <= left + x and left + x + width <= last]
        ys = [top + y for y in steps if top + y >= EDGE and top + y + height <= bottom]
        places = [(x, y, self.share(x, y, width, height)) for x in xs for y in ys]
        free = [place for place in places if place[2] <= FREE]
        if free:
            x, y, ink = min(free, key=lambda p: (p[0] - left) ** 2 + (p[1] - top) ** 2)
        else:
            x, y, ink = min([*places, (left, top, here)], key=lambda p: p[2])
        return Spot(x, y, ink, moved=(x, y) != (left, top))
