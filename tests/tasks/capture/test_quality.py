"""CA05: faults are found, good pages are left alone. The bench pages are genuine and simulated scans."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tasks.capture.limits import EDGE
from tasks.capture.quality import PageQuality, cut_paper, load_grey, measure_page
from tests.tasks.capture.pages_for_tests import DPI, SIZE, font, jpeg, paper, scanned

# Genuine pages of the repository, and more where BENCH_PAGES names a folder of them.
PAGES = Path(__file__).resolve().parents[2] / "blocks" / "ocr" / "pages"
GOOD = [p for p in sorted(PAGES.glob("*.jpg")) if not p.name.startswith("s_05CT")]  # that one: 100 dpi
GOOD += sorted(Path(more).glob("*.jpg")) if (more := os.environ.get("BENCH_PAGES")) else []


def quality(image: Image.Image, dpi: int = DPI) -> PageQuality:
    return measure_page(np.asarray(image.convert("L")), dpi)


def codes(image: Image.Image, dpi: int = DPI) -> list[str]:
    return [problem.code for problem in quality(image, dpi).problems()]


def text_page(*texts: str) -> Image.Image:
    image = Image.new("RGB", SIZE, (250, 250, 248))
    for index, text in enumerate(texts):
        ImageDraw.Draw(image).text((500, 500 + 90 * index), text, font=font(36), fill=(20, 20, 20))
    return image


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_CA05_no_false_alarm_on_bench_scans(path: Path) -> None:
    with Image.open(path) as image:
        dpi = round(image.info["dpi"][0])
    grey, at = load_grey(path, dpi)
    found = measure_page(grey, at)
    assert found.problems() == []
    assert found.ink_mm2 > 1000 and found.edge_mm is not None and found.edge_mm < 0.6  # margins: see report
    assert abs(found.skew or 0) <= 2.1 and found.cut_letters <= 1 and found.cut_rules == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("table", [False, True])
def test_CA05_good_pages_pass(seed: int, table: bool) -> None:
    page = scanned(paper(seed, table=table), seed, skew=1.5 * (seed - 1.5), blur=0.4 + seed * 0.2)
    assert codes(page) == []


@pytest.mark.parametrize("text", ["Nguyễn Văn An", "Trang 2/3", "Đã nhận hồ sơ ngày 02/3/2026"])
def test_CA05_sparse_pages_pass(text: str) -> None:
    assert codes(scanned(text_page(text), 3)) == []


@pytest.mark.parametrize("noise,level", [(0, 255), (4, 240), (12, 225), (20, 235)])
def test_CA05_PAGE_BLANK(noise: int, level: int) -> None:
    shade = np.linspace(-25, 0, SIZE[0])[None, :]
    pixels = np.random.default_rng(1).normal(level, noise, SIZE[::-1]) + shade
    assert codes(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))) == ["PAGE_BLANK"]


def test_CA05_PAGE_BLANK_back_side_with_text_shining_through_and_black_page() -> None:
    mirrored = 255 - (255 - np.asarray(paper(1).convert("L"))[:, ::-1].astype(float)) * 0.15
    assert codes(Image.fromarray(mirrored.astype(np.uint8))) == ["PAGE_BLANK"]
    assert codes(Image.new("L", SIZE, 3)) == ["PAGE_BLANK"]


@pytest.mark.parametrize("angle", [-10.0, -5.0, -3.6, 3.6, 6.0, 9.0])
def test_CA05_PAGE_SKEWED_above_three_degrees(angle: float) -> None:
    found = quality(scanned(paper(2, lines=24), 5, skew=angle))
    assert found.skew is not None and abs(-found.skew - angle) < 0.3  # OpenCV turns the other way round
    assert "PAGE_SKEWED" in [problem.code for problem in found.problems()]


@pytest.mark.parametrize("angle", [-2.5, -1.0, 0.0, 1.0, 2.5])
def test_CA05_small_skew_is_tolerated_and_recorded(angle: float) -> None:
    found = quality(scanned(paper(3), 6, skew=angle))
    assert found.problems() == [] and found.skew is not None and abs(-found.skew - angle) < 0.3


def test_CA05_text_that_runs_up_the_page_is_no_skew() -> None:
    assert codes(scanned(paper(3), 6, skew=1.0).rotate(90, expand=True)) == []


@pytest.mark.parametrize("sigma", [2.5, 3.0, 5.0, 7.0])
def test_CA05_PAGE_BLURRED_out_of_focus(sigma: float) -> None:
    assert codes(scanned(paper(4), 7, blur=sigma)) == ["PAGE_BLURRED"]


def test_CA05_PAGE_BLURRED_moved_paper_at_300_dpi(tmp_path: Path) -> None:
    large = np.asarray(scanned(paper(5), 8).resize((2481, 3508)))
    kernel = np.zeros((25, 25), np.float32)
    kernel[12] = 1 / 25
    path = tmp_path / "moved.jpg"
    path.write_bytes(jpeg(Image.fromarray(cv2.filter2D(large, -1, kernel)), 300))
    found = measure_page(*load_grey(path, 300))
    assert found.edge_mm is not None and EDGE.broken_by(found.edge_mm)


def _left(page: Image.Image) -> Image.Image:
    shifted = Image.new("RGB", SIZE, (250, 250, 247))
    shifted.paste(page, (-280, 0))
    return shifted


def _top(page: Image.Image) -> Image.Image:
    shifted = Image.new("RGB", SIZE, (250, 250, 247))
    shifted.paste(page, (0, -280))
    return shifted


@pytest.mark.parametrize(
    "cut",
    [
        _left,
        _top,
        lambda page: page.crop((0, 0, 1300, SIZE[1])),
        lambda page: page.crop((0, 0, SIZE[0], 1750)),
        lambda page: page.crop((0, 0, SIZE[0], 1500)).resize((SIZE[0], 1500)),
    ],
    ids=["left", "top", "narrow", "short", "shorter"],
)
def test_CA05_PAGE_CROPPED(cut: Callable[[Image.Image], Image.Image]) -> None:
    assert "PAGE_CROPPED" in codes(cut(scanned(paper(6, lines=30), 9, skew=0.0)))


def test_CA05_PAGE_CROPPED_table_lines_run_out() -> None:
    page = Image.new("RGB", SIZE, (250, 250, 247))
    page.paste(paper(6, lines=4), (0, 0))
    draw = ImageDraw.Draw(page)
    for row in range(6):
        draw.line((300, 1200 + row * 60, SIZE[0], 1200 + row * 60), fill=(20, 20, 20), width=3)
    assert codes(page) == ["PAGE_CROPPED"]


def test_CA05_paper_sizes() -> None:
    assert cut_paper(210, 250) and cut_paper(178, 297) and cut_paper(250, 210)
    for whole in ((210, 297), (148, 210), (210, 148), (297, 420), (216, 279), (210, 330), (85.6, 54), (208.2, 297)):
        assert not cut_paper(*whole)
