"""What ends while an officer works: the session, also under an open WebSocket or a long form; a delegation (WH02)."""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import websockets
import yaml
from sqlmodel import select
from websockets.sync.client import connect

from blocks.clock import vietnam_day
from blocks.identity import Attestation
from blocks.objects import Bucket
from blocks.records.tables import AuditEntry, Decision
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.journeys.test_browser import waiting
from tests.players.officers import GatewayClient

HTML = {"accept": "text/html"}


def cookie_of(client: GatewayClient) -> dict[str, str]:
    return {"cookie": "; ".join(f"{c.name}={c.value}" for c in client.http.cookies.jar)}


def form_of(page: str) -> dict[str, str]:
    """The hidden inputs of a page, as a browser would send them."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


@pytest.mark.parametrize("path", ["/api/events/out", "/api/logs/out"])
def test_WH04_a_socket_ends_with_its_session(played: Journey, path: str) -> None:
    leaving = GatewayClient("vh.01")
    with connect(
        leaving.base.replace("http", "ws") + path,
        subprotocols=["prefect"],  # type: ignore[list-item]
        origin=leaving.base,  # type: ignore[arg-type]
        additional_headers=cookie_of(leaving),
        proxy=None,
    ) as socket:
        socket.send('{"type": "auth", "token": null}')
        assert "auth_success" in socket.recv(10)
        socket.send('{"type": "filter", "filter": {}}')
        assert leaving.http.post("/dang-xuat").status_code == 200
        with pytest.raises(websockets.ConnectionClosed) as closed:
            for _ in range(200):  # what was on its way
                socket.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


def test_a_tab_that_is_left_open_fills_no_audit_trail(played: Journey) -> None:
    leaving = GatewayClient("vh.01")
    stale = cookie_of(leaving) | {"origin": leaving.base}
    leaving.http.post("/dang-xuat")

    def entries() -> int:
        with played.officers.records.session() as session:
            return len(session.exec(select(AuditEntry).where(AuditEntry.actor == "unknown")).all())

    before = entries()
    for _ in range(5):
        answer = httpx.post(leaving.base + "/api/flow_runs/count", json={}, headers=stale)
        assert answer.status_code == 401
    assert entries() == before + 1


def test_what_was_typed_is_not_lost_with_the_session(played: Journey) -> None:
    sample, path = waiting(played, "het-phien", "01-om-dau")
    typing = GatewayClient("gq.01")
    page = typing.http.get(path).text
    typed = form_of(page) | {
        "decision": "DUYET", "flagged_checked": "1", "v.1.issuer": 'Bệnh viện "A" <Thử>', "reason": "dòng 1\ndòng 2",
    }  # fmt: skip
    stale = cookie_of(typing) | {"origin": typing.base} | HTML
    typing.http.post("/dang-xuat")
    lost = httpx.post(f"{typing.base}{path}/quyet-dinh", data=typed, headers=stale)
    assert lost.status_code == 401 and "chưa được ghi nhận" in lost.text and "Đăng nhập lại" in lost.text
    kept = form_of(lost.text)
    assert "decision" not in kept and "csrf" not in kept and "dòng 1\ndòng 2" in lost.text
    from_elsewhere = stale | {"origin": "https://evil.example"}
    foreign = httpx.post(f"{typing.base}{path}/quyet-dinh", data=typed, headers=from_elsewhere)
    assert foreign.status_code == 401 and "Bệnh viện" not in foreign.text
    typing.sign_in()
    back = typing.http.post(f"{path}/quyet-dinh", data=typed, headers=HTML)  # with the token of the old session
    assert back.status_code == 403 and "còn nguyên" in back.text
    assert "Bệnh viện &#34;A&#34; &lt;Thử&gt;" in back.text and "dòng 1\ndòng 2" in back.text
    assert 'name="flagged_checked" value="1">' in back.text  # what was attested is attested anew
    assert played.prefect.run(sample.run_id)["state_type"] == "PAUSED"


def test_what_was_typed_at_the_counter_is_not_lost_where_no_script_runs(played: Journey) -> None:
    counter = GatewayClient("tnhs.01")
    page = counter.http.get("/nop", params={"procedure": "1.001667"}).text
    typed = form_of(page) | {"owner.name": 'Nguyễn "Thử" <Phiên>', "originals": "7", "unit": "BHXH-TEST"}
    stale = cookie_of(counter) | {"origin": counter.base} | HTML
    counter.http.post("/dang-xuat")
    lost = httpx.post(f"{counter.base}/nop", data=typed, headers=stale)
    assert lost.status_code == 401 and "chưa được ghi nhận" in lost.text
    assert form_of(lost.text)["owner.name"] == "Nguyễn &#34;Thử&#34; &lt;Phiên&gt;"
    counter.sign_in()
    back = counter.http.post("/nop", data=typed, headers=HTML)  # with the token of the old session
    assert back.status_code == 403 and "còn nguyên" in back.text
    assert 'value="Nguyễn &#34;Thử&#34; &lt;Phiên&gt;"' in back.text and form_of(back.text)["csrf"] != typed["csrf"]


def test_WH04_the_page_asks_whose_session_it_is_and_nobody_else_can(played: Journey) -> None:
    counter = GatewayClient("tnhs.01")
    told = counter.http.get("/phien")
    assert told.json()["officer"] == "tnhs.01" and told.headers["cache-control"] == "no-store"
    assert told.json()["csrf"] == form_of(counter.http.get("/nop?procedure=1.001667").text)["csrf"]
    foreign = counter.http.get("/phien", headers={"origin": "https://evil.example"})
    assert not [name for name in foreign.headers if name.startswith("access-control")]  # its scripts can't read it
    assert httpx.get(counter.base + "/phien").status_code == 401


def test_CA09_a_form_that_is_too_large_is_refused_unread(played: Journey) -> None:
    counter = GatewayClient("tnhs.01")
    before = set(played.officers.objects.list(Bucket.INBOX, ""))
    address = httpx.URL(counter.base)
    connection = http.client.HTTPConnection(address.host, address.port or 80)
    connection.putrequest("POST", "/nop")
    multipart = {"content-type": "multipart/form-data; boundary=x", "content-length": str((500 << 20) + 1)}
    for name, value in (cookie_of(counter) | {"origin": counter.base} | HTML | multipart).items():
        connection.putheader(name, value)
    connection.endheaders(
        b'--x\r\ncontent-disposition: form-data; name="scan.1"; filename="a.jpg"\r\n\r\n' + b"0" * 5000
    )
    answer = connection.getresponse()  # though most of the form hasn't been sent
    assert answer.status == 413 and "nặng quá 500 MB; chưa có gì được ghi nhận" in answer.read().decode()
    connection.close()
    unsaid = counter.http.post(
        "/nop", content=iter([b"--x--\r\n"]), headers=HTML | {"content-type": multipart["content-type"]}
    )
    assert unsaid.status_code == 413
    assert set(played.officers.objects.list(Bucket.INBOX, "")) == before


@pytest.fixture
def delegate_until(played: Journey) -> Iterator[Any]:
    """delegate_until(day): buudien.01 may receive by a document until that day; the office's list is put back after."""
    path = Path(played.stack.env["SOHOA_STAFF_FILE"])
    before = path.read_text(encoding="utf-8")

    def write(day: date) -> None:
        listed = yaml.safe_load(before)
        listed["delegations"][0] |= {"document": "12/GUQ-BHXH", "valid_to": day}
        path.write_text(yaml.safe_dump(listed, allow_unicode=True), encoding="utf-8")

    yield write
    path.write_text(before, encoding="utf-8")


