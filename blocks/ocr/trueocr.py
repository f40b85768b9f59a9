"""Reader of Vietnamese lines by trueocr's network, and its page orientation network.

The PaddleOCR pipeline can't host this network (its input is an ink map of 96 rows and its output is decoded already),
so it reads the crops itself. Crops are prepared as in trueocr 0.1.1 (`trueocr/preprocess.py`, Apache-2.0), from which
`ink_map` and `batches` are adapted.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blocks.ocr.runtime import session

Image = NDArray[np.uint8]
Ink = NDArray[np.float32]

ROWS = 32  # height of the line in the network's input
WINDOW = 3  # input is three lines high: the line and white above and below
HALO = 8  # empty columns after the widest line of a batch
ORIENT_SIDE = 768
ORIENT_MIN = 0.95  # a wrong turn loses the page, and nearly all pages are upright


@dataclass(frozen=True)
class ReadLine:
    """Text of one crop; starts and ends of its characters as fractions of the crop's width."""

    text: str
    confidence: float
    positions: tuple[float, ...]  # centre of each character, 0..1


def ink_map(gray: Image, *, pad_x: float, pad_y: float, max_width: int) -> Ink:
    """The crop of one line (H, W) as (96, w) float32, 0 paper, 1 ink; light text on dark ground is inverted."""
    low, middle, high = np.percentile(gray, (2, 50, 98))
    dark = bool(high - middle > 2 * (middle - low) + 8)
    h = gray.shape[0]
    tall = (WINDOW * (1 + 2 * pad_y) - 1) / 2
    dx, dy = math.ceil(pad_x * h), math.ceil(tall * h)
    padded = cv2.copyMakeBorder(gray, dy, dy, dx, dx, cv2.BORDER_CONSTANT, value=(0 if dark else 255,))
    height = ROWS * WINDOW
    width = max(8, min(max_width, round(padded.shape[1] * height / padded.shape[0])))
    shrink = padded.shape[0] > height
    small = cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    ink = small.astype(np.float32) / 255.0
    return ink if dark else np.float32(1.0) - ink


def batches(widths: list[int], *, size: int = 32, ratio: float = 1.3, area: int = 64 * 640) -> list[list[int]]:
    """Indices grouped by similar width, so that little work goes into padding."""
    groups: list[list[int]] = []
    for i in sorted(range(len(widths)), key=lambda k: widths[k]):
        last = groups[-1] if groups else []
        wide = max(widths[i], 64)
        if last and len(last) < size and wide <= ratio * max(widths[last[0]], 64) and (len(last) + 1) * wide <= area:
            last.append(i)
        else:
            groups.append([i])
    return groups


class LineReader:
    """trueocr's recogniser: crops in, text out."""

    def __init__(self, folder: Path, threads: int) -> None:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        self.name: str = meta["name"]
        self._characters: list[str] = meta["charset"]
        self._crop = {"pad_x": meta["pad_x"], "pad_y": meta["pad_y"], "max_width": meta["max_width"]}
        self._session = session(folder / "rec.onnx", threads)

    def read(self, crops: list[Image]) -> list[ReadLine]:
        """crops: grey images (H, W) uint8 of one horizontal line each."""
        inks = [ink_map(crop, **self._crop) for crop in crops]
        lines: list[ReadLine] = [ReadLine("", 0.0, ())] * len(crops)
        for group in batches([ink.shape[1] for ink in inks]):
            widest = math.ceil(max(inks[i].shape[1] for i in group) / 8) * 8 + HALO
            x = np.zeros((len(group), 1, ROWS * WINDOW, widest), np.float32)
            widths = np.array([inks[i].shape[1] for i in group], np.int64)
            for row, i in enumerate(group):
                x[row, 0, :, : widths[row]] = inks[i]
            ids, confidences, lengths = self._session.run(["ids", "conf", "lengths"], {"x": x, "widths": widths})
            for row, i in enumerate(group):
                n = int(lengths[row])
                margin = self._crop["pad_x"] / (crops[i].shape[1] / crops[i].shape[0] + 2 * self._crop["pad_x"])
                lines[i] = self._decode(ids[row, :n], confidences[row, :n], margin)
        return lines

    def _decode(self, ids: NDArray[np.int64], confidences: NDArray[np.float32], margin: float) -> ReadLine:
        """Greedy CTC; blank is 0. margin: share of the input's width that is padding, on each side."""
        keep = (ids != 0) & np.concatenate(([True], ids[1:] != ids[:-1]))
        if not keep.any():
            return ReadLine("", 0.0, ())
        text = "".join(self._characters[i - 1] for i in ids[keep])
        at = (np.flatnonzero(keep) + 0.5) / len(ids)
        at = np.clip((at - margin) / max(1e-6, 1 - 2 * margin), 0, 1)
        composed = unicodedata.normalize("NFC", text)
        positions = tuple(float(p) for p in at) if len(composed) == len(at) else ()
        return ReadLine(composed, float(confidences[keep].mean()), positions)


class Orientation:
    """By how many quarter turns the content of a page is turned (counter-clockwise, 0–3)."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._session = session(folder / "orient.onnx", threads)

    def __call__(self, gray: Image) -> int:
        h, w = gray.shape
        scale = ORIENT_SIDE / max(h, w)
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        x = np.zeros((1, 1, ORIENT_SIDE, ORIENT_SIDE), np.float32)
        x[0, 0, : size[1], : size[0]] = 1.0 - small.astype(np.float32) / 255.0
        p = self._session.run(None, {"x": x})[0][0]
        turn = int(p.argmax())
        return turn if p[turn] > ORIENT_MIN and turn < 4 else 0
