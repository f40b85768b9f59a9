"""Checks: what works is said to work by having worked; what doesn't is a finding with advice, never an end."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from sqlalchemy import text

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.settings import settings
from blocks.signer import agency_signer
from infra.local.process import free_port
from tasks.monitoring.checks import parts
from tasks.monitoring.checks.finding import CHECK_BAD, Cost, Finding, State
from tasks.monitoring.checks.registry import CHECKS, checks, examine
from tasks.monitoring.incidents import KINDS
from tests.conftest import TestPki
from tests.tasks.signing.conftest import signing_settings  # noqa: F401  (for each test)


@pytest.fixture
def stack(
    records: RecordsDatabase, objects: ObjectStore, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Real database, store and PKI; no Prefect, no gateway, no metrics."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    for part in ("GATEWAY", "METRICS"):
        monkeypatch.setenv(f"SOHOA_PORT_{part}", str(free_port()))
    return monkeypatch


def findings() -> dict[str, Finding]:
    return {item.part: item for item in examine()}


def test_what_works_is_good_and_what_is_missing_has_an_advice(stack: pytest.MonkeyPatch) -> None:
    found = findings()
    assert len(found) == len(CHECKS)
    missing = {name for name, item in found.items() if item.state is State.BAD}
    assert missing == {"Điều phối", "Worker", "Hồ sơ", "Hàng đợi", "Việc định kỳ", "Cổng viên chức"}
    assert all("make up" in found[name].advice for name in missing)
    seen = {name: found[name].seen for name in missing}
    assert seen.pop("Cổng viên chức") == "không trả lời" and set(seen.values()) == {"PREFECT_UNAVAILABLE"}
    assert (found["Số liệu"].state, found["Số liệu"].seen) == (State.WARNING, "không trả lời")
    assert "đọc và ghi được" in found["Cơ sở dữ liệu hồ sơ"].seen
    assert "THỬ NGHIỆM" in found["Chữ ký cơ quan"].seen
    assert found["Tệp lạ"].state is State.GOOD and "cách ly" in found["Tệp lạ"].seen
    assert "chưa cài máy chủ thư" in found["Thư nhắc việc"].seen


def test_P14_a_changed_line_of_the_trail_is_found(
    stack: pytest.MonkeyPatch, records: RecordsDatabase, owner: RecordsDatabase
) -> None:
    with records.session() as session:
        for _ in range(3):
            audit(session, actor="system", action="view")
    with owner.engine.begin() as connection:  # as somebody with the database's own rights could
        connection.execute(text("ALTER TABLE auditentry DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE auditentry SET actor = 'other' WHERE seq = 2"))
    assert findings()["Nhật ký"].state is State.BAD
    assert "dòng 2" in findings()["Nhật ký"].seen


def test_an_old_schema_is_found(stack: pytest.MonkeyPatch, owner: RecordsDatabase) -> None:
    with owner.engine.begin() as connection:
        connection.execute(text("UPDATE records_version SET version_num = 'r0001'"))
    found = findings()["Cơ sở dữ liệu hồ sơ"]
    assert found.state is State.BAD and "make up" in found.advice


def test_a_certificate_that_ends_soon_is_a_warning(stack: pytest.MonkeyPatch) -> None:
    left = agency_signer().certificate.not_valid_after.year - 2026
    stack.setattr(parts, "CERTIFICATE_DAYS", 366 * (left + 1))
    found = findings()["Chữ ký cơ quan"]
    assert found.state is State.WARNING and "gia hạn" in found.advice


def test_time_stamps_and_store_out_of_reach(stack: pytest.MonkeyPatch) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    stack.setenv("SOHOA_S3_ENDPOINT", closed)
    stack.setenv("SOHOA_TSA_URL", closed)
    stack.setenv("SOHOA_SMTP_URL", closed.replace("http", "smtp"))
    stack.setenv("SOHOA_SMTP_FROM", "sohoa@bhxh.example")
    settings.cache_clear()
    found = findings()
    assert found["Kho đối tượng"].seen == "OBJECT_STORE_UNAVAILABLE"
    assert found["Dấu thời gian"].seen == "TIMESTAMP_UNAVAILABLE"
    assert found["Thư nhắc việc"].seen == "MAIL_UNAVAILABLE"


def test_each_check_has_names_of_its_own_and_what_follows_has_an_advice() -> None:
    assert len({check.key for check in CHECKS}) == len({check.part for check in CHECKS}) == len(CHECKS)
    assert all(re.fullmatch("[a-z]+", check.key) for check in CHECKS)
    followed = {check.incident for check in CHECKS} - {""}
    assert CHECK_BAD in followed and all(KINDS[code].closer is None for code in followed)
    assert not [check.key for check in checks(Cost.DEAR) if check.incident]  # the watch makes cheap ones only


def test_neither_paddle_nor_great_expectations_nor_migrations_are_imported_with_the_registry() -> None:
    heavy = ("paddle", "paddleocr", "great_expectations", "alembic.script")
    code = f"import sys, tasks.monitoring.checks.registry; print([n for n in {heavy} if n in sys.modules])"
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
