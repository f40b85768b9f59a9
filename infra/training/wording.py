"""Words of the counter, written for this generator: names, places, codes, amounts, dates, labels and phrases of forms.

Everything is drawn by chance; no person, number or address of a real one is meant.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import yaml

_LISTS: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
SURNAMES = _LISTS["surnames"]
MIDDLES = _LISTS["middles"]
GIVEN = _LISTS["given"]
PROVINCES = _LISTS["provinces"]
PLACES = _LISTS["places"]
STREETS = _LISTS["streets"]
AGENCIES = _LISTS["agencies"]
MOTTO = _LISTS["motto"]
TITLES = _LISTS["titles"]
LABELS = _LISTS["labels"]
ENDINGS = _LISTS["endings"]
PHRASES = _LISTS["phrases"]
_UNITS = _LISTS["units"]
_KINDS = _LISTS["kinds"]


def number(r: random.Random, digits: int) -> str:
    return "".join(r.choices("0123456789", k=digits))


def person(r: random.Random) -> str:
    middles = " ".join(r.choices(MIDDLES, k=r.choices((0, 1, 2), (1, 6, 2))[0]))
    name = " ".join(f"{r.choice(SURNAMES)} {middles} {r.choice(GIVEN)}".split())
    return name.upper() if r.random() < 0.35 else name


def address(r: random.Random) -> str:
    parts = [
        r.choice(("Số ", "số nhà ", "", "", "Thôn ", "Tổ ", "Ấp ", "Khu phố ", "Tổ dân phố ")) + str(r.randint(1, 480)),
        r.choice(("", "đường ")) + r.choice(STREETS),
        r.choice(("xã ", "phường ", "thị trấn ", "P. ", "X. ")) + r.choice(PLACES),
        r.choice(("huyện ", "quận ", "TX. ", "thành phố ", "TP ")) + r.choice(PLACES),
        r.choice(("tỉnh ", "tỉnh ", "TP. ", "")) + r.choice(PROVINCES),
    ]
    keep = [p for p in parts[:-1] if r.random() < 0.7] + parts[-1:]
    return r.choice((", ", ", ", " - ")).join(keep)


def date(r: random.Random) -> str:
    day, month, year = r.randint(1, 31), r.randint(1, 12), r.randint(1930, 2031)
    hour, minute = r.randint(0, 23), r.randint(0, 59)
    return r.choice(
        (
            f"{day:02d}/{month:02d}/{year}",
            f"{day}/{month}/{year}",
            f"{day:02d}-{month:02d}-{year}",
            f"{day:02d}.{month:02d}.{year}",
            f"ngày {day:02d} tháng {month:02d} năm {year}",
            f"Ngày {day} tháng {month} năm {year}",
            f"{r.choice(PROVINCES)}, ngày {day:02d} tháng {month:02d} năm {year}",
            f"{month:02d}/{year}",
            f"{hour:02d} giờ {minute:02d} phút, ngày {day:02d}/{month:02d}/{year}",
            f"{hour}h{minute:02d}",
            f"{hour:02d}:{minute:02d}:{r.randint(0, 59):02d}",
        )
    )


def code(r: random.Random) -> str:
    symbol = f"{r.choice(_KINDS)}-{r.choice(_UNITS)}"
    letters = "".join(r.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=2))
    return r.choice(
        (
            f"{r.randint(1, 9999)}/{symbol}",
            f"Số: {r.randint(1, 999):02d}/{symbol}",
            f"{r.randint(1, 400)}/{r.randint(2005, 2027)}/{symbol}",
            f"{r.randint(1, 999)}/{r.choice(_UNITS)}-{r.choice(_UNITS)}",
            "0" + number(r, 11),
            number(r, 10),
            number(r, 9),
            f"{letters}{r.randint(1, 5)}{number(r, 12)}",
            f"{letters} {r.randint(1, 5)} {number(r, 2)} {number(r, 2)} {number(r, 3)} {number(r, 5)}",
            f"0{number(r, 3)}.{number(r, 3)}.{number(r, 3)}",
            f"{r.randint(1, 99):02d}.{number(r, 4)}.{number(r, 6)}",
            f"{r.choice('ABCDEFGHIJKLMNOPQRSTUVZ')}{number(r, 2)}.{r.randint(0, 9)}",
            f"{r.randint(0, 99)}-{number(r, 3)}/{r.randint(2000, 2027)}/{letters}",
            f"{letters.lower()}{number(r, 3)}@{r.choice(('gmail.com', 'vss.gov.vn', 'yahoo.com.vn'))}",
            link(r),
        )
    )


def link(r: random.Random) -> str:
    """An address of the web or of mail: letters in no word's order, signs between them."""

    def part() -> str:
        return "".join(r.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=r.randint(2, 10)))

    site = ".".join(
        [*(part() for _ in range(r.randint(0, 1))), r.choice((part(), "dichvucong", "baohiemxahoi", "vssid"))]
    )
    site += r.choice((".gov.vn", ".vn", ".com.vn", ".com", ".org", ".edu.vn"))
    path = "".join(f"{r.choice('/////-_?=&.')}{part()}" for _ in range(r.randint(0, 4)))
    return r.choice(
        (f"https://{site}{path}", f"http://{site}{path}", f"www.{site}{path}", f"{site}{path}", f"{part()}@{site}")
    )


