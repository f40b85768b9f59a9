"""Giấy tờ dễ hỏng, giấy tờ quan trọng (QĐ 1333, Điều 13.3b; B3d, B3e), and scope that only a person settles (SC03)."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.queries import locked
from blocks.records.states import DocumentState
from blocks.records.tables import Document


class LeaderSilent(SohoaError):
    """The leader's decision on a fragile, important paper is missing; silence is not approval (B3e)."""

    code, rule = "LEADER_DECISION_MISSING", "B3e"
    message = "Chưa có ý kiến lãnh đạo về giấy tờ quan trọng, dễ hỏng; vui lòng chờ quyết định, không tự xử lý."
    remedy = Remedy.OFFICER


def settle_leader_opinion(
    records: RecordsDatabase, document_id: DocumentId, *, digitise: bool | None, actor: str
) -> DocumentState:
    """The leader's decision (B3e): not digitised → paper only; digitised → like any fragile paper (B3d). Idempotent.

    digitise None: nothing was decided → LeaderSilent. The written reason is kept with the Decision.
    """
    if digitise is None:
        raise LeaderSilent()
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        if document.state is DocumentState.XIN_Y_KIEN:
            if not digitise:
                document.in_scope = False
            target = DocumentState.DE_HONG if digitise else DocumentState.KHONG_SO_HOA
            _move(session, document, target, actor, "B3e", {"digitise": digitise})
        return document.state


def certify_copy(
    records: RecordsDatabase, document_id: DocumentId, *, actor: str, original_captured: bool = False
) -> DocumentState:
    """The certified paper copy of a fragile paper is made; now it can be captured (B3d). Idempotent.

    original_captured: the original is captured too, because that was possible; kept with the reason in the audit.
    """
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        if document.state is DocumentState.DE_HONG:
            details = {"reason": "FRAGILE", "certified_copy": True, "original_captured": original_captured}
            _move(session, document, DocumentState.CHO_SAO_CHUP, actor, "B3d", details)
        return document.state


def settle_unlisted(records: RecordsDatabase, document_id: DocumentId, *, digitise: bool, actor: str) -> DocumentState:
    """The officer decides what the catalogue could not (SC03 without a list in force). Idempotent."""
    with records.session() as session:
        document = locked(session, Document, document_id, key_share=True)
        if document.state is DocumentState.PHAN_LOAI:
            document.in_scope = digitise
            target = DocumentState.CHO_SAO_CHUP if digitise else DocumentState.NGOAI_PHAM_VI
            _move(session, document, target, actor, document.scope_rule or "SC03", {"decided_by": "OFFICER"})
        return document.state


def _move(
    session: Session, document: Document, target: DocumentState, actor: str, rule: str, details: dict[str, Any]
) -> None:
    move_document(session, document, target, actor=actor, rule=rule, details=details)
    session.add(document)
