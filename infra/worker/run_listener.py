"""The worker's listener: it looks for runs when it is told that there is one, and in rounds for what nobody tells.

Told by PostgreSQL (`blocks.nudge`), and by each run that ends and makes room for another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from logging import Logger, LoggerAdapter
from typing import Any

import psycopg

from blocks.settings import RUNS_CHANNEL

ADDRESS = "SOHOA_DATABASE_URL"
GATHER = 0.1  # seconds: several words at once are one look, and a run that ends has left its place
AWAY = 5.0  # until the next try to reach PostgreSQL


class RunListener:
    """look: what is done when there may be a run."""

    def __init__(self, look: Callable[[], Awaitable[Any]], logger: Logger | LoggerAdapter[Any]) -> None:
        self._look, self._logger = look, logger
        self._told = asyncio.Event()

    def notify(self) -> None:
        """There may be a run to start."""
        self._told.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hear and look while the context is open."""
        tasks = [asyncio.create_task(self._look_when_told()), asyncio.create_task(self._hear())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _look_when_told(self) -> None:
        while True:
            await self._told.wait()
            await asyncio.sleep(GATHER)
            self._told.clear()
            try:
                await self._look()
            except Exception as error:  # the worker's own rounds tell what lasts
                self._logger.debug("A look for runs failed: %s", type(error).__name__)

    async def _hear(self) -> None:
        address = os.environ.get(ADDRESS, "").replace("postgresql+psycopg:", "postgresql:", 1)
        while address:
            try:
                async with await psycopg.AsyncConnection.connect(address, autocommit=True, connect_timeout=5) as open_:
                    await open_.execute(f"LISTEN {RUNS_CHANNEL}")
                    self.notify()  # for what came while nobody heard
                    async for _ in open_.notifies():
                        self.notify()
            except (psycopg.Error, OSError):
                await asyncio.sleep(AWAY)
