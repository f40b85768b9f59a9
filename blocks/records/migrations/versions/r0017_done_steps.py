"""Finished steps of runs: a run that goes on reads them instead of files of Prefect.

Revision ID: r0017
Revises: r0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "r0017"
down_revision = "r0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "donestep",
        sa.Column("flow_run_id", sa.Uuid(), primary_key=True),
        sa.Column("step", sa.String(), primary_key=True),
        sa.Column("result", JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seal", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("donestep")
