"""What all forms share: the case they tell of, the paper they become, heads and signature blocks."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from tests.samples import people as pp
from tests.samples.ink import round_stamp, scrawl
from tests.samples.look import Look
from tests.samples.sheet import Sheet

NATION = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
MOTTO = "Độc lập - Tự do - Hạnh phúc"


@dataclass(frozen=True)
class Case:
    """People and dates of one dossier. with_id False: no personal id stands on any paper."""

    rng: random.Random
    person: pp.Person
    spouse: pp.Person
    child: pp.Person
    employer: pp.Employer
    hospital: pp.Hospital
    event: date  # what happened: illness, birth, accident
    with_id: bool = True

    @property
    def day(self) -> date:
        """A day one to three weeks after the event."""
        return self.event + timedelta(days=self.rng.randrange(5, 20))

    def but(self, **changes: object) -> Case:
        return replace(self, **changes)  # type: ignore[arg-type]


def make_case(rng: random.Random, *, with_id: bool = True, mother: bool = False) -> Case:
    event = pp.day_between(rng, date(2024, 2, 1), date(2026, 2, 20))
    person = pp.make_person(
        rng,
        male=False if mother else None,
        born=(date(1986, 1, 1), date(2001, 12, 31)) if mother else (date(1966, 1, 1), date(2003, 12, 31)),
    )
    place = person.address.place
    spouse = pp.make_person(rng, male=not person.male, place=place)
    family = spouse.name.split()[0] if mother else person.name.split()[0]
    child = pp.make_person(rng, born=(event, event), family=family, place=place)
    return Case(rng, person, spouse, child, pp.make_employer(rng, place), pp.make_hospital(rng, place), event, with_id)


@dataclass
class Paper:
    """One paper: its sheets in order and what an officer should read from it.

    fields: name of tasks/extraction/fields.py or special.<name> -> normalised value; None: not on the paper.
    """

    type_code: str
    sheets: list[Sheet]
    fields: dict[str, str | None] = field(default_factory=dict)
    owner: str = "PERSON"  # whose paper it is: PERSON | ORGANISATION


BASE_FIELDS = ("title", "number_symbol", "issue_date", "issuer", "abstract", "valid_until", "scope")


def truth(type_code: str, owner: str = "PERSON", **values: str | date | None) -> dict[str, str | None]:
    """All fields of Điều 9.2 with their values; special fields come as special_<name>."""
    who = (
        ("owner_id", "full_name", "birth_date")
        if owner == "PERSON"
        else ("owner_id", "organisation_name", "founding_year")
    )
    out: dict[str, str | None] = {"type_code": type_code, **dict.fromkeys(who), **dict.fromkeys(BASE_FIELDS)}
    for name, value in values.items():
        key = name.replace("special_", "special.", 1)
        out[key] = value.isoformat() if isinstance(value, date) else value
    return out


def person_fields(
    case: Case, person: pp.Person | None = None, *, id_printed: bool = True, born_printed: bool = True
) -> dict[str, str | None]:
    person = person or case.person
    return {
        "owner_id": person.id if id_printed and case.with_id else None,
        "full_name": person.name,
        "birth_date": person.born.isoformat() if born_printed else None,
    }


def national(sheet: Sheet, x: float, y: float, size: float = 13) -> float:
    """The national title centred on x. Returns the baseline of the motto."""
    sheet.put(x, y, NATION, size - 0.5, bold=True, align="c")
    sheet.put(x, y + size * 0.45, MOTTO, size, bold=True, align="c", underline=1.0)
    return y + size * 0.45


def issuer_head(
    sheet: Sheet, x: float, y: float, parent: str, issuer: list[str], size: float = 12.5, room: float = 80
) -> float:
    """Parent agency, then the ISSUING agency in bold with its rule. Returns the last baseline."""
    if parent:
        sheet.fitted(x, y, parent, size, room, align="c")
        y += size * 0.43
    for n, line in enumerate(issuer):
        last = n == len(issuer) - 1
        sheet.fitted(x, y, line, size, room, bold=True, align="c", underline=0.45 if last else 0.0)
        y += 0 if last else size * 0.43
    return y


def signed(
    sheet: Sheet,
    rng: random.Random,
    x: float,
    y: float,
    *,
    office: list[str],
    name: str = "",
    note: str = "",
    stamp: tuple[str, str] | None = None,
    size: float = 13,
) -> float:
    """A signature block centred on x: office in bold, note, scrawl, stamp on its left, name. Returns the end."""
    for line in office:
        sheet.put(x, y, line, size, bold=True, align="c")
        y += size * 0.45
    if note:
        sheet.put(x, y, note, size - 1, italic=True, align="c")
        y += size * 0.45
    if name:
        scrawl(sheet, rng, x + rng.uniform(-3, 5), y + 9)
        sheet.put(x, y + 23, name, size, bold=True, align="c")
    if stamp:
        round_stamp(sheet, rng, x - rng.uniform(13, 18), y + rng.uniform(6, 9), *stamp)
    return y + 23


def table_rows(rows: list[list[str]], columns: tuple[str, ...]) -> dict[str, str | None]:
    """Truth of a table's rows as fields `special.rows.001.<column>`; a column named "" isn't asked for."""
    out: dict[str, str | None] = {}
    for n, cells in enumerate((row for row in rows if len(row) == len(columns)), 1):
        for column, cell in zip(columns, cells, strict=True):
            if column and cell:
                out[f"special.rows.{n:03d}.{column}"] = _plain_cell(column, cell)
    return out


def _plain_cell(column: str, cell: str) -> str:
    if re.fullmatch(r"\d\d/\d\d/\d{4}", cell):
        return "-".join(reversed(cell.split("/")))
    if re.fullmatch(r"\d\d/\d{4}", cell):
        return "-".join(reversed(cell.split("/")))
    if column == "sex":
        return "Nữ" if cell == "x" else cell
    return cell.replace(".", "") if re.fullmatch(r"\d{1,3}(\.\d{3})+", cell) else cell


def place_date(place: str, day: date) -> str:
    return f"{place}, {pp.spelled(day)}"


def money(value: int) -> str:
    return f"{value:,}".replace(",", ".")


def bare(place: pp.Place) -> str:
    """Name of a province as it stands before a date."""
    return (
        place.province.replace("tỉnh ", "")
        .replace("thành phố Hồ Chí Minh", "TP. Hồ Chí Minh")
        .replace("thành phố ", "")
    )


def blank(look: Look, landscape: bool = False) -> Sheet:
    return Sheet(look, 297, 210) if landscape else Sheet(look)
