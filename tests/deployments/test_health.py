"""One registry of checks, four readers: command line, page of operations, metrics and watch see the same fault."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from sqlmodel import col, select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from blocks.catalog.staff import load_staff
from blocks.objects import ObjectStore
from blocks.orchestrator import AUTOMATIONS, DEPLOYED
from blocks.records import RecordsDatabase
from blocks.records.tables import Incident
from deployments.automations import wanted
from deployments.cli.main import app
from deployments.desk.pages.rendering import Pages
from deployments.metrics import LEVELS, STALE_SECONDS, Checks
from deployments.setup import DEPLOYMENTS
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.roles import READER
from tasks.monitoring.checks import registry
from tasks.monitoring.checks.finding import CHECK_BAD, Cost, State
from tasks.monitoring.checks.registry import CHECKS, checks
from tasks.monitoring.run_faults import WatchResult, look_after_parts
from tests.conftest import TestPki
from tests.deployments.test_operations_page import desk
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)

STATES = {state.value: state for state in State}


@pytest.fixture
def stack(
    records: RecordsDatabase, objects: ObjectStore, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Real database, store and PKI; Prefect, gateway and metrics are down."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    for part in ("GATEWAY", "METRICS"):
        monkeypatch.setenv(f"SOHOA_PORT_{part}", str(free_port()))
    return monkeypatch


@pytest.fixture
def only(stack: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As `stack`, and nothing else is looked at but what is there."""
    there = {"records", "objects", "disk", "messages"}
    stack.setattr(registry, "CHECKS", tuple(check for check in CHECKS if check.key in there))
    return stack


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def as_reader(patch: pytest.MonkeyPatch, postgres: Postgres, records: RecordsDatabase) -> None:
    """With what the metrics have: a role that reads, no key of the store."""
    name = str(records.engine.url.database)
    patch.setenv("SOHOA_DATABASE_URL", postgres.url(name, READER))
    for key in ("ACCESS", "SECRET"):
        patch.delenv(f"SOHOA_S3_{key}_KEY")


def on_the_command_line() -> dict[str, State]:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    return {item["key"]: STATES[item["state"]] for item in json.loads(done.stdout)}


def on_the_page() -> dict[str, State]:
    told = TestClient(desk(Pages(500))).get("/van-hanh.json").json()
    return {item["key"]: STATES[item["state"]] for item in told["findings"]}


def scraped(looked: Checks) -> str:
    source = CollectorRegistry()
    source.register(looked)
    return generate_latest(source).decode()


def in_figures(told: str) -> dict[str, State]:
    levels = {level: state for state, level in LEVELS.items()}
    return {
        key: levels[int(float(value))] for key, value in re.findall(r'^sohoa_check{check="(\w+)"} (\S+)', told, re.M)
    }


def in_metrics() -> dict[str, State]:
    looked = Checks()
    looked.look()
    return in_figures(scraped(looked))


def watch(records: RecordsDatabase) -> WatchResult:
    return look_after_parts(records, load_staff(), again=0)


def parts_of_the_incident(records: RecordsDatabase) -> list[list[str]]:
    """What open incidents name."""
    with records.session() as session:
        query = select(Incident).where(Incident.code == CHECK_BAD, col(Incident.closed_at).is_(None))
        return [row.details["checks"] for row in session.exec(query)]


def test_every_reader_makes_the_checks_of_the_registry(stack: pytest.MonkeyPatch, records: RecordsDatabase) -> None:
    everything, cheap = {check.key for check in CHECKS}, {check.key for check in checks(Cost.CHEAP)}
    assert on_the_command_line().keys() == on_the_page().keys() == everything
    assert in_metrics().keys() == cheap < everything
    looked: list[str] = []
    made = registry.look_at
    stack.setattr("tasks.monitoring.run_faults.look_at", lambda check: looked.append(check.key) or made(check))
    watch(records)
    follows = {check.key for check in CHECKS if check.incident == CHECK_BAD}
    assert set(looked) == follows < cheap


