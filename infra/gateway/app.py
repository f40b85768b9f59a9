"""The gateway as one ASGI application: who isn't signed in sees the sign-in only; who is, sees what the policy opens.

Everything is shut unless a route or the policy opens it. What belongs to the product (pages, who may decide what, the
audit trail) comes in through `Product`.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from infra.gateway.policy import asked_by_the_ui, has_template, is_tricky, open_to_officers
from infra.gateway.proxy import Upstream, read_body
from infra.gateway.sessions import Officer, Session, Sessions
from infra.gateway.settings import GatewaySettings
from infra.gateway.signin import CALLBACK, LOGIN, LOGOUT, cookie_name, signin_routes

log = logging.getLogger("sohoa.gateway")
HEALTH, STATIC = "/suc-khoe", "/tinh/"
SAFE = {"GET", "HEAD", "OPTIONS"}
# Prefect's UI has inline styles and scripts, and PixiJS, which draws the graph of a run, compiles functions;
# nothing may come from or go to another host (it calls one for analytics).
CSP_PREFECT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
CSP_OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Answer(Protocol):
    """What became of a decision. status: ACCEPT, REJECT (mend and repeat) or ABORT (too late)."""

    status: str
    sentences: list[str]


class Product(Protocol):
    """What the gateway doesn't know of itself."""

    def routers(self) -> list[APIRouter]: ...
    def resume(self, officer: Officer, run: UUID, form: dict[str, Any], trace: str) -> Answer: ...
    def refused(self, code: str, officer: str | None, trace: str, path: str) -> None: ...
    def say(self, title: str, sentence: str, status: int) -> Response: ...


def create_app(settings: GatewaySettings, product: Product) -> ASGIApp:
    """The application with its guard round it."""
    sessions = Sessions(settings.session_idle_minutes * 60, settings.session_hours * 3600)
    upstream = Upstream(settings)
    app = FastAPI(title="Sohoa: cổng viên chức", docs_url=None, redoc_url=None, openapi_url="/cong/openapi.json")

    async def refuse(code: str, officer: str | None) -> None:
        await run_in_threadpool(product.refused, code, officer, "", CALLBACK)

    app.include_router(signin_routes(settings, sessions, refuse, product.say))

    @app.get(HEALTH, include_in_schema=False)
    async def health() -> Response:
        return PlainTextResponse("ok")

    @app.post("/api/flow_runs/{run}/resume", summary="Ghi quyết định của viên chức (như giao diện Prefect)")
    async def resume(request: Request, run: UUID) -> Response:
        body = await read_body(request)
        try:
            told = json.loads(body or b"{}")
        except ValueError:
            told = None
        form = told.get("run_input") if isinstance(told, dict) else None
        if not isinstance(form, dict):
            return JSONResponse({"detail": "Biểu mẫu phải là một đối tượng JSON."}, 422)
        session: Session = request.state.session
        if has_template(form):
            await run_in_threadpool(
                product.refused, "TEMPLATE", session.officer.id, request.state.trace, request.url.path
            )
            return JSONResponse({"detail": "Biểu mẫu có nội dung không được phép."}, 400)
        answer = await run_in_threadpool(product.resume, session.officer, run, form, request.state.trace)
        reason = " ".join(answer.sentences)
        kind = {"ACCEPT": "accept_details", "REJECT": "reject_details", "ABORT": "abort_details"}[answer.status]
        details = {"type": kind} | ({"reason": reason} if answer.status != "ACCEPT" else {})
        told = {"state": None, "status": answer.status, "details": details}
        return JSONResponse(told, 201 if answer.status == "ACCEPT" else 200)

    for router in product.routers():
        app.include_router(router)

    @app.websocket("/api/events/out")
    @app.websocket("/api/logs/out")
    async def socket(browser: WebSocket) -> None:
        await upstream.pass_socket(browser)

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def prefect(request: Request, path: str) -> Response:
        if not open_to_officers(request.method, request.url.path):
            if asked_by_the_ui(request.method, request.url.path):
                # Not 403: the UI would tell each visitor that something went wrong.
                return JSONResponse({"detail": "Cổng không mở phần này."}, 404)
            officer = request.state.session.officer.id
            await run_in_threadpool(product.refused, "FORBIDDEN", officer, request.state.trace, request.url.path)
            return JSONResponse({"detail": "Cổng không cho phép yêu cầu này; việc này đã được ghi lại."}, 403)
        return await upstream.pass_on(request)

    signing_in = SessionMiddleware(
        app,
        settings.gateway_secret.get_secret_value(),
        session_cookie="sohoa-dang-nhap",
        max_age=600,
        path=LOGIN,
        same_site="lax",
        https_only=settings.secure,
    )
    return Guard(signing_in, settings, sessions, product)


