"""Are two images the same page? For duplicates (CA06) and sticky-note pairs (CA07). Lengths are millimetres.

Two passes through a scanner differ by a few millimetres, a degree, brightness and grain: images are laid over each
other first, then ink is looked for within 0.8 mm of its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tasks.capture.facts import MM_PER_INCH
from tasks.capture.guard import pixels_guarded
from tasks.capture.quality import ink_mask

DPI = 100  # both images are compared at this resolution
GRID = (24, 32)  # cells of the fingerprint, across and down
SKETCH_DPI = 25
CANDIDATE = 0.95  # correlation of fingerprints, then of sketches laid over each other, worth a closer look
REACH_MM = 0.8
SAME_UNMATCHED = 0.03  # share of ink without partner in two captures of one page
TILE, SEARCH = 20, 3  # pixels (5 mm, 0.75 mm): every inked tile must be found again in its place …
SAME_TILE = 0.85  # … with this correlation at least: one other digit makes another page
PAIR_UNMATCHED = 0.08  # outside the note, a page and itself differ by less
NOTE_DIFFERENCE = 0.10  # of brightness in any colour, 1.0 = paper
NOTE_MIN_MM2, NOTE_MAX_MM2 = 100.0, 16_000.0  # from a flag of 1 cm² to a sheet of A6
NOTE_COMPACT = 0.6  # the largest spot holds this share of what differs

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class View:
    """A page at 100 dpi. colour: float RGB by paper (1.0), ink: 0/1."""

    colour: Array
    ink: Array


def load_view(path: Path, size: tuple[int, int], dpi: int) -> View:
    """The page of an image file of that size (pixels), scanned at `dpi`; decoded in the sandbox."""
    width, height = round(size[0] * DPI / dpi), round(size[1] * DPI / dpi)
    full = pixels_guarded(path, width, height)
    small = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    paper = np.maximum(np.percentile(small.reshape(-1, 3)[::7], 80, axis=0), 40)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    ink, _ = ink_mask(grey, DPI)
    return View(np.clip(small.astype(np.float32) / paper, 0, 1.3).astype(np.float32), ink)


def sketch(ink: Array, dpi: float) -> Array:
    """The ink of a page at 25 dpi (0..255, about 60 kB): enough to tell most pages apart by `alike`."""
    scale = SKETCH_DPI / dpi
    small = cv2.resize(ink.astype(np.float32) * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), dtype=np.uint8)


def fingerprint(ink: Array) -> Array:
    """Where the ink of a page lies, coarsely: pages can only be one where these agree."""
    cells = cv2.resize(ink.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
    cells = cv2.GaussianBlur(cells, (3, 3), 0)
    return np.asarray((cells - cells.mean()) / (cells.std() + 1e-6), dtype=np.float32)


def comparable(one: Array, other: Array) -> bool:
    """Whether two fingerprints might be of one page."""
    return float((one * other).mean()) >= CANDIDATE


def alike(one: Array, other: Array) -> bool:
    """Whether two sketches, laid over each other, might be of one page (7 ms; same ≥ 0.99, others ≤ 0.87)."""
    try:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
        mask = np.ones(other.shape, np.uint8)
        start = np.eye(2, 3, dtype=np.float32)
        found, _ = cv2.findTransformECC(one, other, start, cv2.MOTION_EUCLIDEAN, criteria, mask, 3)
    except cv2.error:
        return False
    return float(found) >= CANDIDATE


def aligned(one: View, other: View) -> View | None:
    """`other` laid over `one` (turned and shifted), or None where they don't resemble each other."""
    height, width = one.ink.shape
    warp = np.eye(2, 3, dtype=np.float32)
    for scale in (0.25, 0.5):
        a, b = (_soft(v.ink, scale) for v in (one, other))
        warp[:, 2] *= scale
        try:
            criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-5)
            mask = np.ones(b.shape, np.uint8)
            _, found = cv2.findTransformECC(a, b, warp, cv2.MOTION_EUCLIDEAN, criteria, mask, 3)
        except cv2.error:
            return None
        warp = np.asarray(found, dtype=np.float32)
        warp[:, 2] /= scale
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    colour = cv2.warpAffine(other.colour, warp, (width, height), flags=flags, borderValue=(1, 1, 1))
    ink = cv2.warpAffine(other.ink.astype(np.float32), warp, (width, height), flags=flags)
    return View(colour, (ink > 0.5).astype(np.uint8))


def _soft(ink: Array, scale: float) -> Array:
    small = cv2.resize(ink.astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), dtype=np.float32)


def unmatched(one: Array, other: Array, where: Array | None = None) -> float:
    """Share of the ink of either mask that has no partner in the other, inside `where`."""
    reach = 2 * round(REACH_MM / MM_PER_INCH * DPI) + 1
    kernel = np.ones((reach, reach), np.uint8)
    share = 0.0
    for a, b in ((one, other), (other, one)):
        alone = a & (1 - cv2.dilate(b, kernel))
        whole = a
        if where is not None:
            alone, whole = alone * where, a * where
        share = max(share, float(alone.sum()) / max(1.0, float(whole.sum())))
    return share


