"""The gateway as one ASGI application: who isn't signed in sees the sign-in only; who is, sees what the policy opens.

Everything is shut unless a route or the policy opens it. What belongs to the product (pages, who may decide what, the
audit trail) comes in through `Product`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from blocks.errors import Remedy, SohoaError
from blocks.logs import request_line
from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.provider import Provider
from deployments.desk.auth.sessions import Officer, Session, Sessions, hashed
from deployments.desk.auth.signin import BACK_CHANNEL, CALLBACK, LOGIN, LOGOUT, SignIn, SignIns, cookie_name
from deployments.desk.auth.watch import Watch
from deployments.desk.bodies import parse_small, read_small
from deployments.desk.limits import Rate, Refusals, client_address
from deployments.desk.prefect_access.policy import is_tricky, open_to_operations
from deployments.desk.prefect_access.routes import decision_routes, prefect_routes

log = logging.getLogger("sohoa.gateway")
HEALTH, STATIC, SESSION = "/suc-khoe", "/tinh/", "/phien"
SAFE = {"GET", "HEAD", "OPTIONS"}
TOLD_SECONDS, TOLD_LIMIT = 3600, 10_000
# Bytes, fields of a form that came without a session: of who had one just now, and of a stranger.
TYPED_LIMIT, FORM_FIELDS = 4 << 20, 20_000
STRANGER_LIMIT, STRANGER_FIELDS = 256 << 10, 200
STRANGER_ENTRIES = 20  # in the audit trail a minute; then they are counted
LOGOUTS_A_MINUTE = 120  # tokens of the provider whose signature is looked at
SOCKETS = 20  # of one session
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
    """What became of a decision.

    status: ACCEPT, REJECT (mend and repeat), ABORT (too late), LATER (what it needs doesn't answer) or FAULT (an
    administrator must mend something). step_up: where the officer proves anew who they are, after which the same is
    taken; "" where nothing of that kind is missing.
    """

    status: str
    sentences: list[str]
    step_up: str


class Product(Protocol):
    """What the gateway doesn't know of itself.

    confirmed: of what the provider's groups say, that which the office's own list says, too, at this moment;
    keep_typed: the page for a form whose session had ended.
    """

    def routers(self) -> list[APIRouter]: ...
    def confirmed(self, officer: str, told: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]: ...
    @property
    def signins(self) -> SignIns: ...
    def resume(self, session: Session, run: UUID, form: dict[str, Any], trace: str) -> Answer: ...
    def signed(self, action: str, officer: str, trace: str, details: dict[str, Any]) -> None: ...
    def refused(self, code: str, officer: str | None, trace: str, path: str, count: int = 1) -> None: ...
    def say(self, title: str, sentence: str, status: int, leave: str = "") -> Response: ...
    def show_sessions(self, session: Session, everybody: list[Session]) -> Response: ...
    async def end_session(
        self, request: Request, session: Session, wanted: list[Session]
    ) -> tuple[list[Session], Response]: ...
    def keep_typed(self, path: str, typed: list[tuple[str, str]]) -> Response: ...


def create_app(settings: GatewaySettings, product: Product) -> Guard:
    """The application with its guard round it."""
    sessions = Sessions(settings.session_idle_minutes * 60, settings.session_hours * 3600)
    provider = Provider(settings)

    async def write(code: str, officer: str | None, trace: str, path: str, count: int) -> None:
        await run_in_threadpool(product.refused, code, officer, trace, path, count)

    refusals = Refusals(write, STRANGER_ENTRIES, settings.refusals_a_minute)

    async def signed(action: str, officer: str, trace: str, details: dict[str, Any]) -> None:
        await run_in_threadpool(product.signed, action, officer, trace, details)

    async def refuse(code: str, officer: str | None, trace: str) -> None:
        await refusals.note(code, officer, trace, CALLBACK)

    async def note(code: str, officer: str) -> None:
        await refusals.note(code, officer, "", "")

    @asynccontextmanager
    async def watching(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(guard.watch.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title="Sohoa: cổng viên chức",
        docs_url=None,
        redoc_url=None,
        openapi_url="/cong/openapi.json",
        lifespan=watching,
    )
    app.include_router(SignIn(settings, provider, sessions, product.signins, refuse, signed, product.say).router())

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        """Nobody is left with an English page; the traceback goes to the log, under the same trace."""
        status, title, sentence = told_of(error, request.state.trace)
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(product.say, title, sentence, status)
        return JSONResponse({"detail": sentence}, status)

    @app.exception_handler(RequestValidationError)
    async def mistyped(request: Request, error: RequestValidationError) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(product.say, "Không tìm thấy", "Địa chỉ này không có trên cổng.", 404)
        return JSONResponse({"detail": "Yêu cầu không hợp lệ."}, 422)

    @app.get(HEALTH, include_in_schema=False)
    async def health() -> Response:
        return PlainTextResponse("ok")

    @app.get(SESSION, summary="Ai đang đăng nhập; trang hỏi trước khi gửi tệp, để tệp đã chọn không mất")
    async def who(request: Request) -> Response:
        """csrf: of this session, as each of its pages holds it; other origins can't read the answer."""
        session: Session = request.state.session
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(product.show_sessions, session, sessions.all())
        return JSONResponse({"officer": session.officer.id, "csrf": session.csrf}, headers={"vary": "accept"})

    @app.post(SESSION + "/{ident}/dong", summary="Kết thúc một phiên làm việc", include_in_schema=False)
    async def end_session(request: Request, ident: UUID) -> Response:
        session: Session = request.state.session
        wanted = [one for one in sessions.all() if one.id == ident]
        ended, answer = await product.end_session(request, session, wanted)
        sessions.end_those(ended, session.officer.id, "ENDED")
        return answer

    app.include_router(decision_routes(product, refusals))
    for router in product.routers():
        app.include_router(router)

    app.include_router(prefect_routes(settings, sessions, product, refusals))

    signing_in = SessionMiddleware(
        app,
        settings.gateway_secret.get_secret_value(),
        session_cookie="sohoa-dang-nhap",
        max_age=600,
        path=LOGIN,
        same_site="lax",
        https_only=settings.secure,
    )
    guard = Guard(signing_in, settings, sessions, product, refusals)
    guard.watch = Watch(provider, sessions, product.signins, refusals, guard.today, note)
    return guard


