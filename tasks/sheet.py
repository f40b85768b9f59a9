"""A4 sheets with Vietnamese text that can be copied and searched: slips, verification pages, result documents."""

from __future__ import annotations

import io
import unicodedata
from functools import cache
from typing import Any

import pikepdf
import pymupdf
import segno

from blocks import fonts

mu: Any = pymupdf  # it has no types
MARGIN, WIDTH, HEIGHT = 57.0, 595.0, 842.0  # points; A4, 2 cm
LINE = 1.35  # of the font size
STYLES = {"plain": fonts.REGULAR, "bold": fonts.BOLD, "italic": fonts.ITALIC, "bold-italic": fonts.BOLD_ITALIC}


class Sheet:
    """One A4 sheet, written from top to bottom; a second one follows when the list of papers is long."""

    def __init__(self, *, left: float = MARGIN, right: float = MARGIN) -> None:
        self.pdf = mu.open()
        self.left, self.right = left, right
        self.letters: dict[str, set[str]] = {style: set() for style in STYLES}  # what was written, for the text layer
        self._sheet()

    def _sheet(self) -> None:
        self.page = self.pdf.new_page(width=WIDTH, height=HEIGHT)
        self.y = MARGIN

    def room(self, height: float) -> None:
        """Begin another sheet unless this one has so much left."""
        if self.y + height > HEIGHT - MARGIN:
            self._sheet()

    def length(self, text: str, size: float, *, bold: bool = False, italic: bool = False) -> float:
        return float(_font(_style(bold, italic)).text_length(_drawable(text), size))

    def text(
        self,
        text: str,
        x: float,
        size: float = 12,
        *,
        bold: bool = False,
        italic: bool = False,
        centre: bool = False,
        spread: float = 0,
    ) -> None:
        """One line whose top is at the current height; `x` is its left end, or its middle. spread: wider by so much."""
        style, text = _style(bold, italic), _drawable(text)
        font = _font(style)
        at = x - font.text_length(text, size) / 2 if centre else x
        words = text.split(" ") if spread else [text]
        writer = mu.TextWriter(self.page.rect)
        for number, word in enumerate(words, 1):
            piece = word if number == len(words) else f"{word} "
            writer.append((at, self.y + size), piece, font=font, fontsize=size)
            at += font.text_length(piece, size) + spread / max(len(words) - 1, 1)
        writer.write_text(self.page)
        self.letters[style] |= set(text)

    def paragraph(
        self,
        text: str,
        *,
        bold: bool = False,
        italic: bool = False,
        indent: float = 0,
        first: float = 0,
        size: float = 12,
        justify: bool = False,
    ) -> None:
        """Words wrapped to the width of the sheet. first: how much further in the first line begins."""
        line, into = "", first
        for word in [*text.split(), ""]:
            longer = f"{line} {word}".strip()
            width = WIDTH - self.left - self.right - indent - into
            if word and self.length(longer, size, bold=bold, italic=italic) <= width:
                line = longer
                continue
            self.room(size * LINE)
            spread = width - self.length(line, size, bold=bold, italic=italic) if justify and word else 0
            spread = spread if 0 < spread < width / 8 else 0  # a line before a very long word stays as it is
            self.text(line, self.left + indent + into, size, bold=bold, italic=italic, spread=spread)
            self.y += size * LINE
            line, into = word, 0

    def rule(self, middle: float, width: float, below: float = 0) -> None:
        """A thin line, `below` points under the current height."""
        ends = ((middle - width / 2, self.y + below), (middle + width / 2, self.y + below))
        self.page.draw_line(*ends, width=0.6)

    def qr(self, content: str, x: float, side: float) -> None:
        """A QR code as drawing, its top left corner at `x` and the current height."""
        rows = list(segno.make(content, error="m", micro=False, encoding="utf-8").matrix_iter(border=2))
        step, shape = side / len(rows), self.page.new_shape()
        for down, row in enumerate(rows):
            for across, dark in enumerate(row):
                if dark:
                    at = x + across * step, self.y + down * step
                    shape.draw_rect(mu.Rect(*at, at[0] + step, at[1] + step))
        shape.finish(color=None, fill=(0, 0, 0), width=0)
        shape.commit()

    def data(self) -> bytes:
        """The finished PDF, fonts subset, its text as it was written."""
        self.pdf.subset_fonts()
        out = io.BytesIO()
        with pikepdf.open(io.BytesIO(self.pdf.tobytes(garbage=3))) as pdf:
            for item in pdf.objects:
                if not isinstance(item, pikepdf.Dictionary):
                    continue
                if item.get("/Subtype") == "/CIDFontType2" and "/CIDToGIDMap" not in item:
                    item["/CIDToGIDMap"] = pikepdf.Name.Identity  # the default, which PDF/A wants to see
                if item.get("/Subtype") == "/CIDFontType2":
                    style = _style_of(item)
                    item["/W"] = pikepdf.Array(
                        _widths(pikepdf.Array(item["/W"]), _glyphs(_font(style), self.letters[style]))
                    )
                if item.get("/Subtype") == "/Type0":
                    style = _style_of(item)
                    item["/ToUnicode"] = pdf.make_stream(_to_unicode(_font(style), self.letters[style]))
            pdf.save(out, compress_streams=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        return out.getvalue()


def _style(bold: bool, italic: bool) -> str:
    return "-".join(name for name, wanted in (("bold", bold), ("italic", italic)) if wanted) or "plain"


def _style_of(item: pikepdf.Dictionary) -> str:
    """Of a font in the PDF."""
    name = str(item.get("/BaseFont"))
    return _style("Bold" in name, "Italic" in name)


@cache
def _font(style: str) -> Any:
    return mu.Font(fontfile=str(STYLES[style]))


def _glyphs(font: Any, letters: set[str]) -> set[int]:
    """Their numbers in the font file, and that of the glyph that stands for none."""
    return {0, *(font.has_glyph(ord(letter)) for letter in letters)}


def _widths(told: pikepdf.Array, glyphs: set[int]) -> list[Any]:
    """Of these glyphs, as /W tells them (ISO 32000-2, 9.7.4.3). Whoever checks a signature walks through each entry,
    and MuPDF leaves the thousands of the whole font."""
    kept: list[Any] = []
    entries = list(told)
    while entries:
        first, second = int(entries.pop(0)), entries.pop(0)
        if isinstance(second, pikepdf.Array):
            widths = dict(enumerate(second, first))
        else:
            widths = dict.fromkeys(range(first, int(second) + 1), entries.pop(0))
        for glyph in sorted(widths.keys() & glyphs):
            kept += [glyph, pikepdf.Array([widths[glyph]])]
    return kept


def _to_unicode(font: Any, letters: set[str]) -> bytes:
    """Glyph → letter for copying and search. MuPDF's own table gives a space as U+00A0 and a hyphen as U+00AD."""
    pairs = sorted((font.has_glyph(ord(letter)), letter) for letter in letters)
    parts = []
    for start in range(0, len(pairs), 100):  # at most 100 entries a block
        block = pairs[start : start + 100]
        rows = "\n".join(f"<{glyph:04x}> <{letter.encode('utf-16-be').hex()}>" for glyph, letter in block)
        parts.append(f"{len(block)} beginbfchar\n{rows}\nendbfchar")
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo <</Registry(Adobe)/Ordering(UCS)/Supplement 0>> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        + "\n".join(parts)
        + "\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


def _drawable(text: str) -> str:
    """NFC, and a visible ? for what Tinos can't draw: such letters would vanish without a word."""
    text = unicodedata.normalize("NFC", text)
    for letter in fonts.missing(text, fonts.REGULAR):
        text = text.replace(letter, "?")
    return text
