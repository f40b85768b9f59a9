"""In an office with many dossiers no step of a new one reads a large table from end to end.

The questions that are asked of a million dossiers are in test_million.py. Here are all those of one that goes from the
counter to the archive, as the server would answer them once the tables are filled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import read_chain
from infra.local.postgres import Postgres
from tests.bench.multiply import multiply
from tests.bench.walk import walk
from tests.blocks.records.plans import asked, whole_reads
from tests.conftest import TestPki

FILED, LEFT = 1500, 100
LARGE = 1000  # rows
SAMPLE = "01-"  # two papers, and a result is issued
SIZES = "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


@pytest.mark.timeout(600)
def test_no_step_of_a_new_dossier_reads_a_large_table_from_end_to_end(
    database_url: str, records: RecordsDatabase, objects: ObjectStore, postgres: Postgres, pki: TestPki, tmp_path: Path
) -> None:
    with asked(records, "SELECT", "WITH", "UPDATE", "DELETE") as seen:
        filed, _ = walk(records, objects, tmp_path, 1, sample=SAMPLE)
    waits, _ = walk(records, objects, tmp_path, 2, "verification-1", SAMPLE)
    with postgres.connect(database_url.rpartition("/")[2]) as database:
        multiply(database, filed, waits, FILED, LEFT)
        large = {table for table, rows in database.execute(SIZES.encode()) if rows > LARGE}
    with records.session() as session:
        assert read_chain(session).all == []
    assert {
        "dossier",
        "document",
        "auditentry",
        "decision",
        "signature",
        "archivedobject",
        "resultnumber",
        "donestep",
    } <= large
    statements = dict(reversed(seen))  # each with the values of its first time
    faults = []
    with records.engine.connect() as connection:
        for statement, values in statements.items():
            read = whole_reads(connection, statement, values)
            faults += [(table, statement) for table in read if table in large]
    assert len(statements) > 50 and not faults, faults
