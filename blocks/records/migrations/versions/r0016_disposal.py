"""Copies that were dropped; the disposal of records after their retention.

Revision ID: r0016
Revises: r0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "r0016"
down_revision = "r0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dossier", sa.Column("copies_dropped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "droppedhandin",
        sa.Column("submission", sa.String(64), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute(
        "CREATE INDEX ix_dossier_copies ON dossier (result_at) WHERE state = 'LUU_TRU' AND copies_dropped_at IS NULL"
    )
    op.create_table(
        "disposal",
        sa.Column("document_id", sa.Uuid(), sa.ForeignKey("document.id"), primary_key=True),
        sa.Column("dossier_id", sa.Uuid(), sa.ForeignKey("dossier.id"), nullable=False),
        sa.Column("unit_id", sa.String(35), nullable=False),
        sa.Column("retention_class", sa.String(), nullable=False),
        sa.Column("retain_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", sa.String(64), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(64), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmation", sa.String(), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("destroyed_by", sa.String(64), nullable=False),
        sa.Column("objects", JSONB(), nullable=False),
        sa.Column("certificate_key", sa.String(), nullable=False),
        sa.CheckConstraint("confirmed_by <> proposed_by", name="disposal_two_persons"),
        sa.CheckConstraint("destroyed_at IS NULL OR confirmed_at IS NOT NULL", name="disposal_confirmed_first"),
    )
    op.create_index("ix_disposal_dossier_id", "disposal", ["dossier_id"])
    op.create_index("ix_disposal_unit_id", "disposal", ["unit_id"])


def downgrade() -> None:
    op.drop_table("disposal")
    op.drop_index("ix_dossier_copies")
    op.drop_table("droppedhandin")
    op.drop_column("dossier", "copies_dropped_at")
