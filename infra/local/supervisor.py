"""The process that keeps the stack: starts the parts in order, restarts what dies, stops all in reverse order.

It runs in its own session (`python -m infra.local supervise`, started by `up`). When it is killed the parts go on; the
next `up` ends them and starts anew, so nothing has to be adopted.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from infra.local.accounts import adopt_inbox
from infra.local.installation import Installation
from infra.local.parts import NEEDS, ONE_SHOT, STOP_ORDER, TITLES, Part, Parts
from infra.local.process import StackError, end_all, flow_runs, marked, workers
from infra.local.rotate import CHECK_EVERY, rotate
from infra.local.stack_status import StackStatus, take_lock

BACK_OFF = (0.5, 1, 2, 5, 10, 30)  # seconds before the n-th restart in a row
LEFT_LYING, SWEEP_EVERY = 24 * 3600.0, 3600.0  # seconds
CALM = 60.0  # seconds of life after which a part counts as healthy again


class Server(Protocol):
    """PostgreSQL or the object store."""

    def end_strays(self) -> int: ...


def end_strays(installation: Installation) -> int:
    """End everything of this stack but ourselves and the command that called; servers last. Returns how many."""
    # The worker first, without notice: it would report the end of its runs as Crashed. Then the runs, which on SIGTERM
    # would report the same; so they go on at the next start.
    count = end_all(lambda: workers(installation.home), signal.SIGKILL, 15)
    count += end_all(lambda: flow_runs(installation.home), signal.SIGKILL, 15)
    count += end_all(lambda: marked(installation.home), signal.SIGTERM, 15)
    servers: list[Callable[[], Server]] = [installation.seaweed] if installation.own_seaweed else []
    servers += [installation.postgres] if installation.own_postgres else []
    return count + sum(server().end_strays() for server in servers)


def sweep(folder: Path, age: float = LEFT_LYING) -> int:
    """Delete the temporary folders of steps that were killed `age` seconds ago or earlier. Returns how many.

    They hold pages of papers (WH04); a step that lives ends within the hour and deletes its own.
    """
    old = [entry for entry in folder.glob("sohoa-*") if time.time() - entry.lstat().st_mtime > age]
    for entry in old:
        shutil.rmtree(entry, ignore_errors=True)
    return len(old)


class Supervisor:
    """One life of the stack."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.status = StackStatus(installation.run / "stack.json")
        self.parts = Parts(installation).all()
        self.ending = threading.Event()
        self.restarts: dict[str, int] = {}
        self.began: dict[str, float] = {}
        self._adopted = 0.0

    def run(self) -> int:
        """Until SIGTERM or SIGINT. Exit status 0 after a stop, 1 after a failed start."""
        lock = take_lock(self.installation.run / "supervisor.lock")
        if lock is None:
            return 0  # another one keeps this stack
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ending.set())
        try:
            return self._live()
        finally:
            lock.release()

    def _live(self) -> int:
        for name in NEEDS:
            self.status.set_part(name, "waiting")
        self.status.set_stack("starting")
        try:
            self._start_all()
        except StackError as error:
            self._say(str(error))
            self._stop_all()
            self.status.set_stack("failed", str(error))
            return 1
        if not self.ending.is_set():
            self.status.set_stack("ready")
            self._say("ready")
            self._watch()
        self.status.set_stack("stopping")
        self._stop_all()
        self.status.set_stack("stopped")
        return 0

    # -- starting -----------------------------------------------------------------------------------------------
    def _start_all(self) -> None:
        """Start each part as soon as those it needs are proven. Raises the first StackError."""
        done: set[str] = set()
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(len(NEEDS)) as pool:
            while len(done) < len(NEEDS) and not self.ending.is_set():
                for name, needs in NEEDS.items():
                    if name not in done and name not in running.values() and done.issuperset(needs):
                        running[pool.submit(self._start, self.parts[name])] = name
                finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    future.result()
                    done.add(name)

    def _start(self, part: Part) -> None:
        count = self.restarts.get(part.name, 0)
        self.status.set_part(part.name, "starting", restarts=count)
        self._say(f"{part.name}: starting")
        try:
            part.start()
        except StackError as error:
            self.status.set_part(part.name, "failed", message=str(error), restarts=count)
            raise
        except Exception as error:  # a bug or the machine: name the part, keep the traceback's kind
            self.status.set_part(part.name, "failed", message=type(error).__name__, restarts=count)
            raise StackError(f"{TITLES[part.name]}: {type(error).__name__}: {error}") from error
        self.began[part.name] = time.monotonic()
        pid = part.process.pid if part.process else None
        self.status.set_part(part.name, "done" if part.name in ONE_SHOT else "ready", pid=pid, restarts=count)
        self._say(f"{part.name}: ready")

    # -- keeping ------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        """Restart what died. A part that keeps dying is tried for ever, ever more slowly; `status` shows why.

        Each restart has a thread of its own: a worker that waits to be ready needs Prefect and the database, and must
        not keep us from restarting these when they die meanwhile.
        """
        due: dict[str, float] = {}
        starting: dict[str, Future[None]] = {}
        swept = looked = time.monotonic()
        with ThreadPoolExecutor(len(NEEDS)) as pool:
            while not self.ending.wait(0.25):
                self._adopt_inbox()
                if time.monotonic() - swept > SWEEP_EVERY:
                    swept = time.monotonic()
                    if left := sum(sweep(folder) for folder in self.installation.home.glob("parts/*/tmp")):
                        self._say(f"{left} temporary folders of killed steps deleted")
                if time.monotonic() - looked > CHECK_EVERY:
                    looked = time.monotonic()
                    rotate(self.installation.logs)
                for name in NEEDS:
                    part = self.parts[name]
                    if name in starting:
                        if starting[name].done() and (error := starting.pop(name).exception()):
                            self._say(str(error))
                            due[name] = self._later(name, str(error))
                    elif part.process is not None and part.process.poll() is not None:
                        self._say(f"{name}: ended with {part.process.returncode}")
                        if time.monotonic() - self.began.get(name, 0) > CALM:
                            self.restarts[name] = 0
                        part.process = None
                        due[name] = self._later(name, "it ended")
                    elif name in due and time.monotonic() >= due[name]:
                        needs = set(NEEDS[name])
                        if not (due.keys() | starting.keys()) & needs:
                            del due[name]
                            starting[name] = pool.submit(self._start, part)
            self._stop_starting(starting)

    def _adopt_inbox(self) -> None:
        """What root puts into the inbox (by `sohoa`, a copy) becomes the worker's, once a second."""
        worker = self.installation.account("worker")
        if worker and time.monotonic() > self._adopted + 1:
            self._adopted = time.monotonic()
            adopt_inbox(Path(self.installation.known["SOHOA_INBOX_DIR"]), worker)

    def _stop_starting(self, starting: dict[str, Future[None]]) -> None:
        """End the processes of restarts under way, or their threads would wait for them to be ready."""
        for name in starting:
            process = self.parts[name].process
            if process is not None and process.poll() is None:
                process.terminate()

    def _later(self, name: str, why: str) -> float:
        count = self.restarts[name] = self.restarts.get(name, 0) + 1
        self.status.set_part(name, "restarting", message=why, restarts=count)
        return time.monotonic() + BACK_OFF[min(count, len(BACK_OFF)) - 1]

    # -- stopping -----------------------------------------------------------------------------------------------
    def _stop_all(self) -> None:
        for name in STOP_ORDER:
            self._say(f"{name}: stopping")
            self.parts[name].stop()
            if name == "worker":  # flow runs that outlived it
                end_all(lambda: flow_runs(self.installation.home), signal.SIGKILL, 10)
            self.status.set_part(name, "stopped")
        end_strays(self.installation)

    def _say(self, text: str) -> None:
        print(datetime.now(UTC).isoformat(timespec="seconds"), text, file=sys.stderr, flush=True)
