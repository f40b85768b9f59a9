"""Attacks on sign-in, sessions, rights and limits: strangers, and officers who want more than they hold (WH01–WH04)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from sqlmodel import select
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry, Dossier, OfficerIdentity
from deployments.desk.auth.sessions import Session
from deployments.desk.auth.signin import AGAIN, BACK_CHANNEL, CALLBACK, LOGIN, LOGOUT
from deployments.desk.guard import LOGOUTS_A_MINUTE, STRANGER_ENTRIES
from deployments.desk.server import config
from infra.local.postgres import Postgres
from tests.attack.plugin import Attack
from tests.deployments.desk import FOREIGN, ORIGIN, OWN, Gateway, Signed, make_gateway, staff_file
from tests.deployments.provider import OTHER, Provider, by_hand, logout_token, signed
from tests.tasks.lawcase import make_dossier, walk_dossier

FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = "multipart/form-data; boundary=x"
HTML = {"accept": "text/html", "origin": ORIGIN}


@pytest.fixture
def office(identity_provider: Provider) -> Provider:
    made = identity_provider
    made.answer, made.issuer, made.groups = signed(preferred_username="here.lead"), "", [f"sohoa/{OWN}/LEAD"]
    made.off.clear()
    return made


@pytest.fixture
def gateway(
    postgres: Postgres,
    records: RecordsDatabase,
    objects: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    office: Provider,
) -> Gateway:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return make_gateway(records, tmp_path, postgres, oidc_issuer=office.url)


@pytest.fixture
def place(gateway: Gateway) -> dict[str, str]:
    dossier_id, _ = make_dossier(gateway.records, ["LOCAL:GIAY-RA-VIEN"])
    walk_dossier(gateway.records, dossier_id, DossierState.DA_TIEP_NHAN)
    with gateway.records.session() as session:
        row = session.get_one(Dossier, dossier_id)
        return {"id": str(dossier_id), "code": row.code or assign_dossier_code(session, row, actor="system")}


def sign_in(gateway: Gateway, office: Provider, path: str = "/viec") -> tuple[TestClient, httpx.Response]:
    browser = gateway.stranger()
    return browser, back(browser, office, browser.get(LOGIN, params={"ve": path}))


def back(browser: TestClient, office: Provider, asked: httpx.Response) -> httpx.Response:
    """From the provider's page, which `asked` led to."""
    query = parse_qs(urlsplit(asked.headers["location"]).query)
    office.asked = {name: values[0] for name, values in query.items()}
    return browser.get(CALLBACK, params={"code": "c", "state": office.asked["state"]})


def session_of(gateway: Gateway, browser: TestClient) -> Session | None:
    return gateway.app.sessions.find(browser.cookies.get("sohoa") or "", use=False)


def entries(gateway: Gateway) -> int:
    return gateway.newest()


# -- strangers --------------------------------------------------------------------------------------------------
def test_strangers_do_not_fill_the_audit_trail(attack: Attack, gateway: Gateway) -> None:
    before, stranger = entries(gateway), gateway.stranger()
    with attack("90 failed sign-ins in a row, without a session") as told:
        for _ in range(90):
            assert stranger.get(CALLBACK, params={"code": "x", "state": "y"}).status_code == 400
        told.answered("HTTP 400, 90 times")
        assert entries(gateway) - before == STRANGER_ENTRIES
        for window in gateway.app.refusals._windows.values():
            window.began -= 60  # a minute later
        asyncio.run(gateway.app.refusals.flush())
        with gateway.records.session() as session:
            counted = session.exec(select(AuditEntry).where(AuditEntry.seq == entries(gateway))).one().details
        assert (counted["code"], counted["count"]) == ("TOO_MANY", 90 - STRANGER_ENTRIES)
        told.audited(f"{STRANGER_ENTRIES} entries, then one: 70 more")
        told.proved("entries of the trail: 21, not 90")


def test_an_officer_does_not_fill_the_audit_trail(attack: Attack, gateway: Gateway, place: dict[str, str]) -> None:
    auditor, before = gateway.signed_in("here.operate", {(OWN, "OPERATE")}), entries(gateway)
    with attack("an officer opens a dossier 150 times that is not theirs") as told:
        answers = [auditor.get(f"/ho-so/{place['id']}").status_code for _ in range(150)]
        told.answered(f"403 {answers.count(403)} times, then 429 {answers.count(429)} times")
        assert set(answers) == {403, 429} and answers[-1] == 429
        assert entries(gateway) - before <= 2 * 125  # an entry and an incident's at most
        told.audited("at most 120 a minute, the others as one number")
        told.proved("after the limit nothing of a request is done")
        assert auditor.post(LOGOUT).status_code == 200  # leaving is always possible


