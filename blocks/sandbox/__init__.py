"""The one place where files from outside are parsed: in a process that has nothing to steal and nowhere to send it.

`run` calls a function of ours (``module:name``) there, with the files as open streams. The process has an empty
environment, no network, no right to read anything but code or to write anything at all, no other process to signal or
trace, its own OS user where we are root, and limits of memory, time and output. It serves one call and ends, so that a
file that takes it over can lie about itself only. Which walls a machine offers is told by `walls`.

    def pages(out: Sink, scan: BinaryIO, dpi: int) -> Any: …     # in the sandbox: `out.put(name, data)` makes files
    run("tasks.capture.inside:pages", {"dpi": 300}, {"scan": path}, Limits(), out=folder)
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.errors import Remedy, SohoaError
from blocks.sandbox import frames
from blocks.settings import ROOT, in_production

WALL_FACTOR = 12  # by the clock, times the processor time: several processes share the processors
QUEUE_SECONDS = 600.0  # that a request may wait for its turn
PIPE_BYTES = 1 << 20
MAX_RESULT = 8 << 20  # bytes of JSON
_NAME = re.compile(rb"[0-9A-Za-z_.-]{1,60}")
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ")


class LimitBroken(SohoaError):
    """A file needed more time, memory or room than it gets, or ended its process."""

    code, rule = "FILE_LIMITS", "CA08"
    message = "Tệp quá phức tạp hoặc bị hỏng nên không mở được; vui lòng đề nghị nộp tệp khác."


class NoWalls(SohoaError):
    """This machine can shut neither network nor files away from a parser: nothing foreign is opened outside `test`."""

    code, rule, remedy = "SANDBOX_OPEN", "CA08", Remedy.ADMINISTRATOR
    message = (
        "Máy chủ không cách ly được tiến trình đọc tệp lạ nên hệ thống không mở tệp; vui lòng báo quản trị viên chạy "
        "`sohoa doctor` và bật Landlock hoặc seccomp của nhân Linux."
    )


class SandboxFault(RuntimeError):
    """A fault of ours in the sandbox: kind and line, nothing of the file."""


@dataclass(frozen=True)
class Limits:
    """memory: bytes of data; seconds: of the processor; output: bytes of all files that come out, and how many."""

    memory: int = 500_000_000
    seconds: int = 10
    output: int = 2_000_000_000
    files: int = 4_000


class _Keeper:
    """A process to fork from, and our end of its socket."""

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment |= {"HOME": "/nonexistent", "PREFECT_HOME": "/nonexistent"}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "blocks.sandbox.keeper", str(theirs.fileno()), module],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        self.channel, self.pid = ours, os.getpid()

    def close(self) -> None:
        self.channel.close()
        if self.pid == os.getpid():
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(2)


class _Folder:
    """Writes what comes out into a folder; names are checked before."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __call__(self, name: str, data: bytearray) -> None:
        (self._place / name).write_bytes(data)


_keepers: dict[str, _Keeper] = {}
_shared: set[str] = set()  # modules whose keepers serve our forks, too
_starting = threading.Lock()


def _forked() -> None:
    """A fork has a lock of its own, which another thread may have held, and only the keepers that it may share."""
    global _starting
    _starting = threading.Lock()
    for module in _keepers.keys() - _shared:
        del _keepers[module]


def share(modules: Iterable[str]) -> None:
    """Start keepers of these modules that this process's forks use with it; where one has died, another.

    Returns at once: requests wait until it has imported. A fork that finds it dead starts one of its own.
    """
    with _starting:
        for module in modules:
            _shared.add(module)
            if (found := _keepers.get(module)) is not None and found.process.poll() is not None:
                _keepers.pop(module).close()
            if module not in _keepers:
                _keepers[module] = _Keeper(module)


os.register_at_fork(after_in_child=_forked)


@atexit.register
def close() -> None:
    """End the processes that are kept; the next call starts others."""
    with _starting:
        for module in list(_keepers):
            _keepers.pop(module).close()


