"""The state machines against an own transcript of docs/formats.md, "States"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from blocks.errors import InvalidTransition
from blocks.records import RecordsDatabase
from blocks.records.machine import (
    DOCUMENT_MOVES,
    DOSSIER_MOVES,
    PUBLIC_STATUS,
    FailedCaseNotSigned,
    ReasonMissing,
    SignedCaseNotReturned,
    StateChangedElsewhere,
    move_document,
    move_dossier,
)
from blocks.records.queries import get_document, get_dossier
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import AuditEntry, Document, Dossier
from tests.blocks.records.conftest import new_document, new_dossier
from tests.blocks.records.race import race

DOSSIER_WAY = """
NHAP: KIEM_TRA TRA_LAI RUT
KIEM_TRA: BO_SUNG_TRUOC TU_CHOI_TIEP_NHAN DA_TIEP_NHAN TRA_LAI RUT
BO_SUNG_TRUOC: KIEM_TRA TU_CHOI_TIEP_NHAN TRA_LAI RUT
TU_CHOI_TIEP_NHAN:
DA_TIEP_NHAN: SO_HOA TRA_LAI RUT
SO_HOA: CHO_LANH_DAO_SO_HOA DA_CHUYEN TRA_LAI RUT
CHO_LANH_DAO_SO_HOA: SO_HOA TRA_LAI RUT
DA_CHUYEN: THAM_DINH TRA_LAI RUT
THAM_DINH: CHO_Y_KIEN BO_SUNG TRINH_KY TRA_LAI RUT
CHO_Y_KIEN: THAM_DINH TRA_LAI RUT
BO_SUNG: THAM_DINH TRA_LAI RUT
TRINH_KY: KY_CO_QUAN THAM_DINH TRA_LAI RUT
KY_CO_QUAN: CO_KET_QUA TRA_LAI RUT
CO_KET_QUA: DA_TRA
DA_TRA: LUU_TRU
LUU_TRU:
TRA_LAI:
RUT:
"""
# X = DA_LUU_KHONG_GIA_TRI (failed case), S = CACH_LY_MAT (secret stamp)
DOCUMENT_WAY = """
KHAI_BAO: PHAN_LOAI X
PHAN_LOAI: NGOAI_PHAM_VI TAI_SU_DUNG DE_HONG XIN_Y_KIEN CHO_SAO_CHUP S X
NGOAI_PHAM_VI:
TAI_SU_DUNG:
DE_HONG: CHO_SAO_CHUP XIN_Y_KIEN S X
XIN_Y_KIEN: KHONG_SO_HOA DE_HONG CHO_SAO_CHUP S X
KHONG_SO_HOA:
CACH_LY_MAT:
CHO_SAO_CHUP: DA_SAO_CHUP S X
DA_SAO_CHUP: CHUP_LAI DAT_KIEM_TRA S X
CHUP_LAI: DA_SAO_CHUP S X
DAT_KIEM_TRA: DA_KY_CA_NHAN CHUP_LAI S X
DA_KY_CA_NHAN: OCR NHAP_TAY NGHI_MAT S X
NGHI_MAT: DA_KY_CA_NHAN S
OCR: CHO_XAC_NHAN NHAP_TAY S X
NHAP_TAY: CHO_XAC_NHAN S X
CHO_XAC_NHAN: DA_BOC_TACH CHUP_LAI S X
DA_BOC_TACH: DA_CAP_MA S X
DA_CAP_MA: CHO_KET_QUA S X
CHO_KET_QUA: DA_KY_CO_QUAN CHO_XAC_NHAN S X
DA_KY_CO_QUAN: DA_LUU
DA_LUU: HIEN_THI_KHO DA_LUU_CHUA_DINH_DANH
HIEN_THI_KHO:
DA_LUU_CHUA_DINH_DANH: HIEN_THI_KHO
DA_LUU_KHONG_GIA_TRI:
"""
SHORT = {"X": "DA_LUU_KHONG_GIA_TRI", "S": "CACH_LY_MAT"}


def parse(text: str) -> dict[str, set[str]]:
    rows = (line.partition(":") for line in text.strip().splitlines())
    return {name: {SHORT.get(word, word) for word in rest.split()} for name, _, rest in rows}


WALKS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def transitions(db: RecordsDatabase, dossier_id: UUID) -> list[tuple[str | None, str | None]]:
    with db.session() as session:
        query = select(AuditEntry).where(AuditEntry.dossier_id == dossier_id, AuditEntry.action == "transition")
        return [(e.source_state, e.target_state) for e in session.exec(query.order_by(col(AuditEntry.seq)))]


def test_ST01_tables_are_those_of_the_requirements() -> None:
    assert {k.value: {v.value for v in moves} for k, moves in DOSSIER_MOVES.items()} == parse(DOSSIER_WAY)
    assert {k.value: {v.value for v in moves} for k, moves in DOCUMENT_MOVES.items()} == parse(DOCUMENT_WAY)


def draw_target(data: st.DataObject, allowed: set[str], states: type[DossierState] | type[DocumentState]) -> str:
    """Mostly an allowed move, so that walks get far; else any state."""
    on_the_way = sorted(allowed - {"TRA_LAI", "RUT", *SHORT.values()})
    if on_the_way and data.draw(st.integers(0, 9)) < 7:
        return data.draw(st.sampled_from(on_the_way))
    return data.draw(st.sampled_from([state.value for state in states]))


def walk(
    data: st.DataObject,
    row: Dossier | Document,
    way: dict[str, set[str]],
    states: type[DossierState] | type[DocumentState],
    move: Callable[[Any], bool],
) -> list[tuple[str, str]]:
    """Moves by chance: only allowed ones succeed. Returns them."""
    state, walked = row.state.value, []
    for _ in range(data.draw(st.integers(1, 22))):
        target = draw_target(data, way[state], states)
        if target == state:
            assert move(states(target)) is False
        elif target in way[state]:
            assert move(states(target)) is True
            walked.append((state, target))
            state = target
        else:
            with pytest.raises(InvalidTransition):
                move(states(target))
        assert row.state.value == state
    return walked


@WALKS
@given(data=st.data())
def test_ST01_dossier_walks(db: RecordsDatabase, data: st.DataObject) -> None:
    """Only allowed moves succeed, each leaves exactly one audit row, a final state is final."""
    dossier_id = new_dossier(db)
    with db.session() as session:
        dossier = get_dossier(session, dossier_id)
        move = partial(move_dossier, session, dossier, actor="gq.01", reason="Thiếu giấy tờ")
        walked = walk(data, dossier, parse(DOSSIER_WAY), DossierState, move)
    assert transitions(db, dossier_id) == walked


@WALKS
@given(data=st.data())
def test_ST01_document_walks(db: RecordsDatabase, data: st.DataObject) -> None:
    dossier_id = new_dossier(db, DossierState.KY_CO_QUAN)
    document_id = new_document(db, dossier_id)
    with db.session() as session:
        document = get_document(session, document_id)
        move = partial(move_document, session, document, actor="gq.01")
        walked = walk(data, document, parse(DOCUMENT_WAY), DocumentState, move)
    assert transitions(db, dossier_id) == walked


def test_ST01_capture_extract_code_store_strictly(db: RecordsDatabase) -> None:
    """Every way from declaration to the repository passes capture, extraction, coding and storage in that order."""
    order = ["DA_SAO_CHUP", "DA_KY_CA_NHAN", "CHO_XAC_NHAN", "DA_BOC_TACH", "DA_CAP_MA", "DA_KY_CO_QUAN", "DA_LUU"]
    way = parse(DOCUMENT_WAY)
    for missing in order:
        reached, frontier = {"KHAI_BAO"}, ["KHAI_BAO"]
        while frontier:
            for target in way[frontier.pop()] - reached - {missing}:
                reached.add(target)
                frontier.append(target)
        assert "HIEN_THI_KHO" not in reached
        assert not reached & set(order[order.index(missing) + 1 :])


@pytest.mark.parametrize("reason", [None, "", " \n"])
def test_B4c_return_needs_written_reasons(db: RecordsDatabase, reason: str | None) -> None:
    dossier_id = new_dossier(db, DossierState.THAM_DINH)
    with pytest.raises(ReasonMissing), db.session() as session:
        move_dossier(session, get_dossier(session, dossier_id), DossierState.TRA_LAI, actor="gq.01", reason=reason)
    assert transitions(db, dossier_id) == []


def test_B4c_reasons_stay_out_of_the_trail(db: RecordsDatabase) -> None:
    """WH04: officers may write names into reasons; the trail only anchors them by hash."""
    dossier_id = new_dossier(db, DossierState.THAM_DINH)
    reason = "Giấy ra viện của bà Nguyễn Thị Bích Vân thiếu dấu"
    with db.session() as session:
        move_dossier(session, get_dossier(session, dossier_id), DossierState.TRA_LAI, actor="gq.01", reason=reason)
    with db.session() as session:
        assert get_dossier(session, dossier_id).return_reason == reason
        entry = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier_id)).one()
        assert list(entry.details) == ["reason_sha256"]


@pytest.mark.parametrize("failed", [DossierState.TRA_LAI, DossierState.TU_CHOI_TIEP_NHAN, DossierState.RUT])
def test_EX17_failed_case_is_never_agency_signed(db: RecordsDatabase, failed: DossierState) -> None:
    document_id = new_document(db, new_dossier(db, failed), DocumentState.CHO_KET_QUA)
    with pytest.raises(FailedCaseNotSigned), db.session() as session:
        move_document(session, get_document(session, document_id), DocumentState.DA_KY_CO_QUAN, actor="system")
    with db.session() as session:
        assert get_document(session, document_id).state is DocumentState.CHO_KET_QUA
        assert move_document(
            session, get_document(session, document_id), DocumentState.DA_LUU_KHONG_GIA_TRI, actor="system"
        )


def test_EX17_signed_case_is_not_returned(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db, DossierState.KY_CO_QUAN)
    new_document(db, dossier_id, DocumentState.DA_KY_CO_QUAN)
    for target in (DossierState.TRA_LAI, DossierState.RUT):
        with pytest.raises(SignedCaseNotReturned), db.session() as session:
            move_dossier(session, get_dossier(session, dossier_id), target, actor="gq.01", reason="Sai sót")


def move_in_own_session(db: RecordsDatabase, dossier_id: UUID, target: DossierState) -> bool:
    with db.session() as session:
        return move_dossier(session, get_dossier(session, dossier_id), target, actor="gq.01", reason="Theo đơn")


def test_ST01_of_many_equal_moves_one_wins(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    results = race(*[partial(move_in_own_session, db, dossier_id, DossierState.KIEM_TRA)] * 8)
    assert sorted(map(str, results)) == ["False"] * 7 + ["True"]
    assert transitions(db, dossier_id) == [("NHAP", "KIEM_TRA")]


def test_ST01_of_two_different_moves_one_wins(db: RecordsDatabase) -> None:
    for _ in range(5):
        dossier_id = new_dossier(db, DossierState.TRINH_KY)
        results = race(
            partial(move_in_own_session, db, dossier_id, DossierState.TRA_LAI),
            partial(move_in_own_session, db, dossier_id, DossierState.RUT),
        )
        assert results.count(True) == 1
        assert [type(r) for r in results if r is not True] == [InvalidTransition]
        assert len(transitions(db, dossier_id)) == 1


def test_EX17_of_returning_and_signing_one_wins(db: RecordsDatabase) -> None:
    def sign(document_id: UUID) -> bool:
        with db.session() as session:
            document = get_document(session, document_id)
            return move_document(session, document, DocumentState.DA_KY_CO_QUAN, actor="system")

    for _ in range(8):
        dossier_id = new_dossier(db, DossierState.KY_CO_QUAN)
        document_id = new_document(db, dossier_id, DocumentState.CHO_KET_QUA)
        results = race(partial(move_in_own_session, db, dossier_id, DossierState.TRA_LAI), partial(sign, document_id))
        assert results.count(True) == 1
        assert [type(r) for r in results if r is not True] in ([FailedCaseNotSigned], [SignedCaseNotReturned])


def test_ST01_an_old_copy_does_not_decide(db: RecordsDatabase) -> None:
    """The database's state counts, not the one that the caller read earlier (in this or another session)."""
    dossier_id = new_dossier(db)
    with db.session() as session:
        stale = get_dossier(session, dossier_id)
        move_in_own_session(db, dossier_id, DossierState.KIEM_TRA)
        assert stale.state is DossierState.NHAP
        assert move_dossier(session, stale, DossierState.KIEM_TRA, actor="gq.01") is False
        assert move_dossier(session, stale, DossierState.DA_TIEP_NHAN, actor="gq.01") is True
    with db.session() as session:
        assert move_dossier(session, stale, DossierState.SO_HOA, actor="gq.01") is True  # detached
        assert stale.state is DossierState.SO_HOA
    with db.session() as session:
        assert get_dossier(session, dossier_id).received_at is not None


