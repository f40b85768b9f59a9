"""Trích yếu of papers that print none (Điều 9.2g): composed by a rule of their type [R], proposed, never sure.

Điều 9.2g asks for the abstract of every paper; most forms print none. The profile says from which fields it is composed
(`compose`), the first text all of whose fields were found counts. The officer confirms, changes or rejects it.
"""

from __future__ import annotations

import re
from datetime import date

from blocks.records.states import FieldSource
from tasks.extraction.fields import Extracted
from tasks.extraction.profiles import Profile

COMPOSED = "composed"  # the rule of such a field
SURENESS = 0.5  # below every threshold: the paper doesn't say it


def composed(profile: Profile, fields: dict[str, Extracted]) -> Extracted | None:
    """The abstract of a paper on which none was found; None where one was, or too little was read."""
    known = fields.get("abstract")
    if known is not None and known.value:
        return None
    for rule in profile.compose:
        text = rule
        names = re.findall(r"{([\w.]+)}", text)
        values = {name: item.value for name in names if (item := fields.get(name)) and item.value}
        if len(values) == len(set(names)):
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", _spoken(name, value))
            return Extracted("abstract", text, None, SURENESS, rule=COMPOSED, source=FieldSource.OCR)
    return None


def _spoken(name: str, value: str) -> str:
    """Days and amounts as Vietnamese writes them; names of people that a form prints in capitals in lower case."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return f"{date.fromisoformat(value):%d/%m/%Y}"
    if name == "special.amount" and value.isdigit():
        return f"{int(value):,}".replace(",", ".")
    return value.title() if value.isupper() and name.endswith("_name") and name != "organisation_name" else value
