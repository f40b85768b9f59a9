"""Kết thúc hồ sơ (QĐ 1333, Điều 13.4–13.5): the result is announced, returned and filed, or the case is returned.

A result is announced when everything is stored, and returned when an officer tells to whom and how (pause `return`).
Electronic results are stored before they are returned (KQ03). A failed case is never signed by the agency (EX17): its
officer-signed working copies stay where they are, and its documents are stored without legal value.
"""

from __future__ import annotations

from pydantic import BaseModel
from sqlmodel import Session

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.machine import DOCUMENT_OPEN, move_document, move_dossier
from blocks.records.named import naming
from blocks.records.queries import documents, locked
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Dossier
from tasks.archive.custody import CustodyOrder, Place, move_paper
from tasks.archive.store import enqueue_message
from tasks.decisions.proofs import proven_decision
from tasks.intake.electronic_originals import awaits_storage

OWNER_ACCOUNT = "owner-account"  # topic: the result for the owner's account or e-mail (B5a)
OWNER_NOTICE = "owner-notice"  # topic: the written notice of a return (B4c)
UNSTORED = DOCUMENT_OPEN | {DocumentState.DA_KY_CO_QUAN, DocumentState.DA_LUU, DocumentState.NGHI_MAT}


class NotStored(SohoaError):
    """A result would be returned before everything is stored (KQ03, Điều 12.3)."""

    code, rule = "NOT_STORED", "KQ03"
    message = "Còn {count} thành phần chưa lưu xong nên chưa thể trả kết quả; vui lòng hoàn tất việc lưu trữ."
    remedy = Remedy.OFFICER


class ClosingReport(BaseModel):
    """How a case ended; counts only."""

    dossier_id: DossierId
    state: DossierState
    shown: int = 0  # in the owner's repository
    hidden: int = 0  # stored, waiting for the owner's id (LU02)
    without_value: int = 0  # kept without legal value (EX17)
    left_out: int = 0  # not digitised, reused, quarantined


def announce_result(records: RecordsDatabase, dossier_id: DossierId, actor: str) -> None:
    """KY_CO_QUAN → CO_KET_QUA once every document is stored (KQ03), with the message to the owner's account in the
    outbox (B5a). Idempotent. Raises NotStored."""
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if dossier.state in {DossierState.CO_KET_QUA, DossierState.DA_TRA, DossierState.LUU_TRU}:
            return
        waiting = [d for d in documents(session, dossier_id) if d.state in UNSTORED or awaits_storage(d)]
        if waiting:
            raise NotStored(count=len(waiting))
        details = naming(enqueue_message(session, OWNER_ACCOUNT, dossier_id, {"dossier": str(dossier_id)}))
        move_dossier(session, dossier, DossierState.CO_KET_QUA, actor=actor, rule="KQ03", details=details)


def close_case(
    records: RecordsDatabase, dossier_id: DossierId, pause: str, actor: str, *, received_by: str = "luu.tru"
) -> ClosingReport:
    """CO_KET_QUA → DA_TRA → LUU_TRU: the officer's word at this pause tells that the result was returned (B5a, B5b);
    the paper goes to the archive (LU04). Idempotent, in one go.

    received_by: who takes the paper in at the archive. Raises DecisionNotProven, InvalidTransition.
    """
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if dossier.state is DossierState.CO_KET_QUA:
            kept = proven_decision(session, dossier_id, pause)
            rule = "CT03" if dossier.transitional else "B5a"
            details = {"stage": pause, "way": kept.payload["way"]}
            move_dossier(session, dossier, DossierState.DA_TRA, actor=kept.officer, rule=rule, details=details)
        if dossier.state is DossierState.DA_TRA:
            _file_paper(session, dossier, actor, received_by)
            move_dossier(session, dossier, DossierState.LUU_TRU, actor=actor, rule="LU04")
        return _report(session, dossier)


def return_case(
    records: RecordsDatabase,
    dossier_id: DossierId,
    actor: str,
    reason: str,
    *,
    target: DossierState = DossierState.TRA_LAI,
) -> ClosingReport:
    """A case that can't be resolved goes back with WRITTEN reasons through the one-stop counter (B4c). Idempotent.

    target RUT: the person withdraws. Open documents become DA_LUU_KHONG_GIA_TRI and keep their working copies.
    Raises ReasonMissing, SignedCaseNotReturned, InvalidTransition.
    """
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if dossier.state is not target:
            named = naming(enqueue_message(session, OWNER_NOTICE, dossier_id, {"dossier": str(dossier_id)}))
            move_dossier(session, dossier, target, actor=actor, rule="B4c", reason=reason, details=named)
            for document in documents(session, dossier_id, DOCUMENT_OPEN):
                details = {"working_copy_kept": document.file_key is not None}
                move_document(
                    session, document, DocumentState.DA_LUU_KHONG_GIA_TRI, actor=actor, rule="EX17", details=details
                )
        return _report(session, dossier)


def _file_paper(session: Session, dossier: Dossier, actor: str, received_by: str) -> None:
    """Counter → business unit → archive; moves that the log has already are not written again."""
    for place, taker in ((Place.COUNTER, actor), (Place.BUSINESS_UNIT, actor), (Place.ARCHIVE, received_by)):
        try:
            move_paper(session, dossier.id, place, handed_by=actor, received_by=taker)
        except CustodyOrder:
            continue  # further on already


def _report(session: Session, dossier: Dossier) -> ClosingReport:
    states = [document.state for document in documents(session, dossier.id)]
    left_out = {
        DocumentState.NGOAI_PHAM_VI,
        DocumentState.TAI_SU_DUNG,
        DocumentState.KHONG_SO_HOA,
        DocumentState.NGHI_MAT,
        DocumentState.CACH_LY_MAT,
    }
    return ClosingReport(
        dossier_id=dossier.id,
        state=dossier.state,
        shown=states.count(DocumentState.HIEN_THI_KHO),
        hidden=states.count(DocumentState.DA_LUU_CHUA_DINH_DANH),
        without_value=states.count(DocumentState.DA_LUU_KHONG_GIA_TRI),
        left_out=sum(state in left_out for state in states),
    )


def return_as_decided(records: RecordsDatabase, dossier_id: DossierId, pause: str) -> ClosingReport:
    """The case goes back with the written reason of the decision at this pause. Raises DecisionNotProven."""
    with records.session() as session:
        kept = proven_decision(session, dossier_id, pause)
    return return_case(records, dossier_id, kept.officer, kept.reason or "")
