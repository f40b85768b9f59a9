"""LU06, WH03: the page of disposal through the gateway: each of the two signs in anew, for this one record as shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlmodel import select

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.tables import AuditEntry, Disposal, Document, now
from deployments.desk.auth.signin import AGAIN, CALLBACK, LOGIN
from infra.local.postgres import Postgres
from tests.attack.plugin import Attack
from tests.deployments.desk import FOREIGN, ORIGIN, OWN, Gateway, make_gateway, staff_file
from tests.deployments.provider import Provider, signed
from tests.tasks.lawcase import make_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)

WHY = "Hết thời hạn lưu trữ theo Danh mục của cơ quan."
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
Make = Callable[[str, str], "Browser"]


class Browser:
    """An officer's, signed in at the tests' provider."""

    def __init__(self, gateway: Gateway, office: Provider, officer: str, unit: str, role: str) -> None:
        self.gateway, self.http, self.office = gateway, gateway.stranger(), office
        self.officer, self.unit, self.role = officer, unit, role
        self._through(self.http.get(LOGIN))

    def _through(self, asked: httpx.Response, ago: int = 0) -> httpx.Response:
        """As the provider sends back. ago: how many seconds ago it says that the person signed in there."""
        late = {"auth_time": int(now().timestamp()) - ago} if ago else {}
        self.office.answer = signed(preferred_username=self.officer, sub=self.officer, **late)
        self.office.groups = [f"sohoa/{self.unit}/{self.role}"]
        query = parse_qs(urlsplit(asked.headers["location"]).query)
        self.office.asked = {name: values[0] for name, values in query.items()}
        return self.http.get(CALLBACK, params={"code": "c", "state": self.office.asked["state"]})

    def page(self, path: str = "/tieu-huy") -> str:
        return self.http.get(path).text

    def click(self, document: UUID, what: str, page: str) -> httpx.Response:
        """Send the form of this row as this page has it."""
        form = re.search(rf'action="/tieu-huy/{document}/{what}">(.*?)</form>', page, re.DOTALL)
        assert form, page[-3000:]
        return self.send(document, what, dict(HIDDEN.findall(form[1]))["seen"])

    def send(self, document: UUID, what: str, seen: str) -> httpx.Response:
        """The same without a button for it."""
        session = self.gateway.app.sessions.find(self.http.cookies["sohoa"])
        assert session is not None
        data = {"csrf": session.csrf, "seen": seen, "reason": WHY}
        path = f"/tieu-huy/{document}/{what}"
        return self.http.post(path, data=data, headers={"origin": ORIGIN, "accept": "text/html"})

    def prove(self, asked: httpx.Response, ago: int = 0) -> httpx.Response:
        """Sign in anew, as the page in between asks; what comes then."""
        assert "Xác thực lại" in asked.text, asked.text[-1500:]
        (place,) = re.findall(rf'href="({AGAIN}\?viec=[^"]+)"', asked.text)
        return self._through(self.http.get(place), ago)


@pytest.fixture
def make(
    postgres: Postgres,
    records: RecordsDatabase,
    objects: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    identity_provider: Provider,
) -> Make:
    """make(officer, unit): the browser of a leader or clerk of the list."""
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    identity_provider.issuer = ""
    gateway = make_gateway(records, tmp_path, postgres, oidc_issuer=identity_provider.url)
    return lambda officer, unit: Browser(gateway, identity_provider, officer, unit, officer.partition(".")[2].upper())


@pytest.fixture
def over(records: RecordsDatabase) -> list[UUID]:
    """Two records of OWN whose retention has ended."""
    dossier, papers = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"] * 2)
    with records.session() as session:
        for one in papers:
            paper = session.get_one(Document, one)
            paper.record_key, paper.retain_until = f"{dossier}/{one}/1/record.pdf", now() - timedelta(days=3)
            paper.retention_class = "LOCAL:LT-CHE-DO"
            session.add(paper)
    return papers


def rows(records: RecordsDatabase) -> list[tuple[UUID, str, str]]:
    with records.session() as session:
        found = session.exec(select(Disposal)).all()
    return sorted((row.document_id, row.proposed_by, row.confirmed_by) for row in found)


def test_LU06_WH03_each_of_the_two_signs_in_anew(make: Make, records: RecordsDatabase, over: list[UUID]) -> None:
    first, _ = over
    leader, clerk = make("here.lead", OWN), make("here.seal", OWN)
    back = leader.prove(leader.click(first, "de-nghi", leader.page()))
    assert rows(records) == []
    again = leader.page(back.headers["location"])
    assert "Đã xác thực lại" in again and again.count(WHY) == 1
    assert leader.click(first, "de-nghi", again).status_code == 303
    assert rows(records) == [(first, "here.lead", "")]
    page = clerk.page()
    assert "Giấy ra viện" in page and "LOCAL:" not in page
    back = clerk.prove(clerk.click(first, "xac-nhan", page))
    assert clerk.click(first, "xac-nhan", clerk.page(back.headers["location"])).status_code == 303
    assert rows(records) == [(first, "here.lead", "here.seal")]
    assert "Chờ quản trị viên tiêu hủy" in leader.page()
    with records.session() as session:
        query = select(AuditEntry).where(AuditEntry.document_id == first, AuditEntry.rule == "LU06")
        told = [(one.action, one.details["acr"], bool(one.details["auth_time"])) for one in session.exec(query)]
    assert sorted(told) == [("dispose-confirmed", "high", True), ("dispose-proposed", "high", True)]


def test_a_step_up_for_something_else(attack: Attack, make: Make, records: RecordsDatabase, over: list[UUID]) -> None:
    """Old, for another record, for another act, of another look: each leads to the provider once more."""
    first, other = over
    leader, second = make("here.lead", OWN), make("here.seal", OWN)

    def watch() -> list[tuple[UUID, str, str]]:
        return rows(records)

    with attack("disposal proposed after a step-up with an old sign-in", watch=watch) as told:
        refused = leader.prove(leader.click(first, "de-nghi", leader.page()), ago=3600)
        assert refused.status_code == 400
        told.answered(f"HTTP {refused.status_code}")
        assert "Xác thực lại" in leader.click(first, "de-nghi", leader.page()).text
    back = leader.prove(leader.click(first, "de-nghi", leader.page()))
    again = leader.page(back.headers["location"])
    with attack("a step-up for one record used for another", watch=watch) as told:
        asked = leader.click(other, "de-nghi", again)
        told.answered("asks to sign in anew")
        assert "Xác thực lại" in asked.text
    assert leader.click(first, "de-nghi", again).status_code == 303
    with attack("one step-up used twice", watch=watch) as told:
        asked = leader.click(other, "de-nghi", leader.page())
        told.answered("asks to sign in anew")
        assert "Xác thực lại" in asked.text
    look = second.page()
    back = second.prove(second.click(first, "xac-nhan", look))
    again = second.page(back.headers["location"])
    with records.session() as session:
        paper = session.get_one(Document, first)
        paper.record_key = f"{paper.dossier_id}/{first}/2/record.pdf"
        session.add(paper)
    with attack("confirmed after another record took the place of the one shown", watch=watch) as told:
        changed = second.click(first, "xac-nhan", again)
        assert changed.status_code == 422 and "đã thay đổi so với trang bạn xem" in changed.text
        told.answered(f"HTTP {changed.status_code} DISPOSAL_CHANGED")
        told.audited("refuse DISPOSAL_CHANGED")
    asked = second.click(first, "xac-nhan", second.page())  # what is new was not what the step-up was for
    assert "Xác thực lại" in asked.text and rows(records) == [(first, "here.lead", "")]
    with records.session() as session:
        refusals = session.exec(select(AuditEntry.details).where(AuditEntry.action == "refuse")).all()
    assert "DISPOSAL_CHANGED" in {one["code"] for one in refusals}


def test_the_same_person_and_another_unit(
    attack: Attack, make: Make, records: RecordsDatabase, over: list[UUID]
) -> None:
    first, _ = over
    leader = make("here.lead", OWN)
    page = leader.page(leader.prove(leader.click(first, "de-nghi", leader.page())).headers["location"])
    assert leader.click(first, "de-nghi", page).status_code == 303
    assert f"/tieu-huy/{first}/xac-nhan" not in leader.page()  # no button for who has proposed
    seen = dict(HIDDEN.findall(make("here.seal", OWN).page()))["seen"]
    for who, browser in {
        "the proposer confirms the own proposal": leader,
        "an officer of another unit confirms": make("there.lead", FOREIGN),
    }.items():
        with attack(who, watch=lambda: rows(records)) as told:
            answer = browser.send(first, "xac-nhan", seen)
            assert answer.status_code == 422 and "Bạn không làm được việc này" in answer.text, answer.text[-800:]
            told.answered(f"HTTP {answer.status_code} DISPOSAL_NOT_YOURS")
            told.audited("refuse DISPOSAL_NOT_YOURS")
    with records.session() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == "refuse")).all()
        refused = {(one.actor, one.details["code"]) for one in entries}
    assert {("here.lead", "DISPOSAL_NOT_YOURS"), ("there.lead", "DISPOSAL_NOT_YOURS")} <= refused
