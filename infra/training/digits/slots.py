"""Slots as a page has them: digits of a hand or of print, and round them what a cut brings along.

A slot is a grey image (uint8, 0 black), the digits in it ("" for none, `OTHER` for a letter of the same hand or a digit
that it struck out), and whether a hand wrote them. Shapes come from three sources: handwriting typefaces,
scikit-learn's copy of the UCI digits of real writers, and `strokes.py`.
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
from PIL import Image, ImageDraw, ImageFont

from blocks.ocr.digits import OTHER
from infra.training.digits.paper import Grey, Paper, scanned
from infra.training.digits.pens import inked, struck, written_over
from infra.training.digits.strokes import Ink, drawn, trimmed

EM = 40  # px of the print round a slot
LETTERS = "abcdABCDK"  # of numbers such as 12a
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
    """Days and months as papers have them, numbers of up to six digits, and some longer ones."""
    kind = r.random()
    if kind < 0.3:
        return f"{r.randint(1, 31):02d}" if r.random() < 0.75 else str(r.randint(1, 31))
    if kind < 0.42:
        return f"{r.randint(1, 12):02d}" if r.random() < 0.6 else str(r.randint(1, 12))
    if kind < 0.46:  # alike digits side by side are counted wrong most easily
        return r.choice("0123456789") * r.choice((2, 2, 2, 3))
    if kind < 0.49:  # numbers of people and of their cards
        return "".join(r.choice("0123456789") for _ in range(r.choice((8, 9, 10, 10, 12))))
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

    def glyph_of(digit: str) -> Ink:
        own = kind < 0.5 or (kind < 0.64 and digit in "12457" and variants[digit] % 5 < 3)
        if own or (hand is None and not shapes.writers):
            return drawn(r, digit, variants[digit], size, pen)
        if (kind > 0.88 or hand is None) and shapes.writers:
            return r.choice(shapes.writers[digit])
        assert hand is not None
        return _pressed(_typed(hand, digit), press)

    glyphs = []
    for digit in text:
        if digit == OTHER:
            letter = hand is not None and r.random() < 0.8
            glyph = _pressed(_typed(hand, r.choice(LETTERS)), press) if letter and hand else None
            if glyph is None:
                glyph = struck(r, drawn(r, r.choice("0123456789"), r.randrange(60), size, pen), pen)
        else:
            glyph = glyph_of(digit)
            if r.random() < 0.012:
                glyph = written_over(r, glyph, glyph_of(r.choice("0123456789")))
        tall = size * (1 + r.gauss(0, uneven))
        glyphs.append(_placed(r, glyph, tall if digit != "1" or r.random() < 0.8 else tall * r.uniform(0.8, 1.15)))
    ink = _joined(r, glyphs, gap, slope, size * uneven)
    height = ink.shape[0]
    room = int(abs(lean) * height) + 2
    shear = np.array([[1, -lean, lean * height / 2 + room], [0, 1, 0]], np.float32)
    ink = np.asarray(cv2.warpAffine(ink, shear, (ink.shape[1] + 2 * room, height)), np.uint8)
    ink = trimmed(_shaken(r, ink) if r.random() < 0.35 else ink)
    return trimmed(inked(r, ink, size))


def _pressed(glyph: Ink, press: int) -> Ink:
    """A typeface's digit as a fatter pen (press above 0) or a thinner one draws it."""
    if not press:
        return glyph
    stroke = np.ones((abs(press) + 1,) * 2, np.uint8)
    return np.asarray((cv2.dilate if press > 0 else cv2.erode)(np.pad(glyph, 2), stroke), np.uint8)


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


def sample(r: random.Random, shapes: Shapes, *, handwritten: bool | None = None, text: str | None = None) -> Sample:
    """One slot as it is cut out of a page. handwritten, text: None for chance; about one in fourteen has no digits."""
    known = text is not None
    if text is None:
        text = "" if r.random() < 0.07 else a_text(r)
    hand = r.random() < 0.85 if handwritten is None else handwritten
    if not text:
        hand = False
    elif hand and not known and r.random() < 0.04:
        at = len(text) if r.random() < 0.75 else r.randrange(len(text))
        text = text[:at] + OTHER + text[at:]
    face = r.choice(shapes.prints)
    black = r.uniform(0.75, 1.0)
    pen = (r.uniform(0.55, 1.0) if r.random() < 0.88 else r.uniform(0.25, 0.55)) if hand else black
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
    paper = Paper(height, max(8, round(left + ink.shape[1] + right)))
    _surround(r, paper, face, black, (left, ink.shape[1], base))
    paper.put(ink, left, base - above, pen)
    return Sample(scanned(r, paper.dark), text, hand)


def _surround(r: random.Random, paper: Paper, face: Path, black: float, at: tuple[float, int, float]) -> None:
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
