"""What lies in one part of a page: another paper's lines on the same image are not read (Điều 9.2)."""

from __future__ import annotations

from dataclasses import replace

from blocks.ocr.types import Box, Line, PageText
from blocks.records.regions import Part

CUT = 0.5  # confidence of a line of which only some words lie in the part: two papers' lines were read as one


def limited(page: PageText, part: Part) -> PageText:
    """The page as if nothing else were on it. part: shares of the stored image."""
    x0, y0, x1, y1 = part
    wanted: Box = (x0 * page.width, y0 * page.height, x1 * page.width, y1 * page.height)
    lines = tuple(line for found in page.lines if (line := _line(found, wanted)) is not None)
    codes = tuple(code for code in page.codes if _within(code.box, wanted))
    return replace(page, lines=lines, codes=codes)


def _within(box: Box, wanted: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return wanted[0] <= x < wanted[2] and wanted[1] <= y < wanted[3]


def _line(line: Line, wanted: Box) -> Line | None:
    corners = [_within((x, y, x, y), wanted) for x, y in line.polygon]
    if _within(line.box, wanted) and sum(corners) >= 3:
        return line
    words = tuple(word for word in line.words if _within(word.box, wanted))
    if not words or len(words) == len(line.words):
        return line if words and _within(line.box, wanted) else None
    x0, y0 = min(word.box[0] for word in words), min(word.box[1] for word in words)
    x1, y1 = max(word.box[2] for word in words), max(word.box[3] for word in words)
    return replace(
        line,
        text=" ".join(word.text for word in words),
        confidence=min(line.confidence, CUT),
        polygon=((x0, y0), (x1, y0), (x1, y1), (x0, y1)),
        words=words,
        slots=(),
    )
