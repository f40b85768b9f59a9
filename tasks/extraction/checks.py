"""Identifiers checked against the other fields: they confirm each other, or an officer must look."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from tasks.extraction.fields import Extracted

_ROW = re.compile(r"special\.rows\.(\d+)\.")
AGREE, DOUBT = 0.4, 0.6  # the doubt left when two fields agree; the confidence left when they don't
AGREE_ID = 0.9  # three of the twelve digits of a personal id are checked, no more


def century_and_sex(person_id: str) -> tuple[int, str]:
    """First year of the century and sex that digit 4 of a personal id tells (0/1: 1900s male/female, 2/3: 2000s …)."""
    digit = int(person_id[3])
    return 1900 + 100 * (digit // 2), "Nam" if digit % 2 == 0 else "Nữ"


def id_fits_birth(person_id: str, birth: str) -> bool:
    """Whether digits 4–6 of the id tell the year of birth."""
    century, _ = century_and_sex(person_id)
    return str(century + int(person_id[4:6])) == birth[:4]


def cross_check(fields: dict[str, Extracted]) -> dict[str, Extracted]:
    """Raise or lower confidences by what the fields say about each other. Values are never changed."""
    result = dict(fields)
    _person(result, "owner_id", "birth_date", "special.sex")
    for name in sorted(name for name in result if re.fullmatch(r"special\.rows\.\d+\.person_id", name)):
        row = name.removesuffix("person_id")
        _person(result, name, f"{row}birth_date", f"{row}sex")
    for name in ("owner_id", "special.tax_code"):
        code = _value(result, name)
        if code and re.fullmatch(r"\d{10}(-\d{3})?", code):  # warned of, not refused (docs/formats.md)
            _weigh(result, (name,), tax_code_holds(code), "check-digit")
    card, number = _value(result, "special.health_card"), _value(result, "special.bhxh_number")
    if card and number and len(number) == 10:
        _weigh(result, ("special.health_card", "special.bhxh_number"), card.endswith(number), "card-bhxh")
    for first, last in (("special.leave_from", "special.leave_to"), ("special.admitted_on", "special.discharged_on")):
        start, end = _value(result, first), _value(result, last)
        if start and end and start > end:
            _weigh(result, (first, last), False, "order")
    people, rows = _value(result, "special.people"), [found for name in result if (found := _ROW.match(name))]
    if people and rows:
        _weigh(result, ("special.people",), int(people) == max(int(row[1]) for row in rows), "rows")
    days = _value(result, "special.leave_days")
    start, end = _value(result, "special.leave_from"), _value(result, "special.leave_to")
    if days and start and end:
        _weigh(
            result,
            ("special.leave_days", "special.leave_from", "special.leave_to"),
            _span(start, end) == int(days),
            "days",
        )
    return result


def _person(fields: dict[str, Extracted], number: str, born: str, sex: str) -> None:
    """A personal id beside birth and sex of the same person."""
    value = _value(fields, number)
    if value and len(value) == 12:
        if birth := _value(fields, born):
            _weigh(fields, (number, born), id_fits_birth(value, birth), "id-birth")
        if told := _value(fields, sex):
            _weigh(fields, (number, sex), century_and_sex(value)[1] == told, "id-sex")


def _span(start: str, end: str) -> int:
    return (date.fromisoformat(end) - date.fromisoformat(start)).days + 1


def _value(fields: dict[str, Extracted], name: str) -> str | None:
    item = fields.get(name)
    return item.value if item else None


def _weigh(fields: dict[str, Extracted], names: tuple[str, ...], agree: bool, rule: str) -> None:
    for name in names:
        fields[name] = weighed(
            fields[name], agree, rule, AGREE_ID if name.endswith(("owner_id", "person_id")) else AGREE
        )


def weighed(item: Extracted, agree: bool, rule: str, doubt_left: float = AGREE) -> Extracted:
    """The field with what a check says of it: surer, or to be looked at."""
    sure = 1 - (1 - item.confidence) * doubt_left if agree else item.confidence * DOUBT
    return replace(item, confidence=round(sure, 4), rule=f"{item.rule};{'+' if agree else '!'}{rule}")


def tax_code_holds(code: str) -> bool:
    """Whether the check digit of a tax code (10 or 10-3 digits) fits: 10 less the weighted sum modulo 11."""
    total = sum(w * int(d) for w, d in zip((31, 29, 23, 19, 17, 13, 7, 5, 3), code[:9], strict=True))
    return 10 - total % 11 == int(code[9])
