"""Quality of one page image (CA05, Điều 8.2b): blank, cropped, skewed, blurred. Lengths are millimetres of paper.

Everything is measured on brightness at 200 dpi, against the local background, so that grey paper, shadows and
coloured forms don't count as ink. What can't be measured (too little text) is None and never refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict

from tasks.capture import errors
from tasks.capture.facts import MM_PER_INCH
from tasks.capture.limits import INK, OF_A_PAGE

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

WORK_DPI = 200  # every page is measured at this resolution: thresholds then mean the same for all scanners
BORDER_MM = 4.0  # shadows, holes and staples lie here: no ink is counted
SKEW_RANGE, SKEW_TRUST = 12.0, 1.6  # degrees searched; how much the best angle must stand out
HAZE = 0.88  # brightness by background under which strongly blurred text stays …
MAX_HAZE_SHARE = 0.06  # … over this share of a page that shows no ink,
MAX_HAZE_BY_INK = 8.0  # or this many times the ink, where no letter has an edge (sharp pages: 2–3)
PALE, MAX_PALE_MM2 = 0.93, 12.0  # brightness by background of marks that may be writing; so much of it is no dirt
MAX_DIRT_MM2 = 1.5  # likewise of ink: a page's number alone is about 3
MIN_EDGES = 400  # edge pixels a direction, below which blur is unknown
A4_MM = (210.0, 297.0)


class PageQuality(BaseModel):
    """What was measured on one page; kept with the page so that a threshold can be judged later.

    width_mm, height_mm: size of the paper by the scanner profile; ink_mm2: ink inside the border; haze: share of the
    page that is darker than paper without being ink; skew: degrees, positive clockwise, None unknown; edge_mm: width
    of letter edges, None unknown; cut_letters, cut_rules: letters and table lines at the worst border; cut_paper: A4
    with a part missing.
    """

    model_config = ConfigDict(frozen=True)
    width_mm: float
    height_mm: float
    ink_mm2: float
    haze: float = 0.0
    skew: float | None = None
    edge_mm: float | None = None
    cut_letters: int = 0
    cut_rules: int = 0
    cut_paper: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether there is too little ink to judge anything else by."""
        return INK.broken_by(self.ink_mm2)

    @property
    def degrees(self) -> float | None:
        """The skew without its direction."""
        return None if self.skew is None else abs(self.skew)

    def problems(self) -> list[errors.ScanError]:
        """The faults of this page, worst first; a blank page has no other."""
        if self.is_blank:
            return [errors.PageBlurred() if self.haze > MAX_HAZE_SHARE else INK.error()]
        hazy = self.haze * self.width_mm * self.height_mm > MAX_HAZE_BY_INK * self.ink_mm2
        if self.edge_mm is None and self.haze > MAX_HAZE_SHARE and hazy:
            return [errors.PageBlurred()]
        broken = dict.fromkeys(limit.error for limit in OF_A_PAGE if limit.broken_by(getattr(self, limit.measure)))
        return [error(degrees=self.degrees) for error in broken]


def blankness(grey: Grey) -> tuple[bool, bool]:
    """(blank, faint) of a page of unknown size: the shorter side is taken for A4's. Neither: there is ink to read.

    faint: too little ink to be judged by, but a mark or two, or ones so pale that they may be print of the back.
    """
    dpi = min(grey.shape) / A4_MM[0] * MM_PER_INCH
    ink, flat = ink_mask(grey, dpi)
    if float(np.median(grey)) < 80:  # a dark page: what is on it isn't known
        return False, False
    area = _ink_area(ink, dpi)
    if not INK.broken_by(area):
        return False, False
    pale = (cv2.GaussianBlur(cv2.GaussianBlur(flat, (3, 3), 0), (0, 0), 1.2) < PALE).astype(np.uint8)
    faint = area >= MAX_DIRT_MM2 or _ink_area(pale, dpi, least_mm=1.0) >= MAX_PALE_MM2
    return not faint, faint


def load_grey(source: Path | BinaryIO, dpi: int) -> tuple[Grey, float]:
    """Brightness of a vetted page image at about 200 dpi, and that resolution."""
    with Image.open(source) as image:
        size = image.size
        if image.format == "JPEG":
            factor = dpi / WORK_DPI
            image.draft("L", (int(size[0] / factor), int(size[1] / factor)))
        grey = np.asarray(image.convert("L"))
    scale = WORK_DPI * size[0] / dpi / grey.shape[1]
    if scale < 0.9:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return grey, dpi * grey.shape[1] / size[0]


