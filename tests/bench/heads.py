"""Heads of official documents whose number and date a hand wrote into print: genuine ones, and drawn ones.

The genuine ones lie outside the repository (`heads/` of the folder that `--bench` names: first pages, their lower part
blanked, with `truth.json`); without them the bench says so. They are measured, never learned from, and never counted
together with drawn ones. The drawn ones use the strokes of `infra/training/digits`, of seeds that training never uses.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.table import Table

from infra.training.digits.slots import Shapes, written
from tasks.extraction.extract import extract
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.papers import text_of
from tests.samples.forms.base import MOTTO, NATION
from tests.samples.look import FOLDERS, make_look
from tests.samples.scan import Pixels, scan
from tests.samples.sheet import Sheet

TYPE = "LOCAL:VAN-BAN-HANH-CHINH"
FIELDS = {"number_symbol": "numbers", "issue_date": "dates"}
GOAL = 97.0  # % right as proposals
PEN_SIZE = (4.0, 6.5)  # mm
OWN = Shapes(sorted(FOLDERS[0].glob("Tinos-*.ttf")))


@dataclass(frozen=True)
class Head:
    name: str
    pixels: Pixels
    dpi: int
    number_symbol: str | None
    issue_date: str | None


@dataclass
class Count:
    """What became of one kind of value; sure: at or above the threshold."""

    right: int = 0
    empty: int = 0
    wrong: int = 0
    sure: int = 0
    sure_wrong: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return 100 * self.right / max(1, self.right + self.empty + self.wrong)


def genuine_heads(bench: Path) -> Iterator[Head]:
    """bench: the folder with `heads/`. Nothing, where it isn't."""
    folder = bench / "heads"
    if not (folder / "truth.json").is_file():
        return
    for name, fields in sorted(json.loads((folder / "truth.json").read_text("utf-8")).items()):
        with Image.open(folder / f"{name}.jpg") as image:
            dpi = round(image.info["dpi"][0])
            pixels = np.asarray(image.convert("RGB"))
        yield Head(name, pixels, dpi, fields["number_symbol"], fields["issue_date"])


def drawn_heads(count: int, seed: int, *, by_hand: bool = True) -> Iterator[Head]:
    """by_hand: number, day and month written into print; else all in print."""
    for n in range(count):
        more = random.Random(f"head {seed} {n} more")
        arrival = more if more.random() < 0.3 else None
        yield drawn_head(random.Random(f"head {seed} {n}"), f"{n:03d}", by_hand=by_hand, arrival=arrival)


