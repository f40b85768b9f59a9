"""Dates as Vietnamese papers print them. A date with a blank in it is no date; nothing is guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from tasks.extraction.letters import fold

_GAP = r"[\s.:,…_]*"
_WORDS = re.compile(  # in text without marks: OCR confuses them most
    rf"NGAY{_GAP}(?:\(DAY\))?{_GAP}(?P<d>\d\s?\d?){_GAP}"
    rf"T?H?ANG{_GAP}(?:\(MONTH\))?{_GAP}(?P<m>\d\s?\d?){_GAP}"
    rf"NAM{_GAP}(?:\(YEAR\))?{_GAP}(?P<y>\d\s?\d\s?\d\s?\d)(?!\d)"
)
_NUMBERS = re.compile(r"(?<![\d/])(?P<d>\d{1,2})\s?[/.\-]\s?(?P<m>\d{1,2})\s?[/.\-]\s?(?P<y>\d{4})(?![\d/])")
# In a form the dots of the fill-in line may be read between the digits of the year.
_DOTTED = re.compile(r"(?<![\d/])(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>[12][.,]?\d[.,]?\d[.,]?\d)(?![\d/])")
_ISO = re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?!\d)")


@dataclass(frozen=True)
class FoundDate:
    value: date
    printed: str
    start: int
    end: int


def find_dates(text: str) -> list[FoundDate]:
    """Every complete date in a line, in the order printed: `ngày 5 tháng 4 năm 2020`, `05/04/2020`, `5-4-2020`."""
    found: list[FoundDate] = []
    folded = fold(text)
    for pattern in (_WORDS, _NUMBERS, _DOTTED, _ISO):
        for match in pattern.finditer(folded):
            day, month, year = (int(re.sub(r"[\s.,]", "", match[g])) for g in "dmy")
            if any(match.start() < f.end and f.start < match.end() for f in found) or not 1880 <= year <= 2100:
                continue
            try:
                found.append(
                    FoundDate(date(year, month, day), text[match.start() : match.end()], match.start(), match.end())
                )
            except ValueError:
                continue
    return sorted(found, key=lambda f: f.start)


def normalise_date(text: str) -> str | None:
    """ISO date of the only date in the text; None when there is none or more than one."""
    dates = {f.value for f in find_dates(text)}
    return dates.pop().isoformat() if len(dates) == 1 else None
