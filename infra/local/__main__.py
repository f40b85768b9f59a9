"""``python -m infra.local up|down|status``: the stack of one machine, in the background.

Exit status 0: it is as asked. 1: it isn't, and one line says what to do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.live import Live
from rich.table import Table

from blocks.settings import ROOT
from infra.local.accounts import prepare
from infra.local.installation import OS_USERS, Installation, choose_prefect_port, load_installation
from infra.local.parts import TITLES, Parts
from infra.local.process import MARK, StackError, marked, need_space, wait_gone
from infra.local.production import choose_environment, require_real
from infra.local.stack_status import read_status, take_lock
from infra.local.supervisor import Supervisor, end_strays

PATIENCE = 420.0  # seconds that a start may take
SIGNS = {"waiting": "·", "starting": "…", "ready": "✓", "done": "✓", "restarting": "↻", "failed": "✗", "stopped": "–"}
console = Console(highlight=False)


def up(installation: Installation) -> None:
    """Start the stack, or find it running. Raises StackError."""
    installation.run.mkdir(parents=True, exist_ok=True)
    with FileLock(installation.run / "up.lock", fallback_to_soft=False):  # two `up` at once: the second finds what runs
        _wait_for_end(installation)
        if not _supervised(installation):
            _launch(installation)
        elif read_status(installation.run / "stack.json").get("state") == "ready":
            console.print("the stack is running already")
        _follow(installation)
        _prove(installation)
    console.print(f"Prefect: {installation.prefect_url}  (for operations only: `make password`)", soft_wrap=True)


def down(installation: Installation) -> None:
    """Stop everything, also what a killed supervisor left behind."""
    status = read_status(installation.run / "stack.json")
    if _supervised(installation) and (pid := status.get("pid")):
        os.kill(pid, 15)
        deadline = time.monotonic() + 120
        with console.status("stopping") as line:
            while _supervised(installation):
                parts = read_status(installation.run / "stack.json").get("parts", {})
                left = [TITLES[name] for name, entry in parts.items() if entry["state"] in ("ready", "starting")]
                line.update(f"stopping: {', '.join(left)}")
                if time.monotonic() > deadline:
                    os.kill(pid, 9)
                time.sleep(0.1)
        wait_gone(pid)
    end_strays(installation)
    console.print("the stack is stopped")


def status(installation: Installation) -> None:
    """Show the parts; prove each one now. Raises StackError when not all work."""
    stack = read_status(installation.run / "stack.json")
    if not _supervised(installation):
        left = len(marked(installation.home))
        tail = f"; {left} processes of it are left, `make up` replaces them" if left else ""
        raise StackError(f"the stack is not running{tail or ' (make up)'}")
    failures = {} if stack.get("state") != "ready" else _probes(installation)
    console.print(_table(stack, failures))
    if stack.get("state") != "ready":
        raise StackError(f"the stack is {stack.get('state')}")
    if failures:
        raise StackError(f"not working: {', '.join(TITLES[name] for name in failures)}; see {installation.logs}")
    console.print(f"Prefect: {installation.prefect_url}")


def _launch(installation: Installation) -> None:
    """Clear the ground, write stack.env, start the supervisor in a session of its own."""
    need_space(installation.home)
    if strays := end_strays(installation):
        console.print(f"ended {strays} processes that an earlier stack left behind")
    if line := choose_environment(installation.known, os.environ, installation.env_file):
        console.print(line, soft_wrap=True)
    if not installation.is_test:
        require_real(installation.home, installation.known | installation.keys.external())
    if line := choose_prefect_port(installation):
        console.print(line)
    installation.check_ports()
    line = prepare(installation.home) if installation.known.get(OS_USERS) != "one" else None
    installation.known[OS_USERS] = "one" if line or installation.known.get(OS_USERS) == "one" else "parts"
    if line:
        console.print(line, soft_wrap=True)
    try:
        moved = installation.write()
    except OSError as error:
        raise StackError(f"{installation.home} can't be written ({error.strerror})") from error
    if moved:
        console.print(f"moved from stack.env to {installation.home / 'secrets'}: {', '.join(moved)}", soft_wrap=True)
    (installation.run / "stack.json").unlink(missing_ok=True)
    with (installation.logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "infra.local", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={
                **os.environ,
                "SOHOA_HOME": str(installation.home),
                MARK: str(installation.home),
                "PYTHONUNBUFFERED": "1",
            },
            start_new_session=True,
        )


def _follow(installation: Installation) -> None:
    """Show the start until all is ready. Raises StackError with the line of the part that failed."""
    deadline = time.monotonic() + PATIENCE
    path = installation.run / "stack.json"
    with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
        while (status := read_status(path)).get("state") not in ("ready", "failed"):
            if time.monotonic() > deadline:
                raise StackError(f"the stack is not ready after {PATIENCE:.0f} s; see {installation.logs}")
            if time.monotonic() > deadline - PATIENCE + 20 and not _supervised(installation):
                raise StackError(f"the supervisor ended; see {installation.logs / 'supervisor.log'}")
            live.update(_table(status, {}))
            time.sleep(0.1)
        live.update(_table(status, {}))
    if not console.is_terminal:
        console.print(_table(status, {}))
    if status["state"] == "failed":
        _wait_for_end(installation)
        raise StackError(status["message"])


def _prove(installation: Installation) -> None:
    if failures := _probes(installation, 120):  # time enough to restart what was killed
        name, error = next(iter(failures.items()))
        raise StackError(
            f"{TITLES[name]} does not work ({error}); see {installation.logs}, or `make down` and `make up`"
        )


def _probes(installation: Installation, patience: float = 0) -> dict[str, str]:
    """Parts that don't work, each with the kind of error; those under restart get `patience` seconds to come back."""
    deadline = time.monotonic() + patience
    while True:
        failures = {}
        for name, part in Parts(installation).all().items():
            try:
                part.probe()
            except Exception as error:
                failures[name] = str(error) if isinstance(error, StackError) else type(error).__name__
        if not failures or time.monotonic() > deadline:
            return failures
        time.sleep(0.5)


def _supervised(installation: Installation) -> bool:
    installation.run.mkdir(parents=True, exist_ok=True)
    lock = take_lock(installation.run / "supervisor.lock")
    if lock:
        lock.release()
    return lock is None


def _wait_for_end(installation: Installation) -> None:
    """Wait for a supervisor that is stopping."""
    deadline = time.monotonic() + 120
    while _supervised(installation) and read_status(installation.run / "stack.json").get("state") in (
        "stopping",
        "failed",
        "stopped",
    ):
        if time.monotonic() > deadline:
            raise StackError("the stack is still stopping; try again in a minute")
        time.sleep(0.1)
    if not _supervised(installation) and (pid := read_status(installation.run / "stack.json").get("pid")):
        wait_gone(pid)


def _table(status: dict[str, Any], failures: dict[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, entry in status.get("parts", {}).items():
        state = "failed" if name in failures else entry["state"]
        seconds = f"{time.time() - entry['since']:.0f} s" if state == "starting" else ""
        again = f"restarted {entry['restarts']}x" if entry["restarts"] else ""
        note = failures.get(name) or entry["message"]
        table.add_row(SIGNS.get(state, "?"), TITLES[name], state, " ".join(filter(None, (seconds, again, note))))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "supervise"])
    command = parser.parse_args().command
    try:
        installation = load_installation()
        if command == "supervise":
            return Supervisor(installation).run()
        {"up": up, "down": down, "status": status}[command](installation)
    except StackError as error:
        console.print(f"[red]✗[/red] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the stack goes on in the background (`make down` stops it)")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
