"""Models and migrations agree; the way up and down is walked on a real server."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlmodel import Session, SQLModel

from blocks.records import RecordsDatabase, grants, migrate
from blocks.records.__main__ import main
from blocks.records.audit import GENESIS, audit, canonical, read_chain
from blocks.records.migrate import BEFORE_FIRST, VERSION_TABLE, configuration, downgrade, upgrade
from blocks.records.migrations.r0019_guards import SEALED
from blocks.records.tables import AuditEntry
from infra.local.postgres import Postgres
from tasks.monitoring.audit_rows import unproven
from tests.blocks.records.race import race

OBJECTS = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'public'"


@pytest.fixture
def empty(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordsDatabase]:
    """A database without any table."""
    name = f"e_{token_hex(6)}"
    monkeypatch.setenv("SOHOA_TEST_EMPTY", postgres.create_database(name))
    database = RecordsDatabase(url_env="SOHOA_TEST_EMPTY")
    yield database
    database.engine.dispose()
    postgres.drop_database(name)


def test_models_and_migrations_agree(records: RecordsDatabase) -> None:
    options: dict[str, Any] = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    with records.engine.connect() as connection:
        # The letters of codes in threes: an index of an extension, where the server has it.
        options["include_name"] = lambda name, kind, _: (kind, name) != ("index", "ix_dossier_code_part")
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_every_table_has_a_decision_about_who_may_what(records: RecordsDatabase) -> None:
    """A new table: write down in blocks/records/grants.py what flows, the gateway and metrics do with it."""
    with records.engine.connect() as connection:
        assert grants.undecided(connection) == set()
        assert {table.name for table in SQLModel.metadata.sorted_tables} <= grants.TABLES.keys()


def test_a_table_that_nobody_decided_about_is_closed(records: RecordsDatabase, owner: RecordsDatabase) -> None:
    with owner.engine.begin() as connection:
        connection.execute(text("CREATE TABLE forgotten (n int)"))
        grants.apply(connection)
        assert grants.undecided(connection) == {"forgotten"}
    with pytest.raises(ProgrammingError, match="InsufficientPrivilege"), records.session() as session:
        session.execute(text("SELECT * FROM forgotten"))


def test_one_head_and_every_step_up_and_down(empty: RecordsDatabase) -> None:
    steps = list(ScriptDirectory.from_config(configuration()).walk_revisions())[::-1]
    assert steps[0].down_revision is None
    for step in steps:
        upgrade(empty.engine, step.revision)
        downgrade(empty.engine, str(step.down_revision or "base"))
        upgrade(empty.engine, step.revision)
    assert set(SQLModel.metadata.tables) <= set(inspect(empty.engine).get_table_names())
    downgrade(empty.engine, "base")
    assert inspect(empty.engine).get_table_names() == [VERSION_TABLE]
    with empty.session() as session:
        assert session.execute(text(OBJECTS)).scalar() == 0


def test_migrating_twice_and_at_the_same_time_is_once(empty: RecordsDatabase) -> None:
    assert race(*[partial(empty.migrate)] * 4) == [None] * 4
    empty.migrate()
    with empty.session() as session:
        assert len(session.execute(text(f"SELECT * FROM {VERSION_TABLE}")).all()) == 1


def test_a_failed_migration_leaves_nothing_half(empty: RecordsDatabase) -> None:
    with empty.session() as session:
        session.execute(text("CREATE TABLE scan (x int)"))  # in the way of the first step
    with pytest.raises(Exception, match="DuplicateTable"):
        empty.migrate()
    assert inspect(empty.engine).get_table_names() == ["scan"]


def test_P14_entries_and_rows_from_before_there_were_seals(empty: RecordsDatabase) -> None:
    """They stay as they are; none is added to them."""
    dossier = str(uuid4())
    upgrade(empty.engine)
    with empty.session() as session:  # as the migration that brought seals left such a database
        session.execute(text("ALTER TABLE auditentry DROP CONSTRAINT auditentry_sealed"))
        session.execute(text("ALTER TABLE custody DISABLE TRIGGER custody_written"))
        previous = GENESIS
        for seq in (1, 2):
            previous = _append(session, seq, previous)
        session.execute(text(DOSSIER), {"id": dossier})
        session.execute(text(PAPER), {"id": str(uuid4()), "dossier": dossier})
        session.execute(text("ALTER TABLE custody ENABLE TRIGGER custody_written"))
        rule = SEALED.replace("seq <= 0", "seq <= 2")
        session.execute(text(f"ALTER TABLE auditentry ADD CONSTRAINT auditentry_sealed {rule}"))
    with empty.session() as session:
        audit(session, actor="system", action="view")
    with empty.session() as session:
        assert unproven(session) == (0, [])
        assert read_chain(session).all == []
        last = session.execute(text("SELECT hash FROM auditentry WHERE seq = 3")).scalar_one()
    with pytest.raises(IntegrityError, match="CheckViolation"), empty.session() as session:
        _append(session, 4, last)
    with empty.session() as session:  # as the owner, who may take the rule away
        session.execute(text("ALTER TABLE auditentry DROP CONSTRAINT auditentry_sealed"))
        _append(session, 4, last)
        session.execute(text(PAPER), {"id": str(uuid4()), "dossier": dossier})
    with empty.session() as session:
        count, found = unproven(session)
        assert read_chain(session).unsealed == [4]
        assert count == 1 and [one.kind for one in found] == ["custody"]


DOSSIER = (
    "INSERT INTO dossier (id, submission, unit_id, revision, procedure_code, state, owner_kind, owner_name, "
    "digital_account, originals_declared, captured_by, transitional, public_department, created_at) VALUES "
    "(:id, 'x', 'U', 1, 'P', 'NHAP', 'PERSON', '', '', 0, '', false, '', now())"
)
PAPER = (
    "INSERT INTO custody (id, dossier_id, place, handed_by, received_by, at) "
    "VALUES (:id, :dossier, 'COUNTER', '', 'tnhs.01', now())"
)


def _append(session: Session, seq: int, previous: str) -> str:
    """A well-chained entry without a seal. Returns its hash."""
    row = AuditEntry(seq=seq, actor="system", action="view", previous_hash=previous).model_dump()
    row |= {"hash": hashlib.sha256(canonical(row)).hexdigest(), "details": "{}"}
    del row["seal"]
    session.execute(text(f"INSERT INTO auditentry ({', '.join(row)}) VALUES (:{', :'.join(row)})"), row)
    return str(row["hash"])


@pytest.mark.parametrize(
    ("step", "code"), [("r0001", "SCHEMA_TOO_OLD"), ("r0018", "SCHEMA_TOO_OLD"), ("r9999", "SCHEMA_TOO_NEW")]
)
def test_a_database_at_a_step_that_is_not_ours_is_left_alone(
    empty: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str, code: str
) -> None:
    with empty.session() as session:
        session.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY)"))
        session.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{step}')"))
    monkeypatch.setattr(sys, "argv", ["records", "migrate", "--url-env", "SOHOA_TEST_EMPTY"])
    assert main() == 1
    told = capsys.readouterr().err
    assert code in told and step in told and (BEFORE_FIRST in told) == (code == "SCHEMA_TOO_OLD")
    assert inspect(empty.engine).get_table_names() == [VERSION_TABLE]
    with empty.session() as session:
        assert session.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all() == [step]


def test_the_next_step_is_numbered_after_the_newest(
    empty: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = shutil.copytree(migrate.MIGRATIONS, tmp_path / "migrations")
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    empty.migrate()
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    made = migrate.new_revision(empty.engine, "more")
    assert head and made.name == f"r{int(head[1:]) + 1:04d}_more.py"
    assert f'down_revision = "{head}"' in made.read_text().replace("'", '"')


def test_command_line(empty: RecordsDatabase) -> None:
    command = [sys.executable, "-m", "blocks.records", "migrate", "--url-env", "SOHOA_TEST_EMPTY"]
    subprocess.run(command, check=True, timeout=120)
    assert VERSION_TABLE in inspect(empty.engine).get_table_names()


def test_command_line_without_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["records", "migrate", "--url-env", "SOHOA_TEST_NOT_SET"])
    assert main() == 1
    assert "SOHOA_TEST_NOT_SET" in capsys.readouterr().err
