"""A service that is away: the dossier waits without a process and goes on by itself, for a day and longer.

After the short tries of a step (tasks/prefect_task.py) the flow puts its own run off: Prefect starts it again at the
time that stands in the state AwaitingService, and it goes on where it was (tasks/journal.py). The pauses grow to 20
minutes; after a day an hour; after 45 days it fails and people decide.
"""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

import httpx
from prefect import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.states import Scheduled
from sqlalchemy import delete, update
from sqlmodel import Session, col, func, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier, Waiting
from blocks.records.waiting import OUTAGE, wait_at
from blocks.settings.sections import OutageSettings
from tasks.prefect_task import BUSY
from tasks.this_run import this_run

P = ParamSpec("P")
R = TypeVar("R")
AWAITING = "AwaitingService"  # name of the state; its type is SCHEDULED
AFTER_A_DAY, AT_MOST = timedelta(hours=1), timedelta(days=45)
TOLD_AFTER = timedelta(minutes=15)  # operations hear of it then: shorter ones pass unnoticed
JITTER = 0.2  # who failed together doesn't come back together
OTHER = "SERVICE_UNAVAILABLE"
SERVICES = {
    "DISK_FULL": "chỗ trống trên đĩa",
    "OBJECT_STORE_UNAVAILABLE": "kho tệp",
    "PREFECT_UNAVAILABLE": "máy chủ điều phối",
    "RECORDS_UNAVAILABLE": "cơ sở dữ liệu hồ sơ",
    "REMOTE_SIGNING_UNAVAILABLE": "dịch vụ ký số từ xa",
    "REVOCATION_UNAVAILABLE": "dịch vụ kiểm tra thu hồi chứng thư số (OCSP, CRL)",
    "TIMESTAMP_UNAVAILABLE": "dịch vụ dấu thời gian",
    "TOKEN_UNAVAILABLE": "thiết bị ký số",
    OTHER: "một dịch vụ bên ngoài",
}
logger = logging.getLogger(__name__)


class OrchestratorGone(BaseException):
    """Nobody can be told that the run waits: its process ends as if it had been killed.

    No Exception: of one the run would be told as failed as soon as Prefect answers, and nothing goes on from there. One
    that crashed, or of which nothing is heard, is lost and goes on (infra/worker/rescue.py).
    """


def service_away(error: BaseException) -> str | None:
    """Code of the service that is away; None: something else is wrong, waiting wouldn't help."""
    if isinstance(error, SohoaError):
        return error.code if error.remedy is Remedy.RETRY and error.code in SERVICES else None
    if isinstance(error, httpx.HTTPStatusError):
        return OTHER if error.response.status_code >= 500 or error.response.status_code in BUSY else None
    return OTHER if isinstance(error, httpx.TransportError | ConnectionError | TimeoutError) else None


def pause_after(tries: int, waited: timedelta) -> timedelta:
    """How long until the next try. tries: those that this outage has cost, 1 for the first."""
    steps = [float(text) for text in OutageSettings().outage_pauses.split(",")]
    pause = timedelta(seconds=steps[min(tries, len(steps)) - 1])
    if waited >= timedelta(days=1):
        pause = max(pause, AFTER_A_DAY)
    return pause * (1 + random.uniform(0, JITTER))  # noqa: S311  (nobody's secret)


def next_try(before: Sequence[datetime], at: datetime) -> datetime | None:
    """When it tries again, having been put off at the times `before`, oldest first. None: it has waited too long."""
    waited = at - before[0] if before else timedelta()
    return None if waited > AT_MOST else at + pause_after(len(before) + 1, waited)


def streak(states: Sequence[State[Any]], service: str) -> list[datetime]:
    """When it was put off for this outage of the service, oldest first: back to when it last did something else, or
    waited for another one."""
    found: list[datetime] = []
    for state in sorted(states, key=lambda item: item.timestamp, reverse=True):
        if state.name == AWAITING:
            if f"[{service}]" not in (state.message or ""):
                break
            found.append(state.timestamp)
        elif state.type not in (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING):
            break
    return found[::-1]


