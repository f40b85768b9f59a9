"""Metrics for Prometheus, computed when they are asked for: from the records database and Prefect's API.

A part of its own on loopback (`python -m deployments.metrics`): Prefect's own metrics have no counts of runs by state,
and the gateway is for people. Labels are states, stages and codes, never dossiers or persons (WH04).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import start_http_server
from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.orchestrator import POOL, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.machine import DOSSIER_OPEN
from blocks.settings import load_stack_env
from blocks.signer import agency_signer
from tasks.desk_views.worklist import NEAR, days_left
from tasks.monitoring.checks.finding import Cost, State
from tasks.monitoring.checks.registry import checks, look_at

LOOK_SECONDS, STALE_SECONDS = 60.0, 300.0
LEVELS = {State.GOOD: 0, State.WARNING: 1, State.BAD: 2}
WINDOW_HOURS = 24  # of the figures on waiting and on stages
SIGNING = "Ký số"  # in the name of each signing step
STATES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")

OPEN = "({})".format(", ".join(f"'{state.value}'" for state in sorted(DOSSIER_OPEN)))
TODAY = "(now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"
# Waiting at the counter (KH03): from handing in to reception, in seconds.
WAITING = text(f"""
    SELECT count(*), coalesce(avg(s), 0), coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY s), 0),
           coalesce(max(s), 0), count(*) FILTER (WHERE s <= 900)
    FROM (SELECT extract(epoch FROM received_at - created_at) AS s FROM dossier
          WHERE received_at > now() - interval '{WINDOW_HOURS} hours') AS waits""")  # noqa: S608  (a constant)
# How long documents stayed in a state before they went on.
STAGES = text(f"""
    SELECT source_state, count(*), avg(s), percentile_cont(0.95) WITHIN GROUP (ORDER BY s)
    FROM (SELECT source_state, extract(epoch FROM at - lag(at) OVER (PARTITION BY document_id ORDER BY seq)) AS s
          FROM auditentry WHERE document_id IS NOT NULL AND target_state IS NOT NULL
          AND at > now() - interval '{WINDOW_HOURS} hours') AS steps
    WHERE s IS NOT NULL AND source_state IS NOT NULL GROUP BY source_state""")  # noqa: S608
PAUSES = text(
    "SELECT kind, count(*), extract(epoch FROM now() - min(since)) FROM waiting WHERE kind <> 'outage' GROUP BY kind"
)
COUNTS = {
    "sohoa_dossiers": ("Dossiers by state", "state", "SELECT state, count(*) FROM dossier GROUP BY state"),
    "sohoa_documents": ("Documents by state", "state", "SELECT state, count(*) FROM document GROUP BY state"),
    "sohoa_incidents_open": (
        "Open incidents by code",
        "code",
        "SELECT code, count(*) FROM incident WHERE closed_at IS NULL GROUP BY code",
    ),
    "sohoa_signatures": ("Signatures by role", "role", "SELECT role, count(*) FROM signature GROUP BY role"),
}
SINGLE = {
    "sohoa_pages_a_minute": (
        "Pages read a minute, last 15 minutes",
        "SELECT coalesce(sum((details->>'pages')::int), 0) / 15.0 FROM auditentry"
        " WHERE at > now() - interval '15 minutes' AND source_state = 'DA_KY_CA_NHAN'"
        " AND target_state IN ('OCR', 'NHAP_TAY')",
    ),
    "sohoa_pages": ("Pages captured", "SELECT count(*) FROM page"),
    "sohoa_pages_unreadable": ("Pages left to manual entry (EX02)", "SELECT count(*) FROM page WHERE readable = false"),
    "sohoa_outbox_pending": ("Messages not delivered", "SELECT count(*) FROM outbox WHERE delivered_at IS NULL"),
    "sohoa_outbox_oldest_seconds": (
        "Age of the oldest message not delivered",
        "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM outbox WHERE delivered_at IS NULL",
    ),
    "sohoa_archived_objects": ("Locked objects", "SELECT count(*) FROM archivedobject"),
    "sohoa_archived_damaged": ("Locked objects that differ", "SELECT count(*) FROM archivedobject WHERE NOT intact"),
    "sohoa_archived_check_age_seconds": (
        "Age of the oldest fixity check",
        "SELECT coalesce(extract(epoch FROM now() - min(checked_at)), 0) FROM archivedobject",
    ),
    "sohoa_renewal_due_seconds": (
        "Time until the first archive time-stamp must have been renewed; absent while there is none",
        "SELECT extract(epoch FROM min(renew_before) - now()) FROM archivedobject WHERE renew_before IS NOT NULL",
    ),
    "sohoa_dossiers_overdue": (
        "Open dossiers past their day of result",
        f"SELECT count(*) FROM dossier WHERE due_date < {TODAY} AND state IN {OPEN}",  # noqa: S608
    ),
}
# Open dossiers by the day on which the result is due, as far as a next working day can be away (Tết).
DUE = text(f"""
    SELECT due_date, count(*) FROM dossier
    WHERE due_date BETWEEN {TODAY} AND {TODAY} + 15 AND state IN {OPEN} GROUP BY due_date""")  # noqa: S608


class Checks(Collector):
    """The last outcome of each cheap check. It is looked for in the background: no scrape waits for a part.

    A check that hasn't come to an end for STALE_SECONDS has no figure rather than an old one.
    """

    def __init__(self) -> None:
        self.last: dict[str, tuple[State, float]] = {}  # key → what was found, when (monotonic seconds)

    def look(self) -> None:
        for check in checks(Cost.CHEAP):
            self.last[check.key] = (look_at(check).state, time.monotonic())

    def go_on(self, stopped: threading.Event, pause: float = LOOK_SECONDS) -> threading.Thread:
        """Look again and again in a thread, which doesn't keep the process alive."""

        def again() -> None:
            self.look()
            while not stopped.wait(pause):
                self.look()

        thread = threading.Thread(target=again, name="checks", daemon=True)
        thread.start()
        return thread

    def collect(self) -> Iterable[Metric]:
        about = "Whether a part is fit for work: 0 good, 1 warning, 2 bad (sohoa doctor tells more)"
        family = GaugeMetricFamily("sohoa_check", about, labels=["check"])
        for key, (state, at) in sorted(self.last.copy().items()):
            if time.monotonic() - at < STALE_SECONDS:
                family.add_metric([key], LEVELS[state])
        yield family