def drawn_head(
    r: random.Random,
    name: str = "",
    *,
    by_hand: bool = True,
    day: date | None = None,
    number: str | None = None,
    arrival: random.Random | None = None,
    signed: date | None = None,
) -> Head:
    """A page with the head of an administrative document and some lines of body, as a scanner delivers it.

    arrival: the stamp of the office that received it stands on it, with that office's number and day.
    signed: day of an electronic signature that the page shows.
    """
    look = make_look(r, r.choice((200, 200, 300)))
    day = day or date(r.randint(2019, 2025), r.randint(1, 12), r.randint(1, 28))
    number = number or (f"{r.randint(1, 99):02d}" if r.random() < 0.5 else str(r.randint(100, 4999)))
    sign = r.choice(("QĐ-UBND", "TB-UBND", "BC-SNV", "QĐ-BHXH", "CT-UBND", "TTr-STC", "UBND-KTTH"))
    sheet = Sheet(look)
    pen = _Pen(r, sheet) if by_hand else None
    sheet.put(55, 22, "ỦY BAN NHÂN DÂN", 12.5, align="c")
    sheet.put(55, 28, f"TỈNH {r.choice(('QUẢNG NAM', 'HÀ GIANG', 'LONG AN', 'BẮC NINH'))}", 12.5, bold=True, align="c")
    _line(sheet, pen, 36, 38, [("Số:", False), (number, True), (f"/{sign}", False)], 13, italic=False)
    sheet.put(142, 22, NATION, 12.5, bold=True, align="c")
    sheet.put(142, 28, MOTTO, 13, bold=True, align="c", underline=1.0)
    place = f"{r.choice(('Tam Kỳ', 'Hà Giang', 'Tân An', 'Bắc Ninh'))}, ngày"
    parts = [(place, False), (f"{day.day:02d}", True), ("tháng", False), (_month(r, day.month), True)]
    _line(sheet, pen, 112, 38, [*parts, (f"năm {day.year}", False)], 13, italic=True)
    sheet.put(105, 56, "THÔNG BÁO", 14, bold=True, align="c")
    sheet.put(105, 63, "Về việc thực hiện chính sách bảo hiểm xã hội trên địa bàn tỉnh", 13.5, bold=True, align="c")
    body = (
        "Căn cứ Luật Bảo hiểm xã hội ngày 29 tháng 6 năm 2024; theo đề nghị của Giám đốc Sở Nội vụ tại Tờ trình số 15."
    )
    sheet.para(28, 78, 160, body, 13.5)
    if arrival:
        _arrival(sheet, arrival)
    if signed:
        sheet.put(130, 10, f"Thời gian ký: {signed:%d.%m.%Y} 09:12:44 +07:00", 9)
    return Head(name, scan(sheet.image, look, 1), look.dpi, f"{number}/{sign}", day.isoformat())


ARRIVALS = ("CÔNG VĂN ĐẾN", "ĐẾN", "VĂN BẢN ĐẾN", "BẢO HIỂM XÃ HỘI TỈNH")


def _arrival(sheet: Sheet, r: random.Random) -> None:
    """The stamp of who received the paper: its number and day are not the paper's."""
    x, y = r.choice(((18, 46), (18, 46), (20, 66), (150, 46), (150, 66))), r.uniform(-2, 3)
    left, top, colour = (
        x[0] + r.uniform(-2, 4),
        x[1] + y,
        r.choice(((200, 30, 40), (90, 60, 170), (30, 60, 170), (40, 40, 40))),
    )
    pen, wide = _Pen(r, sheet), 48
    pen.size = sheet.px(r.uniform(3.2, 4.5))
    sheet.draw.rectangle(
        [sheet.px(left), sheet.px(top), sheet.px(left + wide), sheet.px(top + 22)], outline=colour, width=2
    )
    number, day = str(r.randint(100, 9999)), date(2025, r.randint(1, 12), r.randint(1, 28))
    sheet.put(left + wide / 2, top + 5, r.choice(ARRIVALS), 10, bold=True, align="c", colour=colour, record=False)
    end = sheet.put(left + 2, top + 12, "Số:", 11, colour=colour, record=False)
    pen.write(end + 1, top + 12, number)
    if r.random() < 0.5:
        sheet.put(left + 26, top + 12, "/" + r.choice(("VP", "ĐẾN", "CV")), 11, colour=colour, record=False)
    end = sheet.put(left + 2, top + 19, "Ngày:" if r.random() < 0.7 else "Ngày", 11, colour=colour, record=False)
    if r.random() < 0.6:
        pen.write(end + 1, top + 19, f"{day.day:02d}")
        end = sheet.put(end + 9, top + 19, "/", 11, colour=colour, record=False)
        pen.write(end + 1, top + 19, f"{day.month:02d}")
        sheet.put(end + 9, top + 19, f"/{day.year}", 11, colour=colour, record=False)
    else:
        pen.write(end + 0.5, top + 19, f"{day.day:02d}")
        end = sheet.put(end + 6.5, top + 19, "tháng", 9, colour=colour, record=False)
        pen.write(end + 0.5, top + 19, f"{day.month:02d}")
        sheet.put(end + 6.5, top + 19, f"năm {day.year}", 9, colour=colour, record=False)


