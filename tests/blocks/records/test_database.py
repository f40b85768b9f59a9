"""The block: one transaction a session, restarts survived, nothing personal in errors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from blocks.errors import Remedy
from blocks.records import RecordsDatabase, RecordsNotConfigured, RecordsUnavailable
from blocks.records.audit import verify_chain
from blocks.records.machine import move_dossier
from blocks.records.queries import get_dossier
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry, Dossier
from infra.local import roles
from infra.local.postgres import Postgres
from infra.local.process import free_port
from tests.blocks.records.conftest import OWNER, OWNER_ID, new_dossier


@pytest.fixture(scope="module")
def own_server(home: Path) -> Iterator[Postgres]:
    """A server that this module may stop."""
    server = Postgres(home / "postgres-restart", free_port(), durable=False, parent_death=signal.SIGQUIT)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def fragile(own_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> RecordsDatabase:
    monkeypatch.setenv("SOHOA_TEST_FRAGILE", own_server.url("sohoa", roles.OWNER))
    database = RecordsDatabase(url_env="SOHOA_TEST_FRAGILE")
    database.migrate()
    return database


def test_commit_and_rollback(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    with pytest.raises(RuntimeError), db.session() as session:
        get_dossier(session, dossier_id).owner_name = "X"
        session.flush()
        raise RuntimeError
    with db.session() as session:
        kept = get_dossier(session, dossier_id)
    assert kept.owner_name == OWNER  # usable after the session


def test_restart_in_the_middle_of_a_session(fragile: RecordsDatabase, own_server: Postgres) -> None:
    """The session ends with a retryable error, keeps nothing, and the next one works."""
    dossier_id = new_dossier(fragile)
    with pytest.raises(RecordsUnavailable) as error, fragile.session() as session:
        move_dossier(session, get_dossier(session, dossier_id), DossierState.KIEM_TRA, actor="tnhs.01")
        own_server.stop()
        own_server.start()
        get_dossier(session, dossier_id).owner_name = "X"
    assert error.value.remedy is Remedy.RETRY
    assert "vui lòng" in error.value.text
    with fragile.session() as session:
        dossier = get_dossier(session, dossier_id)
        assert dossier.state is DossierState.NHAP
        assert move_dossier(session, dossier, DossierState.KIEM_TRA, actor="tnhs.01")
    with fragile.session() as session:
        assert session.exec(select(AuditEntry.action).where(AuditEntry.dossier_id == dossier_id)).all() == [
            "transition"
        ]
        assert verify_chain(session) == []


def test_restart_between_sessions_is_not_noticed(fragile: RecordsDatabase, own_server: Postgres) -> None:
    dossier_id = new_dossier(fragile)
    own_server.stop()
    own_server.start()
    with fragile.session() as session:
        assert get_dossier(session, dossier_id).state is DossierState.NHAP


def test_lost_at_commit_and_server_down(fragile: RecordsDatabase, own_server: Postgres) -> None:
    with pytest.raises(RecordsUnavailable), fragile.session() as session:
        session.execute(text("SELECT 1"))
        own_server.stop()
    try:
        with pytest.raises(RecordsUnavailable), fragile.session() as session:
            session.execute(text("SELECT 1"))
        with pytest.raises(RecordsUnavailable):
            fragile.migrate()
    finally:
        own_server.start()
    with fragile.session() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOHOA_TEST_NOWHERE", raising=False)
    for value in (None, "sqlite://", ""):
        if value is not None:
            monkeypatch.setenv("SOHOA_TEST_NOWHERE", value)
        with pytest.raises(RecordsNotConfigured, match="SOHOA_TEST_NOWHERE"):
            _ = RecordsDatabase(url_env="SOHOA_TEST_NOWHERE").engine


def all_words(error: BaseException | None) -> str:
    words = ""
    while error is not None:
        words += f"{error!s} {error!r} {error.args!r}"
        error = error.__cause__ or error.__context__
    return words


def test_WH04_errors_do_not_quote_the_row(db: RecordsDatabase) -> None:
    """Neither parameters nor PostgreSQL's DETAIL and its quotation of bad values reach an error's text."""
    with db.session() as session:
        first = get_dossier(session, new_dossier(db))
    found = []
    with pytest.raises(Exception) as error, db.session() as session:
        session.add(Dossier(submission=first.submission, unit_id="U", procedure_code="1", owner_name=OWNER))
    found.append(all_words(error.value))
    assert "UniqueViolation" in found[0] and "dossier_submission_key" in found[0]
    statement = "UPDATE dossier SET owner_founding_year = :id, owner_name = NULL WHERE owner_id = :id"
    for bad in (statement, statement.replace(":id,", "CAST(:id AS int),"), f"SELECT '{OWNER}'::date"):
        with pytest.raises(Exception) as error, db.session() as session:
            session.execute(text(bad), {"id": OWNER_ID} if ":id" in bad else {})
        found.append(all_words(error.value))
    for words in found:
        assert OWNER_ID not in words and first.submission not in words
        assert OWNER not in words.replace(f"SELECT '{OWNER}'", "")  # the statement that the test itself wrote


def test_block_holds_the_name_of_the_variable_only(db: RecordsDatabase) -> None:
    assert os.environ["SOHOA_TEST_RECORDS"] not in db.model_dump_json()
    assert db.model_dump()["url_env"] == "SOHOA_TEST_RECORDS"