def test_ST01_changes_beside_the_move_are_kept(db: RecordsDatabase) -> None:
    document_id = new_document(db, new_dossier(db), DocumentState.PHAN_LOAI)
    with db.session() as session:
        document = get_document(session, document_id)
        document.scope_rule = "SC03"
        move_document(session, document, DocumentState.CHO_SAO_CHUP, actor="system")
        document.in_scope = True
    with db.session() as session:
        document = get_document(session, document_id)
        assert (document.scope_rule, document.in_scope) == ("SC03", True)


def test_ST01_state_is_not_assigned_elsewhere(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    with pytest.raises(StateChangedElsewhere), db.session() as session:
        get_dossier(session, dossier_id).state = DossierState.DA_TRA


def test_P03_public_status() -> None:
    """The five values of QĐ 352, Điều 12, word for word, and nothing for the other states."""
    shown = {state.value: status.value for state, status in PUBLIC_STATUS.items()}
    assert shown == {
        "DA_TIEP_NHAN": "Bảo hiểm xã hội đã tiếp nhận hồ sơ",
        "SO_HOA": "Bảo hiểm xã hội đã tiếp nhận hồ sơ",
        "CHO_LANH_DAO_SO_HOA": "Bảo hiểm xã hội đã tiếp nhận hồ sơ",
        "DA_CHUYEN": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "THAM_DINH": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "CHO_Y_KIEN": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "BO_SUNG": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "TRINH_KY": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "KY_CO_QUAN": "Bảo hiểm xã hội đang xử lý hồ sơ",
        "CO_KET_QUA": "Bảo hiểm xã hội đã xử lý xong hồ sơ và đã có kết quả",
        "DA_TRA": "Bảo hiểm xã hội đã trả kết quả",
        "LUU_TRU": "Bảo hiểm xã hội đã trả kết quả",
        "TU_CHOI_TIEP_NHAN": "Bảo hiểm xã hội đã từ chối hồ sơ",
        "TRA_LAI": "Bảo hiểm xã hội đã từ chối hồ sơ",
    }
