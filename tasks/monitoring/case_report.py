"""What operations staff see of a dossier when it has ended: how long each step took, who was waited for, what was made.

Ids, counts, states and times; no person, no value of a field (WH04).
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from sqlmodel import Session, col, select

from blocks.clock import VIET_NAM
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier
from blocks.records.state_names import STATES
from blocks.records.states import ElectronicOriginal
from blocks.records.tables import AuditEntry, Decision, Document, Signature
from tasks.pauses.registry import decision_labels, pause_label

ELECTRONIC: dict[str, str] = {  # of a signed PDF that was handed in (SC05)
    ElectronicOriginal.VALID: "bản điện tử, chữ ký số hợp lệ, giữ nguyên trạng",
    ElectronicOriginal.INVALID: "bản điện tử, chữ ký số KHÔNG hợp lệ",
    ElectronicOriginal.UNSIGNED: "bản điện tử chưa có chữ ký số",
}


def report_dossier(records: RecordsDatabase, dossier_id: DossierId) -> str:
    """The dossier in four tables (Markdown, Vietnamese). Raises DossierUnknown."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        papers = documents(session, dossier_id)
        pages = sum(paper.page_count or 0 for paper in papers)
        head = f"Hồ sơ **{dossier.code or 'chưa có mã'}** · trạng thái **{STATES[dossier.state]}**"
        parts = [
            f"{head} · {len(papers)} giấy tờ · {pages} trang",
            *_steps(session, dossier_id),
            *_decisions(session, dossier_id),
            *_papers(session, papers),
        ]
    return "\n".join(parts)


def _steps(session: Session, dossier_id: DossierId) -> list[str]:
    """Each state of the dossier and how long it lasted."""
    moves = session.exec(
        select(AuditEntry.target_state, AuditEntry.at)
        .where(AuditEntry.dossier_id == dossier_id, col(AuditEntry.document_id).is_(None))
        .where(col(AuditEntry.target_state).is_not(None))
        .order_by(col(AuditEntry.seq))
    ).all()
    rows = [f"| {STATES[str(state)]} | {_span(since, until)} |" for (state, since), (_, until) in pairwise(moves)]
    return ["", "| Bước | Thời gian |", "|---|---|", *rows] if rows else []


def _decisions(session: Session, dossier_id: DossierId) -> list[str]:
    found = session.exec(
        select(Decision).where(Decision.dossier_id == dossier_id).order_by(col(Decision.decided_at))
    ).all()
    said = decision_labels()
    rows = [
        f"| {pause_label(item.stage)} | {said.get(item.decision, item.decision)} "
        f"| {item.decided_at.astimezone(VIET_NAM):%d/%m/%Y %H:%M} |"
        for item in found
    ]
    return ["", "| Chờ viên chức | Quyết định | Lúc |", "|---|---|---|", *rows] if rows else []


def _papers(session: Session, papers: list[Document]) -> list[str]:
    lines = ["", "| Số | Loại | Trạng thái | Trang | Lần quét | Chữ ký |", "|---|---|---|---|---|---|"]
    for paper in papers:
        signatures = session.exec(
            select(Signature).where(Signature.document_id == paper.id, Signature.attempt == paper.attempt)
        ).all()
        signed = ", ".join(map(_signed, sorted(signatures, key=lambda item: item.signed_at)))
        signed = ELECTRONIC.get(paper.electronic_original or "", signed)
        lines.append(
            f"| {paper.ordinal} | {paper.type_code} | {STATES[paper.state]} | {paper.page_count or 0} | "
            f"{paper.attempt} | {signed or '–'} |"
        )
    return lines


def _signed(item: Signature) -> str:
    verdict = "hợp lệ" if item.valid else "KHÔNG hợp lệ"
    return f"{item.role.value} {item.level} {verdict}{' (thử nghiệm)' if item.test else ''}"


def _span(since: datetime, until: datetime) -> str:
    seconds = int((until - since).total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} ngày {hours} giờ"
    return f"{hours} giờ {minutes} phút" if hours else f"{minutes} phút {seconds % 60} giây"
