# mypy: disable-error-code="call-overload,return-value"
# (opencv's stubs know neither numpy's dtypes nor plain numbers as colours)
"""What paper, printer, stamp, scanner and camera do to a line. Images are float32 [H, W, C], 0 black to 255 white.

C is 1 for grey lines and 3 (BGR) where something is coloured.
"""

from __future__ import annotations

import random
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from infra.training.layout import Drawn, Mask

Image = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
RED = ((40, 40, 200), (60, 50, 220), (70, 70, 190), (110, 90, 230), (90, 60, 170))  # BGR of stamp ink
BLUE = ((160, 70, 30), (190, 90, 60), (140, 50, 50), (200, 120, 60))


@lru_cache(maxsize=1)
def _grain() -> npt.NDArray[np.float32]:
    """A supply of white noise: drawing it anew for each line would be a third of the line's cost."""
    return np.random.default_rng(0).standard_normal(1 << 23, np.float32)


def white_noise(r: random.Random, shape: tuple[int, ...]) -> Image:
    """A piece of the supply, mean 0 and deviation 1."""
    size = int(np.prod(shape))
    start = r.randrange(len(_grain()) - size)
    return _grain()[start : start + size].reshape(shape)


def smooth_noise(n: np.random.Generator, height: int, width: int, scale: float) -> Image:
    """Soft random field, 0 mean and about 1 deviation, whose spots are `scale` px wide."""
    small = n.standard_normal((max(2, int(height / scale) + 2), max(2, int(width / scale) + 2))).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def change_strokes(r: random.Random, n: np.random.Generator, mask: Mask, em: int) -> Mask:
    """Bleeding or thin ink, faded places, broken strokes."""
    kind = r.random()
    if kind < 0.22:  # thicker: threshold of a blurred stroke below one half
        soft = cv2.GaussianBlur(mask, (0, 0), em * r.uniform(0.008, 0.026))
        mask = np.clip((soft - r.uniform(0.08, 0.3)) * 4, 0, 1)
    elif kind < 0.36:  # thinner
        soft = cv2.GaussianBlur(mask, (0, 0), em * r.uniform(0.006, 0.016))
        mask = np.clip((soft - r.uniform(0.5, 0.72)) * 4, 0, 1)
    if r.random() < 0.16:  # faded places
        field = smooth_noise(n, mask.shape[0], mask.shape[1], em * r.uniform(0.4, 3))
        mask = mask * np.clip(0.85 + r.uniform(0.1, 0.3) * field, 0.25, 1)
    if r.random() < 0.08:  # toner that did not hold
        field = smooth_noise(n, mask.shape[0], mask.shape[1], max(1.5, em * 0.05))
        mask = mask * np.clip((field + r.uniform(1.1, 2.2)) * 2, 0, 1)
    return np.asarray(mask, np.float32)


def bend(r: random.Random, drawn: Drawn, mask: Mask, photo: bool) -> tuple[Mask, tuple[int, int, int, int]]:
    """Residual skew, shear, perspective and, for photos, the bow of a page that does not lie flat."""
    height, width = mask.shape
    x0, y0, x1, y1 = drawn.box
    slope = r.gauss(0, 0.006) if r.random() < 0.75 else r.gauss(0, 0.015)
    slope = max(-0.5 * drawn.em, min(0.5 * drawn.em, slope * (x1 - x0))) / max(1, x1 - x0)
    shear = r.gauss(0, 0.03)
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    if photo and r.random() < 0.5:
        return _bow(r, drawn, mask, slope)
    tilt = r.gauss(0, 0.05) if photo else 0.0  # one end of the line nearer to the camera
    source = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    target = []
    for x, y in source:
        side = (x - cx) / max(1, x1 - x0)
        target.append([x + shear * (y - cy), cy + (y - cy) * (1 + 2 * tilt * side) + slope * (x - cx)])
    corners = np.array(target, np.float32)
    bent = cv2.warpPerspective(
        mask, cv2.getPerspectiveTransform(source, corners), (width, height), flags=cv2.INTER_LINEAR
    )
    # the detector's box is the smallest upright one, slightly lower than the corners of a slanted line
    ease = 0.5 * abs(slope) * (x1 - x0)
    box = (
        int(corners[:, 0].min()),
        int(corners[:, 1].min() + ease * r.uniform(0, 1)),
        int(corners[:, 0].max()),
        int(corners[:, 1].max() - ease * r.uniform(0, 1)),
    )
    return bent, box


