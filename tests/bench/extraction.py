"""`make bench-extraction`: fields of generated documents of every type, and of genuine scans, against their truth.

A field is right when its normalised value is exactly that of the paper, or is empty where the paper has none. Names
and agencies that forms print in capitals are compared without regard to case. Pages are drawn from the seed (other
people, fonts, fill-in styles, 200–300 dpi, skew, noise, stamps), read by the engine, and kept under var/ by the hash
of the image, so that rules can be measured again in seconds. The development seed is 11; report with another one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText
from blocks.settings import home
from tasks.extraction.extract import extract
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.pages import photographed
from tests.samples.bench import ISSUER, PAPERS
from tests.samples.bench import TYPE as OFFICIAL
from tests.samples.documents import make_document, page_pixels
from tests.samples.forms import FORMS
from tests.samples.scan import Pixels

CASELESS = {"full_name", "issuer", "organisation_name", "title", "special.mother_name", "special.father_name"}
ROOT = Path(__file__).resolve().parents[2]
# Written by hand, in whole or in part: may stay empty for the officer (EX02), but must not be read wrong.
BY_HAND = {"s_11_CT_p1.jpg": ("number_symbol", "issue_date"), "extra_239_TTr_p1.jpg": ("issue_date",)}


@dataclass
class Tally:
    """right, wrong: fields; sure: those with a value at or above the threshold, and how many of them are wrong."""

    papers: int = 0
    right: int = 0
    wrong: int = 0
    valued: int = 0
    sure: int = 0
    sure_wrong: int = 0
    invented: int = 0  # a value where the paper has none
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("papers", "right", "wrong", "valued", "sure", "sure_wrong", "invented"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults


@dataclass(frozen=True)
class Sheaf:
    """One paper: name, declared type, true fields, and how to get its pages (dpi, pixels)."""

    name: str
    type_code: str
    truth: dict[str, str | None]
    dpi: int
    draw: Callable[[], list[Pixels]]


_engine = OcrEngine()


def text_of(pixels: Pixels, dpi: int, cache: Path) -> PageText:
    """The page as the engine reads it; kept under the hash of image and engine."""
    key = hashlib.sha256(f"{_engine.name}|{dpi}|{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
    file = cache / f"{key}.json"
    if not file.exists():
        half = file.with_suffix(f".{os.getpid()}")
        half.write_bytes(_engine.read(pixels, dpi).to_json())
        half.replace(file)
    return PageText.from_json(file.read_bytes())


def judge(sheaf: Sheaf, cache: Path) -> Tally:
    """All fields of the truth and all that were found, but for the declared type and what a page can't print."""
    pages = [text_of(pixels, sheaf.dpi, cache) for pixels in sheaf.draw()]
    found = extract(list(enumerate(pages, 1)), sheaf.type_code).fields
    tally = Tally(papers=1)
    for name in sorted((set(sheaf.truth) | set(found)) - {"type_code", "extracted_at"}):
        wanted, item = sheaf.truth.get(name), found.get(name)
        got = item.value if item else None
        sure = item is not None and got is not None and item.confidence >= CONFIDENCE_THRESHOLD
        good = plain(name, wanted) == plain(name, got)
        tally.right += good
        tally.wrong += not good
        tally.valued += got is not None
        tally.sure += sure
        tally.sure_wrong += sure and not good
        tally.invented += wanted is None and got is not None
        if not good:
            tally.faults.append(f"{'SURE ' if sure else ''}{sheaf.name} {name}: {wanted!r} read as {got!r}")
    return tally


def plain(name: str, value: str | None) -> str | None:
    return value.casefold() if value and name in CASELESS else value


def generated(count: int, seed: int, photos: bool) -> Iterator[Sheaf]:
    """`count` papers, the types in turn; as phone photos if asked."""
    import random

    types = sorted(FORMS)
    for n in range(1, count + 1):
        kind = types[(n - 1) % len(types)]
        paper, look = make_document(seed, n, kind)

        def draw(paper=paper, look=look, n=n):  # type: ignore[no-untyped-def]
            pages = page_pixels(paper, look)
            return [photographed(page, random.Random(f"{seed} {n}")) for page in pages] if photos else pages

        yield Sheaf(f"{n:04d}", kind, paper.fields, look.dpi, draw)


