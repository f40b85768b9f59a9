"""Tiny flows for the tests of the stack and its worker."""

from __future__ import annotations

import os
import time
from pathlib import Path

import httpx
from prefect import flow
from prefect.input import RunInput

from tasks.journal import goes_on
from tasks.pauses.outages import waits_for_services
from tasks.pauses.wait import wait_for
from tasks.prefect_task import step


class Answer(RunInput):
    """What the officer types."""

    decision: str


@step("Đánh dấu")
def mark(folder: str, name: str) -> int:
    """Leaves a file per execution: tells how often it really ran, and in which process."""
    with open(os.path.join(folder, name), "a") as file:
        file.write(f"{os.getpid()}\n")
    return os.getpid()


def _deaths(folder: str) -> int:
    """One more; counted in a file."""
    with open(os.path.join(folder, "deaths"), "a+") as file:
        file.write("†")
        file.seek(0)
        return len(file.read())


@step("Gọi dịch vụ", retries=0)
def call(service: str) -> int:
    """Asks an outside service."""
    return httpx.get(service, timeout=5).raise_for_status().status_code


@flow(name="small", persist_result=False)
@waits_for_services
@goes_on
def small(
    folder: str = "", seconds: float = 0, ask: bool = False, die: int = 0, times: int = 99, service: str = ""
) -> str:
    """Marks, sleeps, asks, marks; `die`: the signal it kills itself with, the first so many times.

    service: an address that must answer before the end.
    """
    if folder:
        mark(folder, "first")
        # Later than the file: a task that is killed between its work and the keeping of its result is done again.
        Path(folder, "kept").touch()
    if die and (not folder or _deaths(folder) <= times):
        os.kill(os.getpid(), die)
    time.sleep(seconds)
    decision = ""
    if ask:
        decision = wait_for(Answer, "verification-1").decision
    if service:
        call(service)
    if folder:
        mark(folder, "last")
    return decision
