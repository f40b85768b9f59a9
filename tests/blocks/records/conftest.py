"""A records database for a whole module, and dossiers in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Document, Dossier
from infra.local import roles
from infra.local.postgres import Postgres

OWNER = "Nguyễn Thị Bích Vân"
OWNER_ID = "001199012345"


@pytest.fixture(scope="module")
def db(new_database: Callable[[], str], postgres: Postgres) -> Iterator[RecordsDatabase]:
    """One database for the module (hypothesis wants it that way); tests make their own dossiers."""
    with pytest.MonkeyPatch.context() as patch:
        url = new_database()
        patch.setenv("SOHOA_TEST_RECORDS", url)
        patch.setenv("SOHOA_TEST_RECORDS_OWNER", postgres.url(url.rpartition("/")[2], roles.OWNER))
        database = RecordsDatabase(url_env="SOHOA_TEST_RECORDS")
        yield database
        database.engine.dispose()
        RecordsDatabase(url_env="SOHOA_TEST_RECORDS_OWNER").engine.dispose()


def new_dossier(db: RecordsDatabase, state: DossierState = DossierState.NHAP, unit: str = "BHXH-TEST") -> UUID:
    dossier = Dossier(
        submission=uuid4().hex,
        unit_id=unit,
        procedure_code="1.001667",
        owner_name=OWNER,
        owner_id=OWNER_ID,
        state=state,
    )
    with db.session() as session:
        session.add(dossier)
    return dossier.id


def new_document(
    db: RecordsDatabase, dossier_id: UUID, state: DocumentState = DocumentState.KHAI_BAO, ordinal: int = 1
) -> UUID:
    document = Document(
        dossier_id=dossier_id, ordinal=ordinal, type_code="LOCAL:GIAY-RA-VIEN", declared_pages=1, state=state
    )
    with db.session() as session:
        session.add(document)
    return document.id
