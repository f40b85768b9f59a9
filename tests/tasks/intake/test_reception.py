"""B1–B3a, WH01/02, P01, CA04: what is received, what waits, what is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import OfficerNotAssigned
from blocks.errors import InvalidTransition
from blocks.portal import AccountStatus, Portal
from blocks.records import RecordsDatabase
from blocks.records.machine import ReasonMissing
from blocks.records.states import DossierState, OwnerKind
from blocks.records.tables import AuditEntry, Custody, Document, Dossier, Incident
from tasks.intake.reception import ACCOUNT_GUIDANCE, check_account, receive, refuse
from tests.support.portal_server import portal_server, reply
from tests.tasks.lawcase import RECEIVED, get_case, make_dossier

CATALOG = Catalog()
SICKNESS = ["LOCAL:C65-HD", "LOCAL:01B-HSB"]
H = DossierState


def test_B3a_P01_a_complete_dossier_is_received_once(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, SICKNESS)
    report = receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED)
    assert report.accepted and report.problems == [] and report.state is H.DA_TIEP_NHAN
    assert report.code == "BHXH-TEST-261120-0001"
    assert report.due_date == date(2026, 12, 1)  # six working days, 24/11 is a day off
    assert receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED) == report
    dossier = get_case(records, dossier_id)
    assert dossier.received_at == RECEIVED and dossier.procedure_valid_from == date(2020, 3, 6)
    with records.session() as session:
        custody = session.exec(select(Custody)).one()
        assert (custody.place, custody.received_by) == ("COUNTER", "tnhs.01")


def test_P01_codes_are_unique_when_counters_work_at_the_same_time(records: RecordsDatabase) -> None:
    ids = [make_dossier(records, SICKNESS)[0] for _ in range(12)]

    def received(dossier_id: UUID) -> str | None:
        return receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED).code

    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(received, [*ids, *ids]))
    assert len(set(codes)) == 12 and codes[:12] == codes[12:]


@pytest.mark.parametrize(
    ("types", "values", "codes"),
    [
        (["LOCAL:C65-HD"], {}, {"COMPONENT_MISSING"}),
        (SICKNESS, {"originals_declared": 3}, {"ORIGINALS_COUNT"}),
        (SICKNESS, {"procedure_code": "9.999999"}, {"PROCEDURE_UNKNOWN"}),
        (["LOCAL:C65-HD", "LOCAL:KHONG-CO"], {}, {"TYPE_UNKNOWN"}),  # it may be the 01B-HSB
        (["LOCAL:KHONG-CO"], {}, {"TYPE_UNKNOWN", "COMPONENT_MISSING"}),
        (["LOCAL:KHONG-CO"], {"procedure_code": "x", "originals_declared": 7}, {"TYPE_UNKNOWN", "PROCEDURE_UNKNOWN", "ORIGINALS_COUNT"}),  # noqa: E501
    ],
)  # fmt: skip
def test_B3a_CA04_what_is_wrong_is_collected_and_waits_for_a_supplement(
    records: RecordsDatabase, types: list[str], values: dict[str, Any], codes: set[str]
) -> None:
    dossier_id, _ = make_dossier(records, types, **values)
    report = receive(records, CATALOG, dossier_id, "tnhs.01")
    assert {problem.code for problem in report.problems} == codes
    assert all("vui lòng" in problem.text for problem in report.problems)
    assert not report.accepted and report.state is H.BO_SUNG_TRUOC and report.code is None
    with records.session() as session:
        entries = len(session.exec(select(AuditEntry)).all())
    assert receive(records, CATALOG, dossier_id, "tnhs.01") == report
    with records.session() as session:
        assert len(session.exec(select(AuditEntry)).all()) == entries


def test_CA04_only_papers_that_will_be_captured_are_counted(records: RecordsDatabase) -> None:
    shown = {"type_code": "LOCAL:CCCD", "show_only": True}
    shared = {"type_code": "LOCAL:GIAY-KHAI-SINH", "shared_as_data": "CSDL hộ tịch"}
    dossier_id, _ = make_dossier(records, [*SICKNESS, shown, shared], originals_declared=2)
    assert receive(records, CATALOG, dossier_id, "tnhs.01").accepted


def test_B3a_a_supplement_is_checked_again(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    assert not receive(records, CATALOG, dossier_id, "tnhs.01").accepted
    with records.session() as session:
        session.add(Document(dossier_id=dossier_id, ordinal=2, type_code="LOCAL:01B-HSB", declared_pages=1))
        dossier = session.get_one(Dossier, dossier_id)
        dossier.originals_declared, dossier.revision = 2, 2
        session.add(dossier)
    assert receive(records, CATALOG, dossier_id, "tnhs.01").accepted


@pytest.mark.parametrize("actor", ["ai.do", "gq.01", "ld.01"])
def test_WH01_who_is_not_assigned_is_refused_and_audited(records: RecordsDatabase, actor: str) -> None:
    dossier_id, _ = make_dossier(records, SICKNESS)
    for _ in range(2):
        with pytest.raises(OfficerNotAssigned):
            receive(records, CATALOG, dossier_id, actor)
    assert get_case(records, dossier_id).state is H.NHAP
    with records.session() as session:
        incident = session.exec(select(Incident)).one()
        assert (incident.code, incident.rule) == ("OFFICER_NOT_ASSIGNED", "WH01")
        entry = session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "WH01")).one()
        assert entry.actor == actor


def test_WH02_postal_staff_by_delegation_until_its_last_day(
    records: RecordsDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = make_dossier(records, SICKNESS)
    assert receive(records, CATALOG, first, "buudien.01", at=RECEIVED).accepted
    office = tmp_path / "staff.yaml"
    office.write_text(
        "staff: []\ndelegations: [{id: buudien.01, units: [BHXH-TEST], roles: [RECEIVE], delegated_by: ld.01, "
        "document: 12/UQ, valid_from: 2026-01-01, valid_to: 2026-11-19}]\n"
    )
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(office))
    second, _ = make_dossier(records, SICKNESS)
    with pytest.raises(OfficerNotAssigned):
        receive(records, CATALOG, second, "buudien.01", at=RECEIVED)


def test_B3a_refusal_in_writing_with_a_code_to_look_up(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    receive(records, CATALOG, dossier_id, "tnhs.01")
    with pytest.raises(ReasonMissing):
        refuse(records, dossier_id, "tnhs.01", "  ")
    report = refuse(records, dossier_id, "tnhs.01", "Thiếu mẫu 01B-HSB.")
    assert report.state is H.TU_CHOI_TIEP_NHAN and not report.accepted and report.code
    assert refuse(records, dossier_id, "tnhs.01", "Thiếu mẫu 01B-HSB.") == report
    assert get_case(records, dossier_id).return_reason == "Thiếu mẫu 01B-HSB."
    with pytest.raises(InvalidTransition):
        receive(records, CATALOG, dossier_id, "tnhs.01")


def test_CT01_transitional_mode_is_noted(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, SICKNESS, transitional=True)
    assert receive(records, CATALOG, dossier_id, "tnhs.01").transitional
    with records.session() as session:
        assert session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "CT01")).one().details["transitional"]


@pytest.mark.parametrize(
    ("says", "kept"),
    [(AccountStatus.EXISTS, "EXISTS"), (AccountStatus.NONE, "NONE"), (AccountStatus.UNAVAILABLE, "UNCHECKED")],
)
@pytest.mark.parametrize(("kind", "rule"), [(OwnerKind.PERSON, "B2a"), (OwnerKind.ORGANISATION, "B2b")])
def test_B2_the_account_check_is_recorded_and_stops_nobody(
    records: RecordsDatabase,
    monkeypatch: pytest.MonkeyPatch,
    says: AccountStatus,
    kept: str,
    kind: OwnerKind,
    rule: str,
) -> None:
    dossier_id, _ = make_dossier(records, SICKNESS, owner_kind=kind)
    with portal_server() as server:
        monkeypatch.setenv("SOHOA_PORTAL_URL", f"http://127.0.0.1:{server.server_port}")
        server.answer = reply(200, json.dumps({"status": says}).encode())
        assert check_account(records, Portal(), dossier_id, "tnhs.01") is says
        assert check_account(records, Portal(), dossier_id, "tnhs.01") is says
        assert len(server.seen) == (2 if says is AccountStatus.UNAVAILABLE else 1)  # an answer is not asked for again
    assert get_case(records, dossier_id).digital_account == kept
    assert receive(records, CATALOG, dossier_id, "tnhs.01").accepted
    assert ACCOUNT_GUIDANCE[says]
    with records.session() as session:
        assert session.exec(select(AuditEntry).where(col(AuditEntry.rule) == rule)).all()[0].details["result"] == kept


def test_B2_without_a_connection_it_is_unchecked(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOHOA_PORTAL_URL", raising=False)
    dossier_id, _ = make_dossier(records, SICKNESS)
    assert check_account(records, Portal(), dossier_id, "tnhs.01") is AccountStatus.UNAVAILABLE
    assert get_case(records, dossier_id).digital_account == "UNCHECKED"