def run(
    function: str,
    arguments: Mapping[str, Any],
    files: Mapping[str, Path | bytes],
    limits: Limits = Limits(),
    *,
    out: Path | None = None,
    take: Callable[[str, bytearray], None] | None = None,
    raises: tuple[type[SohoaError], ...] = (),
    walls: bool = False,
) -> Any:
    """What `function` (``module:name``) returns, as JSON. out: folder for its files; take: gets each file instead.

    raises: bases of the errors that the function may raise; walls: tell it which walls stand around it.
    Raises these, LimitBroken, NoWalls, SandboxFault, and OSError for a file that can't be opened.
    """
    if out is not None:
        take = _Folder(out)
    with ExitStack() as stack:
        handles = [_opened(stack, source) for source in files.values()]
        size = sum(os.fstat(handle).st_size for handle in handles)
        request = {
            "function": function,
            "arguments": dict(arguments),
            "files": list(files),
            "limits": {"memory": limits.memory, "seconds": limits.seconds, "mapped": size},
            "wall": limits.seconds * WALL_FACTOR,
            "strict": in_production(),
            "walls": walls,
        }
        asked = _opened(stack, json.dumps(request).encode())
        answer, theirs = os.pipe()
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        stack.callback(os.close, answer)
        try:
            _send(function.partition(":")[0], [asked, theirs, *handles])
        finally:
            os.close(theirs)
        return _understood(_Answer(answer, limits, take).read(limits.seconds * WALL_FACTOR + 5.0), raises)


def _opened(stack: ExitStack, source: Path | bytes) -> int:
    """A handle that can be read only."""
    if isinstance(source, Path):
        handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, handle)
        return handle
    memory = os.memfd_create("sohoa", os.MFD_CLOEXEC)
    stack.callback(os.close, memory)
    with os.fdopen(os.dup(memory), "wb") as stream:
        stream.write(source)
    handle = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return handle


def _send(module: str, handles: list[int]) -> None:
    """To the keeper of this module; once more to a new one where that is gone."""
    for last in (False, True):
        with _starting:
            keeper = _keepers.get(module)
            if keeper is None:
                keeper = _keepers[module] = _Keeper(module)
        try:
            socket.send_fds(keeper.channel, [b"!"], handles)
            return
        except OSError:
            with _starting:
                if _keepers.get(module) is keeper:
                    _keepers.pop(module).close()
            if last:
                raise


class _Answer:
    """Reads frames from a process that may have been taken over: every length and name is checked."""

    def __init__(self, pipe: int, limits: Limits, take: Callable[[str, bytearray], None] | None) -> None:
        self._pipe, self._take = pipe, take
        self._left, self._files = limits.output, limits.files
        self._until, self._started = time.monotonic() + QUEUE_SECONDS, False

    def read(self, wall: float) -> bytes:
        """The last frame's bytes. wall: seconds by the clock from the first frame on. Raises LimitBroken."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        self._poll = poll
        while True:
            kind, length, size = frames.HEAD.unpack(self._exactly(frames.HEAD.size))
            name = bytes(self._exactly(length))
            if kind == frames.START and not length and not size:
                self._until, self._started = time.monotonic() + wall, True
            elif kind == frames.END and size <= MAX_RESULT:
                return bytes(self._exactly(size))
            elif kind == frames.FILE and _NAME.fullmatch(name) and not name.startswith(b"."):
                self._left, self._files = self._left - size, self._files - 1
                if self._left < 0 or self._files < 0 or self._take is None:
                    raise LimitBroken()
                self._take(name.decode(), self._exactly(size))
            else:
                raise LimitBroken()

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            ready = self._poll.poll(max(0.0, self._until - time.monotonic()) * 1000)
            got = os.readv(self._pipe, [view[done:]]) if ready else 0
            if not got and not self._started:
                raise SandboxFault("the sandbox didn't start")
            if not got:
                raise LimitBroken()
            done += got
        return data


def _understood(data: bytes, raises: tuple[type[SohoaError], ...]) -> Any:
    try:
        answer = json.loads(data)
        if "result" in answer:
            return answer["result"]
        if "limit" in answer:
            raise LimitBroken()
        if "open" in answer:
            raise NoWalls(walls=str(answer["open"]))
        if "fault" in answer:
            raise SandboxFault(f"in the sandbox: {str(answer['fault'])[:200]}")
        error = _error(str(answer["error"]), dict(answer["details"]), raises)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as damaged:
        raise LimitBroken() from damaged
    raise error


def _error(named: str, details: dict[str, Any], raises: tuple[type[SohoaError], ...]) -> SohoaError:
    """Our error by its name, in our words: what the process says beyond numbers and short words is dropped."""
    for kind in (found for base in raises for found in _all_errors(base)):
        if f"{kind.__module__}:{kind.__name__}" == named:
            told = {name: value for name, value in details.items() if _plain(value)}
            return kind(**told)
    raise LimitBroken()


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= 40)


def _all_errors(base: type[SohoaError]) -> list[type[SohoaError]]:
    return [base, *(found for sub in base.__subclasses__() for found in _all_errors(sub))]
