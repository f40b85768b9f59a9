"""Codes of dossiers (P01)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from blocks.clock import vietnam_day
from blocks.records import RecordsDatabase
from blocks.records.codes import CODE, CodesExhausted, assign_dossier_code, issue_dossier_code
from blocks.records.queries import find_dossier, get_dossier
from blocks.records.tables import AuditEntry, DossierSequence
from tests.blocks.records.conftest import new_dossier
from tests.blocks.records.race import race

DAY = date(2026, 11, 24)


def issue(db: RecordsDatabase, unit: str, day: date = DAY) -> str:
    with db.session() as session:
        return issue_dossier_code(session, unit, day)


def test_P01_form_and_counters(db: RecordsDatabase) -> None:
    assert [issue(db, "BHXH-A") for _ in range(3)] == [f"BHXH-A-261124-000{n}" for n in (1, 2, 3)]
    assert issue(db, "BHXH-A", date(2026, 11, 25)) == "BHXH-A-261125-0001"
    assert issue(db, "BHXH-A.1") == "BHXH-A.1-261124-0001"


def test_P01_32_threads_get_consecutive_codes(db: RecordsDatabase) -> None:
    def several() -> list[str]:
        return [issue(db, "BHXH-32") for _ in range(6)]

    results = race(*[several] * 32)
    codes = [code for result in results if isinstance(result, list) for code in result]
    assert sorted(codes) == [f"BHXH-32-261124-{n:04d}" for n in range(1, 193)]


def test_P01_a_rolled_back_transaction_leaves_no_gap(db: RecordsDatabase) -> None:
    with pytest.raises(RuntimeError), db.session() as session:
        assert issue_dossier_code(session, "BHXH-GAP", DAY).endswith("-0001")
        raise RuntimeError
    assert issue(db, "BHXH-GAP") == "BHXH-GAP-261124-0001"


def test_P01_after_9999_a_clear_answer(db: RecordsDatabase) -> None:
    with db.session() as session:
        session.add(DossierSequence(unit_id="BHXH-MAX", day=DAY, last=9998))
    assert issue(db, "BHXH-MAX") == "BHXH-MAX-261124-9999"
    for _ in range(2):
        with pytest.raises(CodesExhausted, match="9999 mã hồ sơ của ngày 24/11/2026"):
            issue(db, "BHXH-MAX")
    assert issue(db, "BHXH-MAX", date(2026, 11, 25)).endswith("-0001")


def test_P01_day_is_the_viet_nam_day(db: RecordsDatabase) -> None:
    assert vietnam_day(datetime(2026, 11, 24, 16, 59, 59, tzinfo=UTC)) == date(2026, 11, 24)
    assert vietnam_day(datetime(2026, 11, 24, 17, 0, tzinfo=UTC)) == date(2026, 11, 25)
    with db.session() as session:
        late = datetime(2026, 12, 31, 18, 30, tzinfo=UTC)
        assert issue_dossier_code(session, "BHXH-NY", late) == "BHXH-NY-270101-0001"
    with pytest.raises(ValueError, match="time zone"):
        vietnam_day(datetime(2026, 11, 24))


@settings(max_examples=50, deadline=None)
@given(unit=st.text(max_size=40))
def test_P01_units_of_another_form_are_refused(unit: str) -> None:
    if unit.isascii() and unit.replace("-", "").replace(".", "").isalnum() and len(unit) <= 35:
        return
    if 0 < len(unit) <= 35 and set(unit) <= set("-."):
        return
    with Session() as session, pytest.raises(ValueError, match="unit id"):
        issue_dossier_code(session, unit, DAY)


def assign(db: RecordsDatabase, dossier_id: UUID) -> str:
    with db.session() as session:
        return assign_dossier_code(session, get_dossier(session, dossier_id), actor="tnhs.01")


def test_P01_a_dossier_gets_one_code(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db, unit="BHXH-ONE")
    results = race(*[partial(assign, db, dossier_id)] * 6)
    assert len({str(result) for result in results}) == 1
    code = str(results[0])
    match = CODE.fullmatch(code)
    assert match is not None and match["number"] == "0001" and match["unit"] == "BHXH-ONE"
    with db.session() as session:
        assert find_dossier(session, code).id == dossier_id
        assert len(session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier_id)).all()) == 1
