"""B3b, B3f, B3g, SC10: what exists as data is reused; where it contradicts, the paper is taken and both are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import col, select

from blocks.portal import Portal
from blocks.records import RecordsDatabase
from blocks.records.states import FieldSource
from blocks.records.tables import AuditEntry, FieldValue
from tasks.intake.reuse import compare_shared, find_shared_data, safe_source
from tests.support.portal_server import PortalServer, portal_server, reply
from tests.tasks.lawcase import NAME, get, make_dossier, set_fields


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PortalServer]:
    with portal_server() as running:
        monkeypatch.setenv("SOHOA_PORTAL_URL", f"http://127.0.0.1:{running.server_port}")
        yield running


def items(*fields: dict[str, str], legal: bool = True, source: str = "CSDL hộ tịch điện tử") -> Any:
    made = [
        {"source": source, "reference": "r", "as_of": f"2026-11-0{n}T08:00:00+07:00", "legal_value": legal, "fields": f}
        for n, f in enumerate(fields, 1)
    ]
    return reply(200, json.dumps({"items": made}).encode())


def test_B3b_B3f_shared_data_are_reused_with_their_source(records: RecordsDatabase, server: PortalServer) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH", {"type_code": "LOCAL:CCCD", "show_only": True}])
    server.answer = items({"full_name": "Cũ"}, {"full_name": NAME.upper(), "number_symbol": "88/2026"})
    report = find_shared_data(records, Portal(), dossier_id, "tnhs.01")
    assert report.reused == [ids[0]] and report.differing == {} and len(server.seen) == 1
    assert get(records, ids[0]).shared_as_data == "CSDL hộ tịch điện tử"
    with records.session() as session:
        entry = session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "B3f")).one()
        assert entry.details["source"] == "CSDL hộ tịch điện tử" and entry.details["as_of"].startswith("2026-11-02")
        rows = {row.name: row for row in session.exec(select(FieldValue))}
        assert rows["shared.number_symbol"].value == "88/2026"
        assert {row.source for row in rows.values()} == {FieldSource.LOOKUP}
    assert find_shared_data(records, Portal(), dossier_id, "tnhs.01").reused == [] and len(server.seen) == 1


def test_SC10_data_without_legal_value_do_not_count(records: RecordsDatabase, server: PortalServer) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH"])
    server.answer = items({"full_name": NAME}, legal=False)
    assert find_shared_data(records, Portal(), dossier_id, "tnhs.01").reused == []
    assert get(records, ids[0]).shared_as_data is None


def test_B3g_a_contradiction_takes_the_paper_and_keeps_both(records: RecordsDatabase, server: PortalServer) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH"])
    server.answer = items({"full_name": NAME, "birth_date": "1998-01-02", "number_symbol": "1/A"})
    for _ in range(2):
        report = find_shared_data(records, Portal(), dossier_id, "tnhs.01")
        assert report.reused == [] and report.differing == {ids[0]: ["birth_date"]}
    assert get(records, ids[0]).shared_as_data is None
    set_fields(records, ids[0], number_symbol="2/B", full_name=NAME)
    assert compare_shared(records, ids[0], "gq.01") == ["number_symbol"]
    with records.session() as session:
        kept = {row.name: row.value for row in session.exec(select(FieldValue))}
        told = session.exec(select(AuditEntry).where(col(AuditEntry.action) == "differ")).all()
    assert [sorted(entry.details) == ["differing"] for entry in told] == [False, True]  # by the portal once, by reading
    assert (kept["number_symbol"], kept["shared.number_symbol"]) == ("2/B", "1/A")


def test_B3b_nobody_answers_and_the_case_goes_on(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOHOA_PORTAL_URL", raising=False)
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH", "LOCAL:GIAY-RA-VIEN"])
    report = find_shared_data(records, Portal(), dossier_id, "tnhs.01")
    assert (report.reused, report.unavailable) == ([], 2)


def test_WH04_no_number_of_a_person_gets_into_the_audit_by_the_source(
    records: RecordsDatabase, server: PortalServer
) -> None:
    assert safe_source("Hệ thống 001099012345 của tỉnh") == "Hệ thống … của tỉnh"
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH"])
    server.answer = items({"full_name": NAME}, source="CSDL 001099012345")
    assert find_shared_data(records, Portal(), dossier_id, "tnhs.01").reused == ids
    assert get(records, ids[0]).shared_as_data == "CSDL …"
