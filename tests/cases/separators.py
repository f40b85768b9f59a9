"""Separator sheets as they come out of feeders, and pages that must not be taken for one."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pymupdf
import segno
from PIL import Image

from blocks.catalog import Catalog
from tasks.capture.facts import SEPARATOR
from tasks.capture.guard import codes_guarded
from tasks.intake.separators import separators_pdf
from tests.cases import Case, Otherwise
from tests.tasks.capture.pages_for_tests import DPI, jpeg, paper, scanned

Change = Callable[[Image.Image], Image.Image]


@cache
def _printed(back: bool = False, dpi: int = DPI) -> Image.Image:
    drawn = pymupdf.open("pdf", separators_pdf(Catalog()))[1 if back else 0].get_pixmap(dpi=dpi)
    return Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)


def _found(change: Change, quality: int = 85, *, back: bool = False) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        made = io.BytesIO()
        change(_printed(back)).save(made, "JPEG", quality=quality, dpi=(DPI, DPI))
        (folder / "1.jpg").write_bytes(made.getvalue())
        if (codes := codes_guarded(folder / "1.jpg")) != [SEPARATOR]:
            raise Otherwise(f"found {codes}")
        return "parts the scan"

    return play


def _ordinary(text: str) -> Callable[[Path], str]:
    """A page of a paper, with another code on it."""

    def play(folder: Path) -> str:
        page = paper(3).copy()
        if text:
            code = io.BytesIO()
            segno.make(text, error="m").save(code, kind="png", scale=8)
            page.paste(Image.open(code).convert("RGB"), (1100, 150))
        (folder / "1.jpg").write_bytes(jpeg(scanned(page, 3)))
        if (codes := codes_guarded(folder / "1.jpg")) != [""]:
            raise Otherwise(f"taken for a separator: {codes}")
        return "a page of its paper"

    return play


def _dirty(sheet: Image.Image) -> Image.Image:
    """Used again and again: a crease, grey by a copier, a note in the margin."""
    grey = Image.blend(sheet, Image.new("RGB", sheet.size, (150, 150, 150)), 0.45)
    grey.paste((90, 90, 90), (0, sheet.height // 2 + 20, sheet.width, sheet.height // 2 + 24))
    return scanned(grey, 4, skew=-2.5, blur=1.6)


CASES = [
    Case("separator sheet, askew by 3°", "found", _found(lambda sheet: scanned(sheet, 1, skew=3))),
    Case("separator sheet, back side", "found", _found(lambda sheet: scanned(sheet, 2), back=True)),
    Case("separator sheet, upside down", "found", _found(lambda sheet: scanned(sheet, 3).rotate(180))),
    Case("separator sheet, fed across", "found", _found(lambda sheet: scanned(sheet, 3).rotate(90, expand=True))),
    Case("separator sheet, coarse JPEG", "found", _found(lambda sheet: scanned(sheet, 5), quality=12)),
    Case("separator sheet, grey and creased", "found", _found(_dirty)),
    Case(
        "page with the code of an identity card", "no separator", _ordinary("001170234567||Trần Văn Bình|02021970|Nam")
    ),
    Case("page with a code that names the product", "no separator", _ordinary("SOHOA:TACHRA")),
    Case("page without a code", "no separator", _ordinary("")),
]
