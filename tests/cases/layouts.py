"""Layouts of life: what scanners, lamps and age do to a paper. Read, left empty or doubted, never surely wrong.

Each case draws its paper and reads it, which takes a second or some.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tasks.extraction.extract import extract
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.papers import aligned, plain
from tests.cases import Case, Otherwise
from tests.cases import sheets as draw
from tests.cases.reading import engine
from tests.samples.scan import Pixels

Spoilt = Callable[[list[Pixels]], list[Pixels]]
LEAVE, DISCHARGE, DECISION = "LOCAL:C65-HD", "LOCAL:GIAY-RA-VIEN", "LOCAL:QUYET-DINH-HUONG"
EMPLOYEES, CLAIM, BILL, BOOK = "LOCAL:D02-TS", "LOCAL:TK1-TS", "LOCAL:HOA-DON", "LOCAL:SO-BHXH"


def each(spoil: Callable[[Pixels], Pixels]) -> Spoilt:
    return lambda pages: [spoil(page) for page in pages]


def _judged(type_code: str, number: int, spoil: Spoilt, least: float, **look: object) -> Callable[[Path], str]:
    """least: share of the paper's fields that must be right all the same."""

    def play(_: Path) -> str:
        truth, pages = draw.paper(type_code, number, **look)
        texts = [engine().read(page, draw.DPI) for page in spoil(pages)]
        found = aligned(truth, extract(list(enumerate(texts, 1)), type_code).fields)
        names = {name for name, value in truth.items() if value and name != "type_code"}
        right = sum(plain(name, truth[name]) == plain(name, found[name].value) for name in names & set(found))
        wrong = [
            name
            for name, item in found.items()
            if item.value
            and item.confidence >= CONFIDENCE_THRESHOLD
            and plain(name, item.value) != plain(name, truth.get(name))
        ]
        told = f"{right} of {len(names)} right"
        if wrong or right < least * len(names):
            raise Otherwise(f"{told}, surely wrong: {', '.join(sorted(wrong)) or 'none'}")
        return f"{told}, none surely wrong"

    return play


def _by_hand(_: Path) -> str:
    """Three hands; what they wrote may be proposed."""
    right = empty = 0
    for seed in range(3):
        wrote, page = draw.filled_by_hand(seed)
        found = extract([(1, engine().read(page, draw.DPI))], LEAVE).fields
        for name, value in wrote.items():
            item = found[name]
            right, empty = right + (item.value == value), empty + (item.value is None)
            if item.value not in (None, value) and item.confidence >= CONFIDENCE_THRESHOLD:
                raise Otherwise(f"surely wrong: {name}")
    return f"of 12 numbers {right} right, {empty} left empty, none surely wrong"


READ, DOUBTED = "read", "read, left empty or doubted; nothing surely wrong"
GREEN, BLUE, KRAFT = (190, 225, 190), (150, 190, 220), (200, 170, 120)
CASES = [
    Case(
        "second page of a file upside down",
        READ,
        _judged(CLAIM, 8, lambda pages: [pages[0], *map(lambda page: draw.turned(page, 2), pages[1:])], 0.95),
    ),
    Case("list on green paper", READ, _judged(EMPLOYEES, 6, each(lambda p: draw.on_coloured_ground(p, GREEN)), 0.95)),
    Case("decision on blue paper", READ, _judged(DECISION, 3, each(lambda p: draw.on_coloured_ground(p, BLUE)), 0.9)),
    Case("old book on brown paper", READ, _judged(BOOK, 9, each(lambda p: draw.on_coloured_ground(p, KRAFT)), 0.9)),
    Case("black borders of an open lid", READ, _judged(DISCHARGE, 1, each(draw.framed), 0.95)),
    Case("typewriter print", READ, _judged(DECISION, 3, each(lambda p: p), 0.9, family="Cousine", fill="Cousine")),
    Case("table over two pages", READ, _judged(EMPLOYEES, 5, each(lambda p: p), 0.9)),
    Case("red stamps over the print", DOUBTED, _judged(LEAVE, 0, each(draw.stamped), 0.8)),
    Case("glare of a lamp", DOUBTED, _judged(DISCHARGE, 1, each(draw.glared), 0.5)),
    Case("back showing through", DOUBTED, _judged(BILL, 5, each(lambda p: draw.showing_through(p, p)), 0.5)),
    Case("form filled in by hand", DOUBTED, _by_hand),
    Case("fax of 100 dpi", DOUBTED, _judged(EMPLOYEES, 6, each(lambda p: draw.faxed(p, 0.5)), 0.5)),
    Case("fax of 75 dpi", DOUBTED, _judged(DECISION, 3, each(lambda p: draw.faxed(p, 0.375)), 0.0)),
    Case("out of focus", DOUBTED, _judged(EMPLOYEES, 6, each(draw.blurred), 0.3)),
]
