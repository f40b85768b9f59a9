# mypy: disable-error-code="arg-type,return-value"
"""Synthetic text lines as the detector cuts them out of pages: image of 48 px height and the text to read."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from infra.training import charset, degrade
from infra.training.fonts import SIZES, Face
from infra.training.layout import Drawn, draw_line
from infra.training.texts import Texts

HEIGHT = 48
MAX_WIDTH = 1728  # px at a height of 48: a full A4 line of small print
STRIDE = 8  # px a CTC step
# Resolution of scans and photos, dpi, and how often
DPI = ((90, 5), (100, 6), (120, 8), (150, 16), (200, 34), (240, 8), (300, 23))
POINTS = ((8, 4), (9, 6), (10, 10), (11, 14), (12, 22), (13, 24), (14, 16), (16, 3), (20, 1))


@dataclass(frozen=True)
class Sample:
    """image [48, W, C] uint8, C 1 or 3 (BGR); text normalised."""

    image: npt.NDArray[np.uint8]
    text: str


def _pick(r: random.Random, table: tuple[tuple[int, float], ...]) -> int:
    return r.choices([v for v, _ in table], [w for _, w in table])[0]


def _length(r: random.Random) -> int:
    kind = r.random()
    if kind < 0.22:
        return r.randint(1, 10)
    if kind < 0.55:
        return r.randint(8, 32)
    return r.randint(28, 92)


def _margins(r: random.Random, drawn: Drawn) -> tuple[float, float, float, float]:
    """Left, top, right, bottom em that the detector leaves around the ink.

    Measured with PP-OCRv6 tiny det (unclip 1.6) on 336 drawn lines, 2nd to 98th percentile: top 0.86–1.23 em over the
    baseline, bottom 0.14–0.43 em under it, left 0.05–0.36 em, right -0.2–0.26 em; it follows the baseline, not the ink.
    """
    above = (drawn.baseline - drawn.box[1]) / drawn.em
    below = (drawn.box[3] - drawn.baseline) / drawn.em
    top = max(-0.01, r.triangular(0.82, 1.32, 1.0) - above)
    bottom = max(-0.03, r.triangular(0.1, 0.48, 0.22) - below)
    return r.uniform(0.0, 0.42), top, r.triangular(-0.04, 0.42, 0.1), bottom


class LineMaker:
    """Makes the same lines for the same seed."""

    def __init__(self, texts: Texts, faces: list[Face], seed: int) -> None:
        self.texts, self.faces = texts, faces
        self.r = random.Random(seed)  # noqa: S311 - not for secrets
        self.n = np.random.default_rng(seed)

    def make(self) -> Sample:
        while True:
            sample = self._try()
            if sample is not None:
                return sample

    def _try(self) -> Sample | None:
        r = self.r
        em_seen = _pick(r, POINTS) * _pick(r, DPI) / 72 * r.uniform(0.93, 1.07)
        em = min(SIZES, key=lambda size: abs(size - em_seen))
        drawn = draw_line(r, self.texts, self.faces, em, _length(r))
        if drawn is None:
            return None
        image = self._capture(drawn, em_seen / em)
        if image is None or not self._fits(image, drawn.text):
            return None
        return Sample(image, drawn.text)

    @staticmethod
    def _fits(image: npt.NDArray[np.uint8], text: str) -> bool:
        """Wide enough for CTC to say the text at all."""
        return charset.steps_needed(charset.encode(text)) <= int(image.shape[1]) // STRIDE

    def _capture(self, drawn: Drawn, scale: float) -> npt.NDArray[np.uint8] | None:
        """Ink mask → image as scanned or photographed at `scale`, cut out and brought to 48 px."""
        r, n, em = self.r, self.n, drawn.em
        photo, colour = r.random() < 0.25, r.random() < 0.38
        mask = degrade.change_strokes(r, n, drawn.mask, em)
        mask, box = degrade.bend(r, drawn, mask, photo)
        ground = degrade.paper(r, n, (mask.shape[0], mask.shape[1]), em, colour)
        image = ground * (1 - mask[..., None]) + degrade.ink_colours(r, colour) * mask[..., None]
        if r.random() < (0.35 if colour else 0.06):
            image = degrade.stamp(r, n, image, em)
        if r.random() < 0.025:  # light letters on a dark ground
            image = 255 - image
        if photo:
            image = degrade.shade(r, n, image)
        image = self._scan(image, em, scale, photo)
        left, top, right, bottom = (m * em * scale for m in _margins(r, drawn))
        x0, y0, x1, y1 = (v * scale for v in box)
        cut = self._cut(image, (x0 - left, y0 - top, x1 + right, y1 + bottom))
        return self._resize(cut) if cut is not None else None

    def _scan(self, image: degrade.Image, em: int, scale: float, photo: bool) -> npt.NDArray[np.uint8]:
        r, n = self.r, self.n
        size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, size, interpolation=way).reshape(size[1], size[0], image.shape[2])
        seen = em * scale
        small = degrade.blur(r, small, r.uniform(0, 0.045 if photo else 0.025) * seen if r.random() < 0.8 else 0.0)
        out = degrade.sensor(r, n, small).round().astype(np.uint8)
        return degrade.compress(r, out) if r.random() < 0.65 else out

    @staticmethod
    def _cut(image: npt.NDArray[np.uint8], box: tuple[float, ...]) -> npt.NDArray[np.uint8] | None:
        height, width = image.shape[:2]
        x0, y0 = max(0, round(box[0])), max(0, round(box[1]))
        x1, y1 = min(width, round(box[2])), min(height, round(box[3]))
        return image[y0:y1, x0:x1] if x1 - x0 >= 4 and y1 - y0 >= 6 else None

    def _resize(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        r = self.r
        stretch = 1.0 if r.random() < 0.6 else r.uniform(0.88, 1.14)
        width = max(STRIDE * 2, round(image.shape[1] * HEIGHT / image.shape[0] * stretch))
        if width > MAX_WIDTH:
            return None
        way = r.choice((cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC))
        return cv2.resize(image, (width, HEIGHT), interpolation=way).reshape(HEIGHT, width, image.shape[2])