def _month(r: random.Random, month: int) -> str:
    """With a nought only where the rule asks for it, or always."""
    return f"{month:02d}" if month < 3 or r.random() < 0.5 else str(month)


class _Pen:
    """One hand with one pen."""

    def __init__(self, r: random.Random, sheet: Sheet) -> None:
        self.r, self.sheet = r, sheet
        self.size = sheet.px(r.uniform(*PEN_SIZE)) / 1.0
        self.colour = np.array(r.choice(((20, 30, 120), (30, 30, 40), (40, 60, 160))), np.float32)

    def write(self, x: float, y: float, text: str) -> float:
        """From x mm on, about the base line y mm; returns where it ends."""
        large = written(self.r, text, OWN, 90)
        factor = self.size / 90
        ink = cv2.resize(large, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        left, top = self.sheet.px(x), self.sheet.px(y) - round(ink.shape[0] * self.r.uniform(0.85, 1.0))
        box = (left, top, left + ink.shape[1], top + ink.shape[0])
        part = np.asarray(self.sheet.image.crop(box), np.float32)
        share = ink[..., None].astype(np.float32) / 255
        mixed = part * (1 - share) + np.minimum(part, self.colour) * share
        self.sheet.image.paste(Image.fromarray(mixed.astype(np.uint8)), box[:2])
        return x + ink.shape[1] * 25.4 / self.sheet.look.dpi


def _line(
    sheet: Sheet, pen: _Pen | None, x: float, y: float, parts: Iterable[tuple[str, bool]], size: float, *, italic: bool
) -> None:
    """parts: text, and whether a hand writes it where there is one."""
    for text, by_hand in parts:
        if by_hand and pen:
            x = pen.write(x + pen.r.uniform(0.2, 1.5), y, text) + pen.r.uniform(0.2, 1.5)
        else:
            gap = "" if text.startswith("/") else " "
            sheet.put(x, y, text, size, italic=italic)
            x += sheet.measure(text + gap, size, italic=italic)


def judge(heads: Iterable[Head], cache: Path) -> dict[str, Count]:
    """What extraction makes of number and date of each head that has one."""
    counts = {name: Count() for name in FIELDS}
    for head in heads:
        found = extract([(1, text_of(head.pixels, head.dpi, cache))], TYPE).fields
        for name, count in counts.items():
            wanted = getattr(head, name)
            if wanted is None:
                continue
            item = found[name]
            good, sure = item.value == wanted, item.confidence >= CONFIDENCE_THRESHOLD and item.value is not None
            count.right += good
            count.empty += item.value is None
            count.wrong += not good and item.value is not None
            count.sure += sure
            count.sure_wrong += sure and not good
            if not good:
                count.faults.append(f"{'SURE ' if sure else ''}{head.name} {name}: {wanted!r} read as {item.value!r}")
    return counts


def table(title: str, counts: dict[str, Count]) -> Table:
    out = Table(title=title, caption=f"sure: confidence at or above {CONFIDENCE_THRESHOLD}")
    for column in ("", "right", "empty", "wrong", "right %", "sure", "wrong sure"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, item in counts.items():
        figures = (item.right, item.empty, item.wrong, f"{item.share:.1f}", item.sure, item.sure_wrong)
        out.add_row(FIELDS[name], *map(str, figures))
    return out


def goals(what: str, counts: dict[str, Count]) -> list[tuple[str, str, str, bool]]:
    """Rows for the bench's table: each kind right as a proposal, none wrong above the threshold."""
    rows = []
    for name, item in counts.items():
        told = f"{item.right} of {item.right + item.empty + item.wrong}"
        rows.append((f"{FIELDS[name]} of {what}", f"≥ {GOAL:g} %", told, item.share >= GOAL))
    wrong = sum(item.sure_wrong for item in counts.values())
    rows.append((f"wrong among sure, {what}", "none", str(wrong), not wrong))
    return rows
