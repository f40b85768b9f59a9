"""Văn thư ký số cơ quan sau khi lãnh đạo đã ký duyệt (NĐ 30/2020, Điều 26; QĐ 1333, Điều 9.4; EX17)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier
from blocks.records.states import DocumentState
from tasks.decisions.upheld import unchanged_since, unlike_verified
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause
from tasks.scope.decide import case_date


class SealDecision(StrEnum):
    KY_SO = "KY_SO"
    TRINH_LAI = "TRINH_LAI"
    SUA_LAI = "SUA_LAI"


class Seal(Answer):
    """Văn thư ký số cơ quan sau khi lãnh đạo đã ký duyệt (NĐ 30/2020, Điều 26; QĐ 1333, Điều 9.4)."""

    decision: SealDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: Seal) -> list[str]:
    """Nothing has changed since the leader decided."""
    if answer.decision is not SealDecision.KY_SO:
        return []
    with RecordsDatabase.get().session() as session:
        same = unchanged_since(session, Catalog.get(), dossier_id, ["signoff"])
        if not same or unlike_verified(session, dossier_id):
            return ["Nội dung hồ sơ đã đổi sau khi lãnh đạo duyệt; vui lòng trình lại lãnh đạo."]
    return []


def describe(dossier_id: DossierId) -> str:
    """For the clerk, who keeps the agency's key: how many papers the leader has allowed to be signed."""
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        count = len(documents(session, dossier_id, states=[DocumentState.CHO_KET_QUA]))
        issued = Catalog.get().issued_results(dossier.procedure_code, case_date(dossier))
        also = "".join(f" và văn bản {result.name}, được cấp số và ngày khi ký số" for result, _ in issued)
        return (
            f"### Ký số cơ quan · hồ sơ {dossier.code}\n"
            f"Lãnh đạo đã cho ký {count} thành phần{also}. Kiểm tra thể thức rồi chọn **Ký số cơ quan**, "
            "**Trình lại lãnh đạo** hoặc **Chuyển viên chức giải quyết sửa lại** (nêu lý do)."
        )


SEAL = Pause(
    name="seal",
    form=Seal,
    role=Role.SEAL,
    label="Văn thư ký số cơ quan",
    choices={
        SealDecision.KY_SO: "ký số cơ quan",
        SealDecision.TRINH_LAI: "trình lại lãnh đạo",
        SealDecision.SUA_LAI: "chuyển viên chức giải quyết sửa lại",
    },
    rule="EX17",
    describe=describe,
    check=check,
)
