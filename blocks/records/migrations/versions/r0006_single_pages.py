"""Single pages that were scanned again.

Revision ID: r0006
Revises: r0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scan", sa.Column("place", sa.Integer(), nullable=True))
    op.add_column("scan", sa.Column("added", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("scan", "added", server_default=None)


def downgrade() -> None:
    op.drop_column("scan", "added")
    op.drop_column("scan", "place")
