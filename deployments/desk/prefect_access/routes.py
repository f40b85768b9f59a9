"""Prefect at the gateway: for who runs the machine (role OPERATE), reading and its dialog at a pause, nothing else.

Runs show dossiers of all units. Officers decide at the desk; a program that acts for one, in the officer's own session,
posts the same form to ``/quyet-dinh/<run>``.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from blocks.ids import FlowRunId
from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.sessions import Session, Sessions
from deployments.desk.limits import Refusals
from deployments.desk.prefect_access.policy import OPERATE, has_template, open_to_operations, told_the_ui
from deployments.desk.prefect_access.proxy import Upstream, read_body

if TYPE_CHECKING:
    from deployments.desk.desk import Desk

NOT_YOURS = "Trang này dành cho bộ phận vận hành, hoặc địa chỉ không có trên cổng; việc này đã được ghi lại."


def decision_routes(desk: Desk, refusals: Refusals) -> APIRouter:
    """A decision as JSON: any officer's own, at the desk's address; in Prefect's dialog only that of operations."""
    router = APIRouter()

    @router.post("/quyet-dinh/{run}", summary="Ghi quyết định của viên chức, dạng JSON")
    async def decide(request: Request, run: FlowRunId) -> Response:
        return await _decided(desk, refusals, request, run)

    @router.post("/api/flow_runs/{run}/resume", summary="Ghi quyết định từ giao diện Prefect (vai trò vận hành)")
    async def resume(request: Request, run: FlowRunId) -> Response:
        session: Session = request.state.session
        if not session.officer.holds(OPERATE):
            return await _refused(desk, refusals, request)
        return await _decided(desk, refusals, request, run)

    return router


def prefect_routes(settings: GatewaySettings, sessions: Sessions, desk: Desk, refusals: Refusals) -> APIRouter:
    """Everything that no other route takes: included last."""
    router, upstream = APIRouter(), Upstream(settings)

    @router.websocket("/api/events/out")
    @router.websocket("/api/logs/out")
    async def socket(browser: WebSocket) -> None:
        session: Session = browser.state.session
        if not session.officer.holds(OPERATE):
            officer, trace, path = session.officer.id, browser.state.trace, browser.url.path
            await refusals.note("FORBIDDEN", officer, trace, path)
            return await browser.close(1008)
        await upstream.pass_socket(browser, partial(sessions.ended, session))

    @router.api_route(
        "/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    async def prefect(request: Request, path: str) -> Response:
        session: Session = request.state.session
        if not session.officer.holds(OPERATE):
            return await _refused(desk, refusals, request)
        if open_to_operations(request.method, request.url.path):
            return await upstream.pass_on(request)
        answer = told_the_ui(request.method, request.url.path, await read_body(request) or b"")
        return JSONResponse(answer[1], answer[0]) if answer is not None else await _refused(desk, refusals, request)

    return router


async def _decided(desk: Desk, refusals: Refusals, request: Request, run: FlowRunId) -> Response:
    """What became of the form, in Prefect's words."""
    body = await read_body(request)
    try:
        told = json.loads(body or b"{}")
        form = told.get("run_input") if isinstance(told, dict) else None
        template = has_template(form)
    except (ValueError, RecursionError):
        form, template = None, False
    if not isinstance(form, dict):
        return JSONResponse({"detail": "Biểu mẫu phải là một đối tượng JSON."}, 422)
    session: Session = request.state.session
    if template:
        await refusals.note("TEMPLATE", session.officer.id, request.state.trace, request.url.path)
        return JSONResponse({"detail": "Biểu mẫu có nội dung không được phép."}, 400)
    answer = await run_in_threadpool(desk.resume, session, run, form, request.state.trace)
    reason = " ".join(answer.sentences)
    if answer.status in ("LATER", "FAULT"):
        return JSONResponse({"detail": reason}, 503 if answer.status == "LATER" else 500)
    kind = {"ACCEPT": "accept_details", "REJECT": "reject_details", "ABORT": "abort_details"}[answer.status]
    details = {"type": kind} | ({"reason": reason} if answer.status != "ACCEPT" else {})
    told = {"state": None, "status": answer.status, "details": details}
    if answer.step_up:
        told["step_up"] = answer.step_up
    return JSONResponse(told, 201 if answer.status == "ACCEPT" else 200)


async def _refused(desk: Desk, refusals: Refusals, request: Request) -> Response:
    """Into the audit trail; a page for a person, JSON for a program."""
    session: Session = request.state.session
    await refusals.note("FORBIDDEN", session.officer.id, request.state.trace, request.url.path)
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return await run_in_threadpool(desk.say, "Không được xem", NOT_YOURS, 403)
    return JSONResponse({"detail": "Cổng không cho phép yêu cầu này; việc này đã được ghi lại."}, 403)