def measure_page(grey: Grey, dpi: float) -> PageQuality:
    """All measures of one page. grey: brightness (0 black); dpi: of that array."""
    height, width = grey.shape
    width_mm, height_mm = width / dpi * MM_PER_INCH, height / dpi * MM_PER_INCH
    ink, flat = ink_mask(grey, dpi)
    area = _ink_area(ink, dpi)
    letters, rules = _cut_marks(ink, dpi)
    facts: dict[str, Any] = {"width_mm": round(width_mm, 1), "height_mm": round(height_mm, 1)}
    return PageQuality(
        **facts,
        ink_mm2=round(area, 1),
        haze=_haze(flat, dpi),
        skew=None if INK.broken_by(area) else _skew(ink, dpi),
        edge_mm=None if INK.broken_by(area) else _edge_width(flat, ink, dpi),
        cut_letters=letters,
        cut_rules=rules,
        cut_paper=cut_paper(width_mm, height_mm),
    )


def ink_mask(grey: Grey, dpi: float) -> tuple[Mask, npt.NDArray[np.float32]]:
    """Ink (1) of a page, and brightness by local background (1.0 = paper).

    The background is the brightest value within 3 mm, smoothed: letters vanish in it, shadows and tinted forms stay.
    """
    scale = 50 / dpi  # the background is smooth: 50 dpi hold it
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bright = cv2.dilate(small, np.ones((13, 13), np.uint8))
    bright = cv2.erode(bright, np.ones((7, 7), np.uint8))
    back = cv2.resize(cv2.blur(bright, (9, 9)), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    flat = np.divide(grey, np.maximum(back, 1), dtype=np.float32)
    flat[back < 40] = 1.0  # wider black than any letter: the lid, a shadow, a photo
    return (cv2.GaussianBlur(flat, (3, 3), 0) < 0.68).astype(np.uint8), flat


def _ink_area(ink: Mask, dpi: float, least_mm: float = 0.35) -> float:
    """mm² of ink inside the border, smaller specks left out."""
    edge = int(BORDER_MM / MM_PER_INCH * dpi)
    inner = ink[edge:-edge, edge:-edge]
    if inner.size == 0:
        return 0.0
    _, _, stats, _ = cv2.connectedComponentsWithStats(inner, connectivity=8)
    boxes = stats[1:]
    least = least_mm / MM_PER_INCH * dpi
    real = boxes[np.maximum(boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT]) >= least]
    return float(real[:, cv2.CC_STAT_AREA].sum()) * (MM_PER_INCH / dpi) ** 2


def _haze(flat: npt.NDArray[np.float32], dpi: float) -> float:
    edge = int(BORDER_MM / MM_PER_INCH * dpi)
    inner = cv2.blur(flat, (5, 5))[edge:-edge, edge:-edge]
    return round(float((inner < HAZE).mean()), 4) if inner.size else 0.0