class Guard:
    """Before everything: odd paths, sessions, the origin of what changes something; after it: headers, one log line."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings, sessions: Sessions, product: Product) -> None:
        self.app, self.settings, self.sessions, self.product = app, settings, sessions, product
        self._anonymous: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        trace, began = secrets.token_hex(16), time.monotonic()
        connection = HTTPConnection(scope)
        session = self.sessions.find(connection.cookies.get(cookie_name(self.settings), ""))
        scope.setdefault("state", {}).update(session=session, trace=trace)
        if scope["type"] == "websocket":
            if session is None or not self._same_origin(connection.headers):
                await self._note("SOCKET", session, trace, scope["path"])
                return await WebSocket(scope, receive, send).close(1008)
            return await self.app(scope, receive, send)
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._headers(scope["path"], trace, MutableHeaders(scope=message))
            await send(message)

        refusal = await self._refusal(scope, connection, session, trace)
        try:
            await (refusal or self.app)(scope, receive, tell)
        finally:
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "trace": trace,
                "officer": session.officer.id if session else None,
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "ms": round((time.monotonic() - began) * 1000),
            }
            log.info(json.dumps(line))

    async def _refusal(
        self, scope: Scope, connection: HTTPConnection, session: Session | None, trace: str
    ) -> Response | None:
        """The answer to what isn't let through."""
        method, path = scope["method"], scope["path"]
        if is_tricky(scope.get("raw_path") or path.encode()):
            await self._note("PATH", session, trace, "")
            return JSONResponse({"detail": "Địa chỉ không hợp lệ."}, 400)
        if path in (LOGIN, CALLBACK, HEALTH) or path.startswith(STATIC):
            return None if method in SAFE else JSONResponse({"detail": "Không được phép."}, 405)
        if session is None:
            cookie = cookie_name(self.settings) in connection.cookies
            if method in SAFE and "text/html" in connection.headers.get("accept", ""):
                if cookie:
                    await self._note("NO_SESSION", None, trace, path)
                return RedirectResponse(f"{LOGIN}?ve={path}" if path != "/" else LOGIN, 303)
            await self._note("NO_SESSION", None, trace, path)
            return JSONResponse({"detail": "Vui lòng đăng nhập."}, 401)
        if method not in SAFE and not self._same_origin(connection.headers):
            await self._note("CROSS_SITE", session, trace, path)
            return JSONResponse({"detail": "Yêu cầu đến từ trang khác nên bị từ chối."}, 403)
        return None

    def _same_origin(self, headers: Headers) -> bool:
        return headers.get("origin") == self.settings.origin

    async def _note(self, code: str, session: Session | None, trace: str, path: str) -> None:
        """Into the audit trail; strangers at most 60 times a minute, so that nobody can fill it."""
        if session is None:
            now = time.monotonic()
            self._anonymous = [at for at in self._anonymous if now - at < 60]
            if len(self._anonymous) >= 60:
                return
            self._anonymous.append(now)
        await run_in_threadpool(self.product.refused, code, session.officer.id if session else None, trace, path)

    def _headers(self, path: str, trace: str, headers: MutableHeaders) -> None:
        ours = headers.get("x-sohoa-page")
        if ours:
            del headers["x-sohoa-page"]
        headers["content-security-policy"] = CSP_OURS if ours else CSP_PREFECT
        headers["x-content-type-options"] = "nosniff"
        headers["x-frame-options"] = "DENY"
        headers["referrer-policy"] = "same-origin"
        headers["cross-origin-opener-policy"] = "same-origin"
        headers["x-request-id"] = trace
        if "cache-control" not in headers:
            headers["cache-control"] = "public, max-age=3600" if path.startswith(("/assets/", STATIC)) else "no-store"
        if self.settings.secure:
            headers["strict-transport-security"] = "max-age=31536000"


__all__ = ["LOGOUT", "Answer", "Product", "create_app"]
