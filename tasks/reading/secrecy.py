"""Dấu chỉ mức độ mật (Điều 5.4; SC13): whether a page that was read may bear one.

What this finds hides the paper and asks the unit's leader; it destroys nothing (tasks/scope/quarantine.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from blocks.ocr.types import Box, PageText
from tasks.extraction.layout import upright

# Highest first. The stamps stand alone in a frame, in capitals (Thông tư 24/2020/TT-BCA); OCR reads the sides of the
# frame as letters. A short stamp has its marks: other marks make other words.
_LEVELS = ("TUYET_MAT", "TOI_MAT", "MAT")
# Words of the text that end in `mặt`, `mật`: tiền mặt, bề mặt, vắng mặt, có mặt, gặp mặt, bảo mật, bí mật, nước mật …
COMPANIONS = {"TIEN", "BE", "VANG", "CO", "GAP", "DOI", "NGOAI", "TRUOC", "BAO", "BI", "THAN", "HO"}
_FRAME = r"[IJLTCSDil1!|\[\](){}\W_]{0,3}"
_STAMP = re.compile(
    rf"{_FRAME}(?:(?P<TUYET_MAT>TUY[ÊẾỆỂẾE]T\W?M[ẬÂẤĂẶẮA]T)|(?P<TOI_MAT>T[ỐÔỒỔÓO]I\W?M[ẬÂẤĂẶẮA]T)|(?P<MAT>M[ẬÂẶ]T)){_FRAME}"
)
CELLS = 2  # so many others of its column, each in a row with a number, make a cell of a list


@dataclass(frozen=True)
class _Place:
    """A line and its box on the upright page."""

    text: str
    box: Box
    confidence: float
    red: bool

    @property
    def height(self) -> float:
        return max(self.box[3] - self.box[1], 1.0)

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def secrecy_level(pages: Sequence[PageText]) -> str | None:
    """MAT, TOI_MAT or TUYET_MAT when a page may bear that stamp (SC13), the highest; else None.

    A stamp is a line of its own that holds nothing but the word, in capitals, printed or stamped. The words in running
    text ("bảo mật", "bí mật"), names ("Trần Thị Mật") and cells of a list don't count.
    """
    found = set()
    for page in pages:
        lines = [_Place(line.text, upright(line, page), line.confidence, line.red) for line in page.lines]
        found |= {_stamp(line, [other for other in lines if other is not line]) for line in lines}
    return next((level for level in _LEVELS if level in found), None)


def _stamp(line: _Place, others: Sequence[_Place]) -> str | None:
    """The level of a line that is a stamp, or may be one; what is more likely a word of the text isn't.

    `TIỀN` over `MẶT` in the head of a table is `tiền mặt`. In doubt it is a stamp: the paper is only hidden then.
    """
    match = _STAMP.fullmatch(line.text.replace(" ", ""))
    if not match or line.confidence < 0.4:
        return None
    if match.lastgroup == "MAT" and not line.red:
        near = [other for other in others if _touches(line.box, other.box)]
        if any(_last_word(other.text) in COMPANIONS for other in near):
            return None
        if near and "Ặ" in match["MAT"].upper():  # a stamp stands alone, and its mark is under a plain circumflex
            return None
        if _cell(line, others):
            return None
    return match.lastgroup


def _cell(line: _Place, others: Sequence[_Place]) -> bool:
    """Whether the line is a cell of a list: `MẬT` as a name, or the end of one that a narrow column broke.

    It stands in a row with a number and below or above words of its size that do, too. A stamp stands in the head of
    the paper, where nothing but a number stands in a row: no number and symbol, no place and date.
    """
    numbers = [other for other in others if _numeric(other.text)]

    def in_row(item: _Place) -> bool:
        apart = (number for number in numbers if number.box[0] > item.box[2] or number.box[2] < item.box[0])
        return any(abs(number.middle - item.middle) < 1.5 * line.height for number in apart)

    def alike(item: _Place) -> bool:
        centres = (item.box[0] + item.box[2] - line.box[0] - line.box[2]) / 2
        column = min(abs(item.box[0] - line.box[0]), abs(centres)) < line.height
        return column and 0.7 < item.height / line.height < 1.4 and not _numeric(item.text)

    return in_row(line) and sum(alike(other) and in_row(other) for other in others) >= CELLS


def _numeric(text: str) -> bool:
    """A serial number, a date, an amount: nothing but digits and what stands between them."""
    return re.fullmatch(r"[\d\s.,/:|-]*\d[\d\s.,/:|-]*", text) is not None


def _touches(line: Box, other: Box) -> bool:
    """Whether another line stands right above, below or beside: nearer than a line is high."""
    (x0, y0, x1, y1), (a0, b0, a1, b1) = line, other
    high = max(y1 - y0, 1.0)
    apart_x, apart_y = max(a0 - x1, x0 - a1), max(b0 - y1, y0 - b1)
    return max(apart_x, 0.0) <= high and max(apart_y, 0.0) <= high and min(apart_x, apart_y) <= 0


def _last_word(text: str) -> str:
    """The last word of a line, without marks: TIỀN is TIEN."""
    words = text.upper().split()
    plain = unicodedata.normalize("NFD", words[-1] if words else "")
    return "".join(c for c in plain if not unicodedata.combining(c)).strip(".,:;()")
