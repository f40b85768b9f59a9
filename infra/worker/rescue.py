"""Flow runs that were lost go on where they were.

A run is lost when its worker died with it, or when it crashed: its process was killed, or Prefect's engine could not
reach its server (PostgreSQL restarting). Every step is idempotent and finished ones come back from the cache, so it is
scheduled again, a few times soon and then once an hour: what was away for a day is then found to be back.

A process that hangs reports nothing and would keep its place for ever: one of a run in work of which no sign of life
came for long is killed, and is then lost like any other. So nothing is ever executed twice at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.events.filters import EventFilter
from prefect.states import Scheduled

from blocks.settings.sections import MachineSettings
from infra.worker.fork_server import COMM

SECONDS_BETWEEN = 20.0
UNCLAIMED = timedelta(minutes=2)  # a run that is Pending that long without a worker was dropped by a dying one
RESCHEDULED = "Rescheduled"
MOST_RESCUES = 5  # quick ones within COUNTED; from then on once each SLOWLY, and people hear of it
COUNTED, SLOWLY = timedelta(days=1), timedelta(hours=1)
AFTER_CRASH = timedelta(seconds=15)  # doubled with each rescue: what broke the run needs time to come back
WITHIN = timedelta(days=45)  # an older crash is left alone


def silent_seconds() -> float:
    """After which a run is taken as lost."""
    return MachineSettings().silent_seconds


@dataclass
class Rescue:
    """Looks after the runs of one worker. cares_for: does this worker process run, or start, that flow run now?"""

    client: PrefectClient
    pool: str
    worker: str
    cares_for: Callable[[UUID], bool]
    logger: logging.Logger | logging.LoggerAdapter[Any]
    silent: timedelta = field(default_factory=lambda: timedelta(seconds=silent_seconds()))
    listening_since: datetime = field(default_factory=lambda: datetime.now(UTC))  # without a gap

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Look again and again while the context is open."""

        async def often() -> None:
            while True:
                try:
                    await self.end_silent()
                    await self.rescue()
                except Exception:
                    self.listening_since = datetime.now(UTC)  # what was said meanwhile nobody heard
                    self.logger.warning("Lost runs could not be looked up; trying again", exc_info=True)
                await anyio.sleep(SECONDS_BETWEEN)

        task = asyncio.create_task(often())
        try:
            yield
        finally:
            task.cancel()

    async def rescue(self) -> int:
        """Schedule again what was lost. Returns how many runs."""
        rescued = 0
        for run in await self._runs(["RUNNING", "PENDING"]) + await self._runs(["CRASHED"], WITHIN):
            if self.cares_for(run.id) or not self._is_lost(run) or not await self._may_go_on(run):
                continue
            again: State[Any] = Scheduled(
                name=RESCHEDULED, message="The process that ran it is gone; it goes on where it was."
            )
            await self.client.set_flow_run_state(run.id, again, force=not await self._waited(run))
            self.logger.warning("Flow run '%s' was lost and is scheduled again", run.id)
            rescued += 1
        return rescued

    def _is_mine(self, run: FlowRun) -> bool:
        return run.labels.get("prefect.worker.name") == self.worker

    async def end_silent(self) -> int:
        """Kill the processes of runs in work that fell silent. Returns how many.

        It asks for the state now instead of waiting for a missing event, as an automation does: events may arrive out
        of order, and a late sign of life makes a run that has just suspended look silent.
        """
        since, ended = datetime.now(UTC) - self.silent, 0
        suspects = [run for run in await self._runs(["RUNNING"]) if self._suspect(run)]
        for run in suspects if self.listening_since < since else []:
            beats = {
                "occurred": {"since": since},
                "event": {"name": ["prefect.flow-run.heartbeat"]},
                "resource": {"id": [f"prefect.flow-run.{run.id}"]},
            }
            if (await self.client.read_events(EventFilter.model_validate(beats), limit=1)).events:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(run.infrastructure_pid or ""), signal.SIGKILL)
            self.logger.warning("Flow run '%s' gave no sign of life; its process is ended", run.id)
            ended += 1
        return ended

    def _suspect(self, run: FlowRun) -> bool:
        return self._is_mine(run) and is_running(run) and _age(run) > self.silent

    async def _waited(self, run: FlowRun) -> bool:
        """Did it wait for an officer when it crashed?

        Then Prefect must forget that the pause has fired, as it does on an unforced way out of Crashed: else the run
        would look for an answer that nobody gave. In all other cases it must remember: an answer may be on its way.
        """
        if run.state_type is not StateType.CRASHED:
            return False
        states = sorted(await self.client.read_flow_run_states(run.id), key=lambda state: state.timestamp)
        before = [state.type for state in states if state.type is not StateType.CRASHED]
        return before[-1:] == [StateType.PAUSED]

    async def _runs(self, states: list[str], within: timedelta | None = None) -> list[FlowRun]:
        """Runs of our pool in these states; `within`: only those that ended so recently."""
        wanted: dict[str, Any] = {"state": {"type": {"any_": states}}}
        if within:
            wanted["end_time"] = {"after_": datetime.now(UTC) - within}
        return await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(wanted),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [self.pool]}}),
            limit=200,
        )

    def _is_lost(self, run: FlowRun) -> bool:
        owner = run.labels.get("prefect.worker.name")
        if owner is None:
            return _age(run) > UNCLAIMED
        return self._is_mine(run) and not is_running(run)

    async def _may_go_on(self, run: FlowRun) -> bool:
        return self.is_due(run, await self.rescues(run.id))

    async def rescues(self, flow_run_id: UUID) -> int:
        """How often it was scheduled again of late, by any worker."""
        since = datetime.now(UTC) - COUNTED
        states = await self.client.read_flow_run_states(flow_run_id)
        return sum(state.name == RESCHEDULED and state.timestamp > since for state in states)

    def is_due(self, run: FlowRun, rescues: int) -> bool:
        """After a crash not at once; whatever was often lost of late, an hour after the last time."""
        if rescues >= MOST_RESCUES:
            return _age(run) > SLOWLY
        return run.state_type is not StateType.CRASHED or _age(run) > AFTER_CRASH * 2**rescues


def _age(run: FlowRun) -> timedelta:
    """How long it has been in its state."""
    return datetime.now(UTC) - run.state.timestamp if run.state else timedelta()


def run_name(flow_run_id: UUID) -> str:
    """Process name of a flow run, at most 15 characters."""
    return f"{COMM}{flow_run_id.hex[:12]}"


def is_running(run: FlowRun) -> bool:
    """Does the process live that Prefect knows for this run, and is it really this run's?"""
    if not run.infrastructure_pid or not run.infrastructure_pid.isdigit():
        return False
    try:
        process = psutil.Process(int(run.infrastructure_pid))
        if process.name() == run_name(run.id):
            return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return bool(process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id))
    except psutil.Error:
        return False
