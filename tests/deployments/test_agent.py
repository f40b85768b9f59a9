"""The agent: a run when there is something to do, none when there isn't, and nothing that it may not read."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from blocks.orchestrator import PrefectUnavailable
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.grants import READER
from blocks.records.partners import Partner, PartnerCase
from blocks.records.tables import Dossier, Outbox, Source
from blocks.records.waiting import wait_at
from deployments import agent
from deployments.agent import CALLBACKS, FOLDERS, Agent, Duty, Folders, Partners, Phones
from infra.local.postgres import Postgres
from tasks.partner_cases.callbacks import MINUTES, TOPIC
from tests.attack.plugin import Attack
from tests.faults.stack import until


class RecordingPrefect:
    """Stands for Prefect: notes which deployments were started; their runs end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.states: dict[str, str] = {}
        self.away: set[str] = set()

    def begin(self, deployment: str) -> str:
        if deployment in self.away:
            raise PrefectUnavailable()
        self.begun.append(deployment)
        run = str(uuid4())
        self.states[run] = "RUNNING"
        return run

    def run(self, flow_run_id: str) -> dict[str, object]:
        return {"state_type": self.states[flow_run_id]}

    def end(self, state: str = "COMPLETED") -> None:
        self.states = dict.fromkeys(self.states, state)


class Always:
    def needed(self) -> bool:
        return True

    def begun(self) -> None: ...


