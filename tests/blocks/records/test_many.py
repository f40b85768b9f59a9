"""In an office with many dossiers no step of a new one reads a large table from end to end.

The questions that are asked of a million dossiers are in test_million.py. Here are all those of one that goes from the
counter to the archive, as the server would answer them once the tables are filled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import read_chain
from infra.local.postgres import Postgres
from tests.bench.multiply import multiply
from tests.bench.walk import walk
from tests.conftest import TestPki

FILED, LEFT = 1500, 100
LARGE = 1000  # rows
SAMPLE = "01-"  # two papers, and a result is issued
SIZES = "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
Asked = dict[str, Any]  # statement → values


@contextmanager
def asked(records: RecordsDatabase) -> Iterator[Asked]:
    """The statements that are executed inside, each with the values of its first time."""
    seen: Asked = {}

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            seen.setdefault(statement, values[0] if many else values)

    event.listen(records.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(records.engine, "before_cursor_execute", note)


def whole_reads(plan: Any) -> Iterator[str]:
    """Tables that a plan reads from end to end."""
    if plan["Node Type"].endswith("Seq Scan"):
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from whole_reads(part)


@pytest.mark.timeout(600)
def test_no_step_of_a_new_dossier_reads_a_large_table_from_end_to_end(
    database_url: str, records: RecordsDatabase, objects: ObjectStore, postgres: Postgres, pki: TestPki, tmp_path: Path
) -> None:
    with asked(records) as statements:
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
    faults = []
    with records.engine.connect() as connection:
        for statement, values in statements.items():
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar()
            read = json.loads(plan) if isinstance(plan, str) else plan
            faults += [(table, statement) for table in whole_reads(read[0]["Plan"]) if table in large]
    assert len(statements) > 50 and not faults, faults
