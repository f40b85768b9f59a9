"""Operations on the whole stack: what Prefect's automations start, what the watch notes, what officers are shown."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from prefect.events.worker import EventsWorker
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import load_staff
from blocks.clock import VIET_NAM, vietnam_day
from blocks.orchestrator import AUTOMATIONS, OURS, pause_key
from blocks.records.tables import Decision, Dossier, Incident, Waiting
from deployments.automations import apply, wanted
from infra.local.keys import read_part
from tasks.monitoring.deadlines import note_deadlines, tell
from tasks.monitoring.reminders import sweep
from tasks.monitoring.run_faults import KEEP_ENDED_RUNS, faults, settle, tidy
from tests.faults.stack import ROOT, until
from tests.journeys.conftest import Journey


def automations(journey: Journey) -> dict[str, str]:
    found = journey.prefect.call("POST", "/automations/filter", {}).json()
    return {automation["name"]: automation["id"] for automation in found if automation["name"].startswith(OURS)}


def test_automations_are_those_of_the_code_and_setting_up_again_changes_nothing(journey: Journey) -> None:
    before = automations(journey)
    assert sorted(before) == sorted(AUTOMATIONS)
    env = journey.stack.env | read_part(journey.stack.home, "setup")  # as `make up` runs it
    subprocess.run([sys.executable, "-m", "deployments.setup"], cwd=ROOT, env=env, check=True, timeout=120)
    assert automations(journey) == before
    watch = journey.prefect.call("GET", "/deployments/name/watch/watch").json()["id"]
    with journey.stack.connected():
        ours = wanted(UUID(watch))
        assert apply(ours) == 0
        changed = [ours[0].model_copy(update={"description": "x"}), *ours[1:]]
        assert (apply(changed), apply(ours)) == (1, 1)
        assert (apply(ours[:-1]), apply(ours)) == (1, 1)  # what is no longer in code goes


def test_a_failed_run_is_an_incident_at_once_that_closes_when_it_is_gone(played: Journey) -> None:
    prefect, records = played.prefect, played.officers.records

    def incident(flow_run: str) -> Incident | None:
        with records.session() as session:
            rows = session.exec(select(Incident).where(Incident.code == "RUN_FAILED")).all()
            return next((row for row in rows if row.details.get("flow_run") == flow_run), None)

    began = datetime.now(UTC)
    run = str(prefect.start("f" * 64)["id"])  # nothing was handed in under this id
    until(lambda: prefect.run(run)["state_type"] == "FAILED")
    until(lambda: incident(run) is not None, why=lambda: played.stack.log("worker")[-3000:])
    started = [r for r in prefect.runs(flow="watch") if not r["auto_scheduled"] and r["created"] > began.isoformat()]
    assert started  # by the automation, not by the five minutes of the schedule
    page = played.officers.at_gateway("vh.01").http.get("/van-hanh").text
    assert f'href="/runs/flow-run/{run}"' in page and "Lượt xử lý dừng vì lỗi" in page and "bấm Retry" in page
    prefect.call("DELETE", f"/flow_runs/{run}").raise_for_status()
    deployment = prefect.call("GET", "/deployments/name/watch/watch").json()["id"]

    def closed() -> bool:
        prefect.call("POST", f"/deployments/{deployment}/create_flow_run", {})
        found = incident(run)
        return found is not None and found.closed_at is not None

    until(closed)


def test_who_is_waited_for_sees_the_reminder_the_leader_the_escalation_and_nothing_is_decided(played: Journey) -> None:
    sample = played.variant("nhac-viec", "d05-dpi-thap")
    officers, prefect = played.officers, played.prefect
    officers.hand_in(sample)
    played.wait_pause(sample, "rescan-1")
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.code
    assert dossier.code not in officers.at_gateway("ld.01").http.get("/viec").text
    later = datetime.now(VIET_NAM).replace(hour=10) + timedelta(days=7)
    while not Catalog().is_working_day(later.date()):
        later += timedelta(days=1)
    with officers.records.session() as session:
        row = session.get_one(Waiting, dossier.id)
    sweep(officers.records, Catalog(), load_staff(), [row], at=later)
    mine = officers.at_gateway("tnhs.01").http.get("/viec").text
    assert "Đã nhắc lúc" in mine and dossier.code in mine
    leaders = officers.at_gateway("ld.01").http.get("/viec").text
    assert "Đã báo lãnh đạo lúc" in leaders and dossier.code in leaders
    history = officers.at_gateway("ld.01").http.get(f"/ho-so/{dossier.id}").text
    assert "đã báo lãnh đạo đơn vị" in history
    assert pause_key(prefect.run(sample.run_id)) == "rescan-1"
    with officers.records.session() as session:
        assert session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all() == []
        assert session.get_one(Dossier, dossier.id).state == dossier.state


def test_a_deadline_that_comes_near_is_told_once_and_is_an_incident_where_no_officer_is_waited_for(
    played: Journey,
) -> None:
    """By event, automation and watch (QĐ 352, Điều 12)."""
    sample = played.variant("sap-den-han", "d05-dpi-thap")
    officers, prefect = played.officers, played.prefect
    officers.hand_in(sample)
    played.wait_pause(sample, "rescan-1")
    today = vietnam_day()
    while not Catalog().is_working_day(today):  # on a day off nothing is noted: then it is looked at as on the next
        today += timedelta(days=1)

    def promise(days: int) -> None:
        with officers.records.session() as session:
            session.exec(select(Dossier).where(Dossier.submission == sample.submission)).one().due_date = (
                today + timedelta(days=days)
            )

    def open_incidents() -> int:
        with officers.records.session() as session:
            query = select(Incident).where(Incident.code == "DEADLINE_NEAR", col(Incident.closed_at).is_(None))
            return len(session.exec(query).all())

    def started_watches() -> int:
        return sum(not run["auto_scheduled"] for run in prefect.runs(flow="watch"))

    promise(0)
    before = started_watches()
    with played.stack.connected():
        new = note_deadlines(officers.records, Catalog(), datetime.combine(today, time(10), VIET_NAM))
        mine = [(item.action, item.left) for item in new if str(item.flow_run_id) == sample.run_id]
        assert mine == [("deadline-near", 0)]
        tell(officers.records, new)
        EventsWorker.instance().drain()
    until(lambda: started_watches() > before)
    assert "deadline:near" in prefect.run(sample.run_id)["tags"]

    def events() -> list[dict[str, Any]]:
        resource = {"id": [f"prefect.flow-run.{sample.run_id}"]}
        asked = {"filter": {"event": {"name": ["sohoa.dossier.deadline-near"]}, "resource": resource}}
        found: list[dict[str, Any]] = prefect.call("POST", "/events/filter", asked).raise_for_status().json()["events"]
        return found

    until(lambda: [event["payload"] for event in events()] == [{"left_days": 0}])
    look = prefect.call("GET", "/deployments/name/deadlines/deadlines").json()["id"]
    run = prefect.call("POST", f"/deployments/{look}/create_flow_run", {}).json()["id"]
    until(lambda: prefect.run(run)["state_type"] == "COMPLETED")
    assert len(events()) == 1  # it was noted before
    assert open_incidents() == 0  # its officer is waited for, and reminded

    def settled() -> int:
        settle(officers.records, load_staff(), faults(officers.records, prefect, Catalog()))
        return open_incidents()

    prefect.call("POST", f"/flow_runs/{sample.run_id}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    assert settled() == 1
    assert "deadline:near" in officers.at_gateway("vh.01").http.get("/van-hanh").text  # what to do
    promise(30)
    assert settled() == 0


def test_old_runs_that_carry_no_dossier_go_those_of_dossiers_stay(played: Journey) -> None:
    prefect = played.prefect
    until(lambda: prefect.ended("COMPLETED", flow="inbox") and prefect.ended("COMPLETED", flow="watch"), 400)
    dossiers, began = {run["id"] for run in prefect.runs(flow="dossier")}, datetime.now(UTC)
    assert tidy(played.officers.records, prefect) == 0  # none is old enough
    assert tidy(played.officers.records, prefect, at=began + KEEP_ENDED_RUNS) >= 2
    for flow in ("inbox", "watch"):
        assert all(run["end_time"] > began.isoformat() for run in prefect.ended("COMPLETED", flow=flow, limit=50))
    assert {run["id"] for run in prefect.runs(flow="dossier")} == dossiers
