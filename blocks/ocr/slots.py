"""Places in the lines of a page where hands write numbers into print: each is cut out and read a second time.

In genuine Vietnamese documents the number (`Số: 574/UBND-KTTH`), the day and the month of the date are nearly always
written by hand. What the reader of digits makes of them is kept beside the line; the line's own text stays as it was
read. Which of the two counts is for extraction to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz import fuzz

from blocks.ocr import geometry
from blocks.ocr.digits import DigitReader, together
from blocks.ocr.order import rows
from blocks.ocr.readers import RawLine, positions_of
from blocks.ocr.types import Box, Slot

ROOM = 0.35  # above and below the line, of its height: hands write larger than print
LETTER = 0.12  # half a letter, of the line's height
WIDER = 0.08  # by so much of its height the second cut is wider at each end
SURELY_PRINT = 0.2  # probability of handwriting below which one look is enough, and no hint is given
RED, STAMPED = 160, 0.02  # shade of red ink; share of it in a slot from which a stamp lies over it
DAYS = tuple(str(n) for n in range(1, 32)) + tuple(f"0{n}" for n in range(1, 10))
MONTHS = tuple(str(n) for n in range(1, 13)) + tuple(f"0{n}" for n in range(1, 10))
# In text without marks. The number begins a line, whatever follows it; a date may stand anywhere. What a hand wrote is
# often read as signs: a 1 as a slash or a bracket.
_START = r"\W{0,2}S(?:[O06]|[^\w\s:]{1,2})\s*[:.;,]?"
_NUMBER = re.compile(_START + r"\s*(?P<slot>.{0,16}?)\s*(?=/\s?(?:[A-Z]{2}|(?:19|20)\d\d\s?/))")
_HIDDEN = re.compile(
    _START + r"\s*(?P<slot>.{1,12}?)\s*(?=[A-Z]{1,5}\s?[\-:]\s?[A-Z]{2,6}\W*$)"
)  # a hand covers the slash
_ALONE = re.compile(r"\W{0,2}S[O06]\s*[:;]\s*(?P<slot>\d[\d\s]{0,9})$")
_DAY = re.compile(r"(?:NG.[YV]|N.AY)\s*(?:\(DAY\))?")
_MONTH = re.compile(r"\s*\(MONTH\)")
_YEAR = re.compile(r"N.{1,2}M(?=\W{0,3}[12]|\s*\(YEAR)|[A-Z]{2,4}(?=\W{0,3}[12][\dOQ]{3})")
THANG, ALIKE = "THANG", 60  # how alike a misread one is
_WORD = re.compile(r"[A-Z]{4}")  # not what a hand writes there, however it is read
_AMONG = {"day": DAYS, "month": MONTHS}


@dataclass(frozen=True)
class _Letter:
    """One character of a row: in which line it stands, where in its text, and its middle on the page."""

    line: int
    at: int
    x: float


def read_slots(
    reader: DigitReader, page: geometry.Upright, lines: Sequence[RawLine], red: geometry.Upright | None
) -> list[RawLine]:
    """The lines of an upright page with what the reader of digits makes of their slots.

    red: red ink of the same page, black on white, where it has a stamp.
    """
    result = list(lines)
    for row in rows([_core(line) for line in lines]):
        text, letters = _row(lines, row)
        for kind, start, end in _places(text, letters):
            parts = _parts(letters, text, start, end)
            hint = re.sub(r"\s", "", text[start:end])
            slot = _read(reader, page, red, kind, _box(lines, letters, text, start, end), hint)
            slot = replace(slot, split=len(parts) > 1)
            for number, first, last in parts:
                line = result[number]
                result[number] = replace(line, slots=(*line.slots, replace(slot, start=first, end=last)))
                slot = replace(slot, text="")  # a slot over several lines: all of it is read in the first
    return result


def _core(line: RawLine) -> Box:
    """The box of a line without its ends: where a hand wrote, boxes of one row run over each other."""
    (x0, y0), (x1, y1) = line.polygon.min(0).tolist(), line.polygon.max(0).tolist()
    edge = min(0.4 * (y1 - y0), 0.3 * (x1 - x0))
    return x0 + edge, y0, x1 - edge, y1


def _read(
    reader: DigitReader, page: geometry.Upright, red: geometry.Upright | None, kind: str, box: Box, hint: str
) -> Slot:
    """What stands in a box of the upright page. Where there is no room to look, nobody knows who wrote it."""
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(page.width), box[2]), min(float(page.height), box[3])
    (left, top), (right, bottom) = (
        page.back(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])).round(1)[[0, 2]].tolist()
    )
    at = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    if x1 - x0 < 4 or y1 - y0 < 8:
        return Slot(kind, 0, 0, at, "", 0.0, 0.0, 1.0)
    first = reader.look(page.view((x0, y0, x1, y1)).pixels)
    if first is None or first.handwritten < SURELY_PRINT:
        read = together([first] if first else [], 1, _AMONG.get(kind, ()))
    else:
        more = [reader.look(page.view(cut).pixels) for cut in _cuts((x0, y0, x1, y1), page)]
        read = together([look for look in (first, *more) if look], 1 + len(more), _AMONG.get(kind, ()), hint)
    over = red is not None and float((red.view((x0, y0, x1, y1)).pixels < RED).mean()) > STAMPED
    return Slot(
        kind,
        0,
        0,
        at,
        read.text,
        probability=round(read.probability, 4),
        weakest=round(min(read.each, default=1.0), 4),
        handwritten=round(read.handwritten, 4),
        stamped=over,
        others=read.others,
    )


def _cuts(box: Box, page: geometry.Upright) -> list[Box]:
    """Other ways to cut a slot out: wider, and lower. Where letters end isn't known to the pixel."""
    x0, y0, x1, y1 = box
    side, room = WIDER * (y1 - y0), ROOM / (1 + 2 * ROOM) * (y1 - y0)
    wider = (max(0.0, x0 - side), y0, min(float(page.width), x1 + side), y1)
    return [wider, (x0, y0 + 0.5 * room, x1, y1 - 0.5 * room)]


