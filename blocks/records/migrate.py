"""Alembic without an alembic.ini: the schema of the records database in numbered steps."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from blocks.records import grants

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "records_version"  # its own name: Prefect keeps an alembic_version where both share a database
LOCK = 0x50A0A001  # advisory lock: one migration at a time


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate up to `revision` in one transaction; a second caller waits, then finds nothing to do."""
    _run(engine, "upgrade", revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate down to `revision` ("base" = empty). Loses data: for tests and for a failed release only."""
    _run(engine, "downgrade", revision)


def new_revision(engine: Engine, name: str) -> Path:
    """Write the next migration from the difference between tables.py and the (migrated) database. For developers."""
    config = configuration()
    number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        made = command.revision(config, name, autogenerate=True, rev_id=f"r{number:04d}")
    if made is None or isinstance(made, list):
        raise RuntimeError("one revision was asked for")
    return Path(made.path)


def _run(engine: Engine, way: str, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = configuration()
        config.attributes["connection"] = connection
        getattr(command, way)(config, revision)
        if (way, revision) == ("upgrade", "head"):
            grants.apply(connection)
