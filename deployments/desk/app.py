"""The desk as one ASGI application: sign-in, sessions, pages and Prefect's own, with the guard round all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.provider import Provider
from deployments.desk.auth.sessions import Session, Sessions
from deployments.desk.auth.signin import CALLBACK, LOGIN, SignIn
from deployments.desk.auth.watch import Watch
from deployments.desk.desk import Desk
from deployments.desk.guard import HEALTH, SESSION, STRANGER_ENTRIES, Guard, told_of
from deployments.desk.limits import Refusals
from deployments.desk.prefect_access.routes import decision_routes, prefect_routes


def create_app(settings: GatewaySettings, desk: Desk) -> Guard:
    """The application with its guard round it."""
    sessions = Sessions(settings.session_idle_minutes * 60, settings.session_hours * 3600)
    provider = Provider(settings)

    async def write(code: str, officer: str | None, trace: str, path: str, count: int) -> None:
        await run_in_threadpool(desk.refused, code, officer, trace, path, count)

    refusals = Refusals(write, STRANGER_ENTRIES, settings.refusals_a_minute)

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
    app.include_router(_sign_in(settings, provider, sessions, desk, refusals).router())
    _errors(app, desk)
    app.include_router(_own_sessions(sessions, desk))
    app.include_router(decision_routes(desk, refusals))
    for router in desk.routers():
        app.include_router(router)
    app.include_router(prefect_routes(settings, sessions, desk, refusals))
    signing_in = SessionMiddleware(
        app,
        settings.gateway_secret.get_secret_value(),
        session_cookie="sohoa-dang-nhap",
        max_age=600,
        path=LOGIN,
        same_site="lax",
        https_only=settings.secure,
    )
    guard = Guard(signing_in, settings, sessions, desk, refusals)
    guard.watch = Watch(provider, sessions, desk.signins, refusals, guard.today, note)
    return guard


def _sign_in(
    settings: GatewaySettings, provider: Provider, sessions: Sessions, desk: Desk, refusals: Refusals
) -> SignIn:
    async def signed(action: str, officer: str, trace: str, details: dict[str, Any]) -> None:
        await run_in_threadpool(desk.signed, action, officer, trace, details)

    async def refuse(code: str, officer: str | None, trace: str) -> None:
        await refusals.note(code, officer, trace, CALLBACK)

    return SignIn(settings, provider, sessions, desk.signins, refuse, signed, desk.say)


def _errors(app: FastAPI, desk: Desk) -> None:
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        """Nobody is left with an English page; the traceback goes to the log, under the same trace."""
        status, title, sentence = told_of(error, request.state.trace)
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(desk.say, title, sentence, status)
        return JSONResponse({"detail": sentence}, status)

    @app.exception_handler(RequestValidationError)
    async def mistyped(request: Request, error: RequestValidationError) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(desk.say, "Không tìm thấy", "Địa chỉ này không có trên cổng.", 404)
        return JSONResponse({"detail": "Yêu cầu không hợp lệ."}, 422)


def _own_sessions(sessions: Sessions, desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get(HEALTH, include_in_schema=False)
    async def health() -> Response:
        return PlainTextResponse("ok")

    @router.get(SESSION, summary="Ai đang đăng nhập; trang hỏi trước khi gửi tệp, để tệp đã chọn không mất")
    async def who(request: Request) -> Response:
        """csrf: of this session, as each of its pages holds it; other origins can't read the answer."""
        session: Session = request.state.session
        if "text/html" in request.headers.get("accept", ""):
            return await run_in_threadpool(desk.show_sessions, session, sessions.all())
        return JSONResponse({"officer": session.officer.id, "csrf": session.csrf}, headers={"vary": "accept"})

    @router.post(SESSION + "/{ident}/dong", summary="Kết thúc một phiên làm việc", include_in_schema=False)
    async def end_session(request: Request, ident: UUID) -> Response:
        session: Session = request.state.session
        wanted = [one for one in sessions.all() if one.id == ident]
        ended, answer = await desk.end_session(request, session, wanted)
        sessions.end_those(ended, session.officer.id, "ENDED")
        return answer

    return router


__all__ = ["create_app"]
