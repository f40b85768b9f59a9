"""Attacks in SQL: what whoever holds one part's address of the database can't do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import record_decision
from infra.local import roles
from infra.local.postgres import Postgres
from tests.attack.plugin import Attack
from tests.blocks.records.conftest import new_dossier

FORGED = "INSERT INTO decision (id, dossier_id, stage, decision, officer, role, payload, decided_at) SELECT "
EVERYBODY = (roles.APP, roles.GATEWAY, roles.READER)


@pytest.fixture
def filled(records: RecordsDatabase) -> RecordsDatabase:
    """A trail of some entries and a decision."""
    dossier = new_dossier(records)
    with records.session() as session:
        for _ in range(3):
            audit(session, actor="gq.01", action="view")
        record_decision(session, dossier, "signoff-1", decision="TRA_LAI", officer="ld.01", reason="Thiếu")
    return records


@pytest.fixture
def told(filled: RecordsDatabase) -> Callable[[], Any]:
    """Trail and decisions as they stand, guards included."""

    def look() -> Any:
        with RecordsDatabase(url_env="SOHOA_DATABASE_OWNER_URL").session() as session:
            connection = session.connection()
            return (
                connection.execute(text("SELECT md5(string_agg(a::text, '' ORDER BY seq)) FROM auditentry a")).scalar(),
                connection.execute(text("SELECT md5(string_agg(d::text, '' ORDER BY id)) FROM decision d")).scalar(),
                connection.execute(text("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'")).scalar(),
                connection.execute(text("SELECT count(*) FROM pg_roles WHERE rolsuper")).scalar(),
            )

    return look


@pytest.fixture
def enter(database_url: str, postgres: Postgres) -> Iterator[Callable[..., psycopg.Connection]]:
    """A connection as a role, also to another database."""
    name, opened = database_url.rpartition("/")[2], []

    def connect(role: str, database: str = name) -> psycopg.Connection:
        opened.append(psycopg.connect(postgres.url(database, role).replace("+psycopg", ""), autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


WRITES = {
    "switch the trail's guards off": "ALTER TABLE auditentry DISABLE TRIGGER ALL",
    "switch all guards off for the session": "SET session_replication_role = replica",
    "take a guard away": "DROP TRIGGER auditentry_append_only ON auditentry",
    "put another function in a guard's place": "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger"
    " LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "add a trigger of its own": "CREATE TRIGGER mine BEFORE INSERT ON auditentry FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "delete the trail": "DELETE FROM auditentry",
    "cut the trail's tail": "DELETE FROM auditentry WHERE seq > 1",
    "change who did it": "UPDATE auditentry SET actor = 'vt.01' WHERE seq = 2",
    "empty the trail": "TRUNCATE auditentry",
    "turn a return into an approval": "UPDATE decision SET decision = 'KY'",
    "delete a decision, so that it is asked again": "DELETE FROM decision",
    "empty the decisions": "TRUNCATE decision CASCADE",
    "change a signature's verdict": "UPDATE signature SET valid = true",
    "delete the row of an archived object": "DELETE FROM archivedobject",
    "give itself the trail": "ALTER TABLE auditentry OWNER TO CURRENT_USER",
    "grant itself what it lacks": "GRANT ALL ON auditentry TO CURRENT_USER; DELETE FROM auditentry",
    "make a table of its own": "CREATE TABLE mine (n int)",
    "stand a temporary table before the trail": "CREATE TEMP TABLE auditentry (seq bigint, hash text)",
}
CLUSTER = {
    "become superuser": "ALTER ROLE CURRENT_USER SUPERUSER",
    "make a superuser": "CREATE ROLE intruder SUPERUSER LOGIN",
    "become the owner": f"SET ROLE {roles.OWNER}",
    "become the cluster's superuser": "SET ROLE sohoa",
    "change the owner's password": f"ALTER ROLE {roles.OWNER} PASSWORD 'mine'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'id > /tmp/sohoa-attack'",
    "read a file of the server": "SELECT pg_read_file('/etc/passwd')",
    "write a file of the server": "COPY (SELECT 1) TO '/tmp/sohoa-attack'",
    "load a library": "LOAD '/tmp/sohoa-attack.so'",
    "read the passwords' verifiers": "SELECT rolpassword FROM pg_authid",
    "change the server's settings": "ALTER SYSTEM SET archive_command = 'id'",
    "end others' sessions": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sohoa'",
    "make an extension that runs programs": "CREATE EXTENSION file_fdw",
}


def refused(connection: psycopg.Connection, statement: str) -> str:
    with pytest.raises(psycopg.Error) as error:
        connection.execute(statement)
    assert error.value.sqlstate in {"42501", "0LP01"}, error.value
    return f"{type(error.value).__name__} {error.value.sqlstate}"


@pytest.mark.parametrize("role", EVERYBODY)
def test_trail_and_decisions(
    attack: Attack, enter: Callable[..., psycopg.Connection], told: Callable[[], Any], role: str
) -> None:
    connection = enter(role)
    for attempt, statement in WRITES.items():
        with attack(f"{role}: {attempt}", watch=told) as row:
            row.answered(refused(connection, statement))


@pytest.mark.parametrize("role", [*EVERYBODY, roles.OWNER])
def test_the_cluster(
    attack: Attack, enter: Callable[..., psycopg.Connection], told: Callable[[], Any], role: str
) -> None:
    connection = enter(role)
    for attempt, statement in CLUSTER.items():
        if (role, statement) == (roles.OWNER, f"SET ROLE {roles.OWNER}") or "OWNER PASSWORD" in statement:
            continue
        if role == roles.OWNER and statement.startswith(f"ALTER ROLE {roles.OWNER}"):
            continue  # its own password
        with attack(f"{role}: {attempt}", watch=told) as row:
            row.answered(refused(connection, statement))


def test_the_gateway_decides_and_signs_nothing_in_the_database(
    attack: Attack, enter: Callable[..., psycopg.Connection], told: Callable[[], Any]
) -> None:
    connection = enter(roles.GATEWAY)
    forged = FORGED + "gen_random_uuid(), dossier_id, 'signoff-2', 'KY', 'ld.01', 'LEAD', '{}', now() FROM decision"
    for attempt, statement in {
        "forge an approval": forged,
        "note a signature that nobody made": "INSERT INTO signature (id) VALUES (gen_random_uuid())",
        "change a field that an officer confirmed": "UPDATE fieldvalue SET value = '9000000'",
        "hand a dossier to another owner": "UPDATE dossier SET owner_id = '001'",
    }.items():
        with attack(f"gateway: {attempt}", watch=told) as row:
            row.answered(refused(connection, statement))


def test_metrics_read_no_personal_data(
    attack: Attack, enter: Callable[..., psycopg.Connection], told: Callable[[], Any]
) -> None:
    connection = enter(roles.READER)
    for attempt, statement in {
        "owners' names": "SELECT owner_name FROM dossier",
        "the whole dossier": "SELECT * FROM dossier",
        "fields of papers": "SELECT value FROM fieldvalue",
        "who did what": "SELECT actor FROM auditentry",
        "decisions with their reasons": "SELECT payload FROM decision",
    }.items():
        with attack(f"metrics: read {attempt}", watch=told) as row:
            row.answered(refused(connection, statement))
    assert connection.execute("SELECT state, count(*) FROM dossier GROUP BY state").fetchall(), "what they need"


@pytest.mark.parametrize(
    ("role", "database"),
    [(role, "prefect") for role in (*EVERYBODY, roles.OWNER)]
    + [(roles.PREFECT, "records"), (roles.APP, "postgres"), (roles.PREFECT, "template1")],
)
def test_the_other_database(
    attack: Attack, enter: Callable[..., psycopg.Connection], told: Callable[[], Any], postgres: Postgres,
    database_url: str, role: str, database: str,
) -> None:  # fmt: skip
    postgres.create_database("prefect")
    place = database_url.rpartition("/")[2] if database == "records" else database
    with attack(f"{role} enters the database {database}", watch=told) as row:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database") as error:
            enter(role, place)
        row.answered(str(error.value).strip().splitlines()[-1])


def test_prefects_role_owns_its_own_database_only(enter: Callable[..., psycopg.Connection], postgres: Postgres) -> None:
    postgres.create_database("prefect")
    connection = enter(roles.PREFECT, "prefect")
    connection.execute("CREATE TABLE works (n int)")
    connection.execute("DROP TABLE works")
    with postgres.connect() as superuser:
        rows = superuser.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
        assert rows == [("sohoa",)], "the supervisor's alone"


def test_an_installation_from_before_is_taken_over(postgres: Postgres) -> None:
    """Everything belonged to the superuser, whose password each part knew: ownership moves, the password changes."""
    before = postgres.password
    with postgres.connect() as superuser:
        superuser.execute("CREATE DATABASE old")
    with postgres.connect("old") as superuser:
        superuser.execute("CREATE TYPE mood AS ENUM ('well')")
        superuser.execute("CREATE TABLE kept (id serial PRIMARY KEY, how mood)")
        superuser.execute("CREATE FUNCTION guard() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        superuser.execute("INSERT INTO kept (how) VALUES ('well')")
    postgres.create_database("old")
    with psycopg.connect(postgres.url("old", roles.OWNER).replace("+psycopg", "")) as owner:
        owner.execute("ALTER TABLE kept ADD COLUMN n int")
        owner.execute("ALTER TYPE mood ADD VALUE 'better'")
        owner.execute("DROP FUNCTION guard()")
        assert owner.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    app = postgres.url("old", roles.APP).replace("+psycopg", "")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(app) as connection:
        connection.execute("SELECT * FROM kept")
    assert postgres.password == before, "changed once, with the first roles"
    postgres.drop_database("old")
