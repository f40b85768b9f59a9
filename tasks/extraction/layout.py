"""A page as rows of text that remember where each word stands.

Rows are those of the upright page. In the two-column head of a paper left and right column have rows of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from blocks.ocr.geometry import back_matrix, to_upright
from blocks.ocr.order import head_columns, rows
from blocks.ocr.types import Box, Code, Line, PageText, Word, Written
from tasks.extraction.letters import fold
from tasks.extraction.written import Doubtful, settled

HEAD_PHRASES = ("CONG HOA XA HOI CHU NGHIA VIET NAM", "DOC LAP - TU DO - HANH PHUC")
LEFT, RIGHT, BODY = "left", "right", "body"  # column of a row: head left, head right, below the head


@dataclass(frozen=True)
class Piece:
    """One word of a row: where it stands in the row's text and on the stored image."""

    start: int
    end: int
    box: Box  # stored image
    at: Box  # upright page
    line: int  # which of the row's lines it stands in
    doubt: float  # letters of that line that are expected to be wrong
    proposal: bool = False  # written by hand, or read in two ways


@dataclass(frozen=True)
class Row:
    page: int  # 1-based in the PDF
    text: str  # words with one space between
    pieces: tuple[Piece, ...]
    box: Box  # upright page
    column: str
    red: bool = False
    cells: tuple[Row, ...] = ()  # the lines that OCR found, where they are several
    slope: float = 0.0  # of the first line on the upright page: what is left of the skew, downwards to the right

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def parts(self) -> tuple[Row, ...]:
        """What stands side by side in it; itself, where nothing does."""
        return self.cells or (self,)

    @property
    def middle(self) -> float:
        return (self.box[0] + self.box[2]) / 2

    @property
    def capital(self) -> bool:
        """In capitals: headings (`QUYẾT ĐỊNH:`) and offices (`GIÁM ĐỐC`) are."""
        letters = [c for c in self.text if c.isalpha()]
        return len(letters) > 3 and sum(c.isupper() for c in letters) > 0.9 * len(letters)

    def evidence(self, start: int, end: int) -> tuple[Box | None, float]:
        """Box on the stored image of a part of the text, and how many letters of its lines may be wrong."""
        part = [p for p in self.pieces if p.start < end and p.end > start]
        return union([p.box for p in part]), doubt(part)

    def proposal(self, start: int, end: int) -> bool:
        """Whether a hand wrote in this part of the text, or it was read in two ways."""
        return any(p.proposal for p in self.pieces if p.start < end and p.end > start)


@dataclass(frozen=True)
class Page:
    number: int
    width: float  # of the upright page, pixels
    height: float
    rows: tuple[Row, ...]
    head_end: float  # y where the two-column head ends; 0 without one
    engine: str
    codes: tuple[Code, ...] = ()
    legibility: float = 1.0  # mean confidence of its letters, 0..1
    rotation: int = 0  # of the stored image, see PageText
    skew: float = 0.0
    written: tuple[Written, ...] = ()  # numbers that a hand wrote, on the stored image

    def stored(self, box: Box) -> Box:
        """A box of the upright page on the stored image."""
        wide, high = (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)
        back = back_matrix(round(wide), round(high), self.rotation, self.skew)
        x0, y0, x1, y1 = box
        return _around(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ back[:, :2].T + back[:, 2])

    @property
    def parts(self) -> list[Row]:
        return [part for row in self.rows for part in row.parts]

    def column(self, name: str) -> list[Row]:
        return [row for row in self.rows if row.column == name]


def doubt(pieces: Sequence[Piece]) -> float:
    """Letters expected to be wrong in the lines of one row that the pieces stand in.

    A line's confidence is the mean of its letters', so in a long line one doubtful letter hardly shows in it.
    """
    return sum({piece.line: piece.doubt for piece in pieces}.values())


