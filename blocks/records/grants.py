"""Who may do what with which table: decided here for each, granted by the owner after every migration.

A table that isn't named here is open to nobody but its owner. Rows that the law wants unchanged can't be changed or
deleted by any role that a process of the stack has, and none of them may switch a trigger off: that takes the owner,
whose password only the migrations get. The roles themselves are made by whoever runs the server
(infra/local/roles.py; docs/en/administrators.md for one of the office's own).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

APP, GATEWAY, READER = "sohoa_app", "sohoa_gateway", "sohoa_reader"

READ = "SELECT"
APPEND = "SELECT, INSERT"
KEEP = "SELECT, INSERT, UPDATE"
FREE = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True)
class Rights:
    """SQL privileges of a table. app: flows, command line; gateway: the desk; reader: metrics."""

    app: str
    gateway: str = READ
    reader: str = ""


TABLES = {
    # As written, for ever (P14): not even the app changes them.
    "auditentry": Rights(
        APPEND, APPEND, "SELECT (seq, dossier_id, document_id, action, source_state, target_state, at, details)"
    ),
    "decision": Rights(APPEND),
    "signature": Rights(APPEND, READ, "SELECT (role)"),
    "source": Rights(APPEND, APPEND, "SELECT (submission)"),
    "custody": Rights(APPEND),
    "repositoryentry": Rights(f"{APPEND}, DELETE"),  # deleted with its record (LU06)
    # Who decides is the desk's to write; who carries out may only note that it is done.
    "disposal": Rights(f"{READ}, UPDATE (destroyed_at, destroyed_by, objects, certificate_key)", FREE),
    "droppedhandin": Rights(APPEND),
    # Kept; only what is found out later is added.
    "scan": Rights(f"{APPEND}, UPDATE (refused_code, media_type)"),
    "page": Rights(
        f"{APPEND}, UPDATE (text_key, text_version, text_sha256, readable, engine)", READ, "SELECT (readable)"
    ),
    "archivedobject": Rights(
        f"{APPEND}, UPDATE (version, locked_until, renew_before, checked_at, intact)",
        READ,
        "SELECT (intact, checked_at, renew_before)",
    ),
    "resultnumber": Rights(f"{APPEND}, UPDATE (document_id)"),
    "incident": Rights(
        f"{APPEND}, UPDATE (closed_at, closed_by, reason, details)",
        f"{APPEND}, UPDATE (closed_at, closed_by, reason, details)",
        "SELECT (code, closed_at)",
    ),
    "catalogueentry": Rights(f"{APPEND}, UPDATE (valid_to, source, body)"),
    # In work.
    "dossier": Rights(KEEP, READ, "SELECT (id, submission, state, received_at, created_at, due_date)"),
    "document": Rights(KEEP, READ, "SELECT (state)"),
    "dossiersequence": Rights(KEEP),
    "resultsequence": Rights(KEEP),
    "fieldvalue": Rights(FREE),
    "signingrequest": Rights(FREE),
    "workclaim": Rights(FREE, FREE),
    "donestep": Rights(FREE, ""),
    "waiting": Rights(FREE, READ, "SELECT (kind, since)"),
    "sealedpin": Rights(FREE, FREE),
    # Partners and their secrets are made on the command line; the gateway asks who they are and keeps their cases.
    "partner": Rights(FREE, f"{READ}, UPDATE (callback_url)"),
    "partnersecret": Rights(FREE),
    "partnercase": Rights(FREE, KEEP, "SELECT (submission, flow_run_id, ended_at)"),
    "partnerfile": Rights(FREE, FREE),
    # Who is who, and whose session goes on, is the gateway's alone (and of `sohoa officer`, `sohoa sessions`).
    "officeridentity": Rights("", f"{APPEND}, DELETE"),
    "signedin": Rights("", FREE),
    "usedtoken": Rights("", FREE),
    "outbox": Rights(FREE, READ, "SELECT (topic, tries, created_at, delivered_at)"),
    "records_version": Rights(READ, READ, READ),
}


def apply(connection: Connection) -> None:
    """Take everything from everybody, then grant what stands above. By the owner, in the migration's transaction.

    Roles that the server doesn't have are left out: a developer's server may have the owner alone.
    """
    roles = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
    here = set(connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars())
    connection.execute(text("REVOKE ALL ON ALL ROUTINES IN SCHEMA public FROM PUBLIC"))
    for role in ("PUBLIC", *({APP, GATEWAY, READER} & roles)):
        for kind in ("TABLES", "SEQUENCES"):
            connection.execute(text(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {role}"))
    for table, rights in TABLES.items():
        for role, granted in ((APP, rights.app), (GATEWAY, rights.gateway), (READER, rights.reader)):
            if granted and role in roles and table in here:
                connection.execute(text(f"GRANT {granted} ON {table} TO {role}"))


def undecided(connection: Connection) -> set[str]:
    """Tables of the database that nobody has decided about."""
    here = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
    return set(here) - TABLES.keys()
