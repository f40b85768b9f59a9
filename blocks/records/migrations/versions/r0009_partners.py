"""Partners, their secrets as hashes, their cases and the files that they have uploaded.

Revision ID: r0009
Revises: r0008
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "r0009"
down_revision = "r0008"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
LISTS = ("units", "procedures", "officers", "scopes", "hosts")


def _time(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "partner",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        *(sa.Column(name, JSON, nullable=False) for name in LISTS),
        sa.Column("callback_url", sa.String(), nullable=False),
        sa.Column("open_limit", sa.Integer(), nullable=False),
        sa.Column("minute_limit", sa.Integer(), nullable=False),
        _time("created_at"),
        _time("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "partnersecret",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.String(32), nullable=False),
        sa.Column("hash", sa.String(200), nullable=False),
        sa.Column("tag", sa.String(8), nullable=False),
        _time("created_at"),
        _time("ends_at", nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_partnersecret_partner_id", "partnersecret", ["partner_id"])
    op.create_table(
        "partnercase",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("submission", sa.String(64), nullable=False),
        sa.Column("unit_id", sa.String(35), nullable=False),
        sa.Column("procedure_code", sa.String(32), nullable=False),
        sa.Column("officer", sa.String(64), nullable=False),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("told", JSON, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("partner_id", "reference"),
        sa.UniqueConstraint("submission"),
    )
    op.create_index("ix_partnercase_flow_run_id", "partnercase", ["flow_run_id"])
    op.create_table(
        "partnerfile",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _time("at"),
        sa.ForeignKeyConstraint(["case_id"], ["partnercase.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_id", "part", "name"),
    )


def downgrade() -> None:
    for name in ("partnerfile", "partnercase", "partnersecret", "partner"):
        op.drop_table(name)
