"""What Prefect's engine does for runs of hours is left out of runs of seconds (prefect 3.8.8)."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from prefect import flow_engine, task_engine
from prefect.client import orchestration
from prefect.context import FlowRunContext, TaskRunContext, refresh_global_settings_context
from prefect.events import worker as events
from prefect.events.related import object_as_related_resource
from prefect.events.schemas.events import RelatedResource
from prefect.logging.configuration import setup_logging
from prefect.settings import PREFECT_API_URL
from pydantic import BaseModel


def prepare() -> None:
    """Before runs are forked: settings and logging, by this process's environment, and what Prefect builds late."""
    importlib.import_module("anyio._backends._asyncio")  # which anyio imports by its name
    refresh_global_settings_context()
    setup_logging()
    for model in _models(BaseModel):
        if model.__module__.startswith("prefect.") and not model.__pydantic_complete__:
            model.model_rebuild(raise_errors=False)


def _models(base: type[BaseModel]) -> set[type[BaseModel]]:
    direct = set(base.__subclasses__())
    return direct.union(*map(_models, direct))


def shorten() -> None:
    """In the process of a flow run, once its settings are in force."""
    events.related_resources_from_run_context = _related  # type: ignore[attr-defined]
    tell = task_engine.emit_task_run_state_change_event  # type: ignore[attr-defined]
    task_engine.emit_task_run_state_change_event = partial(_begun, tell)  # type: ignore[attr-defined]
    flow_engine.observe_flow_run_suspension = _unobserved  # type: ignore[attr-defined]
    flow_engine._send_heartbeats = partial(_beating, flow_engine._send_heartbeats)  # type: ignore[assignment]
    if str(PREFECT_API_URL.value()).startswith("http://"):
        orchestration.ssl = _NoTls  # type: ignore[assignment, attr-defined]


def _begun(tell: Callable[..., Any], task_run: Any, initial_state: Any, validated_state: Any, **more: Any) -> Any:
    """An event of each state of a step but the first: that it is about to begin is followed at once by that it runs."""
    return None if validated_state.is_pending() else tell(task_run, initial_state, validated_state, **more)


async def _related(client: Any, exclude: set[str] | None = None) -> list[RelatedResource]:
    """An event of a step names its run. Prefect would ask its server for flow, deployment, queue and pool, too, in
    each process; nobody looks for steps by them."""
    run, task = FlowRunContext.get(), TaskRunContext.get()
    found: list[tuple[str, Any]] = [("flow-run", run.flow_run)] if run is not None and run.flow_run is not None else []
    found += [("task-run", task.task_run)] if task is not None else []
    related = [object_as_related_resource(kind, kind, item) for kind, item in found]
    return [item for item in related if item.id not in (exclude or set())]


@contextmanager
def _unobserved(*_: Any, **__: Any) -> Iterator[None]:
    """No subscription to events, which would tell that somebody suspended the run from outside: nobody can."""
    yield


def _beating(beats: Callable[..., AbstractContextManager[None]], engine: Any, **_: Any) -> AbstractContextManager[None]:
    """Signs of life as ever; but the end doesn't wait a second for the thread that gives them."""
    return beats(engine, join_on_exit=False)


class _NoTls:
    """Stands for `ssl` where Prefect makes clients: each would read 140 certificates for an address without TLS."""

    SSLContext = ssl.SSLContext
    CERT_NONE = ssl.CERT_NONE

    @staticmethod
    def create_default_context(**_: Any) -> ssl.SSLContext:
        """A context that trusts nobody: fails closed if a client were sent to an address with TLS after all."""
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
