"""A person's name that the paper prints once more, as under a signature, is read twice.

Where the two differ in marks only, it is one person and one of the readings is wrong: the better one stands, and the
officer must look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasks.extraction.checks import DOUBT
from tasks.extraction.fields import Extracted
from tasks.extraction.found import whole
from tasks.extraction.layout import Page
from tasks.extraction.letters import fold
from tasks.extraction.normalise import name


def namesakes(fields: dict[str, Extracted], pages: Sequence[Page]) -> dict[str, Extracted]:
    """Fields of kind `name` with what the same letters elsewhere on the paper say of them."""
    again = [(fold(value), value, reading) for value, reading in _names(pages)]
    out = dict(fields)
    for field, item in fields.items():
        if item.kind != "name" or not item.value or " " not in item.value:
            continue
        same = [(reading, value) for letters, value, reading in again if letters == fold(item.value)]
        other = [(reading, value) for reading, value in same if value.casefold() != item.value.casefold()]
        if not other:
            continue
        reading, value = max(other)
        better = reading > item.reading
        out[field] = replace(
            item,
            value=_in_case(value, item.value) if better else item.value,
            confidence=round(item.confidence * DOUBT, 4),
            rule=f"{item.rule};!namesake",
        )
    return out


def _names(pages: Sequence[Page]) -> Iterator[tuple[str, float]]:
    """Lines that hold nothing but what may be a name."""
    for page in pages:
        for row in page.rows:
            for part in row.parts:
                value = name(part.text) if ":" not in part.text else None
                if value and " " in value and not row.red:
                    yield value, whole([part], "").reading


def _in_case(value: str, printed: str) -> str:
    """The value in upper and lower case as printed; both of the same letters but for their marks."""
    return "".join(v.upper() if p.isupper() else v.lower() for v, p in zip(value, printed, strict=True))
