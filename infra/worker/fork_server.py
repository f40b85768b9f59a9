"""A warm process that flow runs are forked from: ``python -m infra.worker.fork_server FD MODULE…``.

It imports packages and the project once, opens no connection, starts no thread, and forks one child a flow run: 10 s
of imports become milliseconds, the memory is shared. The processes that read foreign files (`blocks.sandbox`) are
started here, too, for all runs. When a file of the project changes, the worker starts another fork server.

Talk over the socket FD, one JSON object a line. In: ``{"id", "env", "cwd", "name"}`` = fork. Out: ``{"ready": seconds,
"threads": n}`` once, then ``{"id", "pid"}`` per fork and ``{"pid", "exit"}`` per end (negative = signal). When the
worker goes away we go; children go on, as those of Prefect's own process worker do.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

# PyMuPDF's layout analysis, which nothing here uses, opens onnxruntime sessions with threads while it is imported.
NEVER = ("pymupdf.layout", "pymupdf4llm")
KEEPERS = ("tasks.capture.inside", "tasks.capture.drawing", "tasks.signing.inside")
# What each run would build at its first use, from files and classes: built once, before the runs are forked.
PREPARED = (
    "sqlalchemy.orm:configure_mappers",
    "blocks.catalog.block:prepare",
    "blocks.objects:prepare",
    "tasks.capture.completeness.check:prepare",
    "tasks.extraction.profiles:prepare",
    "tasks.pauses.registry:prepare",
)
COMM = "fr-"  # start of the process name of a flow run, followed by the first digits of its id
_PR_SET_NAME = 15


def preload(names: list[str]) -> None:
    """Import what can be imported; a missing package only makes runs slower."""
    sys.modules.update(dict.fromkeys(NEVER))  # type: ignore[arg-type]  # None: importing it raises ImportError
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken optional package must not stop the worker
            print(f"fork server: {name} not preloaded: {type(error).__name__}", file=sys.stderr, flush=True)
    from infra.worker.short_runs import prepare

    prepare()
    for name in PREPARED:
        module, _, function = name.partition(":")
        if module in sys.modules:
            getattr(sys.modules[module], function)()
    if threads() > 1:
        print("fork server: a preloaded module started threads; forks may hang", file=sys.stderr, flush=True)
    gc.collect()
    gc.freeze()  # keeps the shared pages shared


def share_keepers() -> None:
    """Foreign files of all runs are read by forks of these; one that was killed is replaced."""
    if "blocks.sandbox" in sys.modules:
        sys.modules["blocks.sandbox"].share(KEEPERS)


def threads() -> int:
    """Threads of this process; forking is sound with exactly one."""
    return len(os.listdir("/proc/self/task"))


class ForkServer:
    """The loop. `serve` returns None at the end of the parent, and the order in each child."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.buffer = b""
        self.children: set[int] = set()
        self.readers: set[int] = set()  # the shared ones
        self.former: set[int] = set()  # earlier ones that end with the runs that know them
        self.wake_in, self.wake_out = socket.socketpair()
        for end in (self.wake_in, self.wake_out):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self.wake_out.fileno(), warn_on_full_buffer=False)

    def serve(self) -> dict[str, Any] | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ)
            selector.register(self.wake_in, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.wake_in:
                        self._reap()
                        continue
                    data = self.channel.recv(1 << 16)
                    if not data:
                        return None
                    *lines, self.buffer = (self.buffer + data).split(b"\n")
                    for line in lines:
                        if (order := self._fork(json.loads(line))) is not None:
                            return order

    def _fork(self, order: dict[str, Any]) -> dict[str, Any] | None:
        sys.stdout.flush()
        sys.stderr.flush()
        share_keepers()
        self.share_readers()
        pid = os.fork()
        if pid == 0:
            self._leave()
            return order
        self.children.add(pid)
        self._tell({"id": order["id"], "pid": pid})
        return None

    def share_readers(self) -> None:
        """Pages of all runs are read by forks of ours, which have loaded the models; if one has ended, by others."""
        shared = sys.modules.get("blocks.ocr.shared")
        if shared is not None and len(self.readers) < shared.READERS:
            self.former |= self.readers
            self.readers = set(shared.fork(self._leave))

    def _leave(self) -> None:
        """In the child: nothing of the fork server remains."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for end in (self.channel, self.wake_in, self.wake_out):
            end.close()

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.wake_in.recv(1024):
                pass
        for pid in list(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.children.discard(pid)
                self._tell({"pid": pid, "exit": os.waitstatus_to_exitcode(status)})
        for pid in self.readers | self.former:
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.readers.discard(pid)
                self.former.discard(pid)

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.channel.sendall(json.dumps(message).encode() + b"\n")


def become(order: dict[str, Any]) -> None:
    """Turn a fresh fork into the process that Prefect would have started: environment, folder, name, settings."""
    env: dict[str, str] = order["env"]
    # Prefect's settings are those of the fork server, which has read them (`short_runs.prepare`), unless some
    # have changed.
    known = {name: value for name, value in os.environ.items() if _is_setting(name)}
    changed = known != {name: value for name, value in env.items() if _is_setting(name)}
    os.environ.clear()
    os.environ.update(env)
    os.chdir(order["cwd"])
    sys.path[0] = order["cwd"]
    sys.argv = ["prefect.engine"]
    ctypes.CDLL(None).prctl(_PR_SET_NAME, order["name"].encode()[:15], 0, 0, 0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else every run draws the same numbers
    from infra.worker.no_foreign_code import refuse_foreign_code
    from infra.worker.short_runs import prepare, shorten

    if changed:
        prepare()
    refuse_foreign_code()
    shorten()


def _is_setting(name: str) -> bool:
    return name.startswith("PREFECT_") and not name.startswith("PREFECT__")


def run_flow() -> None:
    """What ``python -m prefect.engine`` does (prefect 3.8.8), with its exit statuses."""
    from prefect._internal.control_listener import configure_from_env
    from prefect._internal.metrics import RunMetrics
    from prefect.engine import _drive_run_flow_result, handle_engine_signals
    from prefect.flow_engine import load_flow, load_flow_run
    from prefect.flow_engine import run_flow as run
    from prefect.logging.loggers import flow_run_logger

    flow_run_id = UUID(os.environ["PREFECT__FLOW_RUN_ID"])
    configure_from_env()
    with handle_engine_signals(flow_run_id):
        flow_run = load_flow_run(flow_run_id=flow_run_id)
        logger = flow_run_logger(flow_run=flow_run)
        try:
            flow = load_flow(flow_run)
        except Exception:
            logger.error("Unexpected exception encountered when trying to load flow", exc_info=True)
            raise
        with RunMetrics(flow_run, flow):
            _drive_run_flow_result(flow, run(flow, flow_run=flow_run, error_logger=logger))  # type: ignore[arg-type]  # as prefect.engine does


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    began = time.monotonic()
    preload(sys.argv[2:])
    share_keepers()
    server = ForkServer(channel)
    server.share_readers()
    server._tell({"ready": round(time.monotonic() - began, 2), "threads": threads()})
    order = server.serve()
    if order is not None:
        become(order)
        leave(run_flow)


def leave(run: Callable[[], None]) -> NoReturn:
    """Run it and end as Python does, but for taking apart what was imported: 0.3 s for memory that a fork shares."""
    status: Any = 1
    try:
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing's forks end
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
