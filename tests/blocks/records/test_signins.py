"""WH04: an account is one officer's, and is no other's; sessions end once; a token works once."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import select

from blocks.records import RecordsDatabase, signins
from blocks.records.signins import AccountBound, NotBound
from blocks.records.tables import AuditEntry, now

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
