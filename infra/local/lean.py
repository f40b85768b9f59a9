"""What Prefect's engine does for runs of hours is left out of runs of seconds (prefect 3.8.8)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from prefect import flow_engine
from prefect.client import orchestration
from prefect.settings import PREFECT_API_URL


def lean() -> None:
    """In the process of a flow run, once its settings are in force."""
    flow_engine.observe_flow_run_suspension = _unobserved
    flow_engine._send_heartbeats = partial(_beating, flow_engine._send_heartbeats)  # type: ignore[assignment]
    if str(PREFECT_API_URL.value()).startswith("http://"):
        orchestration.ssl = _NoTls  # type: ignore[assignment, attr-defined]


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
