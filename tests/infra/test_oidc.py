"""The TEST identity provider with the gateway: it says when and how, asks anew for a signature, ends accounts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from deployments.desk.auth.signin import AGAIN, LOGIN
from infra.local.oidc import ACR
from infra.local.postgres import Postgres
from infra.local.process import free_port, spawn, stop, wait_ready
from tests.deployments.desk import OWN, Gateway, make_gateway, staff_file

ROOT = Path(__file__).resolve().parents[2]
LEADER = {"sub": "here.lead", "preferred_username": "here.lead", "groups": [f"sohoa/{OWN}/LEAD"]}


@pytest.fixture(scope="module")
def office(home: Path) -> Iterator[str]:
    port, log = free_port(), home / "oidc.log"
    command = [sys.executable, "-m", "infra.local.oidc", str(port), json.dumps(LEADER)]
    server = spawn(command, log=log, cwd=ROOT, env=os.environ, parent_death=signal.SIGKILL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(
            "TEST sign-in", lambda: httpx.get(url + "/jwks", timeout=2).raise_for_status() and None, server, log, 60
        )
        yield url
    finally:
        stop(server)


@pytest.fixture
def gateway(
    postgres: Postgres,
    records: RecordsDatabase,
    objects: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    office: str,
) -> Gateway:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return make_gateway(records, tmp_path, postgres, oidc_issuer=office, oidc_acr=ACR, oidc_client_secret="TEST")


def test_the_test_provider_says_when_and_how_and_ends_accounts(gateway: Gateway, office: str) -> None:
    browser = gateway.stranger()

    def through(place: str) -> httpx.Response:
        """To the provider, choose the officer there, and back."""
        given = httpx.post(place, data={"sub": "here.lead"}, timeout=30)
        assert given.status_code == 302, given.text
        return browser.get(httpx.URL(given.headers["location"]).raw_path.decode())

    asked = browser.get(LOGIN, params={"ve": "/su-co"})
    assert through(asked.headers["location"]).headers["location"] == "/su-co"
    session = gateway.app.sessions.find(browser.cookies["sohoa"])
    assert session is not None and session.proven.acr == ACR and session.account[2]
    assert session.proven.auth_time is not None and abs(session.proven.auth_time.timestamp() - time.time()) < 60
    assert browser.get("/su-co").status_code == 200

    viec = session.ask_again("run/signoff-1/KY", "/ho-so/1", {"reason": "x"})
    place = browser.get(AGAIN, params={"viec": viec}).headers["location"]
    assert "prompt=login" in place and "max_age=0" in place
    assert through(place).headers["location"] == f"/ho-so/1?xac-thuc={viec}"
    assert session.proven_for("run/signoff-1/KY", 5) is not None

    asyncio.run(gateway.app.watch.once())
    assert session.checked and browser.get("/su-co").status_code == 200
    httpx.post(f"{office}/users/here.lead/revoke-tokens").raise_for_status()
    session.checked -= 60
    asyncio.run(gateway.app.watch.once())
    assert browser.get("/su-co", headers={"accept": "*/*"}).status_code == 401
