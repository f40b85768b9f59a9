"""What the database itself refuses, whoever asks (P14, EXl, P01, CA08)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from blocks.records import RecordsDatabase
from blocks.records.codes import issue_dossier_code
from blocks.records.queries import get_dossier, record_decision
from blocks.records.tables import Decision, FieldValue, Scan
from tests.blocks.records.conftest import new_document, new_dossier


def refuse(statement: str, **values: Any) -> None:
    """Also the owner's statement is refused, while the guards are on."""
    owner = RecordsDatabase(url_env="SOHOA_TEST_RECORDS_OWNER")
    with pytest.raises(DBAPIError) as error, owner.session() as session:
        session.execute(text(statement), values)
    assert "P0001" in str(error.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision SET decision = 'KY'",
        "UPDATE decision SET payload = '{}'",
        "DELETE FROM decision",
        "TRUNCATE decision",
    ],
)
def test_decisions_are_kept(db: RecordsDatabase, statement: str) -> None:
    dossier_id = new_dossier(db)
    with db.session() as session:
        record_decision(session, dossier_id, "signoff-1", decision="TRA_LAI", officer="ld.01", reason="Thiếu")
    refuse(statement)
    with db.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier_id)).one()
        assert kept.decision == "TRA_LAI"


def test_EXl_time_of_extraction_is_set_once(db: RecordsDatabase) -> None:
    value = FieldValue(document_id=new_document(db, new_dossier(db)), name="number_symbol", value="24/BC-VP")
    with db.session() as session:
        session.add(value)
    with db.session() as session:
        stored = session.exec(select(FieldValue).where(FieldValue.id == value.id)).one()
        stored.value, stored.confirmed_by = "25/BC-VP", "gq.01"
        session.add(stored)
    with pytest.raises(Exception, match="EXl"), db.session() as session:
        stored = session.exec(select(FieldValue).where(FieldValue.id == value.id)).one()
        stored.extracted_at += timedelta(seconds=1)
        session.add(stored)


CHANGES = {
    "object_key": "'x'",
    "sha256": "repeat('0', 64)",
    "size": "0",
    "ordinal": "9",
    "attempt": "9",
    "sequence": "9",
    "document_id": "gen_random_uuid()",
    "id": "gen_random_uuid()",
    "media_type": "'image/png'",
}


def test_CA08_scans_are_kept_as_they_came(db: RecordsDatabase) -> None:
    document_id = new_document(db, new_dossier(db))
    with db.session() as session:
        session.add(Scan(document_id=document_id, ordinal=1, object_key="k", sha256="a" * 64, size=1))
    with db.session() as session:  # found out later: what it is, and why it was refused
        session.execute(text("UPDATE scan SET media_type = 'image/jpeg', refused_code = 'DPI_LOW'"))
        session.execute(text("UPDATE scan SET refused_code = NULL"))
    for column, value in CHANGES.items():
        refuse(f"UPDATE scan SET {column} = {value}")
    refuse("DELETE FROM scan")
    refuse("TRUNCATE scan CASCADE")


def test_P01_codes_by_hand_are_refused(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    with db.session() as session:
        code = issue_dossier_code(session, "BHXH-TEST")
        other = issue_dossier_code(session, "BHXH-2")
    not_counted = code[:-4] + "0777"
    for manual in ("HS-1", "", code[:-4] + "0000", not_counted, other, f"BHXH-TEST-991231-{code[-4:]}", f" {code}"):
        refuse("UPDATE dossier SET code = :code WHERE id = :id", code=manual, id=dossier_id)
    with db.session() as session:
        dossier = get_dossier(session, dossier_id)
        dossier.code = code
        session.add(dossier)
    for later in (None, "HS-1", not_counted):
        refuse("UPDATE dossier SET code = :code WHERE id = :id", code=later, id=dossier_id)
