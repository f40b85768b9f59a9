"""Slots as a page has them: digits of a hand or of print, and round them what a cut brings along.

A slot is a grey image (uint8, 0 black), the digits in it ("" for none), and whether a hand wrote them. Shapes come from
three sources: handwriting typefaces, scikit-learn's copy of the UCI digits of real writers, and `strokes.py`.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from infra.training.digits.strokes import Ink, drawn, trimmed

Grey = npt.NDArray[np.uint8]
EM = 40  # px of the print round a slot
DRAWN = 56  # px at which digits of typefaces are drawn, before they are made larger or smaller
# Latin-1 only: not every typeface has more. Which letter it is doesn't matter, only that it is none.
LEFT = ("ngày", "ngày", "Sô:", "Sô:", "Sô", "y", ":", "ô:", "tháng", "g", "sô", ")", ",", "an, ngày", "No.", "SÔ:")
RIGHT = (
    "tháng",
    "tháng",
    "t",
    "th",
    "nãm",
    "n",
    "/",
    "/Q",
    "/U",
    "/C",
    "/B",
    "/T",
    "/QÐ-",
    "/BC",
    "/TB",
    "-",
    ",",
    ".",
)
ABOVE = ("CÔNG HÒA", "tu do", "Hanh phúc", "UBND", "TINH", "-------", "Ðôc lâp", "ngày", "nhân dân")
ALONE = ("", "", "...", ".....", "........", "-", "tháng", "ngày", "sô", "/QÐ", "kính", "a", "b", "CV", "V/v")


@dataclass(frozen=True)
class Shapes:
    """Where digits come from. hands, prints: files of typefaces; writers: images of each digit, ink 255."""

    prints: Sequence[Path]
    hands: Sequence[Path] = ()
    writers: dict[str, list[Ink]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    slot: Grey
    text: str
    handwritten: bool


def writers_of(table: Path) -> tuple[dict[str, list[Ink]], dict[str, list[Ink]]]:
    """The digits of scikit-learn's `datasets/data/digits.csv.gz` (8 × 8, 0 to 16) as strokes; the last fifth apart."""
    with gzip.open(table) as stream:
        rows = np.loadtxt(stream, delimiter=",", dtype=np.float32)
    seen: dict[str, list[Ink]] = {str(d): [] for d in range(10)}
    unseen: dict[str, list[Ink]] = {str(d): [] for d in range(10)}
    for number, row in enumerate(rows):
        big = cv2.resize(np.pad(row[:64].reshape(8, 8), 1), (60, 60), interpolation=cv2.INTER_CUBIC)
        soft = ((cv2.GaussianBlur(big, (0, 0), 1.4) - 6.5) / 3).clip(0, 1) * 255
        part = seen if number < 0.8 * len(rows) else unseen
        part[str(int(row[64]))].append(trimmed(soft.astype(np.uint8)))
    return seen, unseen


@lru_cache(maxsize=2048)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def _typed(path: Path, digit: str) -> Ink:
    image = Image.new("L", (DRAWN * 4, DRAWN * 4), 0)
    ImageDraw.Draw(image).text((DRAWN, DRAWN), digit, font=_font(path, DRAWN), fill=255)
    return trimmed(np.asarray(image))


@lru_cache(maxsize=20_000)
def _printed(path: Path, size: int, text: str) -> tuple[Ink, int]:
    """Ink of a text, and how far its top lies above the base line."""
    mask, (_, top) = _font(path, size).getmask2(text, mode="L", anchor="ls")
    width, height = mask.size
    if not width or not height:
        return np.zeros((1, 1), np.uint8), 0
    return np.frombuffer(bytes(mask), np.uint8).reshape(height, width), -top


def a_text(r: random.Random) -> str:
    """Days and months as papers have them, and numbers of up to six digits."""
    kind = r.random()
    if kind < 0.3:
        return f"{r.randint(1, 31):02d}" if r.random() < 0.75 else str(r.randint(1, 31))
    if kind < 0.42:
        return f"{r.randint(1, 12):02d}" if r.random() < 0.6 else str(r.randint(1, 12))
    length = r.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    return "".join(r.choice("0123456789") for _ in range(length))


