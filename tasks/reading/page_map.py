"""Sơ đồ trang cho vận hành: where lines were read and how surely, as a picture of boxes only.

Drawn from boxes and confidences; neither the paper's image nor a letter that was read goes in (WH04).
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping

from PIL import Image, ImageColor, ImageDraw, ImageFont

from blocks.fonts import REGULAR
from blocks.ocr.types import PageText
from tasks.extraction.settings import CONFIDENCE_THRESHOLD

MOST = 40  # pages that are drawn: 40 dense ones are some 20 kB
POOR = 0.60  # a line below it is mostly guessed
# Told apart by colour-blind eyes, too: blue, orange, and the one that matters most by its darkness.
SURE, DOUBTFUL, BAD = "#4a90c8", "#f0a500", "#8c1c2e"
PAPER, EDGE = "#f7f7f4", "#444444"
LEGEND = {
    SURE: f"từ {CONFIDENCE_THRESHOLD:.2f}".replace(".", ","),
    DOUBTFUL: f"từ {POOR:.2f} đến dưới {CONFIDENCE_THRESHOLD:.2f}".replace(".", ","),
    BAD: f"dưới {POOR:.2f}".replace(".", ","),
}
WIDTH, GAP, LABEL, LETTERS = 800, 12, 18, 14  # px
A4 = 1.42  # height by width: the room that a page has


def colour(confidence: float) -> str:
    """The colour of a line's confidence (0..1)."""
    return SURE if confidence >= CONFIDENCE_THRESHOLD else DOUBTFUL if confidence >= POOR else BAD


def doubt(page: PageText) -> tuple[bool, float]:
    """By what pages are ordered when not all are drawn: those nobody could read, then by the share of unsure lines."""
    unsure = sum(line.confidence < CONFIDENCE_THRESHOLD for line in page.lines)
    return not page.readable, unsure / len(page.lines) if page.lines else 0.0


def draw(pages: Mapping[int, PageText], most: int = MOST) -> bytes:
    """PNG, 800 px wide: legend, then the pages as outlines in which each line is a filled rectangle.

    pages: by number, at least one. Of more than `most` the most doubtful are drawn. In the order of the paper.
    """
    chosen = sorted(sorted(pages, key=lambda number: doubt(pages[number]), reverse=True)[:most])
    columns = 4 if len(chosen) <= 8 else 8
    cell = (WIDTH - GAP) // columns - GAP
    scales = {n: min(cell / pages[n].width, A4 * cell / pages[n].height) for n in chosen}
    height = round(max(pages[n].height * scale for n, scale in scales.items())) + LABEL + GAP
    top = GAP + LABEL + GAP
    image = Image.new("RGB", (WIDTH, top + -(-len(chosen) // columns) * height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.truetype(str(REGULAR), LETTERS)
    for place, (shade, words) in enumerate(legend(pages).items()):
        left = GAP + place * (WIDTH // len(LEGEND))
        pen.rectangle((left, GAP, left + LETTERS, GAP + LETTERS), fill=shade)
        pen.text((left + LETTERS + 6, GAP - 2), words, font=font, fill="black")
    for place, number in enumerate(chosen):
        x, y = GAP + place % columns * (cell + GAP), top + place // columns * height
        _page(pen, pages[number], x, y, scales[number])
        note = "" if pages[number].readable else " · nhập tay"
        pen.text((x, y + pages[number].height * scales[number] + 2), f"Trang {number}{note}", font=font, fill="black")
    out = io.BytesIO()
    image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def legend(pages: Mapping[int, PageText]) -> dict[str, str]:
    """Colour → what it means and how many lines of all pages have it."""
    lines = Counter(colour(line.confidence) for page in pages.values() for line in page.lines)
    return {shade: f"Độ tin cậy {meaning}: {lines[shade]} dòng" for shade, meaning in LEGEND.items()}


def _palette() -> Image.Image:
    """The few colours exactly, and greys for the edges of letters: a PNG of one byte a pixel packs well."""
    shades = [ImageColor.getrgb(shade) for shade in (PAPER, EDGE, *LEGEND)] + [(n, n, n) for n in range(0, 256, 17)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for shade in shades for value in shade])
    return palette


def _page(pen: ImageDraw.ImageDraw, page: PageText, x: int, y: int, scale: float) -> None:
    """One page at (x, y) px as it is stored: what was scanned sideways lies on its side. scale: px a px of the page."""
    pen.rectangle((x, y, x + page.width * scale, y + page.height * scale), outline=EDGE, fill=PAPER)
    for line in page.lines:
        x0, y0, x1, y1 = (value * scale for value in line.box)
        slim = (y1 - y0) / 6  # boxes of neighbours touch: paper between them
        pen.rectangle((x + x0, y + y0 + slim, x + x1, y + y1 - slim), fill=colour(line.confidence))


def as_markdown(pages: Mapping[int, PageText], most: int = MOST) -> str:
    """The picture, as a data URI, under a heading (Markdown, Vietnamese). Empty without pages."""
    if not pages:
        return ""
    which = f"{most} trang đáng ngờ nhất trong {len(pages)} trang" if len(pages) > most else f"{len(pages)} trang"
    data = base64.b64encode(draw(pages, most)).decode()
    return (
        f"\n\n**Sơ đồ {which}**\n\nMỗi ô màu là chỗ của một dòng chữ; không có hình ảnh, chữ của giấy tờ."
        f"\n\n![{'; '.join(legend(pages).values())}](data:image/png;base64,{data})"
    )


__all__ = ["MOST", "as_markdown", "draw"]
