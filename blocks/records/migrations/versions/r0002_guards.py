"""Guards: rows that the law wants unchanged are refused by the database itself (P14, EXl, P01)."""

from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

# The texts carry no values: they reach logs (WH04). SQLSTATE P0001.
FUNCTIONS = {
    "refuse_change": """
        BEGIN
            RAISE EXCEPTION '% of % refused: these rows are kept as written', TG_OP, TG_TABLE_NAME;
        END""",
    # One chain, without forks, whoever writes: the lock is the one of blocks/records/audit.py (0x50A0A002).
    "auditentry_chain": """
        DECLARE
            head auditentry%ROWTYPE;
        BEGIN
            PERFORM pg_advisory_xact_lock(1352704002);
            SELECT * INTO head FROM auditentry ORDER BY seq DESC LIMIT 1;
            IF NEW.seq <> coalesce(head.seq, 0) + 1 OR NEW.previous_hash <> coalesce(head.hash, repeat('0', 64))
               OR NEW.hash !~ '^[0-9a-f]{64}$' THEN
                RAISE EXCEPTION 'audit entry does not continue the chain';
            END IF;
            RETURN NEW;
        END""",
    "fieldvalue_extracted_at": """
        BEGIN
            IF NEW.extracted_at IS DISTINCT FROM OLD.extracted_at THEN
                RAISE EXCEPTION 'time of extraction is set once (EXl)';
            END IF;
            RETURN NEW;
        END""",
    # What the scanner gave stays as it came; only why it was refused, and its type once, are found out later.
    "scan_kept": """
        DECLARE
            before scan%ROWTYPE := OLD;
        BEGIN
            before.refused_code := NEW.refused_code;
            IF before.media_type = '' THEN
                before.media_type := NEW.media_type;
            END IF;
            IF NEW IS DISTINCT FROM before THEN
                RAISE EXCEPTION 'scans are kept as they came (CA08)';
            END IF;
            RETURN NEW;
        END""",
    # A code must have been counted out by the system for this unit, and is never changed (P01).
    "dossier_code_issued": r"""
        DECLARE
            tail text := substr(NEW.code, length(NEW.unit_id) + 1);
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.code IS NOT NULL AND NEW.code IS DISTINCT FROM OLD.code THEN
                RAISE EXCEPTION 'dossier code is never changed (P01)';
            END IF;
            IF NEW.code IS NULL OR (TG_OP = 'UPDATE' AND NEW.code IS NOT DISTINCT FROM OLD.code) THEN
                RETURN NEW;
            END IF;
            IF NOT starts_with(NEW.code, NEW.unit_id) OR tail !~ '^-\d{6}-\d{4}$' OR NOT EXISTS (
                SELECT 1 FROM dossiersequence
                WHERE unit_id = NEW.unit_id AND to_char(day, 'YYMMDD') = substr(tail, 2, 6)
                AND last >= substr(tail, 9, 4)::int AND substr(tail, 9, 4)::int > 0
            ) THEN
                RAISE EXCEPTION 'dossier code was not issued by the system (P01)';
            END IF;
            RETURN NEW;
        END""",
}
# name: (table, when, level, function)
TRIGGERS = {
    "auditentry_append_only": ("auditentry", "BEFORE UPDATE OR DELETE", "ROW", "refuse_change"),
    "auditentry_never_emptied": ("auditentry", "BEFORE TRUNCATE", "STATEMENT", "refuse_change"),
    "auditentry_chain": ("auditentry", "BEFORE INSERT", "ROW", "auditentry_chain"),
    "decision_kept": ("decision", "BEFORE UPDATE OR DELETE", "ROW", "refuse_change"),
    "decision_never_emptied": ("decision", "BEFORE TRUNCATE", "STATEMENT", "refuse_change"),
    "fieldvalue_extracted_at": ("fieldvalue", "BEFORE UPDATE", "ROW", "fieldvalue_extracted_at"),
    "scan_kept": ("scan", "BEFORE UPDATE", "ROW", "scan_kept"),
    "scan_not_deleted": ("scan", "BEFORE DELETE", "ROW", "refuse_change"),
    "scan_never_emptied": ("scan", "BEFORE TRUNCATE", "STATEMENT", "refuse_change"),
    "dossier_code_issued": ("dossier", "BEFORE INSERT OR UPDATE OF code", "ROW", "dossier_code_issued"),
}


def upgrade() -> None:
    for name, body in FUNCTIONS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard${body};$guard$")
    for name, (table, when, level, function) in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}()")


def downgrade() -> None:
    for name, (table, *_) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}()")