def written(r: random.Random, text: str, shapes: Shapes, size: float) -> Ink:
    """The digits in one hand, about `size` px tall, ink 255 on 0, cut to their ink."""
    kind = r.random()
    pen = size * r.uniform(0.035, 0.13)
    hand = r.choice(shapes.hands) if shapes.hands else None
    press = r.choice((-1, 0, 0, 1, 2))
    variants = {d: r.randrange(60) for d in "0123456789"}
    lean, slope = r.gauss(0.1, 0.2), r.gauss(0, 0.05)
    gap = r.uniform(-0.12, 0.25) * size if r.random() < 0.75 else r.uniform(-0.3, -0.05) * size
    uneven = r.choice((0.02, 0.05, 0.1))
    glyphs = []
    for digit in text:
        own = kind < 0.42 or (kind < 0.6 and digit in "1457" and variants[digit] % 5 < 3)
        if own or (hand is None and not shapes.writers):
            glyph = drawn(r, digit, variants[digit], size, pen)
        elif (kind > 0.84 or hand is None) and shapes.writers:
            glyph = r.choice(shapes.writers[digit])
        else:
            assert hand is not None
            glyph = _typed(hand, digit)
            if press:
                stroke = np.ones((abs(press) + 1,) * 2, np.uint8)
                changed = (cv2.dilate if press > 0 else cv2.erode)(np.pad(glyph, 2), stroke)
                glyph = np.asarray(changed, np.uint8)
        tall = size * (1 + r.gauss(0, uneven))
        glyphs.append(_placed(r, glyph, tall if digit != "1" or r.random() < 0.8 else tall * r.uniform(0.8, 1.15)))
    ink = _joined(r, glyphs, gap, slope, size * uneven)
    height = ink.shape[0]
    room = int(abs(lean) * height) + 2
    shear = np.array([[1, -lean, lean * height / 2 + room], [0, 1, 0]], np.float32)
    ink = np.asarray(cv2.warpAffine(ink, shear, (ink.shape[1] + 2 * room, height)), np.uint8)
    return trimmed(_shaken(r, ink) if r.random() < 0.35 else ink)


