"""The page of operations: the checks' findings and the figures, whatever is down, and nobody's name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.states import DocumentState
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.pages.operations import routes
from deployments.desk.pages.rendering import Pages
from infra.local.process import free_port
from tasks.monitoring.checks.finding import Finding, State
from tasks.monitoring.checks.registry import CHECKS
from tasks.pauses.registry import pauses
from tests.conftest import TestPki
from tests.tasks.lawcase import NAME, OWNER_ID, make_dossier, walk_document
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)


@pytest.fixture
def browser(
    records: RecordsDatabase, objects: ObjectStore, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    """Real database, store and PKI; Prefect, gateway and metrics are down."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    for part in ("GATEWAY", "METRICS"):
        monkeypatch.setenv(f"SOHOA_PORT_{part}", str(free_port()))
    return TestClient(desk(Pages(500)))


def desk(pages: Pages) -> FastAPI:
    """The page as an officer of operations gets it, without the gateway's guard."""
    app = FastAPI(routes=routes(pages, lambda _: None))
    app.include_router(pages.router())
    session = Session(Officer("vh.01", frozenset({("BHXH-01", "OPERATE")})), 0.0, 0.0)

    @app.middleware("http")
    async def signed_in(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.session = session
        return await call_next(request)

    return app


def test_what_is_down_is_said_with_what_to_do_and_the_rest_is_shown(
    browser: TestClient, records: RecordsDatabase
) -> None:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    walk_document(records, ids[0], DocumentState.DA_KY_CA_NHAN)
    with records.session() as session:
        from blocks.records.machine import move_document
        from blocks.records.tables import Document

        document = session.get_one(Document, ids[0])
        move_document(session, document, DocumentState.OCR, actor="system", details={"pages": 30})
        raise_incident(session, code="RUN_FAILED", dossier_id=dossier_id, details={"state": "Failed"})
    told = browser.get("/van-hanh.json")
    assert told.status_code == 503 and told.json()["healthy"] is False
    assert told.json()["pages_a_minute"] == 2.0 and told.json()["incidents"] == 1
    (trouble,) = told.json()["open_incidents"]
    assert trouble["code"] == "RUN_FAILED" and trouble["count"] == 1 and "Retry" in trouble["advice"]
    assert told.json()["failed"] is None and told.json()["waiting"] == 0  # None, not zero: nobody knows
    html = browser.get("/van-hanh").text
    assert "6 thành phần hệ thống có lỗi" in html and html.count('class="bad"') == 6 and "make up" in html
    assert html.count('<th scope="row">') == len(CHECKS) + 1
    assert str(dossier_id) not in html
    assert NAME not in html + told.text and OWNER_ID not in html + told.text


def test_the_page_asks_nothing_of_other_hosts_and_holds_no_script(browser: TestClient) -> None:
    html = browser.get("/van-hanh").text
    assert not re.search(r"https?://|<script>|style=| on\w+=|http-equiv", html)
    css, script = re.search(r'href="(/tinh/[^"]+)"', html), re.search(r'src="(/tinh/van-hanh[^"]+)"', html)
    assert css and browser.get(css[1]).headers["content-type"].startswith("text/css")
    assert script and browser.get(script[1]).headers["content-type"].startswith("text/javascript")


def test_what_parts_say_is_text_not_markup(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "deployments.desk.pages.operations.examine", lambda brief: [Finding("a", "a", State.BAD, "<b>x", "</table>")]
    )
    told = browser.get("/van-hanh").text
    assert "<b>x" not in told and "&lt;b&gt;x" in told and "&lt;/table&gt;" in told


def test_each_file_with_a_pause_is_found() -> None:
    sources = "".join(path.read_text() for path in Path("tasks/pauses").glob("*.py"))
    known = set(re.findall(r' = Pause\(\n    name="(\w+)"', sources))
    assert known and known == pauses().keys()
