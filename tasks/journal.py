"""A run that goes on continues where the records say it is.

Prefect runs a flow from its first line each time: after a pause, a wait for a service, a crash. Each step that ends
leaves a row (`donestep`: the run, the step with its inputs, the result). The run's next process reads its rows in one
query; a finished step then returns its result at once, without a task run. The first step that has no row is where the
run goes on. A step that was killed between its work and its row is done again, which each step is made for. The worker
seals each row (`blocks.seals`): one that somebody else has written counts as none.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import logging
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.states import Completed
from pydantic_core import to_jsonable_python
from sqlalchemy import Text, cast, delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, func, select

from blocks import results
from blocks.ids import FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.tables import DoneStep, now
from blocks.results import ResultRefused
from blocks.seals import WORKER, Seals, part_of, seal
from tasks.this_run import this_run

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger(__name__)


class Journal:
    """The finished steps of one run."""

    def __init__(self, run: FlowRunId) -> None:
        self.run = run
        self._done: dict[str, Any] = {}
        with RecordsDatabase.get().session() as session:
            query = select(DoneStep.step, cast(DoneStep.result, Text), cast(DoneStep.at, Text), DoneStep.seal)
            rows = session.exec(query.where(DoneStep.flow_run_id == run).order_by(col(DoneStep.at))).all()
            seals = Seals() if rows else None
            for step, text, at, sealed in rows:  # in the order in which the seals were made
                try:
                    row = DoneStep(flow_run_id=run, step=step, result=json.loads(text), at=_moment(at), seal=sealed)
                    if not (seals and part_of(sealed) == WORKER and seals.fits(sealed, _digest(row), row.at)):
                        raise ResultRefused("sealed by nobody of us")
                    results.decode(row.result)
                except (ValueError, RecursionError) as error:
                    logger.warning("A step counts as not done: %s", type(error).__name__)
                    session.execute(
                        delete(DoneStep).where(col(DoneStep.flow_run_id) == run, col(DoneStep.step) == step)
                    )
                else:
                    self._done[step] = row.result

    def __contains__(self, step: str) -> bool:
        return step in self._done

    def result(self, step: str) -> Any:
        """What the step returned. Raises ResultRefused for a value of a type that no step returns."""
        return results.decode(self._done[step])

    def keep(self, step: str, result: Any) -> None:
        """The step is done."""
        value = results.encode(result)
        row = DoneStep(flow_run_id=self.run, step=step, result=value, at=now(), seal="")
        row.seal = seal(_digest(row))
        with RecordsDatabase.get().session() as session:
            inserted = insert(DoneStep).values(**row.model_dump())
            # Two processes of one run: the first one's result counts.
            session.execute(inserted.on_conflict_do_nothing())
        self._done[step] = value


def _moment(text: str) -> datetime:
    """Of PostgreSQL's text, in UTC. Raises ValueError for moments that Python doesn't have (infinity)."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _digest(row: DoneStep) -> str:
    """SHA-256 (hex) of all that a row says."""
    content = ["donestep", str(row.flow_run_id), row.step, row.result, row.at.isoformat()]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


_open: ContextVar[Journal | None] = ContextVar("journal", default=None)


def goes_on(flow: Callable[P, R]) -> Callable[P, R]:
    """A flow whose finished steps are not done again when its run goes on."""

    @functools.wraps(flow)
    def continued(*args: P.args, **kwargs: P.kwargs) -> R:
        run = this_run()
        if run is None:
            return flow(*args, **kwargs)
        token = _open.set(Journal(run))
        try:
            return flow(*args, **kwargs)
        finally:
            _open.reset(token)

    return continued


class Step(Task[P, R]):
    """A task that is done once a run, where the run's flow `goes_on`; elsewhere each call is done."""

    def __init__(self, verb: Callable[P, R], **options: Any) -> None:
        @functools.wraps(verb)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            result = verb(*args, **kwargs)
            if (journal := _open.get()) is not None:
                journal.keep(named(verb, args, kwargs), result)
            return result

        super().__init__(fn=noted, **options)
        self.verb = verb

    def __call__(self, *args: Any, return_state: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """The result of the step, or with return_state its state."""
        journal = _open.get()
        if journal is None or (step := named(self.verb, args, kwargs)) not in journal:
            return super().__call__(*args, return_state=return_state, **kwargs)  # type: ignore[arg-type]
        found = journal.result(step)
        return Completed(data=found, message="Done before") if return_state else found


def named(verb: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The step with these inputs: its function's name and a digest. A new version of the code finds old steps."""
    bound = inspect.signature(verb).bind(*args, **kwargs)
    bound.apply_defaults()
    inputs = json.dumps(to_jsonable_python(bound.arguments), sort_keys=True, ensure_ascii=False)
    return f"{verb.__name__}:{hashlib.sha256(inputs.encode()).hexdigest()[:32]}"


def forget_ended(session: Session, before: datetime) -> int:
    """Drop the rows of runs that did nothing since `before`. Returns how many rows.

    No pause lasts so long. Until then a run that has ended may be started again (Retry): it does nothing twice.
    """
    still = select(DoneStep.flow_run_id).group_by(col(DoneStep.flow_run_id)).having(func.max(DoneStep.at) < before)
    gone = delete(DoneStep).where(col(DoneStep.flow_run_id).in_(still))
    return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]
