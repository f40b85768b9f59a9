"""Errors that an officer can act on.

Every refusal carries a stable code and ONE Vietnamese sentence that says what to do. Neither may contain personal
data (WH04): messages name pages, components and counts, never people, numbers or text read from a paper.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


class Remedy(StrEnum):
    """Who can help: decides whether the flow retries, asks for a rescan, or stops."""

    RETRY = "RETRY"  # an outside service failed: back off and try again
    RESCAN = "RESCAN"  # the officer supplies better scans of one component
    OFFICER = "OFFICER"  # the officer decides or corrects what was declared
    ADMINISTRATOR = "ADMINISTRATOR"  # configuration or machine


class Problem(BaseModel):
    """One thing wrong with what was handed in, as the officer reads it. No personal data."""

    code: str
    rule: str = ""
    text: str  # one Vietnamese sentence that says what to do
    remedy: Remedy = Remedy.OFFICER
    component: int | None = None  # ordinal of the component in the dossier, 1-based
    file: int | None = None  # ordinal of the file in the component, 1-based
    page: int | None = None  # page of the paper, 1-based


class SohoaError(Exception):
    """Base of all errors with a code, a rule of law (`blocks.rules.Rule`) and a sentence for the officer.

    code: stable, upper case, e.g. ``PDF_ENCRYPTED``; rule: id of the rule of law, e.g. ``CA09`` (may be empty);
    message: one Vietnamese sentence that says what to do; details: ids, counts and page numbers only.
    """

    code = "ERROR"
    rule = ""
    message = "Hệ thống gặp lỗi; vui lòng báo quản trị viên."
    remedy = Remedy.ADMINISTRATOR

    def __init__(self, message: str | None = None, /, **details: object) -> None:
        self.details = details
        self.text = message or self.message.format(**details)
        super().__init__(f"[{self.code}] {self.text}")

    def problem(self, *, component: int | None = None, file: int | None = None, page: int | None = None) -> Problem:
        """The same as data, for reports and pauses."""
        return Problem(
            code=self.code,
            rule=self.rule,
            text=self.text,
            remedy=self.remedy,
            component=component,
            file=file,
            page=page,
        )


class InvalidTransition(SohoaError):
    """A state change that the state machine (docs/formats.md) does not know (ST01)."""

    code, rule = "INVALID_TRANSITION", "ST01"
    message = (
        "Tình trạng hiện tại của hồ sơ hoặc giấy tờ chưa cho làm bước này; vui lòng thực hiện đúng thứ tự các bước."
    )
    remedy = Remedy.OFFICER


class ObjectConflict(SohoaError):
    """Another content is already stored under a key that is written once (CA08)."""

    code, rule = "OBJECT_CONFLICT", "CA08"
    message = "Tệp đã được lưu với nội dung khác; vui lòng báo quản trị viên kiểm tra sự cố toàn vẹn dữ liệu."


class IntegrityError(SohoaError):
    """Stored bytes differ from their recorded SHA-256 (CA08)."""

    code, rule = "INTEGRITY", "CA08"
    message = "Nội dung tệp không khớp mã băm đã ghi; vui lòng báo quản trị viên và không sử dụng tệp này."
