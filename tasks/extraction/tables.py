"""Lists of people and periods: the rows of a ruled table as fields `special.rows.001.<column>`.

A page's text tells no rules. So columns come from their printed headings and the gaps between what stands below them,
and rows from the cells that are always one line (numbers, dates). Lines of longer cells go to the row in whose middle,
or at whose top, they stand; what stands at no row is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from rapidfuzz import fuzz

from blocks.ocr.types import Box
from tasks.extraction.found import Found, legible
from tasks.extraction.labels import squeeze
from tasks.extraction.layout import Page, Piece, Row, doubt, union
from tasks.extraction.normalise import KINDS
from tasks.extraction.profiles import Column, TableSpec

ALIKE = 80.0  # of 100: how much a heading must be like its label
SKIPPED = 0.6  # heights of a line: what stands farther from every row belongs to none
EMPTY = 0.25  # likewise: an empty cell is less likely than one line in each of two rows
WHOLE, TORN = 0.97, 0.6  # how sure the rule is of a cell
SKIPPED_ROWS = 3  # so many may be missing between two that were read
ASIDE = 0.22  # heights of a line: what stands so far from its row's middle and top has probably lost a line
WORDY = {"text", "name", "agency"}  # kinds whose cells may run over several lines


@dataclass(frozen=True)
class Chunk:
    """A printed line, or its part in one column; box on the page made level."""

    text: str
    box: Box
    pieces: tuple[Piece, ...]
    lift: float  # by which the box was moved up

    @property
    def y(self) -> float:
        return (self.box[1] + self.box[3]) / 2

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Cell:
    """What stands in one column of one row of a page."""

    column: Column
    found: Found
    value: str  # normal form


def read_table(pages: Sequence[Page], spec: TableSpec) -> dict[int, list[Cell]]:
    """The rows by number, over all pages; later pages may go on without headings. Only cells of their column's form."""
    heads: list[Box | None] | None = None
    out: dict[int, list[Cell]] = {}
    for page in pages:
        chunks = _level(page)
        here = _headings(chunks, spec)
        top = max(box[3] for box in here if box) if here else 0.0
        heads = here or heads
        if heads is None:
            continue
        below = [c for c in chunks if c.y > top]
        beside = _beside(below)
        known = _completed(heads, beside, page.width)
        columns = _columns(below, beside, known, page.width)
        rows = list(_rows(columns, spec))
        placed = {id(line) for _, row in rows for lines in row for line in lines}
        loose = [[line for line in column if id(line) not in placed] for column in columns]
        for y, row in rows:
            cells = list(_cells(y, row, loose, spec, known, page.number))
            if sum(cell.column.kind != "count" for cell in cells) > 1:
                out[_number(row, spec, max(out, default=0))] = cells
    return out


def _level(page: Page) -> list[Chunk]:
    """The page's lines, with what is left of its skew taken out; in a photo it changes from top to bottom."""
    lines = [part for row in page.rows if not row.red for part in row.parts]
    long = [row for row in lines if row.box[2] - row.box[0] > 6 * row.height]
    lean, slope = 0.0, median(row.slope for row in long) if long else 0.0
    if len(long) >= 12:
        lean, slope = np.polyfit([row.box[1] for row in long], [row.slope for row in long], 1)
    return [_chunk(row, float(lean * row.box[1] + slope) * (row.box[0] + row.box[2]) / 2) for row in lines]


def _chunk(row: Row, lift: float) -> Chunk:
    x0, y0, x1, y1 = row.box
    return Chunk(row.text, (x0, y0 - lift, x1, y1 - lift), row.pieces, lift)


def _headings(chunks: Sequence[Chunk], spec: TableSpec) -> list[Box | None] | None:
    """Box of each column's heading, from left to right; None where one wasn't read. The band with the most counts."""
    best: list[Box | None] = []
    starts = {
        round(c.y, -1)
        for c in chunks
        if any(_alike(c.text, text) >= ALIKE for col in spec.columns for text in col.label)
    }
    for y in sorted(starts):
        band = [c for c in chunks if abs(c.y - y) < 4 * c.height]
        found = [_heading(band, column.label) for column in spec.columns]
        centres = [(box[0] + box[2]) / 2 for box in found if box]
        if centres == sorted(centres) and len(centres) > sum(box is not None for box in best):
            best = found
    return best if sum(box is not None for box in best) >= max(3, 0.6 * len(spec.columns)) else None


def _alike(text: str, label: str) -> float:
    return fuzz.ratio(squeeze(text)[0], squeeze(label)[0])


