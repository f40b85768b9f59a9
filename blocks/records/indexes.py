"""Indexes for the questions that are asked of large tables, beside the keys that stand with the tables themselves.

One index a question of the desk, the watch, the metrics and the steps; tests/blocks/records/test_million.py asks them
all of a million dossiers.
"""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import SQLModel, text

import blocks.records.tables  # noqa: F401  (the tables)

# index → table, columns, which rows (all: "")
WANTED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "ix_auditentry_document_action": ("auditentry", ("document_id", "action", "seq"), "document_id IS NOT NULL"),
    "ix_auditentry_actor": ("auditentry", ("actor", "seq"), ""),
    "ix_auditentry_action": ("auditentry", ("action", "seq"), ""),
    "ix_auditentry_at": ("auditentry", ("at",), ""),
    "ix_auditentry_no_dossier": ("auditentry", ("seq",), "dossier_id IS NULL"),
    "ix_dossier_state_due": ("dossier", ("state", "due_date"), ""),
    "ix_dossier_received_at": ("dossier", ("received_at",), "received_at IS NOT NULL"),
    "ix_dossier_flow_run": ("dossier", ("flow_run_id",), "flow_run_id IS NOT NULL"),
    "ix_dossier_unit_created": ("dossier", ("unit_id", "created_at"), ""),
    "ix_dossier_owner": ("dossier", ("owner_id",), "owner_id IS NOT NULL"),
    "ix_document_retain_until": ("document", ("retain_until",), "retain_until IS NOT NULL"),
    "ix_document_code_owner": ("document", ("code_owner",), "code_owner IS NOT NULL"),
    "ix_incident_open": ("incident", ("code", "dossier_id"), "closed_at IS NULL"),
    "ix_incident_closed": ("incident", ("closed_at",), "closed_at IS NOT NULL"),
    "ix_dossier_copies": ("dossier", ("result_at",), "state = 'LUU_TRU' AND copies_dropped_at IS NULL"),
    "ix_outbox_waiting": ("outbox", ("topic", "created_at"), "delivered_at IS NULL"),
    "ix_page_scan": ("page", ("scan_id",), ""),
    "ix_page_unreadable": ("page", ("document_id",), "readable = false"),
    "ix_resultnumber_document": ("resultnumber", ("document_id",), "document_id IS NOT NULL"),
    "ix_signature_role": ("signature", ("role",), ""),
    "ix_archivedobject_damaged": ("archivedobject", ("checked_at",), "NOT intact"),
    "ix_archivedobject_locked_until": ("archivedobject", ("locked_until",), ""),
}

for _name, (_table, _columns, _where) in WANTED.items():
    _of = SQLModel.metadata.tables[_table]
    _keys = [_of.c[column] for column in _columns]
    if _where:
        Index(_name, *_keys, postgresql_where=text(_where))
    else:
        Index(_name, *_keys)
