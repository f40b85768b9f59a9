"""Logs of parts that run for months: never longer in all than (KEPT + 1) times SOHOA_LOG_MB each.

A part keeps its file open and appends; so what is full is copied away and the file cut to nothing in its place
(as logrotate's copytruncate). What is written between the last look and the cut, some microseconds, is lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from blocks.settings.sections import MachineSettings

KEPT = 5
CHECK_EVERY = 5.0  # seconds


def log_bytes() -> int:
    """Of one file."""
    return int(MachineSettings().log_mb * 1e6)


def rotate(folder: Path, limit: int | None = None, kept: int = KEPT) -> int:
    """Move on each `*.log` of the folder that has grown over the limit. Returns how many."""
    most, full = log_bytes() if limit is None else limit, 0
    for path in sorted(folder.glob("*.log")):
        try:
            if path.is_symlink() or path.stat().st_size <= most:
                continue
            _move_on(path, kept)
            full += 1
        except OSError:  # a full disk, a file that is gone: the next look tries again, the parts go on
            continue
    return full


def _move_on(path: Path, kept: int) -> None:
    """x.log → x.log.1 → … → x.log.<kept>; the last one goes."""
    half = path.with_name(path.name + ".new")
    with path.open("rb+") as source:
        with half.open("wb") as copy:
            os.fchmod(copy.fileno(), 0o600)
            shutil.copyfileobj(source, copy)
            for number in range(kept, 1, -1):
                before = path.with_name(f"{path.name}.{number - 1}")
                if before.exists():
                    before.replace(path.with_name(f"{path.name}.{number}"))
            shutil.copyfileobj(source, copy)  # what came meanwhile
            source.truncate(0)
        half.replace(path.with_name(f"{path.name}.1"))
