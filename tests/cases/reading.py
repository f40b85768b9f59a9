"""Papers as offices hand them in, read by the engine: lists, stamps of secrecy, several papers on one image.

Each case draws its paper and reads it, which takes a second or some.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from blocks.ocr.engine import OcrEngine
from tasks.extraction.extract import Extraction, extract
from tasks.extraction.part import limited
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.pauses.verification import Side
from tasks.reading.secrecy import secrecy_level
from tasks.verification.split import parts
from tests.cases import Case, Otherwise
from tests.cases import sheets as draw
from tests.samples.documents import make_document
from tests.samples.scan import Pixels

NAMES = ("NGUYỄN VĂN AN", "TRẦN THỊ MẬT", "LÊ HOÀI NAM", "PHẠM THU HÀ", "VŨ ĐỨC LONG")
RED, BLACK = (200, 30, 40), (0, 0, 0)


@cache
def engine() -> OcrEngine:
    return OcrEngine()


# -- stamps of secrecy, and what looks like one ---------------------------------------------------------------------
def cash_list(head: str) -> Pixels:
    """Money paid out, with a column whose heading is broken in two."""
    rows = [[str(n), name, f"{n * 351}.000", "X", ""] for n, name in enumerate(NAMES, 1)]
    return draw.list_of_people(["STT", "HỌ VÀ TÊN", "SỐ TIỀN", head, "KÝ NHẬN"], [14, 60, 38, 24, 40], rows)


def broken_names() -> Pixels:
    """A column so narrow that given names stand on a line of their own."""
    rows = [[str(n), name, f"0{n}/03/198{n}", f"{n * 351}.000", ""] for n, name in enumerate(NAMES, 1)]
    return draw.list_of_people(["STT", "HỌ VÀ TÊN", "NGÀY SINH", "SỐ TIỀN", "KÝ NHẬN"], [14, 28, 34, 38, 30], rows)


def given_names() -> Pixels:
    """Given names in a column of their own, as payrolls sort by them."""
    rows = [[str(n), *name.rsplit(" ", 1), f"0{n}/03/198{n}", f"{n * 351}.000"] for n, name in enumerate(NAMES, 1)]
    return draw.list_of_people(["STT", "HỌ ĐỆM", "TÊN", "NGÀY SINH", "SỐ TIỀN"], [14, 50, 24, 34, 38], rows)


def _secrecy(paper: Callable[[], Pixels], wanted: str | None) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        level = secrecy_level([engine().read(paper(), draw.DPI)])
        if level != wanted:
            raise Otherwise(f"taken for {level}")
        return f"hidden until the leader has looked: {level}" if level else "read as any other"

    return play


ORDINARY = "an ordinary list"
HIDDEN = "hidden, nothing deleted, until the leader has looked"
SECRECY = [
    Case("list with a column TIỀN / MẶT", ORDINARY, _secrecy(lambda: cash_list("TIỀN\nMẶT"), None)),
    Case("list with a column VẮNG / MẶT", ORDINARY, _secrecy(lambda: cash_list("VẮNG\nMẶT"), None)),
    Case("list with the name … MẬT broken in a narrow cell", ORDINARY, _secrecy(broken_names, None)),
    Case("list with given names in a column of their own, one of them MẬT", ORDINARY, _secrecy(given_names, None)),
    Case("report with a red stamp MẬT", HIDDEN, _secrecy(lambda: draw.report("MẬT", RED, (55, 44)), "MAT")),
    Case("copy of one with the stamp in black", HIDDEN, _secrecy(lambda: draw.report("MẬT", BLACK, (55, 41)), "MAT")),
    Case("report with a red stamp TỐI MẬT", HIDDEN, _secrecy(lambda: draw.report("TỐI MẬT", RED, (55, 44)), "TOI_MAT")),
]


# -- several papers on one image ------------------------------------------------------------------------------------
C65, DISCHARGE, BIRTH, CARD = "LOCAL:C65-HD", "LOCAL:GIAY-RA-VIEN", "LOCAL:GIAY-KHAI-SINH", "LOCAL:CCCD"
EMPLOYEES, HISTORY, LETTER = "LOCAL:D02-TS", "LOCAL:04-HSB", "LOCAL:VAN-BAN-HANH-CHINH"
A5 = round(draw.DPI * 2**0.5)  # a paper drawn as A4 is A5 at this resolution


def first(type_code: str, number: int) -> Pixels:
    return draw.pages(type_code, number)[0]


def half(number: int) -> Pixels:
    """A certificate of sick leave, which fills three quarters of its sheet."""
    return draw.top(first(C65, number), 0.77)


def read(type_code: str, image: Pixels, dpi: int = draw.DPI) -> Extraction:
    return extract([(1, engine().read(image, dpi))], type_code)


def _several(type_code: str, paper: Callable[[], Pixels], dpi: int = draw.DPI) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        found = read(type_code, paper(), dpi)
        sure = [name for name, item in found.fields.items() if item.value and item.confidence >= CONFIDENCE_THRESHOLD]
        if not found.several or sure:
            raise Otherwise(f"taken for one paper, {len(sure)} fields sure")
        return "every field doubtful, the officer is told"

    return play


def _one(type_code: str, paper: Callable[[], Pixels], dpi: int = draw.DPI) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        if read(type_code, paper(), dpi).several:
            raise Otherwise("taken for several papers")
        return "read as one paper"

    return play


DOUBT = "doubt on every field, a warning that two papers seem to lie on the image"
SEVERAL = [
    Case("two C65-HD of A5 beside each other", DOUBT, _several(C65, lambda: draw.beside(half(1), half(2)), A5)),
    Case("two C65-HD of A5 under each other", DOUBT, _several(C65, lambda: draw.above(half(1), half(2)), A5)),
    Case(
        "discharge papers of two people on A3",
        DOUBT,
        _several(DISCHARGE, lambda: draw.beside(first(DISCHARGE, 1), first(DISCHARGE, 2))),
    ),
    Case(
        "the same, turned by 90 degrees",
        DOUBT,
        _several(DISCHARGE, lambda: draw.turned(draw.beside(first(DISCHARGE, 1), first(DISCHARGE, 2)), 1)),
    ),
    Case(
        "discharge paper beside a birth certificate",
        DOUBT,
        _several(BIRTH, lambda: draw.beside(first(BIRTH, 3), first(DISCHARGE, 1))),
    ),
    Case(
        "discharge paper above a C65-HD", DOUBT, _several(DISCHARGE, lambda: draw.above(first(DISCHARGE, 1), half(1)))
    ),
    Case("two pages of a list on A3", DOUBT, _several(HISTORY, lambda: draw.beside(*draw.pages(HISTORY, 4)[:2]))),
    Case(
        "lists of two employers beside each other",
        DOUBT,
        _several(EMPLOYEES, lambda: draw.beside(first(EMPLOYEES, 4), first(EMPLOYEES, 5))),
    ),
    Case("A3 with two pages of a letter", DOUBT, _several(LETTER, lambda: draw.beside(*draw.pages(LETTER, 6)[:2]))),
    Case("identity cards of two people", DOUBT, _several(CARD, lambda: draw.above(first(CARD, 1), first(CARD, 2)))),
    Case("both sides of one identity card", "one paper", _one(CARD, lambda: first(CARD, 1))),
    Case("a list across the width of the sheet", "one paper", _one(EMPLOYEES, lambda: first(EMPLOYEES, 4))),
]


# -- parted by an officer: each is read in its own part -------------------------------------------------------------
def _parted(
    type_code: str, paper: Callable[[], Pixels], side: Side, numbers: tuple[int, int], dpi: int = draw.DPI
) -> Callable[[Path], str]:
    """Both halves, each as a paper of this type. numbers: of the person at that side, and of the other."""

    def play(_: Path) -> str:
        text = engine().read(paper(), dpi)
        truths = [make_document(5, n, type_code, dpi=draw.DPI)[0].fields for n in numbers]
        for part, mine, other in zip(parts(side, 50, 1), truths, truths[::-1], strict=True):
            found = extract([(1, limited(text, part))], type_code)
            read_ones = {n: i.value.casefold() for n, i in found.fields.items() if i.value and i.box}
            theirs = {v.casefold() for v in other.values() if v and v not in mine.values() and len(v) > 3}
            if found.several or (wrong := [name for name, value in read_ones.items() if value in theirs]):
                raise Otherwise(f"of the other paper: {'several' if found.several else wrong}")
            if read_ones.get("full_name") != (mine["full_name"] or "").casefold():
                raise Otherwise("its own name isn't read")
        return "each paper's values are its own"

    return play


OWN = "each is read by itself, no value of the other"
PARTED = [
    Case(
        "discharge papers of two people on A3, parted",
        OWN,
        _parted(DISCHARGE, lambda: draw.beside(first(DISCHARGE, 1), first(DISCHARGE, 2)), Side.LEFT, (1, 2)),
    ),
    Case(
        "two C65-HD of A5 beside each other, parted",
        OWN,
        _parted(C65, lambda: draw.beside(half(1), half(2)), Side.LEFT, (1, 2), A5),
    ),
    Case(
        "two C65-HD of A5 under each other, parted",
        OWN,
        _parted(C65, lambda: draw.above(half(1), half(2)), Side.TOP, (1, 2), A5),
    ),
    Case(
        "identity cards of two people, parted",
        OWN,
        _parted(CARD, lambda: draw.above(first(CARD, 1), first(CARD, 2)), Side.TOP, (1, 2)),
    ),
]

CASES = SECRECY + SEVERAL + PARTED
