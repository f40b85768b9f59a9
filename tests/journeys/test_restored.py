"""The machine is lost while a dossier waits for an officer: restored elsewhere, it goes on to its end (CA08, LU06)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.records.states import DossierState
from blocks.settings import load_stack_env, settings
from infra.local.process import free_port
from tests.faults.stack import ROOT, Stack, free_base, until
from tests.players.demo import play
from tests.players.officers import Officers, Sample
from tests.samples.__main__ import generate


@contextmanager
def stack_at(home: Path, base: int) -> Iterator[Stack]:
    """A stack with ports from `base` on, and this process as a client of it."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("SOHOA_", "PREFECT_API"))]:
        del os.environ[name]
    env = os.environ | {
        "SOHOA_HOME": str(home),
        "SOHOA_PORT_BASE": str(base),
        "SOHOA_PORT_PREFECT": str(free_port()),
        "PREFECT_LOGGING_LEVEL": "INFO",
    }
    stack = Stack(home, env)
    try:
        yield stack
    finally:
        stack.command("down")
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def up(stack: Stack) -> None:
    status, text = stack.command("up", timeout=600)
    assert status == 0, text + stack.log("supervisor") + stack.log("setup")


def officers_of(stack: Stack) -> Officers:
    os.environ["SOHOA_HOME"] = str(stack.home)
    load_stack_env()
    settings.cache_clear()
    return Officers(RecordsDatabase(), ObjectStore(), Orchestrator())


def sohoa(stack: Stack, *arguments: object) -> str:
    command = [sys.executable, "-m", "deployments.cli.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_dossier_that_waits_goes_on_where_it_was_restored() -> None:
    # Not pytest's own folder, which is closed to others: PostgreSQL runs as another user when we are root.
    folder = Path(tempfile.mkdtemp(prefix="sohoa-restored-"))
    folder.chmod(0o711)
    copies, keys = folder / "copies", folder / "elsewhere" / "keys"
    [drawn] = generate(folder / "samples", only=("01-",))
    sample = Sample(drawn)
    base = free_base()  # for both: certificates of the TEST PKI name its address, as those of a real CA name the CA's
    try:
        with stack_at(folder / "first", base) as first:
            up(first)
            officers = officers_of(first)
            officers.hand_in(sample)

            def waits() -> bool:
                run = officers.prefect.run(sample.run_id)
                key = pause_key(run) if run["state_type"] == "PAUSED" else ""
                if key and not key.startswith("verification"):
                    officers.answer(sample, run)
                return bool(key) and key.startswith("verification")

            until(waits, 600, lambda: first.log("worker")[-3000:])
            assert "Đã sao lưu" in sohoa(first, "backup", copies, "--keys", keys)
        shutil.rmtree(folder / "first")
        (folder / "second").mkdir(mode=0o711)
        with stack_at(folder / "second", base) as second:
            assert "Đã khôi phục" in sohoa(second, "restore", copies, "--keys", keys)
            up(second)
            officers = officers_of(second)
            ended = play(officers, [sample], timeout=900)
            dossier = officers.dossier(sample)
            assert dossier is not None and dossier.state is DossierState.LUU_TRU, (ended, second.log("worker")[-3000:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
