"""What waits, as rows; and an index for each question that is asked of the large tables.

Revision ID: r0012
Revises: r0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0012"
down_revision = "r0011"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_auditentry_document_action": "auditentry (document_id, action, seq) WHERE document_id IS NOT NULL",
    "ix_auditentry_actor": "auditentry (actor, seq)",
    "ix_auditentry_action": "auditentry (action, seq)",
    "ix_auditentry_at": "auditentry (at)",
    "ix_auditentry_no_dossier": "auditentry (seq) WHERE dossier_id IS NULL",
    "ix_dossier_state_due": "dossier (state, due_date)",
    "ix_dossier_received_at": "dossier (received_at) WHERE received_at IS NOT NULL",
    "ix_dossier_flow_run": "dossier (flow_run_id) WHERE flow_run_id IS NOT NULL",
    "ix_dossier_unit_created": "dossier (unit_id, created_at)",
    "ix_dossier_owner": "dossier (owner_id) WHERE owner_id IS NOT NULL",
    "ix_document_retain_until": "document (retain_until) WHERE retain_until IS NOT NULL",
    "ix_document_code_owner": "document (code_owner) WHERE code_owner IS NOT NULL",
    "ix_incident_open": "incident (code, dossier_id) WHERE closed_at IS NULL",
    "ix_incident_closed": "incident (closed_at) WHERE closed_at IS NOT NULL",
    "ix_outbox_waiting": "outbox (topic, created_at) WHERE delivered_at IS NULL",
    "ix_page_scan": "page (scan_id)",
    "ix_page_unreadable": "page (document_id) WHERE readable = false",
    "ix_signature_role": "signature (role)",
    "ix_archivedobject_damaged": "archivedobject (checked_at) WHERE NOT intact",
    "ix_archivedobject_locked_until": "archivedobject (locked_until)",
}


def upgrade() -> None:
    op.create_table(
        "waiting",
        sa.Column("dossier_id", sa.Uuid(), sa.ForeignKey("dossier.id"), primary_key=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("unit_id", sa.String(35), nullable=False),
        sa.Column("captured_by", sa.String(), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
    )
    op.create_index("ix_waiting_order", "waiting", ["due", "since", "dossier_id"])
    op.create_index("ix_waiting_kind_since", "waiting", ["kind", "since"])
    op.create_index("ix_waiting_flow_run_id", "waiting", ["flow_run_id"])
    for name, where in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {where}")
    # A part of a code is found by its letters in threes, where the server has that extension.
    op.execute(
        """
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
                CREATE EXTENSION IF NOT EXISTS pg_trgm;
                CREATE INDEX ix_dossier_code_part ON dossier USING gin (lower(code) gin_trgm_ops);
            END IF;
        END $$"""
    )


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_dossier_code_part")
    op.execute("DROP EXTENSION IF EXISTS pg_trgm")
    for name in INDEXES:
        op.drop_index(name)
    op.drop_table("waiting")
