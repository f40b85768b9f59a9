"""Real servers for the tests: PostgreSQL, SeaweedFS and the TEST PKI, started when the first test asks for them.

They live in a folder of their own on free ports, die with this process however it dies, and never touch ``var/``.
Fixtures: `postgres`, `new_database`, `database_url`, `records`, `owner`, `seaweed`, `objects`, `pki`;
`chromium` is the browser.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

for _name in [name for name in os.environ if name.startswith(("SOHOA_", "PREFECT_"))]:
    del os.environ[_name]
# As in the Makefile: the processes that tests start would each compile all modules anew (seconds of processor time).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_HOME = Path(tempfile.mkdtemp(prefix="sohoa-test-"))
_HOME.chmod(0o711)  # PostgreSQL runs as another user when we are root
os.environ |= {
    "SOHOA_HOME": str(_HOME),
    "SOHOA_ENVIRONMENT": "test",
    # The office's own names, without which nothing starts in production (blocks/settings).
    "SOHOA_UNIT_ID": "BHXH-TEST",
    "SOHOA_AGENCY_NAME": "BẢO HIỂM XÃ HỘI TỈNH (TEST)",
    "SOHOA_AGENCY_SYMBOL": "BHXH",
    "SOHOA_AGENCY_PLACE": "Hà Nội",
    "SOHOA_AGENCY_HEAD": "GIÁM ĐỐC",
    "PREFECT_HOME": str(_HOME / "prefect"),
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
}

from blocks.objects import ObjectStore  # noqa: E402  (after the environment)
from blocks.records import RecordsDatabase  # noqa: E402
from blocks.seals import ensure_seal_keys  # noqa: E402
from infra.local.pki import ensure_pki, tsa_url  # noqa: E402
from infra.local.postgres import Postgres  # noqa: E402
from infra.local.process import free_port, spawn, stop, wait_ready  # noqa: E402
from infra.local.roles import APP, GATEWAY, OWNER  # noqa: E402
from infra.local.seaweed import ADMIN_GRPC, COUNT, Seaweed  # noqa: E402

pytest_plugins = ["tests.attack.plugin", "tests.deployments.provider"]
ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "migrated"
ensure_seal_keys(_HOME)
# Files whose tests wait for crashes, kill in the middle, start stacks, go through years or read with torch: the lane
# `make test-all` (single ones elsewhere are marked `long`).
LONG = (
    "attack/test_environment.py", "attack/test_stack_parts.py", "attack/test_worker.py", "blocks/records/test_many.py",
    "blocks/records/test_million.py", "blocks/ocr/test_shared.py", "faults",
    "infra/test_sbom.py", "infra/test_wheel.py", "infra/training",
    "tasks/signing/test_tampering.py", "tasks/signing/test_years.py", "tasks/test_fuzz.py",
)  # fmt: skip
# The first one mostly waits, for crashes to be noticed.
LONGEST = ("faults/test_stack.py", "faults/test_signing.py", "tasks/signing/test_tampering.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lane of each file; the longest files first: with `-n` none of them is left running alone at the end."""
    long = [ROOT / "tests" / name for name in LONG]
    for item in items:
        if any(item.path == place or place in item.path.parents for place in long):
            item.add_marker(pytest.mark.long)
    places = {ROOT / "tests" / name: number - len(LONGEST) for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, 0))


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@dataclass(frozen=True)
class TestPki:
    """`folder`: keys/, certs/, officers.yml …; `url`: the server's root; `tsa`: its time-stamp service."""

    __test__ = False
    folder: Path
    url: str
    tsa: str


