"""A run that goes on: whatever was done before the kill or the pause, the rest is done exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect import Flow, flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.flow_engine import run_flow
from prefect.states import Scheduled
from sqlalchemy import text

from blocks.identity import replace_keys
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from blocks.results import ResultRefused
from blocks.seals import WORKER, ensure_seal_keys
from tasks.journal import Journal, forget_ended, goes_on, named
from tasks.prefect_task import step
from tasks.reading.ocr import OcrReport
from tests.attack.plugin import Attack

pytestmark = pytest.mark.usefixtures("prefect_server", "records")


class Killed(BaseException):
    """As by SIGKILL: nothing of ours runs after it."""


done: Counter[int] = Counter()  # how often the work of each step was done
killed_at: Callable[[str, int], bool] = lambda where, number: False  # noqa: E731


def die(where: str, number: int) -> None:
    if killed_at(where, number):
        raise Killed


@step("Một việc", retries=0)
def work(number: int) -> OcrReport:
    """A step with a result that is no plain value."""
    die("before", number)
    done[number] += 1
    die("after", number)
    return OcrReport(ordinal=number)


@flow(name="journal-test", persist_result=False)
@goes_on
def small(steps: int) -> list[int]:
    """Each step gets what the one before has returned."""
    found = [-1]
    for number in range(steps):
        report = work(number)
        assert report.ordinal == number
        found.append(number)
        die("between", number)
    return found


def new_run(of: Flow[..., Any], parameters: dict[str, Any]) -> UUID:
    with get_client(sync_client=True) as client:
        return client.create_flow_run(of, parameters=parameters, state=Scheduled()).id


def go(of: Flow[..., Any], run: UUID, parameters: dict[str, Any]) -> Any:
    """One process of a run."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Scheduled(), force=True)
        found = client.read_flow_run(run)
    return run_flow(of, flow_run=found, parameters=parameters)


def rows(run: UUID) -> int:
    with RecordsDatabase().session() as session:
        query = text("SELECT count(*) FROM donestep WHERE flow_run_id = :run")
        return int(session.execute(query, {"run": run}).scalar_one())


@pytest.fixture(autouse=True)
def nobody_dies() -> Iterator[None]:
    global killed_at
    yield
    killed_at = lambda where, number: False  # noqa: E731


moments = st.tuples(st.sampled_from(["before", "after", "between"]), st.integers(0, 4))


@pytest.mark.long
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.integers(1, 5), kills=st.lists(moments, max_size=4))
def test_whatever_was_done_before_the_kills_the_rest_is_done_once(steps: int, kills: list[tuple[str, int]]) -> None:
    """Only a step that died between its work and its row is done again."""
    global killed_at
    done.clear()
    left = list(kills)

    def killed(where: str, number: int) -> bool:
        if (where, number) not in left:
            return False
        left.remove((where, number))
        return True

    killed_at = killed
    run = new_run(small, {"steps": steps})
    for _ in range(len(kills) + 1):
        try:
            assert go(small, run, {"steps": steps}) == list(range(-1, steps))
        except Killed:
            continue
        break
    else:
        pytest.fail("it never ended")
    for number in range(steps):
        assert done[number] == 1 + sum(1 for where, at in kills if (where, at) == ("after", number))
    assert rows(run) == steps
    done.clear()
    assert go(small, run, {"steps": steps}) == list(range(-1, steps))  # Retry of a run that has ended
    assert not done


def test_a_step_that_was_done_costs_no_task_run() -> None:
    global killed_at
    done.clear()
    run = new_run(small, {"steps": 3})
    killed_at = lambda where, number: (where, number) == ("between", 2)  # noqa: E731
    with pytest.raises(Killed):
        go(small, run, {"steps": 3})
    assert rows(run) == 3
    killed_at = lambda where, number: False  # noqa: E731
    go(small, run, {"steps": 3})
    with get_client(sync_client=True) as client:
        ran = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
    assert dict(done) == {0: 1, 1: 1, 2: 1}
    assert len({task.id for task in ran}) <= 3


def test_another_run_does_its_own_steps() -> None:
    done.clear()
    for _ in range(2):
        go(small, new_run(small, {"steps": 2}), {"steps": 2})
    assert dict(done) == {0: 2, 1: 2}


def test_a_step_outside_such_a_flow_is_done_each_time() -> None:
    @flow(persist_result=False)
    def plain() -> None:
        work(1)
        work(1)

    done.clear()
    plain()
    assert done[1] == 2


