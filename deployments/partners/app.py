"""The partners' application beside the officers': no cookie, no session, no page; bearer tokens only.

It has its own paths (``/oauth/token``, ``/api/partners/v1/…``) and, where a bearer token is shown, the two of Prefect's
that a partner may call (deployments/partners/prefect.py). Errors are problem details (RFC 9457) with code and sentence.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blocks.catalog import Catalog
from blocks.errors import Remedy, SohoaError
from blocks.logs import request_line
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.partners import SCOPES
from blocks.settings import gateway_url
from deployments.desk.prefect_access.policy import is_tricky
from deployments.partners.access import TOKEN_BODY, Access
from deployments.partners.callbacks import callback_routes
from deployments.partners.prefect import prefect_routes
from deployments.partners.routes import FAULT, JSON_LIMIT, BodyTooLarge, Fault, limited_body, routes
from tasks.intake.manifest import Manifest
from tasks.partner_cases.cases import FILE_LIMIT
from tasks.partner_cases.declaration import FILE
from tasks.partner_cases.errors import DeclarationInvalid, FileNameRefused
from tasks.partner_cases.status import CaseView

VERSION = "1.0.0"
BASE, TOKEN = "/api/partners/v1", "/oauth/token"
CASE = re.compile(r"(/submissions/)[^/]+")
log = logging.getLogger("sohoa.gateway")


def create_partners(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, prefect: Orchestrator, access: Access
) -> FastAPI:
    """The application; its document is at ``/api/partners/v1/openapi.json``."""
    app = FastAPI(
        title="Sohoa: partners",
        version=VERSION,
        description="Hand dossiers in, supplement them, scan again, follow them. See docs/en/integrators.md.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{BASE}/openapi.json",
    )

    @app.post(
        TOKEN,
        tags=["token"],
        summary="Access token (OAuth 2.0, client credentials)",
        openapi_extra=TOKEN_FORM,
        responses=TOKEN_ANSWERS,
    )
    async def token(request: Request) -> Response:
        body = await limited_body(request, TOKEN_BODY)
        header = request.headers.get("authorization", "")
        return await run_in_threadpool(access.token, header, body, request.state.trace)

    @app.webhooks.post(
        "submission.changed", tags=["call-backs"], summary="What a partner's server gets", status_code=204
    )
    def changed(event: Event) -> None:
        """Signed as Standard Webhooks says (Ed25519). Any 2xx within ten seconds takes it."""

    app.include_router(routes(records, objects, catalog, prefect, access), prefix=BASE)
    app.include_router(callback_routes(records, access), prefix=BASE)
    app.include_router(prefect_routes(records, objects, prefect, access))
    app.add_exception_handler(SohoaError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    app.openapi = partial(_document, app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's, with how one proves who one is, and the declaration, which is read by our own hand."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            webhooks=app.webhooks.routes,
        )
        model = Manifest.model_json_schema(ref_template="#/components/schemas/{model}")
        fault = Fault.model_json_schema()
        schema["components"]["schemas"] |= model.pop("$defs") | {"Declaration": model, "Fault": fault}
        schema["servers"] = [{"url": gateway_url()}]
        schema["components"]["securitySchemes"] = {
            "client": {"type": "http", "scheme": "basic"},
            "partner": {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": gateway_url() + TOKEN, "scopes": dict(MEANT)}},
            },
        }
        schema["security"] = [{"partner": []}]
        schema["paths"][f"{BASE}/key"]["get"]["security"] = []
        app.openapi_schema = schema
    return app.openapi_schema


MEANT = {"submit": "Open cases, send files, hand in", "read": "Follow own cases", "callback": "Say where call-backs go"}
assert set(MEANT) == set(SCOPES)


class Token(BaseModel):
    """expires_in: seconds; a restart of the gateway ends it, too."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class TokenRefused(BaseModel):
    """RFC 6749, 5.2."""

    error: Literal[
        "invalid_request", "unsupported_grant_type", "invalid_client", "invalid_scope", "temporarily_unavailable"
    ]


