"""Is the sandbox closed? Tried from inside, for `sohoa doctor` and the page of operations; nothing is believed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from blocks import sandbox

NAMES = {
    "network": "không gian mạng riêng",
    "files": "hệ tệp riêng",
    "landlock": "Landlock",
    "seccomp": "seccomp",
    "user": "người dùng riêng",
}


def attempt(out: Any, walls: dict[str, Any], path: str) -> dict[str, Any]:
    """In the sandbox: what stands around us, and what we could do nevertheless."""
    tries: dict[str, Callable[[], Any]] = {
        "mạng": lambda: socket.socket().close(),
        "đọc tệp": lambda: Path(path).read_bytes(),
        "ghi tệp": lambda: Path(path).write_bytes(b""),
        "tạo tiến trình": _fork,
    }
    return {"walls": walls, "open": [name for name, call in tries.items() if _works(call)]}


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _works(call: Callable[[], Any]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def look() -> tuple[list[str], list[str]]:
    """(walls in force, what a file could do nevertheless), both in Vietnamese. Raises sandbox.NoWalls, LimitBroken."""
    with NamedTemporaryFile(prefix="sohoa-probe-") as canary:
        os.chmod(canary.name, 0o666)  # noqa: S103 - only the walls are to keep it
        found = sandbox.run("blocks.sandbox.probe:attempt", {"path": canary.name}, {}, walls=True)
    walls = found["walls"]
    missing = [name for key, name in NAMES.items() if walls[key]]
    if walls["landlock"]:
        missing[missing.index(NAMES["landlock"])] += f" {walls['landlock']}"
    if walls["user"]:
        missing[missing.index(NAMES["user"])] += f" {walls['user']}"
    return missing, list(found["open"])
