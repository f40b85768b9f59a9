"""Small questions, decisions, incidents."""

from __future__ import annotations

from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import NoResultFound
from sqlmodel import Session, select, text

from blocks.records import RecordsDatabase, RecordsUnavailable
from blocks.records.incidents import close_incident, raise_incident
from blocks.records.queries import (
    DocumentUnknown,
    DossierUnknown,
    decision,
    documents,
    fields,
    find_dossier,
    get_document,
    get_dossier,
    locked,
    record_decision,
)
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, Document, Dossier, FieldValue, Incident
from tests.blocks.records.conftest import new_document, new_dossier
from tests.blocks.records.race import race


def test_unknown_ids_have_a_clear_answer(db: RecordsDatabase) -> None:
    with db.session() as session:
        with pytest.raises(DossierUnknown):
            get_dossier(session, uuid4())
        with pytest.raises(DossierUnknown):
            find_dossier(session, "BHXH-TEST-000101-0001")
        with pytest.raises(DocumentUnknown):
            get_document(session, uuid4())
        with pytest.raises(DossierUnknown):
            locked(session, Dossier, uuid4())
        with pytest.raises(DocumentUnknown):
            locked(session, Document, uuid4(), key_share=True)
        with pytest.raises(NoResultFound):
            locked(session, Incident, uuid4())


def impatient(session: Session) -> Session:
    session.execute(text("SET LOCAL lock_timeout = '300ms'"))
    return session


@pytest.mark.parametrize("key_share", [True, False])
def test_of_two_who_lock_a_row_the_second_waits_and_reads_what_the_first_wrote(
    db: RecordsDatabase, key_share: bool
) -> None:
    dossier_id = new_dossier(db)
    with db.session() as second:
        assert get_dossier(second, dossier_id).digital_account == "UNCHECKED"
        with db.session() as first:
            locked(first, Dossier, dossier_id, key_share=key_share).digital_account = "YES"
            with pytest.raises(RecordsUnavailable), db.session() as third:
                locked(impatient(third), Dossier, dossier_id, key_share=key_share)
        assert locked(second, Dossier, dossier_id, key_share=key_share).digital_account == "YES"


def test_a_row_that_is_locked_for_key_share_may_be_referred_to(db: RecordsDatabase) -> None:
    def refer(session: Session) -> None:
        impatient(session).add(
            Document(dossier_id=dossier_id, ordinal=1, type_code="LOCAL:GIAY-RA-VIEN", declared_pages=1)
        )

    dossier_id = new_dossier(db)
    with db.session() as first:
        locked(first, Dossier, dossier_id)
        with pytest.raises(RecordsUnavailable), db.session() as second:
            refer(second)
    with db.session() as first:
        locked(first, Dossier, dossier_id, key_share=True)
        with db.session() as second:
            refer(second)


def test_documents_and_fields_in_order(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    third = new_document(db, dossier_id, DocumentState.OCR, 3)
    first = new_document(db, dossier_id, DocumentState.OCR, 1)
    second = new_document(db, dossier_id, DocumentState.CHO_XAC_NHAN, 2)
    with db.session() as session:
        assert [d.id for d in documents(session, dossier_id)] == [first, second, third]
        assert [d.id for d in documents(session, dossier_id, {DocumentState.OCR})] == [first, third]
        assert documents(session, dossier_id, []) == []
        session.add_all([FieldValue(document_id=first, name=name) for name in ("number_symbol", "abstract")])
        assert [f.name for f in fields(session, first)] == ["abstract", "number_symbol"]


def decide(db: RecordsDatabase, dossier_id: UUID, officer: str) -> str:
    with db.session() as session:
        stored = record_decision(
            session, dossier_id, "verification-1", decision="DUYET", officer=officer, payload={"by": officer}
        )
        return f"{stored.officer} {stored.payload['by']}"


def test_of_racing_decisions_the_first_wins(db: RecordsDatabase) -> None:
    for _ in range(5):
        dossier_id = new_dossier(db)
        results = race(*[partial(decide, db, dossier_id, f"gq.0{n}") for n in range(6)])
        assert len({str(result) for result in results}) == 1
        with db.session() as session:
            stored = decision(session, dossier_id, "verification-1")
            assert stored is not None and str(results[0]) == f"{stored.officer} {stored.officer}"


def test_CA08_an_incident_is_open_once(db: RecordsDatabase) -> None:
    dossier_id = new_dossier(db)
    with db.session() as session:
        first = raise_incident(session, code="INTEGRITY", dossier_id=dossier_id, rule="CA08", details={"page": 1})
        assert raise_incident(session, code="INTEGRITY", dossier_id=dossier_id).id == first.id
        assert raise_incident(session, code="SECRET", dossier_id=dossier_id).id != first.id
    with db.session() as session:
        assert close_incident(session, first, actor="ld.01") is True
        assert close_incident(session, first, actor="ld.01") is False
        assert raise_incident(session, code="INTEGRITY", dossier_id=dossier_id).id != first.id
    with db.session() as session:
        assert len(session.exec(select(Incident).where(Incident.dossier_id == dossier_id)).all()) == 3
        actions = [e.action for e in session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier_id))]
        assert sorted(actions) == ["incident"] * 3 + ["incident-closed"]
