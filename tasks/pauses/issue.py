"""Lãnh đạo xác nhận ký số ban hành kết quả trên điện thoại (QĐ 1333, Điều 13.4b; NĐ 30/2020, Điều 13; B4e)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records.states import SignatureRole
from tasks.pauses.facts import describe_pin, describe_unconfirmed, keyholder_of, signature_tells
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause


class IssueDecision(StrEnum):
    """The leader has decided (KY) before: what is left is the confirmation on the phone."""

    DA_XAC_NHAN = "DA_XAC_NHAN"


class Issue(Answer):
    """Lãnh đạo xác nhận ký số ban hành kết quả trên điện thoại (Điều 13.4b; NĐ 30/2020, Điều 13)."""

    decision: IssueDecision = Field(title="Quyết định")


def proven(dossier_id: DossierId, answer: Issue) -> bool:
    """The leader's signatures tell that they were confirmed."""
    return signature_tells(SignatureRole.SIGNER, dossier_id, answer.officer)


def check(dossier_id: DossierId, answer: Issue) -> list[str]:
    """Only the leader who has signed confirms."""
    if proven(dossier_id, answer):
        return []
    if answer.officer != (leader := keyholder_of(dossier_id, SignatureRole.SIGNER)):
        return [f"Văn bản do {leader} ký; vui lòng để người đó xác nhận trên điện thoại của mình."]
    return []


def describe(dossier_id: DossierId) -> str:
    if about_pin := describe_pin(keyholder_of(dossier_id, SignatureRole.SIGNER), False):
        return "\n".join(
            ["### Lãnh đạo ký số ban hành (Điều 13.4b)", "Văn bản kết quả đã có số và ngày.", "", *about_pin]
        )
    lines = ["### Chờ lãnh đạo xác nhận ký số trên điện thoại (Điều 13.4b)"]
    lines += describe_unconfirmed(dossier_id, SignatureRole.SIGNER, "Văn bản kết quả")
    lines.append(
        "\nVăn bản kết quả đã có số và ngày. Người đã cho ký xác nhận trên ứng dụng ký số; hồ sơ tự đi tiếp trong vòng "
        "một phút sau đó. Yêu cầu đã bị từ chối hoặc hết hạn: chọn **Đã xác nhận** để gửi lại."
    )
    return "\n".join(lines)


ISSUE = Pause(
    name="issue",
    form=Issue,
    role=Role.LEAD,
    label="Lãnh đạo xác nhận ký ban hành trên điện thoại",
    choices={IssueDecision.DA_XAC_NHAN: "đã xác nhận"},
    rule="B4e",
    describe=describe,
    check=check,
    proven=proven,
    pin_of=SignatureRole.SIGNER,
    on_phone=SignatureRole.SIGNER,
)
