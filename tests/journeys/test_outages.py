"""What a dossier needs is away, one after the other: it waits by itself, without a process, and goes on by itself.

A real dossier on a real stack; the object store, PostgreSQL (the records' database and Prefect's own) and the
time-stamp service are the office's own, named in stack.env, and reached through a proxy that can be shut. The TEST
PKI's server (OCSP, CRL) is frozen. Minutes stand for the day: the pauses between two tries are seconds here
(SOHOA_OUTAGE_PAUSES), and so is the time for which Prefect's clients ask again (PREFECT_CLIENT_MAX_RETRIES). How the
pauses grow, and when it is given up, is proven in tests/tasks/pauses/test_outages.py.

One stack and one dossier serve all tests of this file, in their order.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import select

from blocks.objects import Bucket
from blocks.orchestrator import pause_key
from blocks.records.tables import AuditEntry, Decision, Document, Signature
from infra.local import roles
from infra.local.pki import tsa_url
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.seaweed import ADMIN_GRPC, COUNT, Seaweed
from infra.local.seaweed_access import ADMIN
from infra.worker.rescue import run_name
from tasks.pauses.outages import AWAITING, SERVICES
from tests.faults.proxy import FaultyProxy
from tests.faults.stack import Stack, free_base, until
from tests.journeys.test_restored import officers_of, stack_at, up
from tests.players.demo import outcome
from tests.players.officers import Officers, Sample
from tests.samples.__main__ import generate

PAUSES, PREFECT_RETRIES = "3,6", "2"
# What the desk says to a click while PostgreSQL is away, by which of the two it asks first.
LATER = ("Cơ sở dữ liệu hồ sơ tạm thời không phản hồi.", "Máy chủ điều phối tạm thời không phản hồi.")
DECISIONS = {"verification-1": "DUYET", "signoff-1": "KY", "seal-1": "KY_SO", "return-1": "DA_TRA"}


@dataclass
class Case:
    """The dossier, and what may be away: proxies, the server of the TEST PKI."""

    stack: Stack
    officers: Officers
    sample: Sample
    server: Postgres
    store: FaultyProxy
    records: FaultyProxy
    prefects: FaultyProxy
    clock: FaultyProxy

    @property
    def run(self) -> UUID:
        return UUID(self.sample.run_id)

    @property
    def page(self) -> str:
        dossier = self.officers.dossier(self.sample)
        assert dossier is not None
        return f"/ho-so/{dossier.id}"

    def state(self) -> str:
        return str(self.officers.prefect.run(self.run)["state_name"])

    def states(self) -> list[str]:
        """Names of the run's states, oldest first."""
        told = self.officers.prefect.call("GET", f"/flow_run_states/?flow_run_id={self.run}").json()
        return [state["name"] for state in sorted(told, key=lambda state: state["timestamp"])]

    def works(self) -> bool:
        """Does a process of the run exist?"""
        return any(named(pid) == run_name(self.run) for pid in self.stack.processes())

    def why(self) -> str:
        return f"{self.states()}\n{self.stack.log('worker')[-4000:]}"

    def arrives(self, key: str) -> None:
        """The run goes on by itself until it asks at this pause."""

        def asks() -> bool:
            path = f"/flow_runs/{self.run}/input/suspended-{key}-description"
            run = self.officers.prefect.run(self.run)
            return pause_key(run) == key and self.officers.prefect.call("GET", path).is_success

        until(asks, 300, self.why)

    def answer(self) -> None:
        assert self.officers.answer(self.sample, self.officers.prefect.run(self.run)), self.why()

    def row(self) -> tuple[str, str, int] | None:
        """(kind, stage, tries) of what the dossier waits for, read beside everything that is away."""
        with self.server.connect("sohoa") as superuser:
            query = "SELECT kind, stage, tries FROM waiting WHERE flow_run_id = %s"
            return superuser.execute(query, [self.run]).fetchone()

    def waits_for(self, code: str, tries: int = 2) -> None:
        """Put off `tries` times for it, without a process; the officer reads why."""

        def waits() -> bool:
            row = self.row()
            return row is not None and row[:2] == ("outage", code) and row[2] >= tries and self.state() == AWAITING

        def read() -> bool:
            told = self.officers.at_gateway("gq.01").http.get(self.page, headers={"accept": "text/html"})
            return told.status_code == 200 and wanted in told.text

        wanted = f"Hệ thống đang chờ {SERVICES[code]}; hồ sơ tự đi tiếp khi dịch vụ hoạt động lại"
        until(waits, 240, lambda: f"{self.row()} {self.why()}")
        until(read, 60, self.why)
        until(lambda: self.state() == AWAITING and not self.works(), 60, self.why)


