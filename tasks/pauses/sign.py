"""Người sao chụp kiểm tra và cho ký số cá nhân các bản sao chụp (QĐ 1333, Điều 8.1; CA01)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.clock import vietnam_time
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import attempt_entry, documents, get_dossier
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Document
from tasks.capture.scan_time import DOUBTS, LABELS, TimeSource
from tasks.pauses.facts import describe_pin
from tasks.pauses.form import Answer
from tasks.pauses.registry import Pause
from tasks.scope.decide import case_date


class SignDecision(StrEnum):
    KY_SO_CA_NHAN = "KY_SO_CA_NHAN"
    TRA_LAI = "TRA_LAI"


class PaperToSign(BaseModel):
    """One captured paper as it was shown: which attempt, and the SHA-256 (hex) of its PDF."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    component: int = Field(title="Thành phần số", ge=1)
    attempt: int = Field(title="Lần sao chụp", ge=1)
    sha256: str = Field(title="Mã băm SHA-256 của bản sao chụp", pattern=r"^[0-9a-f]{64}$")


class SignCapture(Answer):
    """Người sao chụp kiểm tra và cho ký số cá nhân các bản sao chụp (Điều 8.1)."""

    decision: SignDecision = Field(title="Quyết định")
    papers: list[PaperToSign] = Field([], title="Bản sao chụp được ký (cổng ghi theo trang đã xem)", max_length=500)


def to_sign(session: Session, dossier_id: DossierId) -> list[PaperToSign]:
    """What the officer who captured is asked for now: all captured papers that aren't signed yet."""
    return [
        PaperToSign(component=document.ordinal, attempt=document.attempt, sha256=document.file_sha256)
        for document in documents(session, dossier_id, states=[DocumentState.DAT_KIEM_TRA])
        if document.file_sha256
    ]


def check(dossier_id: DossierId, answer: SignCapture) -> list[str]:
    """Only who captured signs, and only what is still the same (Điều 8.1)."""
    with RecordsDatabase.get().session() as session:
        captured_by = get_dossier(session, dossier_id).captured_by
        papers = to_sign(session, dossier_id)
    if answer.officer != captured_by:
        return [f"Chữ ký số cá nhân là của {captured_by}; vui lòng để chính người đó kiểm tra và ký số."]
    if answer.decision is SignDecision.KY_SO_CA_NHAN and set(answer.papers) != set(papers):
        return ["Bản sao chụp đã thay đổi sau khi trang được mở; vui lòng xem lại các trang rồi ký số."]
    return []


def describe(again: bool, dossier_id: DossierId) -> str:
    """Each paper with its hash, which stands in what the officer allows. again: it was asked before in this dossier."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        on = case_date(dossier)
        rows = documents(session, dossier_id, states=[DocumentState.DAT_KIEM_TRA])
        lines = [
            f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} | {d.page_count or 0} | "
            f"{_captured(session, d)} | `{(d.file_sha256 or '')[:16]}…` |"
            for d in rows
        ]
        captured_by = dossier.captured_by
    return "\n".join(
        [
            "### Người sao chụp kiểm tra và ký số (Điều 8.1)",
            f"Chữ ký số cá nhân của {captured_by} sẽ được đặt lên các bản sao chụp dưới đây; "
            "chỉ chính người đó được cho ký.",
            "",
            "| Số | Loại giấy tờ | Trang | Thời gian sao chụp | Mã băm SHA-256 |",
            "|---|---|---|---|---|",
            *lines,
            "",
            *describe_pin(captured_by, again),
            "Xem từng trang rồi chọn **Ký số** (một lần cho tất cả), "
            "hoặc **Không giải quyết, trả hồ sơ cho người nộp** và nêu lý do bằng văn bản.",
        ]
    )


def _captured(session: Session, document: Document) -> str:
    """When a paper was scanned and how that is known, as it will stand in the signature."""
    if document.captured_at is None:
        return "–"
    entry = attempt_entry(session, document.id, "capture", document.attempt)
    taken = entry.details.get("taken") if entry else None
    doubt = DOUBTS.get(taken["doubt"]) if taken else None
    known = LABELS[TimeSource(document.captured_at_source)]
    return f"{vietnam_time(document.captured_at)} ({known}{f'; {doubt}' if doubt else ''})"


SIGN = Pause(
    name="sign",
    form=SignCapture,
    role=Role.RECEIVE,
    label="Người sao chụp kiểm tra và ký số",
    choices={SignDecision.KY_SO_CA_NHAN: "ký số", SignDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp"},
    rule="CA01",
    describe=describe,
    check=check,
    capturer_only=True,
    pin_of=SignatureRole.OFFICER,
)
