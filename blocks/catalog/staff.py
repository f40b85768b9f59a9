"""Who is assigned to do what (Điều 6.1), from a file that the office keeps.

``SOHOA_STAFF_FILE`` names it. Without one a test environment uses the list that is shipped for tests and the demo; a
production office has nobody assigned, so that every reception is refused (WH01) instead of being open to all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks.catalog.models import CatalogueInvalid
from blocks.errors import Remedy, SohoaError
from blocks.foreign import ForeignRefused, read_yaml
from blocks.settings import in_production
from blocks.settings.sections import StaffSettings

Grants = Collection[tuple[str, str]]  # (unit, role) pairs
STAFF_LIMIT, STAFF_VALUES = 16_000_000, 2_000_000  # bytes, values: some 30,000 officers
TEST_STAFF = Path(__file__).parent / "data" / "staff-test.yaml"


class OfficerNotAssigned(SohoaError):
    """The officer is neither assigned nor validly delegated for this unit on this day (WH01/02, Điều 6.1)."""

    code, rule = "OFFICER_NOT_ASSIGNED", "WH01"
    message = "Viên chức chưa được phân công hoặc ủy quyền tiếp nhận tại đơn vị này; vui lòng báo lãnh đạo đơn vị."
    remedy = Remedy.OFFICER


class Role(StrEnum):
    RECEIVE = "RECEIVE"  # viên chức TNHS
    RESOLVE = "RESOLVE"  # viên chức giải quyết TTHC
    LEAD = "LEAD"  # lãnh đạo
    SEAL = "SEAL"  # văn thư: ký số cơ quan
    OPERATE = "OPERATE"  # vận hành: sees no paper
    AUDIT = "AUDIT"  # kiểm tra: sees, decides nothing


SEES_PAPERS = (Role.RECEIVE, Role.RESOLVE, Role.LEAD, Role.SEAL, Role.AUDIT)  # WH04


class Assignment(BaseModel):
    """One person's assignment: officer id (never a name), units, roles, days (both included)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    email: str | None = Field(None, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")  # reminders go there, if mail is set up
    units: frozenset[str]
    roles: frozenset[Role]
    valid_from: date
    valid_to: date | None = None
    office: str = ""  # chức vụ, as it stands over the signature: GIÁM ĐỐC, PHÓ GIÁM ĐỐC (NĐ 30/2020)

    @property
    def named(self) -> str:
        return "Phân công"

    def in_time(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    def holds(self, unit: str, role: Role, on: date) -> bool:
        return self.in_time(on) and unit in self.units and role in self.roles


class Delegation(Assignment):
    """Staff of a postal enterprise or others (Điều 6.1b): only by a document, only until a day."""

    delegated_by: str = Field(min_length=1)
    document: str = Field(min_length=1)
    valid_to: date

    @property
    def named(self) -> str:
        return f"Ủy quyền theo văn bản {self.document}"


class Staff(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    staff: tuple[Assignment, ...] = ()
    delegations: tuple[Delegation, ...] = ()

    def assignment(self, officer: str, unit: str, role: Role, on: date) -> Assignment | None:
        """By what somebody holds this role in this unit on this day: an own assignment before a delegation (WH02)."""
        return next((p for p in self._everyone if p.id == officer and p.holds(unit, role, on)), None)

    def may(self, officer: str, unit: str, role: Role, on: date) -> bool:
        return self.assignment(officer, unit, role, on) is not None

    def confirmed(self, officer: str, told: Grants, on: date) -> frozenset[tuple[str, str]]:
        """What an officer holds on a day: of what the identity provider's groups say, that which this list says, too.

        Whoever looks or acts at the desk is asked by this, at each request (WH01, WH02, WH04).
        """
        now = [person for person in self._everyone if person.id == officer and person.in_time(on)]
        listed = {(unit, role.value) for person in now for unit in person.units for role in person.roles}
        return frozenset(told) & listed

    def of(self, officer: str, on: date) -> list[Assignment]:
        """What somebody is assigned to on this day."""
        return [person for person in self._everyone if person.id == officer and person.in_time(on)]

    def out_of_time(self, officer: str, unit: str, roles: Iterable[Role], on: date) -> str | None:
        """A sentence for somebody whose assignment or delegation is over, or has not begun; None: there was none."""
        wanted = frozenset(roles)
        known = [p for p in self._everyone if p.id == officer and unit in p.units and p.roles & wanted]
        if over := [p for p in known if p.valid_to and p.valid_to < on]:
            last = max(over, key=lambda p: p.valid_to or on)
            return f"{last.named} đã hết hiệu lực sau ngày {last.valid_to:%d/%m/%Y}"
        if coming := [p for p in known if on < p.valid_from]:
            first = min(coming, key=lambda p: p.valid_from)
            return f"{first.named} chỉ có hiệu lực từ ngày {first.valid_from:%d/%m/%Y}"
        return None

    @property
    def _everyone(self) -> tuple[Assignment, ...]:
        return (*self.staff, *self.delegations)

    def office(self, officer: str, unit: str, on: date) -> str:
        """The office in which somebody signs results of a unit on a day; "" when none is noted."""
        held = (person for person in self.staff if person.id == officer and person.holds(unit, Role.LEAD, on))
        return next((person.office for person in held if person.office), "")

    def holders(self, role: Role, on: date, unit: str | None = None) -> list[str]:
        """Ids of all who hold this role on this day, in this unit or (None) in any; sorted."""
        return sorted(
            {p.id for p in self._everyone if any(p.holds(place, role, on) for place in ([unit] if unit else p.units))}
        )

    def address(self, officer: str, on: date) -> str | None:
        """E-mail address of an officer who is assigned to something on this day; None: none is known."""
        return next((p.email for p in self._everyone if p.id == officer and p.email and p.in_time(on)), None)


def four_eyes() -> bool:
    """Whether who captured may not confirm the data (WH03). ``SOHOA_FOUR_EYES=false`` is for an office of one."""
    return StaffSettings().four_eyes


def load_staff(path: Path | None = None) -> Staff:
    """The assignments in force, read anew when the file has changed. Raises CatalogueInvalid when it can't be read."""
    named = path or StaffSettings().staff_file
    if named is None:
        if in_production():
            return Staff()
        named = TEST_STAFF
    try:
        found = named.stat()
        return _read(named, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    except (OSError, ValidationError, ForeignRefused) as error:
        raise CatalogueInvalid(entry="SOHOA_STAFF_FILE") from error


@lru_cache(maxsize=8)
def _read(path: Path, _version: tuple[int, ...]) -> Staff:
    """_version: what tells that it is another file, or was written since."""
    return Staff.model_validate(read_yaml(path.read_bytes(), limit=STAFF_LIMIT, values=STAFF_VALUES))
