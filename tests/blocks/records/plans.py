"""Which statements are executed, and which tables the server would read from end to end for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from blocks.records import RecordsDatabase

Asked = list[tuple[str, Any]]  # (statement, its values)


@contextmanager
def asked(records: RecordsDatabase, *verbs: str) -> Iterator[Asked]:
    """The statements that are executed inside and begin with one of these words, in their order."""
    seen: Asked = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith(verbs):
            seen.append((statement, values[0] if many else values))

    event.listen(records.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(records.engine, "before_cursor_execute", note)


def whole_reads(connection: Connection, statement: str, values: Any) -> list[str]:
    """Tables that the server's plan for this statement reads from end to end."""
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar()
    read = json.loads(plan) if isinstance(plan, str) else plan
    return list(_in_plan(read[0]["Plan"]))


def _in_plan(plan: Any) -> Iterator[str]:
    if plan["Node Type"].endswith("Seq Scan"):
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from _in_plan(part)
