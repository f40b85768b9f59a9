"""The secrets of each part, in a file that its OS user alone reads: ``secrets/<part>.env`` (0600).

stack.env holds none. What an administrator adds to such a file stays. Secrets that stand in stack.env, from an earlier
version or typed there, are moved: those for servers of the office's own to ``secrets/external.env``, all others to the
worker's file.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from blocks.settings import read_env
from blocks.webhooks import KEY as CALLBACKS
from blocks.webhooks import new_key
from infra.local import roles
from infra.local.postgres import Postgres
from infra.local.process import StackError
from infra.local.seaweed import Seaweed
from infra.local.seaweed_access import ADMIN

PARTS = ("owner", "setup", "prefect", "worker", "gateway", "metrics", "agent", "backup", "disposal")
EXTERNAL = "external"
AUTH = "PREFECT_SERVER_API_AUTH_STRING"
# An external PostgreSQL: the address of each role (infra/local/roles.py).
DATABASES = {
    "SOHOA_DATABASE_URL": "flows and the command line",
    "SOHOA_DATABASE_OWNER_URL": "migrations",
    "SOHOA_DATABASE_GATEWAY_URL": "the gateway",
    "SOHOA_DATABASE_READER_URL": "metrics and the agent",
    "SOHOA_PREFECT_DATABASE_URL": "Prefect's own database",
}
# An external object store: the worker's key, the gateway's, and one that makes buckets (else the worker's).
STORES = tuple(f"SOHOA_S3_{whose}{kind}_KEY" for whose in ("", "GATEWAY_", "ADMIN_") for kind in ("ACCESS", "SECRET"))
_PREFECTS = (AUTH, "PREFECT_API_AUTH_STRING")
_SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|PIN|_KEY|AUTH_STRING)$")
_REFERENCE = re.compile(r"(env|file):")


def is_secret(name: str, value: str) -> bool:
    """Whether a line of stack.env must not stay there: everybody on the machine may read that file."""
    if name in DATABASES or name in STORES or name in _PREFECTS:
        return True
    return (
        bool(_SECRET.search(name)) and not name.endswith("PUBLIC_KEY") and bool(value) and not _REFERENCE.match(value)
    )


def read_part(home: Path, part: str) -> dict[str, str]:
    """What a part gets from files: stack.env and its own secrets."""
    return read_env(home / "stack.env") | read_env(home / "secrets" / f"{part}.env")


def write_env(path: Path, lines: Mapping[str, str], title: str, mode: int = 0o600) -> None:
    """Whole or not at all."""
    half = path.with_name(f"{path.name}.new")
    half.unlink(missing_ok=True)
    half.touch(mode)
    half.chmod(mode)
    half.write_text(f"# {title}\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))
    if path.exists() and os.geteuid() == 0:
        os.chown(half, path.stat().st_uid, path.stat().st_gid)
    half.replace(path)


@dataclass
class Keys:
    """The files below `folder`. known: stack.env as it was; chosen: tells what there is the administrator's own."""

    folder: Path
    known: dict[str, str]
    chosen: Callable[[str], str | None]

    def move(self) -> list[str]:
        """Take the secrets out of `known`, keep those that aren't ours. Returns the names that were moved."""
        self.folder.mkdir(mode=0o711, exist_ok=True)
        found = {name: value for name, value in self.known.items() if is_secret(name, value)}
        external, others = dict(self.external()), dict(read_env(self.folder / "worker.env"))
        foreign_store = self.chosen("SOHOA_S3_ENDPOINT") is not None
        moved = []
        for name, value in found.items():
            if name in _PREFECTS:
                if name == AUTH and not (self.folder / "prefect.env").exists():
                    write_env(self.folder / "prefect.env", {AUTH: value}, "Secrets of this part.")
                continue
            if (name in DATABASES and self.chosen(name)) or (name in STORES and foreign_store):
                external[name] = value
                moved.append(name)
            elif name not in DATABASES and name not in STORES:
                others[name] = value
                moved.append(name)
        for name in found:
            del self.known[name]
        if external:
            write_env(self.folder / f"{EXTERNAL}.env", external, "Servers of the office's own. Keep this file private.")
        if moved:
            write_env(self.folder / "worker.env", others, "Secrets of this part.")
        return moved

    def external(self) -> dict[str, str]:
        return read_env(self.folder / f"{EXTERNAL}.env")

    def auth(self) -> str:
        """What opens Prefect's API (``user:password``); made at the first call of `write`."""
        return read_env(self.folder / "prefect.env").get(AUTH, "")

    def callbacks(self) -> str:
        """The key that signs call-backs to partners: the worker's, made at the first call."""
        path = self.folder / "worker.env"
        known = read_env(path)
        if CALLBACKS not in known:
            self.folder.mkdir(mode=0o711, exist_ok=True)
            known[CALLBACKS] = self.known.get(CALLBACKS) or new_key()
            write_env(path, known, "Secrets of this part, made by `make up`; lines that you add stay.")
        return known[CALLBACKS]

    def write(self, postgres: Postgres | None, seaweed: Seaweed | None) -> None:
        """Each part's file. postgres, seaweed: ours; None: the office's own. Raises StackError: what is missing."""
        auth = self.auth() or f"sohoa:{secrets.token_urlsafe(24)}"
        client = {"PREFECT_API_AUTH_STRING": auth}
        base, store = self._databases(postgres), self._stores(seaweed)
        app = {"SOHOA_DATABASE_URL": base["SOHOA_DATABASE_URL"]}
        owner = {"SOHOA_DATABASE_URL": base["SOHOA_DATABASE_OWNER_URL"]}
        created = {
            "owner": owner,
            "setup": app | store[ADMIN] | client,
            "prefect": _prefects_database(base["SOHOA_PREFECT_DATABASE_URL"]) | {AUTH: auth} | client,
            "worker": app | store["worker"] | client,
            "gateway": {"SOHOA_DATABASE_URL": base["SOHOA_DATABASE_GATEWAY_URL"]} | store["gateway"] | client,
            "metrics": {"SOHOA_DATABASE_URL": base["SOHOA_DATABASE_READER_URL"]} | client,
            "agent": {"SOHOA_DATABASE_URL": base["SOHOA_DATABASE_READER_URL"]} | client,
            "backup": owner | store.get("backup", store[ADMIN]),
            "disposal": app | store.get("disposal", store[ADMIN]),
        }
        for part, lines in created.items():
            path = self.folder / f"{part}.env"
            write_env(path, read_env(path) | lines, "Secrets of this part, made by `make up`; lines that you add stay.")

    def _databases(self, postgres: Postgres | None) -> dict[str, str]:
        if postgres is None:
            return _complete(self.external(), tuple(DATABASES), "SOHOA_DATABASE_URL", self.folder)
        return {
            "SOHOA_DATABASE_URL": postgres.url("sohoa", roles.APP),
            "SOHOA_DATABASE_OWNER_URL": postgres.url("sohoa", roles.OWNER),
            "SOHOA_DATABASE_GATEWAY_URL": postgres.url("sohoa", roles.GATEWAY),
            "SOHOA_DATABASE_READER_URL": postgres.url("sohoa", roles.READER),
            "SOHOA_PREFECT_DATABASE_URL": postgres.url("prefect", roles.PREFECT),
        }

    def _stores(self, seaweed: Seaweed | None) -> dict[str, dict[str, str]]:
        if seaweed is not None:
            keys = seaweed.keys
        else:
            named = _complete(self.external(), STORES[:4], "SOHOA_S3_ENDPOINT", self.folder)
            own = (named["SOHOA_S3_ACCESS_KEY"], named["SOHOA_S3_SECRET_KEY"])
            desk = (named["SOHOA_S3_GATEWAY_ACCESS_KEY"], named["SOHOA_S3_GATEWAY_SECRET_KEY"])
            admin = (named.get("SOHOA_S3_ADMIN_ACCESS_KEY", own[0]), named.get("SOHOA_S3_ADMIN_SECRET_KEY", own[1]))
            keys = {"worker": own, "gateway": desk, ADMIN: admin}
        return {who: {"SOHOA_S3_ACCESS_KEY": a, "SOHOA_S3_SECRET_KEY": s} for who, (a, s) in keys.items()}


def _complete(given: dict[str, str], wanted: tuple[str, ...], because: str, folder: Path) -> dict[str, str]:
    if missing := [name for name in wanted if not given.get(name)]:
        file = folder.parent / "stack.env"
        raise StackError(f"{because} names a server of your own: set {', '.join(missing)} in {file}, too")
    return given


def _prefects_database(url: str) -> dict[str, str]:
    """As Prefect wants it: asyncpg, TLS by its own settings."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    lines = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": parts._replace(scheme="postgresql+asyncpg", query="").geturl()}
    if query.get("sslmode") == ["verify-full"]:
        tls = "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_"
        lines |= {f"{tls}ENABLED": "true", f"{tls}CHECK_HOSTNAME": "true"}
        lines |= {f"{tls}CA_FILE": query["sslrootcert"][0]} if "sslrootcert" in query else {}
    return lines
