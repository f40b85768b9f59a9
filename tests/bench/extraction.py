"""`make bench-extraction`: fields of generated papers of every type and of the scans of `--bench`, against their truth.

Genuine pages (scans, and heads with a number and a date written by hand, `heads.py`) are counted apart from drawn ones.
A field is right when its normalised value is exactly that of the paper, or is empty where the paper has none. Names
and agencies that forms print in capitals are compared without regard to case. Pages are drawn from the seed (other
people, fonts, fill-in styles, 200–300 dpi, skew, noise, stamps; then as phone photos and at 100–150 dpi), read by the
engine, and kept under var/ by the hash of the image, so that rules can be measured again in seconds. Report with a
seed that neither rules were written for (11, 31, 52, 777) nor confidences calibrated on (tests/bench/calibrate.py).
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from blocks.settings import home
from tasks.extraction.extract import SEVERAL
from tasks.extraction.fields import Extracted
from tasks.extraction.profiles import ROWS
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench import heads
from tests.bench.papers import (
    BY_HAND,
    LOW,
    PHOTO,
    SCAN,
    Sheaf,
    engine,
    generated,
    genuine,
    plain,
    read,
    text_of,
    unreadable,
)

HEADS = 48  # drawn


@dataclass
class Counts:
    """right, wrong: values; sure: those with a value at or above the threshold, and how many of them are wrong."""

    right: int = 0
    wrong: int = 0
    valued: int = 0
    sure: int = 0
    sure_wrong: int = 0
    invented: int = 0  # a value where the paper has none

    def add(self, other: Counts) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def accuracy(self) -> float:
        return 100 * self.right / max(1, self.right + self.wrong)

    @property
    def sure_accuracy(self) -> float:
        return 100 * (1 - self.sure_wrong / max(1, self.sure))


@dataclass
class Tally:
    """fields: of the paper; cells: in the rows of its list; typed: papers whose type was told right; several: papers
    that were taken for two on one image."""

    papers: int = 0
    typed: int = 0
    several: int = 0
    fields: Counts = field(default_factory=Counts)
    cells: Counts = field(default_factory=Counts)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.papers, self.typed = self.papers + other.papers, self.typed + other.typed
        self.several += other.several
        self.fields.add(other.fields)
        self.cells.add(other.cells)
        self.faults += other.faults


def judge(sheaf: Sheaf, cache: Path) -> Tally:
    """All fields of the truth and all that were found, but for the declared type and what a page can't print."""
    truth, found, likely = read(sheaf, cache)
    tally = Tally(papers=1, typed=likely == sheaf.type_code, several=doubled(found))
    for name in sorted((set(truth) | set(found)) - {"type_code", "extracted_at"}):
        wanted, item = truth.get(name), found.get(name)
        got = item.value if item else None
        sure = item is not None and got is not None and item.confidence >= CONFIDENCE_THRESHOLD
        good = plain(name, wanted) == plain(name, got)
        counts = Counts(good, not good, got is not None, sure, sure and not good, wanted is None and got is not None)
        (tally.cells if name.startswith(ROWS) else tally.fields).add(counts)
        if not good:
            tally.faults.append(f"{'SURE ' if sure else ''}{sheaf.name} {name}: {wanted!r} read as {got!r}")
    return tally


def doubled(found: dict[str, Extracted]) -> bool:
    """Whether two papers seemed to lie on one image."""
    return any(SEVERAL in item.rule.split(";") for item in found.values())


def measure(part: tuple[int, int, int, int, str, Path]) -> dict[str, Tally]:
    """One worker's share: every `parts`-th paper."""
    index, parts, count, seed, how, cache = part
    tallies: dict[str, Tally] = defaultdict(Tally)
    for n, sheaf in enumerate(generated(count, seed, how)):
        if n % parts == index:
            tallies[sheaf.type_code].add(judge(sheaf, cache))
    return dict(tallies)


def table(title: str, tallies: dict[str, Tally]) -> Table:
    out = Table(title=title, caption=f"sure: confidence at or above {CONFIDENCE_THRESHOLD}; cells: rows of lists")
    heads = ("type", "papers", "type told", "fields", "right %", "sure %", "wrong sure", "invented")
    for column in (*heads, "cells", "right %", "sure %", "wrong sure"):
        out.add_column(column, justify="left" if column == "type" else "right", no_wrap=True)
    for name, item in [*sorted(tallies.items()), ("all", whole(tallies))]:
        out.add_row(
            name.removeprefix("LOCAL:"),
            str(item.papers),
            str(item.typed),
            *_columns(item.fields),
            str(item.fields.invented),
            *(_columns(item.cells) if item.cells.right + item.cells.wrong else ()),
            end_section=name != "all" and name == max(tallies),
        )
    return out


def _columns(counts: Counts) -> tuple[str, ...]:
    share = 100 * counts.sure / max(1, counts.valued)
    return str(counts.right + counts.wrong), f"{counts.accuracy:.2f}", f"{share:.1f}", str(counts.sure_wrong)


def whole(tallies: dict[str, Tally]) -> Tally:
    out = Tally()
    for item in tallies.values():
        out.add(item)
    return out


