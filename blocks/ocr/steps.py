"""Steps of the PaddleOCR pipeline for one processor core, in place of its own. They do the same work, but

- a line is drawn anew only once, from the stored page to the height that the recogniser wants, not straightened, cut
  and resized one after the other;
- pages are grey, one channel instead of three;
- lines are read one by one: the network is as fast for one as for six, and none is padded to its neighbours' width.
  Widths are rounded up to steps, because OpenVINO prepares its kernels anew for each width that it hasn't met;
- the columns in which letters were read are kept, in place of the pipeline's boxes of words, which know no accents.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blocks.ocr import geometry, language, line_crops
from blocks.ocr.line_crops import HEIGHT, MAX_WIDTH_PX

STRIDE = 8  # pixels of the recogniser's input that make one column of its output
MIN_WIDTH_PX, WIDTH_STEP_PX = 128, 64  # widths of it
_SCALE = (np.arange(256, dtype=np.float32) / 127.5 - 1).astype(np.float32)


class Decoded(str):
    """The text of a line with the centre of each character along it, 0..1."""

    positions: tuple[float, ...] = ()


class Cut:
    """Quadrilaterals of a view as pieces (48, w) of the stored image: what is read was drawn anew only once."""

    def __init__(self) -> None:
        self.view: geometry.View | None = None  # the page that the pipeline is at
        self.covered: dict[bytes, NDArray[Any]] = {}  # what the piece of a quadrilateral covers

    def __call__(self, _: geometry.Image, polygons: Sequence[NDArray[Any]]) -> list[geometry.Image]:
        assert self.view is not None
        found = line_crops.cut(self.view, polygons)
        keys = [_key(polygon) for polygon in polygons]
        self.covered = {key: covered for key, (_, covered) in zip(keys, found, strict=True)}
        return [piece for piece, _ in found]

    def whole(self, polygon: NDArray[Any]) -> NDArray[Any]:
        """What was read for a quadrilateral that the detector found."""
        return self.covered[_key(polygon)]


def _key(polygon: NDArray[Any]) -> bytes:
    return np.asarray(polygon, np.float64).tobytes()


class Normalise:
    """Grey views (h, w, 1) as the detector's input (3, h, w)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        values = np.arange(256, dtype=np.float32) / 255
        self._tables = [((values - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)]

    def __call__(self, imgs: Sequence[geometry.Image]) -> list[NDArray[np.float32]]:
        return [self._planes(np.ascontiguousarray(image[..., 0])) for image in imgs]

    def _planes(self, grey: geometry.Image) -> NDArray[np.float32]:
        planes = np.empty((len(self._tables), *grey.shape), np.float32)
        for plane, table in zip(planes, self._tables, strict=True):
            cv2.LUT(grey, table, dst=plane)
        return planes


class Read:
    """Pieces in, dictionaries of the pipeline's recognition step out, in the same order."""

    def __init__(self, step: Any, model: language.Bigram | None) -> None:
        """step: the pipeline's own recognition step; model: for the second opinion, None: without."""
        self._run, self._font, self._model = step.runner, step.vis_font, model
        self._characters: list[str] = step.post_op.character
        self._vowels = [_vowel(character) for character in self._characters]

    def __call__(self, lines: Sequence[geometry.Image], **_: Any) -> Iterator[dict[str, Any]]:
        for piece in lines:
            text, confidence = self.line(piece)
            yield {"rec_text": text, "rec_score": confidence, "vis_font": self._font}

    def line(self, piece: geometry.Image) -> tuple[Decoded, float]:
        """piece: (h, w), or (h, w, n) in n versions; without pixels, as of a degenerate polygon, it holds no text."""
        if not piece.size:
            return Decoded(""), 0.0
        if piece.shape[0] != HEIGHT:
            width = min(MAX_WIDTH_PX, max(1, round(HEIGHT * piece.shape[1] / piece.shape[0])))
            piece = np.asarray(cv2.resize(piece, (width, HEIGHT)), dtype=np.uint8)
        versions = [self._probabilities(version) for version in np.atleast_3d(piece).transpose(2, 0, 1)]
        return self._decode(np.mean(versions, axis=0), piece.shape[1] / STRIDE)

    def _probabilities(self, piece: geometry.Image) -> NDArray[np.float32]:
        """(columns, characters) of a piece (48, w)."""
        width = piece.shape[1]
        x = np.zeros((1, 3, HEIGHT, max(MIN_WIDTH_PX, -(-width // WIDTH_STEP_PX) * WIDTH_STEP_PX)), np.float32)
        x[0, :, :, :width] = cv2.LUT(piece, _SCALE)
        (probabilities,) = self._run(x=[x])[0]
        return np.asarray(probabilities)

    def _decode(self, probabilities: NDArray[np.float32], columns: float) -> tuple[Decoded, float]:
        """Greedy CTC; columns: how many of the output's belong to the line."""
        path, sure = language.best_path(probabilities, self._characters, self._model)
        edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
        starts, ends = edges[:-1], edges[1:]
        letters = path[starts] != 0
        starts, ends = starts[letters], ends[letters]
        once = self._once(path[starts].tolist(), starts, ends, sure)
        starts, ends = starts[once], ends[once]
        if not len(starts):
            return Decoded(""), 0.0
        text = Decoded("".join([self._characters[c] for c in path[starts].tolist()]))
        text.positions = tuple(np.clip((starts + ends) / 2 / columns, 0, 1).tolist())
        return text, float(sure[starts].mean())

    def _once(
        self, classes: Sequence[int], starts: NDArray[np.intp], ends: NDArray[np.intp], sure: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """False for the lesser of two readings of one letter, with other marks (`ằẵ`), in columns without a gap."""
        kept = np.ones(len(starts), bool)
        for i in np.flatnonzero(starts[1:] == ends[:-1]).tolist():
            if self._vowels[classes[i]] and self._vowels[classes[i]] == self._vowels[classes[i + 1]]:
                kept[i + int(sure[starts[i]] >= sure[starts[i + 1]])] = False
        return kept


def _vowel(character: str) -> str:
    """The letter without marks, where no word has two of it with other marks; `ưu` has, `ằẵ` is none."""
    base = unicodedata.normalize("NFD", character)[:1]
    return base if base in tuple("aeioyAEIOY") else ""
