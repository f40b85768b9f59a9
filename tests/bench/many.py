"""`make bench-many`: 100,000 filed dossiers and 1,000 that wait: how soon each view answers, what a new dossier costs.

Two databases on a server of their own, one filled (tests/bench/multiply.py), one empty but for a dossier. The views are
asked for at the real gateway in this process. New dossiers go through all their steps (tests/bench/walk.py), by turns
in the one and in the other; what counts is the time in the database, statements and commits, by step, and the
processor time of PostgreSQL. It runs without fsync, which costs the same in both and would hide differences.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="sohoa-many-"))
os.environ |= {
    "SOHOA_HOME": str(HOME), "SOHOA_ENVIRONMENT": "test", "PREFECT_HOME": str(HOME / "prefect"),
    "PREFECT_LOGGING_LEVEL": "WARNING", "DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false",
    "SOHOA_INBOX_DIR": str(HOME / "inbox"),
}  # fmt: skip
HOME.chmod(0o711)  # PostgreSQL runs as another user when we are root

from rich.console import Console  # noqa: E402  (after the environment)
from rich.table import Table  # noqa: E402
from sqlmodel import select  # noqa: E402

from blocks.catalog import Catalog  # noqa: E402
from blocks.catalog.staff import Role, load_staff  # noqa: E402
from blocks.objects import ObjectStore  # noqa: E402
from blocks.records import RecordsDatabase  # noqa: E402
from blocks.records.audit import verify_chain  # noqa: E402
from blocks.records.codes import vietnam_day  # noqa: E402
from blocks.records.tables import Dossier  # noqa: E402
from blocks.seals import ensure_seal_keys  # noqa: E402
from blocks.settings import ROOT  # noqa: E402
from deployments.metrics import Sohoa  # noqa: E402
from infra.local.pki import ensure_pki, tsa_url  # noqa: E402
from infra.local.postgres import Postgres  # noqa: E402
from infra.local.process import free_port, spawn, stop, wait_ready  # noqa: E402
from infra.local.roles import APP, GATEWAY  # noqa: E402
from infra.local.seaweed import ADMIN_GRPC, COUNT, Seaweed  # noqa: E402
from tasks.desk_views.worklist import worklist  # noqa: E402
from tasks.monitoring.deadlines import due  # noqa: E402
from tasks.monitoring.reminders import to_remind  # noqa: E402
from tests.bench.cpu import by_part  # noqa: E402
from tests.bench.multiply import multiply  # noqa: E402
from tests.bench.walk import Clock, walk  # noqa: E402
from tests.deployments.desk import GATEWAY_URL, Gateway, make_gateway  # noqa: E402

VIEW_MS, DEARER = 200, 1.10  # goals
EMPTY, FILLED, SERVER = "empty", "filled", "PostgreSQL"
HERE = "BHXH-TEST"
DEAREST, CUT = 8, 400  # statements that are told, characters of each
ROLES = {"gq.01": Role.RESOLVE, "ld.01": Role.LEAD, "tnhs.01": Role.RECEIVE, "vt.01": Role.SEAL}
ALL = {(unit, role.value) for unit in (HERE, "BHXH-KHAC") for role in ROLES.values()}
console = Console(width=120)


def store_ports() -> tuple[int, ...]:
    """The last one lies above another by what SeaweedFS wants."""
    ports = [free_port() for _ in range(COUNT)]
    while ports[COUNT // 2 - 1] + ADMIN_GRPC > 65535:
        ports[COUNT // 2 - 1] = free_port()
    return (*ports[:-1], ports[COUNT // 2 - 1] + ADMIN_GRPC)


@contextmanager
def servers() -> Iterator[Postgres]:
    """PostgreSQL, object store and TEST PKI of this run; the settings point to them."""
    ensure_seal_keys(HOME)
    postgres = Postgres(HOME / "postgres", free_port(), durable=False)
    store = Seaweed(HOME / "seaweed", store_ports(), durable=False)
    port = free_port()
    ensure_pki(HOME / "pki", f"http://127.0.0.1:{port}")
    os.environ |= {
        "SOHOA_PKI_DIR": str(HOME / "pki"), "SOHOA_PKI_URL": f"http://127.0.0.1:{port}",
        "SOHOA_TSA_URL": tsa_url(f"http://127.0.0.1:{port}"),
    }  # fmt: skip
    command = [sys.executable, "-m", "infra.local.pki", "serve", "--dir", HOME / "pki", "--port", str(port)]
    log = HOME / "pki.log"
    pki = spawn(command, log=log, cwd=ROOT, env=os.environ)
    try:
        wait_ready("PKI server", lambda: None, pki, log, 60)
        postgres.start()
        store.start()
        os.environ |= {
            "SOHOA_S3_ENDPOINT": store.endpoint, "SOHOA_S3_ACCESS_KEY": store.access_key,
            "SOHOA_S3_SECRET_KEY": store.secret_key,
        }  # fmt: skip
        ObjectStore().ensure_buckets()
        yield postgres
    finally:
        with suppress(Exception):
            RecordsDatabase().engine.dispose()
        stop(pki)
        store.stop()
        postgres.stop()


def use(postgres: Postgres, name: str) -> RecordsDatabase:
    """From now on flows and gateway have this database."""
    os.environ |= {"SOHOA_DATABASE_URL": postgres.url(name, APP), GATEWAY_URL: postgres.url(name, GATEWAY)}
    return RecordsDatabase()


# -- views ----------------------------------------------------------------------------------------------------------
def views(gateway: Gateway, records: RecordsDatabase) -> dict[str, Callable[[], object]]:
    """What is looked at, by name."""
    browsers = {who: gateway.signed_in(who, {(HERE, role.value)}) for who, role in ROLES.items()}
    everywhere = gateway.signed_in("tat.ca", ALL)

    def page(path: str, who: str = "") -> Callable[[], object]:
        browser = browsers[who] if who else everywhere

        def ask() -> str:
            answer = browser.get(path, headers={"accept": "text/html"})
            assert answer.status_code in (200, 303, 404), (path, answer.status_code)
            return answer.text

        return ask

    path = "/viec"
    pages = [path]
    while "tiep=" in (text := str(page(path)())):
        path = "/viec?tiep=" + text.split("tiep=", 1)[1].split('"')[0].split("&")[0]
        pages.append(path)
    middle = pages[len(pages) // 2]
    with records.session() as session:
        code = session.exec(select(Dossier.code).where(Dossier.unit_id == HERE).limit(1)).one() or ""
    trail = gateway.signed_in("kt.01", {(HERE, Role.AUDIT.value)})

    def reminders() -> None:
        for rows in to_remind(records):
            worklist(records, Catalog(), rows)

    def deadlines() -> None:
        with records.session() as session:
            due(session, Catalog(), vietnam_day())

    asked = {
        f"worklist of all units and roles, page 1 of {len(pages)}": page("/viec"),
        f"… page {len(pages) // 2 + 1} of {len(pages)}": page(middle),
        **{f"worklist of {who} ({role.value}), {HERE}": page("/viec", who) for who, role in ROLES.items()},
        "worklist, one step": page("/viec?buoc=verification"),
        "search, a whole code": page(f"/tim?ma={code}"),
        "search, a part of codes": page(f"/tim?ma={code[-6:]}"),
        "search, a part that no code has": page("/tim?ma=khong-co"),
        "incidents": page("/su-co"),
        "trail": lambda: trail.get("/nhat-ky").status_code,
    }
    looks = {"look: reminders": reminders, "look: deadlines": deadlines, "look: metrics": lambda: figures(records)}
    return asked | looks


def figures(records: RecordsDatabase) -> None:
    list(Sohoa()._records())


def milliseconds(ask: Callable[[], object], times: int = 9) -> tuple[float, float]:
    """(median, slowest) after a first time."""
    ask()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found), max(found)


# -- a new dossier --------------------------------------------------------------------------------------------------
def new_dossiers(postgres: Postgres, objects: ObjectStore, rounds: range) -> dict[str, list[tuple[Clock, float]]]:
    """By turns; of each its clock and PostgreSQL's processor seconds."""
    found: dict[str, list[tuple[Clock, float]]] = {EMPTY: [], FILLED: []}
    for number in rounds:
        for name in (EMPTY, FILLED)[:: 1 if number % 2 else -1]:
            records = use(postgres, name)
            before = by_part(os.getpid())[SERVER]
            _, clock = walk(records, objects, HOME / "samples", 100 + 2 * number + (name == FILLED))
            found[name].append((clock, by_part(os.getpid())[SERVER] - before))
    return found


