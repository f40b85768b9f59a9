"""`make bench-hand`: forms filled in by hand. Is each field's place found, and is nothing that a hand wrote sure?

The forms are those of the samples, every type of which a person fills in fields, each in `HANDS` handwriting typefaces
that have the Vietnamese letters. They are fetched from the npm registry into the work folder of the training of the
reader of digits, licences checked as there. Ground truth is where the sheet put the value. A place is found when the
field's box, whether its value was read or not, covers the middle of what the hand wrote.

`--unseen` fills in with the typefaces that the training of the reader of digits never saw, most of which lack
Vietnamese letters: only fields of digits count then. Of those each run says how many were proposed, and rightly.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fontTools.merge import Merger
from rich.console import Console
from rich.table import Table

from blocks.settings import home
from infra.training.digits.faces import UNSEEN, face, fetch, package_of
from tasks.extraction.extract import extract
from tasks.extraction.fields import Extracted
from tasks.extraction.normalise import KINDS
from tasks.extraction.profiles import profile_of
from tasks.extraction.second_reading import PROPOSED
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.papers import text_of
from tests.samples import look as looks
from tests.samples.documents import page_pixels
from tests.samples.forms import FORMS, Paper, make_case
from tests.samples.sheet import Sheet

HANDS = (
    "allura",
    "dancing-script",
    "fuzzy-bubbles",
    "mali",
    "mansalva",
    "mynerve",
    "oooh-baby",
    "pangolin",
    "patrick-hand",
    "playpen-sans",
    "sedgwick-ave",
    "shantell-sans",
    "sriracha",
)
GOAL = 97.0  # % of places found
PENS = ((25, 40, 130), (20, 25, 60), (40, 70, 170), (70, 70, 80))


@dataclass
class Places:
    """What became of the fields that a hand wrote. right: of the readings that were proposed."""

    fields: int = 0
    found: int = 0
    read: int = 0
    right: int = 0
    sure: int = 0
    sure_wrong: int = 0
    numbers: int = 0  # fields of digits among them
    numbers_read: int = 0
    numbers_right: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Places) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def hands(work: Path) -> Path:
    """A folder with the typefaces as `<name>-Regular.ttf`, Latin and Vietnamese letters in one file."""
    folder = work / "vietnamese"
    folder.mkdir(parents=True, exist_ok=True)
    for name in HANDS:
        target = folder / f"{name}-Regular.ttf"
        if target.exists():
            continue
        _, archive = package_of(name, work)
        parts = []
        with tarfile.open(archive) as files:
            for letters in ("latin", "vietnamese"):
                part = face(files, name, letters, "400-normal")
                assert part is not None, f"{name}: no {letters} letters"
                parts.append(folder / f"{name}-{letters}.part")
                part.save(parts[-1])
        Merger().merge([str(part) for part in parts]).save(target)
        for part in parts:
            part.unlink()
    return folder


def unseen(work: Path) -> Path:
    """A folder with the typefaces that training never sees, as `<name>-Regular.ttf`: digits and Latin letters."""
    fetch(work)
    folder = work / "unseen-regular"
    folder.mkdir(parents=True, exist_ok=True)
    for name in UNSEEN:
        shutil.copyfile(work / "unseen" / f"{name}-latin-400-normal.ttf", folder / f"{name}-Regular.ttf")
    return folder


def filled_in(kind: str, hand: str, seed: int) -> tuple[Paper, looks.Look]:
    """A paper of the type, filled in with the hand."""
    rng = random.Random(f"hand {seed} {kind} {hand}")
    look = looks.make_look(rng, rng.choice((200, 200, 300))).but(fill=hand, fill_bold=False, hand=True)
    case = make_case(rng, with_id=True, mother=kind == "LOCAL:GIAY-CHUNG-SINH")
    return FORMS[kind](case, look), look


def judge(job: tuple[str, str, int, Path, Path]) -> tuple[str, Places]:
    """What extraction makes of one paper. With hands that lack Vietnamese letters only the fields of digits count."""
    kind, hand, seed, fonts, cache = job
    if fonts not in looks.FOLDERS:
        looks.FOLDERS = (*looks.FOLDERS, fonts)
    counts = Places()
    paper, look = filled_in(kind, hand, seed)
    dpi, truth = look.dpi, paper.fields
    pages = enumerate(page_pixels(paper, look), 1)
    found = extract([(n, text_of(page, dpi, cache)) for n, page in pages], kind).fields
    for spec in profile_of(kind).fields:
        wanted = truth.get(spec.name)
        places = _written(paper.sheets, KINDS[spec.kind], wanted) if wanted else []
        if not places or _printed(paper.sheets, wanted or "") or not any(rule.label for rule in spec.rules):
            continue
        digits = spec.kind in PROPOSED
        if fonts.name.startswith("unseen") and not digits:
            continue
        item = found[spec.name]
        hit = any(_covers(item, page, x * dpi / 25.4, y * dpi / 25.4) for page, x, y in places)
        right = item.value is not None and item.value.casefold() == (wanted or "").casefold()
        sure = item.value is not None and item.confidence >= CONFIDENCE_THRESHOLD
        counts.fields += 1
        counts.found += hit
        counts.read += item.value is not None
        counts.right += right
        counts.sure += sure
        counts.numbers += digits
        counts.numbers_read += digits and item.value is not None
        counts.numbers_right += digits and right
        counts.sure_wrong += sure and not right
        if not hit:
            counts.faults.append(f"{kind} {hand} {spec.name}: {wanted!r} at {places}, box {item.page} {item.box}")
        if sure and not right:
            counts.faults.append(
                f"SURE {kind} {hand} {spec.name}: {wanted!r} read as {item.value!r}, pen {look.seed % 4}"
            )
    return kind, counts


def _covers(item: Extracted, page: int, x: float, y: float) -> bool:
    return bool(item.box and item.page == page and item.box[0] <= x <= item.box[2] and item.box[1] <= y <= item.box[3])


def _written(sheets: list[Sheet], normal: Callable[[str], str | None], wanted: str) -> list[tuple[int, float, float]]:
    """Page and middle (mm) of each place where the value was written by hand: all of it, or how it begins."""
    return [
        (number, (x0 + x1) / 2, y - 1.5)
        for number, sheet in enumerate(sheets, 1)
        for x0, y, x1, text in sheet.filled
        if (normal(text) or "").casefold() == wanted.casefold() or (len(text) > 8 and wanted.startswith(text))
    ]


def _printed(sheets: list[Sheet], wanted: str) -> bool:
    """Whether the value stands in print, too."""
    printed = (text for sheet in sheets for *_, text in sheet.boxes if text not in [f[-1] for f in sheet.filled])
    return any(wanted.casefold() in text.casefold() for text in printed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("var/train-digits"))
    parser.add_argument("--hands", type=int, default=len(HANDS))
    parser.add_argument("--unseen", action="store_true", help="hands that the training of digits never saw")
    parser.add_argument("--seed", type=int, default=8642)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--type", choices=sorted(FORMS), nargs="*", default=sorted(FORMS))
    parser.add_argument("--faults", action="store_true")
    arguments = parser.parse_args()
    fonts = (unseen if arguments.unseen else hands)(arguments.work)
    names = UNSEEN if arguments.unseen else HANDS
    cache = home() / "bench-extraction"
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(k, h, arguments.seed, fonts, cache) for k in arguments.type for h in names[: arguments.hands]]
    tallies: dict[str, Places] = {}
    papers_of: Counter[str] = Counter()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for kind, counts in pool.map(judge, jobs):
            tallies.setdefault(kind, Places()).add(counts)
            papers_of[kind] += 1
    console = Console(width=130)
    table = Table(title=f"forms filled in by hand, {arguments.hands} hands, seed {arguments.seed}")
    for column in ("type", "papers", "fields by hand", "place found", "%", "read", "right", "sure", "wrong sure"):
        table.add_column(column, justify="left" if column == "type" else "right", no_wrap=True)
    whole = Places()
    for kind, item in sorted(tallies.items()):
        whole.add(item)
        table.add_row(kind.removeprefix("LOCAL:"), str(papers_of[kind]), *_row(item))
    table.add_section()
    table.add_row("all", str(papers_of.total()), *_row(whole))
    console.print(table)
    for fault in whole.faults if arguments.faults else ():
        console.print(fault, highlight=False, markup=False, soft_wrap=True)
    share = 100 * whole.found / max(1, whole.fields)
    console.print(f"places found: {share:.2f} % of {whole.fields}, goal ≥ {GOAL:g} %: {'✓' if share >= GOAL else '✗'}")
    console.print(f"sure of what a hand wrote: {whole.sure}, wrong {whole.sure_wrong}")
    console.print(f"fields of digits: {whole.numbers}, proposed {whole.numbers_read}, right {whole.numbers_right}")


def _row(item: Places) -> tuple[str, ...]:
    share = f"{100 * item.found / max(1, item.fields):.1f}"
    figures = (item.fields, item.found, share, item.read, item.right, item.sure, item.sure_wrong)
    return tuple(map(str, figures))


if __name__ == "__main__":
    main()
