"""The retry policy by cause: outside services and the machine again, with growing pauses; bad input never."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import sqlalchemy.exc
from prefect.states import Completed, Failed
from pydantic import BaseModel

import blocks
import tasks
from blocks.errors import Remedy, SohoaError
from tasks.prefect_task import step, worth_retrying

# Whoever adds one says: it fails without anybody's fault and heals without anybody's help.
OUTSIDE = {
    "ANCHOR_TAKEN",
    "DISK_FULL",
    "MAIL_UNAVAILABLE",
    "OBJECT_STORE_UNAVAILABLE",
    "PAGE_UNDRAWABLE",
    "PREFECT_UNAVAILABLE",
    "RECORDS_UNAVAILABLE",
    "REMOTE_SIGNING_UNAVAILABLE",
    "REVOCATION_UNAVAILABLE",
    "TIMESTAMP_UNAVAILABLE",
    "TOKEN_UNAVAILABLE",
}


def retried(error: Exception) -> bool:
    return worth_retrying(cast(Any, None), cast(Any, None), Failed(data=error))


def known(kind: type[SohoaError]) -> Iterator[type[SohoaError]]:
    for child in kind.__subclasses__():
        yield child
        yield from known(child)


def all_errors() -> list[type[SohoaError]]:
    """Every error of the product's steps."""
    for package in (blocks, tasks):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not any(part in module.name for part in (".training", ".migrations", "__main__")):
                importlib.import_module(module.name)
    return [kind for kind in known(SohoaError) if kind.__module__.startswith(("blocks", "tasks"))]


def test_only_outside_services_and_the_machine_are_tried_again() -> None:
    errors = all_errors()
    assert len(errors) > 100
    assert {kind.code for kind in errors if kind.remedy is Remedy.RETRY} == OUTSIDE
    for kind in errors:
        assert retried(kind.__new__(kind)) is (kind.code in OUTSIDE), kind


def status(code: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1/")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(code, request=request))


class _Form(BaseModel):
    number: int


def invalid() -> Exception:
    with pytest.raises(ValueError) as caught:
        _Form.model_validate({"number": "x"})
    return caught.value


def database(kind: type[sqlalchemy.exc.DBAPIError]) -> Exception:
    return kind("", None, Exception())


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (httpx.ConnectError("refused"), True),
        (httpx.ReadTimeout("silent"), True),
        (status(503), True),
        (status(429), True),
        (status(409), False),
        (status(422), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (OSError(28, "No space left on device"), True),
        (MemoryError(), True),
        (database(sqlalchemy.exc.OperationalError), True),
        (database(sqlalchemy.exc.DataError), False),
        (database(sqlalchemy.exc.ProgrammingError), False),
        (invalid(), False),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, ""), False),
        (KeyError("x"), False),
        (IndexError(), False),
        (ZeroDivisionError(), False),
        (AttributeError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_by_cause(error: Exception, again: bool) -> None:
    assert retried(error) is again


def test_what_went_well_is_not_repeated() -> None:
    assert worth_retrying(cast(Any, None), cast(Any, None), Completed(data=1)) is False


def test_pauses_grow_and_differ() -> None:
    made = step("x")(lambda: None)
    assert made.retry_delay_seconds == [2, 4, 8] and made.retry_jitter_factor == 0.5


def test_no_step_has_a_policy_of_its_own() -> None:
    """Every Prefect task of the product is made by `step`."""
    root = Path(tasks.__file__).parent.parent
    for path in [*root.glob("tasks/**/*.py"), *root.glob("flows/*.py")]:
        if path.name != "prefect_task.py":
            text = path.read_text(encoding="utf-8")
            assert "@task" not in text and "retry_" not in text, path
