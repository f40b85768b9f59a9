"""WH04: an account is one officer's, and is no other's; sessions end once; a token works once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from blocks.records import RecordsDatabase, signins
from blocks.records.signins import AccountBound, NotBound
from blocks.records.tables import AuditEntry, now
from infra.local.postgres import Postgres
from infra.local.roles import GATEWAY
from tests.attack.plugin import Attack


@pytest.fixture
def records(postgres: Postgres, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordsDatabase]:
    """With the gateway's rights: flows have none on these tables."""
    monkeypatch.setenv("SOHOA_DATABASE_GATEWAY_URL", postgres.url(database_url.rpartition("/")[2], GATEWAY))
    made = RecordsDatabase(url_env="SOHOA_DATABASE_GATEWAY_URL")
    yield made
    made.engine.dispose()


OFFICE, OTHER = "https://office.example", "https://other.example"


def test_the_first_account_is_bound_and_no_other_takes_its_place(records: RecordsDatabase) -> None:
    with records.session() as session:
        assert not signins.is_bound(session, OFFICE, "1", "gq.01", first=False)  # an administrator binds
        assert signins.is_bound(session, OFFICE, "1", "gq.01", first=True)
    with records.session() as session:
        assert signins.is_bound(session, OFFICE, "1", "gq.01", first=True)
        assert not signins.is_bound(session, OFFICE, "2", "gq.01", first=True)  # the name was given anew
        assert not signins.is_bound(session, OFFICE, "1", "gq.02", first=True)  # the account was renamed
        assert signins.is_bound(session, OTHER, "1", "gq.02", first=True)  # a subject is one of its issuer only
    with records.session() as session:
        bound = session.exec(select(AuditEntry).where(AuditEntry.action == "bind-account")).all()
        assert [(entry.actor, entry.details) for entry in bound] == [
            ("gq.01", {"officer": "gq.01"}),
            ("gq.02", {"officer": "gq.02"}),
        ]


def test_an_administrator_binds_and_unbinds(records: RecordsDatabase) -> None:
    with records.session() as session:
        signins.bind(session, OFFICE, "1", "gq.01", "os:root")
        signins.bind(session, OFFICE, "1", "gq.01", "os:root")
        with pytest.raises(AccountBound):
            signins.bind(session, OFFICE, "2", "gq.01", "os:root")
        signins.unbind(session, OFFICE, "gq.01", "os:root")
        with pytest.raises(NotBound):
            signins.unbind(session, OFFICE, "gq.01", "os:root")
        assert signins.is_bound(session, OFFICE, "2", "gq.01", first=True)


def test_sessions_end_once_and_a_new_gateway_knows_none(records: RecordsDatabase) -> None:
    one, two, three = uuid4(), uuid4(), uuid4()
    with records.session() as session:
        for ident, officer in ((one, "gq.01"), (two, "gq.01"), (three, "ld.01")):
            signins.begin(session, ident, officer)
    with records.session() as session:
        assert signins.end(session, one, "ld.01", "ENDED") and not signins.end(session, one, "vh.01", "ENDED")
        assert signins.ended(session, [one, two, uuid4()]) == [one]
        assert [row.id for row in signins.still_open(session, "gq.01")] == [two]
        assert signins.end_all(session, "system", "RESTART") == 2 and signins.still_open(session) == []


def test_a_token_works_once(records: RecordsDatabase) -> None:
    later = now() + timedelta(minutes=2)
    for expected in (True, False):
        with records.session() as session:
            assert signins.first_use(session, OFFICE, "j1", later) is expected
    with records.session() as session:
        assert signins.first_use(session, OTHER, "j1", later)


def test_flows_can_not_make_up_who_is_who(attack: Attack, records: RecordsDatabase) -> None:
    flows = RecordsDatabase()
    for what, statement in (
        (
            "binds an account of its own to the leader",
            "INSERT INTO officeridentity VALUES ('i', '1', 'ld.01', 'x', now())",
        ),
        ("unbinds an account", "DELETE FROM officeridentity"),
        ("ends everybody's session", "UPDATE signedin SET ended_at = now()"),
    ):
        with attack(f"a flow's database role {what}", watch=lambda: rows(records)) as told:
            with pytest.raises(ProgrammingError, match="InsufficientPrivilege"), flows.session() as session:
                session.connection().execute(text(statement))
            told.answered("InsufficientPrivilege")


def rows(records: RecordsDatabase) -> tuple[int, int]:
    with records.session() as session:
        return len(signins.bindings(session)), len(signins.still_open(session))
