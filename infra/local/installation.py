"""What the stack of one installation looks like: folders, ports, secrets, environment. Written to ``stack.env``,
secrets to a file for each part (infra/local/keys.py)."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from blocks.identity import PUBLIC_KEY_FILE, ensure_keys
from blocks.pins import ensure_pair
from blocks.seals import ensure_seal_keys
from blocks.settings import ROOT, home, read_env
from blocks.webhooks import PUBLIC_KEY as CALLBACK_PUBLIC_KEY
from blocks.webhooks import public_of
from infra.local.accounts import account, clear_temporary, hand_over
from infra.local.keys import DATABASES, EXTERNAL, Keys, is_secret, read_part, write_env
from infra.local.pki import tsa_url
from infra.local.postgres import Postgres
from infra.local.process import MARK, Account, StackError, need_port
from infra.local.production import WORD
from infra.local.seaweed import ADMIN_GRPC, COUNT, Seaweed

BASE = 24200
PREFECT_PORT = 4200
OS_USERS = "SOHOA_OS_USERS"  # `parts` or `one`
# Settings that an administrator may set in stack.env for servers of the office's own; else ours, at these ports.
OURS: dict[str, tuple[tuple[str, int], ...]] = {
    "SOHOA_PKI_DIR": (),
    "SOHOA_PKI_URL": (("SOHOA_PORT_PKI", 0),),
    "SOHOA_TSA_URL": (("SOHOA_PORT_PKI", 0),),
    "SOHOA_S3_ENDPOINT": (("SOHOA_PORT_BASE", 10),),
    **dict.fromkeys(DATABASES, (("SOHOA_PORT_POSTGRES", 0),)),
}
# Own settings of the stack that stack.env remembers.
COUNTED = ("SOHOA_PORT_POSTGRES", "SOHOA_PORT_PKI", "SOHOA_PORT_METRICS", "SOHOA_PORT_GATEWAY", "SOHOA_PORT_OIDC")


@dataclass
class Installation:
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

    @property
    def own_postgres(self) -> bool:
        """Whether PostgreSQL runs here; else SOHOA_DATABASE_URL names the office's own."""
        return not self.chosen("SOHOA_DATABASE_URL")

    @property
    def own_seaweed(self) -> bool:
        """Whether the object store runs here; else SOHOA_S3_ENDPOINT names the office's own."""
        return not self.chosen("SOHOA_S3_ENDPOINT")

    @property
    def keys(self) -> Keys:
        return Keys(self.home / "secrets", self.known, self.chosen)

    def chosen(self, name: str) -> str | None:
        """The administrator's own value of a setting that we else make ourselves; None: there is none.

        A line of stack.env that names our own part, at its old or new port, is one that we wrote.
        """
        value = self.known.get(name) or read_env(self.home / "secrets" / f"{EXTERNAL}.env").get(name)
        if not value or value == str(self.home / "pki"):
            return None
        before = self.before or self.known
        try:
            url = urlsplit(value)
            ours = {
                int(told[port]) + more for told in (before, self.ports) for port, more in OURS[name] if port in told
            }
            here = url.hostname == "127.0.0.1" and url.port in ours
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
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", MARK: str(self.home)}
        return Seaweed(self.home / "seaweed", ports, env=env)

    def variables(self) -> dict[str, str]:
        """The content of stack.env, in its order: no secret is among it."""
        pki_url = f"http://127.0.0.1:{self.ports['SOHOA_PORT_PKI']}"
        fresh = {
            "SOHOA_S3_ENDPOINT": f"http://127.0.0.1:{self.ports['SOHOA_PORT_BASE'] + 10}",
            "SOHOA_PKI_DIR": str(self.home / "pki"),
            "SOHOA_PKI_URL": pki_url,
            "SOHOA_TSA_URL": tsa_url(pki_url),
            CALLBACK_PUBLIC_KEY: public_of(self.keys.callbacks()),
            PUBLIC_KEY_FILE: str(self.home / "public" / "decisions.pub"),
            "PREFECT_API_URL": f"{self.prefect_url}/api",
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
            "PREFECT_WORKER_QUERY_SECONDS": "5",  # for what nobody tells the worker (infra/worker/run_listener.py)
            # Prefect's server answers 500 while PostgreSQL restarts: runs and worker then ask again.
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
            "PREFECT_CLIENT_MAX_RETRIES": "8",
            # Each client would ask first for the server's version (installed with it) and a token (it wants none).
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; who falls silent is lost (infra/worker/rescue.py)
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",  # deleted runs: run_faults
            "GX_ANALYTICS_ENABLED": "false",
            "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        }
        if not self.test_pki:  # the office's own; in production nothing of the TEST kind may stand in its place
            del fresh["SOHOA_PKI_DIR"], fresh["SOHOA_PKI_URL"]
        if not self.is_test:
            fresh.pop("SOHOA_TSA_URL")
        external = {name: value for name in OURS if name not in DATABASES and (value := self.chosen(name))}
        if bundle := self.known.get("SOHOA_CA_BUNDLE"):  # boto3 (S3); httpx and aiohttp (sign-in, CSC, time-stamps)
            external |= {"AWS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle}
        return {**chosen, **self.known, **fresh, **external}

    def write(self) -> list[str]:
        """Make the folders, stack.env (0644) and the parts' secrets, which are kept. Returns the names of secrets that
        were found in stack.env and moved."""
        clear_temporary(self.home)
        for folder in (self.run, self.logs, self.home / "prefect" / "storage"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.home / "inbox", self.home / "tokens"):
            folder.mkdir(exist_ok=True)
        for folder in (self.logs, self.home / "prefect", self.home / "inbox", self.home / "tokens"):
            folder.chmod(0o700)  # papers, results and what was done with them are nobody else's business
        public = self.home / "public"
        public.mkdir(mode=0o755, exist_ok=True)
        (public / "decisions.pub").write_bytes(ensure_keys(self.home / "gateway")[1].read_bytes())
        ensure_pair(self.home)
        ensure_seal_keys(self.home)
        keys = self.keys
        moved = keys.move()
        keys.write(self.postgres() if self.own_postgres else None, self.seaweed() if self.own_seaweed else None)
        title = "Settings of this installation, for all its parts: no secrets here (secrets/<part>.env)."
        write_env(self.env_file, self.variables(), title, 0o644)
        self.known = read_env(self.env_file)
        if self.own_users:
            references = [value.removeprefix("file:") for value in self.known.values() if value.startswith("file:")]
            hand_over(self.home, [self.home / name for name in references])
        return moved

    @property
    def own_users(self) -> bool:
        """Whether each part runs as an OS user of its own, as `make up` has found possible."""
        return os.geteuid() == 0 and self.known.get(OS_USERS) == "parts"

    def account(self, part: str) -> Account | None:
        """The OS user of a part; None: ours."""
        return account(part) if self.own_users else None

    def environment(self, part: str) -> dict[str, str]:
        """What a part gets: settings, its own secrets and nobody else's; these win over the shell's. The mark tells
        whose process it is."""
        shell = {
            name: value
            for name, value in os.environ.items()
            if (not name.startswith("PREFECT_") or name.startswith("PREFECT_LOGGING_")) and not is_secret(name, value)
        }
        shell.pop("PYTHONDONTWRITEBYTECODE", None)  # each flow run would compile the project anew
        return {
            **shell,
            **read_part(self.home, part),
            "SOHOA_HOME": str(self.home),
            "SOHOA_PART": part,
            MARK: str(self.home),
            "PREFECT_HOME": str(self.home / "parts" / part / "home" / "prefect"),
            "HOME": str(self.home / "parts" / part / "home"),
            "TMPDIR": str(self.home / "parts" / part / "tmp"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }

    def check_ports(self) -> None:
        """Raises StackError naming the part, the port and the variable."""
        if self.own_postgres:
            need_port("PostgreSQL", self.ports["SOHOA_PORT_POSTGRES"], "SOHOA_PORT_POSTGRES")
        need_port("Prefect", self.ports["SOHOA_PORT_PREFECT"], "SOHOA_PORT_PREFECT")
        if self.test_pki:
            need_port("PKI server", self.ports["SOHOA_PORT_PKI"], "SOHOA_PORT_PKI")
        need_port("metrics", self.ports["SOHOA_PORT_METRICS"], "SOHOA_PORT_METRICS")
        need_port("officer gateway", self.ports["SOHOA_PORT_GATEWAY"], "SOHOA_PORT_GATEWAY")
        if self.test_provider:
            need_port("TEST sign-in", self.ports["SOHOA_PORT_OIDC"], "SOHOA_PORT_OIDC")
        for port in self.seaweed().ports if self.own_seaweed else ():
            need_port("SeaweedFS", port, "SOHOA_PORT_BASE")


def load_installation() -> Installation:
    """The installation of SOHOA_HOME. Ports: environment, else stack.env, else the defaults. Raises StackError."""
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
    return Installation(folder, ports, known, before)


def choose_prefect_port(installation: Installation) -> str | None:
    """At the first start: another port than 4200 when that is taken. Returns the line to show, or None."""
    if "SOHOA_PORT_PREFECT" in installation.known or os.environ.get("SOHOA_PORT_PREFECT"):
        return None
    try:
        need_port("Prefect", PREFECT_PORT, "SOHOA_PORT_PREFECT")
    except StackError:
        installation.ports["SOHOA_PORT_PREFECT"] = installation.ports["SOHOA_PORT_BASE"] + 2
        return f"port {PREFECT_PORT} is in use: Prefect gets port {installation.ports['SOHOA_PORT_PREFECT']}"
    return None