class Sohoa(Collector):
    """All figures; a source that doesn't answer has `sohoa_source_up` 0 and no figures rather than old ones."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("sohoa_source_up", "Whether a source of the figures answers", labels=["source"])
        for source, read in (("records", self._records), ("prefect", self._prefect), ("signer", self._signer)):
            try:
                yield from list(read())
                up.add_metric([source], 1)
            except Exception as error:  # the kind only: a message may carry what it was called with
                print(f"{source}: {type(error).__name__}", file=sys.stderr, flush=True)
                up.add_metric([source], 0)
        yield up

    def _records(self) -> Iterator[Metric]:
        with RecordsDatabase.get().session() as session:
            for name, (about, label, query) in COUNTS.items():
                family = GaugeMetricFamily(name, about, labels=[label])
                for value, count in session.connection().execute(text(query)):
                    family.add_metric([value], count)
                yield family
            for name, (about, query) in SINGLE.items():
                number = session.connection().execute(text(query)).scalar()
                if number is not None:
                    yield GaugeMetricFamily(name, about, value=float(number))
            yield from self._due(session)
            yield from self._waiting(session)
            yield from self._stages(session)
            yield from self._pauses(session)

    def _due(self, session: Session) -> Iterator[Metric]:
        today, calendar = vietnam_day(), Catalog.get()
        soon = sum(count for due, count in session.connection().execute(DUE) if days_left(calendar, today, due) <= NEAR)
        about = f"Open dossiers whose day of result is today or at most {NEAR} working day away"
        yield GaugeMetricFamily("sohoa_dossiers_due_soon", about, value=soon)

    def _waiting(self, session: Session) -> Iterator[Metric]:
        count, mean, p95, most, short = session.connection().execute(WAITING).one()
        family = GaugeMetricFamily(
            "sohoa_reception_seconds", f"Waiting until reception, last {WINDOW_HOURS} h (KH03)", labels=["figure"]
        )
        for figure, value in (("mean", mean), ("p95", p95), ("max", most)):
            family.add_metric([figure], float(value))
        yield family
        yield GaugeMetricFamily("sohoa_receptions", f"Receptions in the last {WINDOW_HOURS} h", value=count)
        if count:  # without any the share is not applicable
            share = short / count
            yield GaugeMetricFamily("sohoa_reception_within_15_minutes", "Share of them (KH03)", value=share)

    def _stages(self, session: Session) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "sohoa_stage_seconds", f"Time in a state of documents, last {WINDOW_HOURS} h", labels=["state", "figure"]
        )
        for state, _, mean, p95 in session.connection().execute(STAGES):
            family.add_metric([state, "mean"], float(mean))
            family.add_metric([state, "p95"], float(p95))
        yield family

    def _prefect(self) -> Iterator[Metric]:
        prefect = Orchestrator()
        runs = GaugeMetricFamily("sohoa_flow_runs", "Flow runs by type of state", labels=["state"])
        for state in STATES:
            asked = {"flow_runs": {"state": {"type": {"any_": [state]}}}}
            runs.add_metric([state], prefect.call("POST", "/flow_runs/count", asked).raise_for_status().json())
        yield runs
        late_ones: dict[str, Any] = {"flow_runs": {"state": {"name": {"any_": ["Late"]}}}}
        late = prefect.call("POST", "/flow_runs/count", late_ones).raise_for_status().json()
        yield GaugeMetricFamily("sohoa_flow_runs_late", "Flow runs that should have started", value=late)
        found = prefect.call("POST", f"/work_pools/{POOL}/workers/filter", {}).raise_for_status().json()
        online = sum(worker["status"] == "ONLINE" for worker in found)
        yield GaugeMetricFamily("sohoa_workers_online", "Workers with a heartbeat", value=online)
        since = (datetime.now(UTC) - timedelta(hours=WINDOW_HOURS)).isoformat()
        failed: dict[str, Any] = {
            "task_runs": {
                "name": {"like_": SIGNING},
                "state": {"type": {"any_": ["FAILED", "CRASHED"]}},
                "start_time": {"after_": since},
            }
        }
        failures = prefect.call("POST", "/task_runs/count", failed).raise_for_status().json()
        about = f"Signing steps that failed after their retries, last {WINDOW_HOURS} h"
        yield GaugeMetricFamily("sohoa_signature_failures", about, value=failures)

    def _pauses(self, session: Session) -> Iterator[Metric]:
        count = GaugeMetricFamily("sohoa_waiting", "Dossiers that wait for an officer", labels=["stage"])
        age = GaugeMetricFamily("sohoa_waiting_oldest_seconds", "Longest wait for an officer", labels=["stage"])
        for stage, number, seconds in session.connection().execute(PAUSES):
            count.add_metric([stage], number)
            age.add_metric([stage], float(seconds))
        yield count
        yield age

    def _signer(self) -> Iterator[Metric]:
        left = (agency_signer().certificate.not_valid_after - datetime.now(UTC)).total_seconds()
        yield GaugeMetricFamily("sohoa_agency_certificate_seconds", "Until the agency's certificate ends", value=left)


def main() -> None:
    """Serve until the stack stops (SIGTERM)."""
    load_stack_env()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    REGISTRY.register(Sohoa())
    looked = Checks()
    REGISTRY.register(looked)
    server, thread = start_http_server(int(os.environ["SOHOA_PORT_METRICS"]), addr="127.0.0.1")
    looked.go_on(stopped)
    stopped.wait()
    server.shutdown()
    thread.join(5)


if __name__ == "__main__":
    main()
