"""Separator sheets as they come out of feeders, and pages that must not be taken for one; blank pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pymupdf
import segno
from PIL import Image, ImageDraw

from blocks.catalog import Catalog
from tasks.capture.facts import SEPARATOR
from tasks.capture.guard import looks_guarded
from tasks.intake.separators import separators_pdf
from tests.cases import Case, Otherwise
from tests.tasks.capture.pages_for_tests import DPI, SIZE, font, jpeg, paper, scanned

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
        if (codes := [look.code for look in looks_guarded(folder / "1.jpg")]) != [SEPARATOR]:
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
        if (codes := [look.code for look in looks_guarded(folder / "1.jpg")]) != [""]:
            raise Otherwise(f"taken for a separator: {codes}")
        return "a page of its paper"

    return play


def _dirty(sheet: Image.Image) -> Image.Image:
    """Used again and again: a crease, grey by a copier, a note in the margin."""
    grey = Image.blend(sheet, Image.new("RGB", sheet.size, (150, 150, 150)), 0.45)
    grey.paste((90, 90, 90), (0, sheet.height // 2 + 20, sheet.width, sheet.height // 2 + 24))
    return scanned(grey, 4, skew=-2.5, blur=1.6)


PATCHES = {"T": "0101", "1": "1100", "2": "1001", "3": "1010"}  # 1: a wide bar
WIDE, NARROW, LONG, MARGIN = 0.20, 0.08, 2.5, 0.2  # inches, as published


def patch(kind: str, dpi: int, *, all_sides: bool = True, thicker: float = 0.0) -> Image.Image:
    """A patch sheet of A4. thicker: inches by which a copier has made each bar wider."""
    size = (round(8.27 * dpi), round(11.69 * dpi))
    code = Image.new("L", (round(LONG * dpi), round(0.84 * dpi)), 255)
    draw, down = ImageDraw.Draw(code), 0.02
    for bar in PATCHES[kind]:
        wide = WIDE if bar == "1" else NARROW
        top, bottom = (down - thicker / 2) * dpi, (down + wide + thicker / 2) * dpi
        draw.rectangle((0, round(top), code.width, round(bottom) - 1), fill=0)
        down += wide + NARROW
    sheet, edge = Image.new("L", size, 255), round(MARGIN * dpi)
    sheet.paste(code, ((size[0] - code.width) // 2, edge))
    if all_sides:
        sheet.paste(code.rotate(180), ((size[0] - code.width) // 2, size[1] - edge - code.height))
        upright = code.rotate(90, expand=True)
        sheet.paste(upright, (edge, (size[1] - code.width) // 2))
        sheet.paste(upright.rotate(180), (size[0] - edge - code.height, (size[1] - code.width) // 2))
    ImageDraw.Draw(sheet).text((size[0] // 2 - 20, size[1] // 2), f"Patch {kind}", fill=0)
    return sheet.convert("RGB")


def _patched(sheet: Image.Image, dpi: int, seed: int, wanted: str, **scan: float) -> Callable[[Path], str]:
    noise, skew, blur = scan.get("noise", 4.0), scan.get("skew", 1.0), scan.get("blur", 0.8)

    def play(folder: Path) -> str:
        grain = np.random.default_rng(seed).normal(0, noise, (*sheet.size[::-1], 1))
        turned = np.asarray(scanned(sheet, seed, skew=skew, blur=blur))
        image = Image.fromarray(np.clip(turned + grain, 0, 255).astype(np.uint8))
        image.save(folder / "1.jpg", "JPEG", quality=80, dpi=(dpi, dpi))
        if (codes := [look.code for look in looks_guarded(folder / "1.jpg")]) != [wanted]:
            raise Otherwise(f"found {codes}")
        return "parts the scan" if wanted else "a page of its paper"

    return play


def _bars(heights: list[float], left: int, width: int, top: int) -> Image.Image:
    """A page with thick rules across. heights: millimetres of rule, space, rule …"""
    page, down = paper(6).copy(), float(top)
    draw = ImageDraw.Draw(page)
    draw.rectangle((left - 40, top - 40, left + width + 40, top + 400), fill=(250, 250, 247))
    for number, height in enumerate(heights):
        pixels = height / 25.4 * DPI
        if number % 2 == 0:
            draw.rectangle((left, down, left + width, down + pixels), fill=(20, 20, 20))
        down += pixels
    return page


def _barcode(page: Image.Image) -> Image.Image:
    """A barcode of wide and narrow bars, as on a registered letter: longer than a patch, and of finer bars."""
    page, left = page.copy(), 300.0
    draw, rng = ImageDraw.Draw(page), np.random.default_rng(3)
    draw.rectangle((260, 60, 1500, 240), fill=(250, 250, 247))
    for _ in range(60):
        wide = int(rng.choice([4, 10]))
        draw.rectangle((left, 80, left + wide, 220), fill=(20, 20, 20))
        left += wide + int(rng.choice([4, 10]))
    return page


def _look(image: Image.Image, wanted: str) -> Callable[[Path], str]:
    """What is said of a page without a separator: "" (something is on it), blank or faint."""

    def play(folder: Path) -> str:
        (folder / "1.jpg").write_bytes(jpeg(image))
        (look,) = looks_guarded(folder / "1.jpg")
        found = "blank" if look.blank else "faint" if look.faint else ""
        if found != wanted:
            raise Otherwise(f"said to be {found or 'written on'}")
        return {"blank": "proposed to be left out", "faint": "kept, with a warning", "": "kept"}[wanted]

    return play


def _empty() -> Image.Image:
    return Image.new("RGB", SIZE, (250, 250, 247))


def _with(text: str, *, size: int = 36, ink: int = 20, place: tuple[int, int] = (800, 2150)) -> Image.Image:
    page = _empty()
    ImageDraw.Draw(page).text(place, text, font=font(size), fill=(ink, ink, ink))
    return scanned(page, 7)


def _pale(strength: float, *, back: bool = False) -> Image.Image:
    """Print that is pale, or shines through from the back."""
    page = paper(8).transpose(Image.Transpose.FLIP_LEFT_RIGHT) if back else paper(8)
    return scanned(Image.blend(_empty(), page, strength), 8, blur=2.0 if back else 0.6)


PATCH_CASES = [
    Case("Patch T, 150 dpi, askew by 5°", "found", _patched(patch("T", 150), 150, 1, SEPARATOR, skew=5)),
    Case("Patch T, 300 dpi, noisy", "found", _patched(patch("T", 300), 300, 2, SEPARATOR, noise=14)),
    Case(
        "Patch 2, one code at the leading edge", "found", _patched(patch("2", DPI, all_sides=False), DPI, 3, SEPARATOR)
    ),
    Case("Patch 3, blurred", "found", _patched(patch("3", DPI), DPI, 4, SEPARATOR, blur=2.2)),
    Case("Patch T, photocopied", "found", _patched(patch("T", DPI, thicker=0.02), DPI, 5, SEPARATOR, skew=-2)),
    Case(
        "Patch T, fed across",
        "found",
        _patched(patch("T", DPI, all_sides=False).rotate(90, expand=True), DPI, 6, SEPARATOR),
    ),
    Case("Patch 1, which switches colour on", "no separator", _patched(patch("1", DPI), DPI, 7, "")),
    Case(
        "page with four thick rules", "no separator", _patched(_bars([2, 8, 5, 8, 2, 8, 5], 300, 900, 900), DPI, 8, "")
    ),
    Case("page with a table of thick rules", "no separator", _patched(_bars([2, 2] * 9, 300, 900, 900), DPI, 9, "")),
    Case("page with a barcode", "no separator", _patched(_barcode(paper(3)), DPI, 10, "")),
]
BLANK_CASES = [
    Case("back of a sheet, nothing on it", "proposed as blank, kept", _look(scanned(_empty(), 6), "blank")),
    Case("back with one word", "kept", _look(_with("Đã nhận"), "")),
    Case("back with a page number alone", "kept, the officer is warned", _look(_with("- 2 -"), "faint")),
    Case("back with a pale note by pencil", "kept, the officer is warned", _look(_with("Đã nhận", ink=190), "faint")),
    Case("page whose print is very pale", "kept, the officer is warned", _look(_pale(0.2), "faint")),
    Case(
        "back through which print shines strongly", "kept, the officer is warned", _look(_pale(0.3, back=True), "faint")
    ),
    Case("dark page", "kept", _look(Image.new("RGB", SIZE, (25, 25, 25)), "")),
]
CASES = [
    *PATCH_CASES,
    *BLANK_CASES,
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