def _row(lines: Sequence[RawLine], row: Sequence[int]) -> tuple[str, list[_Letter]]:
    """The lines of a row as one text without marks, a space between, and where each of its characters stands."""
    text, letters = "", []
    for number in row:
        line = lines[number]
        left, right = float(line.polygon[:, 0].min()), float(line.polygon[:, 0].max())
        if text:
            text += " "
            letters.append(_Letter(number, 0, left))
        text += fold(line.text)
        letters += [_Letter(number, at, left + (right - left) * x) for at, x in enumerate(positions_of(line))]
    return text, letters


def fold(text: str) -> str:
    """Upper case without marks, character by character."""
    return "".join(unicodedata.normalize("NFD", c.upper().replace("Đ", "D"))[:1] or c for c in text)


def _places(text: str, letters: Sequence[_Letter]) -> list[tuple[str, int, int]]:
    """Kind, start and end of each slot of a row."""
    found = []
    for number in dict.fromkeys(letter.line for letter in letters):
        inside = [i for i, letter in enumerate(letters) if letter.line == number and text[i] != " "]
        if not inside:
            continue
        own = text[: inside[-1] + 1]
        match = _NUMBER.match(text, inside[0]) or _HIDDEN.match(own, inside[0]) or _ALONE.match(own, inside[0])
        if match and not _WORD.search(match["slot"]):  # `Số người: …`
            found.append(("number", *match.span("slot")))
            break
    for day in _DAY.finditer(text):
        year = _YEAR.search(text, day.end(), day.end() + 60)
        middle = _month_word(text, day.end(), year.start()) if year else None
        if not year or not middle:
            continue
        parts = (day.end(), middle[0]), (middle[1], _before_year(text, year))
        if not any(end - start > 24 or _WORD.search(text[start:end]) for start, end in parts):
            found += [("day", *parts[0]), ("month", *parts[1])]
    return [(kind, *_tight(text, start, end)) for kind, start, end in found]


def _month_word(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where `tháng` stands, however it was read; behind it, `(month)`."""
    windows = [(at, at + n) for n in (5, 4, 6, 3) for at in range(start, end - n + 1)]
    windows = [(a, b) for a, b in windows if text[a:b].isalpha()]
    scored = [(fuzz.ratio(text[a:b], THANG), -a, (a, b)) for a, b in windows]
    score, _, (first, last) = max(scored, default=(0.0, 0, (0, 0)))
    if score < ALIKE:
        return None
    while last - first < len(THANG) and first > start and text[first - 1].isalpha():
        first -= 1
    english = _MONTH.match(text, last)
    return first, english.end() if english else last


def _before_year(text: str, year: re.Match[str]) -> int:
    """Where `năm` begins: three letters before the year, whatever was read for them."""
    return max(year.start(), year.end() - 3) if text[year.start()] != "N" else year.start()


def _tight(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] == " ":
        start += 1
    while end > start and text[end - 1] == " ":
        end -= 1
    return start, end


def _box(lines: Sequence[RawLine], letters: Sequence[_Letter], text: str, start: int, end: int) -> Box:
    """From the letter before a slot to the one behind it, with room above and below."""
    before = max(i for i in range(start) if text[i] != " ")
    after = min((i for i in range(end, len(text)) if text[i] != " "), default=None)
    touched = {letters[i].line for i in (before, *range(start, end), *([after] if after is not None else []))}
    top = min(float(lines[i].polygon[:, 1].min()) for i in touched)
    bottom = max(float(lines[i].polygon[:, 1].max()) for i in touched)
    height = min(bottom - top, 1.5 * min(float(np.ptp(lines[i].polygon[:, 1])) for i in touched))
    left = letters[before].x + LETTER * height
    right = letters[after].x - LETTER * height if after is not None else letters[end - 1].x + 2 * height
    return left, top - ROOM * height, right, bottom + ROOM * height


def _parts(letters: Sequence[_Letter], text: str, start: int, end: int) -> list[tuple[int, int, int]]:
    """The lines that a slot lies in, each with start and end of its part; an empty one follows the letter before."""
    if start == end:
        before = letters[max(i for i in range(start) if text[i] != " ")]
        return [(before.line, before.at + 1, before.at + 1)]
    parts: list[tuple[int, int, int]] = []
    for letter in letters[start:end]:
        if parts and parts[-1][0] == letter.line:
            parts[-1] = (letter.line, parts[-1][1], letter.at + 1)
        else:
            parts.append((letter.line, letter.at, letter.at + 1))
    return parts


def on_line(line: RawLine) -> tuple[Slot, ...]:
    """The slots of a raw line by the characters of its text as words with one space between."""
    if unicodedata.normalize("NFC", line.text) != line.text:
        return ()
    return tuple(replace(s, start=_spaced(line.text, s.start), end=_spaced(line.text, s.end)) for s in line.slots)


def _spaced(text: str, at: int) -> int:
    before = text[:at]
    parts = before.split()
    return len(" ".join(parts)) + bool(parts and before[-1].isspace())
