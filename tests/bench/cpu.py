"""Processor seconds of a running stack, by part, as the kernel accounts for its processes."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
FLOWS, WORKER = "flow processes", "worker"
# A word of the command line of a child of the supervisor → part.
PARTS = {
    "weed": "object store",
    "postgres": "PostgreSQL",
    "prefect server": "Prefect server",
    "prefect worker": WORKER,
    "deployments.desk": "gateway",
    "deployments.metrics": "metrics",
    "deployments.agent": "agent",
    "infra.local.pki": "TEST PKI, time-stamps",
    "oidc": "TEST sign-in",
}


@dataclass
class Process:
    """own: seconds of the process; ended: of its children that have ended and were waited for."""

    parent: int
    command: str
    own: float
    ended: float
    children: list[int] = field(default_factory=list)


def processes() -> dict[int, Process]:
    """All that run now."""
    found: dict[int, Process] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        user, system, ended_user, ended_system = (int(value) / TICKS for value in stat[11:15])
        found[int(entry)] = Process(int(stat[1]), command, user + system, ended_user + ended_system)
    for pid, process in found.items():
        if process.parent in found:
            found[process.parent].children.append(pid)
    return found


def by_part(supervisor: int) -> dict[str, float]:
    """Seconds since its start of each part of the stack with this supervisor. A part that was restarted counts anew."""
    everything = processes()
    spent: dict[str, float] = defaultdict(float)

    def whole(pid: int) -> float:
        process = everything[pid]
        return process.own + process.ended + sum(whole(child) for child in process.children)

    for pid in everything[supervisor].children:
        process = everything[pid]
        part = next((name for word, name in PARTS.items() if word in process.command), "other")
        if part == WORKER:
            spent[WORKER] += process.own
            spent[FLOWS] += whole(pid) - process.own
        else:
            spent[part] += whole(pid)
    return dict(spent)


def difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """Seconds between two looks."""
    return {part: spent - before.get(part, 0.0) for part, spent in after.items()}
