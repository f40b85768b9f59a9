"""Prefect from the outside: the ways in and the officers' answers through its REST API, the same calls as its UI.

Parameters are ids only. `submission` is the idempotency key: handing in twice gives the same flow run.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from blocks.errors import Remedy, SohoaError
from blocks.ids import FlowRunId
from blocks.nudge import nudge
from blocks.settings import load_stack_env

DOSSIER, WATCH = "dossier", "watch"  # names of flows
POOL = "sohoa"
COUNTER, INTEGRATORS = "dossier/counter", "dossier/integrators"
LOOK_AFTER = "watch/watch"
# What `make up` registers (prefect.yaml, deployments/automations.py), and what must therefore be there.
DEPLOYED = (
    COUNTER,
    INTEGRATORS,
    "inbox/folders",
    "preservation/archive",
    "deadlines/deadlines",
    "partners/callbacks",
    LOOK_AFTER,
)
OURS = "sohoa: "  # start of the names of the automations that we made; others are left alone
FAILED_RUNS, LONG_QUEUE, NEAR_DEADLINES = (OURS + name for name in ("failed runs", "queue too long", "deadlines near"))
AUTOMATIONS = (FAILED_RUNS, LONG_QUEUE, NEAR_DEADLINES)


class PrefectUnavailable(SohoaError):
    """Prefect's API doesn't answer, or answers with a fault of its own: so it does while its database is away."""

    code = "PREFECT_UNAVAILABLE"
    message = "Máy chủ điều phối tạm thời không phản hồi; vui lòng thử lại sau ít phút."
    remedy = Remedy.RETRY


class ResumeRefused(SohoaError):
    """The answer wasn't taken: another officer was faster, or the form isn't complete."""

    code = "RESUME_REFUSED"
    message = "Quyết định không được ghi nhận ({status}): {why}"
    remedy = Remedy.OFFICER


class RunRefused(SohoaError):
    """A flow run wasn't created: parameters that the deployment doesn't know."""

    code = "RUN_REFUSED"
    message = "Yêu cầu xử lý không được chấp nhận (HTTP {status}); vui lòng chỉ gửi tham số submission."
    remedy = Remedy.OFFICER


class Orchestrator:
    """A thin client of Prefect's REST API; raises SohoaError subclasses."""

    def __init__(self, url: str | None = None, auth: str | None = None) -> None:
        load_stack_env()
        self.url = (url or os.environ["PREFECT_API_URL"]).rstrip("/")
        secret = auth or os.environ.get("PREFECT_API_AUTH_STRING", "")
        headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Its answer, whatever it is. Raises PrefectUnavailable."""
        try:
            answer = self.http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise PrefectUnavailable() from error
        if answer.status_code >= 500:
            raise PrefectUnavailable()
        return answer

    def start(self, submission: str, *, deployment: str = COUNTER, tags: list[str] | None = None) -> dict[str, Any]:
        """Create the flow run of a submission, or find it: the submission's id is the idempotency key."""
        found = self.call("GET", f"/deployments/name/{deployment}")
        if found.status_code != 200:
            raise PrefectUnavailable()
        answer = self.call(
            "POST",
            f"/deployments/{found.json()['id']}/create_flow_run",
            {"parameters": {"submission": submission}, "idempotency_key": submission, "tags": tags or []},
        )
        if answer.status_code not in (200, 201):
            raise RunRefused(status=answer.status_code)
        nudge()
        run: dict[str, Any] = answer.json()
        return run

    def begin(self, deployment: str) -> str:
        """Create a run of a deployment (``flow/name``) that takes no parameters; its id. Raises PrefectUnavailable."""
        found = self.call("GET", f"/deployments/name/{deployment}")
        if found.status_code != 200:
            raise PrefectUnavailable()
        body: dict[str, Any] = {"parameters": {}}
        answer = self.call("POST", f"/deployments/{found.json()['id']}/create_flow_run", body)
        if answer.status_code not in (200, 201):
            raise RunRefused(status=answer.status_code)
        nudge()
        return str(answer.json()["id"])

    def run(self, flow_run_id: FlowRunId | str) -> dict[str, Any]:
        answer = self.call("GET", f"/flow_runs/{flow_run_id}")
        answer.raise_for_status()
        run: dict[str, Any] = answer.json()
        return run

    def runs(self, *, flow: str | None = None, **filters: Any) -> list[dict[str, Any]]:
        """All flow runs (of one flow) that fit Prefect's filter (``state={"type": {"any_": […]}}``), oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            body = _of(flow) | {"flow_runs": filters, "sort": "START_TIME_ASC", "limit": 200, "offset": len(found)}
            answer = self.call("POST", "/flow_runs/filter", body)
            answer.raise_for_status()
            page = answer.json()
            found += page
            if len(page) < 200:
                return found

    def count(self, *, flow: str | None = None, **filters: Any) -> int:
        """How many flow runs (of one flow) fit Prefect's filter."""
        answer = self.call("POST", "/flow_runs/count", _of(flow) | {"flow_runs": filters})
        return int(answer.raise_for_status().json())

    def ended(self, *types: str, flow: str | None = None, limit: int = 1) -> list[dict[str, Any]]:
        """The newest runs (of one flow) that ended in one of these types of state, e.g. ``FAILED``."""
        body = {"flow_runs": {"state": {"type": {"any_": list(types)}}}, "sort": "END_TIME_DESC", "limit": limit}
        answer = self.call("POST", "/flow_runs/filter", _of(flow) | body)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def forget(
        self,
        flow: str,
        before: datetime,
        limit: int = 200,
        *,
        states: Sequence[str] = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"),
        keep: Callable[[list[FlowRunId]], set[FlowRunId]] = lambda runs: set(),
    ) -> int:
        """Delete ended runs of one flow, the oldest first. Returns how many. Their logs go by Prefect's own vacuum.

        keep: those of the runs that stay.
        """
        chosen = {"state": {"type": {"any_": list(states)}}, "end_time": {"before_": before.isoformat()}}
        body = _of(flow) | {"flow_runs": chosen, "sort": "START_TIME_ASC", "limit": limit}
        found = self.call("POST", "/flow_runs/filter", body).raise_for_status().json()
        old = {FlowRunId(UUID(run["id"])) for run in found}
        old -= keep(list(old))
        for run in old:
            self.call("DELETE", f"/flow_runs/{run}")
        return len(old)

    def flows(self) -> list[str]:
        """Names of all flows that Prefect knows, at most 200."""
        return sorted(
            flow["name"] for flow in self.call("POST", "/flows/filter", {"limit": 200}).raise_for_status().json()
        )

    def paused(self) -> list[dict[str, Any]]:
        """All suspended dossier runs, oldest first."""
        return self.runs(state={"type": {"any_": ["PAUSED"]}})

    def resume(self, flow_run_id: FlowRunId | str, run_input: dict[str, Any]) -> None:
        """Give the officer's answer. Raises ResumeRefused with Prefect's status (REJECT, ABORT) and reason."""
        answer = self.call("POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": run_input})
        if answer.status_code not in (200, 201):
            raise ResumeRefused(status=str(answer.status_code), why="biểu mẫu không hợp lệ")
        body = answer.json()
        if body.get("status") != "ACCEPT":
            # Prefect's reason repeats what was typed: only its kind is shown.
            why = {
                "ABORT": "hồ sơ không còn chờ quyết định này; vui lòng mở lại trang",
                "REJECT": "biểu mẫu thiếu hoặc sai mục bắt buộc",
            }.get(body.get("status"), "không rõ")
            raise ResumeRefused(status=str(body.get("status")), why=why)
        nudge()


def _of(flow: str | None) -> dict[str, Any]:
    return {"flows": {"name": {"any_": [flow]}}} if flow else {}


def pause_key(run: dict[str, Any]) -> str:
    """The stage and number at which a run waits, e.g. ``verification-1``; empty when it doesn't wait."""
    details = (run.get("state") or {}).get("state_details") or {}
    return str(details.get("pause_key") or "")
