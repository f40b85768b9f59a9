"""Papers with known fields for bench-extraction and for the calibration: drawn from a seed, read once, kept by hash."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import cv2
import numpy as np

from blocks import ocr
from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText
from tasks.extraction.extract import extract
from tasks.extraction.fields import Extracted
from tasks.extraction.profiles import ROWS
from tests.bench.pages import low_dpi, photographed
from tests.samples.bench import ISSUER, PAPERS
from tests.samples.bench import TYPE as OFFICIAL
from tests.samples.documents import make_document, page_pixels
from tests.samples.forms import FORMS
from tests.samples.forms.base import Paper, blank, make_case
from tests.samples.look import make_look
from tests.samples.scan import Pixels, scan

SCAN, PHOTO, LOW = "scans of 200–300 dpi", "phone photos", "100–150 dpi, strong JPEG"
CASELESS = {"full_name", "issuer", "organisation_name", "title", "special.mother_name", "special.father_name"}
# Written by hand on the genuine scans, so that reading it is luck: right or left empty (EX02), but never wrong.
BY_HAND = {"s_11_CT_p1.jpg": ("number_symbol", "issue_date"), "extra_239_TTr_p1.jpg": ("issue_date",)}

Truth = dict[str, str | None]
engine = OcrEngine()
# The engine's name tells models and versions, not the code that prepares what they read.
READER = hashlib.sha256(b"".join(f.read_bytes() for f in sorted(Path(ocr.__file__).parent.glob("*.py")))).hexdigest()


@dataclass(frozen=True)
class Sheaf:
    """One paper: name, declared type, dpi; `draw` gives its true fields and its pages, drawn when asked for."""

    name: str
    type_code: str
    draw: Callable[[], tuple[Truth, int, list[Pixels]]]


def generated(count: int, seed: int, how: str) -> Iterator[Sheaf]:
    """`count` papers, the types in turn, as scans, photos or of low resolution."""
    types = sorted(FORMS)
    for n in range(1, count + 1):
        kind = types[(n - 1) % len(types)]

        def draw(n: int = n, kind: str = kind) -> tuple[Truth, int, list[Pixels]]:
            rng = random.Random(f"{seed} {n}")
            dpi = random.Random(f"{how} {seed} {n}").choice([100, 110, 120, 150]) if how == LOW else None
            paper, look = make_document(seed, n, kind, dpi=dpi)
            pages = page_pixels(paper, look)
            spoil = {PHOTO: photographed, LOW: low_dpi}.get(how)
            return paper.fields, look.dpi, [spoil(page, rng) for page in pages] if spoil else pages

        yield Sheaf(f"{n:04d}", kind, draw)


def unreadable(seed: int) -> Iterator[tuple[str, int, Pixels]]:
    """Pages that must go to manual entry: blank, only handwriting, below 100 dpi."""
    from tests.samples.dossiers import handwritten

    for n in range(4):
        rng = random.Random(f"unreadable {seed} {n}")
        look = make_look(rng, 200)
        empty = Paper("LOCAL:14-HSB", [blank(look)])
        for what, paper in (("blank", empty), ("handwriting", handwritten(make_case(rng), look))):
            yield what, look.dpi, scan(paper.sheets[0].image, look, 1)
        paper, coarse = make_document(seed, n + 1, sorted(FORMS)[n], dpi=72)
        yield "72 dpi", 72, scan(paper.sheets[0].image, coarse, 1)


def genuine(bench: Path) -> Iterator[Sheaf]:
    """Scans of published documents; their fields were read by eye (tests/samples/bench.py)."""
    for file, title, number, day, abstract in PAPERS:
        image = cv2.imread(str(bench / "scan" / file))
        assert image is not None, file
        pixels = np.ascontiguousarray(image[..., ::-1])
        fields = {"title": title, "number_symbol": number, "issue_date": day, "abstract": abstract, "issuer": ISSUER}
        yield Sheaf(file, OFFICIAL, lambda f=fields, p=pixels: (f, 300, [p]))  # type: ignore[misc]


def text_of(pixels: Pixels, dpi: int, cache: Path) -> PageText:
    """The page as the engine reads it; kept under the hash of image, engine and its code."""
    key = hashlib.sha256(f"{engine.name}|{READER}|{dpi}|{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
    file = cache / f"{key}.json"
    if not file.exists():
        half = file.with_suffix(f".{os.getpid()}")
        half.write_bytes(engine.read(pixels, dpi).to_json())
        half.replace(file)
    return PageText.from_json(file.read_bytes())


def read(sheaf: Sheaf, cache: Path) -> tuple[Truth, dict[str, Extracted], str]:
    """The true fields of a paper, what extraction found, and which type it looks like."""
    truth, dpi, pages = sheaf.draw()
    texts = [text_of(pixels, dpi, cache) for pixels in pages]
    found = extract(list(enumerate(texts, 1)), sheaf.type_code)
    return truth, aligned(truth, found.fields), found.likely[0].type_code if found.likely else ""


def aligned(truth: Truth, found: dict[str, Extracted]) -> dict[str, Extracted]:
    """Rows of a list under the numbers of the true rows that they agree with most, in order.

    A row that was missed then costs its own cells, not those of all rows after it.
    """
    wanted, got = _by_row(truth), _by_row({name: item.value for name, item in found.items()})
    best: dict[tuple[int, int], tuple[int, list[tuple[str, str]]]] = {}
    for i in range(len(got) + 1):
        for j in range(len(wanted) + 1):
            options = [(0, [])] if not i or not j else [best[i - 1, j], best[i, j - 1]]
            if i and j:
                score, pairs = best[i - 1, j - 1]
                same = sum(cell in wanted[j - 1][1].items() for cell in got[i - 1][1].items())
                options.append((score + same, [*pairs, (got[i - 1][0], wanted[j - 1][0])] if same else pairs))
            best[i, j] = max(options, key=lambda option: option[0])
    new = dict(best[len(got), len(wanted)][1])
    out = {}
    for name, item in found.items():
        row, _, column = name.removeprefix(ROWS).partition(".")
        out[f"{ROWS}{new.get(row, f'?{row}')}.{column}" if name.startswith(ROWS) else name] = item
    return out


def _by_row(fields: Truth) -> list[tuple[str, Truth]]:
    rows: dict[str, Truth] = {}
    for name, value in sorted(fields.items()):
        if name.startswith(ROWS):
            row, _, column = name.removeprefix(ROWS).partition(".")
            rows.setdefault(row, {})[column] = value
    return list(rows.items())


def plain(name: str, value: str | None) -> str | None:
    """For comparing: names and agencies that forms print in capitals without regard to case."""
    return value.casefold() if value and name in CASELESS else value
