"""Prefect's pages and API are for who runs the machine; everybody else is refused before Prefect hears of it (WH04)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from blocks.catalog.staff import Role
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from infra.local.postgres import Postgres
from tests.attack.conftest import PrefectServer
from tests.attack.plugin import Attack
from tests.deployments.desk import ORIGIN, OWN, Gateway, Signed, make_gateway, staff_file

RUN = "0f6b2a6e-8f5c-4d7e-9a43-0c4c5a3e7d21"
READING = ("/api/flow_runs/filter", "/api/logs/filter", "/api/artifacts/filter", "/api/ui/task_runs/count")
CHANGING = (
    ("POST", f"/api/deployments/{RUN}/create_flow_run", {"job_variables": {"command": "touch /tmp/loot"}}),
    ("PATCH", f"/api/deployments/{RUN}", {"entrypoint": "evil.py:evil"}),
    ("POST", "/api/deployments/", {"name": "evil"}),
    ("PATCH", f"/api/block_documents/{RUN}", {"data": {"folder": "/evil"}}),
    ("PATCH", "/api/work_pools/sohoa", {"base_job_template": {}}),
    ("PUT", "/api/admin/storage", {"default_result_storage_block_id": RUN}),
    ("POST", f"/api/flow_runs/{RUN}/set_state", {"state": {"type": "COMPLETED"}}),
)


@pytest.fixture
def gateway(
    records: RecordsDatabase,
    objects: ObjectStore,
    postgres: Postgres,
    prefect_server: PrefectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gateway]:
    """The officers' gateway in front of a real Prefect."""
    known = {name: prefect_server.env[name] for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    yield make_gateway(records, tmp_path, postgres, **known)


def signed_in(gateway: Gateway, role: Role) -> Signed:
    return gateway.signed_in(f"here.{role.lower()}", {(OWN, role.value)})


def send(who: Signed, method: str, path: str, body: Any) -> int:
    return who.http.request(method, path, json=body, headers={"origin": ORIGIN}).status_code


def test_officers_see_and_start_nothing_of_prefect(
    attack: Attack, gateway: Gateway, prefect_server: PrefectServer
) -> None:
    runs = lambda: prefect_server.prefect.call("POST", "/flow_runs/count", {}).json()  # noqa: E731
    for role in (role for role in Role if role is not Role.OPERATE):
        who, before = signed_in(gateway, role), gateway.newest()
        with attack(f"{role.value} without OPERATE reads and changes Prefect", watch=runs) as told:
            tried = [("POST", path, {}) for path in READING] + list(CHANGING)
            tried += [("GET", "/api/health", None), ("POST", f"/api/flow_runs/{RUN}/resume", {"run_input": {}})]
            answers = {send(who, *attempt) for attempt in tried}
            page = who.get("/dashboard", headers={"accept": "text/html"})
            told.answered(f"HTTP {answers}, page {page.status_code}")
            told.audited(f"{len(gateway.refusals(before))} × FORBIDDEN")
            assert answers == {403} and page.status_code == 403 and "bộ phận vận hành" in page.text
            assert gateway.refusals(before) == [(f"here.{role.lower()}", "FORBIDDEN")] * (len(tried) + 1)


def test_officers_hear_no_events(attack: Attack, gateway: Gateway) -> None:
    who, before = signed_in(gateway, Role.LEAD), gateway.newest()
    with attack("leader without OPERATE listens to Prefect's events") as told:
        with (
            pytest.raises(WebSocketDisconnect),
            who.http.websocket_connect("/api/events/out", headers={"origin": ORIGIN}, subprotocols=["prefect"]),
        ):
            pass
        told.answered("closed before it was accepted")
        told.audited(gateway.refusals(before))
        told.proved("no connection to Prefect was opened")
    assert gateway.refusals(before) == [("here.lead", "FORBIDDEN")]


def test_operations_read_and_change_nothing(attack: Attack, gateway: Gateway, prefect_server: PrefectServer) -> None:
    who = signed_in(gateway, Role.OPERATE)
    deployments = lambda: prefect_server.prefect.call("POST", "/deployments/filter", {}).text  # noqa: E731
    with who.http:  # one event loop for all requests, as in the gateway's process
        assert {send(who, "POST", path, {}) for path in READING} == {200}
        for method, path, body in CHANGING:
            with attack(f"operations: {method} {path.replace(RUN, '…')}", watch=deployments) as told:
                told.answered(f"HTTP {(answer := send(who, method, path, body))}")
                assert answer == 403
