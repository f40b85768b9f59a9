"""Sign-in against a provider of our own that answers what it is told to: only a good, fresh token of ours opens."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.provider import Provider as Office
from deployments.desk.auth.sessions import Sessions
from deployments.desk.auth.signin import BACK_CHANNEL, CALLBACK, LOGIN, LOGOUT, SignIn
from tests.deployments.provider import KEY, OTHER, SECRET, Provider, Token, by_hand, signed, url64

ORIGIN = "http://gateway.example"


@dataclass
class Browser:
    http: TestClient
    sessions: Sessions
    refused: list[str]
    noted: list[tuple[str, str]]
    provider: Provider
    office: Office

    def go(self, path: str = "/viec") -> str:
        """To the provider; returns the state that it would bring back."""
        answer = self.http.get(LOGIN, params={"ve": path})
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        self.provider.asked = {name: values[0] for name, values in query.items()}
        return self.provider.asked["state"]

    def back(self, state: str, **more: str) -> Any:
        return self.http.get(CALLBACK, params={"code": "c", "state": state} | more)


@dataclass
class Accounts:
    """Which account is whose, as the records keep it (tests/blocks/records/test_signins.py)."""

    bound: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def is_bound(self, issuer: str, sub: str, officer: str, first: bool) -> bool:
        return self.bound.setdefault(officer, sub) == sub

    def began(self, ident: UUID, officer: str) -> None:
        pass

    def first_use(self, issuer: str, jti: str, until: datetime) -> bool:
        new = jti not in self.tokens
        self.tokens.add(jti)
        return new

    def ended(self, those: list[tuple[UUID, str, str]]) -> None:
        pass

    def seen(self, times: dict[UUID, datetime]) -> None:
        pass

    def over(self, idents: list[UUID]) -> list[UUID]:
        return []


@pytest.fixture
def browser(identity_provider: Provider) -> Browser:
    provider = identity_provider
    refused: list[str] = []
    noted: list[tuple[str, str]] = []

    async def refuse(code: str, officer: str | None, trace: str) -> None:
        refused.append(code)

    async def note(action: str, officer: str, trace: str, details: dict[str, Any]) -> None:
        noted.append((action, officer))

    def say(title: str, sentence: str, status: int, leave: str = "") -> PlainTextResponse:
        return PlainTextResponse(leave or sentence, status)

    settings = GatewaySettings(  # type: ignore[call-arg]
        gateway_url=ORIGIN, SOHOA_PORT_GATEWAY=1, gateway_private_key_file=Path("none"), gateway_secret="s" * 32,
        oidc_issuer=provider.url, oidc_client_secret=SECRET, PREFECT_API_URL="http://127.0.0.1:1/api",
        PREFECT_API_AUTH_STRING="",
    )  # fmt: skip
    sessions, app = Sessions(60, 600), FastAPI()
    office = Office(settings)
    signin = SignIn(settings, office, sessions, Accounts(), refuse, note, say)
    app.include_router(signin.router())

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        cookie = re.search(r"sohoa=([^;]+)", dict(scope.get("headers", [])).get(b"cookie", b"").decode())
        session = sessions.find(cookie[1]) if cookie else None
        scope.setdefault("state", {}).update(trace="t", session=session)
        await SessionMiddleware(app, "s" * 32, session_cookie="sohoa-dang-nhap", path=LOGIN)(scope, receive, send)

    provider.answer, provider.issuer, provider.groups = signed(), "", ["sohoa/BHXH-TEST/RESOLVE"]
    provider.off.clear()
    return Browser(
        TestClient(traced, base_url=ORIGIN, follow_redirects=False), sessions, refused, noted, provider, office
    )


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
    assert found is not None and found.officer.id == "gq.01" and found.officer.told == {("BHXH-TEST", "RESOLVE")}
    verifier = browser.provider.given["code_verifier"][0]
    assert browser.provider.asked["code_challenge"] == url64(hashlib.sha256(verifier.encode()).digest())
    assert browser.provider.asked["code_challenge_method"] == "S256"


def test_signing_out_shows_the_way_out_of_the_providers_session(browser: Browser) -> None:
    cookie = browser.back(browser.go()).cookies["sohoa"]
    told = browser.http.post(LOGOUT)
    assert told.text == (
        f"{browser.provider.url}/leave?theme=1&client_id=sohoa&post_logout_redirect_uri=http%3A%2F%2Fgateway.example%2F"
    )
    assert told.headers["clear-site-data"] == '"storage"'
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


def test_while_the_provider_is_away_a_page_says_so(browser: Browser) -> None:
    state = browser.go()
    elsewhere = GatewaySettings(  # type: ignore[call-arg]
        gateway_url=ORIGIN, SOHOA_PORT_GATEWAY=1, gateway_private_key_file=Path("none"), gateway_secret="s" * 32,
        oidc_issuer="http://127.0.0.1:9", PREFECT_API_URL="http://127.0.0.1:1/api", PREFECT_API_AUTH_STRING="",
    )  # fmt: skip
    browser.office.client = Office(elsewhere).client
    assert browser.http.get(LOGIN).status_code == 503
    assert browser.back(state).status_code == 400 and browser.refused == ["SIGN_IN_FAILED"]
    assert browser.http.post(BACK_CHANNEL, data={"logout_token": "a.b.c"}).status_code == 503


@pytest.mark.parametrize("issuer", ["http://office.example", "ftp://office.example", "office.example"])
def test_a_provider_is_asked_over_tls_only(issuer: str) -> None:
    with pytest.raises(ValueError, match="https"):
        GatewaySettings(  # type: ignore[call-arg]
            gateway_url=ORIGIN, SOHOA_PORT_GATEWAY=1, gateway_private_key_file=Path("none"), gateway_secret="s" * 32,
            oidc_issuer=issuer, PREFECT_API_URL="http://127.0.0.1:1/api", PREFECT_API_AUTH_STRING="",
        )  # fmt: skip
