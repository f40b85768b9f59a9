"""Sign-in by OpenID Connect (authorization code with PKCE); any provider. Users without a known group
are rejected.

An account is bound to one officer, by its subject. Before a signature is allowed the provider is asked again who
sits there (step-up), and when it ends an account's sessions, ours end too (Back-Channel Logout 1.0).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.provider import AWAY, FAULTS, LEEWAY, Account, Provider, kind_of
from deployments.desk.auth.sessions import OFFICER, Asked, Officer, Proven, Session, Sessions

log = logging.getLogger("sohoa.gateway")
SIGNED_IN, SIGNED_OUT, STEPPED_UP = "sign-in", "sign-out", "step-up"  # actions of the audit trail
LOGIN, CALLBACK, LOGOUT = "/dang-nhap", "/dang-nhap/ve", "/dang-xuat"
AGAIN, BACK_CHANNEL = "/dang-nhap/lai", "/dang-xuat/kenh-sau"
TOKEN_BYTES = 16 << 10  # of a logout token with its form

Refuse = Callable[[str, str | None, str], Awaitable[None]]  # code, officer, trace: into the audit trail
Note = Callable[[str, str, str, dict[str, Any]], Awaitable[None]]  # action, officer, trace, details


class SignIns(Protocol):
    """What the records know of sign-ins. is_bound: whether this account is this officer's (first: binds it now)."""

    def is_bound(self, issuer: str, sub: str, officer: str, first: bool) -> bool: ...
    def began(self, ident: UUID, officer: str) -> None: ...
    def ended(self, those: list[tuple[UUID, str, str]]) -> None: ...
    def seen(self, times: dict[UUID, datetime]) -> None: ...
    def over(self, idents: list[UUID]) -> list[UUID]: ...
    def first_use(self, issuer: str, jti: str, until: datetime) -> bool: ...


def cookie_name(settings: GatewaySettings) -> str:
    """The prefix makes browsers refuse a cookie that another host or a plain connection has set."""
    return "__Host-sohoa" if settings.secure else "sohoa"


def local_path(text: str | None) -> str:
    """Where to go after sign-in: a path of ours, never another host."""
    return text if text and text.startswith("/") and not text.startswith(("//", "/\\")) else "/"