def worst_tile(one: View, other: View) -> float:
    """Correlation of the inked tile that is found again worst; 1.0 for no ink at all. Both views are aligned."""
    grey = [cv2.GaussianBlur(view.colour.min(axis=2), (3, 3), 0.8) for view in (one, other)]
    both = one.ink.astype(np.float32) + other.ink
    counts = cv2.boxFilter(both, -1, (TILE, TILE), anchor=(0, 0), normalize=False)
    worst = 1.0
    edge = TILE  # 5 mm: the border moves with the paper
    for y in range(edge, one.ink.shape[0] - 2 * edge, TILE // 2):
        for x in range(edge, one.ink.shape[1] - 2 * edge, TILE // 2):
            if counts[y, x] < 12:
                continue
            tile = grey[0][y : y + TILE, x : x + TILE]
            place = grey[1][y - SEARCH : y + TILE + SEARCH, x - SEARCH : x + TILE + SEARCH]
            if float(tile.std()) < 0.02:  # ink in the other only
                return 0.0
            found = cv2.matchTemplate(place, tile, cv2.TM_CCOEFF_NORMED)
            worst = min(worst, float(found.max()))
            if worst < 0:
                return worst
    return worst


def same_page(one: View, other: View) -> bool:
    """Two captures of one page with nothing different: a duplicate. Forms that differ in one digit are not."""
    over = aligned(one, other)
    if over is None or unmatched(one.ink, over.ink) > SAME_UNMATCHED:
        return False
    return worst_tile(one, over) >= SAME_TILE


@dataclass(frozen=True)
class NoteCheck:
    """ok: the two images are one page that differs in one compact region, with the note in the first image.

    reason: IDENTICAL, DIFFERENT_PAGES, SCATTERED or ORDER when not; area_mm2 of the region; unmatched: share of ink
    outside it that has no partner.
    """

    ok: bool
    reason: str = ""
    area_mm2: float = 0.0
    unmatched: float = 0.0


def check_note_pair(with_note: View, clean: View) -> NoteCheck:
    """CA07: the page with its sticky note, then the same page without it."""
    over = aligned(with_note, clean)
    if over is None:
        return NoteCheck(False, "DIFFERENT_PAGES", unmatched=1.0)
    region, area = _note_region(with_note.colour, over.colour)
    outside = (1 - region).astype(np.uint8)
    share = unmatched(with_note.ink, over.ink, outside)
    facts: dict[str, Any] = {"area_mm2": round(area, 1), "unmatched": round(share, 3)}
    if share > PAIR_UNMATCHED:
        return NoteCheck(False, "DIFFERENT_PAGES", **facts)
    if area < NOTE_MIN_MM2:
        return NoteCheck(False, "IDENTICAL", **facts)
    if area > NOTE_MAX_MM2:
        return NoteCheck(False, "SCATTERED", **facts)
    if _note_in_second(with_note.colour, over.colour, region):
        return NoteCheck(False, "ORDER", **facts)
    return NoteCheck(True, **facts)


def _note_region(one: Array, other: Array) -> tuple[Array, float]:
    """(mask of the region that differs, its area in mm²).

    A coloured note is one spot. A white one shows only where it hides letters: then the region is the rectangle round
    all that differs.
    """
    edge = round(4 / MM_PER_INCH * DPI)  # the border moves with the paper
    soft = [cv2.GaussianBlur(image, (0, 0), 1.2 / MM_PER_INCH * DPI) for image in (one, other)]
    differs = (np.abs(soft[0] - soft[1]).max(axis=2) > NOTE_DIFFERENCE).astype(np.uint8)
    differs[:edge] = differs[-edge:] = 0
    differs[:, :edge] = differs[:, -edge:] = 0
    differs = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    differs = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(differs)
    square = (MM_PER_INCH / DPI) ** 2
    if len(stats) < 2:
        return differs, 0.0
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.max() >= NOTE_COMPACT * areas.sum():
        region = (labels == int(areas.argmax()) + 1).astype(np.uint8)
    else:
        ys, xs = np.nonzero(differs)
        region = np.zeros_like(differs)
        region[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = 1
    region = cv2.dilate(region, np.ones((9, 9), np.uint8)).astype(np.uint8)
    return region, float(region.sum()) * square


def _note_in_second(first: Array, second: Array, region: Array) -> bool:
    """The note's paper is coloured: the image whose region has the stronger tint holds it. Unsure: False."""
    inside = region > 0
    tints = []
    for image in (first, second):
        paper = np.percentile(image[inside], 70, axis=0)
        tints.append(float(np.abs(paper - 1.0).max()))
    return tints[1] > tints[0] + 0.08
