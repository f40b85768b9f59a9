"""Hostile files are opened in a process of their own: what takes too long or too much memory ends there.

One worker process a calling process, started at first use. It speaks one JSON line a request and one a reply. Its
memory is limited by the kernel (RLIMIT_DATA), its processor time afresh for each file (RLIMIT_CPU); a last wall-clock
limit covers the rest. A worker that dies costs that one file its acceptance and is started again.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from blocks.errors import SohoaError
from blocks.settings import ROOT
from tasks.capture import errors
from tasks.capture.facts import FileFacts

MEMORY = 500_000_000  # bytes of data that the worker may hold
CPU_SECONDS = 9  # of one file …
CPU_SECONDS_A_MEGABYTE = 0.1  # … and more for large ones: 350 MB hold about 200 pages
WALL_FACTOR = 6  # several workers share the processors


class Worker:
    """The guarded process. Thread-safe: one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def inspect(self, path: Path, scan_dpi: int, out_dir: Path | None) -> FileFacts:
        """As `tasks.intake.inspect_file`. A file that breaks the limits raises ImageBomb."""
        reply = self._reply(path, {"dpi": scan_dpi, "out": str(out_dir) if out_dir else None})
        return FileFacts.model_validate(reply["facts"])

    def inspect_electronic(self, path: Path) -> int:
        """As `tasks.intake.inspect_electronic`, within the same limits."""
        return int(self._reply(path, {"electronic": True})["pages"])

    def draw(self, path: Path, out_dir: Path, first: int, count: int, width: int) -> int:
        """As `tasks.capture.look.draw_pages`, within the same limits."""
        look = {"first": first, "count": count, "width": width}
        return int(self._reply(path, {"look": look, "out": str(out_dir)})["drawn"])

    def _reply(self, path: Path, request: dict[str, Any]) -> dict[str, Any]:
        seconds = CPU_SECONDS + int(path.stat().st_size / 1_000_000 * CPU_SECONDS_A_MEGABYTE)
        with self._lock:
            reply = self._ask({"path": str(path), "cpu": seconds, **request}, seconds * WALL_FACTOR)
        if reply is None:
            raise errors.ImageBomb()
        if "error" in reply:
            raise _as_error(reply)
        return reply

    def _ask(self, request: dict[str, Any], wall: float) -> dict[str, Any] | None:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], wall)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SOHOA_", "PREFECT_", "AWS_"))}
        environment["PYTHONPATH"] = str(ROOT)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.capture.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=ROOT,
        )
        return self._process

    def close(self) -> None:
        """End the worker process; the next request starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


_worker = Worker()


def inspect_guarded(path: Path, scan_dpi: int, out_dir: Path | None = None) -> FileFacts:
    """`tasks.intake.inspect_file` with limits of time and memory (see module)."""
    return _worker.inspect(path, scan_dpi, out_dir)


def inspect_electronic_guarded(path: Path) -> int:
    """`tasks.intake.inspect_electronic` with limits of time and memory (see module)."""
    return _worker.inspect_electronic(path)


def draw_guarded(path: Path, out_dir: Path, first: int, count: int, width: int) -> int:
    """`tasks.capture.look.draw_pages` with limits of time and memory (see module)."""
    return _worker.draw(path, out_dir, first, count, width)


def _all_errors(base: type[SohoaError]) -> list[type[SohoaError]]:
    return [base, *(found for sub in base.__subclasses__() for found in _all_errors(sub))]


def _as_error(reply: dict[str, Any]) -> SohoaError:
    known = {kind.__name__: kind for kind in _all_errors(errors.ScanError)}
    kind = known.get(reply["error"])
    if kind is None:
        raise RuntimeError(f"guarded inspection failed: {reply['error']}")
    return kind(reply["text"], **reply["details"])


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from tasks.intake import inspect_electronic, inspect_file

    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + request["cpu"] + 1, resource.RLIM_INFINITY))
    try:
        if request.get("electronic"):
            return {"pages": inspect_electronic(Path(request["path"]))}
        if look := request.get("look"):
            from tasks.capture.look import draw_pages

            return {"drawn": draw_pages(Path(request["path"]), Path(request["out"]), **look)}
        out = Path(request["out"]) if request["out"] else None
        facts = inspect_file(Path(request["path"]), request["dpi"], out)
        return {"facts": facts.model_dump(mode="json")}
    except SohoaError as error:
        details = {key: value for key, value in error.details.items() if isinstance(value, (int, float, str))}
        return {"error": type(error).__name__, "text": error.text, "details": details}
    except (MemoryError, RecursionError):
        return {"error": errors.ImageBomb.__name__, "text": errors.ImageBomb.message, "details": {}}
    except Exception as error:
        if "alloc" in str(error):  # qpdf reports std::bad_alloc as a plain error
            return {"error": errors.ImageBomb.__name__, "text": errors.ImageBomb.message, "details": {}}
        return {"error": f"{type(error).__module__}.{type(error).__name__}", "text": "", "details": {}}


def main() -> None:
    """Serve requests from standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        reply = _answer(json.loads(line))
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
