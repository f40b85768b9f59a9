"""Processor seconds of a running stack, by part, as the kernel accounts for its processes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import psutil

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
    for one in psutil.process_iter(["ppid", "cmdline", "cpu_times"]):
        spent = one.info["cpu_times"]
        command = " ".join(one.info["cmdline"] or ())
        own, ended = spent.user + spent.system, spent.children_user + spent.children_system
        found[one.pid] = Process(one.info["ppid"], command, own, ended)
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
