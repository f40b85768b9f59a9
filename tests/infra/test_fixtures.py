"""The fixtures themselves: a database of one's own, migrated and empty; a PKI that answers."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from sqlalchemy import text
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier
from tests.conftest import TestPki


def test_records_are_migrated_and_empty(records: RecordsDatabase) -> None:
    with records.session() as session:
        assert session.exec(select(Dossier)).all() == []


def test_each_database_is_its_own(database_url: str, new_database: Callable[[], str], records: RecordsDatabase) -> None:
    assert new_database() != database_url
    with records.session() as session:
        checksums, fsync = (
            session.connection().execute(text(f"SHOW {n}")).scalar() for n in ("data_checksums", "fsync")
        )
    assert (checksums, fsync) == ("on", "off")


def test_pki_answers(pki: TestPki) -> None:
    assert (pki.folder / "officers.yml").exists()
    assert httpx.get(pki.tsa).status_code in (400, 404, 405, 415)  # answers, but wants a POST
