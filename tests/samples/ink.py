"""What people add to a printed sheet: round red stamps, scrawled signatures, stamps of secrecy, sticky notes."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw

from tests.samples.look import font
from tests.samples.sheet import Sheet

RED = (205, 30, 40)


def _multiply(sheet: Sheet, layer: Image.Image, x: int, y: int) -> None:
    """Lay transparent ink on the page: darkens, never covers."""
    box = (max(0, x), max(0, y), min(sheet.image.width, x + layer.width), min(sheet.image.height, y + layer.height))
    if box[2] <= box[0] or box[3] <= box[1]:
        return
    crop = layer.crop((box[0] - x, box[1] - y, box[2] - x, box[3] - y))
    page = np.asarray(sheet.image.crop(box), dtype=np.uint16)
    sheet.image.paste(Image.fromarray((page * np.asarray(crop, dtype=np.uint16) // 255).astype(np.uint8)), box)


def _tinted(mask: Image.Image, colour: tuple[int, int, int], rng: random.Random, wear: float) -> Image.Image:
    """A mask of ink (255: full) as a multiply layer, worn in patches as a real stamp is."""
    noise = np.random.default_rng(rng.randrange(2**31))
    small = noise.random((12, 12)).astype(np.float32)
    patches = np.asarray(Image.fromarray((small * 255).astype(np.uint8)).resize(mask.size, Image.Resampling.BICUBIC))
    ink = np.asarray(mask, dtype=np.float32) / 255 * (1 - wear * patches / 255)
    layer = 255 - ink[..., None] * (255 - np.array(colour, dtype=np.float32))
    return Image.fromarray(layer.astype(np.uint8))


def round_stamp(
    sheet: Sheet, rng: random.Random, x: float, y: float, around: str, centre: str, size: float = 34
) -> None:
    """A round red stamp of an agency, centre in mm; `around` runs on the circle. Not part of the text truth."""
    side = sheet.px(size)
    mask = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(mask)
    c, r = side / 2, side / 2 - 2
    thick = max(2, sheet.px(0.5))
    pen.ellipse([c - r, c - r, c + r, c + r], outline=255, width=thick)
    pen.ellipse([c - r * 0.93, c - r * 0.93, c + r * 0.93, c + r * 0.93], outline=255, width=max(1, thick // 2))
    pen.ellipse([c - r * 0.62, c - r * 0.62, c + r * 0.62, c + r * 0.62], outline=255, width=max(1, thick // 2))
    _circular(mask, around.upper(), c, r * 0.70, r)
    pen = ImageDraw.Draw(mask)
    words = centre.upper().split()
    pair = 1 if any(len(word) > 8 for word in words) else 2
    rows = [" ".join(words[i : i + pair]) for i in range(0, len(words), pair)][:4]
    size = max(8, int(r * 0.20))
    while size > 7 and max(font("Arimo", True, False, size).getlength(row) for row in rows) > r * 1.1:
        size -= 1
    face = font("Arimo", True, False, size)
    for n, row in enumerate(rows):
        pen.text((c, c + (n - (len(rows) - 1) / 2) * r * 0.24), row, font=face, fill=255, anchor="mm")
    mask = mask.rotate(rng.uniform(-14, 14), Image.Resampling.BICUBIC)
    layer = _tinted(mask, RED, rng, rng.uniform(0.15, 0.6))
    _multiply(sheet, layer, sheet.px(x) - side // 2, sheet.px(y) - side // 2)


def _circular(mask: Image.Image, text: str, c: float, radius: float, r: float) -> None:
    """Letters along the circle from lower left over the top; ★ is drawn, as few fonts have it."""
    size = int(r * 0.20)
    while font("Arimo", True, False, size).getlength(text) * 1.15 > radius * math.radians(330) and size > 7:
        size -= 1
    face = font("Arimo", True, False, size)
    widths = [face.getlength(ch) * 1.15 for ch in text]
    angle = -math.pi / 2 - sum(widths) / radius / 2
    middle = radius + r * 0.10
    for ch, wide in zip(text, widths, strict=True):
        angle += wide / radius / 2
        glyph = Image.new("L", (size * 2, size * 2), 0)
        pen = ImageDraw.Draw(glyph)
        if ch == "★":
            pen.polygon(_star(size, size * 0.45), fill=255)
        else:
            pen.text((size, size), ch, font=face, fill=255, anchor="mm")
        glyph = glyph.rotate(-math.degrees(angle) - 90, Image.Resampling.BICUBIC)
        mask.paste(255, (round(c + middle * math.cos(angle) - size), round(c + middle * math.sin(angle) - size)), glyph)
        angle += wide / radius / 2


def _star(centre: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for n in range(10):
        reach = radius if n % 2 == 0 else radius * 0.4
        points.append((centre + reach * math.sin(n * math.pi / 5), centre - reach * math.cos(n * math.pi / 5)))
    return points


def scrawl(sheet: Sheet, rng: random.Random, x: float, y: float, width: float = 32) -> None:
    """A signature in blue ink round (x, y) mm."""
    w, h = sheet.px(width), sheet.px(16)
    mask = Image.new("L", (w, h), 0)
    pen = ImageDraw.Draw(mask)
    thick = max(2, sheet.px(rng.uniform(0.3, 0.5)))
    points: list[tuple[float, float]] = []
    loops, swing, lean = rng.randrange(3, 9), rng.uniform(0.02, 0.10), rng.uniform(-0.5, 0.5)
    fade, phase = rng.uniform(0.03, 0.12), rng.uniform(0, 6)
    for n in range(loops):
        left, tall = w * (0.06 + 0.8 * n / loops), rng.uniform(0.45, 1.1) * max(0.25, 1 - fade * n)
        for step in range(13):
            t = step / 12
            high = math.sin(t * 2 * math.pi + phase) * 0.38 * tall
            x_at = left + w * 0.8 / loops * t + math.cos(t * 2 * math.pi + n) * w * swing + high * h * lean
            points.append((x_at, h * (0.5 - high)))
    pen.line(points, fill=255, width=thick, joint="curve")
    if rng.random() < 0.6:
        pen.line([(w * rng.uniform(0.05, 0.3), h * 0.9), (w * 0.95, h * rng.uniform(0.5, 0.85))], fill=255, width=thick)
    colour = rng.choice([(25, 40, 150), (15, 25, 110), (30, 30, 40)])
    _multiply(sheet, _tinted(mask, colour, rng, 0.25), sheet.px(x) - w // 2, sheet.px(y) - h // 2)


def scribble(sheet: Sheet, rng: random.Random, x: float, y: float, width: float) -> None:
    """A line of hurried handwriting: loops in the rhythm of words that nobody can read by machine (EX02)."""
    end = x + width
    while x < end - 6:
        word, points, at, turn = rng.uniform(9, 24), [], 0.0, rng.uniform(0, 6)
        pitch, tall, drift = 2.4, 1.0, rng.uniform(-0.06, 0.06)
        while at < word:
            at += pitch / 16
            turn += math.pi / 8
            if turn > 2 * math.pi:
                turn -= 2 * math.pi
                pitch, tall = rng.uniform(0.8, 3.4), rng.choice([0.5, 0.8, 1.0, 1.3, 2.8, -2.2])
            slant = math.sin(turn) * 0.9 * tall
            px = x + at + math.cos(turn) * rng.uniform(0.5, 0.9) + slant
            py = y - 1.2 + drift * at - math.sin(turn) * 1.2 * tall + rng.uniform(-0.12, 0.12)
            points.append((sheet.px(px), sheet.px(py)))
        sheet.draw.line(points, fill=(35, 45, 130), width=max(2, sheet.px(0.35)), joint="curve")
        if rng.random() < 0.2:  # struck out
            ends = [(sheet.px(x - 1), sheet.px(y - 0.5)), (sheet.px(x + word + 1), sheet.px(y - 2))]
            sheet.draw.line(ends, fill=(35, 45, 130), width=max(2, sheet.px(0.4)))
        x += word + rng.uniform(1.5, 4)


def secrecy(sheet: Sheet, x: float, y: float, text: str) -> None:
    """The red framed stamp of secrecy under the number (Circular 24/2020/TT-BCA)."""
    face = font("Tinos", True, False, round(14 * sheet.look.dpi / 72))
    wide = int(face.getlength(text)) + sheet.px(6)
    left, top, high = sheet.px(x) - wide // 2, sheet.px(y), sheet.px(8)
    for inset in (0, sheet.px(0.9)):
        sheet.draw.rectangle(
            [left + inset, top + inset, left + wide - inset, top + high - inset],
            outline=RED,
            width=max(2, sheet.px(0.3)),
        )
    sheet.draw.text((left + wide // 2, top + high // 2), text, font=face, fill=RED, anchor="mm")
    sheet.lines.append(text)


def sticky_note(sheet: Sheet, rng: random.Random, x: float, y: float, text: str) -> None:
    """A yellow note of 60 × 45 mm that covers what lies under it (CA07)."""
    w, h = sheet.px(60), sheet.px(45)
    note = Image.new("RGB", (w, h), (252, 236, 120))
    pen = ImageDraw.Draw(note)
    pen.rectangle([0, 0, w, h // 6], fill=(246, 226, 98))
    face = font("Tinos", False, True, round(13 * sheet.look.dpi / 72))
    line, top = "", h // 4
    for word in text.split():
        if line and face.getlength(f"{line} {word}") > w - sheet.px(8):
            pen.text((sheet.px(4), top), line, font=face, fill=(30, 40, 130))
            line, top = word, top + int(face.size * 1.25)
        else:
            line = f"{line} {word}".strip()
    pen.text((sheet.px(4), top), line, font=face, fill=(30, 40, 130))
    note = note.rotate(rng.uniform(-5, 5), Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    hidden = Image.new("L", (w, h), 255).rotate(0)
    hidden = Image.eval(Image.fromarray((np.asarray(note).min(axis=2) < 250).astype(np.uint8) * 255), lambda v: v)
    sheet.image.paste(note, (sheet.px(x), sheet.px(y)), hidden)
    sheet.lines.append(text)