def _bow(r: random.Random, drawn: Drawn, mask: Mask, slope: float) -> tuple[Mask, tuple[int, int, int, int]]:
    height, width = mask.shape
    x0, y0, x1, y1 = drawn.box
    depth = min(0.35 * drawn.em, 0.02 * (x1 - x0)) * r.uniform(-1, 1)
    phase, turns = r.uniform(0, np.pi), r.uniform(0.5, 1.2)
    xs = np.arange(width, dtype=np.float32)
    shift = depth * np.sin(phase + (xs - x0) / max(1, x1 - x0) * np.pi * turns) + slope * (xs - (x0 + x1) / 2)
    map_x = np.repeat(xs[None], height, 0)
    map_y = np.arange(height, dtype=np.float32)[:, None] - shift[None]
    bent = cv2.remap(mask, map_x, map_y.astype(np.float32), cv2.INTER_LINEAR)
    inside = shift[x0:x1]
    return bent, (x0, int(y0 + inside.min() * 0.7), x1, int(y1 + inside.max() * 0.7))


def paper(r: random.Random, n: np.random.Generator, shape: tuple[int, int], em: int, colour: bool) -> Image:
    """Ground of the line [H, W, C]: white, grey or tinted, perhaps a security pattern or ink from the other side."""
    height, width = shape
    level = r.uniform(235, 255) if r.random() < 0.6 else r.uniform(150, 240)
    ground = np.full((height, width, 3 if colour else 1), level, np.float32)
    if colour:
        ground *= np.array([r.uniform(0.82, 1) for _ in range(3)], np.float32)
    if r.random() < (0.35 if colour else 0.05):
        ground -= (
            _pattern(r, height, width, em)[..., None]
            * np.array([r.uniform(0, 1) for _ in range(ground.shape[2])], np.float32)
            * r.uniform(15, 60)
        )
    if r.random() < 0.06:
        ground -= (r.uniform(6, 22) * np.clip(smooth_noise(n, height, width, em * 0.3), 0, 1))[..., None]
    return ground


def _pattern(r: random.Random, height: int, width: int, em: int) -> Image:
    """Guilloche: fine waved lines, 0..1."""
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    period, angle = em * r.uniform(0.12, 0.5), r.uniform(0, np.pi)
    along = xs * np.cos(angle) + ys * np.sin(angle) + em * r.uniform(0, 0.4) * np.sin(xs / (em * r.uniform(0.4, 3)))
    return np.asarray(np.clip(np.sin(along * 2 * np.pi / period) * 1.5, 0, 1), np.float32)


def ink_colours(r: random.Random, colour: bool) -> npt.NDArray[np.float32]:
    """Colour of the line's ink, [C]."""
    dark = r.uniform(0, 60) if r.random() < 0.65 else r.uniform(30, 125)
    if not colour:
        return np.array([dark], np.float32)
    if r.random() < 0.7:
        return np.array([dark] * 3, np.float32)
    return np.array(r.choice(RED + BLUE), np.float32)


