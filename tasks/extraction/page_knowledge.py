"""What the pages of a paper know about a number and a date that a hand wrote into it.

The reader of digits gives several readings of each place. Which of them counts is told by the others: a day exists in
its month, no paper is of tomorrow or of a time after its electronic signature, what a paper cites is older, and its
annexes print its number once more (`Kèm theo Quyết định số 574/QĐ-UBND ngày 04/01/2021`). A reading that the reader of
digits didn't see is never made up; what stays is a proposal as before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import product

from blocks.ocr.types import Line, PageText, Slot
from tasks.extraction.dates import find_dates
from tasks.extraction.letters import fold
from tasks.extraction.written import PRINT

SEEN = 0.05  # probability below which a reading isn't chosen, whatever speaks for it
MISREAD = 0.5  # share of what can't be that counts as another digit that nobody saw
AGAIN = 20.0  # so much likelier is what the pages print once more
SIGNED = timedelta(days=10)  # so long before its signature a paper is dated, hardly ever longer
LIKELY, UNLIKELY = 5.0, 0.2  # weights of what is usual and of what hardly ever is
_At = tuple[int, int]  # numbers of a line of the first page and of a slot in it
_YEAR = re.compile(r"\W{0,3}N.M\W{0,3}((?:19|20)\d\d)(?!\d)")
_PLACED = re.compile(r"(?:^|[,.;]\s*)NG.Y\W*$")
_SIGNATURE = re.compile(r"(?:THOI GIAN|NGAY|THOI DIEM) KY|SIGNED? (?:ON|DATE|TIME)|DATE\s?:")
_CITES = re.compile(r"^\W{0,3}(?:CAN CU|THUC HIEN|THEO|XET) ")
_ANNEX = re.compile(r"KEM THEO.{0,60}?\bSO\s*:?\s*(?P<number>\d{1,6})\s?/\s?(?P<symbol>[A-Z0-9/\-]*)")


@dataclass(frozen=True)
class _Known:
    """today: no paper is of a later day; signed: day of its electronic signature, where it is printed; cited: days of
    papers that this one is founded on; numbers, dates: its own, as its annexes print them."""

    today: date
    signed: date | None
    cited: tuple[date, ...]
    numbers: frozenset[str]
    dates: frozenset[date]


def resolved(pages: Sequence[tuple[int, PageText]], today: date) -> list[tuple[int, PageText]]:
    """The pages with the readings that fit each other in the slots of the first one."""
    if not pages or not any(by_hand(slot) for line in pages[0][1].lines for slot in line.slots):
        return list(pages)
    number, first = pages[0]
    known = _known(pages, today)
    lines = list(first.lines)
    for day, month, year, placed in _dates(lines):
        _settle_date(lines, day, month, partial(_weight, year, known if placed else None))
    for at in _slots(lines, "number"):
        _settle(lines, at, lambda text: AGAIN if text in known.numbers else 1.0)
    return [(number, replace(first, lines=tuple(lines))), *pages[1:]]


def by_hand(slot: Slot) -> bool:
    return slot.handwritten >= PRINT and bool(slot.text)


def readings(slot: Slot) -> list[tuple[str, float]]:
    """What may stand in a slot, with probabilities, the likeliest first."""
    seen = [(text, chance) for text, chance in slot.others if chance >= SEEN] if by_hand(slot) else []
    return [(slot.text, slot.probability), *seen]


def _known(pages: Sequence[tuple[int, PageText]], today: date) -> _Known:
    signed: date | None = None
    cited: list[date] = []
    numbers: set[str] = set()
    dates: set[date] = set()
    for at, (_, page) in enumerate(pages):
        before = ""
        for line in page.lines:
            folded, found = fold(line.text), [item.value for item in find_dates(line.text)]
            if found and (_SIGNATURE.search(folded) or (_SIGNATURE.search(before) and len(folded) < 40)):
                signed = min(filter(None, (signed, *found)))
            elif _CITES.match(folded) and not any(map(by_hand, line.slots)):
                cited += found
            if at and (annex := _ANNEX.search(folded)):
                numbers.add(annex["number"])
                dates.update(found)
            before = folded
    return _Known(today, signed, tuple(cited), frozenset(numbers), frozenset(dates))


def _slots(lines: Sequence[Line], kind: str) -> Iterator[_At]:
    """Those of a kind, but for the empty parts of one that lies in several lines."""
    for n, line in enumerate(lines):
        for m, slot in enumerate(line.slots):
            if slot.kind == kind and slot.text:
                yield n, m


def _slot(lines: Sequence[Line], at: _At) -> Slot:
    return lines[at[0]].slots[at[1]]


def _dates(lines: Sequence[Line]) -> list[tuple[_At, _At, int, bool]]:
    """Day, month and printed year of each date in the lines, and whether a place stands before it, as at issue."""
    found = []
    months = list(_slots(lines, "month"))
    for day in _slots(lines, "day"):
        month = next((at for at in months if at[0] >= day[0] and at != day), None)
        if month is None or month[0] > day[0] + 2:
            continue
        behind = " ".join(line.text for line in lines[month[0] + 1 :][:2])
        year = _YEAR.match(fold(lines[month[0]].text[_slot(lines, month).end :] + behind))
        if year:
            lead = fold(lines[day[0]].text[: _slot(lines, day).start])
            found.append((day, month, int(year[1]), bool(_PLACED.search(lead))))
    return found


def _settle_date(lines: list[Line], day: _At, month: _At, weight: Callable[[str, str], float]) -> None:
    """The likeliest pair of day and month that can be; where none can, one was misread, and nothing is proposed."""
    pairs = product(readings(_slot(lines, day)), readings(_slot(lines, month)))
    chances = {(d, m): p * q * weight(m, d) for (d, p), (m, q) in pairs}
    if any(chances.values()):
        best_day, best_month = max(chances, key=lambda pair: chances[pair])
        _settle(lines, day, lambda text: weight(best_month, text))
        _settle(lines, month, lambda text: weight(text, best_day))
        return
    for at in (day, month):
        slot = _slot(lines, at)
        if by_hand(slot):
            _put(lines, at, replace(slot, probability=0.0, others=()))


def _settle(lines: list[Line], at: _At, weight: Callable[[str], float]) -> None:
    """Put the likeliest reading into its slot, if a hand wrote there, with what probability is left for it.

    weight: what speaks for a reading besides its look; 0: it can't be.
    """
    slot = _slot(lines, at)
    seen = readings(slot)
    weights = {text: weight(text) for text, _ in seen}
    usual = min(1.0, max(weights.values())) or 1.0  # what speaks against all of them tells none from the others
    chances = {text: chance * weights[text] / usual for text, chance in seen}
    text = max(chances, key=lambda text: chances[text])
    if not by_hand(slot) or not chances[text]:
        return
    impossible = sum(chance for text, chance in seen if not chances[text])
    rest = max(0.0, 1 - sum(chance for _, chance in seen))
    whole = sum(chances.values()) + rest + MISREAD * impossible
    others = tuple((other, round(chance / whole, 4)) for other, chance in chances.items() if other != text)
    _put(lines, at, replace(slot, text=text, probability=round(chances[text] / whole, 4), others=others))


def _put(lines: list[Line], at: _At, slot: Slot) -> None:
    slots = list(lines[at[0]].slots)
    slots[at[1]] = slot
    lines[at[0]] = replace(lines[at[0]], slots=tuple(slots))


def _weight(year: int, known: _Known | None, month: str, day: str) -> float:
    """How well a day fits what the pages know; 0: it can't be. known: of the day of issue."""
    try:
        value = date(year, int(month), int(day))
    except ValueError:
        return 0.0
    if known is None:
        return 1.0
    if value > known.today or (known.signed and value > known.signed):
        return 0.0
    weight = AGAIN if value in known.dates else 1.0
    if known.signed:
        weight *= LIKELY if known.signed - value <= SIGNED else UNLIKELY
    return weight * (UNLIKELY if any(value < cited for cited in known.cited) else 1.0)
