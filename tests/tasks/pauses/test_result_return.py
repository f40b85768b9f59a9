"""B5: a result is returned when somebody tells how, to whom, and what proves it."""

from __future__ import annotations

import pytest

from blocks.records import RecordsDatabase
from tasks.pauses.result_return import ResultReturn, ReturnDecision, ReturnWay, check
from tests.tasks.lawcase import make_dossier

WHOLE = {
    ReturnWay.TRUC_TIEP: {"receiver": "Vũ Đình Khuê", "identity_checked": True},
    ReturnWay.BUU_CHINH: {"reference": "EK123456789VN"},
    ReturnWay.TAI_KHOAN: {"reference": "G22.99.2-0001"},
}


def faults(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, transitional: bool = False, **form: object
) -> list[str]:
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    dossier_id, _ = make_dossier(records, [], transitional=transitional)
    return check(dossier_id, ResultReturn.model_validate({"decision": "DA_TRA", "officer": "tnhs.01", **form}))


@pytest.mark.parametrize("way", WHOLE)
def test_B5a_B5b_each_way_is_told_by_what_proves_it(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, way: ReturnWay
) -> None:
    assert faults(records, monkeypatch, way=way, **WHOLE[way]) == []
    for missing in WHOLE[way]:
        told = {name: value for name, value in WHOLE[way].items() if name != missing}
        (fault,) = faults(records, monkeypatch, way=way, **told)
        assert fault.startswith("Vui lòng")


def test_CT03_by_mail_only_in_the_time_of_transition(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    by_mail = {"way": ReturnWay.THU_DIEN_TU, "reference": "khue@example.vn"}
    (fault,) = faults(records, monkeypatch, **by_mail)
    assert "chuyển tiếp" in fault
    assert faults(records, monkeypatch, transitional=True, **by_mail) == []
    (fault,) = faults(records, monkeypatch, transitional=True, way=ReturnWay.THU_DIEN_TU)
    assert "thư điện tử" in fault


def test_B5a_nothing_is_returned_without_a_way() -> None:
    with pytest.raises(ValueError, match="way"):
        ResultReturn.model_validate({"decision": ReturnDecision.DA_TRA, "officer": "tnhs.01"})
