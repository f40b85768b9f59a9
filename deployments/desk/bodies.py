"""Forms: small ones are read whole and parsed in a thread, so that a costly one delays nobody else's request.

Ones with files are parsed as they come, once their first bytes have shown the token of the session.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser, MultiPartParser
from starlette.requests import Request
from starlette.types import Message, Receive

HEAD = 64 << 10  # bytes at the beginning of a form in which its token must stand
TOKEN = re.compile(rb'name="csrf"\r\n(?:[^\r\n]+\r\n)*\r\n([A-Za-z0-9_-]{8,128})\r\n')
READ_SECONDS = 120  # that a small form may take to come


async def read_small(request: Request, limit: int) -> bytes | None:
    """The body; None when it is longer than limit bytes, or doesn't come."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    return None
                parts.append(part)
    except TimeoutError:
        return None
    return b"".join(parts)


async def parse_small(headers: Headers, body: bytes, fields: int, files: int) -> FormData:
    """Raises MultiPartException and others for what is no form, or has too many fields."""
    return await run_in_threadpool(lambda: asyncio.run(_parse(headers, body, fields, files)))


async def _parse(headers: Headers, body: bytes, fields: int, files: int) -> FormData:
    async def whole() -> AsyncIterator[bytes]:
        yield body
        yield b""

    if headers.get("content-type", "").startswith("multipart/form-data"):
        return await MultiPartParser(headers, whole(), max_files=files, max_fields=fields).parse()  # type: ignore[arg-type]
    if body.count(b"&") >= fields:
        raise ValueError("too many fields")
    return await FormParser(headers, whole()).parse()  # type: ignore[arg-type]


async def with_token(request: Request, csrf: str) -> Request | None:
    """The same request, from its beginning; None unless the token stands in its first bytes. No more is read."""
    kept: list[Message] = []
    head = b""
    while len(head) < HEAD and (not kept or kept[-1].get("more_body")):
        message = await request.receive()
        if message["type"] != "http.request":
            return None
        kept.append(message)
        head += message.get("body", b"")
        found = TOKEN.search(head)
        if found:
            if secrets.compare_digest(found[1], csrf.encode()):
                return Request(request.scope, _again(kept, request.receive))
            return None
    return None


def _again(kept: list[Message], receive: Receive) -> Receive:
    async def next_message() -> Message:
        return kept.pop(0) if kept else await receive()

    return next_message