class Counted:
    """What of a body the application takes."""

    def __init__(self, size: int, head: bytes = b"", part: int = 64 << 10) -> None:
        self.left, self.head, self.part, self.read = size, head, part, 0

    async def receive(self) -> Message:
        take = self.head or b"0" * min(self.part, self.left)
        self.head = b""
        self.left -= len(take)
        self.read += len(take)
        return {"type": "http.request", "body": take, "more_body": self.left > 0}


def posted(gateway: Gateway, path: str, body: Counted, size: int, somebody: Signed | None = None) -> int:
    """Status of a POST straight to the application, which reads as much of the body as it wants."""
    status = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    given = {"host": "gateway.example", "content-length": str(size), "content-type": MULTIPART} | HTML
    given |= {"cookie": f"sohoa={somebody.cookie}"} if somebody else {}
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": "http",
        "server": ("gateway.example", 80), "client": ("192.0.2.1", 1), "root_path": "", "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    asyncio.run(gateway.app(scope, body.receive, send))
    return int(status[0])


FILE = b'--x\r\ncontent-disposition: form-data; name="scan.1"; filename="a.jpg"\r\n\r\n'
SIZE = 25 << 20


@pytest.mark.parametrize("path", ["/ho-so/{id}/nhan", "/nop", "/ho-so/{id}/quyet-dinh", "/nhat-ky/kiem-tra"])
def test_25_mb_of_who_may_not_upload_are_not_read(
    attack: Attack, gateway: Gateway, place: dict[str, str], path: str
) -> None:
    auditor = gateway.signed_in("here.audit", {(OWN, "AUDIT")})
    body = Counted(SIZE, FILE)
    with attack(f"25 MB from an auditor to {path}") as told:
        status = posted(gateway, path.format(**place), body, SIZE, auditor)
        told.answered(f"HTTP {status}")
        told.proved(f"{body.read} bytes read")
        assert status == 403 and body.read == 0


def test_25_mb_without_the_sessions_token_end_after_their_first_bytes(attack: Attack, gateway: Gateway) -> None:
    counter = gateway.signed_in("here.receive", {(OWN, "RECEIVE")})
    for name, head in (
        ("without a token", FILE),
        (
            "with another session's token",
            b'--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n' + b"A" * 32 + b"\r\n" + FILE,
        ),
    ):
        body = Counted(SIZE, head)
        with attack(f"25 MB of scans at the counter {name}") as told:
            status = posted(gateway, "/nop", body, SIZE, counter)
            told.answered(f"HTTP {status}")
            told.proved(f"{body.read} of {SIZE} bytes read")
            assert status == 403 and body.read <= 192 << 10


def test_uploads_have_a_quota(attack: Attack, gateway: Gateway, tmp_path: Path, postgres: Postgres) -> None:
    small = make_gateway(gateway.records, tmp_path, postgres, upload_quota_mb=30)
    counter = small.signed_in("here.receive", {(OWN, "RECEIVE")})
    head = f'--x\r\ncontent-disposition: form-data; name="csrf"\r\n\r\n{"A" * 32}\r\n'.encode()
    with attack("an officer uploads more than the quota of a day") as told:
        first, second = Counted(SIZE, head), Counted(SIZE, head)
        assert posted(small, "/nop", first, SIZE, counter) == 403
        status = posted(small, "/nop", second, SIZE, counter)
        told.answered(f"HTTP {status}")
        told.proved(f"{second.read} bytes read, {small.desk.pages.uploads._spooled} bytes reserved")
        assert status == 429 and second.read == 0 and small.desk.pages.uploads._spooled == 0


def many_fields(count: int) -> bytes:
    field = b'--x\r\ncontent-disposition: form-data; name="a%d"\r\n\r\n1\r\n'
    return b"".join(field % number for number in range(count)) + b"--x--"


