"""Deadlines near and missed: noted once a dossier and level, on working days, whatever the run does; nobody's data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from copy import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.records import RecordsDatabase
from blocks.records.machine import move_dossier
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry, Dossier
from tasks.desk_views.history import history
from tasks.monitoring.deadlines import note_deadlines
from tasks.progress import label_run
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
    assert told[-2:] == ["Sắp đến hạn trả kết quả.", "Quá hạn trả kết quả."]
    assert all(entry.actor == "system" and set(entry.details) == {"left_days"} for entry in entries)


class Run:
    """A run as Prefect keeps it: whoever writes its tags last writes all of them. meanwhile: between look and write."""

    def __init__(self, tags: list[str], meanwhile: Callable[[], object]) -> None:
        self.tags, self.meanwhile, self.name = tags, [meanwhile], ""

    def read_flow_run(self, _: UUID) -> Self:
        seen = copy(self)
        while self.meanwhile:
            self.meanwhile.pop()()
        return seen

    def update_flow_run(self, _: UUID, *, name: str, tags: list[str]) -> None:
        self.name, self.tags = name, tags


def test_who_labels_a_run_at_the_same_time_loses_nothing(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dossier(records, date(2026, 11, 23), state=DossierState.BO_SUNG_TRUOC)

    def others() -> None:
        assert look(records, FRIDAY) == [(one, "deadline-near", 1)]
        run.tags = ["desk", "state:BO_SUNG_TRUOC", "deadline:near"]

    run = Run(["desk", "state:NHAP"], others)
    monkeypatch.setattr("tasks.progress.get_client", lambda **_: nullcontext(run))
    label_run(records, one, uuid4())
    assert {"desk", "state:BO_SUNG_TRUOC", "deadline:near"} < set(run.tags) and "state:NHAP" not in run.tags
    with records.session() as session:
        refused = DossierState.TU_CHOI_TIEP_NHAN
        assert move_dossier(session, session.get_one(Dossier, one), refused, actor="tnhs.01", rule="B3a")
    label_run(records, one, uuid4())
    assert [tag for tag in run.tags if tag.startswith(("state:", "deadline:"))] == ["state:TU_CHOI_TIEP_NHAN"]
