"""Pages with known text for the benchmarks: the repository's own, a folder of more, and drawn ones that nobody has
trained on.

The drawn pages are made by the samples' generator and then photographed or scanned badly (phone shadows and
perspective, 100–150 dpi, two colours, a stamp over the text); they are made anew each time and never committed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.samples.documents import make_document
from tests.samples.forms import FORMS
from tests.samples.scan import Pixels, scan

OWN = Path(__file__).resolve().parents[1] / "blocks/ocr/pages"
SPLITS = ("rendered", "born", "scan")
RARE = ("LOCAL:CCCD", "LOCAL:THE-BHYT")  # cards: a handful of words, no measure of running text


@dataclass(frozen=True)
class BenchPage:
    """split: group in the table; pixels: RGB (H, W, 3); text: ground truth, NFC."""

    split: str
    name: str
    pixels: NDArray[np.uint8]
    dpi: int
    text: str


def bench_pages(folder: Path) -> Iterator[BenchPage]:
    """Pages of a folder (rendered/, born/, scan/) that have a ground truth. dpi: of A4, from the page's width."""
    for split in SPLITS:
        for truth in sorted((folder / split).glob("*.txt")):
            yield _page(split, truth)


def own_pages() -> Iterator[BenchPage]:
    """The repository's pages with known text: a genuine scan (100 dpi) and one born in Word."""
    for truth in sorted(OWN.glob("*.txt")):
        split = "scan" if truth.name.startswith("s_") else "born"
        yield _page(split, truth)


def _page(split: str, truth: Path) -> BenchPage:
    image = cv2.imread(str(truth.with_suffix(".jpg")))
    assert image is not None, truth
    pixels = np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
    return BenchPage(split, truth.stem, pixels, round(min(pixels.shape[:2]) / 8.27), truth.read_text("utf-8"))


def drawn_pages(each: int, seed: int) -> Iterator[BenchPage]:
    """`each` pages of each fault, drawn from the seed: other people, fonts and words than any that was trained on."""
    types = sorted(set(FORMS) - set(RARE))
    for split, spoil in FAULTS.items():
        for n in range(each):
            rng = random.Random(f"{split} {seed} {n}")
            dpi = {"low-dpi": rng.choice([100, 110, 120, 150]), "photo": 200}.get(split, 200)
            paper, look = make_document(seed, n, rng.choice(types), dpi=dpi)
            number = rng.randrange(len(paper.sheets))
            sheet = paper.sheets[number]
            pixels = spoil(scan(sheet.image, look, number + 1), rng)
            yield BenchPage(split, f"{paper.type_code}-{n}", pixels, dpi, "\n".join(sheet.lines))


def photographed(pixels: Pixels, rng: random.Random) -> Pixels:
    """A phone above the desk: perspective, shadow, soft focus, noise, strong JPEG."""
    high, wide = pixels.shape[:2]
    ground = np.full((int(high * 1.06), int(wide * 1.08), 3), rng.randrange(60, 130), np.uint8)
    top, left = (ground.shape[0] - high) // 2, (ground.shape[1] - wide) // 2
    ground[top : top + high, left : left + wide] = pixels
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * [ground.shape[1], ground.shape[0]]
    moved = corners + np.array([[rng.uniform(-0.02, 0.02) * wide for _ in "xy"] for _ in corners])
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    out = cv2.warpPerspective(ground, matrix, ground.shape[1::-1], flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
    x, y = np.meshgrid(np.linspace(-1, 1, out.shape[1]), np.linspace(-1, 1, out.shape[0]))
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - rng.uniform(0.15, 0.4) * (np.cos(angle) * x + np.sin(angle) * y + 1) / 2
    out = np.clip(out * light[..., None], 0, 255).astype(np.uint8)
    out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 0.9))
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, rng.uniform(2, 6), out.shape)
    return through_jpeg(np.clip(out + noise, 0, 255).astype(np.uint8), rng.randrange(45, 75))


def low_dpi(pixels: Pixels, rng: random.Random) -> Pixels:
    """Drawn at 100–150 dpi already; only a stronger compression."""
    return through_jpeg(pixels, rng.randrange(40, 70))


def bilevel(pixels: Pixels, rng: random.Random) -> Pixels:
    """Fax and old scanners: black or white."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), rng.uniform(0.3, 0.8))
    limit = rng.uniform(0.55, 0.75) * 255
    return np.repeat(np.where(grey > limit, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def stamped(pixels: Pixels, rng: random.Random) -> Pixels:
    """A round red stamp without words of its own over the text."""
    out = pixels.astype(np.float32)
    high, wide = out.shape[:2]
    layer = np.zeros((high, wide), np.float32)
    for _ in range(2):
        centre = (int(rng.uniform(0.25, 0.8) * wide), int(rng.uniform(0.2, 0.85) * high))
        radius = int(0.085 * wide)
        for share, thick in ((1.0, 5), (0.93, 2), (0.6, 2)):
            cv2.circle(layer, centre, int(radius * share), 1.0, thick, cv2.LINE_AA)
        star = [
            (centre[0] + int(radius * r * np.sin(k * np.pi / 5)), centre[1] - int(radius * r * np.cos(k * np.pi / 5)))
            for k, r in zip(range(10), [0.3, 0.12] * 5, strict=True)
        ]
        cv2.fillPoly(layer, [np.array(star, np.int32)], 1.0, cv2.LINE_AA)
    ink = np.array([200, 30, 40], np.float32) / 255
    out *= 1 - rng.uniform(0.6, 0.9) * layer[..., None] * (1 - ink)
    return np.clip(out, 0, 255).astype(np.uint8)


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


FAULTS: dict[str, Callable[[Pixels, random.Random], Pixels]] = {
    "photo": photographed,
    "low-dpi": low_dpi,
    "bilevel": bilevel,
    "stamped": stamped,
}