def test_20_000_fields_of_a_stranger_are_not_parsed(attack: Attack, gateway: Gateway) -> None:
    fields = many_fields(20_000)
    body = Counted(len(fields), fields, part=len(fields))
    with attack("a form of 20,000 fields to /nop without a session") as told:
        status = posted(gateway, "/nop", body, len(fields))
        told.answered(f"HTTP {status}")
        told.proved(f"{body.read} of {len(fields)} bytes read")
        assert status == 401 and body.read == 0
    few = many_fields(900)
    body = Counted(len(few), few, part=len(few))
    with attack("900 short fields without a session") as told:
        status = posted(gateway, "/nop", body, len(few))
        told.answered(f"HTTP {status}, nothing is shown again")
        told.proved("parsing ends at 200 fields")
        assert status == 401


def test_addresses_are_not_believed(attack: Attack, gateway: Gateway, tmp_path: Path, postgres: Postgres) -> None:
    small = make_gateway(gateway.records, tmp_path, postgres, stranger_requests_a_minute=60)
    stranger = small.stranger()
    with attack("a stranger asks 70 times, each time with another X-Forwarded-For") as told:
        answers = [stranger.get("/viec", headers={"x-forwarded-for": f"198.51.100.{n}"}).status_code for n in range(70)]
        told.answered(f"HTTP 429 after {answers.index(429)} requests")
        told.proved("10 requests of one minute were not looked at")
        assert answers.count(429) == 10
    proxied = make_gateway(
        gateway.records, tmp_path, postgres, stranger_requests_a_minute=60, trusted_proxies=["10.0.0.0/8"]
    )
    behind = TestClient(proxied.app, base_url=ORIGIN, client=("10.0.0.1", 1))
    with attack("behind a proxy: addresses put in front of what the proxy wrote") as told:
        answers = [
            behind.get(
                "/viec", headers={"x-forwarded-for": f"198.51.100.{n}, 203.0.113.7"}, follow_redirects=False
            ).status_code
            for n in range(70)
        ]
        told.answered(f"HTTP 429 after {answers.index(429)} requests")
        told.proved("the last address, which the proxy wrote, is counted")
        assert answers.count(429) == 10