def stamp(r: random.Random, n: np.random.Generator, image: Image, em: int) -> Image:
    """A round or square stamp, or a signature, over the text; inks multiply."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.float32)
    thick = max(2, round(em * r.uniform(0.05, 0.16)))
    kind = r.random()
    if kind < 0.6:
        radius = int(em * r.uniform(2.2, 5.5))
        centre = (r.randint(-radius // 2, width + radius // 2), r.randint(-radius, height + radius))
        cv2.circle(layer, centre, radius, 1, thick, cv2.LINE_AA)
        cv2.circle(layer, centre, max(2, int(radius * r.uniform(0.6, 0.93))), 1, max(1, thick // 2), cv2.LINE_AA)
        for _ in range(r.randint(3, 16)):  # letters of the stamp: short strokes between the rings
            angle, at = r.uniform(0, 6.28), radius * r.uniform(0.66, 0.9)
            x, y = centre[0] + at * np.cos(angle), centre[1] + at * np.sin(angle)
            end = (int(x + em * r.uniform(-0.4, 0.4)), int(y + em * r.uniform(-0.4, 0.4)))
            cv2.line(layer, (int(x), int(y)), end, 1, max(1, thick // 2), cv2.LINE_AA)
    elif kind < 0.75:
        x, y = r.randint(-em * 4, width), r.randint(-em, height)
        cv2.rectangle(
            layer, (x, y), (x + int(em * r.uniform(3, 9)), y + int(em * r.uniform(1, 3))), 1, thick, cv2.LINE_AA
        )
    else:
        points = [[r.randint(0, width), r.randint(-em, height + em)] for _ in range(r.randint(3, 6))]
        cv2.polylines(layer, [np.array(points, np.int32)], False, 1, max(1, thick // 2), cv2.LINE_AA)
    patchy = np.clip(0.8 + 0.35 * smooth_noise(n, height, width, em * 0.3), 0, 1) * r.uniform(0.35, 1)
    if image.shape[2] == 1:
        ink = np.array([r.uniform(90, 190)], np.float32)
    else:
        ink = np.array(r.choice(RED if kind < 0.75 or r.random() < 0.3 else BLUE), np.float32)
    return np.asarray(image * (1 - (layer * patchy)[..., None] * (1 - ink / 255)), np.float32)


def shade(r: random.Random, n: np.random.Generator, image: Image) -> Image:
    """Uneven light of a photo: a slope and soft shadows."""
    height, width = image.shape[:2]
    slope = 1 + r.uniform(-0.3, 0.15) * np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    shadow = 1 + 0.12 * smooth_noise(n, height, width, max(height, width) / r.uniform(1, 4))[..., None]
    return np.asarray(image * slope * np.clip(shadow, 0.45, 1.1) * r.uniform(0.6, 1.05), np.float32)


def blur(r: random.Random, image: Image, strength: float) -> Image:
    """Out of focus or moved; `strength` px of deviation."""
    if strength < 0.2:
        return image
    if r.random() < 0.25:
        length = max(2, round(strength * 2.5))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, r.randint(0, length - 1)), (length - 1, r.randint(0, length - 1)), 1)
        soft = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    else:
        soft = cv2.GaussianBlur(image, (0, 0), strength)
    return soft.reshape(image.shape)


def sensor(r: random.Random, n: np.random.Generator, image: Image) -> Image:
    """Noise, dust, contrast, sharpening, bilevel scan."""
    chance = r.random()
    if chance < 0.75:
        grain = image.shape if r.random() < 0.4 else (*image.shape[:2], 1)  # of each colour or of all alike
        image = image + white_noise(r, grain) * np.float32(r.choice((1, 2, 4, 7, 11, 15)))
    if r.random() < 0.12:
        soft = cv2.GaussianBlur(image, (0, 0), 1.2).reshape(image.shape)
        image = image + r.uniform(0.3, 1.5) * (image - soft)
    if r.random() < 0.12:  # black and white scanner
        low, high = np.percentile(image[::2, ::3], (2, 90))
        image = np.where(
            image.mean(2, keepdims=True) > low + (high - low) * r.uniform(0.45, 0.75), 255.0, 0.0
        )  # one channel
    if r.random() < 0.08:
        image = image.copy()
        image[n.random(image.shape[:2]) < 0.002] = r.uniform(0, 120)
    if r.random() < 0.25:
        image = (image - 128) * r.uniform(0.55, 1.3) + 128 + r.uniform(-25, 25)
    return np.asarray(np.clip(image, 0, 255), np.float32)


def compress(r: random.Random, image: Bytes) -> Bytes:
    """JPEG 30–90."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, r.randint(30, 90)])
    flag = cv2.IMREAD_GRAYSCALE if image.shape[2] == 1 else cv2.IMREAD_COLOR
    out = cv2.imdecode(data, flag)
    return out.reshape(image.shape) if done else image