def _skew(ink: Mask, dpi: float) -> float | None:
    """Angle of the text lines in degrees by the sharpness of the row profile, both along and across the page."""
    scale = 100 / dpi
    small = cv2.resize(ink * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ys, xs = np.nonzero(small > 96)
    if len(xs) < 300:
        return None
    if len(xs) > 60_000:
        step = len(xs) // 60_000 + 1
        xs, ys = xs[::step], ys[::step]
    along, across = _best_angle(xs, ys), _best_angle(ys, xs)
    if along is None or across is None:
        return None
    angle, trust = along if along[1] >= across[1] else (-across[0], across[1])
    return round(angle, 2) if trust >= SKEW_TRUST else None


def _best_angle(xs: npt.NDArray[Any], ys: npt.NDArray[Any]) -> tuple[float, float] | None:
    """(angle, how much its profile stands out above the middling one)."""
    x, y = xs.astype(np.float64) - xs.mean(), ys.astype(np.float64)

    def sharpness(angle: float) -> float:
        rows = (y - x * np.tan(np.radians(angle))).round().astype(np.int64)
        counts = np.bincount(rows - rows.min()).astype(np.float64)
        return float(((counts[1:] - counts[:-1]) ** 2).sum())

    coarse = np.arange(-SKEW_RANGE, SKEW_RANGE + 0.01, 0.4)
    scores = np.array([sharpness(float(a)) for a in coarse])
    best = float(coarse[int(scores.argmax())])
    fine = np.arange(best - 0.4, best + 0.41, 0.1)
    sharp = [sharpness(float(a)) for a in fine]
    middling = float(np.median(scores))
    if middling <= 0:
        return None
    return float(fine[int(np.argmax(sharp))]), float(max(sharp)) / middling


def _edge_width(flat: npt.NDArray[np.float32], ink: Mask, dpi: float) -> float | None:
    """Width of letter edges in mm (full contrast by steepest slope), the worse of both directions.

    Only edges beside ink with a contrast of at least a third of the page's count: noise, stains and faint marks have
    no say, and a page with few letters is judged by those.
    """
    smooth = cv2.GaussianBlur(flat, (3, 3), 0)  # the grain of the scanner is no edge
    reach = 2 * round(0.55 / MM_PER_INCH * dpi) + 1
    kernel = np.ones((reach, reach), np.uint8)
    coarse = np.clip(smooth * 200, 0, 255).astype(np.uint8)  # morphology is ten times faster on bytes
    spread = cv2.dilate(coarse, kernel) - cv2.erode(coarse, kernel)
    beside = np.flatnonzero(cv2.dilate(ink, np.ones((3, 3), np.uint8)))
    contrast = spread.ravel()[beside].astype(np.float32) / 200  # of the pixels beside ink: few of a page's
    if not beside.size:
        return None
    strong = contrast >= max(0.2, float(np.percentile(contrast, 90)) * 0.5)
    beside, contrast = beside[strong], contrast[strong]
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1)))
    for slopes in (across, down):
        np.abs(slopes, out=slopes)
    widths = []
    for slopes, others, line in ((across, down, (1, 5)), (down, across, (5, 1))):
        crest = cv2.dilate(slopes, np.ones(line, np.uint8)).ravel()[beside]
        slope, other = slopes.ravel()[beside], others.ravel()[beside]
        chosen = (slope >= crest - 1e-9) & (slope > 2 * other) & (slope > 0.01)
        if int(chosen.sum()) < MIN_EDGES:
            continue
        widths.append(float(np.median(contrast[chosen] / slope[chosen])))
    return round(max(widths) / dpi * MM_PER_INCH, 3) if widths else None


def _cut_marks(ink: Mask, dpi: float) -> tuple[int, int]:
    """(letters, table lines) cut by the worst border of the image."""
    letters = rules = 0
    for side in (ink, ink[::-1], ink.T, ink.T[::-1]):
        found = _cut_at_top(np.ascontiguousarray(side), dpi)
        letters, rules = max(letters, found[0]), max(rules, found[1])
    return letters, rules


def _cut_at_top(ink: Mask, dpi: float) -> tuple[int, int]:
    """Letters and lines that touch the first rows of the mask.

    A letter is 0.25–8 mm along the border and reaches 0.6–8 mm inward; a table line is under 1.2 mm thick and over 8 mm
    long. What is longer along the border is a shadow or the scanner's lid.
    """
    mm = dpi / MM_PER_INCH
    strip = ink[: round(12 * mm)]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strip, connectivity=8)
    touching = np.unique(labels[: max(1, round(0.25 * mm))])
    letters = rules = 0
    for label in touching[touching > 0]:
        _, _, along, inward, area = (float(v) for v in stats[label])
        if inward >= 8 * mm and area / inward <= 1.2 * mm:
            rules += 1
        elif 0.25 * mm <= along <= 8 * mm and 0.6 * mm <= inward < 8 * mm:
            letters += 1
    return letters, rules


def cut_paper(width_mm: float, height_mm: float) -> bool:
    """One side is A4's and the other falls short of it, yet is longer than A5's: a part of the sheet is missing.

    No usual paper is 210 × 153–291 mm or 297 × 153–204 mm; an odd sheet is scanned in the frame of A4.
    """
    for side, other in ((width_mm, height_mm), (height_mm, width_mm)):
        for full, partner in (A4_MM, A4_MM[::-1]):
            if abs(side - full) <= 3 and 153 < other < partner - 6:
                return True
    return False