class Event(BaseModel):
    """A call-back. id: the same in each try; sequence: of this case, the highest counts; data: what the status told."""

    id: UUID
    type: Literal["submission.changed"]
    sequence: int
    at: datetime
    data: CaseView


TOKEN_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Token},
    **{status: {"model": TokenRefused} for status in (400, 401, 429, 503)},
    **{status: FAULT for status in (405, 408, 411, 413)},
}
TOKEN_FORM = {
    "security": [{"client": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {"grant_type": {"const": "client_credentials"}, "scope": {"type": "string"}},
                }
            }
        },
    },
}


def problem(status: int, code: str, detail: str, fields: list[dict[str, str]] | None = None) -> JSONResponse:
    body: dict[str, Any] = {"type": "about:blank", "status": status, "code": code, "detail": detail}
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="sohoa"'
    if status in (429, 503):
        headers["retry-after"] = "60"
    return JSONResponse(
        body | ({"errors": fields} if fields else {}), status, headers, media_type="application/problem+json"
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, SohoaError)
    status = 503 if error.remedy is Remedy.RETRY else int(getattr(error, "status", 422))
    return problem(status, error.code, error.text, error.fields if isinstance(error, DeclarationInvalid) else None)


async def _invalid(request: Request, error: Exception) -> Response:
    """Places and reasons, never the values."""
    assert isinstance(error, RequestValidationError)
    if any(tuple(item["loc"]) == ("path", "name") for item in error.errors()):
        return problem(422, FileNameRefused.code, FileNameRefused().text)
    fields = [{"field": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in error.errors()[:50]]
    return problem(422, "REQUEST_INVALID", "Yêu cầu không hợp lệ; vui lòng sửa các mục được nêu.", fields)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, "HTTP", "Không có địa chỉ hoặc phương thức này.")
    answer.headers.update(error.headers or {})
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "ERROR", f"Hệ thống gặp lỗi; vui lòng gửi lại. Mã lỗi: {request.state.trace}")


def _before_the_body(scope: Scope) -> JSONResponse | None:
    """The answer to what isn't read at all: odd paths, two lengths or none, more than a file may have."""
    headers = HTTPConnection(scope).headers
    if is_tricky(scope.get("raw_path") or scope["path"].encode()):
        return problem(400, "REQUEST_ODD", "Địa chỉ không hợp lệ.")
    said = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not said.isdecimal():
        return problem(411, "LENGTH_REQUIRED", "Vui lòng khai Content-Length.")
    limit = FILE_LIMIT if scope["method"] == "PUT" and FILE.fullmatch(scope["path"].rpartition("/")[2]) else JSON_LIMIT
    if len(said) > 12 or int(said) > limit:
        too_large = BodyTooLarge(limit=limit)
        return problem(413, too_large.code, too_large.text)
    return None


class Front:
    """Divides the gateway's port: what carries a bearer token or is the partners' path never meets cookies."""

    def __init__(self, partners: ASGIApp, officers: ASGIApp) -> None:
        self.partners, self.officers = partners, officers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._is_partners(scope):
            return await self.officers(scope, receive, send)
        trace, began, status = secrets.token_hex(16), time.monotonic(), 0
        scope.setdefault("state", {})["trace"] = trace

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = trace
                headers["x-content-type-options"] = "nosniff"
                headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'"
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        try:
            refusal = _before_the_body(scope)
            if refusal is not None:
                refusal.headers["connection"] = "close"
            await (refusal or self.partners)(scope, receive, tell)
        finally:
            path = CASE.sub(r"\1…", scope["path"])  # a partner's own id is none of the log's business
            log.info(request_line(trace, scope["method"], path, status, began, partner=scope["state"].get("partner")))

    def _is_partners(self, scope: Scope) -> bool:
        path = scope["path"]
        if path in (TOKEN, BASE) or path.startswith(BASE + "/"):
            return True
        bearer = HTTPConnection(scope).headers.get("authorization", "").lower().startswith("bearer ")
        return bearer and path.startswith("/api/")  # whatever is asked for there: 404 for the rest
