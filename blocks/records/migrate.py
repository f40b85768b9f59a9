"""Alembic without an alembic.ini: the schema of the records database in numbered steps.

The first of them is r0019, the whole schema of the first release. A database of before goes on from there: one that
stands at r0019 as it is, an older one after the code of `BEFORE_FIRST` has brought it to r0019.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from blocks.errors import SohoaError
from blocks.records import grants

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "records_version"  # its own name: Prefect keeps an alembic_version where both share a database
LOCK = 0x50A0A001  # advisory lock: one migration at a time
BEFORE_FIRST = "c16933e0dc80"  # commit whose migrations still lead from r0001 to r0019


class SchemaTooOld(SohoaError):
    """The database stands at a step from before the first release, which this code no longer has."""

    code = "SCHEMA_TOO_OLD"
    message = (
        "Lược đồ cơ sở dữ liệu hồ sơ ở bước {have}, cũ hơn bước đầu tiên của bản này ({first}); vui lòng sao lưu, "
        "lấy mã "
        f"nguồn bằng `git checkout {BEFORE_FIRST}`, chạy `make up` và `make down`, rồi cài lại bản này."
    )


class SchemaTooNew(SohoaError):
    """The database was migrated by a newer release."""

    code = "SCHEMA_TOO_NEW"
    message = (
        "Lược đồ cơ sở dữ liệu hồ sơ ở bước {have}, mới hơn bản này ({newest}); vui lòng cài "
        "bản mới đã nâng cấp lược đồ, "
        "hoặc khôi phục bản sao lưu có từ trước lần nâng cấp."
    )


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
    number = int(str(ScriptDirectory.from_config(config).get_current_head()).removeprefix("r")) + 1
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        revisions = command.revision(config, name, autogenerate=True, rev_id=f"r{number:04d}")
    if revisions is None or isinstance(revisions, list):
        raise RuntimeError("one revision was asked for")
    return Path(revisions.path)


def _run(engine: Engine, way: str, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = configuration()
        _refuse_unknown(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        getattr(command, way)(config, revision)
        if (way, revision) == ("upgrade", "head"):
            grants.apply(connection)


def _refuse_unknown(connection: Connection, steps: ScriptDirectory) -> None:
    """Raises SchemaTooOld or SchemaTooNew when the database stands at a step that isn't one of ours."""
    have = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    ours = sorted(step.revision for step in steps.walk_revisions())
    if have is None or have in ours:
        return
    if have < ours[0]:
        raise SchemaTooOld(have=have, first=ours[0])
    raise SchemaTooNew(have=have, newest=ours[-1])
