"""The one place where a dossier or a document changes its state (ST01; docs/formats.md, "States").

A move locks the row, checks the way, sets the state and notes one audit entry, all in the caller's transaction.
Of two moves at the same time the second sees the first's result: it is told False (already there) or refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import UOWTransaction
from sqlmodel import Session, col, select

from blocks.errors import InvalidTransition, Remedy, SohoaError
from blocks.records.audit import audit
from blocks.records.queries import locked
from blocks.records.state_names import STATES
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Document, Dossier, now

# Open: the case is not decided yet. From there it may always be returned (B4c) or withdrawn.
DOSSIER_OPEN = frozenset(DossierState) - {
    DossierState.TU_CHOI_TIEP_NHAN,
    DossierState.CO_KET_QUA,
    DossierState.DA_TRA,
    DossierState.LUU_TRU,
    DossierState.TRA_LAI,
    DossierState.RUT,
}
DOSSIER_FAILED = frozenset({DossierState.TU_CHOI_TIEP_NHAN, DossierState.TRA_LAI, DossierState.RUT})

_DOSSIER_WAY: dict[DossierState, set[DossierState]] = {
    DossierState.NHAP: {DossierState.KIEM_TRA},
    DossierState.KIEM_TRA: {DossierState.BO_SUNG_TRUOC, DossierState.TU_CHOI_TIEP_NHAN, DossierState.DA_TIEP_NHAN},
    DossierState.BO_SUNG_TRUOC: {DossierState.KIEM_TRA, DossierState.TU_CHOI_TIEP_NHAN},
    DossierState.DA_TIEP_NHAN: {DossierState.SO_HOA},
    DossierState.SO_HOA: {DossierState.CHO_LANH_DAO_SO_HOA, DossierState.DA_CHUYEN},
    DossierState.CHO_LANH_DAO_SO_HOA: {DossierState.SO_HOA},
    DossierState.DA_CHUYEN: {DossierState.THAM_DINH},
    DossierState.THAM_DINH: {DossierState.CHO_Y_KIEN, DossierState.BO_SUNG, DossierState.TRINH_KY},
    DossierState.CHO_Y_KIEN: {DossierState.THAM_DINH},
    DossierState.BO_SUNG: {DossierState.THAM_DINH},
    DossierState.TRINH_KY: {DossierState.KY_CO_QUAN, DossierState.THAM_DINH},  # B4b: or sent back to be corrected
    DossierState.KY_CO_QUAN: {DossierState.CO_KET_QUA},
    DossierState.CO_KET_QUA: {DossierState.DA_TRA},
    DossierState.DA_TRA: {DossierState.LUU_TRU},
}
DOSSIER_MOVES: dict[DossierState, frozenset[DossierState]] = {
    state: frozenset(
        _DOSSIER_WAY.get(state, set()) | ({DossierState.TRA_LAI, DossierState.RUT} if state in DOSSIER_OPEN else set())
    )
    for state in DossierState
}

DOCUMENT_SIGNED = frozenset(
    {DocumentState.DA_KY_CO_QUAN, DocumentState.DA_LUU, DocumentState.HIEN_THI_KHO, DocumentState.DA_LUU_CHUA_DINH_DANH}
)
# Open: neither left out of the digitisation, nor signed by the agency, nor stored, nor hidden from those who decide.
DOCUMENT_OPEN = (
    frozenset(DocumentState)
    - DOCUMENT_SIGNED
    - {
        DocumentState.NGOAI_PHAM_VI,
        DocumentState.TAI_SU_DUNG,
        DocumentState.KHONG_SO_HOA,
        DocumentState.NGHI_MAT,
        DocumentState.CACH_LY_MAT,
        DocumentState.DA_LUU_KHONG_GIA_TRI,
    }
)

_DOCUMENT_WAY: dict[DocumentState, set[DocumentState]] = {
    DocumentState.KHAI_BAO: {DocumentState.PHAN_LOAI},
    DocumentState.PHAN_LOAI: {
        DocumentState.NGOAI_PHAM_VI,
        DocumentState.TAI_SU_DUNG,
        DocumentState.DE_HONG,
        DocumentState.XIN_Y_KIEN,
        DocumentState.CHO_SAO_CHUP,
    },
    DocumentState.DE_HONG: {
        DocumentState.CHO_SAO_CHUP,
        DocumentState.XIN_Y_KIEN,
    },  # B3d: the certified copy is captured
    DocumentState.XIN_Y_KIEN: {
        DocumentState.KHONG_SO_HOA,
        DocumentState.DE_HONG,
        DocumentState.CHO_SAO_CHUP,
    },  # B3e: the leader decides
    DocumentState.CHO_SAO_CHUP: {DocumentState.DA_SAO_CHUP},
    DocumentState.DA_SAO_CHUP: {DocumentState.DAT_KIEM_TRA, DocumentState.CHUP_LAI},
    DocumentState.CHUP_LAI: {DocumentState.DA_SAO_CHUP},
    DocumentState.DAT_KIEM_TRA: {DocumentState.DA_KY_CA_NHAN, DocumentState.CHUP_LAI},
    DocumentState.DA_KY_CA_NHAN: {DocumentState.OCR, DocumentState.NHAP_TAY, DocumentState.NGHI_MAT},
    DocumentState.NGHI_MAT: {
        DocumentState.DA_KY_CA_NHAN,
        DocumentState.CACH_LY_MAT,
    },  # SC13: a false alarm goes on where it was, else it is quarantined
    DocumentState.OCR: {DocumentState.CHO_XAC_NHAN, DocumentState.NHAP_TAY},  # EX02: what turns out unreadable is typed
    DocumentState.NHAP_TAY: {DocumentState.CHO_XAC_NHAN},
    DocumentState.CHO_XAC_NHAN: {
        DocumentState.DA_BOC_TACH,
        DocumentState.CHUP_LAI,
    },  # the officer may ask for a rescan: the way restarts at capture
    DocumentState.DA_BOC_TACH: {DocumentState.DA_CAP_MA},
    DocumentState.DA_CAP_MA: {DocumentState.CHO_KET_QUA},
    DocumentState.CHO_KET_QUA: {
        DocumentState.DA_KY_CO_QUAN,
        DocumentState.CHO_XAC_NHAN,
    },  # the leader or the clerk sends it back: its data are confirmed anew
    DocumentState.DA_KY_CO_QUAN: {DocumentState.DA_LUU},
    DocumentState.DA_LUU: {DocumentState.HIEN_THI_KHO, DocumentState.DA_LUU_CHUA_DINH_DANH},
    DocumentState.DA_LUU_CHUA_DINH_DANH: {DocumentState.HIEN_THI_KHO},  # LU02: a late id makes it appear
}
DOCUMENT_MOVES: dict[DocumentState, frozenset[DocumentState]] = {
    state: frozenset(
        _DOCUMENT_WAY.get(state, set())
        | ({DocumentState.DA_LUU_KHONG_GIA_TRI} if state in DOCUMENT_OPEN else set())
        # SC13: a secret stamp may be seen at any step, and is looked for again after OCR.
        | ({DocumentState.CACH_LY_MAT} if state in DOCUMENT_OPEN - {DocumentState.KHAI_BAO} else set())
    )
    for state in DocumentState
}


class PublicStatus(StrEnum):
    """What anyone may read with the code of a dossier: these five and nothing else (P03, QĐ 352 Điều 12)."""

    RECEIVED = "Bảo hiểm xã hội đã tiếp nhận hồ sơ"
    IN_PROGRESS = "Bảo hiểm xã hội đang xử lý hồ sơ"
    RESULT_READY = "Bảo hiểm xã hội đã xử lý xong hồ sơ và đã có kết quả"
    RETURNED = "Bảo hiểm xã hội đã trả kết quả"
    REFUSED = "Bảo hiểm xã hội đã từ chối hồ sơ"


# Not public: NHAP, KIEM_TRA, BO_SUNG_TRUOC (not received yet, no code) and RUT (none of the five would be true).
PUBLIC_STATUS: dict[DossierState, PublicStatus] = {
    **dict.fromkeys(
        (DossierState.DA_TIEP_NHAN, DossierState.SO_HOA, DossierState.CHO_LANH_DAO_SO_HOA), PublicStatus.RECEIVED
    ),
    **dict.fromkeys(
        (
            DossierState.DA_CHUYEN,
            DossierState.THAM_DINH,
            DossierState.CHO_Y_KIEN,
            DossierState.BO_SUNG,
            DossierState.TRINH_KY,
            DossierState.KY_CO_QUAN,
        ),
        PublicStatus.IN_PROGRESS,
    ),
    DossierState.CO_KET_QUA: PublicStatus.RESULT_READY,
    **dict.fromkeys((DossierState.DA_TRA, DossierState.LUU_TRU), PublicStatus.RETURNED),
    **dict.fromkeys((DossierState.TU_CHOI_TIEP_NHAN, DossierState.TRA_LAI), PublicStatus.REFUSED),
}


class ReasonMissing(SohoaError):
    """A dossier is returned without written reasons (B4c)."""

    code, rule = "REASON_MISSING", "B4c"
    message = "Vui lòng nêu rõ lý do bằng văn bản khi trả lại hồ sơ."
    remedy = Remedy.OFFICER


class FailedCaseNotSigned(SohoaError):
    """A document of a returned, refused or withdrawn dossier would be signed by the agency (EX17)."""

    code, rule = "FAILED_CASE_NOT_SIGNED", "EX17"
    message = "Hồ sơ {state} nên không được ký số cơ quan; vui lòng lưu thành phần ở dạng không có giá trị pháp lý."
    remedy = Remedy.OFFICER


class SignedCaseNotReturned(SohoaError):
    """A dossier would be returned or withdrawn although the agency has signed some of its documents (EX17)."""

    code, rule = "SIGNED_CASE_NOT_RETURNED", "EX17"
    message = "Hồ sơ đã có thành phần được ký số cơ quan nên không thể trả lại hoặc rút; vui lòng hoàn tất hồ sơ."
    remedy = Remedy.OFFICER


class StateChangedElsewhere(RuntimeError):
    """A programmer's error: `.state` was assigned outside this module; use move_dossier or move_document."""


