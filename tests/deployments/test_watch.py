"""The watch opens and closes incidents, and Prefect's automations are what the code says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlmodel import select

from blocks.catalog.staff import load_staff
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.tables import Incident
from tasks.faults import FAULTS, Place, settle
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
