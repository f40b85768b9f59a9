"""The page of operations: who waits, what failed, how fast pages are read, and whether each part is fit for work.

Routes that the gateway serves to operations and leaders only: `/van-hanh` (page), `/van-hanh.json` (the same for
software), `/van-hanh.css`. Counts, states and ages; no dossier and no person is named (WH04).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlmodel import col, func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Incident
from deployments.doctor import Finding, State, examine
from deployments.metrics import Sohoa
from tasks.faults import FAULTS
from tasks.history import STAGES

ASK_AGAIN_SECONDS = 30
SHOWN_RUNS = 10
EXAMINE_SECONDS = 60  # a finding is that old at most: the doctor reads a page and has a time-stamp made
TRAIL_READ = 20_000  # entries, under a second; the whole trail is read each night (tasks/trail.py)
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
CSS = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center; } nav form { margin-left: auto; }
button { font: inherit; min-height: 2.2rem; padding: .3rem .9rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
ul.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: .75rem; padding: 0; }
ul.figures li { list-style: none; border: 1px solid #767676; border-radius: .4rem; padding: .6rem .8rem; }
ul.figures b { display: block; font-size: 1.6rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { border-bottom: 1px solid #767676; padding: .4rem .6rem; text-align: left; vertical-align: top; }
.bad { border-left: .4rem solid #b00020; } .warning { border-left: .4rem solid #8a6100; }
.good { border-left: .4rem solid #1b6e2d; }
"""
_CLASS = {State.GOOD: "good", State.WARNING: "warning", State.BAD: "bad"}


@dataclass(frozen=True)
class Trouble:
    """Open incidents of one code. oldest: seconds; advice: empty for codes that aren't operations' business."""

    code: str
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
class Picture:
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
    open_incidents: list[Trouble] = field(default_factory=list)
    failed_runs: list[FailedRun] = field(default_factory=list)  # the newest


class Doctor:
    """Examines the parts once for all who look, and not more often than each EXAMINE_SECONDS."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: list[Finding] = []
        self.until = 0.0

    def findings(self) -> list[Finding]:
        with self.lock:
            if time.monotonic() >= self.until:
                self.found = list(examine(TRAIL_READ))
                self.until = time.monotonic() + EXAMINE_SECONDS
            return self.found


def figures(picture: Picture) -> None:
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


def troubles(picture: Picture) -> None:
    """Fill in which incidents are open, the oldest first. Empty when the records don't answer: the doctor says so."""
    query = select(Incident.code, func.count(), func.min(Incident.at)).where(col(Incident.closed_at).is_(None))
    try:
        with RecordsDatabase().session() as session:
            rows = session.exec(query.group_by(Incident.code).order_by(func.min(Incident.at))).all()
    except SohoaError:
        return
    picture.open_incidents = [
        Trouble(code, count, (picture.at - first).total_seconds(), FAULTS.get(code, "")) for code, count, first in rows
    ]


def failures(picture: Picture) -> None:
    """Fill in the newest runs that failed. Empty when Prefect doesn't answer: the doctor says so."""
    try:
        runs = Orchestrator().ended("FAILED", "CRASHED", limit=SHOWN_RUNS)
    except (SohoaError, httpx.HTTPStatusError):  # it answers 500 while its database restarts
        return
    picture.failed_runs = [
        FailedRun(
            str(UUID(run["id"])),
            str(run["state_name"]),
            (picture.at - datetime.fromisoformat(run["state"]["timestamp"])).total_seconds(),
        )
        for run in runs
    ]


def look(doctor: Doctor) -> Picture:
    picture = Picture(at=datetime.now(UTC))
    figures(picture)
    troubles(picture)
    failures(picture)
    picture.findings = doctor.findings()
    return picture


