"""Deadlines near and missed: noted once a dossier and level, on working days, whatever the run does; nobody's data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry
from tasks.deadlines import note_deadlines
from tasks.history import history
from tests.tasks.lawcase import make_dossier

FRIDAY = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # 10:00 in Viet Nam; Tuesday 24/11 is a day off


def dossier(records: RecordsDatabase, due: date | None, **values: Any) -> UUID:
    return make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], due_date=due, flow_run_id=uuid4(), **values)[0]


def look(records: RecordsDatabase, at: datetime) -> list[tuple[UUID, str, int]]:
    return [(item.dossier_id, item.action, item.left) for item in note_deadlines(records, Catalog(), at)]


def test_each_level_is_noted_once_and_ended_dossiers_are_left_alone(records: RecordsDatabase) -> None:
    monday = dossier(records, date(2026, 11, 23))
    late = dossier(records, date(2026, 11, 19))
    dossier(records, date(2026, 11, 20), state=DossierState.TRA_LAI)
    for day in (date(2026, 11, 25), None):  # two working days left; no promise yet
        dossier(records, day)
    assert look(records, FRIDAY) == [(late, "deadline-missed", -1), (monday, "deadline-near", 1)]
    assert look(records, FRIDAY) == []
    assert look(records, FRIDAY + timedelta(days=1)) == []  # nobody works
    assert [item[1:] for item in look(records, FRIDAY + timedelta(days=3))] == [("deadline-near", 1)]  # of Wednesday
    assert look(records, FRIDAY + timedelta(days=5))[0] == (monday, "deadline-missed", -1)
    with records.session() as session:
        told = [event.sentence for event in history(session, monday)]
        entries = session.exec(select(AuditEntry).where(col(AuditEntry.action).startswith("deadline-"))).all()
    assert told[-2:] == ["Hồ sơ: Sắp đến hạn trả kết quả.", "Hồ sơ: Quá hạn trả kết quả."]
    assert all(entry.actor == "system" and set(entry.details) == {"left_days"} for entry in entries)
