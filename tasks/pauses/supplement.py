"""Bổ sung hồ sơ trước khi tiếp nhận (QĐ 1333, Điều 13.2, 13.3a; B3a)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.errors import Problem
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from tasks.intake.submission import supplement_came
from tasks.pauses.facts import dossier_of
from tasks.pauses.form import Answer, as_markdown
from tasks.pauses.registry import Pause


class SupplementDecision(StrEnum):
    DA_BO_SUNG = "DA_BO_SUNG"
    TU_CHOI = "TU_CHOI"


class Supplement(Answer):
    """Bổ sung hồ sơ trước khi tiếp nhận (B3a)."""

    decision: SupplementDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: Supplement) -> list[str]:
    """A supplement must have come."""
    if answer.decision is not SupplementDecision.DA_BO_SUNG:
        return []
    if supplement_came(RecordsDatabase.get(), dossier_of(dossier_id)):
        return []
    return ["Chưa nhận được hồ sơ bổ sung; vui lòng chọn tệp bổ sung ngay trên trang này rồi bấm lại."]


def describe(problems: list[Problem], dossier_id: DossierId) -> str:
    return (
        "### Hồ sơ chưa đủ điều kiện tiếp nhận\n"
        f"{as_markdown(problems)}\n\n"
        "Sửa tờ khai, chọn tệp bổ sung ngay trên trang này rồi chọn "
        "**Đã bổ sung**; hoặc chọn **Từ chối tiếp nhận** và nêu lý do bằng văn bản."
    )


SUPPLEMENT = Pause(
    name="supplement",
    form=Supplement,
    role=Role.RECEIVE,
    label="Bổ sung hồ sơ trước khi tiếp nhận",
    choices={SupplementDecision.DA_BO_SUNG: "đã bổ sung", SupplementDecision.TU_CHOI: "từ chối tiếp nhận"},
    rule="B3a",
    describe=describe,
    check=check,
)
