"""What digits are drawn on, and how a scanner or a camera sees it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from infra.training.digits.strokes import Ink

Grey = npt.NDArray[np.uint8]


class Paper:
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


def scanned(r: random.Random, dark: npt.NDArray[np.float32]) -> Grey:
    """As a scanner or a camera sees it, at 80 to 330 dpi or so."""
    scale = r.choice((r.uniform(0.4, 0.75), r.uniform(0.75, 1.1), r.uniform(1.0, 1.6)))
    if r.random() < 0.6:
        dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), r.uniform(0.4, 1.9)), np.float32)
    if r.random() < 0.06:  # a phone that moved
        way, far = r.uniform(0, np.pi), r.randint(3, 7) / 2
        x, y = round(np.cos(way) * far), round(np.sin(way) * far)
        track = np.zeros((9, 9), np.float32)
        cv2.line(track, (4 - x, 4 - y), (4 + x, 4 + y), (1.0,))
        dark = np.asarray(cv2.filter2D(dark, -1, track / track.sum()), np.float32)
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
