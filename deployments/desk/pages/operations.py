"""The page of operations: who waits, what failed, how fast pages are read, and whether each part is fit for work.

Served by the gateway to operations and leaders only: `/van-hanh` (page), `/van-hanh.json` (the same for software).
Counts, states and ages; no dossier and no person is named (WH04).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cachetools import TTLCache, cached
from sqlmodel import col, func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blocks.clock import VIET_NAM
from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Incident
from deployments.desk.auth.sessions import Session
from deployments.desk.pages.rendering import Pages
from deployments.metrics import Sohoa
from tasks.monitoring.checks.finding import Finding, State
from tasks.monitoring.checks.registry import examine
from tasks.monitoring.incidents import kind_of
from tasks.pauses.registry import step_label

ASK_AGAIN_SECONDS = 30
SHOWN_RUNS = 10
EXAMINE_SECONDS = 60  # a finding is that old at most: the dear checks read a page and have a time-stamp made


@dataclass(frozen=True)
class OpenIncidents:
    """Open incidents of one code. oldest: seconds."""

    code: str
    name: str
    count: int
    oldest: float
    advice: str


@dataclass(frozen=True)
class FailedRun:
    """A run that failed or crashed, by its id: its name would be a dossier's code."""

    id: str
    state: str
    seconds: float  # since it ended


@dataclass
class HealthReport:
    """What the page shows. None: the source of that figure doesn't answer."""

    at: datetime
    backlog: int | None = None  # runs that should have started
    running: int | None = None
    waiting: int | None = None  # dossiers that wait for an officer
    failed: int | None = None
    pages_a_minute: float | None = None
    incidents: int | None = None
    overdue: int | None = None
    due_soon: int | None = None  # today or on the next working day
    reception_p95_minutes: float | None = None  # KH03
    stages: dict[str, tuple[int, float]] = field(default_factory=dict)  # stage → dossiers, oldest in seconds
    findings: list[Finding] = field(default_factory=list)
    open_incidents: list[OpenIncidents] = field(default_factory=list)
    failed_runs: list[FailedRun] = field(default_factory=list)  # the newest


def figures(picture: HealthReport) -> None:
    """Fill in from the figures that Prometheus gets, too."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for metric in Sohoa().collect():
        values[metric.name] = {tuple(sample.labels.values()): sample.value for sample in metric.samples}

    def total(name: str, *labels: tuple[str, ...]) -> int | None:
        known = values.get(name)
        return None if known is None else int(sum(v for key, v in known.items() if not labels or key in labels))

    picture.backlog = total("sohoa_flow_runs_late")
    picture.running = total("sohoa_flow_runs", ("RUNNING",), ("PENDING",))
    picture.failed = total("sohoa_flow_runs", ("FAILED",), ("CRASHED",))
    picture.waiting = total("sohoa_waiting")
    picture.incidents = total("sohoa_incidents_open")
    picture.overdue = total("sohoa_dossiers_overdue")
    picture.due_soon = total("sohoa_dossiers_due_soon")
    picture.pages_a_minute = values.get("sohoa_pages_a_minute", {}).get(())
    if (p95 := values.get("sohoa_reception_seconds", {}).get(("p95",))) is not None:
        picture.reception_p95_minutes = p95 / 60
    oldest = values.get("sohoa_waiting_oldest_seconds", {})
    picture.stages = {key[0]: (int(n), oldest.get(key, 0.0)) for key, n in values.get("sohoa_waiting", {}).items()}


def troubles(picture: HealthReport) -> None:
    """Fill in which incidents are open, the oldest first. Empty when the records don't answer: its check says so."""
    query = select(Incident.code, func.count(), func.min(Incident.at)).where(col(Incident.closed_at).is_(None))
    try:
        with RecordsDatabase.get().session() as session:
            rows = session.exec(query.group_by(Incident.code).order_by(func.min(Incident.at))).all()
    except SohoaError:
        return
    picture.open_incidents = [
        OpenIncidents(code, kind_of(code).name, count, (picture.at - first).total_seconds(), kind_of(code).advice)
        for code, count, first in rows
    ]


