"""The portal port against a real HTTP server: what it answers, and that every failure is an honest UNAVAILABLE."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from blocks.portal import AccountStatus, OwnerQuery, Portal, SharedStatus
from blocks.records.states import OwnerKind
from tests.support.portal_server import Answer, PortalServer, portal_server, reply

OWNER = OwnerQuery(kind=OwnerKind.PERSON, id="001099012345", name="Nguyễn Văn A")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PortalServer]:
    with portal_server() as running:
        monkeypatch.setenv("SOHOA_PORTAL_URL", f"http://127.0.0.1:{running.server_port}/lgsp")
        yield running


def test_B2_no_connection_configured_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOHOA_PORTAL_URL", raising=False)
    portal = Portal()
    assert not portal.configured
    assert portal.digital_account(OWNER) is AccountStatus.UNAVAILABLE
    assert portal.shared_data(OWNER, "LOCAL:GIAY-KHAI-SINH").status is SharedStatus.UNAVAILABLE


@pytest.mark.parametrize("status", ["EXISTS", "NONE"])
def test_B2_digital_account(server: PortalServer, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    monkeypatch.setenv("SOHOA_PORTAL_TOKEN", "token-of-the-test")
    server.answer = reply(200, json.dumps({"status": status}).encode())
    assert Portal().digital_account(OWNER) == status
    path, token, body = server.seen[0]
    assert path == "/lgsp/digital-account"  # no personal data in the address (WH04)
    assert token == "Bearer token-of-the-test" and body["id"] == OWNER.id


def test_SC10_shared_data(server: PortalServer) -> None:
    item = {
        "source": "CSDL hộ tịch",
        "reference": "r-1",
        "as_of": "2026-11-01T08:00:00+07:00",
        "legal_value": True,
        "fields": {"full_name": "Nguyễn Văn A"},
    }
    server.answer = reply(200, json.dumps({"items": [item]}).encode())
    answer = Portal().shared_data(OWNER, "LOCAL:GIAY-KHAI-SINH")
    assert answer.status is SharedStatus.ANSWERED and answer.items[0].source == "CSDL hộ tịch"
    server.answer = reply(200, b'{"items": []}')
    assert Portal().shared_data(OWNER, "LOCAL:GIAY-KHAI-SINH").items == ()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (404, b"<html>"),
        (302, b""),
        (200, b"<html>not ours</html>"),
        (200, b'{"status": "MAYBE"}'),
        (200, b"[" * 2_000_000),
    ],
)
def test_B2_whatever_is_no_answer_is_unavailable_and_no_personal_data_is_logged(
    server: PortalServer, status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = reply(status, body)
    with caplog.at_level(logging.DEBUG):
        assert Portal().digital_account(OWNER) is AccountStatus.UNAVAILABLE
    assert OWNER.id and OWNER.id not in caplog.text and OWNER.name not in caplog.text


def test_B2_refused_connection_is_unavailable(server: PortalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_PORTAL_URL", "http://127.0.0.1:9")
    assert Portal().digital_account(OWNER) is AccountStatus.UNAVAILABLE
    monkeypatch.setenv("SOHOA_PORTAL_URL", "not an address")
    assert Portal().digital_account(OWNER) is AccountStatus.UNAVAILABLE


def _silence(handler: BaseHTTPRequestHandler, _body: dict[str, object]) -> None:
    time.sleep(30)  # far more than a busy machine adds


def _drip(handler: BaseHTTPRequestHandler, _body: dict[str, object]) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(300):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


@pytest.mark.parametrize("answer", [_silence, _drip])
def test_B2_a_slow_portal_keeps_nobody_waiting(server: PortalServer, answer: Answer) -> None:
    server.answer = answer
    started = time.monotonic()
    assert Portal(timeout_seconds=0.4).digital_account(OWNER) is AccountStatus.UNAVAILABLE
    assert time.monotonic() - started < 20


def test_EXb_without_an_id_nobody_is_asked(server: PortalServer) -> None:
    nobody = OwnerQuery(kind=OwnerKind.PERSON, name="Nguyễn Văn A")
    assert Portal().digital_account(nobody) is AccountStatus.UNAVAILABLE and server.seen == []
