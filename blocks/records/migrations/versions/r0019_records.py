"""The schema of the first release: tables, guards, indexes.

Takes the place of r0001 to r0019 and keeps the last one's id: a database that stands there is at this schema already,
one that stands before is refused (blocks/records/migrate.py). Columns stand in the order in which those databases
have them. Rights are granted after each migration (blocks/records/grants.py).

Revision ID: r0019
Revises: nothing
"""

from __future__ import annotations

from alembic import op

from blocks.records.migrations import r0019_guards

revision = "r0019"
down_revision = None
branch_labels = None
depends_on = None

# In the order in which they refer to each other.
TABLES = {
    # A dossier and the work on it
    "dossier": """
        id uuid PRIMARY KEY, submission varchar(64) NOT NULL UNIQUE, code varchar(64) UNIQUE,
        unit_id varchar(35) NOT NULL, revision integer NOT NULL, procedure_code varchar(32) NOT NULL,
        procedure_valid_from date, state varchar(32) NOT NULL, owner_kind varchar(32) NOT NULL, owner_id varchar,
        owner_name varchar NOT NULL, owner_birth_date date, owner_founding_year integer,
        digital_account varchar NOT NULL, originals_declared integer NOT NULL, captured_by varchar NOT NULL,
        transitional boolean NOT NULL, flow_run_id uuid, return_reason varchar, public_department varchar NOT NULL,
        received_at timestamptz, due_date date, result_at timestamptz, created_at timestamptz NOT NULL,
        copies_dropped_at timestamptz""",
    "dossiersequence": """
        unit_id varchar NOT NULL, day date NOT NULL, last integer NOT NULL, PRIMARY KEY (unit_id, day)""",
    "source": """
        id uuid PRIMARY KEY, submission varchar(64) NOT NULL, part varchar(64) NOT NULL, kind varchar(16) NOT NULL,
        source varchar(128) NOT NULL, officer varchar(64) NOT NULL, files jsonb NOT NULL, proof varchar NOT NULL,
        at timestamptz NOT NULL, UNIQUE (submission, part)""",
    "droppedhandin": """
        submission varchar(64) PRIMARY KEY, at timestamptz NOT NULL""",
    "decision": """
        id uuid PRIMARY KEY, dossier_id uuid NOT NULL REFERENCES dossier, stage varchar(64) NOT NULL,
        decision varchar(32) NOT NULL, reason varchar, officer varchar NOT NULL, role varchar NOT NULL,
        payload jsonb NOT NULL, decided_at timestamptz NOT NULL, shown jsonb, UNIQUE (dossier_id, stage)""",
    "custody": """
        id uuid PRIMARY KEY, dossier_id uuid NOT NULL REFERENCES dossier, place varchar NOT NULL,
        handed_by varchar NOT NULL, received_by varchar NOT NULL, at timestamptz NOT NULL, written_at timestamptz""",
    "waiting": """
        dossier_id uuid PRIMARY KEY REFERENCES dossier, flow_run_id uuid NOT NULL, stage varchar(64) NOT NULL,
        kind varchar(32) NOT NULL, unit_id varchar(35) NOT NULL, captured_by varchar NOT NULL, due date NOT NULL,
        since timestamptz NOT NULL, escalated_at timestamptz, tries integer NOT NULL""",
    "workclaim": """
        dossier_id uuid PRIMARY KEY REFERENCES dossier, officer varchar(64) NOT NULL, at timestamptz NOT NULL""",
    "sealedpin": """
        id uuid PRIMARY KEY, dossier_id uuid NOT NULL REFERENCES dossier, stage varchar(64) NOT NULL,
        officer varchar(64) NOT NULL, box varchar NOT NULL, expires_at timestamptz NOT NULL,
        UNIQUE (dossier_id, stage)""",
    "donestep": """
        flow_run_id uuid NOT NULL, step varchar NOT NULL, result jsonb NOT NULL, at timestamptz NOT NULL,
        seal varchar(128) NOT NULL, PRIMARY KEY (flow_run_id, step)""",
    # Its papers
    "document": """
        id uuid PRIMARY KEY, dossier_id uuid NOT NULL REFERENCES dossier, ordinal integer NOT NULL,
        type_code varchar(64) NOT NULL, form varchar(32) NOT NULL, state varchar(32) NOT NULL,
        declared_pages integer NOT NULL, note_pages jsonb NOT NULL, scan_dpi integer NOT NULL,
        is_prior_result boolean NOT NULL, requested_by_owner boolean NOT NULL, show_only boolean NOT NULL,
        secret boolean NOT NULL, fragile boolean NOT NULL, important boolean NOT NULL, shared_as_data varchar,
        scope_rule varchar, in_scope boolean, attempt integer NOT NULL, page_count integer, file_key varchar,
        file_sha256 varchar, record_key varchar, record_version varchar, manifest_key varchar, manifest_sha256 varchar,
        retain_until timestamptz, retention_class varchar, code varchar, code_owner varchar, code_procedure varchar,
        code_type varchar, code_number varchar, owner_id_source varchar, legally_valid boolean NOT NULL,
        electronic_original varchar(16), declared_at timestamptz, captured_at timestamptz,
        captured_at_source varchar(16) NOT NULL, file_version varchar NOT NULL, manifest_version varchar NOT NULL,
        record_sha256 varchar, UNIQUE (dossier_id, ordinal)""",
    "scan": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, attempt integer NOT NULL,
        ordinal integer NOT NULL, sequence integer NOT NULL, object_key varchar NOT NULL, sha256 varchar(64) NOT NULL,
        size bigint NOT NULL, media_type varchar NOT NULL, refused_code varchar, place integer, added boolean NOT NULL,
        version varchar NOT NULL, UNIQUE (document_id, attempt, ordinal)""",
    "page": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, scan_id uuid NOT NULL REFERENCES scan,
        attempt integer NOT NULL, number integer NOT NULL, paper_page integer NOT NULL, with_note boolean NOT NULL,
        width integer NOT NULL, height integer NOT NULL, dpi integer NOT NULL, image_sha256 varchar(64) NOT NULL,
        quality jsonb NOT NULL, text_key varchar, readable boolean, engine varchar, text_version varchar NOT NULL,
        text_sha256 varchar NOT NULL, UNIQUE (document_id, attempt, number)""",
    "fieldvalue": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, name varchar(64) NOT NULL, printed varchar,
        value varchar, confidence float8 NOT NULL, page integer, box jsonb, rule varchar NOT NULL,
        source varchar(32) NOT NULL, engine varchar NOT NULL, extracted_value varchar, correction_reason varchar,
        attested_absent boolean NOT NULL, confirmed_by varchar, confirmed_at timestamptz,
        extracted_at timestamptz NOT NULL, UNIQUE (document_id, name)""",
    "signature": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, role varchar(32) NOT NULL,
        attempt integer NOT NULL, level varchar NOT NULL, signer varchar NOT NULL, serial varchar NOT NULL,
        test boolean NOT NULL, signed_at timestamptz NOT NULL, object_key varchar NOT NULL, sha256 varchar(64) NOT NULL,
        valid boolean NOT NULL, verdict jsonb NOT NULL, version varchar NOT NULL,
        UNIQUE (document_id, role, attempt)""",
    "signingrequest": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, role varchar(32) NOT NULL,
        attempt integer NOT NULL, digest varchar(64) NOT NULL UNIQUE, prepared_key varchar NOT NULL,
        prepared_sha256 varchar(64) NOT NULL, state jsonb NOT NULL, asked_at timestamptz NOT NULL, signature varchar,
        signed_at timestamptz, prepared_version varchar NOT NULL, UNIQUE (document_id, role, attempt)""",
    # What is kept and issued
    "archivedobject": """
        id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES document, attempt integer NOT NULL,
        kind varchar(32) NOT NULL, number integer NOT NULL, object_key varchar NOT NULL, version varchar NOT NULL,
        sha256 varchar(64) NOT NULL, size bigint NOT NULL, stored_at timestamptz NOT NULL,
        locked_until timestamptz NOT NULL, renew_before timestamptz, checked_at timestamptz NOT NULL,
        intact boolean NOT NULL, UNIQUE (document_id, attempt, kind, number)""",
    "repositoryentry": """
        id uuid PRIMARY KEY, owner_id varchar NOT NULL, document_id uuid NOT NULL UNIQUE REFERENCES document,
        shown_at timestamptz NOT NULL, written_at timestamptz""",
    "disposal": """
        document_id uuid PRIMARY KEY REFERENCES document, dossier_id uuid NOT NULL REFERENCES dossier,
        unit_id varchar(35) NOT NULL, retention_class varchar NOT NULL, retain_until timestamptz NOT NULL,
        proposed_by varchar(64) NOT NULL, proposed_at timestamptz NOT NULL, reason varchar NOT NULL,
        confirmed_by varchar(64) NOT NULL, confirmed_at timestamptz, confirmation varchar NOT NULL,
        destroyed_at timestamptz, destroyed_by varchar(64) NOT NULL, objects jsonb NOT NULL,
        certificate_key varchar NOT NULL,
        CONSTRAINT disposal_two_persons CHECK (confirmed_by <> proposed_by),
        CONSTRAINT disposal_confirmed_first CHECK (destroyed_at IS NULL OR confirmed_at IS NOT NULL)""",
    "resultnumber": """
        id uuid PRIMARY KEY, unit_id varchar(35) NOT NULL, year integer NOT NULL, symbol varchar(32) NOT NULL,
        number integer NOT NULL, dossier_id uuid NOT NULL REFERENCES dossier, issued_at timestamptz NOT NULL,
        result_code varchar(64) NOT NULL, document_id uuid REFERENCES document, UNIQUE (dossier_id, result_code),
        UNIQUE (unit_id, year, symbol, number)""",
    "resultsequence": """
        unit_id varchar(35) NOT NULL, year integer NOT NULL, symbol varchar(32) NOT NULL, last integer NOT NULL,
        PRIMARY KEY (unit_id, year, symbol)""",
    # Trail, incidents, messages, catalogue
    "auditentry": """
        seq bigserial PRIMARY KEY, dossier_id uuid, document_id uuid, actor varchar NOT NULL, action varchar NOT NULL,
        rule varchar NOT NULL, source_state varchar, target_state varchar, details jsonb NOT NULL,
        at timestamptz NOT NULL, previous_hash varchar NOT NULL, hash varchar NOT NULL,
        seal varchar NOT NULL DEFAULT ''""",
    "incident": """
        id uuid PRIMARY KEY, dossier_id uuid REFERENCES dossier, document_id uuid REFERENCES document,
        code varchar NOT NULL, rule varchar NOT NULL, details jsonb NOT NULL, at timestamptz NOT NULL,
        closed_at timestamptz, closed_by varchar NOT NULL, reason varchar NOT NULL, written_at timestamptz""",
    "outbox": """
        id uuid PRIMARY KEY, topic varchar NOT NULL, dedup_key varchar NOT NULL, payload jsonb NOT NULL,
        created_at timestamptz NOT NULL, delivered_at timestamptz, tries integer NOT NULL, written_at timestamptz,
        UNIQUE (topic, dedup_key)""",
    "catalogueentry": """
        id uuid PRIMARY KEY, kind varchar NOT NULL, code varchar NOT NULL, valid_from date NOT NULL, valid_to date,
        source varchar NOT NULL, body jsonb NOT NULL, UNIQUE (kind, code, valid_from)""",
    # Partners and sessions
    "partner": """
        id varchar(32) PRIMARY KEY, name varchar(200) NOT NULL, units jsonb NOT NULL, procedures jsonb NOT NULL,
        officers jsonb NOT NULL, scopes jsonb NOT NULL, hosts jsonb NOT NULL, callback_url varchar NOT NULL,
        open_limit integer NOT NULL, minute_limit integer NOT NULL, created_at timestamptz NOT NULL,
        revoked_at timestamptz""",
    "partnersecret": """
        id uuid PRIMARY KEY, partner_id varchar(32) NOT NULL REFERENCES partner, hash varchar(200) NOT NULL,
        tag varchar(8) NOT NULL, created_at timestamptz NOT NULL, ends_at timestamptz""",
    "partnercase": """
        id uuid PRIMARY KEY, partner_id varchar(32) NOT NULL REFERENCES partner, reference varchar(64) NOT NULL,
        submission varchar(64) NOT NULL UNIQUE, unit_id varchar(35) NOT NULL, procedure_code varchar(32) NOT NULL,
        officer varchar(64) NOT NULL, created_at timestamptz NOT NULL, started_at timestamptz, ended_at timestamptz,
        flow_run_id uuid, told jsonb NOT NULL, events integer NOT NULL, UNIQUE (partner_id, reference)""",
    "partnerfile": """
        id uuid PRIMARY KEY, case_id uuid NOT NULL REFERENCES partnercase, part varchar(64) NOT NULL,
        name varchar(128) NOT NULL, sha256 varchar(64) NOT NULL, size bigint NOT NULL, at timestamptz NOT NULL,
        UNIQUE (case_id, part, name)""",
    "officeridentity": """
        issuer varchar NOT NULL, sub varchar NOT NULL, officer varchar NOT NULL, bound_by varchar NOT NULL,
        bound_at timestamptz NOT NULL, UNIQUE (issuer, officer), PRIMARY KEY (issuer, sub)""",
    "signedin": """
        id uuid PRIMARY KEY, officer varchar NOT NULL, began_at timestamptz NOT NULL, seen_at timestamptz NOT NULL,
        ended_at timestamptz, ended_by varchar NOT NULL, reason varchar NOT NULL""",
    "usedtoken": """
        issuer varchar NOT NULL, jti varchar NOT NULL, until timestamptz NOT NULL, PRIMARY KEY (issuer, jti)""",
}
# One for each question of blocks/records/indexes.py, for references, and for rows by the time they were written:
# they come in its order, so a few bytes for each thousand do (BRIN).
INDEXES = {
    "ix_dossier_copies": "dossier (result_at) WHERE state = 'LUU_TRU' AND copies_dropped_at IS NULL",
    "ix_dossier_flow_run": "dossier (flow_run_id) WHERE flow_run_id IS NOT NULL",
    "ix_dossier_owner": "dossier (owner_id) WHERE owner_id IS NOT NULL",
    "ix_dossier_received_at": "dossier (received_at) WHERE received_at IS NOT NULL",
    "ix_dossier_state": "dossier (state)",
    "ix_dossier_state_due": "dossier (state, due_date)",
    "ix_dossier_unit_created": "dossier (unit_id, created_at)",
    "ix_dossier_unit_id": "dossier (unit_id)",
    "ix_decision_dossier_id": "decision (dossier_id)",
    "ix_custody_dossier_id": "custody (dossier_id)",
    "ix_custody_written_at": "custody USING brin (written_at)",
    "ix_waiting_flow_run_id": "waiting (flow_run_id)",
    "ix_waiting_kind_since": "waiting (kind, since)",
    "ix_waiting_order": "waiting (due, since, dossier_id)",
    "ix_sealedpin_expires_at": "sealedpin (expires_at)",
    "ix_document_code": "document (code)",
    "ix_document_code_owner": "document (code_owner) WHERE code_owner IS NOT NULL",
    "ix_document_dossier_id": "document (dossier_id)",
    "ix_document_retain_until": "document (retain_until) WHERE retain_until IS NOT NULL",
    "ix_document_state": "document (state)",
    "ix_scan_document_id": "scan (document_id)",
    "ix_page_document_id": "page (document_id)",
    "ix_page_scan": "page (scan_id)",
    "ix_page_unreadable": "page (document_id) WHERE readable = false",
    "ix_fieldvalue_document_id": "fieldvalue (document_id)",
    "ix_signature_document_id": "signature (document_id)",
    "ix_signature_role": "signature (role)",
    "ix_signingrequest_document_id": "signingrequest (document_id)",
    "ix_archivedobject_checked_at": "archivedobject (checked_at)",
    "ix_archivedobject_damaged": "archivedobject (checked_at) WHERE NOT intact",
    "ix_archivedobject_document_id": "archivedobject (document_id)",
    "ix_archivedobject_locked_until": "archivedobject (locked_until)",
    "ix_archivedobject_renew_before": "archivedobject (renew_before)",
    "ix_repositoryentry_owner_id": "repositoryentry (owner_id)",
    "ix_repositoryentry_written_at": "repositoryentry USING brin (written_at)",
    "ix_disposal_dossier_id": "disposal (dossier_id)",
    "ix_disposal_unit_id": "disposal (unit_id)",
    "ix_resultnumber_document": "resultnumber (document_id) WHERE document_id IS NOT NULL",
    "ix_auditentry_action": "auditentry (action, seq)",
    "ix_auditentry_actor": "auditentry (actor, seq)",
    "ix_auditentry_at": "auditentry (at)",
    "ix_auditentry_document_action": "auditentry (document_id, action, seq) WHERE document_id IS NOT NULL",
    "ix_auditentry_dossier_seq": "auditentry (dossier_id, seq)",
    "ix_auditentry_no_dossier": "auditentry (seq) WHERE dossier_id IS NULL",
    "ix_incident_closed": "incident (closed_at) WHERE closed_at IS NOT NULL",
    "ix_incident_dossier_id": "incident (dossier_id)",
    "ix_incident_open": "incident (code, dossier_id) WHERE closed_at IS NULL",
    "ix_incident_written_at": "incident USING brin (written_at)",
    "ix_outbox_waiting": "outbox (topic, created_at) WHERE delivered_at IS NULL",
    "ix_outbox_written_at": "outbox USING brin (written_at)",
    "ix_partnersecret_partner_id": "partnersecret (partner_id)",
    "ix_partnercase_flow_run_id": "partnercase (flow_run_id)",
    "ix_signedin_officer": "signedin (officer)",
}
# A part of a code is found by its letters in threes, where the server has that extension.
CODE_PARTS = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
            CREATE EXTENSION IF NOT EXISTS pg_trgm;
            CREATE INDEX ix_dossier_code_part ON dossier USING gin (lower(code) gin_trgm_ops);
        END IF;
    END $$"""


def upgrade() -> None:
    for name, columns in TABLES.items():
        op.execute(f"CREATE TABLE {name} ({columns})")
    r0019_guards.create()
    for name, on in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {on}")
    op.execute(CODE_PARTS)


def downgrade() -> None:
    op.execute(f"DROP TABLE {', '.join(TABLES)}")
    r0019_guards.drop()
    op.execute("DROP EXTENSION IF EXISTS pg_trgm")