def waits_for_services(flow: Callable[P, R]) -> Callable[P, R]:
    """A flow that is put off instead of failing while a service is away."""

    @functools.wraps(flow)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        run = this_run()
        try:
            _went_on(run)
            return flow(*args, **kwargs)
        except Exception as error:
            service = service_away(error)
            if service is None or run is None or (state := _told(run, service)) is None:
                raise
        raise Pause(state=state)  # as a suspension: the process ends, the run's state is told already

    return patient


def _told(run: FlowRunId, service: str) -> State[Any] | None:
    """As `_put_off`. Raises OrchestratorGone when Prefect itself is away."""
    try:
        return _put_off(run, service)
    except Exception as error:
        if service_away(error) is None:
            raise
        raise OrchestratorGone() from error


def _put_off(run: FlowRunId, service: str) -> State[Any] | None:
    """The run's new state; None when it has waited for too long."""
    now = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        before = streak(client.read_flow_run_states(run), service)
        if (at := next_try(before, now)) is None:
            return None
        text = f"Hệ thống đang chờ {SERVICES.get(service, SERVICES[OTHER])} [{service}]; tự thử lại, không cần làm gì."
        state: State[Any] = Scheduled(name=AWAITING, scheduled_time=at, message=text)
        # By force: Prefect must go on remembering which pauses have been answered.
        client.set_flow_run_state(run, state, force=True)
    _note(run, service, before[0] if before else now, len(before) + 1)
    return state


def _note(run: FlowRunId, service: str, since: datetime, tries: int) -> None:
    """For the desk and operations; when the records are what is away, Prefect's state alone tells it."""
    try:
        with RecordsDatabase.get().session() as session:
            # While it is being registered the dossier doesn't know its run yet, but the run knows the submission.
            context = FlowRunContext.get()
            submission = context.parameters.get("submission") if context and context.parameters else None
            this = (col(Dossier.flow_run_id) == run) | (col(Dossier.submission) == submission)
            dossier = session.exec(select(Dossier).where(this)).first()
            if dossier is None:
                return
            wait_at(session, dossier, run, service, kind=OUTAGE, since=since)
            session.execute(update(Waiting).where(col(Waiting.dossier_id) == dossier.id).values(tries=tries))
    except SohoaError as error:
        logger.warning("What a dossier waits for isn't noted: %s", error.code)


def _went_on(run: FlowRunId | None) -> None:
    """It tries again: what it waited for may be there."""
    if run is not None:
        with suppress(SohoaError), RecordsDatabase.get().session() as session:
            session.execute(delete(Waiting).where(col(Waiting.flow_run_id) == run, col(Waiting.kind) == OUTAGE))


def away(session: Session, at: datetime) -> Mapping[str, int]:
    """Services that dossiers have waited for longer than a moment, and how many wait."""
    query = select(Waiting.stage, func.count(), func.min(Waiting.since)).where(Waiting.kind == OUTAGE)
    rows = session.exec(query.group_by(Waiting.stage))
    return {code: count for code, count, since in rows if since < at - TOLD_AFTER}


def sentence(session: Session, dossier_id: DossierId) -> str:
    """What the officer's page says of a dossier that waits for a service; empty: it doesn't."""
    row = session.get(Waiting, dossier_id)
    if row is None or row.kind != OUTAGE:
        return ""
    name = SERVICES.get(row.stage, SERVICES[OTHER])
    return f"Hệ thống đang chờ {name}; hồ sơ tự đi tiếp khi dịch vụ hoạt động lại, anh chị không cần làm gì."


def not_answering(error: SohoaError) -> str:
    """The same for who has just clicked: nobody does it again for them."""
    name = SERVICES.get(error.code)
    return f"{name[:1].upper()}{name[1:]} tạm thời không phản hồi." if name else error.text
