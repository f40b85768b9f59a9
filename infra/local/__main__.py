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
from infra.local.board import read_board, take_lock
from infra.local.parts import TITLES, Parts
from infra.local.plan import OS_USERS, Plan, choose_prefect_port, load_plan
from infra.local.process import MARK, StackError, marked, need_space, wait_gone
from infra.local.production import choose_environment, require_real
from infra.local.supervisor import Supervisor, end_strays

PATIENCE = 420.0  # seconds that a start may take
SIGNS = {"waiting": "·", "starting": "…", "ready": "✓", "done": "✓", "restarting": "↻", "failed": "✗", "stopped": "–"}
console = Console(highlight=False)


def up(plan: Plan) -> None:
    """Start the stack, or find it running. Raises StackError."""
    plan.run.mkdir(parents=True, exist_ok=True)
    with FileLock(plan.run / "up.lock", fallback_to_soft=False):  # two `up` at once: the second finds what runs
        _wait_for_end(plan)
        if not _supervised(plan):
            _launch(plan)
        elif read_board(plan.run / "stack.json").get("state") == "ready":
            console.print("the stack is running already")
        _follow(plan)
        _prove(plan)
    console.print(f"Prefect: {plan.prefect_url}  (for operations only: `make password`)", soft_wrap=True)


def down(plan: Plan) -> None:
    """Stop everything, also what a killed supervisor left behind."""
    board = read_board(plan.run / "stack.json")
    if _supervised(plan) and (pid := board.get("pid")):
        os.kill(pid, 15)
        deadline = time.monotonic() + 120
        with console.status("stopping") as status:
            while _supervised(plan):
                parts = read_board(plan.run / "stack.json").get("parts", {})
                left = [TITLES[name] for name, entry in parts.items() if entry["state"] in ("ready", "starting")]
                status.update(f"stopping: {', '.join(left)}")
                if time.monotonic() > deadline:
                    os.kill(pid, 9)
                time.sleep(0.1)
        wait_gone(pid)
    end_strays(plan)
    console.print("the stack is stopped")


def status(plan: Plan) -> None:
    """Show the parts; prove each one now. Raises StackError when not all work."""
    board = read_board(plan.run / "stack.json")
    if not _supervised(plan):
        left = len(marked(plan.home))
        tail = f"; {left} processes of it are left, `make up` replaces them" if left else ""
        raise StackError(f"the stack is not running{tail or ' (make up)'}")
    failures = {} if board.get("state") != "ready" else _canaries(plan)
    console.print(_table(board, failures))
    if board.get("state") != "ready":
        raise StackError(f"the stack is {board.get('state')}")
    if failures:
        raise StackError(f"not working: {', '.join(TITLES[name] for name in failures)}; see {plan.logs}")
    console.print(f"Prefect: {plan.prefect_url}")


def _launch(plan: Plan) -> None:
    """Clear the ground, write stack.env, start the supervisor in a session of its own."""
    need_space(plan.home)
    if strays := end_strays(plan):
        console.print(f"ended {strays} processes that an earlier stack left behind")
    if line := choose_environment(plan.known, os.environ, plan.env_file):
        console.print(line, soft_wrap=True)
    if not plan.is_test:
        require_real(plan.home, plan.known | plan.keys.external())
    if line := choose_prefect_port(plan):
        console.print(line)
    plan.check_ports()
    line = prepare(plan.home) if plan.known.get(OS_USERS) != "one" else None
    plan.known[OS_USERS] = "one" if line or plan.known.get(OS_USERS) == "one" else "parts"
    if line:
        console.print(line, soft_wrap=True)
    try:
        moved = plan.write()
    except OSError as error:
        raise StackError(f"{plan.home} can't be written ({error.strerror})") from error
    if moved:
        console.print(f"moved from stack.env to {plan.home / 'secrets'}: {', '.join(moved)}", soft_wrap=True)
    (plan.run / "stack.json").unlink(missing_ok=True)
    with (plan.logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "infra.local", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "SOHOA_HOME": str(plan.home), MARK: str(plan.home), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )


def _follow(plan: Plan) -> None:
    """Show the start until all is ready. Raises StackError with the line of the part that failed."""
    deadline = time.monotonic() + PATIENCE
    path = plan.run / "stack.json"
    with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
        while (board := read_board(path)).get("state") not in ("ready", "failed"):
            if time.monotonic() > deadline:
                raise StackError(f"the stack is not ready after {PATIENCE:.0f} s; see {plan.logs}")
            if time.monotonic() > deadline - PATIENCE + 20 and not _supervised(plan):
                raise StackError(f"the supervisor ended; see {plan.logs / 'supervisor.log'}")
            live.update(_table(board, {}))
            time.sleep(0.1)
        live.update(_table(board, {}))
    if not console.is_terminal:
        console.print(_table(board, {}))
    if board["state"] == "failed":
        _wait_for_end(plan)
        raise StackError(board["message"])


def _prove(plan: Plan) -> None:
    if failures := _canaries(plan, 120):  # time enough to restart what was killed
        name, error = next(iter(failures.items()))
        raise StackError(f"{TITLES[name]} does not work ({error}); see {plan.logs}, or `make down` and `make up`")


def _canaries(plan: Plan, patience: float = 0) -> dict[str, str]:
    """Parts that don't work, each with the kind of error; those under restart get `patience` seconds to come back."""
    deadline = time.monotonic() + patience
    while True:
        failures = {}
        for name, part in Parts(plan).all().items():
            try:
                part.canary()
            except Exception as error:
                failures[name] = str(error) if isinstance(error, StackError) else type(error).__name__
        if not failures or time.monotonic() > deadline:
            return failures
        time.sleep(0.5)


def _supervised(plan: Plan) -> bool:
    plan.run.mkdir(parents=True, exist_ok=True)
    lock = take_lock(plan.run / "supervisor.lock")
    if lock:
        lock.release()
    return lock is None


def _wait_for_end(plan: Plan) -> None:
    """Wait for a supervisor that is stopping."""
    deadline = time.monotonic() + 120
    while _supervised(plan) and read_board(plan.run / "stack.json").get("state") in ("stopping", "failed", "stopped"):
        if time.monotonic() > deadline:
            raise StackError("the stack is still stopping; try again in a minute")
        time.sleep(0.1)
    if not _supervised(plan) and (pid := read_board(plan.run / "stack.json").get("pid")):
        wait_gone(pid)


def _table(board: dict[str, Any], failures: dict[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, entry in board.get("parts", {}).items():
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
        plan = load_plan()
        if command == "supervise":
            return Supervisor(plan).run()
        {"up": up, "down": down, "status": status}[command](plan)
    except StackError as error:
        console.print(f"[red]✗[/red] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the stack goes on in the background (`make down` stops it)")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