def test_a_step_is_told_by_its_inputs_however_they_are_given() -> None:
    def verb(dossier_id: UUID, target: DossierState, times: int = 0, papers: Any = ()) -> None: ...

    one = uuid4()
    assert named(verb, (one, DossierState.SO_HOA), {}) == named(
        verb, (one,), {"target": DossierState.SO_HOA, "times": 0}
    )
    assert named(verb, (one, DossierState.SO_HOA), {}) != named(verb, (uuid4(), DossierState.SO_HOA), {})
    assert named(verb, (one, DossierState.SO_HOA), {}) != named(verb, (one, DossierState.SO_HOA, 1), {})
    pairs = [(one, 1)]
    assert named(verb, (one, DossierState.SO_HOA, 1, pairs), {}) == named(
        verb, (one, DossierState.SO_HOA, 1, tuple(pairs)), {}
    )


INSERT = text("INSERT INTO donestep VALUES (:run, :step, CAST(:value AS jsonb), :at, :seal)")


def test_a_result_of_a_foreign_type_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the worker itself has sealed it, and of a type that a new version no longer has."""
    run = uuid4()
    foreign = {"__type__": "subprocess.Popen", "data": ["true"]}
    with monkeypatch.context() as patch:
        patch.setattr("blocks.results.encode", lambda value: foreign)
        kept = Journal(run)
        kept.keep("work:1", None)
    with pytest.raises(ResultRefused):
        kept.result("work:1")
    assert "work:1" not in Journal(run)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("infinity", "1"),
        ("0044-03-15 12:00:00+00 BC", "1"),
        ("2026-01-01", "9" * 5000),
        ("2026-01-01", "[" * 3000 + "]" * 3000),
    ],
    ids=["at infinity", "before Christ", "5,000 digits", "3,000 deep"],
)
def test_a_row_that_cannot_be_read_stops_no_run(attack: Attack, records: RecordsDatabase, at: str, value: str) -> None:
    run = new_run(small, {"steps": 1})
    with records.session() as session:
        session.execute(
            text(
                "INSERT INTO donestep VALUES (:run, 'x', CAST(:value AS jsonb), CAST(:at AS timestamptz), 'worker.x')"
            ),
            {"run": run, "value": value, "at": at},
        )
    with attack("a row of finished steps that can't be read") as told:
        assert go(small, run, {"steps": 1}) == [-1, 0]
        told.answered("it counts as none")
        told.proved("the run has ended well")


def test_a_step_that_somebody_else_calls_done_is_done(
    attack: Attack, records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the database's password alone nobody makes a run leave out a step."""
    run, other = new_run(small, {"steps": 2}), uuid4()
    step_0 = named(work.verb, (0,), {})

    def row(of: UUID) -> Any:
        with records.session() as session:
            query = text("SELECT * FROM donestep WHERE flow_run_id = :run")
            return session.execute(query, {"run": of}).mappings().one()

    Journal(other).keep(step_0, OcrReport(ordinal=0))
    with monkeypatch.context() as gateway:
        gateway.setenv("SOHOA_PART", "gateway")
        Journal(run).keep(step_0, OcrReport(ordinal=0))
    mine = row(run)
    seals = {"without a seal": "", "with another run's": row(other)["seal"], "with the gateway's": mine["seal"]}
    for what, seal in seals.items():
        done.clear()
        with attack(f"a row says that a step was done, {what}") as told:
            with records.session() as session:
                session.execute(text("DELETE FROM donestep WHERE flow_run_id = :run"), {"run": run})
                value = '{"__type__": "tasks.reading.ocr.OcrReport", "data": {"ordinal": 0}}'
                session.execute(INSERT, {"run": run, "step": step_0, "value": value, "at": mine["at"], "seal": seal})
            assert step_0 not in Journal(run)
            told.answered("the row counts as none and is dropped")
            go(small, run, {"steps": 2})
            assert dict(done) == {0: 1, 1: 1}
            told.proved("the step was done")


def test_rows_of_runs_that_nobody_goes_on_with_are_dropped(records: RecordsDatabase) -> None:
    old, young = uuid4(), uuid4()
    now = datetime.now(UTC)
    with records.session() as session:
        for run, days in ((old, 200), (old, 120), (young, 200), (young, 1)):
            session.execute(
                INSERT, {"run": run, "step": f"s{days}", "value": "1", "at": now - timedelta(days=days), "seal": ""}
            )
    with records.session() as session:
        assert forget_ended(session, now - timedelta(days=100)) == 2
    assert rows(young) == 2 and rows(old) == 0


def test_steps_from_before_the_key_was_replaced_stay_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dossier may be suspended for weeks."""
    monkeypatch.setenv("SOHOA_HOME", str(tmp_path))
    ensure_seal_keys(tmp_path)
    run = uuid4()
    for number in range(3):
        Journal(run).keep(f"work:{number}", number)
        replace_keys(tmp_path / "sealing", WORKER)
    Journal(run).keep("work:3", 3)
    assert all(f"work:{number}" in Journal(run) for number in range(4))
