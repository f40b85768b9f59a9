"""`sohoa backup` and `sohoa restore`: database to a point in time, objects with all versions and locks, keys apart.

Objects are copied after the database: each one that the copied records name is there. A backup counts once its
`<time>.json` is written, last of all.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import sql
from pydantic import BaseModel

from blocks.copies import copy_objects, drop_unlisted, restore_objects
from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.settings import home
from infra.local.backup import (
    STAMP,
    base_backup,
    copy_wal,
    pack_keys,
    pack_state,
    private_folder,
    put_passwords,
    restore_database,
    stamp,
    unpack_keys,
    unpack_state,
)
from infra.local.installation import Installation, load_installation
from infra.local.postgres import Postgres
from infra.local.process import StackError
from infra.local.roles import OWNER
from infra.local.seaweed_access import ADMIN
from tasks.archive.reconcile import Comparison, compare

BASE_HOURS = 24  # a copy of the whole database at most so often; between, only its log
# Where the records name the version of an object: table, key, version. What is kept as it came (scans, signatures) is
# found by its hash.
VERSIONS = (
    ("archivedobject", "object_key", "version"),
    ("document", "record_key", "record_version"),
    ("document", "file_key", "file_version"),
    ("document", "manifest_key", "manifest_version"),
    ("page", "text_key", "text_version"),
    ("signingrequest", "prepared_key", "prepared_version"),
)


class BackupRefused(SohoaError):
    """What is asked for can't be done with this folder; `why` says what to do."""

    code = "BACKUP_REFUSED"
    message = "Không thực hiện được: {why}"


class Backup(BaseModel):
    """One finished backup. name: when it began (UTC); base: which copy of the database; last: piece of the log."""

    name: str
    base: str
    last: str
    versions: int
    new: int
    new_bytes: int
    finished_at: datetime


def backup(folder: Path, keys: Path, *, recipient: Path | None = None, keep: int = 30, whole: bool = False) -> Backup:
    """Copy the running installation. keys: file for the secrets, outside `folder`; keep: how many backups stay.

    Raises BackupRefused, StackError (a part doesn't answer), the errors of the store.
    """
    folder, keys = folder.resolve(), keys.resolve()
    if keys.is_relative_to(folder):
        raise BackupRefused(why="tệp khóa (--keys) phải nằm ngoài thư mục sao lưu")
    installation, name = load_installation(), stamp()
    if folder.is_relative_to(installation.home):
        raise BackupRefused(why="thư mục sao lưu phải nằm ngoài SOHOA_HOME")
    if not (installation.own_postgres and installation.own_seaweed):
        raise BackupRefused(
            why="cơ sở dữ liệu hoặc kho tệp do cơ quan tự vận hành; vui lòng sao lưu bằng công cụ của chúng"
        )
    private_folder(folder)
    for part in ("base", "wal", "objects", "state"):
        private_folder(folder / part)
    done = backups(folder)
    postgres, base = installation.postgres(), done[-1].base if done else ""
    if whole or not base or _moment(name) - _moment(base) >= timedelta(hours=BASE_HOURS):
        base = name
        base_backup(postgres, folder / "base" / name)
    last = copy_wal(postgres, folder / "wal")
    copied = copy_objects(_store(installation, "backup"), folder / "objects", name)
    pack_state(installation, folder / "state" / f"{name}.tar")
    pack_keys(installation, keys, recipient)
    done_now = Backup(
        name=name,
        base=base,
        last=last,
        versions=copied.versions,
        new=copied.new,
        new_bytes=copied.new_bytes,
        finished_at=datetime.now(UTC),
    )
    half = folder / f"{name}.part"
    half.write_text(done_now.model_dump_json(indent=1))
    half.rename(folder / f"{name}.json")
    _forget(folder, keep)
    return done_now


def backups(folder: Path) -> list[Backup]:
    """The finished ones, the oldest first."""
    return [Backup.model_validate_json(path.read_text()) for path in sorted(folder.glob("*Z.json"))]


