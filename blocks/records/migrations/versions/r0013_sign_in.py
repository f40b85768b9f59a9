"""Accounts at the identity provider bound to officers; sessions and how they ended; tokens that work once.

Revision ID: r0013
Revises: r0012
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0013"
down_revision = "r0012"
branch_labels = None
depends_on = None


def _at(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "officeridentity",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("sub", sa.String(), nullable=False),
        sa.Column("officer", sa.String(), nullable=False),
        sa.Column("bound_by", sa.String(), nullable=False),
        _at("bound_at"),
        sa.PrimaryKeyConstraint("issuer", "sub"),
        sa.UniqueConstraint("issuer", "officer"),
    )
    op.create_table(
        "signedin",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("officer", sa.String(), nullable=False),
        _at("began_at"),
        _at("seen_at"),
        _at("ended_at", nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_signedin_officer", "signedin", ["officer"])
    op.create_table(
        "usedtoken",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        _at("until"),
        sa.PrimaryKeyConstraint("issuer", "jti"),
    )


def downgrade() -> None:
    for name in ("usedtoken", "signedin", "officeridentity"):
        op.drop_table(name)