def test_WH02_a_delegation_is_told_followed_and_kept(played: Journey, delegate_until: Any) -> None:
    today = vietnam_day()
    delegate_until(today)
    sample, path = waiting(played, "uy-quyen", "12-tu-tuat-so-de-hong", "scope-1")
    delegate = GatewayClient("buudien.01")
    assert "văn bản 12/GUQ-BHXH" in delegate.http.get("/viec").text
    page = delegate.http.get(path).text
    assert "theo ủy quyền" in page and f"đến hết ngày {today:%d/%m/%Y}" in page
    answer = form_of(page) | {"decision": "TRA_LAI", "reason": "Giấy tờ hỏng, không đọc được."}

    delegate_until(today - timedelta(days=1))  # it ends while the page is open
    late = delegate.http.post(f"{path}/quyet-dinh", data=answer, headers=HTML)
    ended = f"Ủy quyền theo văn bản 12/GUQ-BHXH đã hết hiệu lực sau ngày {today - timedelta(days=1):%d/%m/%Y}"
    assert late.status_code == 403 and ended in late.text
    told = delegate.http.post(f"/quyet-dinh/{sample.run_id}", json={"run_input": {"decision": "TIEP_TUC"}})
    assert told.json()["status"] == "ABORT" and ended in told.text
    assert played.prefect.run(sample.run_id)["state_type"] == "PAUSED"
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    assert ("buudien.01", "WH04", "NOT_YOURS") in refusals(played, dossier.id)
    assert ("buudien.01", "WH02", "OUT_OF_TIME") in refusals(played, dossier.id)

    delegate_until(today)
    done = delegate.http.post(f"{path}/quyet-dinh", data=answer, headers=HTML)
    assert done.status_code == 200 and "trả hồ sơ cho người nộp" in done.text and "12/GUQ-BHXH" in done.text
    until(lambda: played.prefect.run(sample.run_id)["state_type"] == "COMPLETED")
    assert "theo ủy quyền: văn bản 12/GUQ-BHXH" in delegate.http.get(path).text  # in the history
    with played.officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).one()
    said = Attestation.model_validate_json(payload_of(kept.payload["proof"]))
    assert said.delegation is not None
    assert (said.delegation.document, said.delegation.by, said.delegation.until) == ("12/GUQ-BHXH", "ld.01", today)


def refusals(played: Journey, dossier_id: UUID) -> set[tuple[str, str, str]]:
    with played.officers.records.session() as session:
        query = select(AuditEntry).where(AuditEntry.dossier_id == dossier_id, AuditEntry.action == "refuse")
        return {(entry.actor, entry.rule, str(entry.details.get("code"))) for entry in session.exec(query)}


def payload_of(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
