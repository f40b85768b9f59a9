"""A4 sheets with Vietnamese text that can be copied and searched: slips, verification pages, result documents."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pikepdf
import pymupdf

from blocks import fonts

mu: Any = pymupdf  # it has no types
MARGIN, WIDTH, HEIGHT = 57.0, 595.0, 842.0  # points; A4, 2 cm
LINE = 1.35  # of the font size


class Sheet:
    """One A4 sheet, written from top to bottom; a second one follows when the list of papers is long."""

    def __init__(self) -> None:
        self.pdf = mu.open()
        self.plain = mu.Font(fontfile=str(fonts.REGULAR))
        self.bold = mu.Font(fontfile=str(fonts.BOLD))
        self.letters: dict[str, set[str]] = {"bold": set(), "plain": set()}  # what was written, for the text layer
        self._sheet()

    def _sheet(self) -> None:
        self.page = self.pdf.new_page(width=WIDTH, height=HEIGHT)
        self.y = MARGIN

    def text(self, text: str, x: float, size: float = 12, *, bold: bool = False, centre: bool = False) -> None:
        """One line whose top is at the current height; `x` is its left end, or its middle."""
        font = self.bold if bold else self.plain
        text = _drawable(text)
        left = x - font.text_length(text, size) / 2 if centre else x
        writer = mu.TextWriter(self.page.rect)
        writer.append((left, self.y + size), text, font=font, fontsize=size)
        writer.write_text(self.page)
        self.letters["bold" if bold else "plain"] |= set(text)

    def paragraph(self, text: str, *, bold: bool = False, indent: float = 0, size: float = 12) -> None:
        """Words wrapped to the width of the sheet."""
        font = self.bold if bold else self.plain
        line = ""
        for word in [*text.split(), ""]:
            longer = f"{line} {word}".strip()
            if word and font.text_length(longer, size) <= WIDTH - 2 * MARGIN - indent:
                line = longer
                continue
            if self.y + size * LINE > HEIGHT - MARGIN:
                self._sheet()
            self.text(line, MARGIN + indent, size, bold=bold)
            self.y += size * LINE
            line = word

    def data(self) -> bytes:
        """The finished PDF, fonts subset, its text as it was written."""
        self.pdf.subset_fonts()
        out = io.BytesIO()
        with pikepdf.open(io.BytesIO(self.pdf.tobytes(garbage=3))) as pdf:
            for item in pdf.objects:
                if isinstance(item, pikepdf.Dictionary) and item.get("/Subtype") == "/Type0":
                    bold = "Bold" in str(item.get("/BaseFont"))
                    cmap = _to_unicode(self.bold if bold else self.plain, self.letters["bold" if bold else "plain"])
                    item["/ToUnicode"] = pdf.make_stream(cmap)
            pdf.save(out, compress_streams=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        return out.getvalue()


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
