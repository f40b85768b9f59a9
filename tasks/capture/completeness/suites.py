"""The two suites as data: what must hold of each component and of each page image, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blocks.errors import Remedy
from tasks.capture.facts import MAX_SIDE_MM, MIN_DPI, MIN_SIDE_MM
from tasks.capture.quality import BLANK_INK_MM2, MAX_EDGE_MM, MAX_SKEW_DEGREES, MIN_CUT_LETTERS, MIN_CUT_RULES

SHA256 = r"^[0-9a-f]{64}$"


@dataclass(frozen=True)
class Rule:
    """One expectation. kind: class of great_expectations.expectations; arguments: its arguments; label: what is
    checked, as an officer reads it; code and text: the problem when it fails; remedy: who can help."""

    kind: str
    arguments: dict[str, Any]
    rule: str
    label: str
    code: str
    text: str
    remedy: Remedy = Remedy.RESCAN


def _between(column: str, low: float | None, high: float | None, rule: str, label: str, code: str, text: str) -> Rule:
    limits = {"column": column, "min_value": low, "max_value": high}
    return Rule("ExpectColumnValuesToBeBetween", limits, rule, label, code, text)


def _yes(column: str, rule: str, label: str, code: str, text: str, wanted: str = "YES") -> Rule:
    return Rule("ExpectColumnValuesToBeInSet", {"column": column, "value_set": [wanted]}, rule, label, code, text)


COMPONENTS = (
    _yes(
        "captured",
        "CA05",
        "Thành phần đã sao chụp đạt yêu cầu",
        "COMPONENT_NOT_CAPTURED",
        "Thành phần chưa có bản sao chụp đạt yêu cầu; vui lòng quét lại.",
    ),
    Rule(
        "ExpectColumnValuesToNotBeNull",
        {"column": "type_code"},
        "EXa",
        "Có mã loại giấy tờ",
        "TYPE_UNKNOWN",
        "Thành phần chưa có mã loại giấy tờ; vui lòng chọn loại giấy tờ.",
        Remedy.OFFICER,
    ),
    _between(
        "files",
        1,
        None,
        "CA06",
        "Có tệp quét",
        "FILE_MISSING",
        "Thành phần chưa có tệp quét nào; vui lòng quét và gửi lại.",
    ),
    _between(
        "refused_files",
        0,
        0,
        "CA05",
        "Không có tệp bị từ chối",
        "FILE_REFUSED",
        "Có tệp quét bị từ chối; vui lòng quét lại các tệp này.",
    ),
    Rule(
        "ExpectColumnPairValuesToBeEqual",
        {"column_A": "images", "column_B": "expected_images"},
        "CA06",
        "Số ảnh bằng số trang (trang có giấy ghi chú tính hai ảnh)",
        "PAGES_MISSING",
        "Số ảnh không bằng số trang đã khai; vui lòng quét đủ các trang.",
    ),
    _between(
        "scan_dpi",
        MIN_DPI,
        None,
        "CA09",
        "Độ phân giải máy quét từ 200 dpi",
        "DPI_LOW",
        "Độ phân giải máy quét thấp hơn 200 dpi; vui lòng quét lại ở 200 dpi trở lên.",
    ),
    Rule(
        "ExpectColumnValuesToNotBeNull",
        {"column": "file_sha256"},
        "CA10",
        "Mỗi thành phần có một tệp PDF/A",
        "COMPONENT_FILES",
        "Thành phần chưa có tệp PDF/A; vui lòng quét lại.",
    ),
    Rule(
        "ExpectColumnValuesToMatchRegex",
        {"column": "file_sha256", "regex": SHA256},
        "CA08",
        "Tệp có mã băm SHA-256",
        "INTEGRITY",
        "Tệp không có mã băm hợp lệ; vui lòng báo quản trị viên.",
        Remedy.ADMINISTRATOR,
    ),
    Rule(
        "ExpectColumnValuesToBeUnique",
        {"column": "file_sha256"},
        "CA10",
        "Không hai thành phần dùng chung một tệp",
        "COMPONENT_FILES",
        "Hai thành phần dùng chung một tệp; vui lòng quét riêng từng thành phần.",
    ),
)

PAGES = (
    _yes(
        "in_order",
        "CA06",
        "Ảnh xếp đúng thứ tự trang",
        "PAGES_SWAPPED",
        "Thứ tự trang không đúng; vui lòng quét lại theo đúng thứ tự.",
    ),
    Rule(
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": ["component", "image_sha256"]},
        "CA06",
        "Không có ảnh trùng trong một thành phần",
        "PAGES_DUPLICATE",
        "Có ảnh trùng nhau; vui lòng bỏ bản trùng và quét trang còn thiếu.",
    ),
    _yes(
        "note_pair",
        "CA07",
        "Trang có giấy ghi chú có đủ hai ảnh, có ghi chú trước",
        "NOTE_PAIR",
        "Trang có giấy ghi chú chưa đủ hai ảnh; vui lòng quét lại cả hai.",
    ),
    Rule(
        "ExpectColumnValuesToMatchRegex",
        {"column": "image_sha256", "regex": SHA256},
        "CA08",
        "Ảnh có mã băm SHA-256",
        "INTEGRITY",
        "Ảnh không có mã băm hợp lệ; vui lòng báo quản trị viên.",
        Remedy.ADMINISTRATOR,
    ),
    _between(
        "dpi",
        MIN_DPI,
        None,
        "CA09",
        "Ảnh từ 200 dpi",
        "DPI_LOW",
        "Độ phân giải của ảnh thấp hơn 200 dpi; vui lòng quét lại ở 200 dpi trở lên.",
    ),
    _between(
        "short_mm",
        MIN_SIDE_MM,
        MAX_SIDE_MM,
        "CA09",
        "Cạnh ngắn của giấy hợp lý",
        "DPI_METADATA",
        "Khổ giấy không hợp lý so với độ phân giải; vui lòng kiểm tra cấu hình máy quét.",
    ),
    _between(
        "long_mm",
        MIN_SIDE_MM,
        MAX_SIDE_MM,
        "CA09",
        "Cạnh dài của giấy hợp lý",
        "DPI_METADATA",
        "Khổ giấy không hợp lý so với độ phân giải; vui lòng kiểm tra cấu hình máy quét.",
    ),
    _between(
        "ink_mm2",
        BLANK_INK_MM2,
        None,
        "CA05",
        "Trang không trắng",
        "PAGE_BLANK",
        "Trang quét trắng; vui lòng kiểm tra mặt giấy rồi quét lại trang này.",
    ),
    _between(
        "skew",
        0,
        MAX_SKEW_DEGREES,
        "CA05",
        "Trang không nghiêng quá 3 độ",
        "PAGE_SKEWED",
        "Trang quét bị nghiêng; vui lòng đặt giấy ngay ngắn và quét lại.",
    ),
    _between(
        "edge_mm",
        0,
        MAX_EDGE_MM,
        "CA05",
        "Chữ không mờ, nhòe",
        "PAGE_BLURRED",
        "Trang quét bị mờ, nhòe; vui lòng lau kính máy quét và quét lại trang này.",
    ),
    _between(
        "cut_letters",
        0,
        MIN_CUT_LETTERS - 1,
        "CA05",
        "Chữ không bị cắt ở mép",
        "PAGE_CROPPED",
        "Trang quét bị cắt mất nội dung ở mép; vui lòng quét lại trọn trang.",
    ),
    _between(
        "cut_rules",
        0,
        MIN_CUT_RULES - 1,
        "CA05",
        "Bảng biểu không bị cắt ở mép",
        "PAGE_CROPPED",
        "Trang quét bị cắt mất bảng biểu ở mép; vui lòng quét lại trọn trang.",
    ),
    _yes(
        "cut_paper",
        "CA05",
        "Khổ giấy trọn vẹn",
        "PAGE_CROPPED",
        "Trang quét bị cắt mất một phần khổ giấy; vui lòng quét lại trọn trang.",
        wanted="NO",
    ),
)
