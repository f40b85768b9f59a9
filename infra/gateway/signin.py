"""Sign-in by OpenID Connect (authorization code with PKCE); any provider. Who has no group of ours isn't let in."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from infra.gateway.sessions import OFFICER, Officer, Session, Sessions, grants_of
from infra.gateway.settings import GatewaySettings

log = logging.getLogger("sohoa.gateway")
ALGORITHMS = "id_token_signing_alg_values_supported"
PUBLIC_KEY_ALGORITHMS = {f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)} | {"EdDSA"}
SIGNED_IN, SIGNED_OUT = "sign-in", "sign-out"  # actions of the audit trail
LOGIN, CALLBACK, LOGOUT = "/dang-nhap", "/dang-nhap/ve", "/dang-xuat"


def cookie_name(settings: GatewaySettings) -> str:
    """The prefix makes browsers refuse a cookie that another host or a plain connection has set."""
    return "__Host-sohoa" if settings.secure else "sohoa"


def local_path(text: str | None) -> str:
    """Where to go after sign-in: a path of ours, never another host."""
    return text if text and text.startswith("/") and not text.startswith(("//", "/\\")) else "/"


def signin_routes(settings: GatewaySettings, sessions: Sessions, refuse: Any, note: Any, say: Any) -> APIRouter:
    """Sign in, sign out. say(title, sentence, status, where to leave the provider) makes a page.

    refuse(code, officer id) and note(SIGNED_IN or SIGNED_OUT, officer id, trace) write the audit trail; a sign-in that
    can't be noted opens no session.
    """
    oauth, router = OAuth(), APIRouter()
    oauth.register(
        "office",
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value() or None,
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256", "timeout": 10},
    )

    @router.get(LOGIN, include_in_schema=False)
    async def login(request: Request, ve: str = "/") -> Response:
        request.session["ve"] = local_path(ve)
        try:
            answer: Response = await oauth.office.authorize_redirect(request, settings.origin + CALLBACK)
        except httpx.HTTPError:
            return say("Chưa đăng nhập được", "Máy chủ định danh chưa trả lời; vui lòng thử lại sau ít phút.", 503)
        return answer

    @router.get(CALLBACK, include_in_schema=False)
    async def callback(request: Request) -> Response:
        try:
            told = await oauth.office.load_server_metadata()
            # What the provider lists may hold "none", and the library would take it.
            told[ALGORITHMS] = [alg for alg in told.get(ALGORITHMS, []) if alg in PUBLIC_KEY_ALGORITHMS]
            wanted = {
                "iss": {"essential": True, "values": [told["issuer"]]},
                "aud": {"essential": True, "value": settings.oidc_client_id},  # else azp alone would do
            }
            token = await oauth.office.authorize_access_token(request, claims_options=wanted)
        except (OAuthError, JoseError, httpx.HTTPError, KeyError, ValueError) as error:
            kind = error.error if isinstance(error, OAuthError) else type(error).__name__
            log.warning(json.dumps({"trace": request.state.trace, "event": "sign-in failed", "kind": str(kind)[:80]}))
            await refuse("SIGN_IN_FAILED", None)
            return say(
                "Chưa đăng nhập được", "Phiên đăng nhập đã hết hạn hoặc bị từ chối; vui lòng đăng nhập lại.", 400
            )
        claims = token.get("userinfo") or {}
        officer = str(claims.get(settings.oidc_officer_claim) or "")
        groups = claims.get(settings.oidc_groups_claim)
        grants = grants_of(groups if isinstance(groups, list) else [])
        if not OFFICER.fullmatch(officer) or not grants:
            await refuse("NO_ROLE", officer if OFFICER.fullmatch(officer) else None)
            return say(
                "Chưa được phân quyền", "Tài khoản chưa thuộc nhóm nào của Sohoa; vui lòng báo người quản trị.", 403
            )
        await note(SIGNED_IN, officer, request.state.trace)
        target = local_path(request.session.pop("ve", "/"))
        answer = RedirectResponse(target, 303)
        if old := request.cookies.get(cookie_name(settings)):
            sessions.end(old)
        answer.set_cookie(
            cookie_name(settings),
            sessions.begin(Officer(officer, frozenset(), grants)),
            httponly=True,
            secure=settings.secure,
            samesite="lax",
            path="/",
        )
        return answer

    @router.post(LOGOUT, include_in_schema=False)
    async def logout(request: Request) -> Response:
        session: Session | None = request.state.session
        if session is not None:
            await note(SIGNED_OUT, session.officer.id, request.state.trace)
        sessions.end(request.cookies.get(cookie_name(settings), ""))
        answer = say("Đã đăng xuất", "Phiên làm việc đã kết thúc.", 200, await leave_office())
        answer.delete_cookie(cookie_name(settings), path="/")
        return answer

    async def leave_office() -> str:
        """Where the provider's own session is ended, which would sign the next person at a shared desk in as this one.

        OpenID Connect RP-Initiated Logout 1.0; empty when the provider has no such page, or doesn't answer.
        """
        try:
            place = (await oauth.office.load_server_metadata()).get("end_session_endpoint")
        except (OAuthError, httpx.HTTPError, ValueError):
            return ""
        back = {"client_id": settings.oidc_client_id, "post_logout_redirect_uri": settings.origin + "/"}
        return str(httpx.URL(place).copy_merge_params(back)) if place else ""

    return router
