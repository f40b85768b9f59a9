"""The dated catalogue as data: what a procedure asks for, what a paper is, how long a record is kept.

Every entry says where it comes from (`source`) and when it applies. A code that no authority has published begins with
``LOCAL:`` and carries ``local: true``; neither may stand without the other.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from blocks.errors import Remedy, SohoaError

LOCAL = "LOCAL:"
FOREVER = "forever"  # retention of whatever has no known class: never deleted (LU06)
PROCEDURE_CODE = r"^(\d\.\d{6}(\.[0-9A-Z.]+)?|LOCAL:[0-9A-Z\-]+)$"  # national code with an optional local suffix
RESULT_CODE = r"^(KQ\.[0-9A-Z]+\.\d{6}|LOCAL:[0-9A-Z.\-]+)$"
TYPE_CODE = r"^(LOCAL:)?[0-9A-Z.\-]+$"


class ProcedureUnknown(SohoaError):
    """No published procedure of this code applies at the date (P10, QĐ 352 Điều 20.3)."""

    code, rule = "PROCEDURE_UNKNOWN", "P10"
    message = "Không có thủ tục {procedure} đang áp dụng trong danh mục; vui lòng kiểm tra lại mã thủ tục hành chính."
    remedy = Remedy.OFFICER


class TypeUnknown(SohoaError):
    """No document type of this code applies at the date (EXa)."""

    code, rule = "TYPE_UNKNOWN", "EXa"
    message = "Không có loại giấy tờ {type} trong danh mục; vui lòng chọn lại mã loại giấy tờ."
    remedy = Remedy.OFFICER


class ResultUnknown(SohoaError):
    """No result of this code applies at the date (CO02)."""

    code, rule = "RESULT_UNKNOWN", "CO02"
    message = "Không có mã kết quả {result} trong danh mục; vui lòng báo quản trị viên cập nhật danh mục."


class CalendarUnknown(SohoaError):
    """The holidays of a year are not in the catalogue, so a due date would be a guess."""

    code, rule = "CALENDAR_UNKNOWN", "P10"
    message = (
        "Chưa có lịch nghỉ lễ, tết năm {year} trong danh mục; vui lòng báo quản trị viên cập nhật để tính ngày hẹn."
    )


class CatalogueInvalid(SohoaError):
    """The YAML of the catalogue contradicts itself; details name the entry."""

    code = "CATALOGUE_INVALID"
    message = "Danh mục có lỗi ở mục {entry}; vui lòng báo quản trị viên sửa tệp danh mục."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dated(_Strict):
    """An entry that applies from valid_from to valid_to, both included; valid_to None: still applies."""

    valid_from: date
    valid_to: date | None = None
    source: str = Field(min_length=3)
    note: str = ""

    def applies(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to before valid_from")
        return self


class Coded(Dated):
    code: str
    name: str = Field(min_length=2)
    local: bool = False  # not published: this project's code, to be replaced


class Published(Coded):
    """An entry whose code is either published or marked as this project's own."""

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.code.startswith(LOCAL) != self.local:
            raise ValueError("LOCAL: codes and local: true go together")
        return self


class ComponentGroup(_Strict):
    """One thing the procedure asks for; one paper of any_of fulfils it."""

    name: str
    any_of: tuple[str, ...] = Field(min_length=1)
    required: bool = True
    when: str = ""  # for what is not always required: when it is


class Procedure(Published):
    """Thủ tục hành chính (QĐ 352, Điều 18)."""

    code: str = Field(pattern=PROCEDURE_CODE)
    working_days: int = Field(ge=1, le=120)
    working_days_local: bool = False  # the number of days is the office's own, not from a source
    department: str
    components: tuple[ComponentGroup, ...] = Field(min_length=1)
    results: tuple[str, ...] = Field(min_length=1)

    def missing(self, type_codes: list[str]) -> list[ComponentGroup]:
        """The required groups that no paper fulfils (B3a). A paper fulfils one group only."""
        left = list(type_codes)
        lacking = []
        for group in self.components:
            paper = next((code for code in left if code in group.any_of), None)
            if paper is not None:
                left.remove(paper)
            elif group.required:
                lacking.append(group)
        return lacking


class PaperOwner(StrEnum):
    PERSON = "PERSON"
    ORGANISATION = "ORGANISATION"
    EITHER = "EITHER"


# What describes the owner of a paper (Điều 9.2b).
OwnerField = Literal["owner_id", "full_name", "birth_date", "organisation_name", "founding_year"]


