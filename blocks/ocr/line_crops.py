"""Lines cut out of the stored page, as the recogniser wants them: 48 pixels high, whole, without the form's leaders.

The detector ends a line where its dotted leader begins and often takes the last letter for a part of it, so a piece
goes on to both sides as far as its ink does. Where a value was typed over its leader, dots under the letters look like
marks (ơ like ợ), and a mark that stands on a dot can't be told from it: such a piece comes with the dots and without
them, and what is read otherwise in the two is doubtful.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blocks.ocr import geometry

HEIGHT, MAX_WIDTH_PX = 48, 3200  # of the recogniser's input; its widest
UPRIGHT = 1.5  # taller than wide by this: the line runs upwards (as in the pipeline)
MARGIN = 96  # how far a piece is looked at, and may grow, to both sides
GAP = 10  # as wide as this, paper ends a line; letters of one word stand closer
BODY = slice(10, 36)  # where letters stand in a piece; leaders and rules stand lower or higher
TALL = 7  # rows of it that even the least letter takes
FAINT = 24  # grey values between paper and ink: less is no print
DOT, PITCH = 8, 18  # greatest side of a leader's dot and its distance from the next
MIN_LEADER_DOTS = 6  # dots that make a leader
RUN, NEAR = 3, 3.2  # so many stand beside each other; a single one so many distances from them
BESIDE = 8  # so far from a letter, a dot is under it

Polygon = NDArray[np.float64]  # (4, 2) clockwise from top left
Mask = NDArray[np.bool_]


def cut(view: geometry.View, polygons: Sequence[NDArray[Any]]) -> list[tuple[geometry.Image, NDArray[Any]]]:
    """Each quadrilateral of a view as a piece of the stored image, and what it covers of the view.

    A piece is (48, w), or (48, w, 2) with and without the dots under its letters.
    """
    rectangles = [rectangle(polygon) for polygon in polygons]
    everything = np.array(rectangles).reshape(-1, 4, 2)
    return [
        _piece(view, own, np.delete(everything, i, 0), polygon)
        for i, (own, polygon) in enumerate(zip(rectangles, polygons, strict=True))
    ]


def rectangle(polygon: NDArray[Any]) -> Polygon:
    """The smallest rectangle round a quadrilateral: corners clockwise from top left."""
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.int32))).astype(np.float64)
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    (a, d), (b, c) = (by_x[:2][np.argsort(by_x[:2, 1])]), (by_x[2:][np.argsort(by_x[2:, 1])])
    return np.array([a, b, c, d])


def _piece(
    view: geometry.View, own: Polygon, others: NDArray[np.float64], polygon: NDArray[Any]
) -> tuple[geometry.Image, NDArray[Any]]:
    a, b, c, d = own @ view.to_stored[:, :2].T + view.to_stored[:, 2]
    width, height = float(np.hypot(*(b - a))), float(np.hypot(*(d - a)))
    if width < 1 or height < 1:
        return np.zeros((0, 0), np.uint8), polygon
    if height >= UPRIGHT * width:
        return _strip(view.stored, b, c, a, _size(height, width), 0), polygon
    size = _size(width, height)
    strip = _strip(view.stored, a, b, d, size, MARGIN)
    dark = _dark(strip, size)
    if dark is None:
        return np.ascontiguousarray(strip[:, MARGIN : MARGIN + size]), polygon
    versions, dark = _told_apart(strip, dark)
    left, right = _grown(dark, size, *_room(own, others, size))
    if left or right:
        polygon = own + np.outer([-left, right, right, -left], (own[1] - own[0]) / size)
    whole = [np.ascontiguousarray(version[:, MARGIN - left : MARGIN + size + right]) for version in versions]
    alike = np.array_equal(whole[0], whole[-1])
    return whole[0] if alike else np.stack(whole, 2), polygon


def _size(length: float, height: float) -> int:
    return min(MAX_WIDTH_PX, max(1, round(HEIGHT * length / height)))


def _told_apart(strip: geometry.Image, dark: Mask) -> tuple[list[geometry.Image], Mask]:
    """The strip without its leader, where that runs under letters also with it there; and its ink without it."""
    dots = leader(dark)
    if dots is None:
        return [strip], dark
    dark = dark & ~dots
    under = dots & (np.convolve(dark[BODY].any(0), np.ones(2 * BESIDE + 1), "same") > 0.5)
    strip = _without(strip, dots & ~under)
    return ([strip, _without(strip, under)] if under.any() else [strip]), dark


def _strip(
    image: geometry.Image, a: NDArray[Any], b: NDArray[Any], d: NDArray[Any], size: int, margin: int
) -> geometry.Image:
    """The rectangle a, b, …, d of the image as (48, size), with `margin` more pixels to both sides."""
    along, down = (b - a) / size, (d - a) / HEIGHT
    return geometry.warped(image, np.stack([along, down, a - margin * along], 1), size + 2 * margin, HEIGHT)


def _dark(strip: geometry.Image, size: int) -> Mask | None:
    """Where ink is, measured by the line itself; None where hardly any stands out."""
    inside = strip[:, MARGIN : MARGIN + size]
    below = cv2.calcHist([inside], [0], None, [256], [0, 256])[:, 0].cumsum()  # ten times as fast as np.percentile
    ink, paper = np.searchsorted(below, (0.02 * inside.size, 0.5 * inside.size))
    return np.asarray(strip < paper - 0.4 * (paper - ink)) if paper - ink >= FAINT else None


def _room(own: Polygon, others: NDArray[np.float64], size: int) -> tuple[int, int]:
    """How many pixels to the left and right of a line no other line stands."""
    if not len(others):
        return MARGIN, MARGIN
    (a, b, _, d), ends = own, []
    along, down = (b - a) / size, (d - a) / HEIGHT
    s = (others - a) @ along / (along @ along)
    t = (others - a) @ down / (down @ down)
    beside = (t.min(1) < 0.7 * HEIGHT) & (t.max(1) > 0.3 * HEIGHT)
    middle = s.mean(1)
    for side, gaps in ((middle < size / 2, -s.max(1)), (middle >= size / 2, s.min(1) - size)):
        ends.append(int(np.clip(gaps[beside & side].min(initial=MARGIN), 0, MARGIN)))
    return ends[0], ends[1]


def _grown(dark: Mask, size: int, left: int, right: int) -> tuple[int, int]:
    """How many pixels more belong to the line on the left and on the right, at most so many."""
    near = cv2.dilate(dark[BODY].astype(np.uint8), np.ones((1, 5), np.uint8))
    inked = dark[BODY].any(0) & (near.sum(0) >= TALL)  # no speck
    ruled = dark.mean(0) > 0.9
    after = slice(MARGIN + size, MARGIN + size + right)
    before = slice(MARGIN - left, MARGIN)
    return (
        _reach(inked[before][::-1], ruled[before][::-1]),
        _reach(inked[after], ruled[after]),
    )


def _reach(inked: Mask, ruled: Mask) -> int:
    """How far ink goes on from the beginning without a gap, nor over a rule of a table."""
    if ruled.any():
        inked = inked[: max(0, int(ruled.argmax()) - 2)]
    reach = -1
    for at in np.flatnonzero(inked).tolist():
        if at - reach > GAP:
            break
        reach = at
    return 0 if reach < 0 else min(len(inked), reach + 3)


def leader(dark: Mask) -> Mask | None:
    """The dots of a leader: small, alike, at equal distances on one level. None without one."""
    half = HEIGHT // 2
    count, labels, stats, centres = cv2.connectedComponentsWithStats(dark[half:].astype(np.uint8), connectivity=8)
    small = np.flatnonzero((stats[:, 2] <= DOT) & (stats[:, 3] <= DOT) & (stats[:, 4] >= 2))
    small = small[np.argsort(centres[small, 0])]
    if len(small) < MIN_LEADER_DOTS:
        return None
    chain = _chain(np.asarray(centres[small], np.float64))
    if len(chain) < MIN_LEADER_DOTS:
        return None
    members = small[chain]
    usual = np.median(stats[members][:, 2:4], axis=0)
    members = members[(stats[members][:, 2:4] <= usual + 1.5).all(1)]  # a mark that stands on a dot makes it greater
    out = np.zeros_like(dark)
    chosen = np.zeros(count, bool)
    chosen[members] = True
    out[half:] = chosen[labels]
    return out


def _chain(centres: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which of the points (N, 2), from left to right, stand on one level at multiples of one distance."""
    steps = [b[0] - a[0] for a, b in pairwise(centres) if abs(b[1] - a[1]) < 2 and 3 <= b[0] - a[0] <= PITCH]
    if len(steps) < MIN_LEADER_DOTS - 2:
        return np.zeros(0, np.intp)
    pitch = float(np.median(steps))
    best: list[tuple[int, float]] = []
    for start in range(min(len(centres), 8)):
        chain = [(start, 0.0)]
        for i in range(start + 1, len(centres)):
            dx, dy = centres[i] - centres[chain[-1][0]]
            times = round(dx / pitch)
            if times >= 1 and abs(dx - times * pitch) < 0.25 * pitch + 0.02 * dx and abs(dy) < 1.5 + 0.01 * dx:
                chain.append((i, chain[-1][1] + times))
        best = max(best, chain, key=len)
    return _in_runs(best)


def _in_runs(chain: list[tuple[int, float]]) -> NDArray[np.intp]:
    """Members (index, place) of a chain that stand in runs of neighbours or near one; others are marks of letters."""
    index, place = np.array([i for i, _ in chain], np.intp), np.array([at for _, at in chain])
    runs = np.split(place, np.flatnonzero(np.diff(place) > 1) + 1)
    kept = [run for run in runs if len(run) >= RUN]
    if sum(map(len, kept)) < MIN_LEADER_DOTS:
        return index[:0]
    sure = np.concatenate(kept)
    near = np.abs(place[:, None] - sure[None]).min(1) <= NEAR
    return np.asarray(index[near])


def _without(strip: geometry.Image, dots: Mask) -> geometry.Image:
    """The strip with paper in place of the dots."""
    where = cv2.dilate(dots.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    paper = cv2.morphologyEx(strip, cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8))
    return np.where(where, paper, strip)
