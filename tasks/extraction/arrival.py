"""The stamp of an office that received a paper: `ĐẾN – Số: … – Ngày: …` (Nghị định 30/2020, phụ lục IV).

Its number and day are that office's, never the paper's own: what stands in it is no number and no day of issue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from blocks.ocr.types import Box
from tasks.extraction.layout import Page, Row

_HEADING = re.compile(r"\W*(?:(?:CONG\s?VAN|VAN\s?BAN|HO\s?SO|TAI\s?LIEU)\s?)?DEN\W*(?:SO\b.*)?")
_OWN = re.compile(r"\W*(?:SO|NGAY|CHUYEN|LUU|GIO)\b")  # how the lines of the stamp begin
_SYMBOL = re.compile(r"/\s?[A-Z]{1,5}\s?-\s?[A-Z]")  # of a paper's own number; stamps have none
LEFT, RIGHT, UP, DOWN = 30.0, 45.0, 4.0, 32.0  # mm round the heading


def without_arrivals(page: Page, rows: Iterable[Row]) -> list[Row]:
    """The rows that don't stand in such a stamp."""
    stamps = _stamps(page)
    return [row for row in rows if not any(_inside(row, stamp) for stamp in stamps)]


def _stamps(page: Page) -> list[Box]:
    mm = page.width / 210
    found = []
    for row in page.parts:
        if _HEADING.fullmatch(row.folded) and row.box[1] < 0.6 * page.height:
            x0, y0, x1, y1 = row.box
            found.append((x0 - LEFT * mm, y0 - UP * mm, x1 + RIGHT * mm, y1 + DOWN * mm))
    return found


def _inside(row: Row, stamp: Box) -> bool:
    x, y = row.box[0], (row.box[1] + row.box[3]) / 2
    if not (stamp[0] <= x <= stamp[2] and stamp[1] <= y <= stamp[3]):
        return False
    return bool(_OWN.match(row.folded)) and not _SYMBOL.search(row.folded)
