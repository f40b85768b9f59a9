"""Quét lại thành phần không đạt (QĐ 1333, Điều 8.2; CA05)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog.staff import Role
from blocks.errors import Problem
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents
from blocks.records.states import DocumentState
from tasks.capture.rescan import missing_scans, page_label, requested_rescan
from tasks.pauses.form import Answer, as_markdown
from tasks.pauses.registry import Pause


class RescanDecision(StrEnum):
    DA_QUET_LAI = "DA_QUET_LAI"
    TRA_LAI = "TRA_LAI"


class Rescan(Answer):
    """Quét lại thành phần không đạt (Điều 8.2)."""

    decision: RescanDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: Rescan) -> list[str]:
    """All new scans must have come."""
    if answer.decision is not RescanDecision.DA_QUET_LAI:
        return []
    with RecordsDatabase.get().session() as session:
        return missing_scans(session, dossier_id)


def describe(problems: list[Problem], dossier_id: DossierId) -> str:
    found = as_markdown(problems) or "- Viên chức giải quyết đề nghị quét lại."
    with RecordsDatabase.get().session() as session:
        waiting = documents(session, dossier_id, states=[DocumentState.CHUP_LAI])
        pages = [
            page_label(document, place) for document in waiting for place in requested_rescan(session, document).places
        ]
    only = f"\n\nChỉ cần quét lại: {'; '.join(pages)}." if pages else ""
    return (
        f"### Cần quét lại\n{found}{only}\n\n"
        "Chọn tệp quét lại ở ô của đúng thành phần hoặc trang trên trang này, rồi chọn **Đã quét lại**; "
        "hoặc chọn **Không giải quyết, trả hồ sơ cho người nộp** và nêu lý do bằng văn bản. "
        "Bản quét trước vẫn được lưu giữ."
    )


RESCAN = Pause(
    name="rescan",
    form=Rescan,
    role=Role.RECEIVE,
    label="Quét lại",
    choices={
        RescanDecision.DA_QUET_LAI: "đã quét lại",
        RescanDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp",
    },
    rule="CA05",
    describe=describe,
    check=check,
    words_of=("verification",),
)
