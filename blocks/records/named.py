"""Rows that the trail vouches for: the entry that tells of a row names its hash, so that neither stands alone (P14).

Whoever has a database password may be able to put in a row of custody, of an owner's repository, of the outbox, or to
close an incident; but not to write the sealed entry that names it (tasks/monitoring/audit_rows.py looks for both). A
hash is made over the row's random id and what never changes in it: once the row is gone it tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from blocks.identity import json_digest
from blocks.records.tables import Custody, Disposal, Incident, Outbox, RepositoryEntry

Row = TypeVar("Row", bound=SQLModel)
ROWS = "row_hashes"  # key of an entry's details: {kind: [hash, …]}
# What is told of a row once and for all.
_COLUMNS: Mapping[type[SQLModel], tuple[str, ...]] = {
    Custody: ("id", "dossier_id", "place", "handed_by", "received_by", "at"),
    RepositoryEntry: ("id", "owner_id", "document_id", "shown_at"),
    Outbox: ("id", "topic", "dedup_key", "payload"),
    Incident: ("id", "code", "dossier_id", "document_id", "at", "closed_at", "closed_by", "reason"),
    Disposal: (
        *("document_id", "dossier_id", "unit_id", "retention_class", "retain_until", "proposed_by", "proposed_at"),
        *("reason", "confirmed_by", "confirmed_at", "confirmation", "destroyed_at"),
    ),
}


def kind_of(row: SQLModel) -> str:
    """Which rows: the table, of the outbox with the topic."""
    name = str(type(row).__name__).lower()
    return f"{name}/{row.topic}" if isinstance(row, Outbox) else name


def row_hash(row: SQLModel) -> str:
    """SHA-256 over kind and columns."""
    return json_digest([kind_of(row), *(_plain(getattr(row, name)) for name in _COLUMNS[type(row)])])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, UUID) else value


def naming(*rows: SQLModel | None) -> dict[str, Any]:
    """For the details of the entry that tells of these rows; nothing for None."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row is not None:
            found.setdefault(kind_of(row), []).append(row_hash(row))
    return {ROWS: found} if found else {}


def insert_once(session: Session, row: Row, *unique: str) -> Row | None:
    """Insert it; None: there is one already with the same `unique` columns, which stays."""
    table = type(row)
    statement = insert(table).values(**row.model_dump()).on_conflict_do_nothing(index_elements=unique)
    new = session.execute(statement.returning(getattr(table, unique[0]))).first()
    return row if new is not None else None
