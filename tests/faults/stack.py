"""A whole stack of its own for the fault tests, driven by the same commands that people type."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from blocks.orchestrator import Orchestrator
from infra.local.keys import read_part
from infra.local.process import find, free_port, marked
from infra.local.stack_status import read_status

ROOT = Path(__file__).resolve().parents[2]
PRELOAD = "prefect.main prefect.flow_engine prefect.task_engine prefect.engine prefect.workers.process"
SILENT_SECONDS = 75  # of a run in work, then it is lost; its process gives a sign of life every 30


@dataclass
class Stack:
    """`command("up")` and so on; `prefect` talks to its API."""

    home: Path
    env: dict[str, str]

    def command(self, name: str, timeout: float = 240, **env: str) -> tuple[int, str]:
        """(exit status, what was printed)."""
        done = subprocess.run(
            [sys.executable, "-m", "infra.local", name],
            cwd=ROOT,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return done.returncode, done.stdout

    def up(self) -> str:
        status, text = self.command("up")
        assert status == 0, text + self.log("supervisor")
        return text

    def log(self, name: str) -> str:
        path = self.home / "log" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def pid(self, part: str) -> int:
        status = read_status(self.home / "run" / "stack.json")
        return int(status["pid"] if part == "supervisor" else status["parts"][part]["pid"])

    def processes(self) -> list[int]:
        """Everything that runs for this stack, PostgreSQL by its working folder."""
        inside = find(lambda process: process.cwd().startswith(str(self.home)))
        return sorted({*marked(self.home), *inside})

    @property
    def prefect(self) -> Orchestrator:
        known = read_part(self.home, "worker")
        return Orchestrator(known["PREFECT_API_URL"], known["PREFECT_API_AUTH_STRING"])

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Prefect's own client talks to this stack."""
        known = read_part(self.home, "worker")
        api = {PREFECT_API_URL: known["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: known["PREFECT_API_AUTH_STRING"]}
        with temporary_settings(api):
            yield

    def start_run(self, **parameters: Any) -> str:
        deployment = self.prefect.call("GET", "/deployments/name/small/small").json()["id"]
        body = {"parameters": parameters}
        return str(self.prefect.call("POST", f"/deployments/{deployment}/create_flow_run", body).json()["id"])

    def state(self, run: str) -> str:
        return str(self.prefect.run(run)["state_name"])

    def wait_state(self, run: str, *wanted: str, timeout: float = 150) -> str:
        until(lambda: self.state(run) in wanted, timeout, lambda: f"{self.state(run)}\n{self.log('worker')[-3000:]}")
        return self.state(run)


def until(condition: Callable[[], object], timeout: float = 150, why: Callable[[], str] = lambda: "") -> None:
    """Wait until it holds; AssertionError after the time (seconds), which is for a machine that does other things."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {why()}"
        time.sleep(0.1)


_claims: list[socket.socket] = []  # held until this process ends


def free_base(count: int = 24) -> int:
    """First of `count` free ports in a row; no other test process gets the same, also while none of them is in use."""
    for base in range(23060, 24700, count + 1):
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", base + count))
            for port in (*range(base, base + count), base - 2000, base + 8000):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return base
    raise RuntimeError("no free ports")


@contextmanager
def make_stack(folder: Path) -> Iterator[Stack]:
    """Settings of a stack with few preloaded modules and the small setup; everything ended afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "SOHOA_HOME": str(folder),
        "SOHOA_PORT_BASE": str(free_base()),
        "SOHOA_PORT_PREFECT": str(free_port()),
        "SOHOA_SETUP_MODULE": "tests.faults.small_setup",
        "SOHOA_PRELOAD": PRELOAD,
        "SOHOA_FLOWS_DIR": str(ROOT / "tests" / "faults"),
        "PREFECT_LOGGING_LEVEL": "INFO",
        "SOHOA_SILENT_SECONDS": str(SILENT_SECONDS),
        "SOHOA_OUTAGE_PAUSES": "2,4",
    }
    stack = Stack(folder.resolve(), env)
    try:
        yield stack
    finally:
        stack.command("down")