class Guard:
    """Before everything: odd paths, sessions, the origin of what changes something; after it: headers, one log line."""

    watch: Watch

    def __init__(
        self, app: ASGIApp, settings: GatewaySettings, sessions: Sessions, product: Product, refusals: Refusals
    ) -> None:
        self.app, self.settings, self.sessions, self.product = app, settings, sessions, product
        self.refusals = refusals
        self._by_session, self._by_address = Rate(settings.requests_a_minute), Rate(settings.stranger_requests_a_minute)
        self._logouts = Rate(LOGOUTS_A_MINUTE)
        self._proxies = [ip_network(text) for text in settings.trusted_proxies]
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        trace, began = secrets.token_hex(16), time.monotonic()
        connection = HTTPConnection(scope)
        use = is_use(scope["type"], scope.get("method", ""), scope["path"], connection.headers)
        session = self.sessions.find(connection.cookies.get(cookie_name(self.settings), ""), use=use)
        if session is not None:
            session.officer = self.today(session.officer)
        scope.setdefault("state", {}).update(session=session, trace=trace)
        if scope["type"] == "websocket":
            if session is None or not self._same_origin(connection.headers):
                if session is not None or not self._told_lately(connection, scope["path"]):
                    await self._note("SOCKET", session, trace, scope["path"])
                return await WebSocket(scope, receive, send).close(1008)
            if session.sockets >= SOCKETS or not self._by_session.take(str(session.id)):
                return await WebSocket(scope, receive, send).close(1008)
            session.sockets += 1
            try:
                return await self.app(scope, receive, send)
            finally:
                session.sockets -= 1
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._headers(scope["path"], trace, MutableHeaders(scope=message))
            await send(message)

        try:
            try:
                refusal = await self._too_many(scope, connection, session)
                refusal = refusal or await self._refusal(scope, receive, connection, session, trace)
            except Exception as error:  # the audit trail doesn't answer: what can't be noted isn't let through either
                log.error(json.dumps({"trace": trace, "event": "refusal failed", "kind": type(error).__name__}))
                code, _, sentence = told_of(error, trace)
                refusal = JSONResponse({"detail": sentence}, code)
            await (refusal or self.app)(scope, receive, tell)
            if status == 403 and session is not None:
                await self.refusals.elsewhere(session.officer.id)
        finally:
            officer = session.officer.id if session else None
            log.info(request_line(trace, scope["method"], scope["path"], status, began, officer=officer))

    async def _too_many(self, scope: Scope, connection: HTTPConnection, session: Session | None) -> Response | None:
        """The answer to who asks too often; nothing of it is written one by one."""
        path = scope["path"]
        if session is not None:
            within = self._by_session.take(str(session.id))
            within = within and (path == LOGOUT or not await self.refusals.exhausted(session.officer.id))
        elif path == HEALTH or path.startswith(STATIC):
            within = True
        else:
            peer = str((scope.get("client") or ("",))[0])
            within = self._by_address.take(client_address(peer, connection.headers, self._proxies))
            within = within and (path != BACK_CHANNEL or self._logouts.take(""))
        if within:
            return None
        told = {"detail": "Quá nhiều yêu cầu trong một phút; vui lòng chờ một phút rồi thử lại."}
        return JSONResponse(told, 429, {"retry-after": "60"})

    async def _refusal(
        self, scope: Scope, receive: Receive, connection: HTTPConnection, session: Session | None, trace: str
    ) -> Response | None:
        """The answer to what isn't let through."""
        method, path = scope["method"], scope["path"]
        if is_tricky(scope.get("raw_path") or path.encode()):
            await self._note("PATH", session, trace, "")
            return JSONResponse({"detail": "Địa chỉ không hợp lệ."}, 400)
        if {"content-length", "transfer-encoding"} <= set(connection.headers):
            # A proxy in front may believe the other one, and what follows would be somebody else's request.
            await self._note("TWO_LENGTHS", session, trace, "")
            return JSONResponse({"detail": "Yêu cầu không hợp lệ."}, 400, {"connection": "close"})
        if path == BACK_CHANNEL:
            return None if method == "POST" else JSONResponse({"detail": "Không được phép."}, 405)
        if path in (LOGIN, CALLBACK, HEALTH) or path.startswith(STATIC):
            return None if method in SAFE else JSONResponse({"detail": "Không được phép."}, 405)
        if session is None:
            html = "text/html" in connection.headers.get("accept", "")
            if html and method in SAFE:
                if cookie_name(self.settings) in connection.cookies:
                    await self._note("NO_SESSION", None, trace, path)
                wanted = path + "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else path
                return RedirectResponse(f"{LOGIN}?ve={quote(wanted)}" if wanted != "/" else LOGIN, 303)
            if not (open_to_operations(method, path) and self._told_lately(connection, path)):
                await self._note("NO_SESSION", None, trace, path)
            if html and method == "POST" and self._same_origin(connection.headers):
                known = self.sessions.knew(connection.cookies.get(cookie_name(self.settings), ""))
                typed = await _typed(Request(scope, receive), known)
                return await run_in_threadpool(self.product.keep_typed, path, typed)
            return JSONResponse({"detail": "Vui lòng đăng nhập."}, 401)
        if method not in SAFE and not self._same_origin(connection.headers):
            await self._note("CROSS_SITE", session, trace, path)
            return JSONResponse({"detail": "Yêu cầu đến từ trang khác nên bị từ chối."}, 403)
        return None

    def today(self, officer: Officer) -> Officer:
        """With what the officer holds now. A list that can't be read confirms nothing."""
        try:
            return replace(officer, grants=self.product.confirmed(officer.id, officer.told))
        except Exception as error:
            log.error(json.dumps({"event": "list of staff unreadable", "kind": type(error).__name__}))
            return replace(officer, grants=frozenset())

    def _same_origin(self, headers: Headers) -> bool:
        return headers.get("origin") == self.settings.origin

    async def _note(self, code: str, session: Session | None, trace: str, path: str) -> None:
        await self.refusals.note(code, session.officer.id if session else None, trace, path)

    def _told_lately(self, connection: HTTPConnection, path: str) -> bool:
        """Whether this cookie was refused this path in the last hour.

        A tab with Prefect's UI that is left open goes on asking all night after its session has ended: one entry is
        enough, thousands would hide what matters.
        """
        asked, now = (hashed(connection.cookies.get(cookie_name(self.settings), "")), path), time.monotonic()
        if now - self._told.get(asked, -TOLD_SECONDS) < TOLD_SECONDS:
            return True
        self._told.pop(asked, None)
        self._told[asked] = now
        while len(self._told) > TOLD_LIMIT:
            self._told.popitem(last=False)
        return False

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


