# mypy: disable-error-code="return-value"
"""Draws the ink of one line, and what stands around it on paper: neighbours, underlines, table rules, dotted leaders.

The result is a mask of ink (float32, 0 paper to 1 ink) at the drawing scale, with the box of the line's own text.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from infra.training import charset
from infra.training.fonts import Face, characters_of, glyph
from infra.training.texts import Texts, Words

Mask = npt.NDArray[np.float32]
LONGEST = 46  # em; a line that long is over 1,700 px wide at a height of 48


@dataclass
class Drawn:
    """mask [H, W]; box x0, y0, x1, y1 of the text's own ink; em and baseline in px; text as it shall be read."""

    mask: Mask
    box: tuple[int, int, int, int]
    em: int
    baseline: int
    text: str


@dataclass(frozen=True)
class Piece:
    """What is drawn at one place: characters of one face; `read` is False for leaders that the text hides."""

    x: float
    text: str
    face: Face


@dataclass(frozen=True)
class Style:
    em: int
    gap: float  # width of a space, em
    tracking: float  # extra px between letters
    lift: int  # px that filled-in text stands above its dotted line


def _style(r: random.Random, em: int) -> Style:
    gap = 0.25 if r.random() < 0.7 else r.uniform(0.17, 0.75)  # justified paragraphs stretch their spaces
    tracking = r.uniform(0.03, 0.22) * em if r.random() < 0.06 else 0.0
    return Style(em, gap, tracking, round(r.uniform(0, 0.12) * em))


def _drawable(words: Words, face: Face, spare: list[Face]) -> list[tuple[str, Face]]:
    """Words with the face that can draw them; signs that no face has are dropped."""
    out = []
    for word in words:
        for candidate in (face, *spare):
            if all(c in characters_of(candidate.path) for c in word):
                out.append((word, candidate))
                break
    return out


class Pen:
    """Lays words out from left to right."""

    def __init__(self, r: random.Random, style: Style) -> None:
        self.r, self.style = r, style
        self.x = 0.0
        self.pieces: list[Piece] = []
        self.leaders: list[Piece] = []
        self.read: list[str] = []

    def _width(self, text: str, face: Face) -> float:
        return sum(glyph(face.path, self.style.em, c).advance + self.style.tracking for c in text)

    def word(self, text: str, face: Face) -> None:
        self.pieces.append(Piece(self.x, text, face))
        self.x += self._width(text, face)
        self.read.append(text)

    def space(self, factor: float = 1.0) -> None:
        self.x += max(0.16, self.style.gap * factor) * self.style.em
        self.read.append(" ")

    def leader(self, face: Face, length: float, *, visible: bool) -> None:
        """Dotted fill-in line; `visible` ones stand free and are read as three dots, others lie below the text."""
        sign = self.r.choice("......…_")
        count = max(4, int(length / max(1.0, self._width(sign, face))))
        self.leaders.append(Piece(self.x, sign * count, face))
        if visible:
            self.x += self._width(sign * count, face)
            self.read.append(" " if sign == "_" else "....")


def _lay(r: random.Random, words: Words, face: Face, second: Face, spare: list[Face], style: Style) -> Pen:
    """One of the ways in which words stand on a line: plain, label with another face, form with dots, columns."""
    pen = Pen(r, style)
    drawable = _drawable(words, face, spare)
    kind = r.random()
    colon = next((i for i, (w, _) in enumerate(drawable) if w.endswith(":")), None)
    dotted = kind < 0.10 or (colon is not None and kind < 0.3)
    turn = colon if colon is not None else r.randrange(len(drawable) + 1)
    for i, (word, own) in enumerate(drawable):
        if i:
            wide = 0.88 < kind < 0.95 and r.random() < 0.12
            pen.space(r.uniform(3, 14) if wide else 1.0)
        if dotted and i == turn + 1:
            pen.leader(face, r.uniform(3, 22) * style.em, visible=r.random() < 0.12)
        pen.word(word, second if i > turn and kind > 0.95 and own is face else own)
    if dotted and r.random() < 0.5:
        pen.leader(face, r.uniform(1.2, 9) * style.em, visible=True)
    return pen


def _ink(pieces: list[Piece], style: Style, size: tuple[int, int], origin: tuple[float, float]) -> Mask:
    """Ink of pieces on a canvas of `size` (width, height), the pen starting at `origin` on the baseline."""
    width, height = size
    canvas = np.zeros((height, width), np.uint8)
    for piece in pieces:
        x = origin[0] + piece.x
        for letter in piece.text:
            shape = glyph(piece.face.path, style.em, letter)
            left, top = round(x) + shape.left, round(origin[1]) + shape.top
            _stick(canvas, shape.ink, left, top)
            x += shape.advance + style.tracking
    return np.asarray(canvas, np.float32) / 255


