"""The worklist's pages come from the records alone, each with the same few questions, however much waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import event

from blocks.catalog.staff import Role
from blocks.records import RecordsDatabase
from blocks.records.tables import Waiting
from blocks.records.waiting import page
from deployments.desk.decisions import A_MOMENT
from deployments.desk.work import PAGE
from infra.local.postgres import Postgres
from tests.deployments.desk import OWN, Gateway, Signed, make_gateway
from tests.tasks.lawcase import RECEIVED, make_waiting

QUESTIONS = 12  # at most, of a page
ROWS = 5 * PAGE  # at most, of a page: the rows, their dossiers twice, reminders


@pytest.fixture
def gateway(records: RecordsDatabase, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Prefect isn't there."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return make_gateway(records, tmp_path, postgres)


@pytest.fixture
def officer(gateway: Gateway) -> Signed:
    return gateway.signed_in("gq.01", {(OWN, Role.RESOLVE.value)})


def wait(records: RecordsDatabase, count: int, first: int = 0, **values: object) -> list[UUID]:
    """In the order in which they are to be dealt with."""
    found = []
    for number in range(first, first + count):
        since = RECEIVED - timedelta(days=30) + timedelta(minutes=number)
        due = date(2026, 1, 5) + timedelta(days=number // 3)
        found.append(make_waiting(records, "verification-1", since, due_date=due, **values)[0])  # type: ignore[arg-type]
    return found


def shown(text: str) -> list[UUID]:
    found = [UUID(one) for one in re.findall(r'href="/ho-so/([0-9a-f-]{36})"', text)]
    return list(dict.fromkeys(found))


def following(text: str) -> str:
    """Address of the next page; empty: there is none."""
    found = re.search(r'href="(/viec\?[^"]*tiep=[^"]+)"', text)
    return found[1].replace("&amp;", "&") if found else ""


@contextmanager
def counted(records: RecordsDatabase) -> Iterator[list[int]]:
    """Rows of each question."""
    seen: list[int] = []

    def note(_c: object, cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.append(cursor.rowcount)  # type: ignore[attr-defined]

    event.listen(records.engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(records.engine, "after_cursor_execute", note)


def test_each_dossier_is_on_one_page_and_each_page_costs_the_same(gateway: Gateway, officer: Signed) -> None:
    wanted = wait(gateway.records, 2 * PAGE + 20)
    wait(gateway.records, 5, unit_id="BHXH-KHAC")
    wait(gateway.records, 5, captured_by="gq.01")  # WH03
    path, found, costs = "/viec", list[UUID](), list[tuple[int, int]]()
    while path:
        with counted(gateway.desk.records) as rows:
            answer = officer.get(path)
        assert answer.status_code == 200 and f"Danh sách việc: {len(wanted)} hồ sơ" in answer.text
        found += shown(answer.text)
        costs.append((len(rows), sum(rows)))
        path = following(answer.text)
    assert found == wanted and len(costs) == 3
    assert all(questions <= QUESTIONS and rows <= ROWS for questions, rows in costs), costs
    wait(gateway.records, PAGE, first=2 * PAGE + 20)
    with counted(gateway.desk.records) as rows:
        officer.get("/viec")
    assert (len(rows), sum(rows)) == costs[0]


def test_what_was_just_decided_is_on_no_page_until_a_moment_later(gateway: Gateway, officer: Signed) -> None:
    """Its row stays until the run's next process has noted the decision."""
    first, second = wait(gateway.records, 2)
    with gateway.records.session() as session:
        rows: dict[UUID, Waiting] = {row.dossier_id: row for row in page(session)}
    taken, now = gateway.desk.decisions._taken, datetime.now(RECEIVED.tzinfo)
    pause = rows[first].flow_run_id, "verification-1"
    taken[pause] = "duyệt bởi gq.01", now
    answer = officer.get("/viec")
    assert shown(answer.text) == [second] and "Danh sách việc: 1 hồ sơ" in answer.text
    taken[pause] = "duyệt bởi gq.01", now - A_MOMENT
    assert shown(officer.get("/viec").text) == [first, second]  # whatever became of the answer, somebody must look
    taken[rows[first].flow_run_id, "verification-0"] = "đề nghị quét lại bởi gq.01", now
    assert shown(officer.get("/viec").text) == [first, second]  # an earlier pause of the same run
