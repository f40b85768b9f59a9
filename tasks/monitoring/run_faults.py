"""Trực vận hành: what is wrong with the machine's own work, as incidents that open and close by themselves.

Level-triggered: every run compares current faults with open incidents. So it can run at any time, and nothing is
missed or told twice. Ids and counts only.

What is wrong with a part or with the work as a whole is seen by the checks (tasks/monitoring/checks), which the desk,
the command line and the metrics read, too. What is found here in addition are single dossiers and what they wait for.
No checks, since there are as many as there are dossiers, and since they take rows of dossiers, which the metrics may
not read; the other readers see the incidents.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import col, func, select

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, Staff
from blocks.clock import vietnam_day
from blocks.ids import DossierId, FlowRunId
from blocks.orchestrator import DOSSIER, WATCH, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import close_incident, raise_incident
from blocks.records.named import naming
from blocks.records.tables import Dossier, Incident
from blocks.settings import gateway_url
from tasks.intake.begin import ENDED
from tasks.monitoring.checks.finding import CHECK_BAD, Check, Cost, State
from tasks.monitoring.checks.registry import checks, look_at
from tasks.monitoring.deadlines import due
from tasks.monitoring.incidents import AWAY, KINDS
from tasks.monitoring.notices import note
from tasks.pauses.outages import away

REFUSED = "Refused"  # name of the state of a run that the worker didn't let in (infra/worker/admission.py)
LEFT_CRASHED = timedelta(minutes=30)  # by then a crashed run goes on by itself, or never (infra/worker/rescue.py)
FLOWS_WITHOUT_DOSSIER = ("inbox", "deadlines", "partners", "preservation", WATCH)
KEEP_ENDED_RUNS = timedelta(days=14)  # of those flows
# Of dossiers: no pause lasts half as long, and the journal stays as long (tasks/copies)
KEEP_DONE_RUNS = timedelta(days=100)
LOOK_AGAIN = 30.0  # seconds: a part that is being started again works by then
FAULTS = {code: kind.advice for code, kind in KINDS.items() if kind.closer is None}  # what this look opens and closes
Place = tuple[str, DossierId | None]  # code, dossier


class WatchResult(BaseModel):
    """Incidents that this look opened and closed, and how many of ours are open after it."""

    opened: int = 0
    closed: int = 0
    open: int = 0


def faults(
    records: RecordsDatabase, prefect: Orchestrator, catalog: Catalog, at: datetime | None = None
) -> dict[Place, dict[str, Any]]:
    """What is wrong now: code and dossier → details (ids, counts)."""
    moment = at or datetime.now(UTC)
    found: dict[Place, dict[str, Any]] = {}
    failed = [
        run for run in prefect.runs(flow=DOSSIER, state={"type": {"any_": ["FAILED"]}}) if run["state_name"] != REFUSED
    ]
    crashed = prefect.runs(flow=DOSSIER, state={"type": {"any_": ["CRASHED"]}})
    failed += [r for r in crashed if moment - datetime.fromisoformat(r["state"]["timestamp"]) > LEFT_CRASHED]
    with records.session() as session:
        ids = [FlowRunId(UUID(run["id"])) for run in failed]
        rows = session.exec(select(Dossier.flow_run_id, Dossier.id).where(col(Dossier.flow_run_id).in_(ids)))
        dossiers = {run: DossierId(dossier) for run, dossier in rows}
        for run in failed:
            details = {"flow_run": run["id"], "state": run["state_name"]}
            found.setdefault(("RUN_FAILED", dossiers.get(FlowRunId(UUID(run["id"])))), details)
    for check in watched():
        if check.incident != CHECK_BAD:
            seen = check.look()  # what can't be looked at is no such incident: it ends this look
            if seen.state is not State.GOOD:
                found[check.incident, None] = seen.details
    late = prefect.runs(flow=DOSSIER, state={"name": {"any_": ["Late"]}})
    cancelled = prefect.runs(flow=DOSSIER, state={"type": {"any_": ["CANCELLED"]}})
    stuck_runs = {FlowRunId(UUID(run["id"])) for run in (*failed, *late, *cancelled)}
    with records.session() as session:  # who waits for an officer is the reminders' business
        near = [item for item in due(session, catalog, vietnam_day(moment)) if item.flow_run_id in stuck_runs]
        for service, count in away(session, moment).items():
            found[f"{AWAY}{service}", None] = {"dossiers": count}
    if near:
        found["DEADLINE_NEAR", None] = {"dossiers": len(near)}
    return found


def look_after_runs(records: RecordsDatabase, prefect: Orchestrator, catalog: Catalog, staff: Staff) -> WatchResult:
    """Incidents for what is wrong now; old runs are deleted."""
    tidy(records, prefect)
    tell_refused(records, prefect)
    return settle(records, staff, faults(records, prefect, catalog))


def watched() -> list[Check]:
    """The checks whose findings are incidents here."""
    return [check for check in checks(Cost.CHEAP) if check.incident]


def look_after_parts(records: RecordsDatabase, staff: Staff, again: float = LOOK_AGAIN) -> WatchResult:
    """One incident for all parts that don't work, closed when they do; another set of parts is another incident.

    again: seconds after which a part is looked at once more before it counts.
    """
    bad = _bad([check for check in watched() if check.incident == CHECK_BAD])
    if bad:
        time.sleep(again)
        bad = _bad(bad)
    place: Place = (CHECK_BAD, None)
    found = {place: {"checks": [check.key for check in bad]}} if bad else {}
    return settle(records, staff, found, {CHECK_BAD})


def _bad(looked_at: Collection[Check]) -> list[Check]:
    return [check for check in looked_at if look_at(check).state is State.BAD]


def settle(
    records: RecordsDatabase,
    staff: Staff,
    found: Mapping[Place, Mapping[str, Any]],
    codes: Collection[str] = FAULTS.keys() - {CHECK_BAD},
) -> WatchResult:
    """Open what is new (and tell operations), close what is over. codes: all that this look could have found."""
    result = WatchResult()
    with records.session() as session:
        query = select(Incident).where(col(Incident.code).in_(list(codes)), col(Incident.closed_at).is_(None))
        known = {(row.code, row.dossier_id): row for row in session.exec(query)}
        for (code, dossier), details in found.items():
            if old := known.get((code, dossier)):
                if code != CHECK_BAD or old.details == details:
                    continue
                result.closed += close_incident(session, old, actor="system")
            incident = raise_incident(session, code=code, dossier_id=dossier, details=details)
            result.opened += 1
            messages = note(
                session,
                staff,
                staff.holders(Role.OPERATE, vietnam_day()),
                key=f"fault:{incident.id}",
                subject=f"Sự cố vận hành · {code}",
                text=f"{FAULTS[code]}\n\n{gateway_url()}/van-hanh\n\nThư tự động của hệ thống Sohoa.\n",
            )
            if messages:
                told_of = {"code": code, **naming(*messages)}
                audit(session, actor="system", action="notify", dossier_id=dossier, rule="WH03", details=told_of)
        for place, incident in known.items():
            if place not in found:
                result.closed += close_incident(session, incident, actor="system")
    result.open = len(found)
    return result


def tidy(records: RecordsDatabase, prefect: Orchestrator, at: datetime | None = None) -> int:
    """Delete old runs of flows that carry no dossier, and completed ones of dossiers that have ended. Returns how many.

    Prefect's own vacuum for runs stays off: it would take those that failed or were cancelled, too, whose dossiers wait
    for somebody to start them again. It takes the logs and artifacts of what is deleted here, and events.
    """
    moment = at or datetime.now(UTC)

    def going_on(runs: list[FlowRunId]) -> set[FlowRunId]:
        with records.session() as session:
            mine = col(Dossier.flow_run_id).in_(runs) & col(Dossier.state).not_in(ENDED)
            return {FlowRunId(run) for run in session.exec(select(Dossier.flow_run_id).where(mine)) if run}

    done = prefect.forget(DOSSIER, moment - KEEP_DONE_RUNS, states=["COMPLETED"], keep=going_on)
    return done + sum(prefect.forget(flow, moment - KEEP_ENDED_RUNS) for flow in FLOWS_WITHOUT_DOSSIER)


def tell_refused(records: RecordsDatabase, prefect: Orchestrator) -> int:
    """An incident for runs that the worker refused since the last one was closed; a person closes it. Returns how many.

    Somebody with Prefect's password has made or changed them (infra/worker/admission.py).
    """
    with records.session() as session:
        query = select(func.max(Incident.closed_at)).where(Incident.code == "RUN_REFUSED")
        since = session.exec(query).one() or datetime.now(UTC) - KEEP_ENDED_RUNS
        runs = prefect.runs(state={"name": {"any_": [REFUSED]}}, end_time={"after_": since.isoformat()})
        if runs:
            told = {"flow_runs": [run["id"] for run in runs[:20]], "runs": len(runs)}
            raise_incident(session, code="RUN_REFUSED", rule="P14", details=told)
    return len(runs)
