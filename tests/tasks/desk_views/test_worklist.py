"""Worklist: by role and unit, nearest deadline first, working days of Viet Nam; silence never decides."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from blocks.catalog import Catalog
from blocks.catalog.staff import load_staff
from blocks.records import RecordsDatabase
from blocks.records.tables import Waiting
from blocks.records.waiting import OUTAGE, page
from tasks.desk_views.worklist import Item, for_officer, worklist
from tests.tasks.lawcase import make_waiting

TODAY = date(2026, 11, 23)  # Monday; 24/11 is a day off


def waiting(records: RecordsDatabase, stage: str, due: date | None, **values: Any) -> tuple[UUID, Waiting]:
    return make_waiting(records, stage, due_date=due, **values)


def of(records: RecordsDatabase, rows: list[Waiting], officer: str) -> list[Item]:
    return worklist(records, Catalog(), rows, day=TODAY, officer=officer, staff=load_staff())


@pytest.mark.parametrize(
    ("due", "left"),
    [
        (date(2026, 11, 23), 0),
        (date(2026, 11, 24), 0),  # a holiday adds nothing
        (date(2026, 11, 25), 1),
        (date(2026, 11, 30), 4),  # over a weekend
        (date(2026, 11, 20), -1),
    ],
)
def test_working_days_left(due: date, left: int) -> None:
    assert Catalog().working_days_left(TODAY, due) == left


def test_each_role_sees_its_own_work_nearest_deadline_first(records: RecordsDatabase) -> None:
    later, a = waiting(records, "verification-1", date(2026, 12, 10))
    sooner, b = waiting(records, "verification-2", date(2026, 12, 1))
    sign, c = waiting(records, "signoff-1", date(2026, 12, 2))
    none, d = waiting(records, "supplement-1", None)
    other, e = waiting(records, "verification-1", date(2026, 12, 1), unit_id="BHXH-KHAC")
    mine, f = waiting(records, "verification-1", date(2026, 12, 1), captured_by="gq.01")  # WH03
    away = make_waiting(records, "TIMESTAMP_UNAVAILABLE")[1]
    away.kind = OUTAGE  # waits for a service, for no officer
    rows = [a, b, c, d, e, f, away]
    assert [item.dossier_id for item in of(records, rows, "gq.01")] == [sooner, later]
    assert mine in [item.dossier_id for item in of(records, rows, "gq.02")]
    assert [item.dossier_id for item in of(records, rows, "ld.01")] == [sign]
    assert [item.dossier_id for item in of(records, rows, "tnhs.01")] == [none]
    assert of(records, rows, "nobody") == []
    everything = worklist(records, Catalog(), rows, day=TODAY)
    assert len(everything) == 6 and other in [item.dossier_id for item in everything] and everything[-1].left is None
    assert of(records, rows, "gq.01")[0].step == "Thẩm định hồ sơ, xác nhận dữ liệu bóc tách (lần 2)"


def test_the_leader_sees_what_is_due_and_nothing_is_decided_by_silence(records: RecordsDatabase) -> None:
    near, a = waiting(records, "verification-1", date(2026, 11, 25))
    due, b = waiting(records, "verification-1", date(2026, 11, 20))
    items = {item.dossier_id: item for item in of(records, [a, b], "gq.01")}
    assert items[near].near and not items[near].escalated and items[due].escalated and items[due].left == -1
    assert [item.dossier_id for item in of(records, [a, b], "ld.01")] == [due]


def test_CA01_only_who_captured_is_asked_to_sign(records: RecordsDatabase) -> None:
    dossier, run = waiting(records, "sign-1", date(2026, 12, 1), captured_by="tnhs.02")
    assert [item.dossier_id for item in of(records, [run], "tnhs.02")] == [dossier]
    assert of(records, [run], "tnhs.01") == [] and of(records, [run], "ld.01") == []
    with records.session() as session:  # where a page is chosen and counted, too
        asked = {who: page(session, for_officer(who, load_staff(), TODAY)) for who in ("tnhs.02", "tnhs.01")}
    assert [len(rows) for rows in asked.values()] == [1, 0]
