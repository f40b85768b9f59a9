"""Việc còn phải quyết định trước khi sao chụp (QĐ 1333, Điều 4, 5, 13.3b; SC03, B3d)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.errors import Problem
from blocks.ids import DossierId
from blocks.records.states import DocumentState
from tasks.pauses.facts import ordinals
from tasks.pauses.form import Answer, as_markdown
from tasks.pauses.registry import Pause


class ScopeDecision(StrEnum):
    TIEP_TUC = "TIEP_TUC"
    TRA_LAI = "TRA_LAI"


class ScopeOpinion(Answer):
    """Việc còn phải quyết định trước khi sao chụp (Điều 4, 5, 13.3b)."""

    decision: ScopeDecision = Field(title="Quyết định")
    digitise: list[int] = Field([], title="Thành phần chưa có danh mục mà viên chức quyết định số hóa", max_length=500)
    certified: list[int] = Field([], title="Thành phần dễ hỏng đã sao y bản giấy", max_length=500)


def check(dossier_id: DossierId, answer: ScopeOpinion) -> list[str]:
    """Fragile papers are certified first, and only what waits for a decision is decided."""
    faults: list[str] = []
    if answer.decision is ScopeDecision.TIEP_TUC:
        fragile = set(ordinals(dossier_id, DocumentState.DE_HONG)) - set(answer.certified)
        faults += [f"Thành phần {n} dễ hỏng: vui lòng sao y bản giấy trước khi quét." for n in sorted(fragile)]
    unknown = set(answer.digitise) - set(ordinals(dossier_id, DocumentState.PHAN_LOAI))
    faults += [f"Thành phần {n} không chờ quyết định số hóa." for n in sorted(unknown)]
    return faults


def describe(problems: list[Problem], fragile: list[int], dossier_id: DossierId) -> str:
    lines = ["### Việc cần quyết định trước khi sao chụp", as_markdown(problems)]
    if fragile:
        numbers = ", ".join(map(str, fragile))
        lines.append(
            f"- Thành phần {numbers} dễ hỏng: sao y bản giấy trước, quét bản sao y, rồi ghi số vào “đã sao y”."
        )
    lines.append("\nChọn **Tiếp tục** hoặc **Không giải quyết, trả hồ sơ cho người nộp** (nêu lý do).")
    return "\n".join(lines)


SCOPE = Pause(
    name="scope",
    form=ScopeOpinion,
    role=Role.RECEIVE,
    label="Quyết định trước khi sao chụp",
    choices={ScopeDecision.TIEP_TUC: "tiếp tục", ScopeDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp"},
    rule="SC03",
    describe=describe,
    check=check,
)
