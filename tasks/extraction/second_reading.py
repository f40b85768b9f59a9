"""A number of a form that a hand wrote, where the reader of lines makes no value of it, or another one.

The reader of digits has read the place, too (`blocks/ocr/hand_numbers.py`). What it says is proposed if it has the
field's form and is likely enough; it is never sure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blocks.ocr.types import Box, Written
from tasks.extraction.dates import normalise_date
from tasks.extraction.layout import Page
from tasks.extraction.normalise import KINDS, birth

SECOND = "digits"  # in the rule of a value that the reader of digits proposes
PROPOSED = {  # probability of a value from which it is proposed, by kind; other kinds aren't
    "person_id": 0.65,
    "identity_paper": 0.65,
    "bhxh_number": 0.65,
    "bhxh_or_card": 0.65,
    "tax_code": 0.65,
    "phone": 0.65,
    "money": 0.65,
    "date": 0.3,  # of the digits read only those of a day that exists count
    "birth": 0.3,
}
# The slash between day, month and year is often read as a 1: 1510111998 is 15/01/1998.
_DATE = re.compile(r"(\d{2})1?(\d{2})1?((?:19|20)\d{2})")


@dataclass(frozen=True)
class Second:
    value: str
    probability: float
    box: Box


def second_reading(page: Page, place: Box, kind: str) -> Second | None:
    """The likeliest value of this kind that a hand wrote in a place of a page; None: none is likely enough."""
    if kind not in PROPOSED:
        return None
    found = [(value, chance, w.box) for w in page.written if _within(w, place) for value, chance in _values(w, kind)]
    value, chance, box = max(found, key=lambda item: item[1], default=("", 0.0, place))
    return Second(value, chance, box) if chance >= PROPOSED[kind] else None


def _values(written: Written, kind: str) -> list[tuple[str, float]]:
    """Values of the kind with their probabilities: those of all texts that mean the same."""
    chances: dict[str, float] = {}
    for text, chance in written.texts:
        if (value := _value(text, kind)) is not None:
            chances[value] = chances.get(value, 0.0) + chance
    return list(chances.items())


def _value(text: str, kind: str) -> str | None:
    if kind not in ("date", "birth"):
        return KINDS[kind](text)
    parts = _DATE.fullmatch(text)
    return (birth if kind == "birth" else normalise_date)("/".join(parts.groups())) if parts else None


def _within(written: Written, place: Box) -> bool:
    """Whether it stands there: a hand that wrote above or below the line included."""
    x, y = (written.box[0] + written.box[2]) / 2, (written.box[1] + written.box[3]) / 2
    room = 0.25 * (place[3] - place[1])
    return place[0] <= x <= place[2] and place[1] - room <= y <= place[3] + room
