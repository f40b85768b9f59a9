"""What stands before everything of the desk: who isn't signed in sees the sign-in only; who is, sees what is open.

Everything is shut unless a route or the policy opens it.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from dataclasses import replace
from ipaddress import ip_network
from urllib.parse import quote

from cachetools import TTLCache
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from blocks.errors import Remedy, SohoaError
from blocks.logs import request_line
from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.sessions import Officer, Session, Sessions, hashed
from deployments.desk.auth.signin import BACK_CHANNEL, CALLBACK, LOGIN, LOGOUT, cookie_name
from deployments.desk.auth.watch import Watch
from deployments.desk.bodies import parse_small, read_small
from deployments.desk.desk import Desk
from deployments.desk.limits import Rate, Refusals, client_address
from deployments.desk.prefect_access.policy import is_tricky, open_to_operations

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


class Guard:
    """Before everything: odd paths, sessions, the origin of what changes something; after it: headers, one log line."""

    watch: Watch

    def __init__(
        self, app: ASGIApp, settings: GatewaySettings, sessions: Sessions, desk: Desk, refusals: Refusals
    ) -> None:
        self.app, self.settings, self.sessions, self.desk = app, settings, sessions, desk
        self.refusals = refusals
        self._by_session, self._by_address = Rate(settings.requests_a_minute), Rate(settings.stranger_requests_a_minute)
        self._logouts = Rate(LOGOUTS_A_MINUTE)
        self._proxies = [ip_network(text) for text in settings.trusted_proxies]
        self._told: TTLCache[tuple[str, str], None] = TTLCache(TOLD_LIMIT, TOLD_SECONDS)

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
        body = {"detail": "Quá nhiều yêu cầu trong một phút; vui lòng chờ một phút rồi thử lại."}
        return JSONResponse(body, 429, {"retry-after": "60"})

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
                return await run_in_threadpool(self.desk.keep_typed, path, typed)
            return JSONResponse({"detail": "Vui lòng đăng nhập."}, 401)
        if method not in SAFE and not self._same_origin(connection.headers):
            await self._note("CROSS_SITE", session, trace, path)
            return JSONResponse({"detail": "Yêu cầu đến từ trang khác nên bị từ chối."}, 403)
        return None

    def today(self, officer: Officer) -> Officer:
        """With what the officer holds now. A list that can't be read confirms nothing."""
        try:
            return replace(officer, grants=self.desk.confirmed(officer.id, officer.told))
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
        asked = hashed(connection.cookies.get(cookie_name(self.settings), "")), path
        if asked in self._told:
            return True
        self._told[asked] = None
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
