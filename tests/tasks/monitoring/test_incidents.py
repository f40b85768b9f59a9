"""Incidents for people: what each is, who closes it and how (LU05, WH01, WH04, P14)."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select

from blocks.catalog.staff import OfficerNotAssigned, Role
from blocks.errors import IntegrityError, SohoaError
from blocks.identity import DecisionNotProven
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.incidents import raise_incident
from blocks.records.queries import DossierUnknown
from blocks.records.tables import AuditEntry, Dossier
from tasks.archive import custody, fixity, renewal, trust_list
from tasks.archive.custody import locate_paper
from tasks.decisions.shown import ShownChanged
from tasks.monitoring import audit_rows, audit_trail, run_faults
from tasks.monitoring.incidents import (
    CLOSED_SHOWN,
    KINDS,
    IncidentGone,
    IncidentNotYours,
    ReasonMissing,
    incidents,
    open_dispute,
    settle_incident,
)
from tasks.scope import quarantine
from tests.tasks.lawcase import RECEIVED, make_dossier

LEADER, OPERATIONS, AUDITOR = ({("BHXH-TEST", role)} for role in (Role.LEAD, Role.OPERATE, Role.AUDIT))
WRITTEN = "Đã xử lý xong theo biên bản"


def opened(records: RecordsDatabase, code: str, dossier: UUID | None = None) -> UUID:
    with records.session() as session:
        return raise_incident(session, code=code, dossier_id=dossier, rule="P14").id


def test_every_incident_that_is_raised_has_a_name_and_an_advice() -> None:
    raised = {
        *run_faults.FAULTS,
        custody.DISPUTE,
        fixity.DAMAGED,
        renewal.UNRENEWABLE,
        quarantine.SECRET,
        quarantine.SecretStored.code,
        audit_trail.BROKEN,
        trust_list.CHANGED,
        audit_rows.CODE,
        IntegrityError.code,
        DecisionNotProven.code,
        OfficerNotAssigned.code,
        ShownChanged.code,
        "RUN_REFUSED",  # by the worker, told by the watch
    }
    assert raised == set(KINDS)
    assert all(kind.name and kind.advice.endswith(".") for kind in KINDS.values())


def test_P14_closed_once_with_a_reason_by_who_answers_for_it(records: RecordsDatabase) -> None:
    dossier, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    incident = opened(records, "OFFICER_NOT_ASSIGNED", dossier)
    for roles in (OPERATIONS, AUDITOR):
        with pytest.raises(IncidentNotYours):
            settle_incident(records, incident, "vh.01", roles, WRITTEN)
    with pytest.raises(IncidentGone):  # another unit's isn't even there
        settle_incident(records, incident, "ld.09", {("BHXH-KHAC", Role.LEAD)}, WRITTEN)
    for reason in ("", "   xong   ", "x" * 501):
        with pytest.raises(ReasonMissing):
            settle_incident(records, incident, "ld.01", LEADER, reason)
    settle_incident(records, incident, "ld.01", LEADER, f"  {WRITTEN}\n ")
    with pytest.raises(IncidentGone):
        settle_incident(records, incident, "ld.01", LEADER, WRITTEN)
    still, over = incidents(records, {"BHXH-TEST"})
    assert still == [] and [(item.closed_by, item.reason) for item in over] == [("ld.01", WRITTEN)]
    with records.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == "incident-closed", AuditEntry.actor == "ld.01")
        (entry,) = session.exec(query)
    assert entry.dossier_id == dossier and WRITTEN not in str(entry.details)  # free text may name a person


def test_what_closes_by_itself_nobody_closes(records: RecordsDatabase) -> None:
    incident = opened(records, "QUEUE_TOO_LONG")
    for roles in (LEADER, OPERATIONS):
        with pytest.raises(IncidentNotYours, match="tự đóng"):
            settle_incident(records, incident, "vh.01", roles, WRITTEN)


def test_LU05_a_dispute_that_is_closed_frees_the_paper(records: RecordsDatabase) -> None:
    dossier, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    with records.session() as session:
        code = assign_dossier_code(session, session.get_one(Dossier, dossier), actor="tnhs.01", at=RECEIVED)
    for roles in (OPERATIONS, {("BHXH-KHAC", Role.LEAD)}):
        with pytest.raises(DossierUnknown):
            open_dispute(records, code, "ld.09", roles)
    for _ in range(2):
        open_dispute(records, f" {code.lower()} ", "ld.01", LEADER)
    ((dispute,), _) = incidents(records, {"BHXH-TEST"})
    assert locate_paper(records, dossier).frozen and dispute.closer is Role.LEAD
    settle_incident(records, dispute.id, "ld.01", LEADER, "Đã có quyết định giải quyết khiếu nại")
    assert not locate_paper(records, dossier).frozen


def test_each_unit_sees_its_own_and_the_machines(records: RecordsDatabase) -> None:
    mine, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    other, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], unit_id="BHXH-KHAC")
    for dossier in (mine, other, None):
        opened(records, "INTEGRITY", dossier)
    still, _ = incidents(records, {"BHXH-TEST"})
    assert {item.dossier_id for item in still} == {mine, None}
    unknown = opened(records, "OF_A_VERSION_TO_COME")
    assert settle_incident(records, unknown, "vh.01", OPERATIONS, WRITTEN).name == "OF_A_VERSION_TO_COME"
    with pytest.raises(SohoaError):
        settle_incident(records, uuid4(), "vh.01", OPERATIONS, WRITTEN)


def test_the_list_of_closed_ones_stays_short(records: RecordsDatabase) -> None:
    for _ in range(CLOSED_SHOWN + 3):
        settle_incident(records, opened(records, "TRUST_LIST_CHANGED"), "vh.01", OPERATIONS, WRITTEN)
    still, over = incidents(records, {"BHXH-TEST"})
    assert still == [] and len(over) == CLOSED_SHOWN
    with records.session() as session:  # each of them is in the trail
        query = select(AuditEntry.seq).where(col(AuditEntry.action) == "incident-closed")
        assert len(session.exec(query).all()) == CLOSED_SHOWN + 3
