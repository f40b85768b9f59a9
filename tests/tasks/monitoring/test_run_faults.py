"""The watch opens and closes incidents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from blocks.catalog.staff import Role, load_staff
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.tables import Incident
from infra.worker import admission
from tasks.monitoring.incidents import settle_incident
from tasks.monitoring.run_faults import FAULTS, REFUSED, Place, settle, tell_refused
from tests.tasks.lawcase import make_dossier


def test_incidents_open_once_and_close_by_themselves(records: RecordsDatabase) -> None:
    dossier, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    other, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    with records.session() as session:
        raise_incident(session, code="ARCHIVED_OBJECT_DAMAGED", dossier_id=dossier, rule="LU06")  # not ours to close
    wrong: dict[Place, Mapping[str, Any]] = {
        ("RUN_FAILED", dossier): {"state": "Failed"},
        ("QUEUE_TOO_LONG", None): {"runs": 11},
    }

    def look() -> tuple[int, int, int]:
        seen = settle(records, load_staff(), wrong)
        return seen.opened, seen.closed, seen.open

    assert look() == (2, 0, 2)
    assert look() == (0, 0, 2)
    del wrong["QUEUE_TOO_LONG", None]
    wrong["RUN_FAILED", other] = {"state": "Crashed"}
    assert look() == (1, 1, 2)
    wrong.clear()
    assert look() == (0, 2, 0)
    wrong["RUN_FAILED", dossier] = {"state": "Failed"}
    assert look() == (1, 0, 1)  # the same again is a new one
    with records.session() as session:
        rows = session.exec(select(Incident)).all()
    assert sorted((row.code, row.closed_at is None) for row in rows) == [
        ("ARCHIVED_OBJECT_DAMAGED", True),
        ("QUEUE_TOO_LONG", False),
        ("RUN_FAILED", False),
        ("RUN_FAILED", False),
        ("RUN_FAILED", True),
    ]


@pytest.mark.parametrize("sentence", FAULTS.values())
def test_each_fault_says_what_to_do(sentence: str) -> None:
    assert ": " in sentence and sentence.endswith(".")


class Refusals:
    """Prefect with runs that the worker refused."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.asked: list[datetime] = []

    def runs(self, *, state: dict[str, Any], end_time: dict[str, str]) -> list[dict[str, Any]]:
        assert state == {"name": {"any_": [REFUSED]}}
        self.asked.append(datetime.fromisoformat(end_time["after_"]))
        return [run for run in self.found if run["at"] > self.asked[-1]]


def test_a_refused_run_is_an_incident_that_a_person_closes_once(records: RecordsDatabase) -> None:
    prefect = Refusals()
    assert REFUSED == admission.REFUSED
    assert tell_refused(records, prefect) == 0  # type: ignore[arg-type]
    prefect.found = [{"id": "1", "at": datetime.now(UTC)}]
    assert tell_refused(records, prefect) == tell_refused(records, prefect) == 1  # type: ignore[arg-type]
    with records.session() as session:
        (incident,) = session.exec(select(Incident).where(Incident.code == "RUN_REFUSED"))
    settle_incident(records, incident.id, "vh.01", {("", Role.OPERATE)}, "mật khẩu của Prefect đã đổi")
    assert tell_refused(records, prefect) == 0  # type: ignore[arg-type]
    prefect.found.append({"id": "2", "at": datetime.now(UTC)})
    assert tell_refused(records, prefect) == 1  # type: ignore[arg-type]
