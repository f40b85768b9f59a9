"""Prefect's server for attacks, with the password that the attacker knows or must not get."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.settings import ROOT
from deployments.partners.access import Access
from deployments.partners.app import Front, create_partners
from infra.local.postgres import Postgres
from infra.local.process import free_port, spawn, stop, wait_ready
from infra.local.roles import GATEWAY
from tests.attack.partner_client import PartnerClient, register


@dataclass
class PrefectServer:
    """env: for processes that talk to it; folder: theirs."""

    prefect: Orchestrator
    env: dict[str, str]
    folder: Path


@pytest.fixture(scope="session")
def prefect_server(home: Path, postgres: Postgres) -> Iterator[PrefectServer]:
    database = postgres.create_database("attacked").replace("+psycopg", "+asyncpg")
    folder, port = home / "attacked", free_port()
    folder.mkdir()
    url, auth = f"http://127.0.0.1:{port}/api", "sohoa:known-to-the-attacker"
    env = os.environ | {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_LOCAL_STORAGE_PATH": str(folder / "storage"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PYTHONPATH": str(ROOT),
    }
    prefect, log = Orchestrator(url, auth), folder / "prefect.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = spawn(command, log=log, cwd=ROOT, env=env, parent_death=signal.SIGKILL)
    try:
        healthy = lambda: prefect.call("GET", "/health").raise_for_status() and None  # noqa: E731
        wait_ready("Prefect", healthy, server, log, 180)
        yield PrefectServer(prefect, env, folder)
    finally:
        stop(server)


@pytest.fixture
def gate(
    records: RecordsDatabase,
    database_url: str,
    postgres: Postgres,
    objects: ObjectStore,
    prefect_server: PrefectServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    """The front of the gateway's port, in its own role of the database; the officers' part is somebody else (418)."""
    monkeypatch.setenv("SOHOA_TEST_GATEWAY_URL", postgres.url(database_url.rpartition("/")[2], GATEWAY))
    own = RecordsDatabase(url_env="SOHOA_TEST_GATEWAY_URL")
    prefect = prefect_server.prefect
    flow = prefect.call("POST", "/flows/", {"name": "dossier"}).json()["id"]
    # Nothing executes it: it has no work pool.
    prefect.call("POST", "/deployments/", {"name": "integrators", "flow_id": flow}).raise_for_status()
    partners = create_partners(own, objects, Catalog(), prefect, Access(own))
    yield TestClient(Front(partners, PlainTextResponse("officers", 418)), raise_server_exceptions=False)
    own.engine.dispose()


@pytest.fixture
def post(gate: TestClient, records: RecordsDatabase) -> PartnerClient:
    """A partner that may hand in."""
    return PartnerClient(gate, "buu-dien", register(records, "buu-dien")).sign_in()


@pytest.fixture
def other(gate: TestClient, records: RecordsDatabase) -> PartnerClient:
    """Another one, with the same rights."""
    return PartnerClient(gate, "benh-vien", register(records, "benh-vien")).sign_in()