def move_dossier(
    session: Session,
    dossier: Dossier,
    target: DossierState,
    *,
    actor: str,
    rule: str = "",
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> bool:
    """Move a dossier to `target`. True: moved; False: it was there already (no audit entry).

    reason: written reasons; needed for TRA_LAI and kept in `dossier.return_reason` for every failed case, in the
    audit trail only as SHA-256. The first move to DA_TIEP_NHAN sets `received_at`, to CO_KET_QUA `result_at`.
    Raises InvalidTransition, ReasonMissing, SignedCaseNotReturned.
    """
    row = locked(session, Dossier, dossier.id, key_share=True)
    source = row.state
    if source is target:
        return False
    if target not in DOSSIER_MOVES[source]:
        raise InvalidTransition(source=source.value, target=target.value)
    extra: dict[str, Any] = dict(details or {})
    if target in DOSSIER_FAILED:
        if target is DossierState.TRA_LAI and not (reason or "").strip():
            raise ReasonMissing()
        if _has_signed(session, row):
            raise SignedCaseNotReturned()
        row.return_reason = reason or row.return_reason
        if reason:
            extra["reason_sha256"] = hashlib.sha256(reason.encode()).hexdigest()
    if target is DossierState.DA_TIEP_NHAN and row.received_at is None:
        row.received_at = now()
    if target is DossierState.CO_KET_QUA and row.result_at is None:
        row.result_at = now()
    _note(session, row.id, None, source, target, actor, rule, extra)
    _set_state(session, row, target)
    if row is not dossier:  # the caller's copy is from another session: keep it true
        for name in ("state", "return_reason", "received_at", "result_at"):
            setattr(dossier, name, getattr(row, name))
    return True


def move_document(
    session: Session,
    document: Document,
    target: DocumentState,
    *,
    actor: str,
    rule: str = "",
    details: Mapping[str, Any] | None = None,
) -> bool:
    """Move a document to `target`. True: moved; False: it was there already (no audit entry).

    Raises InvalidTransition; FailedCaseNotSigned for DA_KY_CO_QUAN when its dossier was returned, refused, withdrawn.
    """
    if target is DocumentState.DA_KY_CO_QUAN:
        # The dossier is locked first, so that it can't be returned while this signature is recorded.
        dossier = locked(session, Dossier, document.dossier_id, key_share=True)
        if dossier.state in DOSSIER_FAILED:
            raise FailedCaseNotSigned(state=STATES[dossier.state])
    row = locked(session, Document, document.id, key_share=True)
    source = row.state
    if source is target:
        return False
    if target not in DOCUMENT_MOVES[source]:
        raise InvalidTransition(source=source.value, target=target.value)
    _note(session, row.dossier_id, row.id, source, target, actor, rule, details)
    _set_state(session, row, target)
    if row is not document:
        document.state = target
    return True


_MOVING = "sohoa.moving"


def _has_signed(session: Session, dossier: Dossier) -> bool:
    query = select(Document.id).where(
        Document.dossier_id == dossier.id, col(Document.state).in_(sorted(DOCUMENT_SIGNED))
    )
    return session.exec(query.limit(1)).first() is not None


def _set_state(session: Session, row: Dossier | Document, target: StrEnum) -> None:
    session.info.setdefault(_MOVING, set()).add((row.id, target))
    row.state = target  # type: ignore[assignment]
    session.add(row)
    session.flush()
    session.info[_MOVING].discard((row.id, target))


def _note(
    session: Session,
    dossier_id: Any,
    document_id: Any,
    source: StrEnum,
    target: StrEnum,
    actor: str,
    rule: str,
    details: Mapping[str, Any] | None,
) -> None:
    audit(
        session,
        actor=actor,
        action="transition",
        dossier_id=dossier_id,
        document_id=document_id,
        rule=rule,
        details=details,
        source_state=source.value,
        target_state=target.value,
    )


@event.listens_for(Session, "before_flush")
def _only_here(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    """Refuse a state that was assigned past the state machine."""
    for row in session.dirty:
        if not isinstance(row, Dossier | Document):
            continue
        instance = inspect(row)
        if instance is not None and instance.attrs.state.history.has_changes():
            moving: set[Any] = session.info.get(_MOVING, set())
            if (row.id, row.state) not in moving:
                raise StateChangedElsewhere(f"{type(row).__name__} {row.id}: use blocks.records.machine")