def _stick(canvas: npt.NDArray[np.uint8], ink: npt.NDArray[np.uint8], left: int, top: int) -> None:
    """Darker of both, cut at the canvas' edges; in place."""
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(canvas.shape[1], left + ink.shape[1]), min(canvas.shape[0], top + ink.shape[0])
    if x1 > x0 and y1 > y0:
        part = canvas[y0:y1, x0:x1]
        np.maximum(part, ink[y0 - top : y1 - top, x0 - left : x1 - left], out=part)


def _neighbours(r: random.Random, texts: Texts, face: Face, style: Style, size: tuple[int, int], base: int) -> Mask:
    """Lines above and below, in the same face."""
    pitch = style.em * r.uniform(1.12, 1.7)
    pieces = []
    for below in (False, True):
        words = [w for w, _ in _drawable(texts.sentence(r), face, [])]
        wide = " ".join(words * 3)[: int(size[0] / style.em * r.uniform(1, 2.4)) + 1]
        pieces.append((Piece(r.uniform(-0.2, 0.3) * size[0], wide, face), base + (pitch if below else -pitch)))
    return np.maximum(*(_ink([piece], style, size, (0, y)) for piece, y in pieces))


def _rules(r: random.Random, mask: Mask, drawn_box: tuple[int, int, int, int], em: int, base: int) -> None:
    """Underline, table rules left, right, above, below and between columns, each now and then; in place."""
    x0, y0, x1, y1 = drawn_box
    height, width = mask.shape
    thick = max(1, round(em * r.uniform(0.025, 0.09)))
    tone = r.uniform(0.5, 1)

    def across(y: int, left: int, right: int) -> None:
        y = min(max(y, 0), height - thick)
        mask[y : y + thick, max(0, left) : right] = np.maximum(mask[y : y + thick, max(0, left) : right], tone)

    def down(x: int) -> None:
        x = min(max(x, 0), width - thick)
        mask[:, x : x + thick] = np.maximum(mask[:, x : x + thick], tone)

    if r.random() < 0.05:
        left = x0 + int((x1 - x0) * r.uniform(0, 0.4)) * (r.random() < 0.5)
        across(base + round(em * r.uniform(0.08, 0.2)), left, x1)
    if r.random() < 0.10:
        across(y0 - round(em * r.uniform(0.02, 0.3)), 0, width)
    if r.random() < 0.10:
        across(y1 + round(em * r.uniform(0.0, 0.3)), 0, width)
    if r.random() < 0.08:
        down(x0 - round(em * r.uniform(0.08, 0.4)))
    if r.random() < 0.08:
        down(x1 + round(em * r.uniform(0.08, 0.4)))


def draw_line(r: random.Random, texts: Texts, faces: list[Face], em: int, length: int) -> Drawn | None:
    """A line of about `length` characters at `em` px an em; None where nothing of it can be drawn."""
    face, second = r.choices(faces, [f.weight for f in faces], k=2)
    family = [f for f in faces if f.family == face.family]
    second = r.choice(family) if r.random() < 0.7 else second
    spare = [f for f in faces if f.family in ("DejaVu Sans", "DejaVu Serif", "FreeSerif")]
    style = _style(r, em)
    pen = _lay(r, texts.words(r, length), face, second, spare, style)
    text = charset.normalise("".join(pen.read))
    if not text or not pen.pieces or not charset.known(text) or pen.x > LONGEST * em:
        return None
    pad = round(em * 1.3)
    size = (int(pen.x) + 2 * pad + em, 2 * pad + round(em * 1.6))
    base = pad + round(em * 1.15)
    own = _ink(pen.pieces, style, size, (pad, base - style.lift * bool(pen.leaders)))
    leaders = _ink(pen.leaders, style, size, (pad, base)) if pen.leaders else None
    inked = np.maximum(own, leaders) if leaders is not None and "..." in text else own
    rows, columns = np.flatnonzero(inked.max(1) > 0.3), np.flatnonzero(inked.max(0) > 0.3)
    if not len(rows):
        return None
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    mask = np.maximum(own, leaders) if leaders is not None else own.copy()
    if r.random() < 0.55:
        beside = _neighbours(r, texts, face, style, size, base)
        beside[max(0, box[1] - 1) : box[3] + 1] *= 0 if r.random() < 0.8 else 1
        mask = np.maximum(mask, beside)
    _rules(r, mask, box, em, base)
    return Drawn(mask, box, em, base, text)
