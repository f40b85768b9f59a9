"""Where a box stands on a page as people see it: CropBox ∩ MediaBox, rotation, UserUnit (ISO 32000-1, 7.7.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

MM = 72 / 25.4  # points in a millimetre
Rect = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True)
class SeenPage:
    """A page as displayed. visible: user space; rotation: clockwise degrees; unit: points in a unit of user space."""

    visible: Rect
    rotation: int = 0
    unit: float = 1.0

    @property
    def width(self) -> float:
        """Points, as seen."""
        return self._size[0]

    @property
    def height(self) -> float:
        """Points, as seen."""
        return self._size[1]

    @property
    def _size(self) -> tuple[float, float]:
        x0, y0, x1, y1 = self.visible
        size = (x1 - x0) * self.unit, (y1 - y0) * self.unit
        return size if self.rotation in (0, 180) else (size[1], size[0])

    def rect(self, left: float, top: float, width: float, height: float) -> Rect:
        """Points from the top left corner as seen → rectangle in user space, ordered, rounded to 1/1000."""
        first, second = self._user(left, top), self._user(left + width, top + height)
        xs, ys = sorted((first[0], second[0])), sorted((first[1], second[1]))
        return round(xs[0], 3), round(ys[0], 3), round(xs[1], 3), round(ys[1], 3)

    def _user(self, x: float, y: float) -> tuple[float, float]:
        x, y = x / self.unit, y / self.unit
        x0, y0, x1, y1 = self.visible
        return {
            0: (x0 + x, y1 - y),
            90: (x0 + y, y0 + x),
            180: (x1 - x, y0 + y),
            270: (x1 - y, y1 - x),
        }[self.rotation]

    def seen_size(self, rect: Rect) -> tuple[float, float]:
        """(width, height) in points as seen of a rectangle in user space."""
        size = abs(rect[2] - rect[0]) * self.unit, abs(rect[3] - rect[1]) * self.unit
        return size if self.rotation in (0, 180) else (size[1], size[0])


def first_page(writer: IncrementalPdfFileWriter) -> SeenPage:
    """The first page of an open PDF. Raises ValueError when its boxes leave nothing visible."""
    page = writer.find_page_for_modification(0)[0].get_object()  # type: ignore[no-untyped-call]
    media = _box(_inherited(page, "/MediaBox", [0, 0, 612, 792]))
    crop = _box(_inherited(page, "/CropBox", list(media)))
    visible = max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3])
    if visible[0] >= visible[2] or visible[1] >= visible[3]:
        visible = media  # viewers ignore a CropBox that lies outside
    unit = float(page.get("/UserUnit", 1))
    if visible[0] >= visible[2] or visible[1] >= visible[3] or unit <= 0:
        raise ValueError("the first page has no visible area")
    rotation = round(int(_inherited(page, "/Rotate", 0)) / 90) * 90 % 360
    return SeenPage(visible, rotation, unit)


def _inherited(page: Any, key: str, default: Any) -> Any:
    for _ in range(64):  # deeper trees are loops
        if key in page:
            return page[key]
        if "/Parent" not in page:
            break
        page = page["/Parent"]
    return default


def _box(values: Any) -> Rect:
    a, b, c, d = (float(value) for value in values)
    return min(a, c), min(b, d), max(a, c), max(b, d)