def test_a_store_that_is_away_is_seen_by_all_four(only: pytest.MonkeyPatch, records: RecordsDatabase) -> None:
    def seen() -> list[State]:
        watch(records)
        return [
            *(found["objects"] for found in (on_the_command_line(), on_the_page(), in_metrics())),
            State.BAD if ["objects"] in parts_of_the_incident(records) else State.GOOD,
        ]

    assert seen() == [State.GOOD] * 4
    with only.context() as patch:
        patch.setenv("SOHOA_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        assert seen() == [State.BAD] * 4
        assert watch(records) == WatchResult(open=1)  # once
    assert seen() == [State.GOOD] * 4


def test_another_set_of_bad_parts_is_another_incident(stack: pytest.MonkeyPatch, records: RecordsDatabase) -> None:
    with stack.context() as patch:
        patch.setenv("SOHOA_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        assert watch(records) == WatchResult(opened=1, open=1)
        assert parts_of_the_incident(records) == [["objects", "orchestrator", "worker", "gateway"]]
    assert watch(records) == WatchResult(opened=1, closed=1, open=1)
    assert parts_of_the_incident(records) == [["orchestrator", "worker", "gateway"]]


def test_a_part_that_works_at_the_second_look_is_no_incident(
    only: pytest.MonkeyPatch, records: RecordsDatabase
) -> None:
    endpoint = ObjectStore.get()._access[0]
    only.setenv("SOHOA_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    only.setattr("tasks.monitoring.run_faults.time.sleep", lambda _: only.setenv("SOHOA_S3_ENDPOINT", endpoint))
    assert watch(records) == WatchResult()


def test_the_metrics_look_with_no_more_rights_than_they_have(
    stack: pytest.MonkeyPatch, records: RecordsDatabase, postgres: Postgres
) -> None:
    as_reader(stack, postgres, records)
    found = in_metrics()
    mine = ("records", "objects", "disk", "preservation", "messages", "partners", "reminders")
    assert {key: found[key] for key in mine} == dict.fromkeys(mine, State.GOOD)
    stack.setenv("SOHOA_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    assert in_metrics()["objects"] is State.BAD


def test_no_scrape_waits_for_a_part_that_does_not_answer(
    stack: pytest.MonkeyPatch, records: RecordsDatabase, postgres: Postgres, silent: str
) -> None:
    as_reader(stack, postgres, records)
    stack.setenv("SOHOA_S3_ENDPOINT", silent)
    looked, stopped, source = Checks(), threading.Event(), CollectorRegistry()
    source.register(looked)
    server, _ = start_http_server(0, addr="127.0.0.1", registry=source)
    try:
        thread = looked.go_on(stopped)
        began = time.monotonic()
        while "records" not in looked.last:
            assert time.monotonic() - began < 10
            time.sleep(0.01)
        began = time.monotonic()
        told = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics").text
        assert time.monotonic() - began < 1 and thread.is_alive()
        assert in_figures(told) == {"records": State.GOOD}  # the store is still being asked
        stopped.set()
        thread.join(60)
        assert not thread.is_alive() and in_figures(scraped(looked))["objects"] is State.BAD
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()


def test_an_outcome_that_is_too_old_is_no_figure() -> None:
    looked, now = Checks(), time.monotonic()
    looked.last = {"disk": (State.WARNING, now), "objects": (State.GOOD, now - STALE_SECONDS)}
    assert in_figures(scraped(looked)) == {"disk": State.WARNING}
    looked.last.clear()
    assert "# TYPE sohoa_check gauge" in scraped(looked)


def test_what_is_looked_for_in_prefect_is_what_is_registered_there() -> None:
    assert {made.name for made in wanted(UUID(int=0))} == set(AUTOMATIONS)
    listed = yaml.safe_load(Path(DEPLOYMENTS).read_text(encoding="utf-8"))["deployments"]
    flows = {f"{Path(item['entrypoint'].partition(':')[0]).stem}/{item['name']}" for item in listed}
    assert flows == set(DEPLOYED)
