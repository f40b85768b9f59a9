"""One dossier through the product's steps in this process: real database, store and PKI, without Prefect's part.

Officers answer at once (as in tests/faults/test_every_step.py); each step is noted in the journal and each pause in the
rows of what waits, as the flow does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from sqlalchemy import Engine, event

import flows.dossier as way
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import get_dossier
from blocks.records.waiting import wait_at, waits_no_more
from tasks.journal import Journal, Step, named
from tasks.pauses.registry import Pause
from tasks.pauses.wait import Answered
from tests.faults.test_every_step import Desk
from tests.players.officers import Sample
from tests.players.ways_in import by_folder
from tests.samples.__main__ import generate
from tests.tasks.decided import gateway_key, whole_settings

SAMPLE = "03-"  # three papers
PAUSES = "pauses, decisions"


class Stopped(Exception):
    """Where the dossier was to stay."""


@dataclass
class Clock:
    """Seconds in the database and statements, by step; processor seconds of this process."""

    step: str = PAUSES
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    statements: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    own: float = 0.0

    @contextmanager
    def on(self, engine: Engine) -> Iterator[None]:
        began, started = 0.0, time.process_time()

        def before(*_: Any) -> None:
            nonlocal began
            began = time.perf_counter()

        def after(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            spent = time.perf_counter() - began
            self.seconds[self.step] += spent
            self.asked[self.step] += 1
            self.statements[statement] += spent

        def commit(connection: Any) -> None:
            moment = time.perf_counter()
            real(connection)
            self.seconds[self.step] += time.perf_counter() - moment

        real = engine.dialect.do_commit
        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        try:
            with patch.object(engine.dialect, "do_commit", commit):
                yield
        finally:
            self.own += time.process_time() - started
            event.remove(engine, "before_cursor_execute", before)
            event.remove(engine, "after_cursor_execute", after)


class Walk(Desk):
    """A dossier on its usual way. stop: the pause at which it is left waiting; empty: it is filed."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, sample: Sample, stop: str = "") -> None:
        super().__init__(records, objects, sample)
        self.stop, self.run, self.clock = stop, uuid4(), Clock()
        self.answers = {
            "sign-1": self.sign,
            "verification-1": self.verify,
            "signoff-1": lambda: ("ld.01", {"decision": "KY"}),
            "seal-1": lambda: ("vt.01", {"decision": "KY_SO"}),
            "return-1": lambda: ("tnhs.01", self.officers._return(self.sample)),
        }

    def ask(self, pause: Pause[Any], dossier_id: UUID, *about: Any, after: int = 0) -> Answered[Any]:
        key = f"{pause.name}-{after + 1}"
        with self.records.session() as session:
            wait_at(session, get_dossier(session, dossier_id), self.run, key)
        if key == self.stop:
            raise Stopped
        answered = super().ask(pause, dossier_id, *about, after=after)
        with self.records.session() as session:
            waits_no_more(session, dossier_id)
        return answered

    def go(self) -> UUID:
        """All steps up to the end or to `stop`; the dossier's id."""
        journal = Journal(self.run)

        def called(step: Step[..., Any], *args: Any, **kwargs: Any) -> Any:
            self.clock.step = step.verb.__name__
            try:
                result = step.verb(*args, **kwargs)
                journal.keep(named(step.verb, args, kwargs), result)
                if step.verb.__name__ == "register":
                    with self.records.session() as session:
                        dossier = get_dossier(session, result.dossier_id)
                        dossier.flow_run_id = self.run
                        session.add(dossier)
                return result
            finally:
                self.clock.step = PAUSES

        with ExitStack() as patched:
            for block in (way, "ask", self.ask), (Step, "__call__", called):
                patched.enter_context(patch.object(*block))
            patched.enter_context(patch.object(RecordsDatabase, "get", staticmethod(lambda: self.records)))
            patched.enter_context(patch.object(ObjectStore, "get", staticmethod(lambda: self.objects)))
            patched.enter_context(whole_settings())
            patched.enter_context(self.clock.on(self.records.engine))
            try:
                way.dossier.fn(self.sample.submission)
            except Stopped:
                pass
            else:
                assert not self.stop
        return self.officers._known(self.sample).id


def walk(
    records: RecordsDatabase, objects: ObjectStore, folder: Path, seed: int, stop: str = "", sample: str = SAMPLE
) -> tuple[UUID, Clock]:
    """Draw a dossier, hand it in, take it through. sample: how its name begins."""
    (drawn,) = generate(folder / str(seed), seed=seed, group="demo", only=(sample,))
    gateway_key()
    made = Walk(records, objects, Sample(drawn, submission=by_folder(records, objects, drawn)), stop)
    return made.go(), made.clock