def named(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """It takes connections and never answers; nobody who looks whether it lives sees a fault."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    # Not pytest's own folder, which is closed to others: PostgreSQL runs as another user when we are root.
    folder = Path(tempfile.mkdtemp(prefix="sohoa-outages-"))
    folder.chmod(0o711)
    [drawn] = generate(folder / "samples", only=("01-",))
    base = free_base()
    server = Postgres(
        folder / "postgres", free_port(), ("sohoa", "prefect"), durable=False, parent_death=signal.SIGQUIT
    )
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ending.callback(server.stop)
        server.start()
        seaweed = ending.enter_context(second_store(folder / "seaweed"))
        proxies = [FaultyProxy(port) for port in (seaweed.ports[0], server.port, server.port, base + 1)]
        for proxy in proxies:
            ending.enter_context(proxy)
        store, records, prefects, clock = proxies

        def url(database: str, role: str, proxy: FaultyProxy) -> str:
            return server.url(database, role).replace(f":{server.port}/", f":{proxy.port}/")

        stack = ending.enter_context(stack_at(folder / "var", base))
        stack.home.mkdir(mode=0o711)
        stack.env["SOHOA_OUTAGE_PAUSES"] = PAUSES
        lines = {
            "SOHOA_ENVIRONMENT": "test",
            "SOHOA_DATABASE_URL": url("sohoa", roles.APP, records),
            "SOHOA_DATABASE_OWNER_URL": url("sohoa", roles.OWNER, records),
            "SOHOA_DATABASE_GATEWAY_URL": url("sohoa", roles.GATEWAY, records),
            "SOHOA_DATABASE_READER_URL": url("sohoa", roles.READER, records),
            "SOHOA_PREFECT_DATABASE_URL": url("prefect", roles.PREFECT, prefects),
            "SOHOA_S3_ENDPOINT": f"http://127.0.0.1:{store.port}",
            "SOHOA_TSA_URL": tsa_url(f"http://127.0.0.1:{clock.port}"),
            "PREFECT_CLIENT_MAX_RETRIES": PREFECT_RETRIES,
        }
        for who, prefix in (("worker", ""), ("gateway", "GATEWAY_"), (ADMIN, "ADMIN_")):
            access, secret = seaweed.keys[who]
            lines |= {f"SOHOA_S3_{prefix}ACCESS_KEY": access, f"SOHOA_S3_{prefix}SECRET_KEY": secret}
        (stack.home / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        up(stack)
        made = Case(stack, officers_of(stack), Sample(drawn), server, *proxies)
        made.officers.hand_in(made.sample)
        yield made


@contextmanager
def second_store(folder: Path) -> Iterator[Seaweed]:
    """Another object store."""
    ports = [free_port() for _ in range(COUNT)]
    while ports[COUNT // 2 - 1] + ADMIN_GRPC > 65535:
        ports[COUNT // 2 - 1] = free_port()
    ports[-1] = ports[COUNT // 2 - 1] + ADMIN_GRPC
    store = Seaweed(folder, tuple(ports), durable=False, parent_death=signal.SIGKILL)
    try:
        store.start()
        yield store
    finally:
        store.stop()


def decisions(case: Case) -> list[tuple[str, str]]:
    """(stage, decision), read beside everything that is away."""
    with case.server.connect("sohoa") as superuser:
        return superuser.execute("SELECT stage, decision FROM decision ORDER BY decided_at").fetchall()


# -- (1) the object store ---------------------------------------------------------------------------------------------
def test_the_object_store_is_away_when_the_papers_are_to_be_captured(case: Case) -> None:
    until(lambda: case.officers.dossier(case.sample), 240, case.why)
    with case.store.away():
        case.waits_for("OBJECT_STORE_UNAVAILABLE")


# -- (2) PostgreSQL: the records and Prefect's own database -----------------------------------------------------------
def test_postgresql_is_away_while_papers_are_read(case: Case) -> None:
    """Longer than steps and Prefect's clients try: nobody can tell the run's state, its process ends all the same."""

    def reads() -> bool:
        with case.server.connect("sohoa") as superuser:
            return superuser.execute("SELECT 1 FROM signature").fetchone() is not None and case.works()

    until(reads, 240, case.why)
    with case.records.away(), case.prefects.away():
        until(lambda: not case.works(), 400, lambda: case.stack.log("worker")[-6000:])
    case.arrives("verification-1")
    assert not {"Failed", "Completed"} & set(case.states()), case.states()


def test_a_click_while_postgresql_is_away_is_answered_clearly_and_counts_once_when_it_is_there(case: Case) -> None:
    officer, place = case.officers.at_gateway("gq.01"), case.page
    page = officer.http.get(place, headers={"accept": "text/html"})
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    refuse = hidden | {"decision": "TRA_LAI", "reason": "Thiếu chữ ký."}
    form = case.officers._verification(case.sample)
    before = decisions(case)
    for away in ([case.records, case.prefects], [case.prefects]):
        with ExitStack() as ending:
            for proxy in away:
                ending.enter_context(proxy.away())
            for told in (
                officer.post(case.run, form),
                officer.http.post(f"{place}/quyet-dinh", data=refuse, headers={"accept": "text/html"}),
                officer.http.get(place, headers={"accept": "text/html"}),
            ):
                assert told.status_code == 503 and any(sentence in told.text for sentence in LATER), told.text
        assert decisions(case) == before
        until(lambda: officer.http.get(place, headers={"accept": "text/html"}).status_code == 200, 60)
        assert pause_key(case.officers.prefect.run(case.run)) == "verification-1"
    until(lambda: case.officers.answer(case.sample, case.officers.prefect.run(case.run)), 60, case.why)


# -- (3), (4) time-stamps and revocation ------------------------------------------------------------------------------
def test_revocation_and_then_time_stamps_are_away_when_the_agency_signs(case: Case) -> None:
    for key in ("signoff-1", "seal-1"):
        case.arrives(key)
        if key == "signoff-1":
            case.answer()
    with case.clock.away():
        with frozen(case.stack.pid("pki")):
            case.answer()
            case.waits_for("REVOCATION_UNAVAILABLE")
        case.waits_for("TIMESTAMP_UNAVAILABLE")


# -- what became of it ------------------------------------------------------------------------------------------------
def test_it_ends_signed_once_stored_once_and_nobody_was_asked_twice(case: Case) -> None:
    case.arrives("return-1")
    case.answer()
    until(lambda: case.state() == "Completed", 300, case.why)
    end = outcome(case.sample, case.officers, {case.sample.run_id: "COMPLETED"})
    assert end.right, end
    dossier = case.officers.dossier(case.sample)
    assert dossier is not None
    with case.officers.records.session() as session:
        papers = session.exec(select(Document).where(Document.dossier_id == dossier.id)).all()
        signed = session.exec(select(Signature).join(Document).where(Document.dossier_id == dossier.id)).all()
        trail = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier.id)).all()
        made = {d.stage: d.decision for d in session.exec(select(Decision).where(Decision.dossier_id == dossier.id))}
    assert made == DECISIONS and sum(entry.action == "decide" for entry in trail) == len(DECISIONS)
    roles_of = Counter((row.document_id, row.role) for row in signed)
    assert set(roles_of.values()) == {1} and all(row.valid for row in signed)
    stored = [paper for paper in papers if paper.record_key]
    assert stored
    for paper in stored:
        versions = [*case.officers.objects.versions(Bucket.RECORDS, str(paper.record_key))]
        assert versions == [paper.record_version], "stored once"
    assert {row.document_id for row in signed} == {paper.id for paper in stored}
    assert case.row() is None
    assert not {"Failed", "Cancelled"} & set(case.states()), case.states()
