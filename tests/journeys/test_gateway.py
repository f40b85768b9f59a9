"""The attack table: each try against the gateway on the running stack, its answer, its entry in the audit trail."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets
from sqlmodel import col, select
from websockets.sync.client import connect

from blocks.orchestrator import pause_key
from blocks.records.tables import AuditEntry, Dossier
from tests.journeys.conftest import Journey
from tests.players.officers import GatewayClient, Sample

STOLEN = {"decision": "DUYET", "flagged_checked": True}


@dataclass
class Target:
    """A dossier that waits for its resolving officer, and who tries."""

    journey: Journey
    sample: Sample
    dossier: Dossier

    def at(self, officer: str) -> GatewayClient:
        return self.journey.officers.at_gateway(officer)

    @property
    def base(self) -> str:
        return self.at("gq.01").base

    @property
    def resume(self) -> str:
        return f"/quyet-dinh/{self.sample.run_id}"

    @property
    def dialog(self) -> str:
        """Where Prefect's own dialog sends its form."""
        return f"/api/flow_runs/{self.sample.run_id}/resume"

    def stranger(self, method: str, path: str, **more: object) -> httpx.Response:
        return httpx.request(method, self.base + path, timeout=30, **more)  # type: ignore[arg-type]

    def raw(self, officer: str, path: str) -> httpx.Response:
        """A path that httpx would tidy up."""
        connection = http.client.HTTPConnection(httpx.URL(self.base).netloc.decode(), timeout=30)
        connection.request("GET", path, headers=self.cookie(officer))
        answer = connection.getresponse()
        return httpx.Response(answer.status, content=answer.read())

    def smuggle(self, officer: str) -> httpx.Response:
        """A second request behind the end that only one of two servers sees."""
        netloc = httpx.URL(self.base).netloc.decode()
        head = f"Host: {netloc}\r\nOrigin: {self.base}\r\nCookie: {self.cookie(officer)['cookie']}\r\n"
        hidden = f"DELETE /api/flow_runs/{self.sample.run_id} HTTP/1.1\r\n{head}\r\n"
        told = f"Content-Length: {len(hidden) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        host, port = netloc.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as wire:
            wire.sendall(f"POST /api/flow_runs/count HTTP/1.1\r\n{head}{told}".encode())
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert answer.count(b"HTTP/1.1 ") == 1, answer
        return httpx.Response(int(answer.split()[1]), content=answer.partition(b"\r\n\r\n")[2])

    def cookie(self, officer: str) -> dict[str, str]:
        return {"cookie": "; ".join(f"{c.name}={c.value}" for c in self.at(officer).http.cookies.jar)}

    def post(self, officer: str, path: str, body: object, **headers: str) -> httpx.Response:
        return self.at(officer).http.post(path, json=body, headers=headers)


@pytest.fixture(scope="module")
def target(played: Journey) -> Target:
    sample = played.variant("bi-tan-cong", "01-om-dau", captured_by="tnhs.02")
    played.officers.hand_in(sample)
    played.wait_pause(sample, "verification-1")
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    return Target(played, sample, dossier)


def decide(officer: str, form: dict[str, object] = STOLEN) -> Callable[[Target], httpx.Response]:
    return lambda t: t.post(officer, t.resume, {"run_input": form})


