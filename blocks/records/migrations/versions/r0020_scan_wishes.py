"""Beside a scan, which stays as it came: how a person wants its pages turned, which part of an image is the paper's.

Revision ID: r0020
Revises: r0019
"""

from __future__ import annotations

from alembic import op

revision = "r0020"
down_revision = "r0019"
branch_labels = None
depends_on = None


COLUMNS = ("turned", "parts")


def upgrade() -> None:
    for name in COLUMNS:
        op.execute(f"ALTER TABLE scan ADD COLUMN {name} jsonb NOT NULL DEFAULT '{{}}'")
        op.execute(f"ALTER TABLE scan ALTER COLUMN {name} DROP DEFAULT")


def downgrade() -> None:
    for name in COLUMNS:
        op.execute(f"ALTER TABLE scan DROP COLUMN {name}")
