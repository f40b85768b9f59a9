"""The worker of type `process` takes a dossier from hand-in to the archive, with a run that is killed on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.worker.rescue import RESCHEDULED
from tests.faults.stack import ROOT, Stack, make_stack, until
from tests.samples.__main__ import generate

pytestmark = pytest.mark.timeout(900)
SAMPLE = "01-"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All of the stack, with the setting where an administrator writes it."""
    # Not pytest's own folder, which is closed to others: each part may run as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="sohoa-plain-"))
    folder.chmod(0o711)
    try:
        with make_stack(folder / "var") as made:
            for small in ("SOHOA_SETUP_MODULE", "SOHOA_PRELOAD", "SOHOA_FLOWS_DIR"):
                del made.env[small]
            servers = ("SOHOA_S3_", "SOHOA_DATABASE_", "SOHOA_PKI_", "SOHOA_TSA_")  # those of other tests
            for name in [name for name in made.env if name.startswith(servers)]:
                del made.env[name]
            (made.home / "stack.env").write_text("SOHOA_WORKER_TYPE=process\n")
            made.up()
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_dossier_is_digitised_by_the_plain_worker(stack: Stack, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    generate(samples, only=(SAMPLE,))
    demo = [sys.executable, "-m", "tests.players.demo", str(samples), "--set", "all", "--timeout", "400"]
    runs = lambda: stack.prefect.runs(flow="dossier")  # noqa: E731
    with subprocess.Popen(demo, cwd=ROOT, env=stack.env, stdout=subprocess.DEVNULL) as begun:
        until(lambda: any(run["state_type"] == "RUNNING" and run["infrastructure_pid"] for run in runs()))
        (run,) = runs()
        process = int(run["infrastructure_pid"])
        assert b"infra.worker.engine" in Path(f"/proc/{process}/cmdline").read_bytes()
        os.kill(process, signal.SIGKILL)
        stack.wait_state(run["id"], RESCHEDULED)
        begun.kill()  # for it, a run that crashed has ended
    told = subprocess.run(demo, cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, text=True, timeout=400)
    assert told.returncode == 0, f"{told.stdout}\n{stack.log('worker')[-3000:]}"
    (run,) = runs()  # one submission, one run
    states = stack.prefect.call("GET", f"/flow_run_states/?flow_run_id={run['id']}").json()
    names = [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]
    assert run["state_type"] == "COMPLETED" and names.index("Crashed") < names.index(RESCHEDULED)
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in stack.processes()]
    assert any(b"\0--type\0process\0" in command for command in commands)
    assert not any(b"infra.worker.fork_server" in command for command in commands)
