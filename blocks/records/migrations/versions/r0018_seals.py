"""Entries of the trail are sealed by the part that writes them, and rows that they name tell when they were written.

Revision ID: r0018
Revises: r0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0018"
down_revision = "r0017"
branch_labels = None
depends_on = None

NAMED = ("custody", "repositoryentry", "outbox", "incident")
FUNCTIONS = {
    # Whatever the writer says: the database's clock. A later change leaves it.
    "written_now": """
        BEGIN
            IF TG_OP = 'INSERT' THEN
                NEW.written_at := clock_timestamp();
            ELSE
                NEW.written_at := OLD.written_at;
            END IF;
            RETURN NEW;
        END""",
    # A closing is written when the incident is closed.
    "incident_written": """
        BEGIN
            IF TG_OP = 'INSERT' OR (NEW.closed_at, NEW.closed_by, NEW.reason) IS DISTINCT FROM
               (OLD.closed_at, OLD.closed_by, OLD.reason) THEN
                NEW.written_at := clock_timestamp();
            ELSE
                NEW.written_at := OLD.written_at;
            END IF;
            RETURN NEW;
        END""",
    "outbox_kept": """
        BEGIN
            IF (NEW.id, NEW.topic, NEW.dedup_key, NEW.payload) IS DISTINCT FROM
               (OLD.id, OLD.topic, OLD.dedup_key, OLD.payload) THEN
                RAISE EXCEPTION 'messages are kept as written';
            END IF;
            RETURN NEW;
        END""",
}
# name: (table, when, function)
TRIGGERS = {
    **{f"{table}_written": (table, "BEFORE INSERT OR UPDATE", "written_now") for table in NAMED[:3]},
    "incident_written": ("incident", "BEFORE INSERT OR UPDATE", "incident_written"),
    "outbox_kept": ("outbox", "BEFORE UPDATE", "outbox_kept"),
}
SEAL = r"^(worker|gateway|disposal)\.[A-Za-z0-9_-]{86}$"


def upgrade() -> None:
    op.add_column("auditentry", sa.Column("seal", sa.String(), nullable=False, server_default=""))
    # The number of the last entry without a seal stands in the rule, which the owner alone may change. No entry of
    # before is looked at: that would take hours.
    last = op.get_bind().execute(sa.text("SELECT coalesce(max(seq), 0) FROM auditentry")).scalar_one()
    rule = f"CHECK (seq <= {int(last)} OR seal ~ '{SEAL}') NOT VALID"
    op.execute(f"ALTER TABLE auditentry ADD CONSTRAINT auditentry_sealed {rule}")
    for table in NAMED:
        op.add_column(table, sa.Column("written_at", sa.DateTime(timezone=True), nullable=True))
        op.create_index(f"ix_{table}_written_at", table, ["written_at"], postgresql_using="brin")
    for name, body in FUNCTIONS.items():
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp "
            f"AS $guard${body};$guard$"
        )
    for name, (table, when, function) in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")


def downgrade() -> None:
    for name, (table, *_) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}()")
    for table in NAMED:
        op.drop_column(table, "written_at")
    op.drop_constraint("auditentry_sealed", "auditentry", type_="check")
    op.drop_column("auditentry", "seal")