@pytest.fixture(scope="session")
def home() -> Path:
    """SOHOA_HOME of this test run."""
    return _HOME


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[Postgres]:
    """A PostgreSQL server without fsync."""
    server = Postgres(home / "postgres", free_port(), durable=False, parent_death=signal.SIGQUIT)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server of its own. Not Prefect's harness: at its end it waits, without a limit, for what earlier tests
    of the process have left unsent to servers that are gone."""
    import httpx
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    url = f"http://127.0.0.1:{(port := free_port())}/api"
    folder = tmp_path_factory.mktemp("prefect")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-services"]
    server = spawn(
        command, log=folder / "log", cwd=ROOT, env=env | {"PREFECT_HOME": str(folder)}, parent_death=signal.SIGKILL
    )
    try:
        ready = lambda: httpx.get(f"{url}/health", timeout=2).raise_for_status() and None  # noqa: E731
        wait_ready("Prefect", ready, server, folder / "log", 90)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_TO_API_ENABLED: False}):
            yield
    finally:
        stop(server)


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Call it for the address of a fresh, migrated, empty database, as flows get it (for fixtures of wider scope)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_DATABASE_URL", postgres.create_database(TEMPLATE))
        template = RecordsDatabase()
        template.migrate()
        template.engine.dispose()  # a template may have no connections

    def make() -> str:
        name = f"t_{secrets.token_hex(6)}"
        postgres.create_database(name, TEMPLATE)
        return postgres.url(name, APP)

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str], postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a database of this test alone, also in SOHOA_DATABASE_URL; dropped afterwards."""
    url = new_database()
    name = url.rpartition("/")[2]
    monkeypatch.setenv("SOHOA_DATABASE_URL", url)
    monkeypatch.setenv("SOHOA_DATABASE_OWNER_URL", postgres.url(name, OWNER))
    monkeypatch.setenv("SOHOA_DATABASE_GATEWAY_URL", postgres.url(name, GATEWAY))
    yield url
    RecordsDatabase().engine.dispose()
    for other in ("SOHOA_DATABASE_OWNER_URL", "SOHOA_DATABASE_GATEWAY_URL"):
        RecordsDatabase(url_env=other).engine.dispose()
    postgres.drop_database(name)


@pytest.fixture
def records(database_url: str) -> RecordsDatabase:
    """The records database of this test alone, migrated and empty, with the rights that flows have."""
    return RecordsDatabase()


@pytest.fixture
def owner(records: RecordsDatabase) -> RecordsDatabase:
    """The same database as its owner, who may switch guards off: for tests of what finds that out."""
    return RecordsDatabase(url_env="SOHOA_DATABASE_OWNER_URL")


@pytest.fixture(scope="session")
def seaweed(home: Path) -> Iterator[Seaweed]:
    """An object store without fsync; its address and keys are in SOHOA_S3_*."""
    ports = [free_port() for _ in range(COUNT)]
    while ports[COUNT // 2 - 1] + ADMIN_GRPC > 65535:
        ports[COUNT // 2 - 1] = free_port()
    ports[-1] = ports[COUNT // 2 - 1] + ADMIN_GRPC
    server = Seaweed(home / "seaweed", tuple(ports), durable=False, parent_death=signal.SIGKILL)
    try:
        server.start()
        os.environ["SOHOA_S3_ENDPOINT"] = server.endpoint
        os.environ["SOHOA_S3_ACCESS_KEY"] = server.access_key
        os.environ["SOHOA_S3_SECRET_KEY"] = server.secret_key
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def objects(seaweed: Seaweed) -> ObjectStore:
    """The object store with its buckets; shared by all tests, so use fresh ids in keys."""
    store = ObjectStore()
    store.ensure_buckets()
    return store


@pytest.fixture(scope="session")
def pki(home: Path) -> Iterator[TestPki]:
    """The TEST PKI with its server (OCSP, CRL, time-stamps); SOHOA_PKI_DIR, SOHOA_PKI_URL and SOHOA_TSA_URL are set."""
    import httpx

    port = free_port()
    made = TestPki(home / "pki", f"http://127.0.0.1:{port}", tsa_url(f"http://127.0.0.1:{port}"))
    ensure_pki(made.folder, made.url)
    log = home / "pki.log"
    server = spawn(
        [sys.executable, "-m", "infra.local.pki", "serve", "--dir", made.folder, "--port", str(port)],
        log=log,
        cwd=ROOT,
        env=os.environ,
        parent_death=signal.SIGKILL,
    )
    try:
        wait_ready("PKI server", lambda: httpx.get(made.url, timeout=2) and None, server, log, 60)
        os.environ |= {"SOHOA_PKI_DIR": str(made.folder), "SOHOA_PKI_URL": made.url, "SOHOA_TSA_URL": made.tsa}
        yield made
    finally:
        stop(server)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
