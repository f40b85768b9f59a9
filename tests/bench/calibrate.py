"""`python -m tests.bench.calibrate`: how often values are right by how well they were read, for the recogniser in use.

Generated papers of all types are read as scans, as phone photos and at 100–150 dpi; the result is written to
`tasks/extraction/calibration.yaml` under the recogniser's name and hash. Its seeds are its own: neither rules are
written for them nor does bench-extraction report with them.

For each group of kinds the rate of right values is fitted as a rising function of the reading (isotonic regression by
pooling adjacent violators; Ayer and others 1955). The confidence is the lower bound of that rate (Wilson 1927, one
side, 95 %). From the threshold of the product on stand only readings of which at most SLACK were wrong, and of which
at least SURE are right by the lower bound; the rest stays below, for the officer.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table

from blocks.settings import home
from tasks.extraction import calibration
from tasks.extraction.calibration import Curve
from tasks.extraction.fields import PROPOSAL
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.papers import LOW, PHOTO, SCAN, engine, generated, plain, read

FILE = Path(calibration.__file__).with_suffix(".yaml")
Z = 1.645  # one side, 95 %
SLACK = 0.0035  # wrong among sure values that were measured; the goal is 0.5 % on papers never seen
SURE = 0.95  # lower bound of what is right among them: about 52 values without a fault
LEAST = 0.97  # right in the lowest block that counts as sure: the best mustn't hide the worst
BELOW = CONFIDENCE_THRESHOLD - 0.01
# Numbers of papers are often written by hand, which generated papers aren't: what is read of them isn't read well.
HANDWRITTEN = {"number_symbol": 0.8}

Sample = tuple[float, bool]  # reading, right


def wilson(right: int, n: int) -> float:
    """Lower bound of a rate of which `right` of `n` were seen."""
    if not n:
        return 0.0
    rate, z2 = right / n, Z * Z
    spread = Z * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return (rate + z2 / (2 * n) - spread) / (1 + z2 / n)


def pooled(samples: Sequence[Sample]) -> list[tuple[float, int, int]]:
    """Blocks (reading from which, right, n) whose rates rise: pool adjacent violators."""
    blocks: list[tuple[float, int, int]] = []
    for reading, group in groupby(sorted(samples), key=lambda sample: sample[0]):
        rights = [right for _, right in group]
        blocks.append((reading, sum(rights), len(rights)))
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            (start, first, n), (_, second, m) = blocks[-2:]
            blocks[-2:] = [(start, first + second, n + m)]
    return blocks


def sure_from(samples: Sequence[Sample]) -> float:
    """The lowest reading from which on values count as sure; infinite when there is none."""
    ordered = sorted(samples, reverse=True)
    best, wrong = math.inf, 0
    for n, (reading, right) in enumerate(ordered, 1):
        wrong += not right
        last = n == len(ordered) or ordered[n][0] < reading
        if last and wrong <= SLACK * n and wilson(n - wrong, n) >= SURE:
            best = reading
    good = [start for start, right, n in pooled(samples) if right >= LEAST * n]
    return max(best, min(good, default=math.inf))


def fitted(samples: Sequence[Sample], least: float = 0.0) -> Curve:
    """The curve of one group; nothing is sure that was read worse than `least`."""
    cut = max(sure_from(samples), least)
    above = [right for reading, right in samples if reading >= cut]
    steps: list[tuple[float, float]] = [(0.0, 0.0)]
    for start, right, n in pooled([sample for sample in samples if sample[0] < cut]):
        confidence = round(min(wilson(right, n), BELOW), 3)
        if confidence > steps[-1][1]:
            steps.append((round(start, 4), confidence))
    if above:
        confidence = max(CONFIDENCE_THRESHOLD + 0.01, wilson(sum(above), len(above)))
        steps.append((round(cut - 5e-5, 4), round(confidence, 3)))
    return Curve(steps=steps, n=len(samples), wrong=sum(not right for _, right in samples))


def collect(part: tuple[int, int, list[tuple[str, int, int]], Path]) -> dict[str, list[Sample]]:
    """One worker's share: by group what was read how well, and whether it was right."""
    index, parts, rounds, cache = part
    out: dict[str, list[Sample]] = defaultdict(list)
    sheaves = [sheaf for how, count, seed in rounds for sheaf in generated(count, seed, how)]
    for sheaf in sheaves[index::parts]:
        truth, fields, _ = read(sheaf, cache)
        for name, item in fields.items():
            if item.value is not None and PROPOSAL not in item.rule:  # those are never sure, whatever is measured
                right = plain(name, truth.get(name)) == plain(name, item.value)
                out[calibration.group(item.kind)].append((item.reading, right))
    return dict(out)


def write(model: str, curves: dict[str, Curve], papers: int) -> None:
    """Put the recogniser's curves in place of those of the recognisers before it; the default stays."""
    text = FILE.read_text(encoding="utf-8")
    kept = text[: text.index("\n#", text.index("default:"))] if "\n#" in text[text.index("default:") :] else text
    lines = [kept.rstrip(), f"# Measured on {papers} generated papers.", f"{model}:"]
    for name, curve in sorted(curves.items()):
        steps = yaml.safe_dump([list(step) for step in curve.steps], default_flow_style=True, width=10**6).strip()
        lines.append(f"  {name}: {{n: {curve.n}, wrong: {curve.wrong}, steps: {steps}}}")
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=401)
    parser.add_argument("--scans", type=int, default=220)
    parser.add_argument("--photos", type=int, default=110)
    parser.add_argument("--low", type=int, default=88)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    arguments = parser.parse_args()
    cache = home() / "bench-extraction"
    cache.mkdir(parents=True, exist_ok=True)
    console = Console(width=110)
    rounds = [(SCAN, arguments.scans, arguments.seed), (PHOTO, arguments.photos, arguments.seed + 1)]
    rounds.append((LOW, arguments.low, arguments.seed + 2))
    papers, parts = sum(count for _, count, _ in rounds), arguments.jobs * 12
    samples: dict[str, list[Sample]] = defaultdict(list)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        shares = [(i, parts, rounds, cache) for i in range(parts)]
        for share in track(pool.map(collect, shares), total=parts, console=console, description="reading"):
            for name, found in share.items():
                samples[name] += found
    curves = {name: fitted(found, HANDWRITTEN.get(name, 0.0)) for name, found in samples.items()}
    table = Table(title=f"{papers} papers, {engine.name}")
    for column in ("group", "values", "wrong", "sure from", "sure %", "wrong among sure", "confidence of sure"):
        table.add_column(column, justify="left" if column == "group" else "right")
    for name, found in sorted(samples.items()):
        cut = sure_from(found)
        sure = [right for reading, right in found if reading >= cut]
        row = (
            f"{cut:.3f}",
            f"{100 * len(sure) / len(found):.1f}",
            str(sure.count(False)),
            str(curves[name].steps[-1][1]),
        )
        table.add_row(name, str(len(found)), str(curves[name].wrong), *(row if sure else ("–", "0", "–", "–")))
    console.print(table)
    model = next(name for name in re.findall(r"[\w.\-]+@[0-9a-f]+", engine.name) if "det@" not in name)
    if not arguments.dry:
        write(model, curves, papers)
        console.print(f"written: {FILE} ({model})")


if __name__ == "__main__":
    main()