def _placed(r: random.Random, glyph: Ink, tall: float) -> Ink:
    """A glyph made `tall` px tall, turned a little and stretched."""
    factor = tall / max(4, glyph.shape[0])
    turn = np.deg2rad(r.gauss(0, 5))
    wide = factor * r.uniform(0.88, 1.14)
    matrix = np.array([[np.cos(turn) * wide, np.sin(turn) * factor], [-np.sin(turn) * wide, np.cos(turn) * factor]])
    height, width = glyph.shape
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ matrix.T
    low, high = corners.min(0) - 2, corners.max(0) + 2
    size = (int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
    return trimmed(np.asarray(cv2.warpAffine(glyph, np.hstack([matrix, -low[:, None]]), size), np.uint8))


def _joined(r: random.Random, glyphs: Sequence[Ink], gap: float, slope: float, up_and_down: float) -> Ink:
    tall = max(g.shape[0] for g in glyphs)
    wide = sum(g.shape[1] for g in glyphs) + int(abs(gap) + 6) * len(glyphs) + 8
    play = int(abs(slope) * wide + 4 * up_and_down) + 4
    canvas = np.zeros((tall + 2 * play, wide), np.uint8)
    x = 2
    for glyph in glyphs:
        height, width = glyph.shape
        y = round(play + tall - height + slope * (x - wide / 2) + r.gauss(0, up_and_down))
        y = min(max(0, y), canvas.shape[0] - height)
        part = canvas[y : y + height, x : x + width]
        np.maximum(part, glyph[:, : part.shape[1]], out=part)
        x += max(3 + round(width * 0.7), width + round(gap + r.uniform(0, 3)))
    return canvas


def _shaken(r: random.Random, ink: Ink) -> Ink:
    """An elastic change of the whole number."""
    height, width = ink.shape
    n = np.random.default_rng(r.randrange(1 << 30))
    by = [
        cv2.resize(n.standard_normal((3, 2 + width // 30)).astype(np.float32), (width, height)) * r.uniform(0.5, 2.5)
        for _ in range(2)
    ]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(ink, xs + by[0], ys + by[1], cv2.INTER_LINEAR), np.uint8)


class _Paper:
    """Darkness 0..1 of what is drawn, one thing over another."""

    def __init__(self, height: int, width: int) -> None:
        self.dark = np.zeros((height, width), np.float32)

    def put(self, ink: Ink, x: float, y: float, strength: float) -> None:
        """Ink with its top left corner at x, y; what lies outside is cut off."""
        left, top = round(x), round(y)
        height, width = self.dark.shape
        x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + ink.shape[1]), min(height, top + ink.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        part = self.dark[y0:y1, x0:x1]
        add = ink[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) * (strength / 255)
        np.maximum(part, add, out=part)

    def stroke(self, points: Sequence[tuple[float, float]], strength: float, pen: int) -> None:
        line = np.zeros(self.dark.shape, np.uint8)
        cv2.polylines(line, [np.round(np.array(points)).astype(np.int32)], False, (255,), pen, cv2.LINE_AA)
        np.maximum(self.dark, line.astype(np.float32) * (strength / 255), out=self.dark)


def sample(r: random.Random, shapes: Shapes, *, handwritten: bool | None = None, text: str | None = None) -> Sample:
    """One slot as it is cut out of a page. handwritten, text: None for chance; about one in fourteen has no digits."""
    if text is None:
        text = "" if r.random() < 0.07 else a_text(r)
    hand = r.random() < 0.8 if handwritten is None else handwritten
    if not text:
        hand = False
    face = r.choice(shapes.prints)
    black = r.uniform(0.75, 1.0)
    pen = r.uniform(0.55, 1.0) if hand else black
    if not text:
        ink, above = _printed(face, EM, r.choice(ALONE))
    elif hand:
        ink = written(
            r, text, shapes, EM * r.choice((r.uniform(0.55, 0.9), r.uniform(0.75, 1.25), r.uniform(0.9, 1.6)))
        )
        above = round(ink.shape[0] * r.uniform(0.8, 1.05) + r.uniform(-0.05, 0.15) * EM)
    else:
        ink, above = _printed(face, round(EM * r.uniform(0.95, 1.05)), text)
    room = r.uniform(0.2, 0.5)  # above and below the line, of its height
    line = EM * r.uniform(1.15, 1.5)
    height = round(line * (1 + 2 * room))
    base = line * room + line * 0.5 + EM * r.uniform(0.22, 0.42)
    left, right = (EM * (r.uniform(0.0, 0.3) if r.random() < 0.5 else r.uniform(0.2, 1.3)) for _ in range(2))
    paper = _Paper(height, max(8, round(left + ink.shape[1] + right)))
    _surround(r, paper, face, black, (left, ink.shape[1], base))
    paper.put(ink, left, base - above, pen)
    return Sample(_scanned(r, paper.dark), text, hand)


def _surround(r: random.Random, paper: _Paper, face: Path, black: float, at: tuple[float, int, float]) -> None:
    """Print at both ends, leaders, rules, strokes of stamps and signatures, pieces of the lines above and below."""
    left, wide, base = at
    height, width = paper.dark.shape
    if r.random() < 0.6:  # mostly outside: the cut runs through it
        words, above = _printed(face, EM, r.choice(LEFT))
        paper.put(
            words,
            min(left - EM * r.uniform(-0.08, 0.5), EM * r.uniform(-0.1, 0.45)) - words.shape[1],
            base - above,
            black,
        )
    if r.random() < 0.6:  # a whole slash would look like a 1
        text = r.choice(RIGHT)
        words, above = _printed(face, EM, text)
        seen = EM * r.uniform(0.0, 0.2 if text[0] in "/-,." else 0.45)
        paper.put(words, max(left + wide - EM * 0.08, width - seen), base - above, black)
    if r.random() < 0.3:  # a dotted leader
        dots, above = _printed(face, EM, r.choice((".", "…", ". ")) * 24)
        paper.put(dots, r.uniform(-30, left), base - above + EM * r.uniform(-0.05, 0.1), black * r.uniform(0.6, 1))
    if r.random() < 0.12:  # a ruled line
        y = base + EM * r.uniform(-0.05, 0.25)
        paper.stroke([(0, y), (width, y + r.uniform(-3, 3))], r.uniform(0.4, 1), r.randint(1, 3))
    if r.random() < 0.12:  # the rule under the line above
        y = base - EM * r.uniform(1.0, 1.7)
        paper.stroke([(0, y), (width, y + r.uniform(-2, 2))], r.uniform(0.5, 1), r.randint(1, 3))
    for _ in range(2):
        if r.random() < 0.06:  # of a stamp or a signature
            points = [(r.uniform(0, width), r.uniform(0, height)) for _ in range(3)]
            paper.stroke(points, r.uniform(0.15, 0.6), r.randint(1, 4))
    for y in (base - EM * r.uniform(1.4, 2.0), base + EM * r.uniform(1.4, 2.0)):
        if r.random() < 0.3:  # the line above, the line below
            words, above = _printed(face, EM, r.choice(ABOVE))
            paper.put(words, r.uniform(-EM, width / 2), y - above, black)


def _scanned(r: random.Random, dark: npt.NDArray[np.float32]) -> Grey:
    """As a scanner or a camera sees it, at 80 to 330 dpi or so."""
    scale = r.choice((r.uniform(0.4, 0.75), r.uniform(0.75, 1.1), r.uniform(1.0, 1.6)))
    if r.random() < 0.6:
        dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), r.uniform(0.4, 1.9)), np.float32)
    size = (max(6, round(dark.shape[1] * scale * r.uniform(0.9, 1.1))), max(12, round(dark.shape[0] * scale)))
    dark = np.asarray(cv2.resize(dark, size, interpolation=cv2.INTER_AREA), np.float32)
    black, white = r.uniform(0, 90), r.uniform(175, 255)
    image = white - (white - black) * dark
    width = image.shape[1]
    if r.random() < 0.25:  # light from one side
        image = image * np.linspace(r.uniform(0.8, 1.1), r.uniform(0.8, 1.1), width, dtype=np.float32)
    n = np.random.default_rng(r.randrange(1 << 30))
    image = image + n.standard_normal(image.shape, np.float32) * r.choice((0, r.uniform(0, 6), r.uniform(3, 13)))
    if r.random() < 0.05:  # black and white only
        image = np.where(image > (black + white) / 2 + r.uniform(0, 30), 255, 0)
    result = image.clip(0, 255).astype(np.uint8)
    if r.random() < 0.4:
        _, code = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, r.randint(25, 90)])
        result = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
    return result
