"""An identity provider of the tests' own: a real HTTP server that answers what it is told to."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

KEY, OTHER = RSAKey.generate_key(2048, {"kid": "k"}), RSAKey.generate_key(2048, {"kid": "k"})
SECRET = "a secret that client and provider share, 32 bytes"
Token = Callable[[dict[str, Any]], str | None]


def signed(key: Any = KEY, alg: str = "RS256", **changes: Any) -> Token:
    """An id token with these changes to what a good one says; None takes a claim away."""

    def make(good: dict[str, Any]) -> str:
        claims = {name: value for name, value in (good | changes).items() if value is not None}
        return jwt.encode({"alg": alg, "kid": "k"}, claims, key, algorithms=[alg])

    return make


def by_hand(alg: str, secret: bytes | None = None) -> Token:
    """What a library would refuse to make: no signature at all, or HS256 with a public key as its secret."""

    def make(good: dict[str, Any]) -> str:
        head = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": alg, "kid": "k"}, good))
        return head + "." + (url64(hmac.digest(secret, head.encode(), "sha256")) if secret else "")

    return make


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Provider:
    """A real HTTP server. answer: makes the id token of the next sign-in from what a good one says."""

    url: str = ""
    answer: Token = field(default_factory=signed)
    issuer: str = ""  # what its metadata say; "": its own address
    off: set[str] = field(default_factory=set)  # subjects whose account is switched off
    groups: list[str] = field(default_factory=lambda: ["sohoa/BHXH-TEST/RESOLVE"])
    asked: dict[str, str] = field(default_factory=dict)  # parameters of the authorization request
    given: dict[str, list[str]] = field(default_factory=dict)  # of the token request

    def document(self, path: str) -> dict[str, Any]:
        if path == "/jwks":
            return {"keys": [KEY.as_dict(private=False)]}
        if path == "/userinfo":
            return {"sub": "1", "groups": self.groups}
        if path == "/token" and self.given.get("grant_type") == ["refresh_token"]:
            return {"error": "invalid_grant"} if "1" in self.off else {"access_token": "b", "token_type": "Bearer"}
        if path == "/token":
            good = {
                "iss": self.url, "sub": "1", "aud": "sohoa", "iat": int(time.time()), "exp": int(time.time()) + 300,
                "auth_time": int(time.time()), "nonce": self.asked["nonce"], "preferred_username": "gq.01",
                "groups": self.groups, "sid": "s1", "acr": "high",
            }  # fmt: skip
            token: dict[str, Any] = {"access_token": "a", "token_type": "Bearer", "refresh_token": "r"}
            made = self.answer(good)
            return token | ({"id_token": made} if made else {})
        return {
            "issuer": self.issuer or self.url, "authorization_endpoint": self.url + "/authorize",
            "token_endpoint": self.url + "/token", "userinfo_endpoint": self.url + "/userinfo",
            "end_session_endpoint": self.url + "/leave?theme=1",
            "jwks_uri": self.url + "/jwks", "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
        }  # fmt: skip


@pytest.fixture(scope="session")
def identity_provider() -> Iterator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = told.document(self.path)
            body = json.dumps(document).encode()
            self.send_response(400 if "error" in document else 200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            told.given = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()


def logout_token(provider: Provider, key: Any = KEY, alg: str = "RS256", **changes: Any) -> str:
    """As OpenID Connect Back-Channel Logout 1.0 has it, with these changes; None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": provider.url, "aud": "sohoa", "iat": now, "exp": now + 120, "jti": f"j{time.time_ns()}", "sub": "1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }  # fmt: skip
    claims = {name: value for name, value in (good | changes).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "k", "typ": "logout+jwt"}, claims, key, algorithms=[alg])
