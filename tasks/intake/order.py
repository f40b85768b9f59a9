"""The order that file names tell (Điều 8.2c; CA06).

The order of a component's pages is the one in which the officer, or the scanner's program, has declared its files.
Names only warn: programs name scans by counters that begin anew, by times, by "1 of 3", by hashes, people by content.
Where nothing but a folder was declared, the names are all that there is, and they give the order.

What a name says is its shape (letters, without digits) and its numbers, dates and times first of all. Only names of one
shape tell an order; names of hashes tell none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

OWN = re.compile(r"\d{4}-\d{1,9}")  # a name that a way in of ours has made: place and what the name before told
HASH = re.compile(r"(?<![0-9a-z])(?=[0-9a-f-]*[a-f])(?=[0-9a-f-]*\d)[0-9a-f]{8}(?:-?[0-9a-f]){4,}(?![0-9a-z])")
COPY = re.compile(r"\s*\((\d{1,4})\)$|\s+-\s+copy(?:\s*\((\d{1,4})\))?$")  # "Scan (2)": the first has no number
PART = re.compile(r"(?<!\d)(\d{1,4})\s*[-_]?\s*(?:of|trên|/)\s*[-_]?\s*\d{1,4}(?!\d)")  # "2 of 3"
CLOCK = r"(?:[-_ .tT]{0,3}([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:m]?([0-5]\d))?(?:[-_.]?(\d{3}))?)?(?!\d)"
YEAR, MONTH, DAY = r"((?:19|20)\d\d)", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
YEAR_FIRST = re.compile(rf"(?<!\d){YEAR}[-_.]?{MONTH}[-_.]?{DAY}{CLOCK}")
DAY_FIRST = re.compile(rf"(?<!\d){DAY}[-_.]?{MONTH}[-_.]?{YEAR}{CLOCK}")  # as in Viet Nam
HIGH, LOW = 0.9, 0.1  # shares of what a counter of so many digits can say: above and below it has begun anew


@dataclass(frozen=True)
class _Told:
    """What a name says. shape: its letters, "" where it tells no order; numbers: its digits in their order."""

    shape: str
    numbers: tuple[int, ...] = ()
    digits: tuple[int, ...] = ()  # how many each has; 0 of one that is no counter


def ranks(names: Sequence[str]) -> list[int]:
    """For each file its place by the names, 1 the first, equal ones alike; all 0 when the names tell no order."""
    stems = [PurePosixPath(name).stem for name in names]
    if stems and all(OWN.fullmatch(stem) for stem in stems):
        return [int(stem.partition("-")[2]) for stem in stems]
    told = [_told(stem) for stem in stems]
    if not told or len({(one.shape, len(one.numbers)) for one in told}) > 1 or not told[0].shape:
        return [0] * len(names)
    keys = _without_wraps(told)
    places = {key: place for place, key in enumerate(sorted(set(keys)), 1)}
    return [places[key] for key in keys]


def sorted_by_name(files: Sequence[tuple[str, float]]) -> list[str]:
    """Names of a folder in which no order was declared. files: (name, time of last change in seconds).

    By what the names tell; where they tell nothing and the times differ, by these; else as a person would list them.
    """
    names = [name for name, _ in sorted(files, key=lambda file: _natural(file[0]))]
    places = ranks(names)
    if any(places):
        return [name for _, name in sorted(zip(places, names, strict=True), key=lambda pair: pair[0])]
    hashed = any(HASH.search(_plain(PurePosixPath(name).stem)) for name in names)
    times = dict(files)
    if hashed and len(set(times.values())) == len(names):
        return sorted(names, key=times.__getitem__)
    return names


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().strip()


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Digits as numbers: 2 before 10."""
    parts = re.findall(r"\d+|\D+", _plain(name))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _told(stem: str) -> _Told:
    text = _plain(stem)
    if HASH.search(text):
        return _Told("")
    if part := PART.search(text):
        rest = text[: part.start()] + "#of" + text[part.end() :]
        return _Told(re.sub(r"\d+", "#", rest), (int(part[1]),), (0,))
    copy = COPY.search(text)
    text, again = (text[: copy.start()], int(copy[1] or copy[2] or 2)) if copy else (text, 1)
    text = DAY_FIRST.sub(_moment, YEAR_FIRST.sub(_moment, text))
    digits = re.findall(r"\d+", text)
    return _Told(re.sub(r"\d+", "#", text), (*map(int, digits), again), (*map(len, digits), 0))


def _moment(match: re.Match[str]) -> str:
    """A date and time as one number that grows with it; what is no day of the calendar stays as it is."""
    first, month, last = match[1], match[2], match[3]
    year, day = (first, last) if len(first) == 4 else (last, first)
    hour, minute, second, part = (match[number] or "0" for number in (4, 5, 6, 7))
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001
    except ValueError:
        return match[0]
    return f"{at:%Y%m%d%H%M%S}{int(part):03d}"


def _without_wraps(told: Sequence[_Told]) -> list[tuple[int, ...]]:
    """The numbers, those after a counter's last (IMG_9999, IMG_0001) made greater than it."""
    columns = []
    for column in range(len(told[0].numbers)):
        numbers, widths = [one.numbers[column] for one in told], {one.digits[column] for one in told}
        most = 10 ** max(widths)
        ends = all(number >= HIGH * most or number < LOW * most for number in numbers)
        wraps = len(widths) == 1 and 3 <= max(widths) <= 5 and ends and max(numbers) >= HIGH * most > min(numbers)
        columns.append([number + most if wraps and number < LOW * most else number for number in numbers])
    return list(zip(*columns, strict=True))
