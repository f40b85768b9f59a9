"""Straightening a page before it is read, and finding the way back to the stored image.

All images are (H, W, 3) uint8 RGB or (H, W) uint8 grey.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]  # (N, 2), x and y

SKEW_MAX, SKEW_MIN = 15.0, 0.3  # degrees searched; smaller ones are left alone
RED_SHARE = 0.0008  # of the page's pixels: from here on a stamp or a red heading stands on it


@dataclass(frozen=True)
class Upright:
    """A page made upright. `back` takes points of `image` to the stored image."""

    image: Image
    rotation: int  # degrees clockwise by which the stored image had to be turned: 0, 90, 180, 270
    skew: float  # degrees counter-clockwise by which it was straightened after that
    _back: NDArray[np.float64]  # 2x3

    def back(self, points: Points) -> Points:
        return np.asarray(points @ self._back[:, :2].T + self._back[:, 2], dtype=np.float64)


def _thumbnail(gray: Image, side: int) -> Image:
    scale = side / max(gray.shape)
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return np.asarray(255 - cv2.resize(gray, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


@dataclass(frozen=True)
class _Ink:
    """Where the ink of a thumbnail is (pixels) and how much of it."""

    ys: NDArray[np.float32]
    xs: NDArray[np.float32]
    weights: NDArray[np.uint8]

    @classmethod
    def of(cls, thumbnail: Image) -> _Ink:
        ys, xs = np.nonzero(thumbnail > 64)
        return cls(ys.astype(np.float32), xs.astype(np.float32), thumbnail[ys, xs])

    def sharpness(self, angle: float) -> float:
        """How much the ink of neighbouring rows differs when the page is turned by `angle` degrees."""
        turn = np.deg2rad(angle)
        rows = (self.ys * np.float32(np.cos(turn)) - self.xs * np.float32(np.sin(turn)) + 0.5).astype(np.int32)
        sums = np.bincount(rows - rows.min(), self.weights)
        return float((np.diff(sums) ** 2).sum())


def estimate_skew(gray: Image) -> float:
    """Degrees counter-clockwise that level the rows of text: where the ink of neighbouring rows differs most."""
    thumbnail = _thumbnail(gray, 800)
    if thumbnail.mean() < 0.003 * 255:
        return 0.0
    fine, coarse = _Ink.of(thumbnail), _Ink.of(np.asarray(cv2.resize(thumbnail, None, fx=0.5, fy=0.5), dtype=np.uint8))
    if not len(coarse.ys) or not len(fine.ys):
        return 0.0
    wide = np.arange(-SKEW_MAX, SKEW_MAX + 0.01, 1.5)
    start = max(map(float, wide), key=coarse.sharpness)
    near = np.arange(start - 1.5, start + 1.51, 0.5)
    best = max(map(float, near), key=fine.sharpness)
    last = np.arange(best - 0.4, best + 0.41, 0.1)
    level: float = max(map(float, last), key=fine.sharpness)
    return round(level, 2)


def back_matrix(width: int, height: int, rotation: int, skew: float) -> NDArray[np.float64]:
    """2x3 matrix that takes points of the upright page to the stored image of `width` x `height` pixels."""
    quarter = {
        0: ((1, 0, 0), (0, 1, 0)),
        90: ((0, 1, 0), (-1, 0, height)),
        180: ((-1, 0, width), (0, -1, height)),
        270: ((0, -1, width), (1, 0, 0)),
    }
    back = np.array(quarter[rotation], dtype=np.float64)
    if not skew:
        return back
    tw, th = (height, width) if rotation in (90, 270) else (width, height)
    inverse = np.asarray(cv2.invertAffineTransform(_level_matrix(tw, th, skew)), dtype=np.float64)
    return np.hstack([back[:, :2] @ inverse[:, :2], (back[:, :2] @ inverse[:, 2] + back[:, 2])[:, None]])


def _level_matrix(width: int, height: int, skew: float) -> NDArray[np.float64]:
    return np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0), dtype=np.float64)


def to_upright(points: Points, width: int, height: int, rotation: int, skew: float) -> Points:
    """Points (N, 2) of the stored image as points of the upright page."""
    forward = cv2.invertAffineTransform(back_matrix(width, height, rotation, skew))
    return np.asarray(points @ forward[:, :2].T + forward[:, 2], dtype=np.float64)


def upright(image: Image, rotation: int, skew: float | None = None) -> Upright:
    """Turn by `rotation` degrees clockwise, then straighten (skew None: estimate it)."""
    height, width = image.shape[:2]
    turned = np.ascontiguousarray(np.rot90(image, -(rotation // 90)))
    angle = estimate_skew(grey(turned)) if skew is None else skew
    if abs(angle) < SKEW_MIN:
        return Upright(turned, rotation, 0.0, back_matrix(width, height, rotation, 0.0))
    th, tw = turned.shape[:2]
    level = cv2.warpAffine(
        turned, _level_matrix(tw, th, angle), (tw, th), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    back = back_matrix(width, height, rotation, angle)
    return Upright(np.asarray(level, dtype=np.uint8), rotation, angle, back)


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def red_ink(image: Image) -> NDArray[np.float32]:
    """How red each pixel is, 0..255: red above both green and blue."""
    r, g, b = cv2.split(image)
    return np.asarray(cv2.subtract(r, cv2.max(g, b)), dtype=np.float32)


def has_red(image: Image) -> bool:
    """Whether a red stamp, seal or heading stands on the page."""
    return float((red_ink(image[::2, ::2]) > 60).mean()) > RED_SHARE


def without_red(image: Image) -> Image:
    """The red channel as grey on three channels: red ink becomes paper, black text below it stays."""
    return np.repeat(image[..., :1], 3, axis=2)


def only_red(image: Image) -> Image:
    """Red ink as black on white, three channels."""
    ink = cv2.GaussianBlur(red_ink(image), (0, 0), 0.8)
    dark = 255 - np.clip(ink * 1.6, 0, 255)
    return np.repeat(dark.astype(np.uint8)[..., None], 3, axis=2)


def ink_box(gray: Image) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is on the page, with a margin of 1 % of its longer side; the whole page when it is blank.

    A dark pixel without neighbours in its row or column of the thumbnail is dirt.
    """
    height, width = gray.shape
    dark = _thumbnail(gray, 600) > 255 - float(np.median(gray[::4, ::4])) + 40
    ys, xs = np.flatnonzero(dark.sum(1) > 1), np.flatnonzero(dark.sum(0) > 1)
    if not len(ys) or not len(xs):
        return 0, 0, width, height
    scale, margin = max(height, width) / 600, 0.01 * max(height, width)
    x0, y0 = int(max(0, xs[0] * scale - margin)), int(max(0, ys[0] * scale - margin))
    return x0, y0, int(min(width, (xs[-1] + 1) * scale + margin)), int(min(height, (ys[-1] + 1) * scale + margin))


def ink_share(gray: Image) -> float:
    """Share of pixels clearly darker than the paper; a blank page has almost none."""
    small = gray[::2, ::2]
    paper = float(np.median(small))
    return float((small < paper - 60).mean())


def crop(gray: Image, polygon: Points) -> Image:
    """The quadrilateral (4, 2), clockwise from top left, as an upright rectangle."""
    x0, y0 = np.floor(polygon.min(0)).astype(int)
    x1, y1 = np.ceil(polygon.max(0)).astype(int)
    tilt = max(abs(polygon[0, 1] - polygon[1, 1]), abs(polygon[3, 1] - polygon[2, 1]))
    if tilt <= 2:
        h, w = gray.shape[:2]
        return gray[max(0, y0) : min(h, max(y1, y0 + 1)), max(0, x0) : min(w, max(x1, x0 + 1))]
    width = max(1, int(max(np.linalg.norm(polygon[0] - polygon[1]), np.linalg.norm(polygon[3] - polygon[2]))))
    height = max(1, int(max(np.linalg.norm(polygon[0] - polygon[3]), np.linalg.norm(polygon[1] - polygon[2]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(polygon.astype(np.float32), target)
    flat = cv2.warpPerspective(gray, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, dtype=np.uint8)
