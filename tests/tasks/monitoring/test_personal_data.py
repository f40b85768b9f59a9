"""What is held about a person: everything of the own units, told in the trail without the id."""

from __future__ import annotations

import json

import pytest
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.tables import AuditEntry, FieldValue
from tasks.monitoring.personal_data import REPORTED, PersonUnknown, ReportNotYours, held_about
from tests.attack.plugin import Attack
from tests.tasks.lawcase import OWNER_ID, make_dossier


def test_everything_of_the_unit_and_an_entry_for_each_dossier(records: RecordsDatabase) -> None:
    first, (paper,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], owner_id="001199099999", owner_name="Người khác")
    make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], unit_id="BHXH-KHAC")
    with records.session() as session:
        session.add(FieldValue(document_id=paper, name="full_name", value="Nguyễn Thị Thử Nghiệm"))
    told = held_about(records, OWNER_ID, "ld.01", ["BHXH-TEST"])
    assert [item["id"] for item in told["dossiers"]] == [str(first)]
    assert told["dossiers"][0]["documents"][0]["fields"][0]["value"] == "Nguyễn Thị Thử Nghiệm"
    assert json.dumps(told, ensure_ascii=False)
    with records.session() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == REPORTED)).all()
        assert [(entry.dossier_id, entry.actor) for entry in entries] == [(first, "ld.01")]
        assert OWNER_ID not in json.dumps([entry.details for entry in entries])
    again = held_about(records, OWNER_ID, "ld.01", ["BHXH-TEST"])["dossiers"][0]["looked_at"]
    assert [look["by"] for look in again] == ["ld.01"]


def test_another_unit_and_no_leader(attack: Attack, records: RecordsDatabase) -> None:
    make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    with attack("report about a person by who leads another unit, or none", watch=lambda: _entries(records)) as told:
        with pytest.raises(PersonUnknown):
            held_about(records, OWNER_ID, "ld.09", ["BHXH-KHAC"])
        with pytest.raises(ReportNotYours) as refused:
            held_about(records, OWNER_ID, "gq.01", [])
        told.answered(refused.value)


def _entries(records: RecordsDatabase) -> int:
    with records.session() as session:
        return len(session.exec(select(AuditEntry.seq).where(AuditEntry.action == REPORTED)).all())
