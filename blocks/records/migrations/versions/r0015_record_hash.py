"""A document names the hash of its record: a renewal makes it another one than the signed copy's.

Revision ID: r0015
Revises: r0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0015"
down_revision = "r0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("document", sa.Column("record_sha256", sa.String(), nullable=True))
    op.execute(
        "UPDATE document SET record_sha256 = archivedobject.sha256 FROM archivedobject "
        "WHERE archivedobject.document_id = document.id AND archivedobject.object_key = document.record_key "
        "AND archivedobject.version = document.record_version"
    )


def downgrade() -> None:
    op.drop_column("document", "record_sha256")
