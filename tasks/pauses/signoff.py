"""Lãnh đạo cho ký số cơ quan (QĐ 1333, Điều 9.4, 13.4b; EX17)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.clock import vietnam_day
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier
from blocks.records.states import DocumentState
from blocks.signer import SignerUnknown, signer_for
from tasks.decisions.upheld import unlike_verified
from tasks.intake.electronic_originals import awaits_storage
from tasks.pauses.facts import dossier_of
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause
from tasks.scope.decide import case_date


class SignOffDecision(StrEnum):
    KY = "KY"
    SUA_LAI = "SUA_LAI"
    TRA_LAI = "TRA_LAI"


class SignOff(Answer):
    """Lãnh đạo cho ký số cơ quan (Điều 9.4)."""

    decision: SignOffDecision = Field(title="Quyết định")


def check(dossier_id: DossierId, answer: SignOff) -> list[str]:
    """The data are what was verified, and who signs a result has a signature."""
    if answer.decision is not SignOffDecision.KY:
        return []
    with RecordsDatabase.get().session() as session:
        changed = unlike_verified(session, dossier_id)
    if changed:
        numbers = ", ".join(map(str, changed))
        return [f"Dữ liệu của thành phần {numbers} khác dữ liệu đã được xác nhận; vui lòng trả lại hồ sơ."]
    dossier = dossier_of(dossier_id)
    if Catalog.get().issued_results(dossier.procedure_code, case_date(dossier)):
        try:
            signer_for(answer.officer)
        except SignerUnknown:
            return ["Bạn chưa có chữ ký số để ký văn bản kết quả; vui lòng báo quản trị viên."]
    return []


def describe(dossier_id: DossierId) -> str:
    """Counts and codes of types for the leader; codes of results are not shown: they carry the owner's id."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        rows = documents(session, dossier_id, states=[DocumentState.CHO_KET_QUA])
        on = vietnam_day(dossier.received_at)
        kept = [d for d in documents(session, dossier_id) if awaits_storage(d)]
        issued = [result.name for result, _ in catalog.issued_results(dossier.procedure_code, on)]
        lines = [
            f"### Trình ký số cơ quan · hồ sơ {dossier.code}",
            f"Thủ tục {dossier.procedure_code}: {catalog.procedure(dossier.procedure_code, on).name}.",
            f"Hạn trả kết quả: {dossier.due_date:%d/%m/%Y}." if dossier.due_date else "",
            "",
            "| Số | Loại giấy tờ | Trang |",
            "|---|---|---|",
            *(f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} | {d.page_count or 0} |" for d in rows),
            *(
                f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} (bản điện tử) | {d.page_count or 0} |"
                for d in kept
            ),
            "",
            *(f"Văn bản kết quả do bạn ký: {name}; dự thảo ở trang hồ sơ, chưa có số và ngày." for name in issued),
            "",
            "Chọn **Cho ký số** để cho ký số cơ quan từng thành phần và dữ liệu đặc tả (Điều 9.4), "
            "**Chuyển viên chức giải quyết sửa lại** (dữ liệu hoặc dự thảo, nêu lý do), hoặc "
            "**Không giải quyết, trả hồ sơ cho người nộp** (nêu lý do bằng văn bản).",
        ]
        return "\n".join(lines)


SIGNOFF = Pause(
    name="signoff",
    form=SignOff,
    role=Role.LEAD,
    label="Trình ký số cơ quan",
    choices={
        SignOffDecision.KY: "cho ký số",
        SignOffDecision.SUA_LAI: "chuyển viên chức giải quyết sửa lại",
        SignOffDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp",
    },
    rule="EX17",
    describe=describe,
    check=check,
    words_of=("seal",),
)
