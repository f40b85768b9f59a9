"""The summary of a dossier: times, decisions, papers and signatures, and nobody's name (WH04)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import record_decision
from blocks.records.state_names import STATES
from blocks.records.states import DossierState
from tasks.monitoring.case_report import _span, report_dossier
from tests.tasks.lawcase import OWNER_ID, get_case, make_dossier, put_signed, walk_dossier


def test_WH04_the_summary_names_states_decisions_and_papers(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:C65-HD"])
    put_signed(records, objects, ids[0])
    walk_dossier(records, dossier_id, DossierState.THAM_DINH)
    with records.session() as session:
        record_decision(session, dossier_id=dossier_id, stage="verification-1", decision="DUYET", reason=None,
                        officer="gq.01", role="verification", payload={})  # fmt: skip
    told = report_dossier(records, dossier_id)
    case = get_case(records, dossier_id)
    assert STATES[case.state] in told and "2 giấy tờ" in told
    assert "| Thẩm định hồ sơ, xác nhận dữ liệu bóc tách | duyệt |" in told
    assert "LOCAL:GIAY-RA-VIEN" in told and "AGENCY" in told and "(thử nghiệm)" in told
    assert "| đang số hóa | 0 phút" in told  # how long it was there
    assert OWNER_ID not in told and "gq.01" not in told and (not case.owner_name or case.owner_name not in told)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(5, "0 phút 5 giây"), (3700, "1 giờ 1 phút"), (200_000, "2 ngày 7 giờ")]
)
def test_spans(seconds: int, wanted: str) -> None:
    now = datetime.now(UTC)
    assert _span(now, now + timedelta(seconds=seconds)) == wanted
