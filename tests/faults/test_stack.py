"""The stack under fire: killed parts, second starts, taken ports, a full disk; and its warm worker.

One stack serves all tests of this file, in their order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from secrets import token_hex
from uuid import UUID

import boto3
import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from prefect import flow, get_client

from blocks.catalog import Catalog
from blocks.orchestrator import PrefectUnavailable
from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown
from blocks.records.states import DossierState
from blocks.records.tables import Dossier
from infra.local.keys import read_part
from infra.local.process import StackError, alive, free_port
from infra.worker.fork_server import COMM
from infra.worker.rescue import MOST_RESCUES, RESCHEDULED, Rescue
from tasks.monitoring.run_faults import KEEP_DONE_RUNS, faults, tidy
from tasks.pauses.outages import AWAITING
from tasks.prefect_task import step
from tests.faults.stack import SILENT_SECONDS, Stack, make_stack, until

SERVERS = ("postgres", "seaweed", "pki", "prefect", "worker")


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    with make_stack(home / "stack") as made:
        made.up()
        yield made


@pytest.fixture
def marks(home: Path) -> Path:
    """A folder that the worker may write to, whoever it runs as."""
    folder = home / f"marks-{token_hex(6)}"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def executions(folder: Path, name: str) -> list[int]:
    """Process ids in which a task really ran."""
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def database(stack: Stack) -> psycopg.Connection:
    url = read_part(stack.home, "owner")["SOHOA_DATABASE_URL"]
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def acknowledged(write: Callable[[], object]) -> bool:
    """Has the server taken the write? One that was killed a moment ago may still accept a connection."""
    try:
        write()
    except (psycopg.Error, BotoCoreError, ClientError, OSError):
        return False
    return True


# -- the worker -----------------------------------------------------------------------------------------------------
def test_prefect_hears_of_a_runs_steps_and_whose_it_is(stack: Stack, marks: Path) -> None:
    """By events: signs of life come the same way, and a worker takes care of the runs that are labelled as its own."""
    run = stack.start_run(folder=str(marks))
    stack.wait_state(run, "Completed")
    assert stack.prefect.run(run)["labels"]["prefect.worker.name"] == "sohoa-worker"
    steps = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    until(lambda: stack.prefect.call("POST", "/task_runs/count", steps).json() == 2, 60)
    assert "failed to process item" not in stack.log("worker")


def test_each_run_is_a_process_of_its_own_with_its_pid_known(stack: Stack, marks: Path) -> None:
    runs = [stack.start_run(folder=str(marks)) for _ in range(2)]
    for run in runs:
        stack.wait_state(run, "Completed")
    pids = executions(marks, "first")
    assert len(set(pids)) == 2
    assert {int(stack.prefect.run(run)["infrastructure_pid"]) for run in runs} == set(pids)
    assert stack.pid("worker") not in pids


def test_a_suspended_run_resumes_and_finished_tasks_come_from_the_cache(stack: Stack, marks: Path) -> None:
    run = stack.start_run(folder=str(marks), ask=True)
    stack.wait_state(run, "Suspended")
    first = executions(marks, "first")
    until(lambda: not alive(first[0]))  # the worker is free while officers think
    stack.prefect.resume(run, {"decision": "APPROVE"})
    stack.wait_state(run, "Completed")
    assert executions(marks, "first") == first
    assert executions(marks, "last") not in ([], first)


def test_a_run_that_dies_is_reported_as_crashed(stack: Stack) -> None:
    run = stack.start_run(die=int(signal.SIGKILL))
    stack.wait_state(run, "Crashed")


def test_a_run_that_crashed_goes_on_where_it_was(stack: Stack, marks: Path) -> None:
    run = stack.start_run(folder=str(marks), die=int(signal.SIGKILL), times=1)
    stack.wait_state(run, "Crashed")
    stack.wait_state(run, "Completed")
    assert len(executions(marks, "first")) == len(executions(marks, "last")) == 1


def test_a_run_that_always_dies_is_tried_once_an_hour_in_the_end(stack: Stack) -> None:
    """The rescues are counted in the run's own history."""
    run = stack.start_run(die=int(signal.SIGKILL))
    for _ in range(MOST_RESCUES):
        stack.wait_state(run, "Crashed")
        assert asyncio.run(may_go_on(stack, run)) is None  # not at once
        body = {"state": {"type": "SCHEDULED", "name": RESCHEDULED}, "force": True}
        stack.prefect.call("POST", f"/flow_runs/{run}/set_state", body).raise_for_status()
    stack.wait_state(run, "Crashed")
    assert asyncio.run(may_go_on(stack, run)) is False
    assert asyncio.run(may_go_on(stack, run, later=timedelta(minutes=59))) is False
    assert asyncio.run(may_go_on(stack, run, later=timedelta(minutes=61))) is True