@pytest.fixture
def served(gateway: Gateway) -> Iterator[int]:
    """The gateway's own server, with shorter times. Its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway.app.settings.gateway_port, gateway.app.settings.connections_an_address = port, 10
    told = config(gateway.app, gateway.app.settings, head_seconds=1.0, look_seconds=0.2, grace_seconds=1.0)
    server = uvicorn.Server(told)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield port
    server.should_exit = True
    thread.join(10)


def ends(wire: socket.socket, seconds: float) -> bool:
    """Whether the other side closes it within this time."""
    wire.settimeout(seconds)
    try:
        while wire.recv(4096):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def test_who_sends_slowly_is_cut_off(attack: Attack, gateway: Gateway, served: int) -> None:
    def wires(count: int, text: bytes) -> list[socket.socket]:
        made = [socket.create_connection(("127.0.0.1", served), 5) for _ in range(count)]
        for wire in made:
            wire.sendall(text)
        return made

    with attack("half a header, then nothing") as told:
        began = time.monotonic()
        (wire,) = wires(1, b"GET /suc-khoe HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert ends(wire, 8)
        told.answered("connection closed")
        told.proved(f"closed after {time.monotonic() - began:.1f} s (here 1 s is allowed; 10 s as delivered)")
    with attack("a header, one byte each 0.3 s") as told:
        (wire,) = wires(1, b"GET /suc-khoe HTTP/1.1\r\nX-Slow: ")
        with pytest.raises(OSError):
            for _ in range(40):
                wire.sendall(b"a")
                time.sleep(0.3)
        told.answered("connection closed")
        told.proved("trickling does not begin the time anew")
    with attack("a body, one byte each 0.3 s") as told:
        signed_in = gateway.signed_in("here.receive", {(OWN, "RECEIVE")})
        head = (
            f"POST /nop HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nCookie: sohoa={signed_in.cookie}\r\n"
            f"Content-Type: {MULTIPART}\r\nContent-Length: 5000\r\n\r\n"
        )
        (wire,) = wires(1, head.encode())
        with pytest.raises(OSError):
            for _ in range(60):
                wire.sendall(b"a")
                time.sleep(0.3)
        told.answered("connection closed")
        told.proved("fewer than 1 kB a second")
    with attack("30 connections from one address at once") as told:
        open_ones = wires(30, b"GET /suc-khoe HTTP/1.1\r\nHost: x\r\nX: ")
        cut = sum(ends(wire, 0.05) for wire in open_ones)
        told.answered(f"{cut} of 30 closed at once")
        told.proved("10 an address are allowed here, 200 as delivered")
        assert cut >= 20
        assert all(ends(wire, 8) for wire in open_ones)  # the others have sent no header in time
    assert httpx.get(f"http://127.0.0.1:{served}/suc-khoe").text == "ok"


# -- the provider -----------------------------------------------------------------------------------------------
def test_another_provider_signs_nobody_in(attack: Attack, gateway: Gateway, office: Provider) -> None:
    with attack("metadata that name another issuer", watch=lambda: len(gateway.app.sessions.all())) as told:
        office.issuer = "https://evil.example"
        answer = gateway.stranger().get(LOGIN)
        told.answered(f"HTTP {answer.status_code}")
        assert answer.status_code == 503 and "location" not in answer.headers
    office.issuer = ""
    with attack(
        "an answer with iss of another provider (RFC 9207)", watch=lambda: len(gateway.app.sessions.all())
    ) as told:
        browser = gateway.stranger()
        asked = parse_qs(urlsplit(browser.get(LOGIN).headers["location"]).query)
        answer = browser.get(CALLBACK, params={"code": "c", "state": asked["state"][0], "iss": "https://evil.example"})
        told.answered(f"HTTP {answer.status_code}")
        told.audited("SIGN_IN_FAILED")
        assert answer.status_code == 400 and gateway.refusals()[-1] == ("unknown", "SIGN_IN_FAILED")


def bound(gateway: Gateway) -> list[tuple[str, str]]:
    with gateway.desk.records.session() as session:
        return [(row.officer, row.sub) for row in session.exec(select(OfficerIdentity))]


def test_a_name_that_was_given_anew_is_nobody(attack: Attack, gateway: Gateway, office: Provider) -> None:
    assert sign_in(gateway, office)[1].status_code == 303 and bound(gateway) == [("here.lead", "1")]
    with attack("another account with the same preferred_username", watch=lambda: bound(gateway)) as told:
        office.answer = signed(preferred_username="here.lead", sub="2")
        browser, answer = sign_in(gateway, office)
        told.answered(f"HTTP {answer.status_code}")
        told.audited("here.lead OTHER_ACCOUNT")
        assert answer.status_code == 403 and session_of(gateway, browser) is None
        assert gateway.refusals()[-1] == ("here.lead", "OTHER_ACCOUNT")
    with attack("the own account with the name of somebody else", watch=lambda: bound(gateway)) as told:
        office.answer = signed(preferred_username="here.seal", sub="1")
        browser, answer = sign_in(gateway, office)
        told.answered(f"HTTP {answer.status_code}")
        told.audited("here.seal OTHER_ACCOUNT")
        assert answer.status_code == 403 and session_of(gateway, browser) is None


def test_an_old_or_weak_authentication_signs_nobody_in(
    attack: Attack, gateway: Gateway, office: Provider, tmp_path: Path, postgres: Postgres
) -> None:
    strict = make_gateway(gateway.records, tmp_path, postgres, oidc_issuer=office.url, oidc_acr="high")
    for what, answer in (
        ("authenticated 11 hours ago", signed(preferred_username="here.lead", auth_time=int(time.time()) - 40_000)),
        ("without auth_time", signed(preferred_username="here.lead", auth_time=None)),
        ("with a weaker class of authentication (acr)", signed(preferred_username="here.lead", acr="low")),
        ("without acr", signed(preferred_username="here.lead", acr=None)),
    ):
        office.answer = answer
        with attack(f"sign-in {what}", watch=lambda: len(strict.app.sessions.all())) as told:
            answered = sign_in(strict, office)[1]
            told.answered(f"HTTP {answered.status_code}")
            told.audited("SIGN_IN_FAILED")
            assert answered.status_code == 400 and office.asked["acr_values"] == "high"


def test_a_signature_needs_the_person_now(attack: Attack, gateway: Gateway, office: Provider) -> None:
    browser, _ = sign_in(gateway, office)
    session = session_of(gateway, browser)
    assert session is not None and session.proven_for("a/signoff-1/KY", 5) is None
    viec = session.ask_again("a/signoff-1/KY", "/ho-so/1", {"reason": "x"})
    for what, answer in (
        ("authenticated an hour ago", signed(preferred_username="here.lead", auth_time=int(time.time()) - 3600)),
        ("without auth_time", signed(preferred_username="here.lead", auth_time=None)),
        ("by another account", signed(preferred_username="here.lead", sub="2")),
        ("signed by another key", signed(OTHER, preferred_username="here.lead")),
    ):
        office.answer = answer
        with attack(
            f"step-up before a signature, {what}", watch=lambda: session.proven_for("a/signoff-1/KY", 5)
        ) as told:
            asked = browser.get(AGAIN, params={"viec": viec})
            answered = back(browser, office, asked)
            told.answered(f"HTTP {answered.status_code}")
            told.audited(gateway.refusals()[-1][1])
            assert answered.status_code in (400, 403) and (office.asked["prompt"], office.asked["max_age"]) == (
                "login",
                "0",
            )
    office.answer = signed(preferred_username="here.lead")
    done = back(browser, office, browser.get(AGAIN, params={"viec": viec}))
    assert done.status_code == 303 and done.headers["location"] == f"/ho-so/1?xac-thuc={viec}"
    with attack(
        "a step-up for one decision used for another", watch=lambda: session.proven_for("a/signoff-2/KY", 5)
    ) as told:
        told.answered("not proven")
        assert session.proven_for("a/signoff-1/KY", 5) is not None and session.proven_for("b/signoff-1/KY", 5) is None
    with attack("the link of a step-up in another officer's session") as told:
        other = gateway.signed_in("here.seal", {(OWN, "SEAL")})
        answered = other.get(AGAIN, params={"viec": viec})
        told.answered(f"HTTP {answered.status_code}")
        told.proved("a step-up belongs to its session")
        assert answered.status_code == 400
    session.spend("a/signoff-1/KY")
    with attack("a step-up that was used up", watch=lambda: session.proven_for("a/signoff-1/KY", 5)) as told:
        told.answered("not proven")


LOGOUT_TOKENS: dict[str, Callable[[Provider], str]] = {
    "signed by another key": lambda p: logout_token(p, OTHER),
    "not signed (none)": lambda p: by_hand("none")({"iss": p.url, "aud": "sohoa", "sub": "1"}) or "",
    "expired": lambda p: logout_token(p, exp=int(time.time()) - 600),
    "without an end": lambda p: logout_token(p, exp=None),
    "an hour old": lambda p: logout_token(p, iat=int(time.time()) - 3600),
    "of another issuer": lambda p: logout_token(p, iss="https://evil.example"),
    "for another client": lambda p: logout_token(p, aud="another"),
    "without the event": lambda p: logout_token(p, events={}),
    "that is an id token (nonce)": lambda p: logout_token(p, nonce="n"),
    "without jti": lambda p: logout_token(p, jti=None),
    "for nobody": lambda p: logout_token(p, sub=None),
    "that is rubbish": lambda p: "a.b.c",
}


def test_only_the_provider_ends_sessions_from_outside(attack: Attack, gateway: Gateway, office: Provider) -> None:
    browser, _ = sign_in(gateway, office)
    stranger = gateway.stranger()
    for what, make in LOGOUT_TOKENS.items():
        with attack(f"logout token {what}", watch=lambda: session_of(gateway, browser) is not None) as told:
            answer = stranger.post(BACK_CHANNEL, data={"logout_token": make(office)})
            told.answered(f"HTTP {answer.status_code} {answer.text[:40]}")
            told.audited("LOGOUT_TOKEN")
            assert answer.status_code == 400 and gateway.refusals()[-1] == ("unknown", "LOGOUT_TOKEN")
    good = logout_token(office)
    assert stranger.post(BACK_CHANNEL, data={"logout_token": good}).status_code == 200
    assert session_of(gateway, browser) is None
    again, _ = sign_in(gateway, office)
    with attack("a logout token a second time", watch=lambda: session_of(gateway, again) is not None) as told:
        answer = stranger.post(BACK_CHANNEL, data={"logout_token": good})
        told.answered(f"HTTP {answer.status_code}")
        told.audited("LOGOUT_TOKEN")
        assert answer.status_code == 400
    with attack("a flood of logout tokens", watch=lambda: session_of(gateway, again) is not None) as told:
        answers = [
            stranger.post(BACK_CHANNEL, data={"logout_token": "a.b.c"}).status_code for _ in range(LOGOUTS_A_MINUTE)
        ]
        told.answered(f"HTTP 429, {answers.count(429)} times")
        assert answers[-1] == 429
    other = logout_token(office, sub=None, sid="another")
    gateway.app._logouts._seen.clear()
    assert stranger.post(BACK_CHANNEL, data={"logout_token": other}).status_code == 200
    assert session_of(gateway, again) is not None  # another session of the provider


def test_an_account_that_is_switched_off_is_out_within_a_minute(
    attack: Attack, gateway: Gateway, office: Provider
) -> None:
    browser, _ = sign_in(gateway, office)
    asyncio.run(gateway.app.watch.once())
    session = session_of(gateway, browser)
    assert session is not None and session.officer.holds("LEAD", OWN)
    with attack("an account that was switched off at the provider goes on working") as told:
        office.off.add("1")
        session.checked -= 60
        asyncio.run(gateway.app.watch.once())
        answer = browser.get("/van-hanh.json")
        told.answered(f"HTTP {answer.status_code}")
        told.audited("here.lead ACCOUNT_OFF")
        told.proved("the session is gone")
        assert answer.status_code == 401 and ("here.lead", "ACCOUNT_OFF") in gateway.refusals()
    office.off.clear()
    browser, _ = sign_in(gateway, office)
    with attack("a group that was taken away at the provider still opens a page") as told:
        office.groups = [f"sohoa/{FOREIGN}/LEAD"]
        asyncio.run(gateway.app.watch.once())
        answer = browser.get("/su-co")
        told.answered(f"HTTP {answer.status_code}")
        told.audited("here.lead WRONG_ROLE")
        told.proved("no role is left in the session")
        assert answer.status_code == 403


# -- sessions ---------------------------------------------------------------------------------------------------
def test_a_session_that_has_ended_is_no_key(attack: Attack, gateway: Gateway, office: Provider) -> None:
    browser, _ = sign_in(gateway, office)
    cookie = browser.cookies["sohoa"]
    assert browser.post(LOGOUT, headers={"origin": ORIGIN}).status_code == 200
    with attack("the cookie of a session after signing out") as told:
        answer = gateway.stranger(cookies={"sohoa": cookie}).get("/phien")
        told.answered(f"HTTP {answer.status_code}")
        told.audited("unknown NO_SESSION")
        told.proved("it is unknown")
        assert answer.status_code == 401
    with attack("a WebSocket with the cookie of a session that has ended") as told:
        old = gateway.stranger(cookies={"sohoa": cookie})
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            old.websocket_connect("/api/events/out", headers={"origin": ORIGIN}),
        ):
            pass
        told.answered(f"closed, {closed.value.code}")
        told.audited("unknown SOCKET")
        told.proved("Prefect is not asked")
        assert closed.value.code == 1008


def test_ending_sessions_is_for_the_own_unit(attack: Attack, gateway: Gateway) -> None:
    victim = gateway.signed_in("here.resolve", {(OWN, "RESOLVE")})
    ident = gateway.app.sessions.find(victim.cookie).id  # type: ignore[union-attr]
    for who, told_groups in (("there.lead", {(FOREIGN, "LEAD")}), ("here.audit", {(OWN, "AUDIT")})):
        other = gateway.signed_in(who, told_groups)
        with attack(f"{who} ends the session of an officer of another unit or without the role") as told:
            assert "here.resolve" not in other.get("/phien", headers={"accept": "text/html"}).text
            answer = other.post(f"/phien/{ident}/dong")
            told.answered(f"HTTP {answer.status_code}")
            told.audited(f"{who} WRONG_UNIT")
            told.proved("the session goes on")
            assert answer.status_code == 403 and victim.get("/phien").status_code == 200
            assert gateway.refusals()[-1] == (who, "WRONG_UNIT")
    leader = gateway.signed_in("here.lead", {(OWN, "LEAD")})
    assert "here.resolve" in leader.get("/phien", headers={"accept": "text/html"}).text
    with attack("ending a session without the token of the page") as told:
        answer = leader.post(f"/phien/{ident}/dong", {"csrf": "x" * 32})
        told.answered(f"HTTP {answer.status_code}")
        told.proved("the session goes on")
        assert answer.status_code == 403 and victim.get("/phien").status_code == 200
    assert leader.post(f"/phien/{ident}/dong").status_code == 303
    assert victim.get("/phien").status_code == 401


def test_an_open_desk_does_not_shut_its_owner_out(attack: Attack, gateway: Gateway, office: Provider) -> None:
    here, _ = sign_in(gateway, office)
    elsewhere, _ = sign_in(gateway, office)
    session, other = session_of(gateway, here), session_of(gateway, elsewhere)
    assert session is not None and other is not None
    form, path = {"csrf": session.csrf}, f"/phien/{other.id}/dong"
    with attack(
        "at an open desk: end the owner's session elsewhere", watch=lambda: session_of(gateway, elsewhere)
    ) as told:
        answer = here.post(path, data=form, headers=HTML)
        told.answered(f"HTTP {answer.status_code}, asked to prove anew who one is")
        assert answer.status_code == 200 and "Xác thực lại" in answer.text
    (viec,) = session.asked
    assert back(here, office, here.get(AGAIN, params={"viec": viec})).headers["location"] == f"/phien?xac-thuc={viec}"
    assert here.post(path, data=form, headers=HTML).status_code == 303 and session_of(gateway, elsewhere) is None


def test_a_tab_that_is_left_open_keeps_no_session_alive(attack: Attack, gateway: Gateway) -> None:
    officer = gateway.signed_in("here.lead", {(OWN, "LEAD")})
    session = gateway.app.sessions.find(officer.cookie)
    assert session is not None
    script = {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
    reload = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
    with attack("pages that ask by themselves, for an hour", watch=lambda: session.seen) as told:
        officer.get("/phien")
        officer.get("/van-hanh.json", headers=script)
        officer.get("/su-co", headers=reload)
        officer.http.post("/api/flow_runs/filter", json={}, headers={"origin": ORIGIN})
        told.answered("answered")
    officer.get("/su-co", headers=reload | {"sec-fetch-user": "?1"})
    assert session.seen > session.began
    session.seen -= 3601
    assert officer.get("/phien").status_code == 401


# -- both lists -------------------------------------------------------------------------------------------------
PAGES: dict[str, tuple[str, str, str]] = {
    "papers": ("RESOLVE", "GET", "/ho-so/{id}"),
    "a result": ("LEAD", "GET", "/ho-so/{id}/ket-qua/1"),
    "a slip": ("RECEIVE", "GET", "/ho-so/{id}/phieu"),
    "search": ("RESOLVE", "GET", "/tim?ma={code}"),
    "incidents": ("LEAD", "GET", "/su-co"),
    "operations": ("OPERATE", "GET", "/van-hanh.json"),
    "the audit trail": ("AUDIT", "GET", "/nhat-ky"),
    "the trail as CSV": ("AUDIT", "GET", "/nhat-ky.csv"),
    "a decision": ("LEAD", "POST", "/ho-so/{id}/quyet-dinh"),
}


@pytest.mark.parametrize("what", PAGES)
def test_one_list_is_not_enough(attack: Attack, gateway: Gateway, place: dict[str, str], what: str) -> None:
    role, method, path = PAGES[what]
    for how, who, groups in (
        ("by a group alone", "ai.do", {(OWN, role)}),
        ("by the office's list alone", f"here.{role.lower()}", {(FOREIGN, role)}),
        ("by a delegation that is over", f"over.{role.lower()}", {(OWN, role)}),
    ):
        somebody: Signed = gateway.signed_in(who, groups)
        with attack(f"{what} {how}") as told:
            url = path.format(**place)
            answer: Any = somebody.get(url) if method == "GET" else somebody.post(url, {"decision": "KY"})
            told.answered(f"HTTP {answer.status_code}")
            told.audited(str(gateway.refusals()[-1:]) if what != "search" else "–")
            told.proved("nothing of the dossier in the answer")
            assert answer.status_code in (403, 404)
            assert place["id"] not in answer.headers.get("location", "") and place["code"] not in answer.text.replace(
                f"“{place['code']}”", ""
            )


@pytest.mark.parametrize("path", ["/tim?ma={code}", "/nhat-ky?ho_so={code}", "/nhat-ky.csv?ho_so={code}"])
def test_another_unit_finds_nothing(attack: Attack, gateway: Gateway, place: dict[str, str], path: str) -> None:
    foreign = gateway.signed_in("there.audit", {(FOREIGN, "AUDIT")})
    with attack(f"the auditor of another unit asks {path.partition('?')[0]} for a dossier") as told:
        answer = foreign.get(path.format(**place))
        told.answered(f"HTTP {answer.status_code}, nothing found")
        told.proved("no entry, no address of it")
        assert place["id"] not in answer.text + answer.headers.get("location", "")
