"""Papers as offices hand them in, read by the engine: lists, stamps of secrecy, several papers on one image.

Each case draws its paper and reads it, which takes a second or some.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from blocks.ocr.engine import OcrEngine
from tasks.reading.secrecy import secrecy_level
from tests.cases import Case, Otherwise
from tests.cases import sheets as draw
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

CASES = SECRECY
