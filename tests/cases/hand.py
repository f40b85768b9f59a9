"""Papers on which a hand wrote: numbers and days in printed heads, stamps of arrival, forms filled in with a pen."""

from __future__ import annotations

import random
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText
from tasks.extraction.extract import extract
from tasks.extraction.fields import Extracted
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.heads import TYPE, Head, drawn_head
from tests.cases import Case, Otherwise
from tests.samples.forms.base import national
from tests.samples.ink import scribble
from tests.samples.look import make_look
from tests.samples.scan import scan
from tests.samples.sheet import Sheet

DAY, NUMBER, SEED = date(2024, 8, 25), "637", "written 1"


@lru_cache
def _engine() -> OcrEngine:
    return OcrEngine()


def _fields(page: PageText, kind: str = TYPE) -> dict[str, Extracted]:
    return extract([(1, page)], kind).fields


def _read(head: Head) -> dict[str, Extracted]:
    return _fields(_engine().read(head.pixels, head.dpi))


def _own(found: dict[str, Extracted], head: Head) -> str:
    """Number and day are the paper's or empty; by hand, they are never sure."""
    told = []
    for name, wanted in (("number_symbol", head.number_symbol), ("issue_date", head.issue_date)):
        item = found[name]
        if item.value not in (wanted, None):
            raise Otherwise(f"{name} is {item.value}, not {wanted}")
        if item.value and item.confidence >= CONFIDENCE_THRESHOLD:
            raise Otherwise(f"{name}, written by hand, is sure")
        told.append(f"{name} {item.value or 'empty'}")
    return ", ".join(told)


def _written(folder: Path) -> str:
    head = drawn_head(random.Random(SEED), day=DAY, number=NUMBER)
    found = _read(head)
    if not found["number_symbol"].value or not found["issue_date"].value:
        raise Otherwise("left empty")
    return f"proposed: {_own(found, head)}"


def _arrived(folder: Path) -> str:
    head = drawn_head(random.Random(SEED), day=DAY, number=NUMBER, arrival=random.Random(3))
    return _own(_read(head), head)


def _signed(folder: Path) -> str:
    """The day that was written is later than the electronic signature: it was misread."""
    head = drawn_head(random.Random(SEED), day=DAY, number=NUMBER, signed=DAY - timedelta(days=5))
    found = _read(head)["issue_date"]
    if found.value and found.value > (DAY - timedelta(days=5)).isoformat():
        raise Otherwise(f"dated {found.value}, after its signature")
    return f"issue_date {found.value or 'empty'}"


def _pen(folder: Path) -> str:
    """A form whose name nobody can read."""
    rng = random.Random("pen")
    look = make_look(rng, 200)
    sheet = Sheet(look)
    national(sheet, 105, 28)
    sheet.put(105, 48, "ĐƠN ĐỀ NGHỊ", 15, bold=True, align="c")
    for n, label in enumerate(("1. Họ và tên:", "2. Ngày, tháng, năm sinh:", "3. Mã số BHXH:", "6. Số điện thoại:")):
        end = sheet.put(24, 70 + 9 * n, label, 13)
        scribble(sheet, rng, end + 3, 70 + 9 * n, 60)
    sheet.para(24, 120, 160, "Tôi xin cam đoan những nội dung kê khai trên đây là đúng sự thật.", 13)
    found = _fields(_engine().read(scan(sheet.image, look, 1), look.dpi), "LOCAL:14-HSB")
    for name in ("full_name", "birth_date", "special.bhxh_number", "special.phone"):
        item = found[name]
        if item.value and item.confidence >= CONFIDENCE_THRESHOLD:
            raise Otherwise(f"{name} is sure")
        if not item.box:
            raise Otherwise(f"{name} has no place on the page")
    return "the place of each field is shown, nothing is read for sure"


def _boxes(folder: Path) -> str:
    """Identity and BHXH number, one digit a box."""
    look = make_look(random.Random("boxes"), 200).but(fill="Arimo", hand=True)
    sheet, numbers = Sheet(look), {"owner_id": "048068917294", "special.bhxh_number": "4179620318"}
    national(sheet, 105, 28)
    sheet.put(105, 48, "TỜ KHAI THAM GIA, ĐIỀU CHỈNH THÔNG TIN", 14, bold=True, align="c")
    for n, (label, digits) in enumerate(
        zip(("[06]. Số CCCD/ĐDCN:", "[13]. Mã số BHXH:"), numbers.values(), strict=True)
    ):
        x = sheet.put(24, 70 + 15 * n, label, 12) + 4
        for digit in digits:
            sheet.box(x, 65 + 15 * n, 6, 7)
            sheet.put(x + 3, 70 + 15 * n, digit, 12, family="Arimo", align="c")
            x += 6
    found = _fields(_engine().read(scan(sheet.image, look, 1), look.dpi), "LOCAL:TK1-TS")
    for name, wanted in numbers.items():
        if found[name].value != wanted:
            raise Otherwise(f"{name} is {found[name].value}, not {wanted}")
        if found[name].confidence >= CONFIDENCE_THRESHOLD:
            raise Otherwise(f"{name} is sure")
    return "both numbers are proposed, neither is sure"


CASES = [
    Case("letter whose number and day a hand wrote", "both are proposed and neither is sure", _written),
    Case("letter with the stamp of who received it", "the stamp's number and day are never the letter's", _arrived),
    Case("letter dated after its electronic signature", "no day after the signature is proposed", _signed),
    Case("form filled in with a pen", "the officer sees each field's place; nothing is sure", _pen),
    Case("form with a box for each digit", "both numbers are proposed, neither is sure", _boxes),
]
