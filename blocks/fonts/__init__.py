"""Tinos: metric-compatible with Times New Roman (Decree 30/2020, appendix I), complete for Vietnamese.

`REGULAR` … `BOLD_ITALIC` are the complete fonts (2048 units an em) for documents; `SIGNATURE` is the subset of 1000
units an em that signature appearances embed (pyHanko writes wrong glyph widths for any other em). See README.md.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont

FOLDER = Path(__file__).resolve().parent
REGULAR = FOLDER / "Tinos-Regular.ttf"
BOLD = FOLDER / "Tinos-Bold.ttf"
ITALIC = FOLDER / "Tinos-Italic.ttf"
BOLD_ITALIC = FOLDER / "Tinos-BoldItalic.ttf"
SIGNATURE = FOLDER / "Tinos-Signature.ttf"


@lru_cache
def advances(path: Path = SIGNATURE) -> dict[int, float]:
    """Code point → advance width in ems, for every character that the font draws."""
    with TTFont(path, lazy=True) as font:
        em = font["head"].unitsPerEm
        widths = font["hmtx"].metrics
        return {point: widths[glyph][0] / em for point, glyph in font.getBestCmap().items()}


@lru_cache
def vertical(path: Path = SIGNATURE) -> tuple[float, float]:
    """(ascent, descent) in ems; the descent is positive. From hhea."""
    with TTFont(path, lazy=True) as font:
        em = font["head"].unitsPerEm
        return font["hhea"].ascent / em, -font["hhea"].descent / em


def missing(text: str, path: Path = SIGNATURE) -> list[str]:
    """Characters of `text` that the font can't draw (they would vanish silently), each once, in order."""
    known = advances(path)
    return list(dict.fromkeys(char for char in text if ord(char) not in known and char != "\n"))


def text_width(text: str, size: float, path: Path = SIGNATURE) -> float:
    """Width of one line in the unit of `size` (points), without kerning. KeyError: a character outside the font."""
    known = advances(path)
    return sum(known[ord(char)] for char in text) * size
