"""What the signing of captures waits for, or once waited for, when a run begins anew in the middle of it (Điều 8.1).

An answer that was given is found by the pause that asked for it; until then nothing is signed: neither is the answer
passed over, nor a PIN used up that belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, select

from blocks.ids import DocumentId
from blocks.records.queries import get_document
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Signature
from blocks.records.waiting import waits_at
from tasks.decisions.proofs import latest_proven
from tasks.signing.authorised import last_allowed

PIN, PHONE = "PIN", "PHONE"
HERE = {DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN}


def still_here(session: Session, papers: Sequence[tuple[DocumentId, int]]) -> list[DocumentId]:
    """Those of these papers, with their capture attempts, that are to be signed, or signed and no further on."""
    rows = [(get_document(session, document), attempt) for document, attempt in papers]
    return [row.id for row, attempt in rows if row.attempt == attempt and row.state in HERE]


def awaited(session: Session, papers: Sequence[tuple[DocumentId, int]], asked: int) -> str:
    """PIN or PHONE: what these papers wait for, or waited for when the officer had been asked so often; "": nothing."""
    if last_allowed(session, papers) > asked:
        return PIN  # the one before wasn't the right one: it was asked for again
    left = [get_document(session, document) for document, attempt in papers if not _signed(session, document, attempt)]
    if not left:
        return ""
    dossier = left[0].dossier_id
    if waits_at(session, dossier, "confirm"):
        return PHONE
    if waits_at(session, dossier, "sign"):
        return PIN
    if any(document.state is DocumentState.DA_LUU_KHONG_GIA_TRI for document in left):  # returned instead of signed
        newest = latest_proven(session, dossier, "sign")
        return PIN if newest is not None and newest.decision == "TRA_LAI" else PHONE
    return ""


def _signed(session: Session, document_id: DocumentId, attempt: int) -> bool:
    query = select(Signature.id).where(
        Signature.document_id == document_id, Signature.role == SignatureRole.OFFICER, Signature.attempt == attempt
    )
    return session.exec(query).first() is not None