def genuine(bench: Path) -> Iterator[Sheaf]:
    """Scans of published documents; their fields were read by eye (tests/samples/bench.py)."""
    for file, title, number, day, abstract in PAPERS:
        image = cv2.imread(str(bench / "scan" / file))
        assert image is not None, file
        truth: dict[str, str | None] = {
            "title": title,
            "number_symbol": number,
            "issue_date": day,
            "abstract": abstract,
            "issuer": ISSUER,
        }
        pixels = np.ascontiguousarray(image[..., ::-1])
        yield Sheaf(file, OFFICIAL, truth, 300, lambda pixels=pixels: [pixels])  # type: ignore[misc]


def measure(part: tuple[int, int, int, int, bool, Path]) -> dict[str, Tally]:
    """One worker's share: every `parts`-th paper."""
    index, parts, count, seed, photos, cache = part
    tallies: dict[str, Tally] = defaultdict(Tally)
    for n, sheaf in enumerate(generated(count, seed, photos)):
        if n % parts == index:
            tallies[sheaf.type_code].add(judge(sheaf, cache))
    return dict(tallies)


def table(title: str, tallies: dict[str, Tally]) -> Table:
    out = Table(title=title, caption=f"sure: confidence at or above {CONFIDENCE_THRESHOLD}")
    for column in ("type", "papers", "fields", "right %", "sure % of values", "wrong among sure", "invented"):
        out.add_column(column, justify="left" if column == "type" else "right", no_wrap=True)
    whole = Tally()
    for item in tallies.values():
        whole.add(item)
    for name, item in [*sorted(tallies.items()), ("all", whole)]:
        fields = item.right + item.wrong
        out.add_row(
            name.removeprefix("LOCAL:"),
            str(item.papers),
            str(fields),
            f"{100 * item.right / max(1, fields):.2f}",
            f"{100 * item.sure / max(1, item.valued):.1f}",
            f"{item.sure_wrong} ({100 * (1 - item.sure_wrong / max(1, item.sure)):.2f} % right)",
            str(item.invented),
            end_section=name != "all" and name == max(tallies),
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=330)
    parser.add_argument("--photos", type=int, default=44, help="papers as phone photos")
    parser.add_argument("--seed", type=int, default=777)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--bench", type=Path, default=ROOT.parent / "shared" / "ocr-bench")
    parser.add_argument("--faults", action="store_true", help="list what was read wrong (synthetic people)")
    arguments = parser.parse_args()
    cache = home() / "bench-extraction"
    cache.mkdir(parents=True, exist_ok=True)
    console = Console(width=130)
    console.print(_engine.name)
    rounds = [("scans", arguments.count, False), ("phone photos", arguments.photos, True)]
    parts = max(arguments.jobs, 1) * 8
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for title, count, photos in rounds:
            shares = [(i, parts, count, arguments.seed, photos, cache) for i in range(parts)]
            tallies: dict[str, Tally] = defaultdict(Tally)
            for share in track(pool.map(measure, shares), total=parts, console=console, description=title):
                for name, tally in share.items():
                    tallies[name].add(tally)
            console.print(table(f"{count} generated papers, {title}, seed {arguments.seed}", tallies))
            if arguments.faults:
                for fault in (f for tally in tallies.values() for f in tally.faults):
                    console.print(fault, highlight=False, markup=False, soft_wrap=True)
    if arguments.bench.is_dir():
        right = wrong = 0
        for sheaf in genuine(arguments.bench):
            pages = [text_of(pixels, sheaf.dpi, cache) for pixels in sheaf.draw()]
            found = extract(list(enumerate(pages, 1)), sheaf.type_code).fields
            for name, value in sheaf.truth.items():
                read = found[name].value
                by_hand = name in BY_HAND.get(sheaf.name, ())
                good = (read is None and by_hand) or plain(name, value) == plain(name, read)
                right, wrong = right + good, wrong + (not good)
                console.print(f"{'✓' if good else '✗'} {sheaf.name} {name}: {read}", highlight=False)
        console.print(f"genuine scans: {right} fields right, {wrong} wrong")


if __name__ == "__main__":
    main()
