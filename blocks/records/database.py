"""The records database as a Prefect block: one transaction a session, restarts of PostgreSQL survived."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import psycopg
from pydantic import Field
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlmodel import Session

from blocks.errors import Remedy, SohoaError
from blocks.records import (  # noqa: F401  (session events that guard every session; tables; indexes)
    audit,
    indexes,
    machine,
    partners,
)
from blocks.service import Service

CONNECT_ARGS = {
    "application_name": "sohoa",
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds: a server that vanished without a word is noticed
    # A lock that is not given within half a minute is a fault to retry, not a reason to hang for ever.
    "options": "-c timezone=UTC -c lock_timeout=30s -c client_min_messages=warning",
}


class RecordsUnavailable(SohoaError):
    """The connection was refused or lost, the server restarted, or a lock or a free connection was long in coming.

    Unless it came at COMMIT, nothing of the transaction was kept; after it the answer is unknown: do it again.
    """

    code, rule = "RECORDS_UNAVAILABLE", "CA08"
    message = "Cơ sở dữ liệu hồ sơ tạm thời không phản hồi; hệ thống sẽ tự thử lại, vui lòng chờ trong giây lát."
    remedy = Remedy.RETRY


class RecordsNotConfigured(SohoaError):
    """The environment variable that holds the database's address is not set, or is no PostgreSQL address."""

    code = "RECORDS_NOT_CONFIGURED"
    message = "Chưa cấu hình cơ sở dữ liệu hồ sơ; vui lòng đặt biến môi trường {variable} (postgresql+psycopg://…)."
    remedy = Remedy.ADMINISTRATOR


class RecordsDatabase(Service):
    """Cơ sở dữ liệu hồ sơ (PostgreSQL). Holds the NAME of the variable with the address, never the address."""

    _block_type_name = "Sohoa Records Database"
    _block_type_slug = "sohoa-records-database"
    _description = "Cơ sở dữ liệu hồ sơ số hóa (PostgreSQL)."

    url_env: str = Field(default="SOHOA_DATABASE_URL", title="Biến môi trường chứa địa chỉ cơ sở dữ liệu")

    @property
    def engine(self) -> Engine:
        """One engine a process and address. Raises RecordsNotConfigured."""
        url = os.environ.get(self.url_env, "")
        if not url.startswith("postgresql"):
            raise RecordsNotConfigured(variable=self.url_env)
        return _engine(url, os.getpid())

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any error.

        Objects stay usable after it (they are not expired). Raises RecordsUnavailable when the connection is lost;
        all of the block is then to be done again, which idempotent steps may.
        """
        with _outages(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema to the newest migration; safe to call from several processes at once."""
        from blocks.records.migrate import upgrade

        with _outages():
            upgrade(self.engine)


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolExhausted, psycopg.OperationalError) as error:
        raise RecordsUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise RecordsUnavailable from error
        raise


@lru_cache(maxsize=8)
def _engine(url: str, _pid: int) -> Engine:
    """The process id is a part of the key: a forked child must not share its parent's connections."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,  # a connection that died with a restarted server is replaced before its use
        pool_size=5,
        max_overflow=25,
        pool_recycle=1800,
        hide_parameters=True,  # values are personal data: never in an error's text (WH04)
        connect_args=CONNECT_ARGS,
    )
    event.listen(engine, "handle_error", _strip_values)
    return engine


def _strip_values(context: ExceptionContext) -> None:
    """Take PostgreSQL's own words out of an error: its DETAIL quotes the row, and the row is personal data (WH04).

    What our triggers say (SQLSTATE P0001) is fixed text and stays, as do connection errors.
    """
    original = context.original_exception
    if not isinstance(original, psycopg.Error) or original.sqlstate is None or original.sqlstate[:2] in {"08", "57"}:
        return
    kind, diagnosis = type(original).__name__, original.diag
    where = [f"{n}={v}" for n in ("table_name", "column_name", "constraint_name") if (v := getattr(diagnosis, n))]
    text = (diagnosis.message_primary or "") if original.sqlstate == "P0001" else " ".join(where)
    original.args = (f"{kind} {original.sqlstate} {text}".strip(),)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({kind}) {original.args[0]}",)
