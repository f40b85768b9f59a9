"""Where a hand-in came from; PINs typed at a pause; when and how the time of capture is known.

Dossiers that were registered before have no source: they were taken by the rules of their time and go on, since their
registration is not repeated.

Revision ID: r0008
Revises: r0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("submission", sa.String(64), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("officer", sa.String(64), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("submission", "part"),
    )
    # Kept as written, like decisions.
    op.execute(
        "CREATE TRIGGER source_kept BEFORE UPDATE OR DELETE ON source FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER source_never_emptied BEFORE TRUNCATE ON source "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "sealedpin",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dossier_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("officer", sa.String(64), nullable=False),
        sa.Column("box", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dossier_id"], ["dossier.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dossier_id", "stage"),
    )
    op.create_index("ix_sealedpin_expires_at", "sealedpin", ["expires_at"])
    op.add_column("document", sa.Column("declared_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("document", sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("document", sa.Column("captured_at_source", sa.String(16), nullable=False, server_default=""))
    op.alter_column("document", "captured_at_source", server_default=None)


def downgrade() -> None:
    for name in ("captured_at_source", "captured_at", "declared_at"):
        op.drop_column("document", name)
    op.drop_table("sealedpin")
    op.drop_table("source")