class DocumentType(Coded):
    """Loại giấy tờ (Điều 9.2a)."""

    code: str = Field(pattern=TYPE_CODE)
    number: bool  # normally carries a number and symbol
    date: bool  # normally carries a date
    issuer: bool  # normally names an issuing agency
    owner: PaperOwner
    lacks: frozenset[OwnerField] = frozenset()  # a paper of this type never prints them: nobody is asked for them
    relative: bool = False  # about a relative of who hands it in: a child, the deceased
    retention: str
    prior_result: bool = False  # result of an earlier procedure (SC01)
    result_code: str | None = None  # BHXH's own results: decides the form of the code (Điều 10.2)
    digitise_by_law: bool = False  # SC02
    show_only: bool = False  # SC12
    consultation: bool = False  # SC06

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.code.startswith(LOCAL) != self.local:
            raise ValueError("LOCAL: codes and local: true go together")
        if self.result_code and not self.prior_result:
            raise ValueError("result_code needs prior_result")
        return self

    @property
    def absent(self) -> frozenset[str]:
        """Fields of Điều 9.2 that a paper of this type can't have."""
        flags = {"number_symbol": self.number, "issue_date": self.date, "issuer": self.issuer}
        return self.lacks | {name for name, carried in flags.items() if not carried}


class IssuingBody(Dated):
    """Who may sign electronic originals (Điều 4.1). identifier: in its certificate; types: what it issues, ∅: all."""

    identifier: str = Field(min_length=5)
    name: str = Field(min_length=2)
    types: frozenset[str] = frozenset()


class IssuedForm(_Strict):
    """How a result that is an administrative document is written (NĐ 30/2020, phụ lục I). Texts are the office's own.

    In `articles` stand {owner}, {dossier} (its code) and {received} (the day of reception), in `recipients` {last}, the
    number of the last article.
    """

    type_code: str  # document type of the issued document
    title: str  # tên loại: QUYẾT ĐỊNH, THÔNG BÁO …
    abbreviation: str = Field(pattern=r"^[A-ZĐa-z]{1,10}$")  # of the title in the symbol: QĐ, TB
    abstract: str  # trích yếu
    bases: tuple[str, ...] = ()  # căn cứ ban hành
    articles: tuple[str, ...] = Field(min_length=1)
    recipients: tuple[str, ...] = Field(min_length=1)  # nơi nhận


class Result(Published):
    """Kết quả giải quyết TTHC (Điều 10.2, QĐ 2268/QĐ-BHXH)."""

    code: str = Field(pattern=RESULT_CODE)
    retention: str
    issued: IssuedForm | None = None  # None: a book, a card, or a form of specialised law: not issued by this system


class Retention(Coded):
    """Thời hạn lưu trữ; years None: for ever."""

    years: int | None = Field(ge=1, le=100)


class DigitiseList(Dated):
    """Danh mục giấy tờ cần số hóa (Điều 4.1c), one version."""

    version: str
    local: bool = False
    types: frozenset[str]


class HolidayYear(_Strict):
    year: int
    announced: bool
    days_off: dict[date, str]
    weekend_workdays: frozenset[date] = frozenset()

    @field_validator("days_off")
    @classmethod
    def _not_empty(cls, value: dict[date, str]) -> dict[date, str]:
        if len(value) < 10:
            raise ValueError("Điều 112 names more days off than these")
        return value

    @model_validator(mode="after")
    def _same_year(self) -> Self:
        if any(day.year != self.year for day in (*self.days_off, *self.weekend_workdays)):
            raise ValueError(f"a day outside {self.year}")
        return self


class Holidays(_Strict):
    source: str
    years: tuple[HolidayYear, ...]

    def is_working_day(self, day: date) -> bool:
        """Whether the office works. Raises CalendarUnknown for a year without data."""
        year = next((y for y in self.years if y.year == day.year), None)
        if year is None:
            raise CalendarUnknown(year=day.year)
        if day in year.weekend_workdays:
            return True
        return day.weekday() < 5 and day not in year.days_off

    def add_working_days(self, start: date, days: int) -> date:
        """The day on which `days` whole working days after `start` have passed; start itself does not count."""
        day = start
        while days > 0:
            day += timedelta(days=1)
            days -= self.is_working_day(day)
        return day

    def working_days_left(self, today: date, due: date) -> int:
        """Working days after `today` up to and with `due`; 0 on the day itself, below zero when it has passed."""
        early, late = sorted((today, due))
        between = sum(self.is_working_day(early + timedelta(days=n)) for n in range(1, (late - early).days + 1))
        return between if due >= today else -between
