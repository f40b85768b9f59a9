"""WH01, WH02, WH04: each page of the desk asks both lists at each request: the provider's groups and the office's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import pytest
import yaml

from blocks.catalog.staff import Role, load_staff
from blocks.ids import DocumentId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.incidents import raise_incident
from blocks.records.states import DossierState
from blocks.records.tables import Dossier
from infra.local.postgres import Postgres
from tasks.desk_views.worklist import for_officer
from tests.deployments.desk import FOREIGN, OWN, Gateway, Signed, Told, make_gateway, staff_file
from tests.deployments.test_words import give_text
from tests.tasks.lawcase import make_dossier, walk_dossier
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)

PAPERS = {Role.RECEIVE, Role.RESOLVE, Role.LEAD, Role.SEAL, Role.AUDIT}
WATCH = {Role.OPERATE, Role.LEAD, Role.AUDIT}


@pytest.fixture
def gateway(
    postgres: Postgres, records: RecordsDatabase, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Gateway:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return make_gateway(records, tmp_path, postgres)


@pytest.fixture
def place(gateway: Gateway, objects: ObjectStore) -> dict[str, str]:
    """A received dossier of OWN whose paper was read, an incident of it."""
    records = gateway.records
    dossier_id, (paper,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    give_text(records, objects, DocumentId(paper))
    walk_dossier(records, dossier_id, DossierState.DA_TIEP_NHAN)
    with records.session() as session:
        row = session.get_one(Dossier, dossier_id)
        code = row.code or assign_dossier_code(session, row, actor="system")
        incident = raise_incident(session, code="DISPUTE", dossier_id=dossier_id, rule="LU05")
        return {
            "paper": str(paper),
            "id": str(dossier_id),
            "code": code,
            "submission": row.submission,
            "incident": str(incident.id),
        }


WHY = "Hết thời hạn lưu trữ theo danh mục."
REFUSED = (403, 404, 409, 422)  # the page of incidents is shown again, with why
DONE = {
    "a decision": (409,),
    "proposing disposal": (
        422,
    ),  # its retention has no end yet  # the dossier waits for nobody: it came as far as asking Prefect's run
    "parting a scan": (422,),  # no file was chosen
    "operations for programs": (200, 503),  # as healthy as the parts are
}
Ask = Callable[[Signed, dict[str, str]], httpx.Response]
LOOKS: dict[str, tuple[Ask, set[Role]]] = {
    "the page of a dossier": (lambda b, p: b.get(f"/ho-so/{p['id']}"), PAPERS),
    "its result": (lambda b, p: b.get(f"/ho-so/{p['id']}/ket-qua/1"), PAPERS),
    "its slip": (lambda b, p: b.get(f"/ho-so/{p['id']}/phieu"), PAPERS),
    "its whole text": (lambda b, p: b.get(f"/ho-so/{p['id']}/van-ban/1"), PAPERS),
    "a decision": (lambda b, p: b.post(f"/ho-so/{p['id']}/quyet-dinh", {"decision": "TRA_LAI"}), PAPERS),
    "a draft": (lambda b, p: b.post(f"/ho-so/{p['id']}/du-thao", {"result": "x"}), PAPERS),
    "search by the whole code": (lambda b, p: b.get("/tim", params={"ma": p["code"]}), PAPERS),
    "search by the submission": (lambda b, p: b.get("/tim", params={"ma": p["submission"]}), PAPERS),
    "search by a part": (lambda b, p: b.get("/tim", params={"ma": p["code"][:-1]}), PAPERS),
    "incidents": (lambda b, p: b.get("/su-co"), WATCH),
    "closing an incident": (
        lambda b, p: b.post(f"/su-co/{p['incident']}/dong", {"reason": "Đã giải quyết xong khiếu nại"}), {Role.LEAD},
    ),
    "a complaint": (lambda b, p: b.post("/su-co/khieu-nai", {"ho_so": p["code"]}), {Role.LEAD}),
    "the audit trail": (lambda b, p: b.get("/nhat-ky"), {Role.AUDIT}),
    "the audit trail as a file": (lambda b, p: b.get("/nhat-ky.csv"), {Role.AUDIT}),
    "checking the trail": (lambda b, p: b.post("/nhat-ky/kiem-tra"), {Role.AUDIT}),
    "disposal": (lambda b, p: b.get("/tieu-huy"), {Role.LEAD, Role.SEAL}),
    "proposing disposal": (lambda b, p: b.post(f"/tieu-huy/{p['paper']}/de-nghi", {"reason": WHY}), {Role.LEAD}),
    "operations": (lambda b, p: b.get("/van-hanh"), {Role.OPERATE, Role.LEAD}),
    "operations for programs": (lambda b, p: b.get("/van-hanh.json"), {Role.OPERATE, Role.LEAD}),
    "a new dossier": (lambda b, p: b.get("/nop"), {Role.RECEIVE}),
    "separator sheets": (lambda b, p: b.get("/nop/to-ngan"), {Role.RECEIVE}),
    "parting a scan": (lambda b, p: b.post("/nop/tach", {"procedure": "1.001667"}), {Role.RECEIVE}),
    "what became of a submission": (lambda b, p: b.get(f"/nop/{p['submission']}"), {Role.RECEIVE}),
}  # fmt: skip
# Of another unit these answer, with what is of that unit; what they show is looked at below.
OF_EACH_UNIT = {
    "incidents", "disposal", "the audit trail", "the audit trail as a file", "checking the trail", "operations",
    "operations for programs", "a new dossier", "separator sheets", "parting a scan",
}  # fmt: skip


def people(role: Role) -> dict[str, tuple[str, Told]]:
    """How somebody may lack what only both lists together give."""
    name = role.lower()
    return {
        "in a group, not on the list": ("ai.do", {(OWN, role.value)}),
        "on the list, in no group of it": (f"here.{name}", {(FOREIGN, role.value)}),
        "on the list, the group says another role": (f"here.{name}", {(OWN, "NOBODY")}),
        "in the group, on the list of another unit": (f"there.{name}", {(OWN, role.value)}),
        "delegation is over": (f"over.{name}", {(OWN, role.value)}),
    }


@pytest.mark.parametrize("what", LOOKS)
def test_who_may_look_and_act(gateway: Gateway, place: dict[str, str], what: str) -> None:
    ask, allowed = LOOKS[what]
    for role in Role:
        both = ask(gateway.signed_in(f"here.{role.lower()}", {(OWN, role.value)}), place)
        expected = DONE.get(what, (200, 303)) if role in allowed else REFUSED
        assert both.status_code in expected, (role, both.status_code, both.text[-600:])
    for role in sorted(allowed):
        for why, (officer, told) in people(role).items():
            answer = ask(gateway.signed_in(officer, told), place)
            assert answer.status_code in REFUSED, (role, why, answer.text[-600:])
        foreign = ask(gateway.signed_in(f"there.{role.lower()}", {(FOREIGN, role.value)}), place)
        if what in OF_EACH_UNIT:
            assert place["code"] not in foreign.text and place["id"] not in foreign.text, role
        elif what == "what became of a submission":
            assert foreign.status_code == 200 and place["id"] not in foreign.text
        else:
            assert foreign.status_code in REFUSED and place["id"] not in foreign.headers.get("location", "")


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(
    gateway: Gateway, place: dict[str, str], tmp_path: Path
) -> None:
    auditor = gateway.signed_in("here.audit", {(OWN, "AUDIT")})
    assert auditor.get("/nhat-ky").status_code == auditor.get(f"/ho-so/{place['id']}").status_code == 200
    path = tmp_path / "staff.yaml"
    listed = yaml.safe_load(path.read_text())
    for person in listed["staff"]:
        if person["id"] == "here.audit":
            person["valid_to"] = "2025-01-01"
    path.write_text(yaml.safe_dump(listed))
    assert auditor.get("/nhat-ky").status_code == 403
    refused = auditor.get(f"/ho-so/{place['id']}")
    assert refused.status_code == 403 and "đã hết hiệu lực sau ngày 01/01/2025" in refused.text
    path.write_text("staff: [")  # nobody can say who may: nobody may
    assert gateway.signed_in("here.lead", {(OWN, "LEAD")}).get("/van-hanh").status_code == 403


def test_both_lists_must_say_it_on_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))
    staff, told = load_staff(), {(OWN, "AUDIT"), (FOREIGN, "AUDIT"), (OWN, "LEAD")}
    assert staff.confirmed("here.audit", told, date(2026, 1, 1)) == {(OWN, "AUDIT")}
    assert staff.confirmed("here.audit", told, date(2019, 12, 31)) == frozenset()
    assert staff.confirmed("over.audit", told, date(2024, 12, 31)) == {(OWN, "AUDIT")}
    assert staff.confirmed("over.audit", told, date(2025, 1, 1)) == frozenset()
    assert staff.confirmed("here.audit", set(), date(2026, 1, 1)) == frozenset()


def test_nobody_writes_a_route_that_asks_nobody(gateway: Gateway) -> None:
    """Each route of the desk stands in the table above, or here with why it needs no role."""
    open_to_all = {
        "/", "/viec",  # what one may decide, and nothing else
        "/ho-so/{}/nhan", "/ho-so/{}/tra",  # asked by the decision's own rule (why_not), and one's own claim
        "/anh/{}",  # by a token that only the page of a dossier gives; asked again in test_results.py
        "/chu/{}",  # in the same way: test_words.py
        "/favicon.ico", "/tinh/{}",
    }  # fmt: skip
    asked = {
        "/ho-so/{}", "/ho-so/{}/ket-qua/{}", "/ho-so/{}/phieu", "/ho-so/{}/quyet-dinh", "/ho-so/{}/du-thao", "/tim",
        "/su-co", "/su-co/{}/dong", "/su-co/khieu-nai", "/nhat-ky", "/nhat-ky.csv", "/nhat-ky/kiem-tra",
        "/van-hanh", "/van-hanh.json", "/nop", "/nop/{}", "/nop/to-ngan", "/ho-so/{}/van-ban/{}",
        "/nop/tach", "/nop/tach/{}", "/nop/tach/{}/anh/{}",  # one's own scan alone: test_parting.py
        "/tieu-huy", "/tieu-huy/{}/de-nghi", "/tieu-huy/{}/xac-nhan", "/tieu-huy/{}/bac",
    }  # fmt: skip
    paths = {re.sub(r"\{[^}]*\}", "{}", route.path) for router in gateway.desk.routers() for route in router.routes}  # type: ignore[attr-defined]
    assert paths == open_to_all | asked


def test_what_waits_is_counted_by_both_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_STAFF_FILE", str(staff_file(tmp_path / "staff.yaml")))

    def asked(told: Told) -> str:
        rows = for_officer("here.resolve", load_staff(), date(2026, 1, 1), told)
        return str(rows.compile(compile_kwargs={"literal_binds": True}))

    assert "verification" in asked({(OWN, "RESOLVE")})
    assert "verification" not in asked(set()) + asked({(FOREIGN, "RESOLVE")}) + asked({(OWN, "LEAD")})
