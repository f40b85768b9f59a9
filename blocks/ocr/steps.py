"""Steps of the PaddleOCR pipeline for one processor core, in place of its own. They do the same work, but

- a line is drawn anew only once, from the stored page to the height that the recogniser wants, not straightened, cut
  and resized one after the other;
- pages are grey, one channel instead of three;
- lines are read one by one: the network is as fast for one as for six, and none is padded to its neighbours' width.
  Widths are rounded up to steps, because OpenVINO prepares its kernels anew for each width that it hasn't met;
- the columns in which letters were read are kept, in place of the pipeline's boxes of words, which know no accents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blocks.ocr import geometry, language

HEIGHT, STRIDE = 48, 8  # of the recogniser's input; pixels of it that make one column of its output
LEAST, STEP, MOST = 128, 64, 3200  # widths of it
UPRIGHT = 1.5  # taller than wide by this: the line runs upwards (as in the pipeline)
_SCALE = (np.arange(256, dtype=np.float32) / 127.5 - 1).astype(np.float32)


class Decoded(str):
    """The text of a line with the centre of each character along it, 0..1."""

    positions: tuple[float, ...] = ()


class Cut:
    """Quadrilaterals of a view as pieces (48, w) of the stored image: what is read was drawn anew only once."""

    def __init__(self) -> None:
        self.view: geometry.View | None = None  # the page that the pipeline is at

    def __call__(self, _: geometry.Image, polygons: Sequence[NDArray[Any]]) -> list[geometry.Image]:
        assert self.view is not None
        return [piece(self.view, polygon) for polygon in polygons]


def piece(view: geometry.View, polygon: NDArray[Any]) -> geometry.Image:
    to_stored = view.to_stored
    a, b, c, d = _rectangle(polygon) @ to_stored[:, :2].T + to_stored[:, 2]
    width, height = float(np.hypot(*(b - a))), float(np.hypot(*(d - a)))
    if width < 1 or height < 1:
        return np.zeros((0, 0), np.uint8)
    if height >= UPRIGHT * width:
        a, b, d, width, height = b, c, a, height, width
    size = min(MOST, max(1, round(HEIGHT * width / height)))
    return geometry.warped(view.stored, np.stack([(b - a) / size, (d - a) / HEIGHT, a], 1), size, HEIGHT)


class Normalise:
    """Grey views (h, w, 1) as the detector's input (3, h, w)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        values = np.arange(256, dtype=np.float32) / 255
        self._tables = [((values - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)]

    def __call__(self, imgs: Sequence[geometry.Image]) -> list[NDArray[np.float32]]:
        return [np.stack([cv2.LUT(image[..., 0], table) for table in self._tables]) for image in imgs]


def _rectangle(polygon: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest rectangle round a quadrilateral: corners clockwise from top left."""
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.int32))).astype(np.float64)
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    (a, d), (b, c) = (by_x[:2][np.argsort(by_x[:2, 1])]), (by_x[2:][np.argsort(by_x[2:, 1])])
    return np.array([a, b, c, d])


class Read:
    """Pieces in, dictionaries of the pipeline's recognition step out, in the same order."""

    def __init__(self, step: Any, model: language.Bigram | None) -> None:
        """step: the pipeline's own recognition step; model: for the second opinion, None: without."""
        self._run, self._font, self._model = step.runner, step.vis_font, model
        self._characters: list[str] = step.post_op.character

    def __call__(self, pieces: Sequence[geometry.Image], **_: Any) -> Iterator[dict[str, Any]]:
        for piece in pieces:
            text, confidence = self.line(piece)
            yield {"rec_text": text, "rec_score": confidence, "vis_font": self._font}

    def line(self, piece: geometry.Image) -> tuple[Decoded, float]:
        if piece.shape[0] != HEIGHT:
            width = min(MOST, max(1, round(HEIGHT * piece.shape[1] / piece.shape[0])))
            piece = np.asarray(cv2.resize(piece, (width, HEIGHT)), dtype=np.uint8)
        width = piece.shape[1]
        x = np.zeros((1, 3, HEIGHT, max(LEAST, -(-width // STEP) * STEP)), np.float32)
        x[0, :, :, :width] = cv2.LUT(piece, _SCALE)
        (probabilities,) = self._run(x=[x])[0]
        return self._decode(probabilities, width / STRIDE)

    def _decode(self, probabilities: NDArray[np.float32], columns: float) -> tuple[Decoded, float]:
        """Greedy CTC; columns: how many of the output's belong to the line."""
        path, sure = language.best_path(probabilities, self._characters, self._model)
        edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
        starts, ends = edges[:-1], edges[1:]
        letters = path[starts] != 0
        starts, ends = starts[letters], ends[letters]
        if not len(starts):
            return Decoded(""), 0.0
        text = Decoded("".join([self._characters[c] for c in path[starts].tolist()]))
        text.positions = tuple(np.clip((starts + ends) / 2 / columns, 0, 1).tolist())
        return text, float(sure[starts].mean())
