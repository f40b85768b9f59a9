"""The agent: starts the flows that carry no dossier when there is something for them to do (``python -m …``).

A folder in the inbox, a change that a partner must be told, a signature that somebody confirms on a phone: each makes
a run of its deployment. Else nothing runs, and Prefect's page shows dossiers. The same deployments run each hour by the
clock, too, so what the agent misses is late, never lost. It reads times, ids and counts; it opens no paper.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import httpx
from sqlalchemy import literal, select, text
from watchfiles import watch

from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import now
from blocks.settings import load_stack_env, settings
from tasks.intake.inbox import SETTLED_SECONDS, ready_folders
from tasks.partner_cases.callbacks import due

FOLDERS, CALLBACKS = "inbox/folders", "partners/callbacks"
LOOK_SECONDS = 5  # between two looks into the records
FOLDER_SECONDS = 60  # a network share tells no changes: its folders are listed so often
PHONE_SECONDS = 30  # between two questions to the signing service
AGAIN_SECONDS = 60  # after a run that changed nothing, or didn't complete
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
BEAT = "agent.beat"  # a file whose time is that of the last look
log = logging.getLogger(__name__)

# A partner is told: of a dossier of it that has changed, by a message that is due; what was handed in is started.
CHANGED = text("""
    SELECT 1 FROM partnercase c JOIN dossier d ON d.submission = c.submission
    JOIN auditentry a ON a.dossier_id = d.id WHERE c.ended_at IS NULL AND a.seq > :seen LIMIT 1
""")
UNSTARTED = text("""
    SELECT 1 FROM partnercase c WHERE c.ended_at IS NULL AND c.flow_run_id IS NULL
    AND EXISTS (SELECT 1 FROM source s WHERE s.submission = c.submission) LIMIT 1
""")
NEWEST = text("SELECT coalesce(max(seq), 0) FROM auditentry")
ASKED_ON_PHONES = text("SELECT 1 FROM waiting WHERE kind IN ('confirm', 'issue') LIMIT 1")


class Starter(Protocol):
    """What the agent needs of Prefect."""

    def begin(self, deployment: str) -> str:
        """Create a run; its id."""
        ...

    def run(self, flow_run_id: str) -> dict[str, object]: ...


class Need(Protocol):
    """Whether a run is needed. What it has seen counts as seen once a run was begun."""

    def needed(self) -> bool: ...

    def begun(self) -> None: ...


@dataclass
class Duty:
    """One deployment and when it is needed. At most one run of it is open, and none follows at once without news."""

    deployment: str
    needs: Sequence[Need]
    run: str = ""
    not_before: float = 0.0  # monotonic seconds

    def look(self, prefect: Starter) -> None:
        """Start a run if one is needed now. Raises SohoaError: the records or Prefect are away."""
        if self.run:
            try:
                state = prefect.run(self.run)["state_type"]
            except httpx.HTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:
                    raise
                state = "CANCELLED"  # somebody has deleted it
            if state not in ENDED:
                return
            self.run, self.not_before = "", 0.0 if state == "COMPLETED" else time.monotonic() + AGAIN_SECONDS
        if time.monotonic() < self.not_before or not (there := [need for need in self.needs if need.needed()]):
            return
        self.run = prefect.begin(self.deployment)
        for need in there:
            need.begun()


class Folders:
    """Folders of the inbox are ready that no run has looked at as they are."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox
        self._news_until = 0.0  # monotonic seconds: a folder that has just changed is ready only when it has settled
        self.changed()
        self._listed = 0.0
        self._ready: dict[Path, float] = {}
        self._seen: dict[Path, float] = {}

    def changed(self) -> None:
        """Something below the inbox has changed."""
        self._news_until = time.monotonic() + SETTLED_SECONDS + 2 * LOOK_SECONDS

    def needed(self) -> bool:
        if time.monotonic() > self._news_until and time.monotonic() < self._listed + FOLDER_SECONDS:
            return False
        self._listed = time.monotonic()
        self._ready = {path: path.stat().st_ctime for path in ready_folders(self.inbox)}
        found = self._ready.items() - self._seen.items()
        if found:  # looked at again: perhaps no run can begin
            self.changed()
        return bool(found)

    def begun(self) -> None:
        self._seen = self._ready


class Partners:
    """A partner's system must be told something."""

    def __init__(self, records: RecordsDatabase) -> None:
        self.records = records
        self._newest = self._seen = 0

    def needed(self) -> bool:
        asked = (CHANGED.bindparams(seen=self._seen), UNSTARTED, select(literal(1)).where(due(now())).limit(1))
        with self.records.session() as session:
            self._newest = int(session.execute(NEWEST).scalar_one())
            found = any(session.execute(query).first() for query in asked)
        if not found:
            self._seen = self._newest
        return found

    def begun(self) -> None:
        self._seen = self._newest


class Phones:
    """A signature is asked for on a phone: the signing service is asked again and again then."""

    def __init__(self, records: RecordsDatabase) -> None:
        self.records = records
        self._begun = -float(PHONE_SECONDS)

    def needed(self) -> bool:
        if time.monotonic() - self._begun < PHONE_SECONDS:
            return False
        with self.records.session() as session:
            return session.execute(ASKED_ON_PHONES).first() is not None

    def begun(self) -> None:
        self._begun = time.monotonic()


class Agent:
    """The loop over all duties."""

    def __init__(self, records: RecordsDatabase, prefect: Starter, inbox: Path) -> None:
        self.prefect, self.folders = prefect, Folders(inbox)
        self.duties = [
            Duty(FOLDERS, [self.folders, Phones(records)]),
            Duty(CALLBACKS, [Partners(records)]),
        ]

    def look(self) -> None:
        """Each duty once; one that can't be looked at stops no other."""
        for duty in self.duties:
            try:
                duty.look(self.prefect)
            except Exception as error:  # its text may name a folder
                code = error.code if isinstance(error, SohoaError) else type(error).__name__
                log.warning(json.dumps({"event": "not looked at", "deployment": duty.deployment, "code": code}))
                duty.not_before = time.monotonic() + LOOK_SECONDS

    def serve(self, stopped: threading.Event, beat: Path) -> None:
        """Until `stopped`: at each change below the inbox, and each LOOK_SECONDS."""
        inbox = self.folders.inbox
        inbox.mkdir(exist_ok=True)
        for changes in watch(
            inbox, stop_event=stopped, rust_timeout=LOOK_SECONDS * 1000, yield_on_timeout=True, raise_interrupt=False,
            ignore_permission_denied=True,
        ):  # fmt: skip
            if changes:
                self.folders.changed()
            self.look()
            beat.touch()


def main() -> None:
    load_stack_env()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("watchfiles").setLevel(logging.ERROR)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    beat = Path(os.environ["TMPDIR"]) / BEAT
    beat.touch()
    Agent(RecordsDatabase.get(), Orchestrator(), settings().inbox_dir).serve(stopped, beat)


if __name__ == "__main__":
    main()
