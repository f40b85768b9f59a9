"""The dated catalogue: what it holds, that it refers to nothing that is missing, and how it counts working days."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from blocks.catalog import (
    CalendarUnknown,
    Catalog,
    CatalogueInvalid,
    ProcedureUnknown,
    ResultUnknown,
    TypeUnknown,
)
from blocks.catalog.block import DATA, read_catalogue
from blocks.catalog.staff import Role, Staff, load_staff
from blocks.records import RecordsDatabase
from blocks.records.tables import CatalogueEntry

ON = date(2026, 11, 23)
CATALOG = Catalog()
TWELVE = {
    "1.001667",
    "2.000693",
    "1.001598",
    "1.001613",
    "1.002759",
    "1.001939",
    "1.002051",
    "1.002179",
    "1.001656",
    "2.000821",
    "1.001742",
    "1.001632",
}
CONTRACT_TYPES = (
    "GIAY-RA-VIEN",
    "GIAY-CHUNG-SINH",
    "GIAY-KHAI-SINH",
    "TRICH-LUC-KHAI-SINH",
    "C65-HD",
    "01B-HSB",
    "14-HSB",
    "09-HSB",
    "04-HSB",
    "05A-HSB",
    "TK1-TS",
    "D01-TS",
    "D02-TS",
    "D03-TS",
    "SO-BHXH",
    "THE-BHYT",
    "CCCD",
    "QUYET-DINH-HUONG",
    "GIAY-CHUNG-TU",
    "HOA-DON",
    "BIEN-BAN-GIAM-DINH",
    "VAN-BAN-HANH-CHINH",
)


def test_P10_twelve_procedures_with_days_components_results_and_source() -> None:
    assert {entry.code for entry in CATALOG.procedures(ON)} >= TWELVE
    for procedure in CATALOG.procedures(ON):
        assert procedure.source and procedure.department and procedure.working_days
        for group in procedure.components:
            assert all(CATALOG.document_type(code, ON) for code in group.any_of)
        assert all(CATALOG.result(code, ON) for code in procedure.results)


def test_EXa_every_type_of_the_contract_and_only_local_codes_say_local() -> None:
    for code in CONTRACT_TYPES:
        assert CATALOG.document_type(f"LOCAL:{code}", ON).local
    for result in CATALOG.content.results:
        assert result.local == result.code.startswith("LOCAL:")


def test_B3a_alternatives_and_one_paper_fulfils_one_group() -> None:
    sickness = CATALOG.procedure("1.001667", ON)
    assert sickness.missing(["LOCAL:C65-HD", "LOCAL:01B-HSB"]) == []
    assert sickness.missing(["LOCAL:GIAY-RA-VIEN", "LOCAL:01B-HSB"]) == []
    assert [g.any_of for g in sickness.missing(["LOCAL:GIAY-RA-VIEN"])] == [("LOCAL:01B-HSB",)]
    assert CATALOG.procedure("1.002759", ON).missing(["LOCAL:TK1-TS"]) == []


def test_P10_unknown_codes_and_days_before_the_catalogue_are_refused() -> None:
    with pytest.raises(ProcedureUnknown) as refused:
        CATALOG.procedure("9.999999", ON)
    assert refused.value.code == "PROCEDURE_UNKNOWN" and "9.999999" in refused.value.text
    with pytest.raises(ProcedureUnknown):
        CATALOG.procedure("1.001667", date(2019, 1, 1))
    with pytest.raises(TypeUnknown) as unknown:
        CATALOG.document_type("LOCAL:KHONG-CO", ON)
    assert unknown.value.code == "TYPE_UNKNOWN"
    with pytest.raises(ResultUnknown):
        CATALOG.result("KQ.G24.999999", ON)


def test_LU06_unknown_retention_class_is_for_ever() -> None:
    assert CATALOG.retention("NOBODY-KNOWS", ON).code == "forever"
    assert CATALOG.retention(None, ON).years is None
    assert CATALOG.retention("LOCAL:LT-THE", ON).years == 20


def test_SC03_no_list_in_force_is_not_a_no() -> None:
    assert CATALOG.listed("LOCAL:GIAY-RA-VIEN", ON) is True
    assert CATALOG.listed("LOCAL:CCCD", ON) is False
    assert CATALOG.listed("LOCAL:GIAY-RA-VIEN", date(2023, 1, 1)) is None


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        (date(2026, 11, 20), 5, date(2026, 11, 30)),  # a weekend, and 24/11 is a day off from 2026
        (date(2026, 2, 13), 1, date(2026, 2, 23)),  # over Tết Bính Ngọ
        (date(2026, 8, 21), 1, date(2026, 8, 22)),  # a Saturday worked in exchange for 31/8
        (date(2026, 8, 28), 1, date(2026, 9, 3)),
        (date(2025, 12, 31), 1, date(2026, 1, 2)),
    ],
)
def test_due_dates(received: date, days: int, due: date) -> None:
    assert CATALOG.due_date(received, days) == due


def test_a_due_date_is_never_guessed_beyond_the_known_years() -> None:
    with pytest.raises(CalendarUnknown):
        CATALOG.due_date(date(2030, 12, 30), 10)


@given(st.dates(date(2023, 1, 1), date(2030, 6, 1)), st.integers(1, 60))
def test_due_date_is_a_working_day_and_counts_exactly(start: date, days: int) -> None:
    due = CATALOG.due_date(start, days)
    between = [start + timedelta(days=n) for n in range(1, (due - start).days + 1)]
    assert CATALOG.is_working_day(due)
    assert sum(CATALOG.is_working_day(day) for day in between) == days


def _broken(tmp_path: Path, name: str, old: str, new: str) -> Path:
    folder = tmp_path / "catalogue"
    shutil.copytree(DATA, folder)
    path = folder / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("procedures", '"LOCAL:C65-HD"]', '"LOCAL:KHONG-CO"]'),  # a type that nobody knows
        ("procedures", "KQ.G24.000005", "KQ.G24.000777"),  # a result that nobody knows
        ("procedures", 'code: "1.001598"', 'code: "1.001667"'),  # twice on one day
        ("procedures", "working_days: 6", "working_days: 0"),
        ("procedures", 'code: "1.001667"', 'code: "thu-tuc"'),
        ("document_types", '"LOCAL:GIAY-RA-VIEN", local: true', '"GIAY-RA-VIEN", local: true'),  # poses as official
        ("document_types", 'retention: "LOCAL:LT-CHE-DO"', "retention: nowhere"),
        ("results", "KQ.G24.000004, name", "KQ.G24.4, name"),
        ("digitise_lists", "LOCAL:C65-HD", "LOCAL:KHONG-CO"),
        ("holidays", "2023-01-02: T", "2024-01-02: T"),
        ("retention", "valid_from: 2020-03-06", "valid_from: 2020-03-06, valid_to: 2020-03-05"),
        ("results", "results:", "results: ["),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(tmp_path: Path, name: str, old: str, new: str) -> None:
    with pytest.raises(CatalogueInvalid):
        read_catalogue(_broken(tmp_path, name, old, new))


def test_P11_a_new_entry_applies_from_its_day(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(DATA, folder)
    path = folder / "procedures.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    old = next(entry for entry in content["procedures"] if entry["code"] == "1.001667")
    content["procedures"].append(old | {"valid_from": date(2027, 1, 1), "working_days": 4})
    old["valid_to"] = date(2026, 12, 31)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    catalog = Catalog(folder=folder)
    assert catalog.procedure("1.001667", date(2026, 12, 31)).working_days == 6
    assert catalog.procedure("1.001667", date(2027, 1, 1)).working_days == 4


def test_P11_load_into_records_is_idempotent_and_keeps_corrections(records: RecordsDatabase, tmp_path: Path) -> None:
    first = CATALOG.load_into(records)
    assert first > 40 and CATALOG.load_into(records) == 0
    changed = Catalog(folder=_broken(tmp_path, "retention", "years: 20", "years: 30"))
    assert changed.load_into(records) == 1
    with records.session() as session:
        rows = session.exec(select(CatalogueEntry)).all()
        assert len(rows) == first and {row.kind for row in rows} >= {"procedure", "document_type", "result"}
        assert all(row.source for row in rows)


def test_WH01_WH02_assignments_and_delegations_by_unit_role_and_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = load_staff()
    assert staff.may("tnhs.01", "BHXH-TEST", Role.RECEIVE, ON)
    assert not staff.may("tnhs.01", "BHXH-OTHER", Role.RECEIVE, ON)
    assert not staff.may("tnhs.01", "BHXH-TEST", Role.LEAD, ON)
    assert staff.may("buudien.01", "BHXH-TEST", Role.RECEIVE, ON)
    assert not staff.may("buudien.01", "BHXH-TEST", Role.RECEIVE, date(2031, 1, 1))
    assert not staff.may("ai.do", "BHXH-TEST", Role.RECEIVE, ON)
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    assert load_staff() == Staff()  # nobody is assigned until the office says who
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(tmp_path / "missing.yaml"))
    with pytest.raises(CatalogueInvalid):
        load_staff()
