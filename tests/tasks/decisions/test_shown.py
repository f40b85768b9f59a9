"""What an officer sees of a dossier is told at every step, also before it is received."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier
from tasks.decisions.shown import shown


def test_B3a_a_dossier_of_an_unknown_procedure_can_be_refused(records: RecordsDatabase) -> None:
    """The officer must be able to answer the pause that says so."""
    with records.session() as session:
        dossier = Dossier(submission="0" * 32, unit_id="BHXH-TEST", procedure_code="9.999999")
        session.add(dossier)
        session.flush()
        assert [entry[0] for entry in shown(session, Catalog(), dossier.id)] == ["dossier"]