def told_of(error: Exception, trace: str) -> tuple[int, str, str]:
    """(status, title, sentence) for the person: only what comes back by itself is to be tried again."""
    if isinstance(error, SohoaError) and error.remedy is Remedy.RETRY:
        return 503, "Hệ thống tạm thời chưa phản hồi", "Cổng tạm thời chưa trả lời; vui lòng thử lại sau ít phút."
    sentence = "Cổng gặp lỗi, yêu cầu có thể chưa được thực hiện; vui lòng báo quản trị viên kèm mã lỗi"
    return 500, "Có lỗi", f"{sentence}: {trace}"


def is_use(kind: str, method: str, path: str, headers: Headers) -> bool:
    """Whether a person asks. What an open page asks for by itself (Fetch Metadata) keeps no session alive."""
    if kind != "http" or (path == SESSION and "text/html" not in headers.get("accept", "")):
        return False
    if open_to_operations(method, path) and path.startswith("/api/"):
        return False
    if method not in SAFE:
        return True
    mode = headers.get("sec-fetch-mode")
    if mode is None:
        return True  # no browser, or an old one
    own = headers.get("sec-fetch-site") == "same-origin"
    return mode == "navigate" and (not own or headers.get("sec-fetch-user") == "?1")


async def _typed(request: Request, known: bool) -> list[tuple[str, str]]:
    """The text of a page's form that came after its session had ended; files are left out.

    known: there was such a session; of strangers only a small form is read.
    """
    size, fields = (TYPED_LIMIT, FORM_FIELDS) if known else (STRANGER_LIMIT, STRANGER_FIELDS)
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > size:
        return []
    body = await read_small(request, size)
    try:
        form = await parse_small(request.headers, body or b"", fields, files=100)
    except (MultiPartException, ValueError):
        return []
    try:
        return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    finally:
        await form.close()


__all__ = ["LOGOUT", "Answer", "Product", "create_app"]
