"""`make bench-ocr`: character errors, marks and seconds a page: both engines, against Tesseract `vie` in the same run.

All readers get the same pages one after the other on one thread: the repository's own scans and drawn pages; with
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import get_args

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}

import cv2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from blocks.ocr.engine import OcrEngine
from blocks.ocr.runtime import Engine
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


def table(sums: dict[tuple[str, str], Sum], readers: Sequence[str]) -> Table:
    """A row a group of pages; the last column compares the first reader with the last: errors, seconds."""
    out = Table(title="OCR: order-free character errors / diacritic errors (%), processor seconds a page")
    out.add_column("pages", no_wrap=True)
    for column in ("n", "goal", *readers, f"{readers[0]} : {readers[-1]}"):
        out.add_column(column, justify="right")
    for split in dict.fromkeys(split for split, _ in sums):
        found = [sums[split, reader] for reader in readers]
        goal = GOALS.get(split)
        errors, seconds = found[0].edits / max(1, found[-1].edits), found[0].seconds / found[-1].seconds
        out.add_row(
            split,
            str(found[0].pages),
            f"{goal[0]:.2f} / {goal[1]:.2f}" if goal else "",
            *[f"{one.cer:.2f} / {one.der:.2f}  {one.pace:.2f} s" for one in found],
            f"{errors:.2f}, {seconds:.2f}",
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bench", type=Path, help="folder with rendered/, born/, scan/: pages (jpg) and their text (txt)"
    )
    parser.add_argument("--drawn", type=int, default=6, help="drawn pages of each fault")
    parser.add_argument("--seed", type=int, default=424242)
    parser.add_argument("--no-peer", action="store_true", help="without Tesseract")
    parser.add_argument("--engines", nargs="+", choices=get_args(Engine), default=get_args(Engine))
    parser.add_argument("--recogniser", default="sohoa-rec", help="model folder")
    parser.add_argument("--words", action="store_true", help="print the words that were read wrong")
    arguments = parser.parse_args()
    console = Console(width=130)
    engines = {name: OcrEngine(engine=name, recogniser=arguments.recogniser) for name in arguments.engines}
    pages = list(
        chain(
            bench_pages(arguments.bench) if arguments.bench else own_pages(),
            drawn_pages(arguments.drawn, arguments.seed),
        )
    )
    for engine in engines.values():
        console.print(engine.name)
        engine.read(pages[0].pixels, pages[0].dpi)  # models are loaded once a process
    sums: dict[tuple[str, str], Sum] = defaultdict(Sum)
    readers: dict[str, Callable[[BenchPage], tuple[str, float]]]
    readers = {name: partial(sohoa, engine) for name, engine in engines.items()}
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.no_peer:
            readers["tesseract vie"] = partial(tesseract, folder=Path(scratch))
        for page in track(pages, console=console, description="pages"):
            for name, read in readers.items():
                text, seconds = read(page)
                verdict = score(page.text, text)
                for group in (page.split, *(["bench, all"] if page.split in SPLITS else [])):
                    add(sums[group, name], verdict, seconds)
                if arguments.words and name in engines:
                    wrong = f"{verdict.edits}/{verdict.letters}"
                    console.print(name, page.split, page.name, wrong, verdict.pairs[:25])
    console.print(table(sums, list(readers)))


if __name__ == "__main__":
    main()
