"""Who calls: the token endpoint (OAuth 2.0 client credentials) and what a bearer token opens, with its limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import JSONResponse

from blocks.errors import Remedy, SohoaError
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.partners import Partner, authenticate, still_valid
from deployments.partners.tokens import Meter, Tokens, basic

STRANGERS, NOTED = 120, 60  # a minute: wrong tries of all, then 429; entries about them in the audit trail
TOKEN_BODY = 4096  # bytes
HASHING = 2  # scrypt at the same time: 16 MB and one processor each


class Unauthorised(SohoaError):
    code, status = "UNAUTHORISED", 401
    message = "Mã truy cập thiếu, sai hoặc đã hết hạn; vui lòng lấy mã mới tại /oauth/token."
    remedy = Remedy.OFFICER


class ScopeMissing(SohoaError):
    code, status = "SCOPE_MISSING", 403
    message = "Mã truy cập không có phạm vi {scope} cần cho yêu cầu này."
    remedy = Remedy.OFFICER


class TooManyRequests(SohoaError):
    code, status = "TOO_MANY_REQUESTS", 429
    message = "Quá {limit} yêu cầu mỗi phút; vui lòng chờ một phút rồi gửi lại."
    remedy = Remedy.OFFICER


@dataclass
class Access:
    """One a gateway."""

    records: RecordsDatabase
    tokens: Tokens = field(default_factory=Tokens)
    meter: Meter = field(default_factory=Meter)
    hashing: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(HASHING))

    def token(self, authorization: str, body: bytes, trace: str) -> JSONResponse:
        """The answer of the token endpoint (RFC 6749, 4.4.3, 5.2)."""
        form = parse_qs(body.decode("latin-1"), keep_blank_values=True, max_num_fields=10)
        if any(len(values) > 1 for values in form.values()) or "grant_type" not in form:
            return _error("invalid_request")
        if form["grant_type"] != ["client_credentials"]:
            return _error("unsupported_grant_type")
        client = basic(authorization)
        if client is None:
            return _error("invalid_client", 401)
        if not self.hashing.acquire(timeout=2):
            return _error("temporarily_unavailable", 503)
        try:
            with self.records.session() as session:
                secret = authenticate(session, *client)
                partner = session.get(Partner, client[0]) if secret else None
                allowed = frozenset(partner.scopes) if partner else frozenset()
        finally:
            self.hashing.release()
        if secret is None:
            return self._stranger(trace)
        asked = frozenset((form.get("scope") or [" ".join(allowed)])[0].split())
        if not asked <= allowed:
            return _error("invalid_scope")
        issued = {
            "access_token": self.tokens.issue(client[0], secret.id, asked),
            "token_type": "Bearer",
            "expires_in": int(self.tokens.life),
            "scope": " ".join(sorted(asked)),
        }
        return JSONResponse(issued, headers=NO_STORE)

    def _stranger(self, trace: str) -> JSONResponse:
        if not self.meter.admits("strangers", STRANGERS):
            return _error("invalid_client", 429)
        self.refused("PARTNER_SECRET", None, trace)
        return _error("invalid_client", 401)

    def partner(self, authorization: str, scope: str, trace: str) -> Partner:
        """Whose token this is. Raises Unauthorised, ScopeMissing, TooManyRequests."""
        kind, _, token = authorization.partition(" ")
        grant = self.tokens.find(token.strip()) if kind.lower() == "bearer" else None
        if grant is None:
            self.refused("PARTNER_TOKEN", None, trace)
            raise Unauthorised()
        with self.records.session() as session:
            partner = still_valid(session, grant.partner, grant.secret)
        if partner is None:
            self.refused("PARTNER_ENDED", grant.partner, trace)
            raise Unauthorised()
        if not self.meter.admits(f"partner:{partner.id}", partner.minute_limit):
            raise TooManyRequests(limit=partner.minute_limit)
        if scope not in grant.scopes:
            self.refused("PARTNER_SCOPE", partner.id, trace)
            raise ScopeMissing(scope=scope)
        return partner

    def refused(self, code: str, partner: str | None, trace: str) -> None:
        """Into the audit trail, at most NOTED times a minute, so that nobody can fill it."""
        if not self.meter.admits(f"noted:{partner}", NOTED):
            return
        actor = f"partner:{partner}" if partner else "unknown"
        with self.records.session() as session:
            audit(session, actor=actor, action="refuse", rule="WH04", details={"code": code, "trace": trace})


NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


def _error(code: str, status: int = 400) -> JSONResponse:
    headers = dict(NO_STORE)
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="sohoa", charset="UTF-8"'
    if status in (429, 503):
        headers["retry-after"] = "60"
    return JSONResponse({"error": code}, status, headers)


def needs(access: Access, scope: str) -> Callable[..., Any]:
    """For routes: the partner of the request's token."""

    def partner(request: Request) -> Partner:
        found = access.partner(request.headers.get("authorization", ""), scope, request.state.trace)
        request.state.partner = found.id  # for the line in the log
        return found

    return partner
