"""Makes Prefect tasks of plain functions: names, retries, results.

What is done once a run is noted in the records (tasks/journal.py). Outside services are retried with back-off and
jitter; bad input never is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import httpx
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff
from sqlalchemy.exc import DataError, ProgrammingError

from blocks import results
from blocks.errors import Remedy, SohoaError
from tasks.journal import Step

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger(__name__)


RETRIES = 3
# 2, 4, 8 s, each by chance up to 1.5 times longer or shorter: who failed together doesn't come back together.
FIRST_PAUSE_SECONDS, JITTER = 2, 0.5
# Bad input, or a fault of ours: the same again would fail the same way.
NEVER_RETRIED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    DataError,
    ProgrammingError,
)
BUSY = {408, 425, 429}  # the only answers 4xx that pass by themselves


IN_A_ROW = 3  # so many rows failing for an outage: the service is away, the others would only wait for it


class RowsFailed(SohoaError):
    """Of many rows some failed; the others are done. Its remedy is RETRY when nothing but outages was in the way."""

    code = "ROWS_FAILED"
    message = "{failed} việc không làm được ({codes}); các việc khác đã làm xong. Vui lòng báo quản trị viên."

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__(failed=len(errors), codes=", ".join(sorted({_called(error) for error in errors})))
        self.remedy = Remedy.RETRY if all(_is_outage(error) for error in errors) else Remedy.ADMINISTRATOR


def one_by_one(rows: Iterable[T], do: Callable[[T], R], *, ends: tuple[type[Exception], ...] = ()) -> list[R]:
    """do(row) for each: one bad row never stops the others. Raises RowsFailed after the last.

    Only a service that is away for IN_A_ROW of them ends it early. ends: errors that concern all rows and pass at once.
    """
    done: list[R] = []
    errors: list[Exception] = []
    outages = 0
    for row in rows:
        try:
            done.append(do(row))
            outages = 0
        except ends:
            raise
        except Exception as error:
            errors.append(error)
            logger.warning("One of many failed: %s", _called(error))  # no text: foreign errors may quote what they read
            outages = outages + 1 if _is_outage(error) else 0
            if outages >= IN_A_ROW:
                break
    if errors:
        raise RowsFailed(errors) from errors[0]
    return done


def _called(error: Exception) -> str:
    return error.code if isinstance(error, SohoaError) else type(error).__name__


def _is_outage(error: Exception) -> bool:
    return isinstance(error, SohoaError) and error.remedy is Remedy.RETRY


def worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """The retry policy, by cause: only what may heal by itself, outside services and the machine, and not what an
    officer must mend."""
    try:
        state.result()
    except SohoaError as error:
        return error.remedy is Remedy.RETRY
    except httpx.HTTPStatusError as error:
        return error.response.status_code >= 500 or error.response.status_code in BUSY
    except NEVER_RETRIED:
        return False
    except Exception:
        return True
    return False


def step(name: str, *, rule: str = "", retries: int = RETRIES) -> Callable[[Callable[P, R]], Step[P, R]]:
    """A task of a flow. Its inputs are ids and numbers only; `rule` names the article it executes.

    The rule stands in the name, not in a tag: for each tag Prefect asks its server for a concurrency slot before every
    run of the task, and fails the whole flow when the server has just lost its database.
    """

    def decorate(verb: Callable[P, R]) -> Step[P, R]:
        results.returns(verb)
        return Step(
            verb,
            name=f"{name} · {rule}" if rule else name,
            persist_result=False,
            result_serializer=results.KIND,
            cache_policy=NO_CACHE,
            retries=retries,
            retry_delay_seconds=exponential_backoff(backoff_factor=FIRST_PAUSE_SECONDS),
            retry_jitter_factor=JITTER,
            retry_condition_fn=worth_retrying,
            log_prints=False,
        )

    return decorate
