"""Ý kiến của đơn vị, cơ quan được hỏi (QĐ 352; QĐ 1333, Điều 13.4a; B4a)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause


class ConsultationDecision(StrEnum):
    DA_CO_Y_KIEN = "DA_CO_Y_KIEN"
    TRA_LAI = "TRA_LAI"


class Consultation(Answer):
    """Ý kiến của đơn vị, cơ quan được hỏi (QĐ 352: chờ ý kiến)."""

    decision: ConsultationDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: Consultation) -> list[str]:
    """The opinion itself is written down."""
    if answer.decision is ConsultationDecision.DA_CO_Y_KIEN and not answer.reason.strip():
        return ["Vui lòng ghi nội dung ý kiến nhận được, của ai, văn bản nào."]
    return []


def describe(dossier_id: DossierId) -> str:
    """The question itself stays in the records: it may name people."""
    return (
        "### Chờ ý kiến\n"
        "Hồ sơ đã gửi xin ý kiến; câu hỏi nằm trong quyết định đã lưu. "
        "Khi có ý kiến, chọn **Đã có ý kiến** và ghi nội dung; hồ sơ trở lại bước xác nhận dữ liệu. "
        "Hoặc chọn **Không giải quyết, trả hồ sơ cho người nộp** và nêu lý do bằng văn bản."
    )


CONSULT = Pause(
    name="consult",
    form=Consultation,
    role=Role.RESOLVE,
    label="Xin ý kiến",
    choices={
        ConsultationDecision.DA_CO_Y_KIEN: "đã có ý kiến",
        ConsultationDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp",
    },
    rule="B4a",
    describe=describe,
    check=check,
    words_of=("verification",),
)
