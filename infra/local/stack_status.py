"""What the supervisor tells the commands: ``run/stack.json``, and the lock that proves that it lives."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


@dataclass
class StackStatus:
    """State of the stack and of its parts, written whole after every change."""

    path: Path
    state: str = "starting"  # starting, ready, failed, stopping
    message: str = ""
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set_part(self, name: str, state: str, *, pid: int | None = None, message: str = "", restarts: int = 0) -> None:
        """state: waiting, starting, ready, done, restarting, failed, stopped."""
        with self._lock:
            entry = {"state": state, "pid": pid, "message": message, "restarts": restarts, "since": time.time()}
            self.parts[name] = entry
            self._write()

    def set_stack(self, state: str, message: str = "") -> None:
        with self._lock:
            self.state, self.message = state, message
            self._write()

    def _write(self) -> None:
        content = {"pid": os.getpid(), "state": self.state, "message": self.message, "parts": self.parts}
        half = self.path.with_suffix(".new")
        try:
            half.write_text(json.dumps(content))
            half.replace(self.path)
        except OSError:  # a full disk: the parts matter more than what is told about them
            return


def read_status(path: Path) -> dict[str, Any]:
    """The last thing told; empty when nothing was."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content


def take_lock(path: Path) -> FileLock | None:
    """An exclusive lock that ends with its process, however that ends; None when another process holds it."""
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a killed process
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
