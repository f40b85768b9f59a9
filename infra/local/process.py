"""Starting, finding and stopping the processes of the stack; and errors that say in one line what to do."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from infra.worker.fork_server import COMM

MARK = "SOHOA_STACK_OF"  # in the environment of every process of a stack: the folder with its state
FREE_BYTES = 500 << 20  # below this nothing is started: PostgreSQL and SeaweedFS fail badly on a full disk

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """A part can't start or answer. The message is one line that says what to do."""


@dataclass(frozen=True)
class Account:
    """The OS user that a process runs as."""

    uid: int
    gid: int


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def need_port(part: str, port: int, variable: str) -> None:
    """Raises StackError when something listens on the port already."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"{part}: port {port} is in use by another program; free it or set {variable} to a free one"
            ) from error


def need_space(folder: Path, wanted: int = FREE_BYTES) -> None:
    """Raises StackError when the disk under the folder is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise StackError(f"disk full: {folder} has {free >> 20} MB left, {wanted >> 20} MB are needed; free some space")


def write_secret(path: Path, data: bytes) -> None:
    """Whole or not at all, 0600; never through a link that another user may have set in the folder."""
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    half.replace(path)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | str = "/",
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    parent_death: signal.Signals | None = None,
) -> subprocess.Popen[bytes]:
    """Start a long-lived direct child in its own session, output appended to `log`.

    `parent_death`: the signal that the kernel sends it when we die, however we die (used by the tests).
    """

    def follow_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(parent_death or 0))

    # no link: the log may lie in a folder of the process's own user
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640), "ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=follow_parent if parent_death else None,
        )


def stop(process: subprocess.Popen[bytes] | None, how: signal.Signals = signal.SIGTERM, timeout: float = 20) -> None:
    """Ask a child to end, wait, kill it when it doesn't. Safe to call twice."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def wait_ready(
    part: str, probe: Callable[[], object], process: subprocess.Popen[bytes], log: Path, timeout: float
) -> None:
    """Call `probe` until it raises nothing. Raises StackError when the process ends or the time is up."""
    deadline = time.monotonic() + timeout
    pause, last = 0.03, ""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StackError(f"{part} ended while starting (exit {process.returncode}): {explain(log)}")
        try:
            probe()
        except Exception as error:
            last = type(error).__name__
            time.sleep(pause)
            pause = min(pause * 1.3, 0.5)
        else:
            return
    raise StackError(f"{part} is not ready after {timeout:.0f} s ({last}): {explain(log)}")


_KNOWN = {
    "No space left on device": "the disk is full; free some space and run `make up` again",
    "could not write lock file": "the disk is full; free some space and run `make up` again",
    "Address already in use": "its port is taken by another program; free it or choose another (see `make help`)",
    "address already in use": "its port is taken by another program; free it or choose another (see `make help`)",
    "Permission denied": "it may not read or write its files; check who owns the state folder",
    "Cannot allocate memory": "the machine is out of memory; close other programs",
    "error while loading shared libraries": "a system library is missing",
    "password authentication failed": "the password in the state folder does not fit the database",
    "invalid data in file": "its data is damaged; restore a backup",
}
_ERROR = re.compile(r"\[[A-Z]+(_[A-Z]+)+\] ")  # a SohoaError, the last word of one of our commands: code and sentence


def explain(log: Path) -> str:
    """What the end of a log means, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 6000))
            tail = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return f"no log at {log}"
    for line in reversed(tail):
        for needle, meaning in _KNOWN.items():
            if needle in line:
                return f"{meaning} (log: {log})"
    if tail and _ERROR.match(tail[-1]):
        return f"{tail[-1]} (log: {log})"
    return f"see {log}"


def alive(pid: int) -> bool:
    """Does the process exist, and is it more than a zombie?

    A killed process is one from the end of its first thread, while the others still hold its ports and files.
    """
    try:
        process = psutil.Process(pid)
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int, timeout: float = 10) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + timeout
    while alive(pid) and time.monotonic() < deadline:  # psutil.wait_procs would wait for zombies, too
        time.sleep(0.02)


def find(wanted: Callable[[psutil.Process], bool]) -> list[int]:
    """Ids of the living processes that are wanted, ourselves and those that we may not look into left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and wanted(process) and alive(process.pid):
                found.append(process.pid)
    return found


def marked(home: Path) -> list[int]:
    """Process ids of everything that a stack with this state folder started, ourselves left out."""
    return find(lambda process: _is_marked(process, home))


def workers(home: Path) -> list[int]:
    """Prefect workers of the stack at `home`."""
    return find(lambda process: _is_marked(process, home) and ("worker", "start") in pairwise(process.cmdline()))


def flow_runs(home: Path) -> list[int]:
    """Those of them that execute a flow run: forks of the warm worker by their name, others by their environment."""
    return find(lambda process: _is_marked(process, home) and _executes(process))


def _is_marked(process: psutil.Process, home: Path) -> bool:
    return bool(process.environ().get(MARK) == str(home))


def _executes(process: psutil.Process) -> bool:
    return process.name().startswith(COMM) or "PREFECT__FLOW_RUN_ID" in process.environ()


def end_all(pids: Callable[[], list[int]], how: signal.Signals = signal.SIGTERM, timeout: float = 10) -> int:
    """Signal the processes, wait, kill what is left. Returns how many there were."""
    found = pids()
    deadline = time.monotonic() + timeout
    for pid in found:
        _signal(pid, how)
    while left := pids():
        if time.monotonic() > deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.05)
        if time.monotonic() > deadline + 10:
            raise StackError(f"processes {left} can't be ended")
    return len(found)


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