@pytest.fixture
def reader(records: RecordsDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> RecordsDatabase:
    """The records with the rights that the agent has."""
    name = os.environ["SOHOA_DATABASE_URL"].rpartition("/")[2]
    monkeypatch.setenv("SOHOA_DATABASE_READER_URL", postgres.url(name, READER))
    return RecordsDatabase(url_env="SOHOA_DATABASE_READER_URL")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.intake.inbox.SETTLED_SECONDS", 0.0)


def put_down(inbox: Path, name: str) -> Path:
    folder = inbox / "tnhs.01" / name
    folder.mkdir(parents=True)
    (folder / "dossier.yaml").write_text("version: 1\n")
    return folder


def test_a_folder_makes_one_run_and_none_follows_without_news(settled: None, tmp_path: Path) -> None:
    prefect, folders = RecordingPrefect(), Folders(tmp_path)
    duty = Duty(FOLDERS, [folders])
    duty.look(prefect)
    assert prefect.begun == []
    first = put_down(tmp_path, "mot")
    folders.changed()
    for _ in range(3):
        duty.look(prefect)
    assert prefect.begun == [FOLDERS]  # one, while it runs
    prefect.end()
    for _ in range(3):
        duty.look(prefect)
    assert prefect.begun == [FOLDERS]  # it couldn't take the folder; the same again would not either
    put_down(tmp_path, "hai")
    folders.changed()
    duty.look(prefect)
    assert prefect.begun == [FOLDERS] * 2
    prefect.end()
    (first / ".sohoa-submission").write_text("x")
    duty.look(prefect)
    assert prefect.begun == [FOLDERS] * 2


def test_after_a_run_that_failed_the_next_waits(settled: None, tmp_path: Path) -> None:
    prefect = RecordingPrefect()
    duty = Duty(FOLDERS, [Always()])
    duty.look(prefect)
    prefect.end("FAILED")
    duty.look(prefect)
    assert len(prefect.begun) == 1
    duty.not_before = time.monotonic()
    duty.look(prefect)
    assert len(prefect.begun) == 2


def test_a_network_share_that_tells_nothing_is_listed_all_the_same(
    settled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SETTLED_SECONDS", -2 * agent.LOOK_SECONDS)
    folders = Folders(tmp_path)
    assert not folders.needed()
    put_down(tmp_path, "mot")
    assert not folders.needed()
    monkeypatch.setattr(agent, "FOLDER_SECONDS", 0)
    assert folders.needed()


def test_a_folder_that_is_still_being_filled_is_looked_at_until_it_has_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.intake.inbox.SETTLED_SECONDS", 1.0)
    folders = Folders(tmp_path)
    put_down(tmp_path, "mot")
    folders.changed()
    assert not folders.needed()
    time.sleep(1.2)
    assert folders.needed()


def case(records: RecordsDatabase, run: UUID | None = None) -> tuple[str, UUID]:
    """A partner's case and its dossier. Returns (submission, dossier id)."""
    dossier = Dossier(submission=uuid4().hex * 2, unit_id="BHXH-TEST", procedure_code="1.001667", captured_by="tnhs.01")
    with records.session() as session:
        if session.get(Partner, "doi-tac") is None:
            session.add(Partner(id="doi-tac", name="Đối tác"))
            session.flush()
        session.add(dossier)
        session.add(
            PartnerCase(
                partner_id="doi-tac",
                reference=uuid4().hex,
                submission=dossier.submission,
                unit_id="BHXH-TEST",
                procedure_code="1.001667",
                flow_run_id=run or uuid4(),
            )
        )
    return dossier.submission, dossier.id


def changed(records: RecordsDatabase, dossier: UUID | None) -> None:
    with records.session() as session:
        audit(session, actor="system", action="test", dossier_id=dossier)


def test_a_change_in_a_partners_dossier_needs_one_run_those_of_others_none(
    records: RecordsDatabase, reader: RecordsDatabase
) -> None:
    partners = Partners(reader)
    _, dossier = case(records)
    other = Dossier(submission=uuid4().hex * 2, unit_id="BHXH-TEST", procedure_code="1.001667", captured_by="tnhs.01")
    with records.session() as session:
        session.add(other)
    changed(records, dossier)
    assert partners.needed() and partners.needed()  # until a run has begun
    partners.begun()
    assert not partners.needed()
    changed(records, other.id)
    changed(records, None)
    assert not partners.needed()
    changed(records, dossier)
    assert partners.needed()
    with records.session() as session:
        session.execute(text("UPDATE partnercase SET ended_at = now()"))
    changed(records, dossier)
    assert not partners.needed()


def test_what_was_handed_in_while_prefect_was_away_needs_a_run(
    records: RecordsDatabase, reader: RecordsDatabase
) -> None:
    partners = Partners(reader)
    submission, _ = case(records)
    with records.session() as session:
        session.execute(text("UPDATE partnercase SET flow_run_id = NULL"))
    assert not partners.needed()  # its files are still coming
    with records.session() as session:
        session.add(Source(submission=submission, part="r1", kind="PARTNER", source="doi-tac", officer="tnhs.01"))
    assert partners.needed() and partners.needed()


def test_a_message_that_is_due_needs_a_run(records: RecordsDatabase, reader: RecordsDatabase) -> None:
    partners = Partners(reader)
    assert not partners.needed()
    with records.session() as session:
        session.add(Outbox(topic=TOPIC, dedup_key="a:1", payload={"partner": "x", "event": {}}))
    assert partners.needed()

    def told(change: str) -> bool:
        with records.session() as session:
            session.execute(text(f"UPDATE outbox SET {change}"))
        return partners.needed()

    assert not told("tries = 3")  # the fourth a quarter of an hour after its writing
    assert told("created_at = now() - interval '16 minutes'")
    assert not told(f"tries = {len(MINUTES)}")  # a dead letter
    assert not told("tries = 0, delivered_at = now()")


@pytest.mark.parametrize(("kind", "needed"), [("confirm", True), ("issue", True), ("verification", False)])
def test_phones_are_asked_about_while_somebody_is_waited_for(
    records: RecordsDatabase, reader: RecordsDatabase, kind: str, needed: bool
) -> None:
    _, dossier = case(records)
    with records.session() as session:
        wait_at(session, session.get_one(Dossier, dossier), uuid4(), f"{kind}-1")
    assert Phones(reader).needed() is needed


def test_what_is_away_stops_no_other_duty_and_is_tried_again(
    settled: None, records: RecordsDatabase, reader: RecordsDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "LOOK_SECONDS", 0)
    prefect = RecordingPrefect()
    with records.session() as session:
        session.add(Outbox(topic=TOPIC, dedup_key="a:1", payload={"partner": "x", "event": {}}))
    put_down(tmp_path, "mot")
    looking = Agent(reader, prefect, tmp_path)
    prefect.away = {FOLDERS}
    looking.look()
    assert prefect.begun == [CALLBACKS]
    prefect.away = set()
    looking.look()
    assert prefect.begun == [CALLBACKS, FOLDERS]


def test_a_folder_that_is_put_down_is_noticed_at_once(
    settled: None, records: RecordsDatabase, reader: RecordsDatabase, tmp_path: Path
) -> None:
    inbox, prefect, stopped = tmp_path / "inbox", RecordingPrefect(), threading.Event()
    thread = threading.Thread(target=Agent(reader, prefect, inbox).serve, args=(stopped, tmp_path / "beat"))
    thread.start()
    try:
        until(lambda: (tmp_path / "beat").exists(), 30)
        put_down(inbox, "mot")
        until(lambda: prefect.begun == [FOLDERS], 30)
    finally:
        stopped.set()
        thread.join(20)
    assert not thread.is_alive()


def test_the_agent_can_read_no_name_and_write_nothing(attack: Attack, reader: RecordsDatabase) -> None:
    """Its password opens times, ids and counts."""
    for what in (
        "SELECT owner_name FROM dossier", "SELECT owner_id FROM dossier", "SELECT value FROM fieldvalue",
        "SELECT payload FROM outbox", "SELECT files FROM source", "SELECT told FROM partnercase",
        "UPDATE outbox SET delivered_at = now()", "UPDATE partnercase SET ended_at = now()", "DELETE FROM waiting",
    ):  # fmt: skip
        with attack(f"with the agent's password: {what}") as told:
            with pytest.raises(ProgrammingError, match="InsufficientPrivilege"), reader.session() as session:
                session.execute(text(what))
            told.answered("permission denied")
            told.proved("no row came, none was changed")