def page(picture: Picture) -> str:
    """The whole page (HTML, Vietnamese)."""
    shown = (
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
    cards = "".join(f"<li><b>{_number(value)}</b>{escape(name)}</li>" for name, value in shown)
    parts = "".join(
        f'<tr class="{_CLASS[item.state]}"><th scope="row">{escape(item.part)}</th><td>{item.state.value}</td>'
        f"<td>{escape(item.seen)}</td><td>{escape(item.advice)}</td></tr>"
        for item in picture.findings
    )
    stages = "".join(
        f'<tr><th scope="row">{escape(STAGES.get(stage, stage))}</th><td>{count}</td><td>{_age(seconds)}</td></tr>'
        for stage, (count, seconds) in sorted(picture.stages.items(), key=lambda item: -item[1][1])
    )
    open_incidents = "".join(
        f'<tr><th scope="row">{escape(item.code)}</th><td>{item.count}</td><td>{_age(item.oldest)}</td>'
        f"<td>{escape(item.advice)}</td></tr>"
        for item in picture.open_incidents
    )
    failed = "".join(
        f'<tr><th scope="row"><a href="/runs/flow-run/{run.id}">{run.id[:8]}</a></th><td>{escape(run.state)}</td>'
        f"<td>{_age(run.seconds)}</td></tr>"
        for run in picture.failed_runs
    )
    bad = sum(item.state is State.BAD for item in picture.findings)
    verdict = f"{bad} bộ phận có lỗi" if bad else "Mọi bộ phận đều làm việc được"
    return f"""<!doctype html>
<html lang="vi"><head><meta charset="utf-8"><title>Vận hành · Sohoa</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="van-hanh.css"><script src="/tinh/van-hanh.js" defer></script></head>
<body><nav aria-label="Chính"><a href="/viec">Danh sách việc</a> <a href="/dashboard">Giao diện Prefect</a>
<form action="/dang-xuat" method="post"><button>Đăng xuất</button></form></nav>
<main><h1>Vận hành: {verdict}</h1>
<p>Lúc {picture.at.astimezone(ZONE):%H:%M:%S ngày %d/%m/%Y}. “–” nghĩa là nguồn số liệu không trả lời.
<label><input type="checkbox" id="again" data-seconds="{ASK_AGAIN_SECONDS}" checked>
Tự làm mới sau {ASK_AGAIN_SECONDS} giây</label></p>
<h2>Công việc</h2><ul class="figures">{cards}</ul>
<h2>Chờ viên chức</h2>
{_table(("Bước", "Số hồ sơ", "Chờ lâu nhất"), stages) if stages else "<p>Không có hồ sơ nào đang chờ.</p>"}
<h2>Sự cố đang mở</h2>
{_table(("Mã", "Số sự cố", "Lâu nhất", "Việc cần làm"), open_incidents) if open_incidents else "<p>Không có.</p>"}
<h2>Lượt lỗi gần nhất</h2>
{_table(("Lượt xử lý", "Trạng thái", "Cách đây"), failed) if failed else "<p>Không có.</p>"}
<h2>Các bộ phận</h2>{_table(("Bộ phận", "Kết quả", "Nhận thấy", "Việc cần làm"), parts)}
</main></body></html>"""


def _table(heads: Iterable[str], rows: str) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.1f}".replace(".", ",")


def _age(seconds: float) -> str:
    age = timedelta(seconds=int(seconds))
    hours, minutes = divmod(age.seconds // 60, 60)
    return f"{age.days} ngày {hours} giờ" if age.days else f"{hours} giờ {minutes} phút"


def as_json(picture: Picture) -> dict[str, Any]:
    told = asdict(picture) | {
        "at": picture.at.isoformat(),
        "healthy": all(f.state is not State.BAD for f in picture.findings),
    }
    told["stages"] = {key: {"waiting": n, "oldest_seconds": round(s)} for key, (n, s) in picture.stages.items()}
    return told


def routes(refuse: Callable[[Request], Response | None]) -> list[Route]:
    """refuse: the answer to who may not look, None for operations. JSON answers 503 when a part is not fit for work."""
    doctor = Doctor()
    fresh = {"Cache-Control": "no-store", "x-sohoa-page": "1"}

    async def html(request: Request) -> Response:
        if (refusal := await run_in_threadpool(refuse, request)) is not None:
            return refusal
        return HTMLResponse(page(await run_in_threadpool(look, doctor)), headers=fresh)

    async def json(request: Request) -> Response:
        if (refusal := await run_in_threadpool(refuse, request)) is not None:
            return refusal
        told = as_json(await run_in_threadpool(look, doctor))
        return JSONResponse(told, status_code=200 if told["healthy"] else 503, headers=fresh)

    async def css(_: Request) -> Response:
        return Response(CSS, media_type="text/css", headers={"x-sohoa-page": "1"})

    return [Route("/van-hanh", html), Route("/van-hanh.json", json), Route("/van-hanh.css", css)]
