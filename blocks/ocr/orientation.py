"""How a page lies: trueocr's network tells by which quarter turn its content is turned."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blocks.ocr import runtime

SIDE = 768
MIN_CONFIDENCE = 0.95  # a wrong turn loses the page, and nearly all pages are upright


class Orientation:
    """By how many quarter turns the content of a page is turned (counter-clockwise, 0–3)."""

    def __init__(self, folder: Path, engine: runtime.Engine, threads: int) -> None:
        self._network = runtime.network(folder / "orient", engine, threads)

    def __call__(self, gray: NDArray[np.uint8]) -> int:
        h, w = gray.shape
        scale = SIDE / max(h, w)
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        x = np.zeros((1, 1, SIDE, SIDE), np.float32)
        x[0, 0, : size[1], : size[0]] = 1.0 - small.astype(np.float32) / 255.0
        p = self._network(x)[0]
        turn = int(p.argmax())
        return turn if p[turn] > MIN_CONFIDENCE and turn < 4 else 0
