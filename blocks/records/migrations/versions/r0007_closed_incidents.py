"""Who closed an incident, and why.

Revision ID: r0007
Revises: r0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("closed_by", "reason"):
        op.add_column("incident", sa.Column(name, sa.String(), nullable=False, server_default=""))
        op.alter_column("incident", name, server_default=None)


def downgrade() -> None:
    for name in ("reason", "closed_by"):
        op.drop_column("incident", name)
