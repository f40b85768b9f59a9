"""The one suite, as data: what must hold of each component and of each page image.

Code, rule, sentence and remedy are those of the error class, thresholds those of `tasks.capture.limits`: nothing that
capture says is said again here. The columns (`tasks.capture.completeness.facts`) bear the names that the sentences use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blocks.catalog.models import TypeUnknown
from blocks.errors import IntegrityError, SohoaError
from tasks.capture import errors
from tasks.capture.limits import (
    CUT_LETTERS,
    CUT_PAPER,
    CUT_RULES,
    DPI,
    EDGE,
    INK,
    LONG_SIDE,
    SHORT_SIDE,
    SKEW,
    Limit,
)

SHA256 = r"^[0-9a-f]{64}$"


class ComponentNotCaptured(errors.ScanError):
    """What is wrong with its files, capture has said."""

    code, rule = "COMPONENT_NOT_CAPTURED", "CA05"
    message = "Thành phần chưa có bản sao chụp đạt yêu cầu; vui lòng quét lại."


class FileRefused(errors.ScanError):
    code, rule = "FILE_REFUSED", "CA05"
    message = "Có tệp quét bị từ chối; vui lòng quét lại các tệp này."


class FileNotBuilt(errors.ComponentFiles):
    message = "Thành phần chưa có tệp PDF/A; vui lòng quét lại."


class TypeMissing(TypeUnknown):
    message = "Thành phần chưa có mã loại giấy tờ; vui lòng chọn loại giấy tờ."


@dataclass(frozen=True)
class Rule:
    """One expectation.

    error: what a row that breaks it is told as; label: what is checked, as the report says it; kind: class of
    great_expectations.expectations; arguments: its arguments; twins: the columns in which no two rows may agree.
    """

    error: type[SohoaError]
    label: str
    kind: str
    arguments: dict[str, Any]
    twins: tuple[str, ...] = ()

    @property
    def columns(self) -> set[str]:
        """All that it looks at."""
        named = {self.arguments.get(name) for name in ("column", "column_A", "column_B")} - {None}
        return {*named, *self.arguments.get("column_list", ())}


def _between(error: type[SohoaError], label: str, column: str, low: float | None, high: float | None) -> Rule:
    limits = {"column": column, "min_value": low, "max_value": high}
    return Rule(error, label, "ExpectColumnValuesToBeBetween", limits)


def _within(limit: Limit) -> Rule:
    return _between(limit.error, limit.label, limit.measure, limit.low, limit.high)


def _yes(error: type[SohoaError], label: str, column: str) -> Rule:
    return Rule(error, label, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": ["YES"]})


def _hash(label: str, column: str) -> Rule:
    return Rule(IntegrityError, label, "ExpectColumnValuesToMatchRegex", {"column": column, "regex": SHA256})


def _at_least(error: type[SohoaError], label: str, column: str, other: str) -> Rule:
    pair = {"column_A": column, "column_B": other, "or_equal": True, "ignore_row_if": "either_value_is_missing"}
    return Rule(error, label, "ExpectColumnPairValuesAToBeGreaterThanB", pair)


def _unique(error: type[SohoaError], label: str, *columns: str) -> Rule:
    if len(columns) == 1:
        return Rule(error, label, "ExpectColumnValuesToBeUnique", {"column": columns[0]}, columns)
    together = {"column_list": list(columns), "ignore_row_if": "any_value_is_missing"}
    return Rule(error, label, "ExpectCompoundColumnsToBeUnique", together, columns)


# A row that lacks a rule's column passes it: so components and pages stand in one table.
RULES = (
    _yes(ComponentNotCaptured, "Thành phần đã sao chụp đạt yêu cầu", "captured"),
    _yes(TypeMissing, "Có mã loại giấy tờ", "typed"),
    _between(errors.FileMissing, "Có tệp quét", "files", 1, None),
    _between(FileRefused, "Không có tệp bị từ chối", "refused_files", None, 0),
    _at_least(errors.PagesMissing, "Không thiếu ảnh (trang có giấy ghi chú tính hai ảnh)", "found", "expected"),
    _at_least(errors.PagesExtra, "Không thừa ảnh", "expected", "found"),
    _yes(FileNotBuilt, "Mỗi thành phần có một tệp PDF/A", "built"),
    _hash("Tệp có mã băm SHA-256", "file_sha256"),
    _unique(errors.ComponentFiles, "Không hai thành phần dùng chung một tệp", "file_sha256"),
    _within(DPI),
    _yes(errors.PagesSwapped, "Ảnh xếp đúng thứ tự trang", "in_order"),
    _unique(errors.PagesDuplicate, "Không có ảnh trùng trong một thành phần", "component", "image_sha256"),
    _yes(errors.NotePair, "Trang có giấy ghi chú có đủ hai ảnh, có ghi chú trước", "note_pair"),
    _hash("Ảnh có mã băm SHA-256", "image_sha256"),
    *(_within(limit) for limit in (SHORT_SIDE, LONG_SIDE, INK, SKEW, EDGE, CUT_LETTERS, CUT_RULES, CUT_PAPER)),
)