def _heading(band: Sequence[Chunk], labels: Sequence[str]) -> Box | None:
    """Lines under each other that together read like one of the labels."""
    best, where = ALIKE, None
    for label in labels:
        for first in band:
            stack, text = [first], first.text
            while (score := _alike(text, label)) < 100:
                under = [c for c in band if _under(c, stack[-1])]
                if not under or _alike(f"{text} {under[0].text}", label) <= score:
                    break
                stack.append(under[0])
                text += " " + under[0].text
            if score > best or (score >= ALIKE and where is None):
                best, where = score, union([c.box for c in stack])
    return where


def _under(lower: Chunk, upper: Chunk) -> bool:
    step = lower.y - upper.y
    shared = min(lower.box[2], upper.box[2]) - max(lower.box[0], upper.box[0])
    return 0.4 * upper.height < step < 1.6 * upper.height and shared > 0


def _beside(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The lines that stand in rows of numbers; headings of sections and what is below the table don't."""
    rows = [y for y, count in _levels([c for c in chunks if _numeric(c.text)]) if count > 1]
    return [c for c in chunks if any(abs(c.y - y) < 0.8 * c.height for y in rows)]


def _completed(heads: Sequence[Box | None], beside: Sequence[Chunk], width: float) -> list[Box | None]:
    """Headings that weren't read, where lines stand free between the neighbouring ones."""
    out = list(heads)
    for i, box in enumerate(heads):
        left = 0.0 if i == 0 else (out[i - 1] or (0, 0, width, 0))[2]
        right = width if i + 1 == len(heads) else (heads[i + 1] or (0.0, 0, 0, 0))[0]
        free = [c.box for c in beside if left < c.box[0] and c.box[2] < right]
        out[i] = box or union(free)
    return out


def _columns(
    chunks: Sequence[Chunk], beside: Sequence[Chunk], heads: Sequence[Box | None], width: float
) -> list[list[Chunk]]:
    """Lines by column. Columns meet where the fewest lines of rows stand between two headings, in the widest such gap.

    A line over several columns is cut at them if it stands in a row; else it belongs to none.
    """
    covered = np.zeros(int(width) + 2, dtype=np.int32)
    for chunk in beside:
        covered[max(0, int(chunk.box[0])) : max(0, int(chunk.box[2])) + 1] += 1
    known = [(i, (box[0] + box[2]) / 2) for i, box in enumerate(heads) if box]
    edges = [0.0, *(_gap(covered, left, right) for (_, left), (_, right) in pairwise(known)), width + 1]
    out: list[list[Chunk]] = [[] for _ in heads]
    for chunk in chunks:
        for (i, _), (left, right) in zip(known, pairwise(edges), strict=True):
            part = _part(chunk, left, right)
            if part is chunk or (part and chunk in beside):
                out[i].append(part)
    return [sorted(column, key=lambda c: c.y) for column in out]


def _levels(marks: Sequence[Chunk]) -> list[tuple[float, int]]:
    """Heights at which lines stand beside each other, and how many there are."""
    groups: list[list[Chunk]] = []
    for mark in sorted(marks, key=lambda c: c.y):
        if groups and mark.y - median(c.y for c in groups[-1]) < 0.45 * mark.height:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [(median(c.y for c in group), len(group)) for group in groups]


def _gap(covered: np.ndarray, left: float, right: float) -> float:
    between = covered[int(left) : int(right) + 1]
    free = np.flatnonzero(between == between.min())
    runs = np.split(free, np.flatnonzero(np.diff(free) > 1) + 1)
    widest = max(runs, key=len)
    return left + float(widest[0] + widest[-1]) / 2


def _part(chunk: Chunk, left: float, right: float) -> Chunk | None:
    """The words of the line that stand between left and right."""
    if left <= chunk.box[0] and chunk.box[2] <= right:
        return chunk
    inside = [p for p in chunk.pieces if left <= (p.at[0] + p.at[2]) / 2 < right]
    if not inside:
        return None
    if len(inside) == len(chunk.pieces):
        return chunk
    box = union([p.at for p in inside])
    assert box is not None
    text = chunk.text[inside[0].start : inside[-1].end]
    return Chunk(text, (box[0], chunk.box[1], box[2], chunk.box[3]), tuple(inside), chunk.lift)


def _rows(columns: Sequence[Sequence[Chunk]], spec: TableSpec) -> Iterator[tuple[float, list[list[Chunk]]]]:
    """Where each row stands, and its lines of each column."""
    single = [c for column, kind in zip(columns, spec.columns, strict=True) if kind.kind not in WORDY for c in column]
    marks = [c for c in single if _numeric(c.text)]
    long = [c.y for c in marks if sum(map(str.isdigit, c.text)) >= 6]  # no serial number or dirt: alone enough
    rows = [y for y, count in _levels(marks) if count > 1 or any(abs(y - other) < 1 for other in long)]
    if not rows:
        return
    height = median(c.height for c in marks)
    placed = [_placed(column, rows, height) for column in columns]
    for n, y in enumerate(rows):
        yield y, [column[n] for column in placed]


def _number(row: Sequence[Sequence[Chunk]], spec: TableSpec, last: int) -> int:
    """The row's number: as printed (STT), where that can be after a row that wasn't read; else the next."""
    first = spec.columns[0]
    printed = KINDS["count"](row[0][0].text) if row[0] and not first.name and first.kind == "count" else None
    return int(printed) if printed and last < int(printed) <= last + SKIPPED_ROWS else last + 1


def _numeric(text: str) -> bool:
    letters = [c for c in text if c.isalnum()]
    return bool(letters) and sum(c.isdigit() for c in letters) >= 0.6 * len(letters)


def _placed(lines: Sequence[Chunk], rows: Sequence[float], height: float) -> list[list[Chunk]]:
    """Lines (top to bottom) by row, so that each row's lines stand around its middle or begin at it.

    Dynamic programming over (lines used, rows used); a line that belongs to no row costs SKIPPED heights squared.
    """
    n, m = len(lines), len(rows)
    skip, empty = (SKIPPED * height) ** 2, (EMPTY * height) ** 2
    cost = np.full((n + 1, m + 1), np.inf)
    came: dict[tuple[int, int], tuple[int, int]] = {}
    cost[0, 0] = 0.0
    for j in range(m + 1):
        for i in range(n + 1):
            options = []
            if i:
                options.append((cost[i - 1, j] + skip, (i - 1, j)))
            if j:
                options.append((cost[i, j - 1] + empty, (i, j - 1)))
                options += [
                    (cost[k, j - 1] + _off(lines[k:i], rows[j - 1]), (k, j - 1)) for k in range(max(0, i - 6), i)
                ]
            if options:
                best = min(options, key=lambda option: float(option[0]))
                cost[i, j], came[i, j] = best
    out: list[list[Chunk]] = [[] for _ in rows]
    at = (n, m)
    while at != (0, 0):
        before = came[at]
        if before[1] < at[1] and before[0] < at[0]:
            out[at[1] - 1] = list(lines[before[0] : at[0]])
        at = before
    return out


def _off(lines: Sequence[Chunk], row: float) -> float:
    """How far, squared, lines stand from a row: by their middle, or by the first one where cells begin at the top."""
    if any(lower.y - upper.y > 1.5 * upper.height for upper, lower in pairwise(lines)):
        return float("inf")  # lines of one cell stand close together
    middle = (lines[0].y + lines[-1].y) / 2
    return min(abs(middle - row), abs(lines[0].y - row) + 0.1 * lines[0].height * (len(lines) > 1)) ** 2


def _cells(
    y: float,
    row: Sequence[Sequence[Chunk]],
    loose: Sequence[Sequence[Chunk]],
    spec: TableSpec,
    heads: Sequence[Box | None],
    page: int,
) -> Iterator[Cell]:
    """y: where the row stands; loose: lines that belong to no row, by column: a cell beside one may have lost it."""
    for i, (column, lines) in enumerate(zip(spec.columns, row, strict=True)):
        beside = heads[max(0, i - 1) : i + 2]
        if not column.name or not lines or (column.kind in WORDY and None in beside):
            continue  # beside a column that wasn't found, words may be those of that column
        printed = " ".join(line.text for line in lines)
        value = KINDS[column.kind](printed)
        if value:
            pieces = [piece for line in lines for piece in line.pieces]
            torn = any(abs(other.y - line.y) < 1.3 * line.height for other in loose[i] for line in lines)
            torn = torn or (column.kind in WORDY and _off(lines, y) > (ASIDE * lines[0].height) ** 2)
            yield Cell(
                column,
                Found(
                    printed,
                    legible(sum(doubt(line.pieces) for line in lines)),
                    page,
                    union([piece.box for piece in pieces]),
                    "table.row",
                    TORN if torn else WHOLE,
                    lines[0].box[1],
                ),
                value,
            )
