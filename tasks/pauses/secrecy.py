"""Lãnh đạo xác định giấy tờ nghi có dấu chỉ độ mật (QĐ 1333, Điều 5.4; SC13)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records.states import DocumentState
from tasks.pauses.facts import ordinals
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause


class SecrecyDecision(StrEnum):
    XAC_NHAN_MAT = "XAC_NHAN_MAT"
    KHONG_PHAI_MAT = "KHONG_PHAI_MAT"


class Secrecy(Answer):
    """Lãnh đạo xác định giấy tờ nghi có dấu chỉ độ mật (Điều 5.4)."""

    decision: SecrecyDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: Secrecy) -> list[str]:
    """A paper still waits for it, and that it isn't secret is said in writing."""
    if not ordinals(dossier_id, DocumentState.NGHI_MAT):
        return ["Không còn giấy tờ nào chờ xác định độ mật; vui lòng mở lại trang."]
    if answer.decision is SecrecyDecision.KHONG_PHAI_MAT and not answer.reason.strip():
        return ["Vui lòng ghi bằng văn bản vì sao giấy tờ không phải là giấy tờ mật."]
    return []


def describe(dossier_id: DossierId) -> str:
    """Which paper, never what was read on it: operations read this, too (WH04)."""
    numbers = ", ".join(map(str, ordinals(dossier_id, DocumentState.NGHI_MAT)))
    return (
        "### Nghi có dấu chỉ độ mật (Điều 5.4)\n"
        f"Thành phần {numbers} đã được tạm cách ly: chỉ lãnh đạo đơn vị xem được ảnh, chưa có gì bị xóa. "
        "Xem ảnh, đối chiếu bản giấy rồi chọn **Xác nhận giấy tờ mật** (mọi bản quét bị xóa ngay, không khôi phục "
        "được) hoặc **Không phải giấy tờ mật** và ghi lý do (hồ sơ đi tiếp như thường)."
    )


SECRECY = Pause(
    name="secrecy",
    form=Secrecy,
    role=Role.LEAD,
    label="Xác định giấy tờ có dấu chỉ độ mật",
    choices={
        SecrecyDecision.KHONG_PHAI_MAT: "không phải giấy tờ mật",
        SecrecyDecision.XAC_NHAN_MAT: "xác nhận giấy tờ mật",
    },
    rule="SC13",
    describe=describe,
    check=check,
)