def union(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    xs0, ys0, xs1, ys1 = zip(*boxes, strict=True)
    return min(xs0), min(ys0), max(xs1), max(ys1)


def read_page(number: int, text: PageText) -> Page:
    """number: 1-based in the PDF."""
    turned = text.rotation in (90, 270)
    width, height = (text.height, text.width) if turned else (text.width, text.height)
    lines = [part for line in text.lines if line.text.strip() for part in _split_head(settled(line))]
    boxes = [upright(line, text) for line in lines]
    head = head_columns(boxes, [line.text for line in lines], width, height)
    result: list[Row] = []
    for name in (LEFT, RIGHT, BODY):
        chosen = [i for i, box in enumerate(boxes) if _column(box, head) == name]
        for group in rows([boxes[i] for i in chosen]):
            members = [chosen[k] for k in group]
            result.append(_row(number, name, [lines[i] for i in members], [boxes[i] for i in members], text))
    order = {LEFT: 0, RIGHT: 1, BODY: 2}
    result.sort(key=lambda row: (order[row.column], row.box[1]))
    letters = sum(len(line.text) for line in lines)
    legibility = sum(line.confidence * len(line.text) for line in lines) / letters if letters else 1.0
    end = head[1] if head else 0.0
    written = tuple(item for line in text.lines for item in line.written)
    return Page(
        number,
        width,
        height,
        tuple(result),
        end,
        text.engine,
        text.codes,
        legibility,
        text.rotation,
        text.skew,
        written,
    )


def _column(box: Box, head: tuple[float, float] | None) -> str:
    if head is None or (box[1] + box[3]) / 2 >= head[1]:
        return BODY
    return LEFT if (box[0] + box[2]) / 2 < head[0] else RIGHT


def _corners(polygon: Sequence[tuple[float, float]], page: PageText) -> NDArray[np.float64]:
    corners = np.array(polygon, dtype=np.float64)
    if page.rotation or page.skew:
        corners = to_upright(corners, page.width, page.height, page.rotation, page.skew)
    return corners


def upright(line: Line, page: PageText) -> Box:
    """The line's box on the upright page."""
    return _around(_corners(line.polygon, page))


def _around(corners: NDArray[np.float64]) -> Box:
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def _slope(line: Line, page: PageText) -> float:
    corners = _corners(line.polygon, page)
    run, rise = corners[1] - corners[0]
    return float(rise / run) if abs(run) > 1 else 0.0


def _row(number: int, column: str, lines: list[Line], boxes: list[Box], page: PageText) -> Row:
    text, pieces = "", []
    for number_of_line, line in enumerate(lines):
        wrong = (1 - line.confidence) * len(line.text)
        for word in line.words or (Word(line.text, line.box),):
            text += " " if text else ""
            x0, y0, x1, y1 = word.box
            at = _around(_corners(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), page))
            end, proposal = len(text) + len(word.text), isinstance(word, Doubtful)
            pieces.append(Piece(len(text), end, word.box, at, number_of_line, wrong, proposal))
            text += word.text
    whole = union(boxes)
    assert whole is not None
    several = zip(lines, boxes, strict=True) if len(lines) > 1 else ()
    cells = tuple(_row(number, column, [line], [box], page) for line, box in several)
    red = all(line.red for line in lines)
    return Row(number, text, tuple(pieces), whole, column, red, cells, _slope(lines[0], page))


def _split_head(line: Line) -> list[Line]:
    """A line of the head that OCR read over both columns, cut where the national title or motto begins."""
    folded = fold(line.text)
    for phrase in HEAD_PHRASES:
        if len(folded) < len(phrase) + 4 or not line.words:
            continue
        at = fuzz.partial_ratio_alignment(phrase, folded, score_cutoff=82)
        if at is None or at.dest_start < 4:
            continue
        position, count = 0, 0
        for count, word in enumerate(line.words):  # noqa: B007
            if position >= at.dest_start - 1:
                break
            position += len(word.text) + 1
        parts = (line.words[:count], line.words[count:])
        return [_part(line, part) for part in parts if part]
    return [line]


def _part(line: Line, words: tuple[Word, ...]) -> Line:
    box = union([word.box for word in words])
    assert box is not None
    x0, y0, x1, y1 = box
    return Line(
        " ".join(word.text for word in words),
        line.confidence,
        ((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
        words,
        line.red,
    )