def run(pool: Executor, jobs: int, console: Console, count: int, seed: int, how: str, cache: Path) -> dict[str, Tally]:
    """One round of generated papers, shared out to the workers."""
    parts = max(1, min(count, jobs * 8))
    tallies: dict[str, Tally] = defaultdict(Tally)
    shares = [(i, parts, count, seed, how, cache) for i in range(parts)]
    for share in track(pool.map(measure, shares), total=parts, console=console, description=how):
        for name, tally in share.items():
            tallies[name].add(tally)
    return dict(tallies)


def judge_genuine(bench: Path, cache: Path, console: Console) -> tuple[Counts, int]:
    """The published scans, field by field; and how many were taken for two papers."""
    counts, several = Counts(), 0
    for sheaf in genuine(bench):
        truth, found, _ = read(sheaf, cache)
        several += doubled(found)
        for name, value in truth.items():
            got = found[name].value
            by_hand = name in BY_HAND.get(sheaf.name, ()) and got is None
            good = by_hand or plain(name, value) == plain(name, got)
            sure = got is not None and found[name].confidence >= CONFIDENCE_THRESHOLD
            counts.add(Counts(good, not good, got is not None, sure, sure and not good))
            note = "(by hand: left empty)" if by_hand else f"{got}{', sure' if sure else ''}"
            console.print(f"{'✓' if good else '✗'} {sheaf.name} {name}: {note}", highlight=False)
    return counts, several


def genuine_goals(scans: Counts, several: int, by_hand: dict[str, heads.Count]) -> list[tuple[str, str, str, bool]]:
    """What is sure of genuine pages, scans and heads, counted apart from everything drawn."""
    sure = scans.sure + sum(count.sure for count in by_hand.values())
    wrong = scans.sure_wrong + sum(count.sure_wrong for count in by_hand.values())
    right = 100 * (1 - wrong / max(1, sure))
    return [
        ("fields of genuine scans", "all", f"{scans.right} of {scans.right + scans.wrong}", not scans.wrong),
        ("right among sure, genuine scans and heads", "≥ 99.5 %", f"{right:.2f} % of {sure}", right >= 99.5),
        ("genuine scans taken for two papers", "none", str(several), not several),
    ]


def goals(rows: list[tuple[str, str, str, bool]]) -> Table:
    out = Table(title="goals")
    for column in ("what", "goal", "measured", ""):
        out.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    for what, goal, measured, met in rows:
        out.add_row(what, goal, measured, "✓" if met else "✗")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=176)
    parser.add_argument("--photos", type=int, default=110, help="papers as phone photos")
    parser.add_argument("--low", type=int, default=88, help="papers of 100–150 dpi")
    parser.add_argument("--seed", type=int, default=8642)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--bench", type=Path, help="folder of genuine scans (tests/samples/bench.py)")
    parser.add_argument("--faults", action="store_true", help="list what was read wrong (synthetic people)")
    arguments = parser.parse_args()
    cache = home() / "bench-extraction"
    cache.mkdir(parents=True, exist_ok=True)
    console = Console(width=130)
    console.print(engine.name)
    total, summary = Tally(), []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for how, count in ((SCAN, arguments.count), (PHOTO, arguments.photos), (LOW, arguments.low)):
            if not count:
                continue
            tallies = run(pool, arguments.jobs, console, count, arguments.seed, how, cache)
            console.print(table(f"{count} generated papers, {how}, seed {arguments.seed}", tallies))
            one = whole(tallies)
            total.add(one)
            measured = f"{one.fields.accuracy:.2f} %"
            summary.append((f"fields right, {count} {how}", "≥ 98.5 %", measured, one.fields.accuracy >= 98.5))
            for what, counts in (("fields", one.fields), ("cells", one.cells)):
                right, sure = counts.sure_accuracy, counts.sure
                summary.append(
                    (f"right among sure {what}, {how}", "≥ 99.5 %", f"{right:.2f} % of {sure}", right >= 99.5)
                )
            for fault in one.faults if arguments.faults else ():
                console.print(fault, highlight=False, markup=False, soft_wrap=True)
    typed = 100 * total.typed / max(1, total.papers)
    summary.append(("type told from the paper alone", "≥ 99 %", f"{typed:.2f} %", typed >= 99))
    told = [text_of(pixels, dpi, cache).readable for _, dpi, pixels in unreadable(arguments.seed)]
    summary.append(("unreadable pages to manual entry", "all", f"{told.count(False)} of {len(told)}", not any(told)))
    summary.append(("generated papers taken for two", "none", str(total.several), not total.several))
    by_hand = [(f"{HEADS} drawn heads", list(heads.drawn_heads(HEADS, arguments.seed)))]
    genuine_heads = list(heads.genuine_heads(arguments.bench)) if arguments.bench else []
    if genuine_heads:
        by_hand.append((f"{len(genuine_heads)} genuine heads", genuine_heads))
    else:
        console.print("genuine heads: not measured, --bench names no folder that has them (heads/truth.json)")
    for what, pages in by_hand:
        counts = heads.judge(pages, cache)
        console.print(heads.table(f"{what}, number and date written by hand", counts))
        summary += heads.goals(what, counts)
        for fault in (fault for item in counts.values() for fault in item.faults if arguments.faults):
            console.print(fault, highlight=False, markup=False, soft_wrap=True)
        of_heads = counts if pages is genuine_heads else {}
    if arguments.bench:
        summary += genuine_goals(*judge_genuine(arguments.bench, cache, console), of_heads)
    console.print(goals(summary))


if __name__ == "__main__":
    main()
