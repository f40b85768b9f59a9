"""Forms of the pauses: what an officer types can be kept, and who may decide is asked for the day of the decision."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from blocks.catalog.staff import Role, load_staff
from blocks.records import RecordsDatabase
from tasks.pauses.form import not_valid
from tasks.pauses.signoff import SignOff
from tasks.pauses.verification import Verification
from tasks.pauses.wait import not_assigned
from tests.tasks.lawcase import make_dossier

LAST = date(2026, 12, 31)


@pytest.fixture
def delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person = {"id": "buudien.01", "units": ["BHXH-TEST"], "roles": ["RECEIVE"], "valid_from": date(2026, 3, 1)}
    delegation = person | {"delegated_by": "ld.01", "document": "12/GUQ-BHXH", "valid_to": LAST}
    assigned = {"id": "tnhs.09", "units": ["BHXH-TEST"], "roles": ["RECEIVE"], "valid_from": date(2026, 1, 1)}
    office = {"staff": [assigned | {"valid_to": date(2026, 5, 31)}], "delegations": [delegation]}
    (tmp_path / "staff.yaml").write_text(yaml.safe_dump(office, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(tmp_path / "staff.yaml"))


@pytest.mark.parametrize(
    ("officer", "on", "told"),
    [
        ("buudien.01", date(2026, 3, 1), None),
        ("buudien.01", LAST, None),
        ("buudien.01", date(2027, 1, 1), "Ủy quyền theo văn bản 12/GUQ-BHXH đã hết hiệu lực sau ngày 31/12/2026"),
        ("buudien.01", date(2026, 2, 28), "Ủy quyền theo văn bản 12/GUQ-BHXH chỉ có hiệu lực từ ngày 01/03/2026"),
        ("tnhs.09", date(2026, 6, 1), "Phân công đã hết hiệu lực sau ngày 31/05/2026"),
        ("ai.do", LAST, "Viên chức này chưa được phân công việc này tại đơn vị"),
    ],
)
def test_WH01_WH02_the_day_of_the_decision_counts(
    records: RecordsDatabase,
    delegated: None,
    monkeypatch: pytest.MonkeyPatch,
    officer: str,
    on: date,
    told: str | None,
) -> None:
    monkeypatch.setattr(RecordsDatabase, "get", lambda: records)
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    faults = not_assigned(dossier_id, officer, Role.RECEIVE, on)
    assert (faults == []) if told is None else faults[0].startswith(told)


def test_WH02_an_own_assignment_comes_before_a_delegation(delegated: None) -> None:
    staff = load_staff()
    held = staff.assignment("buudien.01", "BHXH-TEST", Role.RECEIVE, LAST)
    assert held is not None and held.named == "Ủy quyền theo văn bản 12/GUQ-BHXH"
    both = staff.model_copy(update={"staff": (*staff.staff, held.model_copy(update={"valid_to": None}))})
    own = both.assignment("buudien.01", "BHXH-TEST", Role.RECEIVE, LAST)
    assert own is both.staff[-1]


def test_a_nul_does_not_fail_the_run_that_keeps_the_decision() -> None:
    assert SignOff(decision="TRA_LAI", reason="a\0b").reason == "ab"  # type: ignore[arg-type]
    typed = {"component": 1, "field": "issuer", "value": "B\0V"}
    said = Verification.model_validate({"decision": "DUYET", "corrections": [typed], "result": ["Điều\0 1"]})
    assert (said.corrections[0].value, said.result) == ("BV", ["Điều 1"])


def test_a_form_that_is_not_valid_is_told_in_the_officers_words_only() -> None:
    with pytest.raises(ValidationError) as wrong:
        SignOff.model_validate({"decision": "X", "Nguyễn Văn A": "1"})
    assert not_valid(SignOff, wrong.value) == "Mục chưa hợp lệ: Quyết định; có mục mà biểu mẫu không có."
