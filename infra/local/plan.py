"""What the stack of one installation looks like: folders, ports, secrets, environment. Written to ``stack.env``."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from blocks.identity import PUBLIC_KEY_FILE, ensure_keys
from blocks.settings import ROOT, home
from blocks.webhooks import KEY as CALLBACK_KEY
from blocks.webhooks import PUBLIC_KEY as CALLBACK_PUBLIC_KEY
from blocks.webhooks import new_key, public_of
from infra.local.pki import tsa_url
from infra.local.postgres import Postgres
from infra.local.process import MARK, StackError, need_port
from infra.local.production import WORD
from infra.local.roles import APP
from infra.local.seaweed import ADMIN_GRPC, COUNT, Seaweed

BASE = 24200
PREFECT_PORT = 4200
# Settings that an administrator may set in stack.env for servers of the office's own; else ours, at these ports.
OURS = {"SOHOA_PKI_DIR": (), "SOHOA_PKI_URL": ("SOHOA_PORT_PKI",), "SOHOA_TSA_URL": ("SOHOA_PORT_PKI",)}
# Own settings of the stack that stack.env remembers.
COUNTED = ("SOHOA_PORT_POSTGRES", "SOHOA_PORT_PKI", "SOHOA_PORT_METRICS", "SOHOA_PORT_GATEWAY", "SOHOA_PORT_OIDC")


@dataclass
class Plan:
    """Everything that the parts need to know; the same after every start."""

    home: Path
    ports: dict[str, int]  # SOHOA_PORT_BASE, COUNTED, SOHOA_PORT_PREFECT
    known: dict[str, str]  # stack.env as it was, without what follows from another base of ports
    before: dict[str, str] = field(default_factory=dict)  # stack.env as it was

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "log"

    @property
    def env_file(self) -> Path:
        return self.home / "stack.env"

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['SOHOA_PORT_PREFECT']}"

    @property
    def gateway_url(self) -> str:
        """As browsers know the officer gateway: an administrator behind a TLS proxy sets SOHOA_GATEWAY_URL."""
        return self.known.get("SOHOA_GATEWAY_URL") or f"http://127.0.0.1:{self.ports['SOHOA_PORT_GATEWAY']}"

    @property
    def test_provider(self) -> bool:
        """Whether officers sign in at our own TEST provider, where nobody asks for a password."""
        return "SOHOA_OIDC_ISSUER" not in self.known and self.is_test

    @property
    def is_test(self) -> bool:
        """What `make up` has settled on (infra/local/production.py)."""
        return self.known.get(WORD) == "test"

    @property
    def test_pki(self) -> bool:
        """Whether the TEST PKI is made and served here: never in production, nor beside the office's own folder."""
        return self.is_test and not self.chosen("SOHOA_PKI_DIR")

    def chosen(self, name: str) -> str | None:
        """The administrator's own value of a setting that we else make ourselves; None: there is none.

        A line of stack.env that names our own part, at its old or new port, is one that we wrote.
        """
        value = self.known.get(name)
        if not value or value == str(self.home / "pki"):
            return None
        before = self.before or self.known
        try:
            url = urlsplit(value)
            ours = {before.get(port) for port in OURS[name]} | {str(self.ports[port]) for port in OURS[name]}
            here = url.hostname == "127.0.0.1" and str(url.port) in ours
        except ValueError as error:
            raise StackError(f"{name} in {self.env_file} is no address") from error
        return None if here else value

    def gateway_secrets(self) -> dict[str, str]:
        """What only the gateway's process gets. Raises StackError without a provider in production."""
        private, _ = ensure_keys(self.home / "gateway")
        issuer = self.known.get("SOHOA_OIDC_ISSUER")
        if issuer is None and not self.test_provider:
            raise StackError(f"who signs officers in? set SOHOA_OIDC_ISSUER (and client id, secret) in {self.env_file}")
        secret = self.home / "gateway" / "client-secret"  # not in stack.env, which every part reads
        return {
            "SOHOA_OIDC_CLIENT_SECRET": secret.read_text().strip() if secret.exists() else "TEST",
            "SOHOA_GATEWAY_URL": self.gateway_url,
            "SOHOA_GATEWAY_PRIVATE_KEY_FILE": str(private),
            "SOHOA_GATEWAY_SECRET": secrets.token_urlsafe(32),
            "SOHOA_OIDC_ISSUER": issuer or f"http://127.0.0.1:{self.ports['SOHOA_PORT_OIDC']}",
        }

    def postgres(self) -> Postgres:
        return Postgres(
            self.home / "postgres",
            self.ports["SOHOA_PORT_POSTGRES"],
            databases=("sohoa", "prefect"),
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", MARK: str(self.home)},
        )

    def seaweed(self) -> Seaweed:
        first = self.ports["SOHOA_PORT_BASE"] + 10
        admin = first - 2010  # its gRPC port, 10000 higher, then lies below those that outgoing connections get
        half = COUNT // 2
        ports = (*range(first, first + half - 1), admin, *range(first + half, first + COUNT - 1), admin + ADMIN_GRPC)
        return Seaweed(self.home / "seaweed", ports, env={**os.environ, MARK: str(self.home)})

    def variables(self) -> dict[str, str]:
        """The content of stack.env, in its order."""
        postgres, seaweed = self.postgres(), self.seaweed()
        pki_url = f"http://127.0.0.1:{self.ports['SOHOA_PORT_PKI']}"
        auth = self.known.get("PREFECT_SERVER_API_AUTH_STRING") or f"sohoa:{secrets.token_urlsafe(24)}"
        callbacks = self.known.get(CALLBACK_KEY) or new_key()
        fresh = {
            "SOHOA_DATABASE_URL": postgres.url("sohoa", APP),
            "SOHOA_S3_ENDPOINT": seaweed.endpoint,
            "SOHOA_S3_ACCESS_KEY": seaweed.access_key,
            "SOHOA_S3_SECRET_KEY": seaweed.secret_key,
            "SOHOA_PKI_DIR": str(self.home / "pki"),
            "SOHOA_PKI_URL": pki_url,
            "SOHOA_TSA_URL": tsa_url(pki_url),
            PUBLIC_KEY_FILE: str(ensure_keys(self.home / "gateway")[1]),
            CALLBACK_KEY: callbacks,
            CALLBACK_PUBLIC_KEY: public_of(callbacks),
            "PREFECT_API_URL": f"{self.prefect_url}/api",
            "PREFECT_API_AUTH_STRING": auth,
            "PREFECT_SERVER_API_AUTH_STRING": auth,
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never a pickle, which runs code (blocks/results.py)
            "PREFECT_LOCAL_STORAGE_PATH": str(self.home / "prefect" / "storage"),
            **{name: str(port) for name, port in self.ports.items()},
        }
        # What an administrator may have changed in the file stays.
        chosen = {
            "SOHOA_INBOX_DIR": str(self.home / "inbox"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # Prefect's server answers 500 while PostgreSQL restarts: runs and worker then ask again.
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
            "PREFECT_CLIENT_MAX_RETRIES": "8",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; who falls silent is lost (infra/local/rescue.py)
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",  # logs of deleted runs (tasks/faults.py)
            "GX_ANALYTICS_ENABLED": "false",
            "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        }
        if not self.test_pki:  # the office's own; in production nothing of the TEST kind may stand in its place
            del fresh["SOHOA_PKI_DIR"], fresh["SOHOA_PKI_URL"]
        if not self.is_test:
            fresh.pop("SOHOA_TSA_URL")
        external = {name: value for name in OURS if (value := self.chosen(name))}
        return {**chosen, **self.known, **fresh, **external}

    def write(self) -> None:
        """Make the folders and stack.env (0600); secrets are made at the first start and kept."""
        # Temporary files (pages of papers) are private and don't outlive the stack.
        shutil.rmtree(self.home / "tmp", ignore_errors=True)
        (self.home / "tmp").mkdir(mode=0o700)
        for folder in (self.run, self.logs, self.home / "prefect" / "storage", self.home / "inbox"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.logs, self.home / "prefect", self.home / "inbox"):
            folder.chmod(0o700)  # papers, results and what was done with them are nobody else's business
        lines = ["# Secrets of this installation, made by `make up`. Keep this file private."]
        lines += [f"{name}={value}" for name, value in self.variables().items()]
        half = self.env_file.with_suffix(".new")
        half.unlink(missing_ok=True)
        half.touch(0o600)
        half.write_text("\n".join(lines) + "\n")
        half.replace(self.env_file)
        self.known = read_env(self.env_file)

    def environment(self) -> dict[str, str]:
        """What every part gets: our own variables win over the shell's, the mark tells whose process it is."""
        shell = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PREFECT_") or name.startswith("PREFECT_LOGGING_")
        }
        shell.pop("PYTHONDONTWRITEBYTECODE", None)  # each flow run would compile the project anew
        return {
            **shell,
            **read_env(self.env_file),
            "SOHOA_HOME": str(self.home),
            MARK: str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }

    def check_ports(self) -> None:
        """Raises StackError naming the part, the port and the variable."""
        need_port("PostgreSQL", self.ports["SOHOA_PORT_POSTGRES"], "SOHOA_PORT_POSTGRES")
        need_port("Prefect", self.ports["SOHOA_PORT_PREFECT"], "SOHOA_PORT_PREFECT")
        if self.test_pki:
            need_port("PKI server", self.ports["SOHOA_PORT_PKI"], "SOHOA_PORT_PKI")
        need_port("metrics", self.ports["SOHOA_PORT_METRICS"], "SOHOA_PORT_METRICS")
        need_port("officer gateway", self.ports["SOHOA_PORT_GATEWAY"], "SOHOA_PORT_GATEWAY")
        if self.test_provider:
            need_port("TEST sign-in", self.ports["SOHOA_PORT_OIDC"], "SOHOA_PORT_OIDC")
        for port in self.seaweed().ports:
            need_port("SeaweedFS", port, "SOHOA_PORT_BASE")


def read_env(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file; empty when there is none."""
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#"))
    return {name.strip(): value for name, sep, value in pairs if sep}


def load_plan() -> Plan:
    """The plan of SOHOA_HOME. Ports: environment, else stack.env, else the defaults. Raises StackError."""
    folder = home().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{folder} can't be made ({error.strerror}); set SOHOA_HOME to a folder of yours") from error
    known = read_env(folder / "stack.env")
    before = dict(known)

    def port(name: str, default: int) -> int:
        text = os.environ.get(name) or known.get(name) or str(default)
        if not text.isdigit() or not 0 < int(text) < 65500:
            raise StackError(f"{name}={text} is no port; set it to a number between 1024 and 65000")
        return int(text)

    base = port("SOHOA_PORT_BASE", BASE)
    if str(base) != known.get("SOHOA_PORT_BASE"):  # a new base moves the ports that were counted from the old one
        for name in COUNTED:
            known.pop(name, None)
    ports = {
        "SOHOA_PORT_BASE": base,
        "SOHOA_PORT_POSTGRES": port("SOHOA_PORT_POSTGRES", base),
        "SOHOA_PORT_PKI": port("SOHOA_PORT_PKI", base + 1),
        "SOHOA_PORT_METRICS": port("SOHOA_PORT_METRICS", base + 3),
        "SOHOA_PORT_GATEWAY": port("SOHOA_PORT_GATEWAY", base + 4),
        "SOHOA_PORT_OIDC": port("SOHOA_PORT_OIDC", base + 5),
        "SOHOA_PORT_PREFECT": port("SOHOA_PORT_PREFECT", PREFECT_PORT),
    }
    return Plan(folder, ports, known, before)


def choose_prefect_port(plan: Plan) -> str | None:
    """At the first start: another port than 4200 when that is taken. Returns the line to show, or None."""
    if "SOHOA_PORT_PREFECT" in plan.known or os.environ.get("SOHOA_PORT_PREFECT"):
        return None
    try:
        need_port("Prefect", PREFECT_PORT, "SOHOA_PORT_PREFECT")
    except StackError:
        plan.ports["SOHOA_PORT_PREFECT"] = plan.ports["SOHOA_PORT_BASE"] + 2
        return f"port {PREFECT_PORT} is in use: Prefect gets port {plan.ports['SOHOA_PORT_PREFECT']}"
    return None
