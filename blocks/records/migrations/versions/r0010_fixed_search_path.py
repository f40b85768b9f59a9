"""Guards look at our own tables only: a temporary table of the same name can't stand in their way.

Revision ID: r0010
Revises: r0009
"""

from __future__ import annotations

from alembic import op

revision = "r0010"
down_revision = "r0009"
branch_labels = None
depends_on = None

GUARDS = ("refuse_change", "auditentry_chain", "fieldvalue_extracted_at", "scan_kept", "dossier_code_issued")


def upgrade() -> None:
    for guard in GUARDS:
        # pg_temp named last: else PostgreSQL looks there first
        op.execute(f"ALTER FUNCTION {guard}() SET search_path = public, pg_temp")


def downgrade() -> None:
    for guard in GUARDS:
        op.execute(f"ALTER FUNCTION {guard}() RESET search_path")
