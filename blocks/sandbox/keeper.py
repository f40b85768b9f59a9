"""The process that the sandbox forks from: ``python -m blocks.sandbox.keeper FD MODULE``.

It imports MODULE once, puts the walls up (see `locks`), and forks one child for each request; it never looks at a
foreign file itself. The child takes one request, puts up the walls that a keeper can't have, answers and ends: what a
file does to its process touches no other file.

A request is one message on the socket FD: a byte, and the handles of the request (JSON), of the pipe for the answer,
and of the files. The answer is frames, see `frames`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from blocks.errors import SohoaError
from blocks.sandbox import frames, locks

ROOT = Path(__file__).resolve().parents[2]
MOST = max(2, os.cpu_count() or 1)  # children at once
HANDLES = 40  # of one request
REQUEST_BYTES = 1 << 20
# PyMuPDF's layout analysis, which nothing here uses, starts threads while it is imported.
NEVER = ("pymupdf.layout", "pymupdf4llm")
MAPPED = 2 << 30  # bytes of address space that libraries reserve without using them


class Sink:
    """Where a function in the sandbox puts what it made: the other side writes it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def put(self, name: str, data: bytes | memoryview) -> str:
        """One file of the result; returns its name."""
        frames.write(self._stream, frames.FILE, name.encode(), data)
        return name


def build_walls(root: Path, package: str) -> dict[str, Any]:
    """All that this machine offers, in the order in which each can still be built. What is in force now.

    A container gives no mounts, and below /root no other user finds our code: then Landlock alone shuts the files away.
    """
    readable, user = locks.code_folders(root, package), locks.other_user()
    network = locks.leave_network()
    files = network and locks.leave_files(readable)
    if user and not files and locks.landlock_version() and not locks.may_read(user, readable):
        user = None
    handles = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in readable]
    locks.become(user)
    landlock = locks.landlock(handles)
    for handle in handles:
        os.close(handle)
    return {"network": network, "files": files, "user": user.pw_name if user else "", "landlock": landlock}


def serve(channel: socket.socket, walls: dict[str, Any], space: int) -> None:
    """Fork a child for each request until nobody is left who could ask. space: bytes that we have mapped."""
    children: dict[int, float] = {}
    me = os.getpid()
    wake, waker = socket.socketpair()
    for end in (wake, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(wake, selectors.EVENT_READ)
        while True:
            waiting = bool(selector.get_map().get(channel.fileno()))
            if waiting != (room := len(children) < MOST):
                selector.register(channel, selectors.EVENT_READ) if room else selector.unregister(channel)
            for key, _ in selector.select(timeout=0.5 if children else None):
                if key.fileobj is wake:
                    with contextlib.suppress(BlockingIOError):
                        wake.recv(1024)
                    continue
                data, handles, _, _ = socket.recv_fds(channel, 16, HANDLES)
                if not data:
                    return  # children end with us
                if len(handles) < 2:
                    continue
                request = _request(handles[0])
                if (pid := os.fork()) == 0:
                    with contextlib.suppress(BaseException):
                        locks.die_with(me)
                        signal.set_wakeup_fd(-1)
                        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                        for end in (channel, wake, waker):
                            end.close()
                        answer(request, handles[1], handles[2:], walls, space)
                    os._exit(0)
                children[pid] = time.monotonic() + float(request["wall"])
                for handle in handles:
                    os.close(handle)
            _reap(children)


def _request(handle: int) -> dict[str, Any]:
    data = os.pread(handle, REQUEST_BYTES, 0)
    found: dict[str, Any] = json.loads(data)
    return found


def _reap(children: dict[int, float]) -> None:
    for pid, until in list(children.items()):
        if until < time.monotonic():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if os.waitpid(pid, os.WNOHANG)[0]:
            del children[pid]


def answer(request: dict[str, Any], pipe: int, handles: list[int], walls: dict[str, Any], space: int) -> None:
    """In the child: the last walls, then the function, then its result."""
    with os.fdopen(pipe, "wb") as stream:
        frames.write(stream, frames.START, b"", b"")
        os.dup2(os.open("/dev/null", os.O_RDONLY), 2)  # what a library writes there may quote the file
        locks.scope()
        limits = request["limits"]
        locks.limit(limits["memory"], limits["seconds"], space + limits["memory"] + limits["mapped"] + (256 << 20))
        walls = {**walls, "seccomp": locks.seccomp()}
        try:
            if request["strict"] and not sufficient(walls):
                told: dict[str, Any] = {"open": walls}
            else:
                files = {name: os.fdopen(handle, "rb") for name, handle in zip(request["files"], handles, strict=True)}
                arguments = {**request["arguments"], **files}
                if request["walls"]:
                    arguments["walls"] = walls
                told = {"result": function(request["function"])(Sink(stream), **arguments)}
            data = json.dumps(told).encode()
        except SohoaError as error:
            details = {key: value for key, value in error.details.items() if isinstance(value, (int, float, str))}
            kind = type(error)
            data = json.dumps({"error": f"{kind.__module__}:{kind.__name__}", "details": details}).encode()
        except (MemoryError, RecursionError):
            data = json.dumps({"limit": "memory"}).encode()
        except Exception as error:
            # qpdf reports std::bad_alloc as a plain error
            data = json.dumps({"limit": "memory"} if "alloc" in str(error) else {"fault": _place(error)}).encode()
        frames.write(stream, frames.END, b"", data)


def sufficient(walls: dict[str, Any]) -> bool:
    """Neither the network nor our files can be reached."""
    return bool((walls["network"] or walls["seccomp"]) and (walls["landlock"] or walls["files"] or walls["user"]))


def function(named: str) -> Callable[..., Any]:
    """``module:name``."""
    module, _, name = named.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _used(status: IO[str]) -> int:
    """Bytes that this process has held; getrusage counts what its parent held, too."""
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _place(error: Exception) -> str:
    """Kind and line, never the text: it may quote the file."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__module__}.{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    package = sys.argv[2].partition(".")[0]
    for name in ("blocks", "tasks", package):
        importlib.import_module(name)  # afterwards only what is below them can be found
    status = open("/proc/self/status", encoding="ascii")  # noqa: SIM115 - behind the walls it can't be opened
    walls = build_walls(ROOT, package)  # before the imports: a process with threads gets no user namespace
    sys.modules.update(dict.fromkeys(NEVER))  # type: ignore[arg-type]  # None: importing it raises ImportError
    prepared = importlib.import_module(sys.argv[2])
    if prepare := getattr(prepared, "prepare", None):
        prepare()
    with status:
        space = _used(status) + MAPPED
    sys.stdout = io.TextIOWrapper(io.BytesIO())
    gc.collect()
    gc.freeze()
    serve(channel, walls, space)


if __name__ == "__main__":
    main()
