"""Amounts and dates in Vietnamese words: papers print them beside the digits, so that the two prove each other."""

from __future__ import annotations

import re
from datetime import date

from tasks.extraction.letters import fold

_DIGITS = {
    "KHONG": 0, "MOT": 1, "HAI": 2, "BA": 3, "BON": 4, "TU": 4, "NAM": 5, "LAM": 5, "NHAM": 5, "SAU": 6, "BAY": 7,
    "TAM": 8, "CHIN": 9,
}  # fmt: skip
_GROUPS = {"NGHIN": 10**3, "NGAN": 10**3, "TRIEU": 10**6, "TY": 10**9, "TI": 10**9}


def number_of(words: str) -> int | None:
    """`Sáu mươi chín triệu ba trăm nghìn` is 69300000; None when a word is no numeral or groups don't descend."""
    total, group, digit, last = 0, 0, None, 10**12
    found = re.findall(r"[A-Z]+", fold(words))
    for word in found:
        if word in _DIGITS:
            if digit is not None:
                return None
            digit = _DIGITS[word]
        elif word == "MUOI":  # mười: ten, mươi: times ten
            group, digit = group + 10 * (1 if digit is None else digit), None
        elif word == "TRAM" and digit is not None:
            group, digit = group + 100 * digit, None
        elif word in _GROUPS and _GROUPS[word] < last:
            last = _GROUPS[word]
            total, group, digit = total + (group + (digit or 0)) * last, 0, None
        elif word not in ("LINH", "LE"):
            return None
    return total + group + (digit or 0) if found else None


def amount_words(value: str) -> str | None:
    """`Sáu mươi chín triệu ba trăm nghìn đồng chẵn`, in đồng."""
    found = re.match(r"[\s\W]*([A-Z\s,]+?)\s*DONG\b", fold(value))
    number = number_of(found[1]) if found else None
    return str(number) if number else None


def date_words(value: str) -> str | None:
    """`Ngày năm tháng năm năm hai nghìn không trăm hai mươi lăm`: ISO date. `năm` is five and year."""
    found = re.search(r"NGAY\s+(.+?)[\s,]+THANG\s+(.+)", fold(value))
    if not found:
        return None
    for split in re.finditer(r"\bNAM\b", found[2]):
        parts = (found[2][split.end() :], found[2][: split.start()], found[1])
        year, month, day = (number_of(part) or 0 for part in parts)
        if 1880 <= year <= 2100 and 1 <= month <= 12:
            try:
                return date(year, month, day).isoformat()
            except ValueError:
                return None
    return None