# try, answer (HTTP, words in it), actor and code of the audit entry
ATTACKS: dict[str, tuple[Callable[[Target], httpx.Response], int, str, str, str]] = {
    "no session": (lambda t: t.stranger("POST", t.resume), 401, "đăng nhập", "unknown", "NO_SESSION"),
    "no session, reading": (lambda t: t.stranger("GET", "/api/flows/1"), 401, "đăng nhập", "unknown", "NO_SESSION"),
    "forged cookie": (
        lambda t: t.stranger("POST", t.resume, headers={"cookie": "sohoa=" + "a" * 43, "origin": t.base}),
        401, "đăng nhập", "unknown", "NO_SESSION",
    ),
    "identity in headers": (
        lambda t: t.stranger("POST", t.resume, headers={"x-officer": "gq.01", "x-forwarded-user": "gq.01"}),
        401, "đăng nhập", "unknown", "NO_SESSION",
    ),
    "from another site": (
        lambda t: t.post("gq.01", t.resume, {"run_input": STOLEN}, origin="https://evil.example"),
        403, "trang khác", "gq.01", "CROSS_SITE",
    ),
    "without an origin": (
        lambda t: t.at("gq.01").http.send(
            httpx.Request("POST", t.base + t.resume, json={"run_input": STOLEN}, headers=t.cookie("gq.01"))
        ),
        403, "trang khác", "gq.01", "CROSS_SITE",
    ),
    "page form without its token": (
        lambda t: t.at("gq.01").http.post(f"/ho-so/{t.dossier.id}/quyet-dinh", data={"decision": "DUYET"}),
        403, "Trang đã cũ", "", "",
    ),
    "wrong role": (decide("ld.01"), 200, "không có vai trò", "ld.01", "WRONG_ROLE"),
    "wrong unit": (decide("gq.09"), 200, "đơn vị khác", "gq.09", "WRONG_UNIT"),
    "same person": (decide("tnhs.02"), 200, "đã sao chụp", "tnhs.02", "SAME_PERSON"),
    "operations decide": (decide("vh.01"), 200, "không có vai trò", "vh.01", "WRONG_ROLE"),
    "auditor decides": (decide("kt.01"), 200, "không có vai trò", "kt.01", "WRONG_ROLE"),
    "another's id typed": (
        decide("gq.01", STOLEN | {"officer": "ld.01"}), 200, "cổng tự ghi", "gq.01", "IDENTITY_TYPED",
    ),
    "a proof of one's own": (
        decide("gq.01", STOLEN | {"proof": "a.b.c"}), 200, "cổng tự ghi", "gq.01", "IDENTITY_TYPED",
    ),
    "template in the form": (
        decide("gq.01", STOLEN | {"reason": {"__prefect_kind": "workspace_variable", "variable_name": "x"}}),
        400, "không được phép", "gq.01", "TEMPLATE",
    ),
    "state set by hand": (
        lambda t: t.post("gq.01", f"/api/flow_runs/{t.sample.run_id}/set_state", {"state": {"type": "COMPLETED"}}),
        403, "ghi lại", "gq.01", "FORBIDDEN",
    ),
    "input put in by hand": (
        lambda t: t.post("gq.01", f"/api/flow_runs/{t.sample.run_id}/input", {"key": "x", "value": "1"}),
        403, "ghi lại", "gq.01", "FORBIDDEN",
    ),
    "what another typed": (
        lambda t: t.at("gq.01").http.get(f"/api/flow_runs/{t.sample.run_id}/input/suspended-verification-1-response"),
        403, "ghi lại", "gq.01", "FORBIDDEN",
    ),
    "what another typed, the run in capitals": (
        lambda t: t.at("gq.09").http.get(
            f"/api/flow_runs/{t.sample.run_id.upper()}/input/suspended-verification-1-response"
        ),
        403, "ghi lại", "gq.09", "FORBIDDEN",
    ),
    "what another typed, the run without hyphens": (
        lambda t: t.at("gq.09").http.get(
            f"/api/flow_runs/{t.sample.run_id.replace('-', '')}/input/suspended-verification-1-response"
        ),
        403, "ghi lại", "gq.09", "FORBIDDEN",
    ),
    "a reading route of a later version": (
        lambda t: t.at("vh.01").http.get("/api/secrets/all"), 403, "ghi lại", "vh.01", "FORBIDDEN",
    ),
    "where Prefect keeps results": (
        lambda t: t.at("vh.01").http.get("/api/admin/storage"), 403, "ghi lại", "vh.01", "FORBIDDEN",
    ),
    "Prefect's dialog by an officer": (
        lambda t: t.post("gq.01", t.dialog, {"run_input": STOLEN}), 403, "ghi lại", "gq.01", "FORBIDDEN",
    ),
    "Prefect's dialog by operations, whose decision it isn't": (
        lambda t: t.post("vt.02", t.dialog, {"run_input": STOLEN}), 200, "không có vai trò", "vt.02", "WRONG_ROLE",
    ),
    "Prefect's dialog with a slash more": (
        lambda t: t.post("vt.02", t.dialog + "/", {"run_input": STOLEN}), 403, "ghi lại", "vt.02", "FORBIDDEN",
    ),
    "runs of other units read by an officer": (
        lambda t: t.post("gq.09", "/api/flow_runs/filter", {}), 403, "ghi lại", "gq.09", "FORBIDDEN",
    ),
    "logs read by an auditor": (
        lambda t: t.post("kt.01", "/api/logs/filter", {}), 403, "ghi lại", "kt.01", "FORBIDDEN",
    ),
    "artifacts read by a leader": (
        lambda t: t.post("ld.01", "/api/artifacts/latest/filter", {}), 403, "ghi lại", "ld.01", "FORBIDDEN",
    ),
    "Prefect's pages opened by an officer": (
        lambda t: t.at("gq.01").http.get(f"/runs/flow-run/{t.sample.run_id}", headers={"accept": "text/html"}),
        403, "bộ phận vận hành", "gq.01", "FORBIDDEN",
    ),
    "another method by a header": (
        lambda t: t.at("gq.01").http.post(
            f"/api/flow_runs/{t.sample.run_id}", headers={"x-http-method-override": "DELETE"}
        ),
        403, "ghi lại", "gq.01", "FORBIDDEN",
    ),
    "a form in a form in a form": (
        lambda t: t.at("gq.01").http.post(t.resume, content=b'{"run_input":' + b'{"a":' * 50_000),
        422, "đối tượng JSON", "", "",
    ),
    "two lengths of one request": (lambda t: t.smuggle("gq.01"), 400, "không hợp lệ", "gq.01", "TWO_LENGTHS"),
    "form as plain text": (
        lambda t: t.at("gq.01").http.post(
            t.resume, json={"run_input": STOLEN}, headers={"content-type": "text/plain", "origin": "null"}
        ),
        403, "trang khác", "gq.01", "CROSS_SITE",
    ),
    "run deleted": (
        lambda t: t.at("ld.01").http.delete(f"/api/flow_runs/{t.sample.run_id}"), 403, "ghi lại", "ld.01", "FORBIDDEN",
    ),
    "run started": (
        lambda t: t.post("vh.01", f"/api/deployments/{t.dossier.id}/create_flow_run", {}),
        403, "ghi lại", "vh.01", "FORBIDDEN",
    ),
    "secrets of blocks": (
        lambda t: t.post("vh.01", "/api/block_documents/filter", {"include_secrets": True}),
        403, "ghi lại", "vh.01", "FORBIDDEN",
    ),
    "escaped path": (lambda t: t.raw("gq.01", "/api/%62lock_documents/"), 400, "Địa chỉ", "gq.01", "PATH"),
    "dots in the path": (lambda t: t.raw("gq.01", "/assets/../api/variables/"), 400, "Địa chỉ", "gq.01", "PATH"),
    "double slash": (lambda t: t.raw("gq.01", "//api/variables/"), 400, "Địa chỉ", "gq.01", "PATH"),
    "operations read a paper": (
        lambda t: t.at("vh.01").http.get(f"/ho-so/{t.dossier.id}"), 403, "chưa được phân công", "vh.01", "NOT_YOURS",
    ),
    "another unit reads a paper": (
        lambda t: t.at("gq.09").http.get(f"/ho-so/{t.dossier.id}"), 403, "chưa được phân công", "gq.09", "NOT_YOURS",
    ),
    "image by a made-up address": (
        lambda t: t.at("gq.01").http.get("/anh/WyJnci4wMSJd.abc.def"), 403, "không còn mở được", "", "",
    ),
    "officer on the page of operations": (
        lambda t: t.at("gq.01").http.get("/van-hanh"), 403, "vận hành", "gq.01", "WRONG_ROLE",
    ),
    "officer on the page of incidents": (
        lambda t: t.at("gq.01").http.get("/su-co"), 403, "vận hành, lãnh đạo", "gq.01", "WRONG_ROLE",
    ),
    "leader reads the audit trail": (
        lambda t: t.at("ld.01").http.get("/nhat-ky"), 403, "người kiểm tra", "ld.01", "WRONG_ROLE",
    ),
    "operations take the audit trail along": (
        lambda t: t.at("vh.01").http.get("/nhat-ky.csv"), 403, "người kiểm tra", "vh.01", "WRONG_ROLE",
    ),
    "incident closed without its token": (
        lambda t: t.at("ld.01").http.post(f"/su-co/{t.dossier.id}/dong", data={"reason": "không có gì đáng kể"}),
        403, "Trang đã cũ", "", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_WH03_WH04_attacks_are_refused_and_noted(target: Target, name: str) -> None:
    attempt, status, words, actor, code = ATTACKS[name]
    before = last_entry(target)
    answer = attempt(target)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text[:300]
    if status == 200:
        assert answer.json()["status"] in ("REJECT", "ABORT")
    if actor:
        with target.journey.officers.records.session() as session:
            query = select(AuditEntry).where(col(AuditEntry.seq) > before, AuditEntry.action == "refuse")
            assert (actor, code) in [(entry.actor, entry.details["code"]) for entry in session.exec(query)]
    run = target.journey.prefect.run(target.sample.run_id)
    assert pause_key(run) == "verification-1" and run["state_type"] == "PAUSED"


def last_entry(target: Target) -> int:
    with target.journey.officers.records.session() as session:
        found = session.exec(select(AuditEntry.seq).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
        return int(found or 0)


def test_an_image_is_for_the_one_who_opened_the_dossier(target: Target) -> None:
    page = target.at("gq.01").http.get(f"/ho-so/{target.dossier.id}").text
    address = page.split('<img src="')[1].split('"')[0]
    own = target.at("gq.01").http.get(address)
    assert own.status_code == 200 and own.headers["content-type"] == "image/jpeg" and own.content[:2] == b"\xff\xd8"
    assert own.headers["cache-control"] == "no-store"  # nothing of it stays on the disk of a shared computer
    large = target.at("gq.01").http.get(address, params={"lon": 1})
    assert large.status_code == 200 and len(large.content) > len(own.content)
    assert target.at("gq.02").http.get(address).status_code == 403
    assert target.stranger("GET", address).status_code == 401


def test_a_dossier_is_found_by_a_part_of_its_code_in_ones_own_unit(target: Target) -> None:
    assert target.dossier.code is not None
    part = target.dossier.code.removeprefix("BHXH-")[:-1].lower()
    found = target.at("kt.01").http.get("/tim", params={"ma": part})
    assert f"/ho-so/{target.dossier.id}" in (found.text if "Tìm hồ sơ" in found.text else str(found.url))
    for officer, wanted in (("gq.09", part), ("vh.01", part), ("kt.01", "%"), ("kt.01", "____")):
        answer = target.at(officer).http.get("/tim", params={"ma": wanted})
        assert answer.status_code == 404 and "/ho-so/" not in answer.text


def test_sockets_pass_for_who_is_signed_in_only(target: Target) -> None:
    address = target.base.replace("http", "ws") + "/api/events/out"
    with connect(
        address, subprotocols=["prefect"], origin=target.base, additional_headers=target.cookie("vh.01"), proxy=None
    ) as socket:
        socket.send('{"type": "auth", "token": null}')
        assert "auth_success" in socket.recv(10)
    for headers, origin in (
        ({}, target.base),
        (target.cookie("vh.01"), "https://evil.example"),
        (target.cookie("gq.01"), target.base),  # an officer who doesn't run the machine
    ):
        with pytest.raises(websockets.InvalidStatus):
            connect(address, subprotocols=["prefect"], origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]


def test_the_ui_is_served_without_a_password_and_without_other_hosts(target: Target) -> None:
    told = target.at("vh.01").http.get("/ui-settings").json()
    assert told["api_url"] == target.base + "/api" and told["auth"] is None
    policy = target.at("vh.01").http.get("/dashboard").headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "http" not in policy
    form = target.at("vt.02").http.get(f"/api/flow_runs/{target.sample.run_id}/input/suspended-verification-1-schema")
    assert {"decision", "reason"} <= set(form.json()["properties"]) and "proof" not in form.text


def test_signing_out_ends_the_session(target: Target) -> None:
    leaving = GatewayClient("kt.01")
    cookie = {"cookie": "; ".join(f"{c.name}={c.value}" for c in leaving.http.cookies.jar)}
    assert leaving.http.get("/viec").status_code == 200
    assert "/oauth2/end_session?client_id=" in leaving.http.post("/dang-xuat").text
    assert target.stranger("GET", "/api/health", headers=cookie).status_code == 401
    with target.journey.officers.records.session() as session:  # who came and went (WH04)
        query = select(AuditEntry.action).where(AuditEntry.actor == "kt.01").order_by(col(AuditEntry.seq).desc())
        assert list(session.exec(query.limit(2))) == ["sign-out", "sign-in"]


@pytest.mark.long
def test_no_random_request_makes_the_gateway_fail(target: Target, tmp_path: Path) -> None:
    """Schemathesis over the gateway's own OpenAPI, as a signed-in officer: nothing answers 5xx."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{target.base}/cong/openapi.json",
        "--header", f"Cookie: {target.cookie('gq.02')['cookie']}", "--header", f"Origin: {target.base}",
        "--checks", "not_a_server_error", "--max-examples", "15", "--phases", "examples,coverage,fuzzing",
        "--seed", "7", "--generation-database", "none", "--request-timeout", "20",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_P14_one_id_joins_gateway_flow_and_audit_trail(played: Journey) -> None:
    sample = played.samples["01-om-dau"]
    with played.officers.records.session() as session:
        query = select(AuditEntry).join(Dossier, col(Dossier.id) == AuditEntry.dossier_id)
        query = query.where(Dossier.submission == sample.submission, AuditEntry.action == "decide")
        decided = [entry.details for entry in session.exec(query.order_by(col(AuditEntry.seq)))]
    assert decided and all(len(details["trace"]) == 32 for details in decided)
    traces = [details["trace"] for details in decided]
    asked = [json.loads(line) for line in played.stack.log("gateway").splitlines() if line.startswith("{")]
    calls = {line["trace"]: line for line in asked if "trace" in line}  # others: of what was away for a moment
    assert all(sample.run_id in calls[trace]["path"] and calls[trace]["at"] for trace in traces)
    said = [json.loads(line) for line in played.stack.log("worker").splitlines() if line.startswith("{")]
    mine = " ".join(line["text"] for line in said if line.get("flow_run_id") == sample.run_id)
    assert all(trace in mine for trace in traces)
    body = {"logs": {"flow_run_id": {"any_": [sample.run_id]}}, "sort": "TIMESTAMP_DESC", "limit": 200}
    shown = " ".join(line["message"] for line in played.prefect.call("POST", "/logs/filter", body).json())
    assert traces[-1] in shown  # in Prefect's own page, too