class SignIn:
    """say(title, sentence, status, where to leave the provider) makes a page.

    A sign-in that can't be noted in the audit trail opens no session.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        provider: Provider,
        sessions: Sessions,
        signins: SignIns,
        refuse: Refuse,
        note: Note,
        say: Callable[..., Response],
    ) -> None:
        self.settings, self.provider, self.sessions, self.signins = settings, provider, sessions, signins
        self.refuse, self.note, self.say = refuse, note, say

    # -- to the provider ----------------------------------------------------------------------------------------
    async def login(self, request: Request, ve: str = "/") -> Response:
        request.session.pop("viec", None)
        request.session["ve"] = local_path(ve)
        return await self._ask(request)

    async def again(self, request: Request, viec: str) -> Response:
        """For who is signed in: prove it anew for what `viec` stands for, and come back to it."""
        session: Session = request.state.session
        if session.step_up(viec) is None:
            return self.say("Trang đã cũ", "Vui lòng mở lại trang hồ sơ rồi bấm lại nút quyết định.", 400)
        request.session["viec"] = viec
        return await self._ask(request, again=True)

    async def _ask(self, request: Request, *, again: bool = False) -> Response:
        try:
            return await self.provider.ask(request, self.settings.origin + CALLBACK, again=again)
        except FAULTS as error:
            self._log(request, error)
            sentence = "Máy chủ định danh chưa trả lời hoặc cấu hình sai; vui lòng thử lại sau ít phút."
            return self.say("Chưa đăng nhập được", sentence, 503)

    # -- back from it -------------------------------------------------------------------------------------------
    async def callback(self, request: Request) -> Response:
        viec = request.session.pop("viec", None)
        try:
            account = await self.provider.account(request, again=viec is not None)
        except FAULTS as error:
            self._log(request, error)
            await self.refuse("SIGN_IN_FAILED", None, request.state.trace)
            sentence = "Phiên đăng nhập đã hết hạn hoặc bị từ chối; vui lòng đăng nhập lại."
            return self.say("Chưa đăng nhập được", sentence, 400)
        if viec is not None:
            return await self._stepped_up(request, account, str(viec))
        known = account.officer if OFFICER.fullmatch(account.officer) else ""
        if not known or not account.told:
            await self.refuse("NO_ROLE", known or None, request.state.trace)
            sentence = "Tài khoản chưa thuộc nhóm nào của Sohoa; vui lòng báo người quản trị."
            return self.say("Chưa được phân quyền", sentence, 403)
        first = self.settings.oidc_bind_first
        if not await run_in_threadpool(self.signins.is_bound, account.issuer, account.sub, known, first):
            await self.refuse("OTHER_ACCOUNT", known, request.state.trace)
            sentence = (
                f"Mã viên chức {known} đã gắn với một tài khoản khác (hoặc chưa được gắn), nên tài khoản này không "
                "được vào; việc này đã được ghi lại. Vui lòng báo người quản trị."
            )
            return self.say("Không đúng tài khoản", sentence, 403)
        return await self._signed_in(request, account)

    async def _signed_in(self, request: Request, account: Account) -> Response:
        how = {"acr": account.acr[:64]} | ({"auth_time": account.auth_time} if account.auth_time else {})
        await self.note(SIGNED_IN, account.officer, request.state.trace, how)
        answer = RedirectResponse(local_path(request.session.pop("ve", "/")), 303)
        if old := request.cookies.get(cookie_name(self.settings)):
            self.sessions.end(old, account.officer, "SIGNED_IN_ANEW")
        cookie = self.sessions.begin(
            Officer(account.officer, frozenset(), account.told),
            account=(account.issuer, account.sub, account.sid),
            proven=Proven(account.acr, account.auth_time),
            refresh_token=account.refresh_token,
        )
        session = self.sessions.find(cookie)
        if session is not None:
            await run_in_threadpool(self.signins.began, session.id, account.officer)
        answer.set_cookie(
            cookie_name(self.settings), cookie, httponly=True, secure=self.settings.secure, samesite="lax", path="/"
        )
        return answer

    async def _stepped_up(self, request: Request, account: Account, viec: str) -> Response:
        """The same person, at the same account, after it was asked for: then for this one thing."""
        session: Session | None = request.state.session
        asked = session.step_up(viec) if session else None
        if session is None or asked is None or not self._fits(session, asked, account):
            await self.refuse("STEP_UP_FAILED", session.officer.id if session else None, request.state.trace)
            sentence = "Xác thực lại không thành công hoặc không đúng tài khoản; chưa có gì được thực hiện."
            return self.say("Chưa xác thực được", sentence, 403)
        asked.proven = Proven(account.acr, account.auth_time)
        how = {"acr": account.acr[:64], "auth_time": account.auth_time, "about": asked.about}
        await self.note(STEPPED_UP, session.officer.id, request.state.trace, how)
        return RedirectResponse(f"{asked.back}?xac-thuc={viec}", 303)

    @staticmethod
    def _fits(session: Session, asked: Asked, account: Account) -> bool:
        late = timedelta(seconds=LEEWAY)
        fresh = account.auth_time is not None and asked.at - late <= account.auth_time <= datetime.now(UTC) + late
        return fresh and session.account[:2] == (account.issuer, account.sub)

    # -- out ----------------------------------------------------------------------------------------------------
    async def logout(self, request: Request) -> Response:
        session: Session | None = request.state.session
        if session is not None:
            await self.note(SIGNED_OUT, session.officer.id, request.state.trace, {})
            self.sessions.end_those([session], session.officer.id, "SIGNED_OUT")
        answer = self.say("Đã đăng xuất", "Phiên làm việc đã kết thúc.", 200, await self.provider.leave())
        answer.delete_cookie(cookie_name(self.settings), path="/")
        answer.headers["clear-site-data"] = '"storage"'  # for the next person at this desk
        return answer

    async def back_channel(self, request: Request) -> Response:
        """The provider says that an account, or one session of it, has ended there."""
        headers = {"cache-control": "no-store"}
        try:
            claims = await self.provider.logout(await _logout_token(request))
            until = datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
            if not await run_in_threadpool(self.signins.first_use, claims["iss"], claims["jti"], until):
                raise ValueError("used")
        except AWAY:
            return JSONResponse({"error": "temporarily_unavailable"}, 503, headers)
        except FAULTS as error:
            self._log(request, error)
            await self.refuse("LOGOUT_TOKEN", None, request.state.trace)
            return JSONResponse({"error": "invalid_request"}, 400, headers)
        sub, sid = claims.get("sub"), claims.get("sid")
        ended = [
            session
            for session in self.sessions.all()
            if session.account[0] == claims["iss"]
            and (sub is None or session.account[1] == sub)
            and (sid is None or session.account[2] == sid)
        ]
        for session in ended:
            await self.note(SIGNED_OUT, session.officer.id, request.state.trace, {"by": "provider"})
        self.sessions.end_those(ended, "system", "BACK_CHANNEL")
        return Response(status_code=200, headers=headers)

    def _log(self, request: Request, error: Exception) -> None:
        log.warning(json.dumps({"trace": request.state.trace, "event": "provider", "kind": kind_of(error)}))

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(LOGIN, self.login, methods=["GET"])
        router.add_api_route(AGAIN, self.again, methods=["GET"])
        router.add_api_route(CALLBACK, self.callback, methods=["GET"])
        router.add_api_route(LOGOUT, self.logout, methods=["POST"])
        router.add_api_route(BACK_CHANNEL, self.back_channel, methods=["POST"])
        return router


async def _logout_token(request: Request) -> str:
    """Raises ValueError unless it is a small form with one token."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise ValueError("type")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > TOKEN_BYTES:
            raise ValueError("size")
    (token,) = parse_qs(body.decode("ascii"), max_num_fields=5).get("logout_token", [""])
    if not token:
        raise ValueError("missing")
    return token
