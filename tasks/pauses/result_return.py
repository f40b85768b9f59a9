"""Trả kết quả giải quyết TTHC (QĐ 1333, Điều 13.5, 15.1; B5a, B5b, CT03): who handed it over, how, and to whom.

A result is returned when somebody has done it. Until then the public reads that there is a result.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import get_dossier
from tasks.pauses.form import Answer, Text
from tasks.pauses.registry import Pause

A_YEAR = 365


class ReturnDecision(StrEnum):
    DA_TRA = "DA_TRA"


class ReturnWay(StrEnum):
    TAI_KHOAN = "TAI_KHOAN"
    TRUC_TIEP = "TRUC_TIEP"
    BUU_CHINH = "BUU_CHINH"
    THU_DIEN_TU = "THU_DIEN_TU"  # Điều 15.1: in the time of transition alone


class ResultReturn(Answer):
    """Viên chức bộ phận một cửa ghi nhận việc trả kết quả (Điều 13.5)."""

    decision: ReturnDecision = Field(title="Quyết định")
    way: ReturnWay = Field(title="Hình thức trả")
    receiver: Text = Field("", title="Người nhận", max_length=200)
    identity_checked: bool = Field(False, title="Đã kiểm tra giấy tờ tùy thân (hoặc giấy ủy quyền) của người nhận")
    reference: Text = Field("", title="Số hiệu bưu gửi, mã xác nhận của Cổng hoặc địa chỉ thư đã gửi", max_length=200)


def check(dossier_id: DossierId, answer: ResultReturn) -> list[str]:
    """Each way is told by what proves it."""
    if answer.way is ReturnWay.TRUC_TIEP:
        faults = [] if answer.receiver.strip() else ["Vui lòng ghi họ tên người nhận kết quả."]
        if not answer.identity_checked:
            faults.append("Vui lòng kiểm tra giấy tờ tùy thân hoặc giấy ủy quyền của người nhận, rồi đánh dấu.")
        return faults
    if answer.way is ReturnWay.THU_DIEN_TU:
        with RecordsDatabase.get().session() as session:
            if not get_dossier(session, dossier_id).transitional:
                return ["Chỉ hồ sơ trong thời gian chuyển tiếp mới được trả kết quả qua thư điện tử (Điều 15)."]
    if answer.reference.strip():
        return []
    return [
        {
            ReturnWay.BUU_CHINH: "Vui lòng ghi số hiệu bưu gửi.",
            ReturnWay.THU_DIEN_TU: "Vui lòng ghi địa chỉ thư điện tử đã gửi kết quả.",
        }.get(answer.way, "Vui lòng ghi mã xác nhận mà Cổng Dịch vụ công trả về khi nhận kết quả.")
    ]


def describe(dossier_id: DossierId) -> str:
    return (
        "### Trả kết quả (Điều 13.5)\n"
        "Kết quả đã ký số và lưu trữ. Kết quả điện tử trả qua tài khoản của cá nhân, tổ chức trên Cổng Dịch vụ công, "
        "trừ trường hợp thủ tục yêu cầu nhận trực tiếp; bản giấy trả theo hình thức đã đăng ký.\n\n"
        "Khi đã trả: chọn **Đã trả kết quả**, ghi hình thức trả và người nhận hoặc số hiệu. Trước đó người dân tra cứu "
        "chỉ thấy hồ sơ đã có kết quả."
    )


RETURN = Pause(
    name="return",
    form=ResultReturn,
    role=Role.RECEIVE,
    label="Trả kết quả",
    choices={ReturnDecision.DA_TRA: "đã trả kết quả"},
    rule="B5a",
    describe=describe,
    check=check,
    waits_for_citizen=True,
    days=A_YEAR,
)
