"""The number of an issued result is found by its document, however many were issued.

Revision ID: r0019
Revises: r0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0019"
down_revision = "r0018"
branch_labels = None
depends_on = None

INDEX = "ix_resultnumber_document"


def upgrade() -> None:
    issued = sa.text("document_id IS NOT NULL")
    op.create_index(INDEX, "resultnumber", ["document_id"], postgresql_where=issued)


def downgrade() -> None:
    op.drop_index(INDEX)
