"""PostgreSQL roles: who may enter which database, made by the supervisor as the cluster's superuser at every start.

What a role may do with which table is the product's business: blocks/records/grants.py, after each migration. No role
here is a superuser, may make roles or databases, or owns another's database; PUBLIC may enter none.
"""

from __future__ import annotations

from psycopg import Connection, sql

OWNER = "sohoa_owner"  # of the records: migrations only
APP = "sohoa_app"  # flows and the command line
GATEWAY = "sohoa_gateway"
READER = "sohoa_reader"  # metrics
PREFECT = "sohoa_prefect"  # owner of Prefect's own database
ROLES = (OWNER, APP, GATEWAY, READER, PREFECT)
RECORDS_USERS = (APP, GATEWAY, READER)
_ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


def owner_of(database: str) -> str:
    return PREFECT if database == "prefect" else OWNER


def users_of(database: str) -> tuple[str, ...]:
    """Who may connect besides the owner."""
    return () if database == "prefect" else RECORDS_USERS


def make_roles(connection: Connection, passwords: dict[str, str]) -> bool:
    """Make the roles, or put right what they may and their passwords. True when they are new.

    The server gets verifiers (SCRAM-SHA-256), never a password.
    """
    there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    for role in ROLES:
        if role not in there:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        verifier = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("ALTER ROLE {} {} PASSWORD {}").format(
                sql.Identifier(role), sql.SQL(_ATTRIBUTES), sql.Literal(verifier.decode())
            )
        )
    for database in ("postgres", "template1"):
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    return not there.issuperset(ROLES)


def close_database(connection: Connection, database: str) -> None:
    """Only its owner and its users may enter."""
    name, owner = sql.Identifier(database), sql.Identifier(owner_of(database))
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for user in users_of(database):
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(user)))


# Everything in `public` that isn't its owner's and no extension's; sequences of a column follow their table.
_STRANGERS = """
    SELECT 'TABLE', c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND c.relowner <> %(owner)s::regrole
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'SEQUENCE', c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S' AND c.relowner <> %(owner)s::regrole
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> %(owner)s::regrole
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'TYPE', t.oid::regtype::text FROM pg_type t
    WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd') AND t.typowner <> %(owner)s::regrole
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
"""


def adopt(connection: Connection, database: str) -> int:
    """Give what an earlier version made as superuser to the database's owner. Returns how many objects.

    connection: the superuser's, to that very database.
    """
    owner = owner_of(database)
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for user in users_of(database):
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(user)))
    found = connection.execute(_STRANGERS, {"owner": owner}).fetchall()
    for kind, name in found:  # names as PostgreSQL itself quotes them
        connection.execute(
            sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(name), sql.Identifier(owner))
        )
    return len(found)
