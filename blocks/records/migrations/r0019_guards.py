"""Guards of the first release's schema (versions/r0019_records.py): what the law wants unchanged, the database itself
refuses to change (P14, EXl, P01, CA08).

The texts carry no values: they reach logs (WH04). SQLSTATE P0001.
"""

from __future__ import annotations

from alembic import op

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
# name: (table, when, function); for each row
TRIGGERS = {
    "auditentry_append_only": ("auditentry", "BEFORE UPDATE OR DELETE", "refuse_change"),
    "auditentry_chain": ("auditentry", "BEFORE INSERT", "auditentry_chain"),
    "decision_kept": ("decision", "BEFORE UPDATE OR DELETE", "refuse_change"),
    "source_kept": ("source", "BEFORE UPDATE OR DELETE", "refuse_change"),
    "scan_kept": ("scan", "BEFORE UPDATE", "scan_kept"),
    "scan_not_deleted": ("scan", "BEFORE DELETE", "refuse_change"),
    "fieldvalue_extracted_at": ("fieldvalue", "BEFORE UPDATE", "fieldvalue_extracted_at"),
    "dossier_code_issued": ("dossier", "BEFORE INSERT OR UPDATE OF code", "dossier_code_issued"),
    "custody_written": ("custody", "BEFORE INSERT OR UPDATE", "written_now"),
    "repositoryentry_written": ("repositoryentry", "BEFORE INSERT OR UPDATE", "written_now"),
    "outbox_written": ("outbox", "BEFORE INSERT OR UPDATE", "written_now"),
    "outbox_kept": ("outbox", "BEFORE UPDATE", "outbox_kept"),
    "incident_written": ("incident", "BEFORE INSERT OR UPDATE", "incident_written"),
}
NEVER_EMPTIED = ("auditentry", "decision", "source", "scan")
SEAL = r"^(worker|gateway|disposal)\.[A-Za-z0-9_-]{86}$"
# Where entries had been written before there were seals, the number of the last of them stands in place of 0: the rule
# is the owner's alone to change, and entries of before are not looked at.
SEALED = f"CHECK (seq <= 0 OR seal ~ '{SEAL}') NOT VALID"


def create() -> None:
    for name, body in FUNCTIONS.items():
        # Our own tables only: a temporary one of the same name can't stand in the way. pg_temp is named last, else
        # PostgreSQL looks there first.
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp "
            f"AS $guard${body};$guard$"
        )
    for name, (table, when, function) in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
    for table in NEVER_EMPTIED:
        name, when = f"{table}_never_emptied", "BEFORE TRUNCATE"
        op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(f"ALTER TABLE auditentry ADD CONSTRAINT auditentry_sealed {SEALED}")


def drop() -> None:
    """The functions; triggers and rules go with their tables."""
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}()")
