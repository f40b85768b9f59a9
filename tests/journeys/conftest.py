"""The whole stack, as `make up` starts it, and the samples played through it once, with faults in the middle.

In the middle of the play the worker is killed and PostgreSQL is killed; every test then looks at what became of the
dossiers. One stack serves all journeys: starting one takes half a minute. They run in a pytest process of their own
(`make test`): the servers of the other tests' fixtures are in the environment of theirs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from blocks.catalog.staff import TEST_STAFF
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.settings import load_stack_env, settings
from infra.local.process import free_port
from tests.faults.stack import Stack, free_base, until
from tests.journeys.samples import played as played_now
from tests.players.demo import play
from tests.players.officers import Officers, Sample
from tests.samples.__main__ import generate

# Dossiers that begin anew at every pause, runs that Prefect has forgotten, services that are away, days on a phone, a
# restored backup, schedules.
LONG = {"test_anew.py", "test_forgotten.py", "test_outages.py", "test_phone.py", "test_restored.py", "test_watch.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the whole play; the play and the waits in the tests have limits of their own."""
    for item in items:
        if item.path.name in LONG:
            item.add_marker(pytest.mark.long)
        item.add_marker(pytest.mark.timeout(2400))


@dataclass
class Journey:
    """The running stack and the officers who sit in front of it."""

    stack: Stack
    officers: Officers
    folder: Path
    drawn: list[Path]  # folders of the samples
    samples: dict[str, Sample] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def prefect(self) -> Orchestrator:
        return self.officers.prefect

    def variant(self, name: str, sample: str, **changes: object) -> Sample:
        """Another dossier like this sample: a copy whose declaration differs."""
        folder = self.folder / "variants" / name
        shutil.copytree(self.samples[sample].folder, folder)
        declared = yaml.safe_load((folder / "dossier.yaml").read_text(encoding="utf-8")) | changes
        (folder / "dossier.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
        # Its own bytes: the same papers handed in twice would be the same submission (CO06).
        for path in sorted(folder.rglob("*.jpg"))[:1]:
            data = path.read_bytes()
            note = name.encode()
            path.write_bytes(data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:])
        return Sample(folder)

    def wait_pause(self, sample: Sample, key: str, timeout: float = 240) -> dict[str, object]:
        """Wait until the run of this sample is paused at `key`, with its form saved."""
        until(
            lambda: pause_key(self.prefect.run(sample.run_id)) == key and self.description(sample, key),
            timeout,
            lambda: f"{self.prefect.run(sample.run_id)['state_name']}\n{self.stack.log('worker')[-2000:]}",
        )
        return self.prefect.run(sample.run_id)

    def hand_over(self, sample: Sample) -> None:
        """The counter returns the result; then the run ends."""
        self.officers.answer(sample, self.wait_pause(sample, "return-1"))
        until(lambda: self.prefect.run(sample.run_id)["state_type"] == "COMPLETED")

    def description(self, sample: Sample, key: str) -> str:
        """What the officer read at a pause; empty when the run never waited there."""
        answer = self.prefect.call("GET", f"/flow_runs/{sample.run_id}/input/suspended-{key}-description")
        return str(answer.json()) if answer.status_code == 200 else ""


@pytest.fixture(scope="session")
def journey() -> Iterator[Journey]:
    """A fresh stack under its own SOHOA_HOME and ports; stopped at the end."""
    # Not pytest's own folder, which is closed to others: PostgreSQL runs as another user when we are root.
    folder = Path(tempfile.mkdtemp(prefix="sohoa-journey-"))
    folder.chmod(0o711)
    home = folder / "var"
    shutil.copy(TEST_STAFF, folder / "staff.yaml")
    env = os.environ | {
        "SOHOA_HOME": str(home),
        "SOHOA_PORT_BASE": str(free_base()),
        "SOHOA_PORT_PREFECT": str(free_port()),
        "PREFECT_LOGGING_LEVEL": "INFO",
        "SOHOA_STAFF_FILE": str(folder / "staff.yaml"),
        # One officer sends thousands at random, most of them refused; the two limits have attacks of their own.
        "SOHOA_REQUESTS_A_MINUTE": "100000",
        "SOHOA_REFUSALS_A_MINUTE": "100000",
    }
    stack = Stack(home, env)
    try:
        with ThreadPoolExecutor(1) as pool:  # the start is mostly waiting
            drawing = pool.submit(generate, folder / "samples", only=tuple(played_now()))
            stack.up()
        os.environ["SOHOA_HOME"] = str(home)
        load_stack_env()
        settings.cache_clear()
        yield Journey(stack, Officers(RecordsDatabase(), ObjectStore(), Orchestrator()), folder, drawing.result())
    finally:
        stack.command("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def played(journey: Journey) -> Journey:
    """All samples handed in and played to their end, while worker and PostgreSQL are killed on the way."""
    journey.samples |= {folder.name: Sample(folder) for folder in sorted(journey.drawn)}
    for sample in journey.samples.values():
        try:
            journey.officers.hand_in(sample)
        except Exception as error:
            sample.refused = getattr(error, "code", repr(error))
    waiting = list(journey.samples.values())
    _play_until_some_wait(journey, waiting)
    os.kill(journey.stack.pid("worker"), 9)
    play(journey.officers, waiting, timeout=20)
    os.kill(journey.stack.pid("postgres"), 9)
    until(lambda: journey.stack.command("status")[0] == 0, why=lambda: journey.stack.command("status")[1])
    journey.states = play(journey.officers, waiting, timeout=1500)
    return journey


def _play_until_some_wait(journey: Journey, samples: list[Sample], wanted: int = 3) -> None:
    """Go on until some dossiers wait for an officer: then others are in the middle of their way."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        runs = [journey.prefect.run(s.run_id) for s in samples if s.run_id]
        if sum(run["state_type"] == "PAUSED" for run in runs) >= min(wanted, len(samples)):
            return
        time.sleep(0.5)
    raise AssertionError(f"nothing waits for an officer: {journey.stack.log('worker')[-3000:]}")
