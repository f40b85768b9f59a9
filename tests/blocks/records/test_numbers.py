"""The register of issued results (NĐ 30/2020, Điều 15; B4e): in order, unique, once a dossier and result."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.numbers import issue_result_number
from blocks.records.tables import AuditEntry, Dossier, ResultNumber
from tests.tasks.lawcase import make_dossier

RESULT, SYMBOL = "KQ.G24.000005", "QĐ-BHXH"


def issue(records: RecordsDatabase, dossier_id: UUID, at: datetime | None = None, symbol: str = SYMBOL) -> str:
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        return issue_result_number(session, dossier, RESULT, symbol, actor="ld.01", at=at).number_symbol


def test_B4e_numbers_of_eight_writers_are_whole_and_unique(records: RecordsDatabase) -> None:
    ids = [make_dossier(records, [])[0] for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda dossier: issue(records, dossier), [*ids, *ids]))  # each asked for twice
    assert numbers[:40] == numbers[40:]
    assert sorted(numbers[:40]) == [f"{n:02d}/QĐ-BHXH" for n in range(1, 41)]
    with records.session() as session:
        assert len(session.exec(select(AuditEntry).where(AuditEntry.action == "number")).all()) == 40
        assert verify_chain(session) == []


def test_B4e_two_tasks_of_one_dossier_get_one_number(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, [])
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda _: issue(records, dossier_id), range(8)))
    assert numbers == {"01/QĐ-BHXH"}
    with records.session() as session:
        assert len(session.exec(select(ResultNumber)).all()) == 1


def test_B4e_a_rollback_leaves_no_gap(records: RecordsDatabase) -> None:
    first, second = (make_dossier(records, [])[0] for _ in range(2))
    with pytest.raises(RuntimeError), records.session() as session:
        issue_result_number(session, session.get_one(Dossier, first), RESULT, SYMBOL, actor="ld.01")
        raise RuntimeError
    assert issue(records, second) == "01/QĐ-BHXH"


def test_B4e_each_year_unit_and_symbol_begins_at_one(records: RecordsDatabase) -> None:
    ids = [make_dossier(records, [])[0] for _ in range(4)]
    other, _ = make_dossier(records, [], unit_id="BHXH-KHAC")
    new_year = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)  # midnight in Viet Nam
    assert issue(records, ids[0], datetime(2026, 12, 31, 16, 59, tzinfo=UTC)) == "01/QĐ-BHXH"
    assert issue(records, ids[1], new_year) == "01/QĐ-BHXH"
    assert issue(records, ids[2], new_year) == "02/QĐ-BHXH"
    assert issue(records, ids[3], new_year, "TB-BHXH") == "01/TB-BHXH"
    assert issue(records, other, new_year) == "01/QĐ-BHXH"
    assert issue(records, ids[0], new_year) == "01/QĐ-BHXH"  # its own, of the old year
    with pytest.raises(ValueError):
        issue(records, ids[0], new_year, "QĐ/1")


def test_B4e_the_database_refuses_a_second_number(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, [])
    issue(records, dossier_id)
    with pytest.raises(IntegrityError), records.session() as session:
        session.add(
            ResultNumber(
                unit_id="BHXH-TEST", year=2026, symbol=SYMBOL, number=77, dossier_id=dossier_id, result_code=RESULT
            )
        )