def failures(picture: HealthReport) -> None:
    """Fill in the newest runs that failed. Empty when Prefect doesn't answer: its check says so."""
    try:
        runs = Orchestrator().ended("FAILED", "CRASHED", limit=SHOWN_RUNS)
    except SohoaError:
        return
    picture.failed_runs = [
        FailedRun(
            str(UUID(run["id"])),
            str(run["state_name"]),
            (picture.at - datetime.fromisoformat(run["state"]["timestamp"])).total_seconds(),
        )
        for run in runs
    ]


def look(findings: Callable[[], list[Finding]]) -> HealthReport:
    picture = HealthReport(at=datetime.now(UTC))
    figures(picture)
    troubles(picture)
    failures(picture)
    picture.findings = findings()
    return picture


def page_values(picture: HealthReport) -> dict[str, Any]:
    """What the template `operations.html` shows."""
    bad = sum(item.state is State.BAD for item in picture.findings)
    longest_first = sorted(picture.stages.items(), key=lambda item: -item[1][1])
    figures_shown = (
        ("Lượt xử lý chờ chỗ trống", picture.backlog),
        ("Lượt đang chạy", picture.running),
        ("Hồ sơ chờ viên chức", picture.waiting),
        ("Lượt lỗi", picture.failed),
        ("Trang đọc mỗi phút", picture.pages_a_minute),
        ("Sự cố đang mở", picture.incidents),
        ("Hồ sơ quá hạn trả kết quả", picture.overdue),
        ("Hồ sơ đến hạn hôm nay hoặc ngày làm việc tới", picture.due_soon),
        ("Phút chờ tiếp nhận (95%)", picture.reception_p95_minutes),
    )
    return {
        "picture": picture,
        "at": f"{picture.at.astimezone(VIET_NAM):%H:%M:%S ngày %d/%m/%Y}",
        "verdict": f"{bad} thành phần hệ thống có lỗi" if bad else "Mọi thành phần hệ thống hoạt động bình thường",
        "figures": [(name, _number(value)) for name, value in figures_shown],
        "stages": [(step_label(stage), count, seconds) for stage, (count, seconds) in longest_first],
        "age": _age,
        "again": ASK_AGAIN_SECONDS,
    }


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.1f}".replace(".", ",")


def _age(seconds: float) -> str:
    age = timedelta(seconds=int(seconds))
    hours, minutes = divmod(age.seconds // 60, 60)
    return f"{age.days} ngày {hours} giờ" if age.days else f"{hours} giờ {minutes} phút"


def as_json(picture: HealthReport) -> dict[str, Any]:
    values = asdict(picture) | {
        "at": picture.at.isoformat(),
        "healthy": all(f.state is not State.BAD for f in picture.findings),
    }
    values["stages"] = {key: {"waiting": n, "oldest_seconds": round(s)} for key, (n, s) in picture.stages.items()}
    return values


def routes(pages: Pages, refuse: Callable[[Request], Response | None]) -> list[Route]:
    """refuse: the answer to who may not look, None for operations. JSON answers 503 when a part is not fit for work."""
    # The parts are examined once for all who look: whoever comes meanwhile waits for the same findings.
    kept: TTLCache[Any, list[Finding]] = TTLCache(1, EXAMINE_SECONDS)
    findings = cached(kept, condition=threading.Condition())(lambda: list(examine(brief=True)))

    def show(session: Session) -> Response:
        return pages.page("operations.html", session, title="Vận hành", **page_values(look(findings)))

    async def html(request: Request) -> Response:
        return await run_in_threadpool(refuse, request) or await pages.shown_to(request, show)

    async def json(request: Request) -> Response:
        if (refusal := await run_in_threadpool(refuse, request)) is not None:
            return refusal
        values = as_json(await run_in_threadpool(look, findings))
        headers = {"Cache-Control": "no-store", "x-sohoa-page": "1"}
        return JSONResponse(values, status_code=200 if values["healthy"] else 503, headers=headers)

    return [Route("/van-hanh", html), Route("/van-hanh.json", json)]