def restore(folder: Path, keys: Path, *, identity: Path | None = None, until: datetime | None = None) -> Comparison:
    """Into SOHOA_HOME, which must be empty, on this machine and its ports; the stack is started by `make up` then.

    until: the point in time, within what the backups cover; None: the newest. Returns what differs.
    Raises BackupRefused, StackError, IntegrityError when a copy was changed.
    """
    folder, done = folder.resolve(), backups(folder)
    if not done:
        raise BackupRefused(why=f"{folder} không có bản sao lưu nào đã hoàn tất")
    chosen, lists = _chosen(done, until)
    place = home().resolve()
    unpack_keys(place, keys, identity)
    installation = load_installation()
    postgres, seaweed = installation.postgres(), installation.seaweed()
    put_passwords(postgres, place / "unpacked")
    unpack_state(place, folder / "state" / f"{chosen.name}.tar")
    try:
        restore_database(postgres, folder / "base" / chosen.base, folder / "wal", until, chosen.last)
        seaweed.start()
        versions = restore_objects(_store(installation, ADMIN), folder / "objects", lists)
        _rename_versions(postgres, versions)
        os.environ["SOHOA_RESTORED_DATABASE_URL"] = postgres.url("sohoa", OWNER)
        records = RecordsDatabase(url_env="SOHOA_RESTORED_DATABASE_URL")
        found = compare(records, _store(installation, ADMIN))
        records.engine.dispose()
        return found
    finally:
        seaweed.stop()
        postgres.stop()


def _chosen(done: list[Backup], until: datetime | None) -> tuple[Backup, list[str]]:
    """The backup whose state and keys count, and the lists of objects that together hold what there was at `until`."""
    if until is None:
        return done[-1], [done[-1].name]
    if until < done[0].finished_at or until > done[-1].finished_at:
        first, last = (f"{item.finished_at:%Y-%m-%dT%H:%M:%SZ}" for item in (done[0], done[-1]))
        raise BackupRefused(why=f"--until phải trong khoảng {first} – {last}")
    earlier = [item for item in done if item.finished_at <= until][-1]
    later = next(item for item in done if item.finished_at >= until)
    return later.model_copy(update={"base": earlier.base}), list(dict.fromkeys([earlier.name, later.name]))


def _rename_versions(postgres: Postgres, versions: dict[tuple[str, str], str]) -> None:
    """The store gave the versions other names."""
    with postgres.connect("sohoa") as connection, connection.transaction():
        connection.execute("CREATE TEMP TABLE renamed (key text, before text, now text, PRIMARY KEY (key, before))")
        with connection.cursor().copy("COPY renamed FROM STDIN") as rows:
            for (key, before), now in versions.items():
                rows.write_row((key, before, now))
        for table, key, version in VERSIONS:
            connection.execute(
                sql.SQL(
                    "UPDATE {t} SET {v} = r.now FROM renamed r WHERE r.key = {t}.{k} AND r.before = {t}.{v}"
                ).format(t=sql.Identifier(table), k=sql.Identifier(key), v=sql.Identifier(version))
            )


def _store(installation: Installation, part: str) -> ObjectStore:
    """The object store of this installation with the key of a part."""
    seaweed = installation.seaweed()
    access, secret = seaweed.keys[part]
    values: dict[str, Any] = {"endpoint": seaweed.endpoint, "access_key": access, "secret_key": secret}
    os.environ |= {f"SOHOA_COPY_S3_{name.upper()}": value for name, value in values.items()}
    return ObjectStore(
        endpoint_env="SOHOA_COPY_S3_ENDPOINT",
        access_key_env="SOHOA_COPY_S3_ACCESS_KEY",
        secret_key_env="SOHOA_COPY_S3_SECRET_KEY",  # noqa: S106  (the name of a variable)
    )


def _forget(folder: Path, keep: int) -> None:
    """Backups before the newest `keep`, and what only they needed."""
    done = backups(folder)
    kept = done[-max(keep, 1) :]
    for item in done[: -len(kept)]:
        for path in (
            folder / "objects" / f"{item.name}.jsonl",
            folder / "state" / f"{item.name}.tar",
            folder / f"{item.name}.json",
        ):
            path.unlink(missing_ok=True)
    bases = {item.base for item in kept}
    for path in (folder / "base").iterdir():
        if path.name not in bases and path.name < kept[-1].name:
            shutil.rmtree(path)
    if len(kept) < len(done):
        drop_unlisted(folder / "objects")
        oldest = min(_first_wal(folder / "base" / name) for name in bases)
        for path in (folder / "wal").glob("*.gz"):
            if len(path.name) == len(oldest) + 3 and path.name[8:] < oldest[8:]:
                path.unlink()


def _first_wal(base: Path) -> str:
    """The piece of the log that a copy of the database begins with."""
    for line in (base / "backup_label").read_text().splitlines():
        if line.startswith("START WAL LOCATION"):
            return line.rpartition("file ")[2].rstrip(")")
    raise StackError(f"{base} is no copy of a database")


def _moment(name: str) -> datetime:
    return datetime.strptime(name, STAMP).replace(tzinfo=UTC)
