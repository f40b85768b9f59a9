"""Figures for Prometheus come from the real tables, name nobody, and are absent rather than old."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from blocks.clock import vietnam_day
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Dossier, Outbox
from deployments import metrics
from deployments.metrics import SIGNING, Sohoa
from infra.local.process import free_port
from tasks.results.steps import sign_by_leader
from tasks.signing.steps import sign_by_agency, sign_captured
from tests.conftest import TestPki
from tests.tasks.lawcase import make_dossier, walk_document
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)

MONITORING = Path(__file__).resolve().parents[2] / "infra" / "monitoring"


@pytest.fixture
def told(records: RecordsDatabase, objects: ObjectStore, pki: TestPki, monkeypatch: pytest.MonkeyPatch) -> str:
    """What Prometheus gets from a small installation without Prefect."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:C65-HD"])
    walk_document(records, ids[0], DocumentState.DA_SAO_CHUP)
    handed_in = datetime.now(UTC) - timedelta(hours=1)
    today = vietnam_day()
    with records.session() as session:
        for minutes in (5, 10, 40):
            session.add(Dossier(
                submission=uuid4().hex, unit_id="BHXH-TEST", procedure_code="1.001667", owner_name="Trần Thị Mẫu",
                state=DossierState.DA_TIEP_NHAN, created_at=handed_in,
                received_at=handed_in + timedelta(minutes=minutes),
                due_date={40: today - timedelta(days=2), 10: today, 5: today + timedelta(days=30)}[minutes],
            ))  # fmt: skip
        session.add(Outbox(topic="portal", dedup_key="1", created_at=handed_in))
        raise_incident(session, code="ARCHIVED_OBJECT_DAMAGED", dossier_id=dossier_id, rule="LU06")
    registry = CollectorRegistry()
    registry.register(Sohoa())
    return generate_latest(registry).decode()


def value(told: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", told, re.M)
    assert found, name
    return float(found[1])


def test_KH03_waiting_until_reception(told: str) -> None:
    assert value(told, 'sohoa_reception_seconds{figure="mean"}') == pytest.approx(1100)
    assert value(told, 'sohoa_reception_seconds{figure="max"}') == pytest.approx(2400)
    assert value(told, 'sohoa_reception_seconds{figure="p95"}') == pytest.approx(600 + 0.9 * 1800)
    assert value(told, "sohoa_reception_within_15_minutes") == pytest.approx(2 / 3)


def test_counts_and_ages_are_those_of_the_tables(told: str) -> None:
    assert value(told, 'sohoa_dossiers{state="DA_TIEP_NHAN"}') >= 3
    assert value(told, 'sohoa_documents{state="DA_SAO_CHUP"}') == 1
    assert value(told, 'sohoa_incidents_open{code="ARCHIVED_OBJECT_DAMAGED"}') == 1
    assert value(told, "sohoa_outbox_pending") == 1
    assert value(told, "sohoa_outbox_oldest_seconds") == pytest.approx(3600, abs=60)
    assert value(told, "sohoa_dossiers_overdue") == 1
    assert value(told, "sohoa_dossiers_due_soon") == 1
    assert value(told, 'sohoa_stage_seconds{figure="mean",state="PHAN_LOAI"}') >= 0
    assert value(told, "sohoa_agency_certificate_seconds") > 0


def test_a_source_that_is_down_has_no_figures(told: str) -> None:
    assert value(told, 'sohoa_source_up{source="records"}') == 1
    assert value(told, 'sohoa_source_up{source="prefect"}') == 0
    assert "sohoa_flow_runs" not in told and "sohoa_workers_online" not in told


def test_WH04_figures_name_nobody(told: str) -> None:
    assert "Mẫu" not in told and "BHXH-TEST" not in told


def test_failures_are_counted_of_every_signing_step() -> None:
    assert all(SIGNING in task.name for task in (sign_captured, sign_by_leader, sign_by_agency))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (prometheus) is not installed")
def test_alert_rules_fire_on_what_they_are_for() -> None:
    for command in (
        ["check", "rules", "alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(["promtool", *command], cwd=MONITORING, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (prometheus) is not installed")
def test_the_dashboard_asks_for_figures_that_there_are(tmp_path: Path) -> None:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    told = set(re.findall(r'"(sohoa_\w+)"', Path(metrics.__file__).read_text(encoding="utf-8")))
    assert asked and {name for expr in asked for name in re.findall(r"sohoa_\w+", expr)} <= told
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
