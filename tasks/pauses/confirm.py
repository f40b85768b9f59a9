"""Người sao chụp xác nhận ký số trên điện thoại (QĐ 1333, Điều 8.1; CA01)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records.states import SignatureRole
from tasks.pauses.facts import describe_unconfirmed, signature_tells
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause


class ConfirmDecision(StrEnum):
    DA_XAC_NHAN = "DA_XAC_NHAN"
    TRA_LAI = "TRA_LAI"


class Confirmation(Answer):
    """Người sao chụp xác nhận ký số trên điện thoại (Điều 8.1)."""

    decision: ConfirmDecision = Field(title="Quyết định")


def proven(dossier_id: DossierId, answer: Confirmation) -> bool:
    """The officer's signatures tell that they were confirmed."""
    confirmed = answer.decision is ConfirmDecision.DA_XAC_NHAN
    return confirmed and signature_tells(SignatureRole.OFFICER, dossier_id, answer.officer)


def describe(dossier_id: DossierId) -> str:
    lines = ["### Chờ người sao chụp xác nhận ký số trên điện thoại (Điều 8.1)"]
    lines += describe_unconfirmed(dossier_id, SignatureRole.OFFICER, "Thành phần")
    lines.append(
        "\nNgười sao chụp xác nhận trên ứng dụng ký số; hồ sơ tự đi tiếp trong vòng một phút sau đó. "
        "Yêu cầu đã bị từ chối hoặc hết hạn: chọn **Đã xác nhận** để gửi lại. "
        "Không ký: chọn **Không giải quyết, trả hồ sơ cho người nộp** và nêu lý do bằng văn bản."
    )
    return "\n".join(lines)


CONFIRM = Pause(
    name="confirm",
    form=Confirmation,
    role=Role.RECEIVE,
    label="Xác nhận ký số trên điện thoại",
    choices={
        ConfirmDecision.DA_XAC_NHAN: "đã xác nhận",
        ConfirmDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp",
    },
    rule="CA01",
    describe=describe,
    proven=proven,
    on_phone=SignatureRole.OFFICER,
)
