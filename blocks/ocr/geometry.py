"""Straightening a page before it is read, and finding the way back to the stored image.

All images are (H, W, 3) uint8 RGB or (H, W) uint8 grey. Points are measured from the image's top left corner:
the centre of its first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = NDArray[np.float64]  # (N, 2), x and y
Matrix = NDArray[np.float64]  # 2x3

GROUND = 225  # of 255: paper that is darker is coloured
SKEW_MAX, SKEW_MIN = 15.0, 0.3  # degrees searched; smaller ones are left alone
RED = 60  # a pixel is red from here on
RED_SHARE = 0.0006  # of the page's pixels: from here on a stamp or a red heading stands on it
SMALL = 800  # longer side of thumbnails


@dataclass(frozen=True)
class View:
    """Part of an upright page as it is looked at: pixels, and the ways to the page's and to the stored image's."""

    pixels: Image  # (h, w)
    stored: Image  # (H, W), where lines are cut out
    x0: float  # of the upright page
    y0: float
    scale: float  # pixels of the view to one of the page
    to_stored: Matrix  # from points of the view

    def on_page(self, points: Points) -> Points:
        return np.asarray(points / self.scale + (self.x0, self.y0), dtype=np.float64)


@dataclass(frozen=True)
class Upright:
    """A page made upright: how to look at it so. Nothing is drawn before it is looked at."""

    stored: Image  # (H, W)
    small: Image  # the same, `SMALL` pixels long
    rotation: int  # degrees clockwise by which the stored image has to be turned: 0, 90, 180, 270
    skew: float  # degrees counter-clockwise by which it is straightened after that

    @property
    def width(self) -> int:
        return int(self.stored.shape[0 if self.rotation in (90, 270) else 1])

    @property
    def height(self) -> int:
        return int(self.stored.shape[1 if self.rotation in (90, 270) else 0])

    @cached_property
    def matrix(self) -> Matrix:
        """From points of the upright page to those of the stored image."""
        return back_matrix(self.stored.shape[1], self.stored.shape[0], self.rotation, self.skew)

    def back(self, points: Points) -> Points:
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2], dtype=np.float64)

    def back_box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """What a box of the upright page covers on the stored image, sides rounded to a tenth."""
        x0, y0, x1, y1 = box
        corners = self.back(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
        (left, top), (right, bottom) = corners.min(0).round(1).tolist(), corners.max(0).round(1).tolist()
        return left, top, right, bottom

    def of(self, other: Image) -> Upright:
        """Another image of the same page, as large as the stored one."""
        return Upright(other, thumbnail(other), self.rotation, self.skew)

    def view(self, box: tuple[float, float, float, float], scale: float = 1.0, step: int = 1) -> View:
        """What is in a box of the page, `scale` pixels to one of its; sides rounded up to multiples of `step`."""
        x0, y0, x1, y1 = box
        width, height = (max(step, -(-round(side * scale) // step) * step) for side in (x1 - x0, y1 - y0))
        # what was rounded up is taken from the page, not from beyond it
        x0, y0 = max(0.0, min(x0, self.width - width / scale)), max(0.0, min(y0, self.height - height / scale))
        matrix = np.hstack([self.matrix[:, :2] / scale, self.back(np.array([[x0, y0]])).T])
        return View(_drawn(self.stored, matrix, width, height), self.stored, x0, y0, scale, matrix)

    @cached_property
    def overview(self) -> Image:
        """The whole page, upright, `SMALL` pixels long."""
        height, width = self.small.shape
        size = (height, width) if self.rotation in (90, 270) else (width, height)
        return _drawn(self.small, back_matrix(width, height, self.rotation, self.skew), *size)


def _drawn(image: Image, matrix: Matrix, width: int, height: int) -> Image:
    """width x height pixels; matrix: from their points to those of the image."""
    if not matrix[0, 1] and not matrix[1, 0] and matrix[0, 0] > 0 and matrix[1, 1] > 0:  # upright already
        x0, y0 = np.rint(matrix[:, 2]).astype(int)
        x1, y1 = np.rint(matrix @ (width, height, 1)).astype(int)
        if 0 <= x0 < x1 <= image.shape[1] and 0 <= y0 < y1 <= image.shape[0]:
            part = image[y0:y1, x0:x1]
            return part if part.shape == (height, width) else np.asarray(cv2.resize(part, (width, height)), np.uint8)
    return warped(image, matrix, width, height)


def warped(image: Image, matrix: Matrix, width: int, height: int) -> Image:
    centres = matrix.copy()
    centres[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(image, centres, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.uint8)


def thumbnail(gray: Image, side: int = SMALL) -> Image:
    """The image (H, W) with a longer side of `side` pixels. Halving first is faster than shrinking at once."""
    while max(gray.shape) >= 2 * side and min(gray.shape) >= 2:
        height, width = gray.shape[0] // 2, gray.shape[1] // 2
        half = cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        gray = np.asarray(half, dtype=np.uint8)
    scale = side / max(gray.shape)
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


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


def estimate_skew(small: Image) -> float:
    """Degrees counter-clockwise that level the rows of a thumbnail: where the ink of neighbouring rows differs most."""
    ground = float(np.percentile(small, 80))
    if ground < GROUND:  # coloured paper, else its shade counts as ink
        small = np.asarray(np.minimum(small * (255 / max(ground, 1.0)), 255), dtype=np.uint8)
    thumbnail = np.asarray(255 - small, dtype=np.uint8)
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


def upright(image: Image, rotation: int = 0, skew: float | None = None, small: Image | None = None) -> Upright:
    """Turned by `rotation` degrees clockwise, then straightened (skew None: estimate it). image: (H, W)."""
    small = thumbnail(image) if small is None else small
    angle = estimate_skew(np.rot90(small, -(rotation // 90))) if skew is None else skew
    return Upright(image, small, rotation, angle if abs(angle) >= SKEW_MIN else 0.0)


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def red_ink(image: Image) -> Image:
    """How red each pixel is, 0..255: red above both green and blue."""
    r, g, b = cv2.split(image)
    return np.asarray(cv2.subtract(r, cv2.max(g, b)), dtype=np.uint8)


def has_red(image: Image) -> bool:
    """Whether a red stamp, seal or heading stands on the page."""
    return float((red_ink(np.ascontiguousarray(image[::3, ::3])) > RED).mean()) > RED_SHARE


def without_red(image: Image) -> Image:
    """The red channel as grey: red ink becomes paper, black text below it stays."""
    return np.asarray(cv2.extractChannel(image, 0), dtype=np.uint8)


def only_red(image: Image) -> Image:
    """Red ink as black on white."""
    ink = cv2.GaussianBlur(red_ink(image), (0, 0), 0.8)
    return np.asarray(cv2.bitwise_not(cv2.convertScaleAbs(ink, alpha=1.6)), dtype=np.uint8)


def ink_box(page: Upright) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is on the page, with a margin of 1 % of its longer side; the whole page when it is blank.

    A dark pixel without neighbours in its row or column of the thumbnail is dirt.
    """
    width, height = page.width, page.height
    small = thumbnail(page.overview, 600)
    dark = small < float(np.median(small)) - 40
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
