"""Passing requests and WebSockets on to Prefect. Nothing that the browser says about itself goes along."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import websockets
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from blocks.settings.sections import GatewaySettings
from deployments.desk.prefect_access.policy import FORM

TO_PREFECT = {"accept", "accept-language", "content-type", "user-agent", "x-prefect-api-version", "if-none-match"}
TO_BROWSER = {"content-type", "etag", "last-modified", "vary", "x-prefect-api-version"}
BODY_LIMIT = 1 << 20  # bytes
OURS = ("officer", "proof")  # fields of a form that the gateway fills in


class Upstream:
    """Prefect, as only the gateway reaches it."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.secret = settings.prefect_auth.get_secret_value()
        basic = "Basic " + base64.b64encode(self.secret.encode()).decode()
        self.http = httpx.AsyncClient(
            base_url=settings.upstream,
            headers={"authorization": basic},
            timeout=60,
            limits=httpx.Limits(max_connections=100),
        )

    async def pass_on(self, request: Request) -> Response:
        """One request, already allowed."""
        body = await read_body(request)
        if body is None:
            return JSONResponse({"detail": "Nội dung gửi quá dài."}, 413)
        headers = {name: value for name, value in request.headers.items() if name in TO_PREFECT}
        path, query = request.url.path, request.scope["query_string"].decode("latin-1")
        url = httpx.URL(path, query=query.encode()) if query else httpx.URL(path)
        try:
            answer = await self.http.send(
                self.http.build_request(request.method, url, headers=headers, content=body), stream=True
            )
        except httpx.TransportError:
            return JSONResponse({"detail": "Máy chủ điều phối chưa trả lời; vui lòng thử lại sau ít phút."}, 503)
        kept = {name: value for name, value in answer.headers.items() if name in TO_BROWSER}
        if place := answer.headers.get("location"):
            kept["location"] = place.removeprefix(self.settings.upstream) or "/"
        if request.url.path == "/ui-settings" or FORM.match(request.url.path):
            content = await answer.aread()
            await answer.aclose()
            return self._changed(request.url.path, answer.status_code, content, kept)
        return StreamingResponse(
            answer.aiter_bytes(), answer.status_code, kept, background=BackgroundTask(answer.aclose)
        )

    def _changed(self, path: str, status: int, content: bytes, headers: dict[str, str]) -> Response:
        """The UI is told to ask us, without a password of its own; forms are shown without the fields that we fill."""
        if status != 200:
            return Response(content, status, headers)
        told: Any = json.loads(content)
        if path == "/ui-settings":
            told |= {"api_url": f"{self.settings.origin}/api", "auth": None}
        else:
            for name in OURS:
                told.get("properties", {}).pop(name, None)
            told["required"] = [name for name in told.get("required", []) if name not in OURS]
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def pass_socket(self, browser: WebSocket, ended: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Events and logs as they come, until ``ended()`` returns.

        The browser's handshake is replaced by ours: it holds no secret.
        """
        address = "ws" + self.settings.upstream.removeprefix("http") + browser.url.path
        try:
            async with websockets.connect(address, subprotocols=["prefect"], max_size=1 << 22, proxy=None) as server:  # type: ignore[list-item]
                await browser.accept("prefect")
                first = json.loads(await browser.receive_text())
                if first.get("type") != "auth":
                    await browser.close(1008)
                    return
                await server.send(json.dumps({"type": "auth", "token": self.secret}))
                await _both_ways(browser, server, ended())
        except (OSError, websockets.WebSocketException, WebSocketDisconnect, ValueError, KeyError):
            return


async def _both_ways(browser: WebSocket, server: Any, ended: Coroutine[Any, Any, None]) -> None:
    async def up() -> None:
        while True:
            await server.send(await browser.receive_text())

    async def down() -> None:
        async for message in server:
            await browser.send_text(message if isinstance(message, str) else message.decode())

    tasks = [asyncio.create_task(way) for way in (up(), down(), ended)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    over = tasks[-1].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if over:
        with contextlib.suppress(RuntimeError):  # the browser left at the same moment
            await browser.close(1008)


async def read_body(request: Request) -> bytes | None:
    """The body, or None when it is longer than BODY_LIMIT."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_LIMIT:
            return None
        parts.append(part)
    return b"".join(parts)