def test_a_service_that_is_away_is_waited_for_without_a_process_and_without_a_person(stack: Stack, marks: Path) -> None:
    """A port where nothing listens for a while: the run is put off again and again, then goes on where it was."""
    port = free_port()
    run = stack.start_run(folder=str(marks), service=f"http://127.0.0.1:{port}/")
    until(lambda: any(state["name"] == AWAITING for state in history(stack, run)))
    told = next(state for state in history(stack, run) if state["name"] == AWAITING)
    assert "Hệ thống đang chờ" in told["message"] and told["type"] == "SCHEDULED"

    def waited() -> int:
        states = stack.prefect.call("GET", f"/flow_run_states/?flow_run_id={run}").json()
        return sum(state["name"] == AWAITING for state in states)

    until(lambda: waited() >= 3)
    until(lambda: not any(f"PREFECT__FLOW_RUN_ID={run}" in environment(pid) for pid in stack.processes()))
    assert run not in {item["flow_run"] for item in faulty(stack)}
    with served(port):
        stack.wait_state(run, "Completed")
    assert len(executions(marks, "first")) == len(executions(marks, "last")) == 1


def environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def faulty(stack: Stack) -> list[dict[str, str]]:
    return [{"flow_run": r["id"]} for r in stack.prefect.runs(state={"type": {"any_": ["FAILED", "CRASHED"]}})]


