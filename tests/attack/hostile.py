"""Functions as a file would run them that has taken over its parser. They run in the sandbox, see test_files.py."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO

from blocks.sandbox.keeper import Sink


def _tried(what: Any, *arguments: Any) -> str:
    """What the kernel answers."""
    try:
        found = what(*arguments)
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return f"DONE {found!r}"[:60]


def read(out: Sink, paths: list[str]) -> dict[str, str]:
    """Files of ours."""
    return {path: _tried(Path(path).read_bytes) for path in paths}


def listing(out: Sink, paths: list[str]) -> dict[str, str]:
    return {path: _tried(os.listdir, path) for path in paths}


def environment(out: Sink, parent: int) -> dict[str, Any]:
    """Our own environment, and that of the process that asked."""
    others = [f"/proc/{parent}/environ", f"/proc/{os.getppid()}/environ", "/proc/1/environ", "/proc/self/environ"]
    return {"own": dict(os.environ), **read(out, others)}


def sockets(out: Sink, host: str, port: int, unix: str) -> dict[str, str]:
    """Every way to somebody else."""

    def tcp() -> Any:
        with socket.create_connection((host, port), timeout=2) as made:
            return made.getpeername()

    def udp() -> Any:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            return made.sendto(b"x", (host, port))

    def local() -> Any:
        with socket.socket(socket.AF_UNIX) as made:
            return made.connect(unix)

    def raw() -> Any:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

    return {name: _tried(call) for name, call in (("tcp", tcp), ("udp", udp), ("unix", local), ("netlink", raw))}


def write(out: Sink, paths: list[str], victim: str) -> dict[str, str]:
    """Files where everybody may write, and changes to one of ours."""
    found = {path: _tried(Path(path).write_bytes, b"x") for path in paths}
    found["chmod"] = _tried(lambda: os.chmod(victim, 0o777))
    found["unlink"] = _tried(lambda: os.unlink(victim))
    found["rename"] = _tried(lambda: os.rename(victim, victim + ".x"))
    found["truncate"] = _tried(lambda: os.truncate(victim, 0))
    return found


def fork_bomb(out: Sink) -> dict[str, str]:
    return {
        "fork": _tried(os.fork),
        "exec": _tried(lambda: os.execv("/bin/sh", ["sh", "-c", "id"])),
        "posix_spawn": _tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    }


def attack_processes(out: Sink, pids: list[int]) -> dict[str, str]:
    """Signals, tracing, memory and limits of other processes."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> Any:
        result = getattr(libc, name)(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result

    found = {}
    for pid in [*pids, os.getppid()]:
        found[f"kill {pid}"] = _tried(os.kill, pid, signal.SIGKILL)
        found[f"ptrace {pid}"] = _tried(call, "ptrace", 16, pid, 0, 0)
        found[f"memory {pid}"] = _tried(Path(f"/proc/{pid}/mem").read_bytes)
        found[f"limits {pid}"] = _tried(call, "prlimit", pid, 7, (ctypes.c_ulong * 2)(0, 0), None)
    return found


def break_walls(out: Sink) -> dict[str, str]:
    """More rights than were left."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(*arguments: Any) -> Any:
        result = libc.syscall(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
        return result

    return {
        "unshare": _tried(lambda: call(272, 0x10000000)),
        "setuid": _tried(lambda: os.setuid(1 if os.getuid() == 0 else 0)),
        "mount": _tried(lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, None)),
        "bpf": _tried(lambda: call(321, 0, None, 0)),
        "io_uring": _tried(lambda: call(425, 1, ctypes.create_string_buffer(120))),
        "raise limit": _tried(lambda: __import__("resource").setrlimit(0, (10**9, 10**9))),
    }


def memory(out: Sink, shared: bool) -> int:
    """Gigabytes, private or shared."""
    import mmap

    held: list[Any] = []
    while len(held) < 400:
        held.append(mmap.mmap(-1, 10_000_000) if shared else bytearray(10_000_000))
        held[-1][::4096] = b"x" * len(held[-1][::4096])
    return len(held)


def spin(out: Sink) -> None:
    while True:
        pass


def sleep(out: Sink) -> None:
    time.sleep(3600)


def flood(out: Sink, size: int) -> None:
    """More output than is taken."""
    for number in range(10_000):
        out.put(f"{number}", bytes(size))


def named(out: Sink, name: str) -> None:
    """A file outside the folder."""
    out.put(name, b"x")


def raw(out: Sink, data: str) -> None:
    """An answer of its own making."""
    out._stream.write(bytes.fromhex(data))
    out._stream.flush()
    os._exit(0)


def crash(out: Sink) -> None:
    ctypes.string_at(0)


def change_input(out: Sink, file: BinaryIO) -> str:
    return _tried(lambda: os.write(file.fileno(), b"x")) + " " + _tried(lambda: os.ftruncate(file.fileno(), 0))


def stay(out: Sink) -> int:
    """Something for whoever comes next."""
    import builtins

    builtins.left = getattr(builtins, "left", 0) + 1  # type: ignore[attr-defined]
    return int(builtins.left)  # type: ignore[attr-defined]


def walls_seen(out: Sink, walls: dict[str, Any]) -> dict[str, Any]:
    return {**walls, "uid": os.getuid()}
