"""The records name the version of each object beside its hash, and the hash of each page's text.

Rows of earlier releases have no version: their objects are found by the hash.

Revision ID: r0014
Revises: r0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0014"
down_revision = "r0013"
branch_labels = None
depends_on = None

COLUMNS = {
    "document": ("file_version", "manifest_version"),
    "scan": ("version",),
    "page": ("text_version", "text_sha256"),
    "signature": ("version",),
    "signingrequest": ("prepared_version",),
}


def upgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.String(), nullable=False, server_default=""))
            op.alter_column(table, name, server_default=None)


def downgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
