"""What an officer is told when something is away, and when something is broken: only the first is to be tried again."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from blocks.catalog.staff import Role
from blocks.records import RecordsDatabase
from infra.local.postgres import Postgres
from infra.local.process import free_port
from tests.deployments.desk import GATEWAY_URL, ORIGIN, OWN, Gateway, Signed, make_gateway, text_of
from tests.tasks.lawcase import make_dossier

HTML = {"accept": "text/html"}
FAULT = "vui lòng báo quản trị viên kèm mã lỗi: "


@pytest.fixture
def gateway(records: RecordsDatabase, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Prefect doesn't answer."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    return make_gateway(records, tmp_path, postgres)


@pytest.fixture
def officer(gateway: Gateway) -> Signed:
    return gateway.signed_in("gq.01", {(OWN, Role.RESOLVE.value)})


def test_a_decision_while_prefect_is_away_is_kept_on_the_page(gateway: Gateway, officer: Signed) -> None:
    dossier, _ = make_dossier(gateway.records, ["LOCAL:GIAY-RA-VIEN"])
    run = uuid4()
    with gateway.records.session() as session:
        session.execute(text("UPDATE dossier SET flow_run_id = :run"), {"run": run})
    told = officer.http.post(f"/quyet-dinh/{run}", json={"run_input": {}}, headers={"origin": ORIGIN})
    assert told.status_code == 503 and "Máy chủ điều phối tạm thời không phản hồi." in told.json()["detail"]
    typed = {"decision": "TRA_LAI", "reason": 'Thiếu "chữ ký".', "pin": "1234"}
    page = officer.post(f"/ho-so/{dossier}/quyet-dinh", typed)
    assert page.status_code == 503 and "Máy chủ điều phối tạm thời không phản hồi." in page.text
    assert "gửi lại không bị ghi thành hai lần" in page.text
    assert 'name="reason" value="Thiếu &#34;chữ ký&#34;."' in page.text and "1234" not in page.text
    assert gateway.refusals() == [], "nobody was refused anything"


def test_postgresql_away_is_told_as_such_wherever_it_is_met(
    gateway: Gateway, officer: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GATEWAY_URL, f"postgresql+psycopg://nobody:x@127.0.0.1:{free_port()}/none")
    page = officer.get("/viec", headers=HTML)
    assert page.status_code == 503 and "Cơ sở dữ liệu hồ sơ tạm thời không phản hồi." in text_of(page)
    told = gateway.stranger().post("/viec")  # it can't be noted, so it isn't let through
    assert told.status_code == 503 and "thử lại sau ít phút" in told.json()["detail"]


def test_a_broken_program_is_told_as_a_fault_to_report(
    gateway: Gateway, officer: Signed, owner: RecordsDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A table that isn't there stands for any error of ours: nothing heals it but people."""
    with owner.session() as session:
        for table in ("waiting", "auditentry"):
            session.execute(text(f"ALTER TABLE {table} RENAME TO {table}_aside"))
    http = TestClient(gateway.app, ORIGIN, cookies={"sohoa": officer.cookie}, raise_server_exceptions=False)
    page = http.get("/viec", headers=HTML)
    assert page.status_code == 500 and FAULT + page.headers["x-request-id"] in text_of(page)
    told = gateway.stranger().post("/viec")  # it can't be noted, so it isn't let through
    assert told.status_code == 500 and FAULT + told.headers["x-request-id"] in told.json()["detail"]
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(tmp_path / "nowhere.yaml"))
    told = officer.http.post(f"/quyet-dinh/{uuid4()}", json={"run_input": {}}, headers={"origin": ORIGIN})
    assert told.status_code == 500 and "thử lại" not in told.json()["detail"]
