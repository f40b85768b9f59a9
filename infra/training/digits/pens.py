"""What pens do to a number: skips, bleeding, pale ink, a digit written over another, one that was struck out."""

from __future__ import annotations

import random

import cv2
import numpy as np

from infra.training.digits.strokes import Ink, spline


def inked(r: random.Random, ink: Ink, size: float) -> Ink:
    """The number as a ballpoint that skips, a felt pen that bleeds or a dry one leaves it; mostly as it is."""
    kind = r.random()
    n = np.random.default_rng(r.randrange(1 << 30))
    if kind < 0.14:  # a ballpoint that skips
        coarse = n.standard_normal((2 + ink.shape[0] // 6, 2 + ink.shape[1] // 6)).astype(np.float32)
        grain = cv2.resize(coarse, ink.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(ink * (0.75 + 0.4 * grain).clip(r.uniform(0.05, 0.4), 1), np.uint8)
    if kind < 0.26:  # a felt pen or ink that bleeds
        room = max(1, round(size * r.uniform(0.02, 0.06)))
        wide = cv2.dilate(np.pad(ink, room + 2), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * room + 1,) * 2))
        return np.asarray(cv2.GaussianBlur(wide, (0, 0), r.uniform(0.5, 1 + 0.4 * room)), np.uint8)
    if kind < 0.32:  # darker edges and a pale middle, as gel ink dries
        inside = cv2.erode(ink, np.ones((3, 3), np.uint8))
        return np.asarray(ink - inside * r.uniform(0.2, 0.6), np.uint8)
    return ink


def written_over(r: random.Random, new: Ink, old: Ink) -> Ink:
    """A digit that was corrected: the new one, fatter, over a thinner old one."""
    height, width = new.shape
    under = cv2.resize(cv2.erode(old, np.ones((2, 2), np.uint8)), (width, height), interpolation=cv2.INTER_AREA)
    fat = cv2.dilate(new, np.ones((r.choice((2, 3)),) * 2, np.uint8))
    return np.asarray(np.maximum(fat, under * r.uniform(0.4, 0.8)), np.uint8)


def struck(r: random.Random, ink: Ink, pen: float) -> Ink:
    """A digit that was struck out, with one line or a few."""
    height, width = ink.shape
    room = max(3, round(0.2 * width))
    out = np.pad(ink, ((0, 0), (room, room)))
    for _ in range(r.choice((1, 1, 2, 4))):
        ends = [(0, height * r.uniform(0.2, 0.9)), (out.shape[1] - 1, height * r.uniform(0.1, 0.8))]
        middle = (out.shape[1] / 2 + r.gauss(0, 2), (ends[0][1] + ends[1][1]) / 2 + r.gauss(0, 0.1 * height))
        curve = spline(np.array([ends[0], middle, ends[1]]))
        cv2.polylines(out, [np.round(curve).astype(np.int32)], False, (255,), max(1, round(pen)), cv2.LINE_AA)
    return out
