"""The worker hears at once of a run that somebody starts or resumes, also after its connection was lost."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from sqlalchemy import text

from blocks.nudge import nudge
from blocks.records import RecordsDatabase
from infra.worker import run_listener
from infra.worker.run_listener import RunListener


class Looks:
    """What the worker would do, and how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    async def __call__(self) -> None:
        self.count += 1
        if self.fails:
            raise ConnectionError

    async def more_than(self, count: int, seconds: float = 10) -> bool:
        until = time.monotonic() + seconds
        while self.count <= count and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return self.count > count


def cut_off(records: RecordsDatabase) -> int:
    """End the connections that hear. Returns how many."""
    with records.session() as session:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
        return len(session.execute(text(query)).all())


def test_a_word_is_a_look_and_a_lost_connection_comes_back(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_listener, "AWAY", 0.2)
    looks = Looks()

    async def scene() -> None:
        async with RunListener(looks, logging.getLogger("test")).open():
            assert await looks.more_than(0)  # what came before anybody heard
            await asyncio.sleep(0.3)
            assert looks.count == 1  # nothing was said: nobody looks
            await asyncio.to_thread(nudge)
            assert await looks.more_than(1)
            assert await asyncio.to_thread(cut_off, records) == 1
            assert await looks.more_than(2)  # heard again: it may have missed a word
            looks.fails = True
            await asyncio.to_thread(nudge)
            assert await looks.more_than(3)
            looks.fails = False
            await asyncio.to_thread(nudge)
            assert await looks.more_than(4)  # a look that failed isn't the last

    asyncio.run(scene())


def test_many_words_are_one_look(records: RecordsDatabase) -> None:
    looks = Looks()

    async def scene() -> None:
        listener = RunListener(looks, logging.getLogger("test"))
        async with listener.open():
            assert await looks.more_than(0)
            for _ in range(50):
                listener.notify()
            await asyncio.sleep(0.5)
            assert looks.count == 2

    asyncio.run(scene())


def test_who_reaches_no_records_starts_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_DATABASE_URL", "postgresql+psycopg://nobody:x@127.0.0.1:1/none")
    nudge()
    monkeypatch.delenv("SOHOA_DATABASE_URL")
    nudge()
