"""Ý kiến lãnh đạo về giấy tờ quan trọng, dễ hỏng (QĐ 1333, Điều 13.3b; B3e)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.ids import DossierId
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause


class LeaderDecision(StrEnum):
    KHONG_SO_HOA = "KHONG_SO_HOA"
    SO_HOA = "SO_HOA"


class LeaderOpinion(Answer):
    """Ý kiến lãnh đạo về giấy tờ quan trọng, dễ hỏng (Điều 13.3b)."""

    decision: LeaderDecision = Field(title="Ý kiến của lãnh đạo")


def check(dossier_id: DossierId, answer: LeaderOpinion) -> list[str]:
    """The opinion is given in writing."""
    return [] if answer.reason.strip() else ["Vui lòng ghi ý kiến của lãnh đạo bằng văn bản."]


def describe(ordinals: list[int], dossier_id: DossierId) -> str:
    numbers = ", ".join(map(str, ordinals))
    return (
        "### Xin ý kiến lãnh đạo (Điều 13.3b)\n"
        f"Thành phần {numbers}: giấy tờ quan trọng, dễ hỏng, có thể gặp rủi ro khi số hóa. "
        "Chọn **Không số hóa** hoặc **Số hóa** và ghi ý kiến."
    )


LEADER = Pause(
    name="leader",
    form=LeaderOpinion,
    role=Role.LEAD,
    label="Ý kiến lãnh đạo về việc số hóa",
    choices={LeaderDecision.SO_HOA: "số hóa", LeaderDecision.KHONG_SO_HOA: "không số hóa"},
    rule="B3e",
    describe=describe,
    check=check,
)
