"""What an officer saw when deciding, by hashes.

Revision ID: r0011
Revises: r0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "r0011"
down_revision = "r0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decision", sa.Column("shown", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("decision", "shown")
