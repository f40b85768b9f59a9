"""Sign-in against a provider of our own that answers what it is told to: only a good, fresh token of ours opens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from infra.gateway.sessions import Sessions
from infra.gateway.settings import GatewaySettings
from infra.gateway.signin import CALLBACK, LOGIN, LOGOUT, signin_routes

KEY, OTHER = RSAKey.generate_key(2048, {"kid": "k"}), RSAKey.generate_key(2048, {"kid": "k"})
SECRET = "a secret that client and provider share, 32 bytes"
ORIGIN = "http://gateway.example"
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
    asked: dict[str, str] = field(default_factory=dict)  # parameters of the authorization request
    given: dict[str, list[str]] = field(default_factory=dict)  # of the token request

    def document(self, path: str) -> dict[str, Any]:
        if path == "/jwks":
            return {"keys": [KEY.as_dict(private=False)]}
        if path == "/token":
            good = {
                "iss": self.url, "sub": "1", "aud": "sohoa", "iat": int(time.time()), "exp": int(time.time()) + 300,
                "nonce": self.asked["nonce"], "preferred_username": "gq.01", "groups": ["sohoa/BHXH-TEST/RESOLVE"],
            }  # fmt: skip
            token = {"access_token": "a", "token_type": "Bearer"}
            made = self.answer(good)
            return token | ({"id_token": made} if made else {})
        return {
            "issuer": self.url, "authorization_endpoint": self.url + "/authorize",
            "token_endpoint": self.url + "/token",
            "end_session_endpoint": self.url + "/leave?theme=1",
            "jwks_uri": self.url + "/jwks", "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
        }  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told.document(self.path)).encode()
            self.send_response(200)
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


@dataclass
class Browser:
    http: TestClient
    sessions: Sessions
    refused: list[str]
    noted: list[tuple[str, str]]
    provider: Provider

    def go(self, path: str = "/viec") -> str:
        """To the provider; returns the state that it would bring back."""
        answer = self.http.get(LOGIN, params={"ve": path})
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        self.provider.asked = {name: values[0] for name, values in query.items()}
        return self.provider.asked["state"]

    def back(self, state: str, **more: str) -> Any:
        return self.http.get(CALLBACK, params={"code": "c", "state": state} | more)


@pytest.fixture
def browser(provider: Provider) -> Browser:
    refused: list[str] = []
    noted: list[tuple[str, str]] = []

    async def refuse(code: str, officer: str | None) -> None:
        refused.append(code)

    async def note(action: str, officer: str, trace: str) -> None:
        noted.append((action, officer))

    def say(title: str, sentence: str, status: int, leave: str = "") -> PlainTextResponse:
        return PlainTextResponse(leave or sentence, status)

    settings = GatewaySettings(  # type: ignore[call-arg]
        gateway_url=ORIGIN, SOHOA_PORT_GATEWAY=1, gateway_private_key_file=Path("none"), gateway_secret="s" * 32,
        oidc_issuer=provider.url, oidc_client_secret=SECRET, PREFECT_API_URL="http://127.0.0.1:1/api",
        PREFECT_API_AUTH_STRING="",
    )  # fmt: skip
    sessions, app = Sessions(60, 600), FastAPI()
    app.include_router(signin_routes(settings, sessions, refuse, note, say))

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        cookie = re.search(r"sohoa=([^;]+)", dict(scope.get("headers", [])).get(b"cookie", b"").decode())
        session = sessions.find(cookie[1]) if cookie else None
        scope.setdefault("state", {}).update(trace="t", session=session)
        await SessionMiddleware(app, "s" * 32, session_cookie="sohoa-dang-nhap", path=LOGIN)(scope, receive, send)

    provider.answer = signed()
    return Browser(TestClient(traced, base_url=ORIGIN, follow_redirects=False), sessions, refused, noted, provider)


def test_a_good_token_opens_a_new_session(browser: Browser) -> None:
    """The code is bound to this browser (PKCE), and a cookie that was there before is of no use afterwards."""
    planted = "planted"
    browser.http.cookies.set("sohoa", planted)
    answer = browser.back(browser.go())
    assert answer.status_code == 303 and answer.headers["location"] == "/viec"
    cookie = answer.cookies["sohoa"]
    assert cookie != planted and browser.sessions.find(planted) is None
    found = browser.sessions.find(cookie)
    assert browser.noted == [("sign-in", "gq.01")]
    assert found is not None and found.officer.id == "gq.01" and found.officer.holds("RESOLVE", "BHXH-TEST")
    verifier = browser.provider.given["code_verifier"][0]
    assert browser.provider.asked["code_challenge"] == url64(hashlib.sha256(verifier.encode()).digest())
    assert browser.provider.asked["code_challenge_method"] == "S256"


def test_signing_out_shows_the_way_out_of_the_providers_session(browser: Browser) -> None:
    cookie = browser.back(browser.go()).cookies["sohoa"]
    told = browser.http.post(LOGOUT)
    assert told.text == (
        f"{browser.provider.url}/leave?theme=1&client_id=sohoa&post_logout_redirect_uri=http%3A%2F%2Fgateway.example%2F"
    )
    assert browser.sessions.find(cookie) is None
    assert browser.noted == [("sign-in", "gq.01"), ("sign-out", "gq.01")]


BAD: dict[str, Token] = {
    "nobody signed it": by_hand("none"),
    "signed with another key": signed(OTHER),
    "signed with the public key as a secret": by_hand("HS256", KEY.as_pem(private=False)),
    "signed with the client's secret": by_hand("HS256", SECRET.encode()),
    "expired": signed(exp=int(time.time()) - 600),
    "without an end": signed(exp=None),
    "for another client": signed(aud="another"),
    "for another client, on our behalf": signed(aud="another", azp="sohoa"),
    "for nobody": signed(aud=None),
    "of another provider": signed(iss="https://evil.example"),
    "of another sign-in": signed(nonce="another"),
    "without a nonce": signed(nonce=None),
    "no token at all": lambda good: None,
    "no token, but rubbish": lambda good: "a.b.c",
}


@pytest.mark.parametrize("name", BAD)
def test_WH04_a_token_that_is_not_good_opens_nothing(browser: Browser, name: str) -> None:
    browser.provider.answer = BAD[name]
    answer = browser.back(browser.go())
    assert answer.status_code in (400, 403) and "sohoa" not in answer.cookies
    assert browser.refused in (["SIGN_IN_FAILED"], ["NO_ROLE"]) and browser.noted == []


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": []}, {"groups": "sohoa/BHXH-TEST/RESOLVE"}, {"groups": None}, {"groups": {"sohoa/X/LEAD": 1}},
        {"preferred_username": "Nguyễn Văn A"}, {"preferred_username": "gq.01\nld.01"}, {"preferred_username": None},
        {"preferred_username": ["gq.01"]},
    ],
)  # fmt: skip
def test_who_is_nobody_of_ours_is_not_let_in(browser: Browser, changes: dict[str, Any]) -> None:
    browser.provider.answer = signed(**changes)
    answer = browser.back(browser.go())
    assert (answer.status_code, browser.refused) == (403, ["NO_ROLE"]) and "sohoa" not in answer.cookies


def test_an_answer_fits_the_browser_that_asked_and_only_once(browser: Browser) -> None:
    state = browser.go()
    assert browser.back("another").status_code == 400
    elsewhere = TestClient(browser.http.app, base_url=ORIGIN, follow_redirects=False)
    assert elsewhere.get(CALLBACK, params={"code": "c", "state": state}).status_code == 400  # the link was sent on
    assert browser.back(state).status_code == 303
    assert browser.back(state).status_code == 400
    assert browser.http.get(CALLBACK, params={"error": "access_denied", "state": state}).status_code == 400


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "/%2f/evil.example"]
)
def test_one_lands_on_the_gateway_whatever_the_link_said(browser: Browser, target: str) -> None:
    place = browser.back(browser.go(target)).headers["location"]
    assert place.startswith("/") and not place.startswith(("//", "/\\", "/\t"))
