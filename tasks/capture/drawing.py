"""Pages of PDFs as pictures. MuPDF reads the files, in the sandbox only; `tasks.capture.drawn` calls it."""

from __future__ import annotations

from typing import Any, BinaryIO

import pymupdf

from blocks.sandbox.keeper import Sink
from tasks.capture.facts import MAX_PAGES, MAX_PIXELS

QUALITY = 70
mu: Any = pymupdf  # it has no types


def sheet(out: Sink, pdf: BinaryIO, page: int, width: int, annotated: bool) -> bool:
    """One page (1-based) as a JPEG of that width; annotated: with what lies on it. False: there is no such page."""
    with mu.open(stream=pdf.read(), filetype="pdf") as document:
        if not 1 <= page <= document.page_count:
            return False
        found = document[page - 1]
        scale = _scale(found, width)
        drawn = found.get_pixmap(matrix=mu.Matrix(scale, scale), alpha=False, annots=annotated)
        out.put("page.jpg", drawn.tobytes("jpeg", jpg_quality=QUALITY))
    return True


def sizes(out: Sink, pdf: BinaryIO) -> list[list[float]]:
    """Width and height of each page as seen, points."""
    with mu.open(stream=pdf.read(), filetype="pdf") as document:
        return [[page.rect.width, page.rect.height] for page in document.pages(0, min(document.page_count, MAX_PAGES))]


def grey(out: Sink, pdf: BinaryIO, width: int) -> list[int]:
    """Page 1 as brightness, one byte a pixel, rows from the top; returns its height and width."""
    with mu.open(stream=pdf.read(), filetype="pdf") as document:
        page = document[0]
        scale = _scale(page, width)
        drawn = page.get_pixmap(matrix=mu.Matrix(scale, scale), colorspace=mu.csGRAY, alpha=False)
        rows = [drawn.samples[n * drawn.stride : n * drawn.stride + drawn.width] for n in range(drawn.height)]
        out.put("grey", b"".join(rows))
        return [drawn.height, drawn.width]


def _scale(page: Any, width: int) -> float:
    """From points to pixels. Raises MemoryError for a page that would be too long."""
    scale = width / page.rect.width
    if page.rect.height * scale * width > MAX_PIXELS:
        raise MemoryError
    return float(scale)