def diagnosis(r: random.Random) -> str:
    """An illness with its ICD-10 code: the letters that Vietnamese doesn't have (F J W Z) stand here most."""
    codes = [f"{r.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}{number(r, 2)}" + r.choice(("", ".", ".")) for _ in range(2)]
    first, second = (c + number(r, 1) if c.endswith(".") else c for c in codes)
    name = r.choice(PHRASES)
    return r.choice((f"{name} ({first})", f"{first} - {name}", f"({first}) {name}", f"{name} {first}; {second}", first))


def amount(r: random.Random) -> str:
    value = r.randint(1, 10 ** r.randint(2, 9))
    dotted = f"{value:,}".replace(",", r.choice((".", ".", ".", ",", " ")))
    return r.choice(
        (
            dotted,
            f"{dotted} đồng",
            f"{dotted} đ",
            f"{dotted}đ",
            f"{dotted} VNĐ",
            f"{r.randint(0, 100)}%",
            f"{r.randint(0, 99)},{r.randint(0, 99):02d}%",
            f"{r.randint(0, 12)},{r.randint(0, 99):02d}",
            f"{r.randint(1, 99):02d}",
            str(r.randint(0, 19)),
            f"{r.randint(1, 999)} {r.choice(('m²', 'm³', 'km²', 'kg', 'cm', '°C', 'ngày', 'gram', 'mg/ngày'))}",
            f"{r.randint(1, 9)}{r.choice('½¼¾')}",
            f"± {r.randint(1, 9)},{r.randint(0, 9)}",
            f"{r.choice('≤≥<>')} {r.randint(1, 99)}",
            f"€ {r.randint(1, 999)}",
        )
    )


def heading(r: random.Random) -> str:
    return r.choice(
        (
            lambda: r.choice(MOTTO),
            lambda: r.choice(TITLES),
            lambda: f"{r.choice(AGENCIES)} {r.choice(PROVINCES + PLACES).upper()}",
            lambda: f"{r.choice(AGENCIES).capitalize()} {r.choice(PLACES)}",
            lambda: r.choice(ENDINGS),
            lambda: f"Điều {r.randint(1, 99)}. {r.choice(PHRASES)}",
            lambda: (
                f"{r.choice(('I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X'))}. {r.choice(LABELS).upper()}"
            ),
        )
    )()


def _box(r: random.Random) -> str:
    return r.choice("☐☐☑☒□✓") + " " + r.choice(LABELS + PHRASES)


def _clause(r: random.Random) -> str:
    mark = r.choice(
        (
            "- ",
            "– ",
            "+ ",
            "• ",
            "* ",
            f"{r.randint(1, 9)}. ",
            f"{r.choice('abcdđeghik')}) ",
            f"[{r.randint(1, 40):02d}]. ",
        )
    )
    return mark + r.choice(PHRASES)


def value(r: random.Random) -> str:
    makers: tuple[Callable[[random.Random], str], ...] = (person, address, date, code, amount, diagnosis, link)
    return r.choices(makers, (4, 3, 4, 4, 3, 2, 1))[0](r) if r.random() < 0.85 else r.choice(PHRASES)


def field(r: random.Random) -> str:
    """A label with its value, as a form has it."""
    index = r.choice(
        ("", "", "", f"{r.randint(1, 12)}. ", f"[{r.randint(1, 30):02d}]. ", "- ", f"({r.randint(1, 9)}) ")
    )
    label = r.choice(LABELS)
    joint = r.choice((": ", ": ", ": ", " : ", ":", " "))
    return index + (label.upper() if r.random() < 0.06 else label) + joint + value(r)


def phrase(r: random.Random) -> str:
    """One piece of text of an administrative paper or form."""
    makers: tuple[Callable[[random.Random], str], ...] = (field, value, heading, _box, _clause)
    return r.choices(makers, (8, 4, 3, 0.6, 2))[0](r)
