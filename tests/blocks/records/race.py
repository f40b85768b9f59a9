"""Threads that start at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

R = TypeVar("R")


def race(*runners: Callable[[], R]) -> list[R | Exception]:
    """What each runner returned or raised; all are let go together."""
    barrier = Barrier(len(runners))

    def run(runner: Callable[[], R]) -> R | Exception:
        barrier.wait(30)
        try:
            return runner()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(runners)) as pool:
        return list(pool.map(run, runners))