@contextmanager
def served(port: int) -> Iterator[None]:
    """A service that answers 200 to everybody."""
    server = HTTPServer(("127.0.0.1", port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


async def may_go_on(stack: Stack, run: str, later: timedelta = timedelta()) -> bool | None:
    """What a worker thinks of a crashed run: again, not for an hour (False), or not yet (None)."""
    with stack.connected():
        async with get_client() as client:
            rescue = Rescue(client, "sohoa", "sohoa-worker", lambda _: False, logging.getLogger())
            crashed, rescues = await client.read_flow_run(UUID(run)), await rescue.rescues(UUID(run))
            assert crashed.state is not None
            crashed.state.timestamp -= later
            if rescues >= MOST_RESCUES:
                return rescue.is_due(crashed, rescues)
            return True if rescue.is_due(crashed, 0) else None


def test_a_run_that_falls_silent_goes_on_where_it_was_and_a_suspended_one_is_left_alone(
    stack: Stack, marks: Path
) -> None:
    """Its process is frozen: it lives, reports nothing and would hold its place for ever."""
    for name in ("working", "waiting"):
        (marks / name).mkdir()
        (marks / name).chmod(0o777)
    working = stack.start_run(folder=str(marks / "working"), seconds=SILENT_SECONDS + 45)  # long, but not silent
    waiting = stack.start_run(folder=str(marks / "waiting"), ask=True)
    stack.wait_state(waiting, "Suspended")
    suspended_at = time.monotonic()
    run = stack.start_run(folder=str(marks), seconds=15)
    until((marks / "kept").exists)
    (frozen,) = executions(marks, "first")
    os.kill(frozen, signal.SIGSTOP)
    until(lambda: not alive(frozen), SILENT_SECONDS + 60, lambda: stack.log("worker")[-3000:])
    stack.wait_state(run, "Completed")
    assert [state["name"] for state in history(stack, run)].count("Crashed") == 1
    assert executions(marks, "first") == [frozen] and len(executions(marks, "last")) == 1
    stack.wait_state(working, "Completed")
    assert len(executions(marks / "working", "first")) == 1  # nobody took it for dead
    assert time.monotonic() - suspended_at > SILENT_SECONDS
    assert [state["name"] for state in history(stack, waiting)][-2:] == ["Running", "Suspended"]
    stack.prefect.resume(waiting, {"decision": "APPROVE"})
    stack.wait_state(waiting, "Completed")


def test_a_suspended_run_that_was_declared_lost_asks_again(stack: Stack, marks: Path) -> None:
    """Its process was killed while it left, or somebody said so: the officer still finds the question."""
    run = stack.start_run(folder=str(marks), ask=True)
    stack.wait_state(run, "Suspended")
    asked = f"/flow_runs/{run}/input/suspended-verification-1-schema"
    until(lambda: stack.prefect.call("GET", asked).is_success)  # Prefect keeps the question after the state
    body = {"state": {"type": "CRASHED", "name": "Crashed"}}
    stack.prefect.call("POST", f"/flow_runs/{run}/set_state", body).raise_for_status()
    assert stack.state(run) == "Crashed"
    stack.wait_state(run, "Suspended")
    until(lambda: stack.prefect.call("GET", asked).is_success)
    stack.prefect.resume(run, {"decision": "APPROVE"})
    stack.wait_state(run, "Completed")
    assert len(executions(marks, "first")) == len(executions(marks, "last")) == 1


def test_an_outside_service_is_asked_again_after_a_pause_bad_input_never(stack: Stack) -> None:
    """The steps' retry policy on a real server; by cause: tests/tasks/test_prefect_task.py."""
    tries: dict[str, list[float]] = {"outside": [], "input": []}

    @step("outside")
    def outside() -> int:
        tries["outside"].append(time.monotonic())
        if len(tries["outside"]) == 1:
            raise PrefectUnavailable()
        return len(tries["outside"])

    @step("input")
    def bad_input() -> None:
        tries["input"].append(time.monotonic())
        raise DossierUnknown()

    @flow(name="tries")
    def tried() -> int:
        assert bad_input(return_state=True).is_failed()
        return outside()

    with stack.connected():
        assert tried() == 2
    first, second = tries["outside"]
    assert 1 < second - first < 30 and len(tries["input"]) == 1


def test_the_watch_sees_failed_runs_of_services_until_one_goes_well(stack: Stack) -> None:
    known = read_part(stack.home, "worker")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SOHOA_DATABASE_URL", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
            patch.setenv(name, known[name])
        run = stack.start_run(die=int(signal.SIGKILL))
        stack.wait_state(run, "Crashed")
        assert faults(RecordsDatabase(), stack.prefect, Catalog()) == {("SERVICE_FAILED", None): {"flow_runs": [run]}}
        stack.wait_state(stack.start_run(), "Completed")
        assert faults(RecordsDatabase(), stack.prefect, Catalog()) == {}
        RecordsDatabase().engine.dispose()


def test_completed_runs_of_ended_dossiers_are_deleted_after_a_while_and_no_others(stack: Stack) -> None:
    """However old: a dossier that is open, or whose run failed, keeps its run."""
    prefect, now = stack.prefect, datetime.now(UTC)
    flow = prefect.call("POST", "/flows/", {"name": "dossier"}).json()["id"]

    def ran(ended: str, state: DossierState) -> str:
        made = prefect.call("POST", "/flow_runs/", {"flow_id": flow, "state": {"type": ended}}).raise_for_status()
        with records.session() as session:
            dossier = Dossier(submission=token_hex(16), unit_id="BHXH-TEST", procedure_code="1.001667", state=state)
            dossier.flow_run_id = UUID(made.json()["id"])
            session.add(dossier)
        return str(made.json()["id"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_DATABASE_URL", read_part(stack.home, "worker")["SOHOA_DATABASE_URL"])
        records = RecordsDatabase()
        archived, refused = (ran("COMPLETED", end) for end in (DossierState.LUU_TRU, DossierState.TU_CHOI_TIEP_NHAN))
        stay = {ran("COMPLETED", DossierState.SO_HOA), ran("FAILED", DossierState.SO_HOA)}
        stay |= {ran("CANCELLED", DossierState.DA_CHUYEN), ran("CRASHED", DossierState.CO_KET_QUA)}
        stay |= {ran("PAUSED", DossierState.THAM_DINH), ran("SCHEDULED", DossierState.SO_HOA)}
        assert tidy(records, prefect, now + KEEP_DONE_RUNS - timedelta(hours=1)) == 0
        assert tidy(records, prefect, now + KEEP_DONE_RUNS + timedelta(hours=1)) == 2
        left = {run["id"] for run in prefect.runs(flow="dossier")}
        assert left == stay and not {archived, refused} & left
        for run in stay:
            prefect.call("DELETE", f"/flow_runs/{run}")
        records.engine.dispose()


def history(stack: Stack, run: str) -> list[dict[str, str]]:
    """The states of a run, oldest first."""
    found: list[dict[str, str]] = stack.prefect.call("GET", f"/flow_run_states/?flow_run_id={run}").json()
    return sorted(found, key=lambda state: state["timestamp"])


def test_cancelling_ends_the_process(stack: Stack, marks: Path) -> None:
    run = stack.start_run(folder=str(marks), seconds=120)
    until(lambda: executions(marks, "first"))
    body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    assert stack.prefect.call("POST", f"/flow_runs/{run}/set_state", body).status_code in (200, 201)
    stack.wait_state(run, "Cancelled")
    until(lambda: not alive(executions(marks, "first")[0]))


def test_no_more_runs_at_once_than_cores(stack: Stack, marks: Path) -> None:
    limit = os.cpu_count() or 2
    runs = [stack.start_run(seconds=3) for _ in range(limit + 2)]
    most = 0

    def done() -> bool:
        nonlocal most
        states = [stack.state(run) for run in runs]
        most = max(most, states.count("Running"))
        return states.count("Completed") == len(runs)

    until(done)
    assert most <= limit


# -- killed parts ---------------------------------------------------------------------------------------------------
def test_a_killed_part_comes_back_and_what_was_acknowledged_is_there(stack: Stack, marks: Path) -> None:
    """kill -9 of each part in turn; a waiting dossier, a row and an object survive."""
    known = read_part(stack.home, "setup")
    s3 = boto3.client(
        "s3",
        endpoint_url=known["SOHOA_S3_ENDPOINT"],
        aws_access_key_id=known["SOHOA_S3_ACCESS_KEY"],
        aws_secret_access_key=known["SOHOA_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    waiting = stack.start_run(folder=str(marks), ask=True)
    stack.wait_state(waiting, "Suspended")
    with database(stack) as connection:
        connection.execute("CREATE TABLE kept (n int)")

    def insert(number: int) -> None:
        with database(stack) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [number])

    def put(number: int) -> None:
        s3.put_object(Bucket="probe", Key=f"kept-{number}", Body=b"%d" % number)

    for number, part in enumerate(SERVERS):
        until(lambda number=number: acknowledged(lambda: insert(number)))
        until(lambda number=number: acknowledged(lambda: put(number)))
        old = stack.pid(part)
        os.kill(old, signal.SIGKILL)
        until(lambda old=old: not alive(old))
    stack.up()
    assert stack.command("status")[0] == 0
    with database(stack) as connection:
        rows = connection.execute("SELECT DISTINCT n FROM kept ORDER BY n").fetchall()
    assert rows == [(number,) for number in range(len(SERVERS))]
    for number in range(len(SERVERS)):
        assert s3.get_object(Bucket="probe", Key=f"kept-{number}")["Body"].read() == b"%d" % number
    stack.prefect.resume(waiting, {"decision": "APPROVE"})
    stack.wait_state(waiting, "Completed")


def test_a_run_lost_with_its_worker_goes_on_where_it_was(stack: Stack, marks: Path) -> None:
    """kill -9 of worker and flow run: scheduled again, finished tasks not repeated."""
    run = stack.start_run(folder=str(marks), seconds=8)
    until((marks / "kept").exists)
    (child,) = executions(marks, "first")
    until(lambda: stack.prefect.run(run)["infrastructure_pid"])
    assert Path(f"/proc/{child}/comm").read_text().startswith(COMM)
    os.kill(stack.pid("worker"), signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    stack.wait_state(run, "Completed")
    assert executions(marks, "first") == [child]
    assert len(executions(marks, "last")) == 1


def test_a_run_goes_on_after_its_worker_was_told_to_stop(stack: Stack, marks: Path) -> None:
    """SIGTERM, as `make down` sends it: the run is not reported as crashed."""
    run = stack.start_run(folder=str(marks), seconds=6)
    until((marks / "kept").exists)
    os.kill(stack.pid("worker"), signal.SIGTERM)
    until(lambda: not alive(executions(marks, "first")[0]))
    stack.wait_state(run, "Completed")
    assert len(executions(marks, "first")) == len(executions(marks, "last")) == 1


def test_a_killed_supervisor_leaves_nothing_behind(stack: Stack, marks: Path) -> None:
    """`up` ends what it left, keeps the secrets, and a run in the middle goes on."""
    run = stack.start_run(folder=str(marks), seconds=6)
    until((marks / "kept").exists)
    known = read_part(stack.home, "worker")
    old = stack.pid("supervisor")
    os.kill(old, signal.SIGKILL)
    until(lambda: not alive(old))
    status, text = stack.command("status")
    assert status == 1 and "make up" in text
    before = {part: stack.pid(part) for part in SERVERS}
    assert "left behind" in stack.up()
    assert not [pid for pid in before.values() if alive(pid)]
    assert read_part(stack.home, "worker") == known
    assert (stack.home / "secrets" / "worker.env").stat().st_mode & 0o777 == 0o600
    stack.wait_state(run, "Completed")
    assert len(executions(marks, "first")) == len(executions(marks, "last")) == 1


# -- starting and stopping ------------------------------------------------------------------------------------------
def test_a_second_up_finds_what_runs(stack: Stack) -> None:
    before = {part: stack.pid(part) for part in SERVERS}
    assert "already" in stack.up()
    assert {part: stack.pid(part) for part in SERVERS} == before


def test_down_leaves_no_process(stack: Stack) -> None:
    stack.start_run(seconds=60)
    assert stack.command("down")[0] == 0
    assert stack.processes() == []
    assert stack.command("down")[0] == 0
    assert stack.command("status")[0] == 1


def test_a_port_in_use_is_one_clear_line(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        status, text = stack.command("up", SOHOA_PORT_POSTGRES=port)
    assert status == 1
    assert text.strip().splitlines()[-1] == (
        f"✗ PostgreSQL: port {port} is in use by another program; free it or set SOHOA_PORT_POSTGRES to a free one"
    )
    assert stack.processes() == []


def test_a_part_that_cannot_start_is_one_clear_line(stack: Stack) -> None:
    broken = stack.home / "postgres" / "data" / "global"
    aside = broken.rename(broken.with_name("aside"))
    try:
        status, text = stack.command("up")
    finally:
        aside.rename(broken)
    assert status == 1
    assert text.strip().splitlines()[-1].startswith("✗ PostgreSQL ended while starting (exit ")
    assert stack.processes() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with make_stack(small / "var") as stack:
            status, text = stack.command("up")
            assert status == 1
            assert text.startswith("✗ disk full: ") and "free some space" in text
            assert stack.processes() == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_up_is_named_and_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL on a full disk says so; with space again it has every row that it acknowledged."""
    from infra.local import process
    from infra.local.postgres import Postgres

    monkeypatch.setattr(process.need_space, "__defaults__", (1 << 20,))
    small = Path("/tmp") / f"sohoa-full-{os.getpid()}"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", small], capture_output=True).returncode:
        small.rmdir()
        pytest.skip("mounting is not allowed here")
    server = Postgres(small / "postgres", free_port(), parent_death=signal.SIGKILL)
    try:
        small.chmod(0o755)
        server.start()
        acknowledged = _fill(server)
        server.stop()
        with pytest.raises(StackError, match="disk"):
            server.start()
        (small / "ballast").unlink()
        server.start()
        with server.connect("sohoa") as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (acknowledged,)
    finally:
        server.stop()
        subprocess.run(["umount", "-l", small], check=True)
        small.rmdir()


def _fill(server: object) -> int:
    """Fill the disk but for a little, then insert until PostgreSQL refuses. Returns the rows acknowledged."""
    from infra.local.postgres import Postgres

    assert isinstance(server, Postgres)
    ballast = server.folder.parent / "ballast"
    with server.connect("sohoa") as connection:
        connection.execute("CREATE TABLE kept (text text)")
    free = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - (2 << 20))
    count = 0
    try:
        while count < 20_000:
            with server.connect("sohoa") as connection:
                for _ in range(50):
                    connection.execute("INSERT INTO kept VALUES (repeat(md5(random()::text), 400))")
                    count += 1
    except psycopg.Error:
        return count
    raise AssertionError("the disk did not fill up")
