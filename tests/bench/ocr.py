"""`make bench-ocr`: character errors, errors of marks and seconds a page, against Tesseract `vie` in the same run.

Both readers get the same pages one after the other on one thread: the repository's own scans and drawn pages; with
`--bench folder` (`make bench-ocr BENCH=folder`) those of a folder too. Measures: order-free character error rate and
diacritic error rate, percent (tests/blocks/ocr/scoring.py). Seconds are processor seconds: they don't depend on what
else the machine does; a wall-clock second of a quiet core is the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from blocks.ocr.engine import OcrEngine
from tests.bench.pages import SPLITS, BenchPage, bench_pages, drawn_pages, own_pages
from tests.blocks.ocr.scoring import Score, score

GOALS = {"rendered": (0.30, 0.15), "born": (0.25, 0.15), "scan": (0.35, 0.15)}


@dataclass
class Sum:
    """Errors and time of one reader on one group of pages."""

    edits: int = 0
    letters: int = 0
    marks: int = 0
    markable: int = 0
    seconds: float = 0.0
    pages: int = 0

    @property
    def cer(self) -> float:
        return 100 * self.edits / max(1, self.letters)

    @property
    def der(self) -> float:
        return 100 * self.marks / max(1, self.markable)

    @property
    def pace(self) -> float:
        return self.seconds / max(1, self.pages)


def tesseract(page: BenchPage, folder: Path) -> tuple[str, float]:
    """Text and processor seconds of `tesseract -l vie` on one thread."""
    file = folder / "page.png"
    cv2.imwrite(str(file), page.pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["tesseract", str(file), "-", "-l", "vie", "--dpi", str(page.dpi)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sohoa(engine: OcrEngine, page: BenchPage) -> tuple[str, float]:
    began = time.process_time()
    text = engine.read(page.pixels, page.dpi).text
    return text, time.process_time() - began


def add(to: Sum, found: Score, seconds: float) -> None:
    to.edits += found.edits
    to.letters += found.letters
    to.marks += found.marks
    to.markable += found.markable
    to.seconds += seconds
    to.pages += 1


def table(sums: dict[tuple[str, str], Sum], peer: bool) -> Table:
    out = Table(title="OCR: order-free character errors / diacritic errors (%), processor seconds a page")
    for column in ("pages", "n", "Sohoa", "goal", "s/page", "Tesseract vie", "s/page", "errors ×", "seconds ×"):
        out.add_column(column, justify="right" if column != "pages" else "left", no_wrap=True)
    for split in dict.fromkeys(split for split, _ in sums):
        ours, theirs = sums[split, "sohoa"], sums.get((split, "tesseract"), Sum())
        goal = GOALS.get(split)
        row = [
            split,
            str(ours.pages),
            f"{ours.cer:.2f} / {ours.der:.2f}",
            f"{goal[0]:.2f} / {goal[1]:.2f}" if goal else "",
            f"{ours.pace:.2f}",
        ]
        if peer:
            errors = ours.edits / theirs.edits if theirs.edits else 0
            row += [
                f"{theirs.cer:.2f} / {theirs.der:.2f}",
                f"{theirs.pace:.2f}",
                f"{errors:.2f}",
                f"{ours.seconds / theirs.seconds:.2f}" if theirs.seconds else "",
            ]
        out.add_row(*row)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bench", type=Path, help="folder with rendered/, born/, scan/: pages (jpg) and their text (txt)"
    )
    parser.add_argument("--drawn", type=int, default=6, help="drawn pages of each fault")
    parser.add_argument("--seed", type=int, default=424242)
    parser.add_argument("--no-peer", action="store_true", help="without Tesseract")
    parser.add_argument("--recogniser", default="", help="model folder, default: the engine's")
    parser.add_argument("--words", action="store_true", help="print the words that were read wrong")
    arguments = parser.parse_args()
    console = Console(width=130)
    engine = OcrEngine(recogniser=arguments.recogniser)
    console.print(engine.name)
    pages = list(
        chain(
            bench_pages(arguments.bench) if arguments.bench else own_pages(),
            drawn_pages(arguments.drawn, arguments.seed),
        )
    )
    engine.read(pages[0].pixels, pages[0].dpi)  # models are loaded once a process
    sums: dict[tuple[str, str], Sum] = defaultdict(Sum)
    with tempfile.TemporaryDirectory() as scratch:
        for page in track(pages, console=console, description="pages"):
            text, seconds = sohoa(engine, page)
            verdict = score(page.text, text)
            for group in (page.split, *(["bench, all"] if page.split in SPLITS else [])):
                add(sums[group, "sohoa"], verdict, seconds)
            if arguments.words:
                console.print(page.split, page.name, f"{verdict.edits}/{verdict.letters}", verdict.pairs[:25])
            if not arguments.no_peer:
                theirs, spent = tesseract(page, Path(scratch))
                found = score(page.text, theirs)
                for group in (page.split, *(["bench, all"] if page.split in SPLITS else [])):
                    add(sums[group, "tesseract"], found, spent)
    console.print(table(sums, not arguments.no_peer))


if __name__ == "__main__":
    main()