def tell_dossiers(found: dict[str, list[tuple[Clock, float]]]) -> None:
    """Of the seconds in the database the least of all rounds: other work on the machine only adds to them."""

    def least(name: str, of: Callable[[Clock], float]) -> float:
        return min(of(clock) for clock, _ in found[name])

    first = found[FILLED][0][0]
    table = Table("A new dossier", "statements", "empty, ms", "filled, ms", "filled / empty")

    def row(label: str, asked: str, empty: float, filled: float) -> None:
        ratio = f"{filled / empty:.2f}" if empty else "–"
        table.add_row(label, asked, f"{empty * 1000:.1f}", f"{filled * 1000:.1f}", ratio)

    whole = dict.fromkeys((EMPTY, FILLED), 0.0)
    for step, asked in first.asked.items():
        both = {name: least(name, lambda clock, step=step: clock.seconds[step]) for name in whole}  # type: ignore[misc]
        whole = {name: whole[name] + seconds for name, seconds in both.items()}
        row(step, f"{asked}", both[EMPTY], both[FILLED])
    row("all steps, in the database", f"{sum(first.asked.values())}", whole[EMPTY], whole[FILLED])
    server = {name: statistics.mean(seconds for _, seconds in found[name]) for name in whole}
    row("PostgreSQL's processor time, mean", "", server[EMPTY], server[FILLED])
    least_own = {name: least(name, lambda clock: clock.own) for name in whole}
    cost = {name: least_own[name] + server[name] for name in whole}
    row("[bold]processor time of steps and PostgreSQL[/]", "", cost[EMPTY], cost[FILLED])
    table.add_row("goal", "", "", "", f"{DEARER:.2f}")
    console.print(table)
    dearer = {
        text: least(FILLED, lambda c, t=text: c.statements[t]) - least(EMPTY, lambda c, t=text: c.statements[t])  # type: ignore[misc]
        for text in first.statements
    }
    for text in sorted(dearer, key=lambda t: -dearer[t])[:DEAREST]:
        console.print(f"+ {dearer[text] * 1000:.1f} ms: {' '.join(text.split())[:CUT]}", markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.many", description=__doc__)
    parser.add_argument("--filed", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="new dossiers in each database")
    chosen = parser.parse_args()
    try:
        with servers() as postgres:
            measure(postgres, chosen)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


def measure(postgres: Postgres, chosen: argparse.Namespace) -> None:
    """Fill, ask, play, tell."""
    objects = ObjectStore()
    for name in (EMPTY, FILLED):
        os.environ["SOHOA_DATABASE_URL"] = postgres.create_database(name)
        RecordsDatabase().migrate()
    walk(use(postgres, EMPTY), objects, HOME / "samples", 1)
    records = use(postgres, FILLED)
    filed, _ = walk(records, objects, HOME / "samples", 2)
    waits, _ = walk(records, objects, HOME / "samples", 3, "verification-1")
    began = time.monotonic()
    with postgres.connect(FILLED) as database:
        multiply(database, filed, waits, chosen.filed, chosen.waiting)
        sizes = dict(database.execute("SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r'"))
        whole = database.execute("SELECT pg_size_pretty(pg_database_size(%s))", [FILLED]).fetchone()
    with records.session() as session:
        assert verify_chain(session, newest=5000) == []
    rows = ", ".join(f"{sizes[one]:,} {one}" for one in ("dossier", "document", "auditentry", "archivedobject"))
    console.print(f"filled in {time.monotonic() - began:.0f} s: {rows}, waiting {sizes['waiting']:,}; {whole[0]}")
    os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"  # it isn't there, and no view asks it
    gateway = make_gateway(records, HOME, postgres)
    del os.environ["PREFECT_API_URL"]
    gc.collect()
    gc.freeze()  # the steps' models are in this process, not in a gateway's: looking through them took half a second
    table = Table("View", "empty, ms", "filled, ms", "slowest of 9, ms")
    with use_staff():
        asked = {name: views(gateway, use(postgres, name)) for name in (EMPTY, FILLED)}
        times: dict[str, list[tuple[float, float]]] = {}
        for name, all_views in asked.items():
            use(postgres, name)
            for ask, shown in zip(all_views.values(), asked[FILLED], strict=True):
                times.setdefault(shown, []).append(milliseconds(ask))
        for view, (empty, filled) in times.items():
            table.add_row(view, f"{empty[0]:.0f}", f"{filled[0]:.0f}", f"{filled[1]:.0f}")
    table.add_row("goal", "", f"{VIEW_MS}", f"{VIEW_MS}")
    console.print(table)
    new_dossiers(postgres, objects, range(1))  # both warm
    tell_dossiers(new_dossiers(postgres, objects, range(1, 1 + chosen.rounds)))


@contextmanager
def use_staff() -> Iterator[None]:
    """The test list and one who does everything in two units."""
    import yaml

    from blocks.catalog.staff import TEST_STAFF

    listed = yaml.safe_load(TEST_STAFF.read_text(encoding="utf-8"))
    roles = [role.value for role in ROLES.values()]
    listed["staff"].append({"id": "tat.ca", "units": [HERE, "BHXH-KHAC"], "roles": roles, "valid_from": "2020-01-01"})
    (HOME / "staff.yaml").write_text(yaml.safe_dump(listed, allow_unicode=True), encoding="utf-8")
    os.environ["SOHOA_STAFF_FILE"] = str(HOME / "staff.yaml")
    try:
        assert load_staff().of("tat.ca", vietnam_day())
        yield
    finally:
        del os.environ["SOHOA_STAFF_FILE"]


if __name__ == "__main__":
    main()
