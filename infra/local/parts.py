"""The parts of the stack: how each starts, proves that it works, and stops. Order: `NEEDS`.

infra knows nothing of the product: records and deployments are run as commands (`python -m …`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from blocks.logs import LOGGING
from blocks.settings import ROOT
from infra.local.accounts import hand_over
from infra.local.installation import Installation
from infra.local.officers import test_users
from infra.local.pki import ensure_pki
from infra.local.postgres import Postgres
from infra.local.prefect_pace import SERVER
from infra.local.process import StackError, explain, spawn, stop, wait_ready
from infra.local.seaweed import Seaweed
from infra.worker.admission import worker_type

POOL = "sohoa"
NEEDS: dict[str, tuple[str, ...]] = {
    "postgres": (),
    "seaweed": (),
    "pki": (),
    "migrate": ("postgres",),
    "prefect": ("postgres",),
    "setup": ("migrate", "prefect", "seaweed", "pki"),
    "worker": ("setup",),
    "metrics": ("setup",),
    "agent": ("setup",),
    "oidc": (),
    "gateway": ("setup", "oidc"),
}
TITLES = {
    "postgres": "PostgreSQL",
    "seaweed": "SeaweedFS",
    "pki": "TEST PKI and time-stamps",
    "migrate": "records: migrations",
    "prefect": "Prefect server",
    "setup": "blocks and deployments",
    "worker": "worker",
    "metrics": "metrics for Prometheus",
    "agent": "agent of the inbox and partners",
    "oidc": "TEST sign-in (OIDC)",
    "gateway": "officer gateway",
}
ONE_SHOT = ("migrate", "setup")
STOP_ORDER = ("gateway", "oidc", "metrics", "agent", "worker", "prefect", "pki", "seaweed", "postgres")


@dataclass
class Part:
    """One part. `start` returns when it is proven; `process` is None for a command that runs once."""

    name: str
    begin: Callable[[], subprocess.Popen[bytes] | None]
    probe: Callable[[], None]
    end: Callable[[subprocess.Popen[bytes] | None], None] = stop
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = self.begin()

    def stop(self) -> None:
        self.end(self.process)
        self.process = None


class Parts:
    """Makes the parts of an installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.postgres = installation.postgres() if installation.own_postgres else None
        self.seaweed = installation.seaweed() if installation.own_seaweed else None
        if self.seaweed:
            self.seaweed.account = installation.account("seaweed")
        self.worker_name = "sohoa-worker"

    def all(self) -> dict[str, Part]:
        parts = [
            self._server("postgres", self.postgres),
            self._server("seaweed", self.seaweed),
            Part("pki", self._begin_pki, self.probe_pki),
            Part("migrate", lambda: self._begin_migrate(), lambda: None),
            Part("prefect", self._begin_prefect, self.probe_prefect),
            Part("setup", self._begin_setup, lambda: None),
            Part("worker", self._begin_worker, self.probe_worker, lambda p: stop(p, signal.SIGTERM, 30)),
            Part("metrics", self._begin_metrics, self.probe_metrics),
            Part("agent", self._begin_agent, self.probe_agent),
            Part("oidc", self._begin_oidc, self.probe_oidc),
            Part("gateway", self._begin_gateway, self.probe_gateway),
        ]
        return {part.name: part for part in parts}

    # -- beginnings ---------------------------------------------------------------------------------------------
    def _server(self, name: str, server: Postgres | Seaweed | None) -> Part:
        """A server of ours, or nothing to start where the office has its own (`sohoa doctor` looks at that one)."""
        if server is None:
            return Part(name, lambda: None, lambda: None, lambda _: None)

        def begin() -> subprocess.Popen[bytes] | None:
            server.start()
            return server.process

        return Part(name, begin, server.probe, lambda _: server.stop())

    def _begin_pki(self) -> subprocess.Popen[bytes] | None:
        if not self.installation.test_pki:
            return None  # certificates and time-stamps are the office's own
        port = self.installation.ports["SOHOA_PORT_PKI"]
        folder = self.installation.home / "pki"
        ensure_pki(folder, f"http://127.0.0.1:{port}")
        if self.installation.own_users:
            hand_over(self.installation.home)  # keys that were made a moment ago
        return self._python("pki", self.probe_pki, 60, "infra.local.pki", "serve", "--dir", folder, "--port", port)

    def _begin_migrate(self) -> None:
        """With the owner's address, which no other part gets."""
        self._once("migrate", "blocks.records", "migrate", part="owner")

    def _begin_prefect(self) -> subprocess.Popen[bytes]:
        extra = {
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(self.installation.ports["SOHOA_PORT_PREFECT"]),
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.installation.home / "parts" / "prefect" / "home" / "ui"),
        } | LOGGING
        extra |= {name: value for name, value in SERVER.items() if name not in self.installation.known}
        command = ("prefect", "server", "start", "--host", "127.0.0.1")
        port = self.installation.ports["SOHOA_PORT_PREFECT"]
        return self._python("prefect", self.probe_prefect, 120, *command, "--port", port, extra=extra)

    def _begin_setup(self) -> None:
        self._once("setup", os.environ.get("SOHOA_SETUP_MODULE", "deployments.setup"), part="setup")

    def _begin_worker(self) -> subprocess.Popen[bytes]:
        settings = self.installation.environment("worker")
        limit = settings.get("SOHOA_WORKER_LIMIT", str(os.cpu_count() or 2))
        command = ("prefect", "worker", "start", "--pool", POOL, "--type", worker_type(settings), "--limit", limit)
        began = datetime.now(UTC)
        probe = lambda: self.probe_worker(began)  # noqa: E731
        return self._python("worker", probe, 180, *command, "--name", self.worker_name, extra=LOGGING)

    def _begin_metrics(self) -> subprocess.Popen[bytes]:
        return self._python("metrics", self.probe_metrics, 60, "deployments.metrics")

    def _begin_agent(self) -> subprocess.Popen[bytes]:
        return self._python("agent", self.probe_agent, 60, "deployments.agent")

    def _begin_oidc(self) -> subprocess.Popen[bytes] | None:
        if not self.installation.test_provider:
            return None  # the office has a provider of its own
        users = [json.dumps(user) for user in test_users()]
        port = self.installation.ports["SOHOA_PORT_OIDC"]
        return self._python("oidc", self.probe_oidc, 60, "infra.local.oidc", port, *users)

    def _begin_gateway(self) -> subprocess.Popen[bytes]:
        return self._python(
            "gateway", self.probe_gateway, 90, "deployments.desk", extra=self.installation.gateway_secrets()
        )

    def _python(
        self,
        name: str,
        probe: Callable[[], None],
        timeout: float,
        *command: object,
        extra: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `python -m …` and wait for its probe."""
        log = self.log(name)
        process = spawn(
            [sys.executable, "-m", *map(str, command)],
            log=log,
            cwd=ROOT,
            env=self.installation.environment(name) | (extra or {}),
            account=self.installation.account(name),
        )
        try:
            wait_ready(TITLES[name], probe, process, log, timeout)
        except BaseException:
            stop(process, signal.SIGTERM, 5)
            raise
        return process

    def _once(self, name: str, *command: str, part: str) -> None:
        """Run a command that ends by itself, with the secrets of `part`. Raises StackError when it fails."""
        log = self.log(name)
        process = spawn([sys.executable, "-m", *command], log=log, cwd=ROOT, env=self.installation.environment(part),
                        account=self.installation.account(part))  # fmt: skip
        try:
            status = process.wait(300)
        except subprocess.TimeoutExpired:
            stop(process, signal.SIGTERM, 5)
            raise StackError(f"{TITLES[name]}: no end after 300 s: {explain(log)}") from None
        if status:
            raise StackError(f"{TITLES[name]} failed (exit {status}): {explain(log)}")

    def log(self, name: str) -> Path:
        """The part's log; the supervisor keeps it from growing without end (infra/local/rotate.py)."""
        return self.installation.logs / f"{name}.log"

    # -- probes -----------------------------------------------------------------------------------------------
    def probe_pki(self) -> None:
        """A time-stamp token is really made. Those of others are looked at by `sohoa doctor`: we can't restart them."""
        from asn1crypto import tsp

        if not self.installation.test_pki or self.installation.chosen("SOHOA_TSA_URL"):
            return
        variables = self.installation.variables()
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": os.urandom(32)}
        request = tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "cert_req": True})
        headers = {"Content-Type": "application/timestamp-query"}
        answer = httpx.post(variables["SOHOA_TSA_URL"], content=request.dump(), headers=headers, timeout=5)
        status = tsp.TimeStampResp.load(answer.raise_for_status().content)["status"]["status"].native
        if status != "granted":
            raise StackError(f"the time-stamp service answers {status}")

    def probe_prefect(self) -> None:
        """The API answers, lets nobody in without the secret, and reads from its database."""
        base = f"{self.installation.prefect_url}/api"
        httpx.get(f"{base}/health", auth=self._auth(), timeout=5).raise_for_status()
        self._api("POST", "/work_pools/filter", {"limit": 1})
        if httpx.post(f"{base}/flows/count", json={}, timeout=5).status_code != 401:
            raise StackError("Prefect's API is open to everyone; check PREFECT_SERVER_API_AUTH_STRING")

    def probe_worker(self, since: datetime | None = None) -> None:
        """Its heartbeat is ONLINE (and newer than `since`)."""
        workers = self._api("POST", f"/work_pools/{POOL}/workers/filter", {})
        for worker in workers:
            beat = datetime.fromisoformat(worker["last_heartbeat_time"])
            if worker["name"] == self.worker_name and worker["status"] == "ONLINE" and (since is None or beat >= since):
                return
        raise StackError("no worker is online")

    def probe_metrics(self) -> None:
        """Figures come from the records database and from Prefect."""
        page = httpx.get(f"http://127.0.0.1:{self.installation.ports['SOHOA_PORT_METRICS']}/metrics", timeout=20).text
        for source in ("records", "prefect"):
            if f'sohoa_source_up{{source="{source}"}} 1.0' not in page:
                raise StackError(f"no figures come from {source}")

    def probe_agent(self) -> None:
        """It has looked round within the last minute."""
        beat = self.installation.home / "parts" / "agent" / "tmp" / "agent.beat"
        if not beat.exists() or time.time() - beat.stat().st_mtime > 60:
            raise StackError("the agent doesn't look round")

    def probe_oidc(self) -> None:
        """The provider tells where to sign in."""
        if self.installation.test_provider:
            base = f"http://127.0.0.1:{self.installation.ports['SOHOA_PORT_OIDC']}"
            httpx.get(f"{base}/.well-known/openid-configuration", timeout=5).raise_for_status()

    def probe_gateway(self) -> None:
        """It lives, sends browsers to the sign-in and lets nobody else through to Prefect."""
        base = f"http://127.0.0.1:{self.installation.ports['SOHOA_PORT_GATEWAY']}"
        httpx.get(f"{base}/suc-khoe", timeout=5).raise_for_status()
        if httpx.get(f"{base}/api/health", timeout=5).status_code != 401:
            raise StackError("the officer gateway lets strangers in")

    def _auth(self) -> tuple[str, str]:
        user, _, password = self.installation.keys.auth().partition(":")
        return user, password

    def _api(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.installation.prefect_url}/api{path}"
        answer = httpx.request(method, url, json=body, auth=self._auth(), timeout=10)
        if answer.status_code == 404:
            raise StackError(f"Prefect knows no {path}; the step `{TITLES['setup']}` has not made it")
        return json.loads(answer.raise_for_status().content)
