"""The audit trail for who checks: filters, units, looks that are noted, and a chain that was broken (P14, WH04)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from blocks.catalog.staff import load_staff
from blocks.clock import VIET_NAM
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.codes import assign_dossier_code
from blocks.records.tables import AuditEntry, Dossier, Incident
from tasks.monitoring.audit_trail import (
    BROKEN,
    TrailBroken,
    TrailFilter,
    TrailLine,
    check_trail,
    entries,
    record_access,
)
from tests.tasks.lawcase import RECEIVED, make_dossier

CODE = "BHXH-TEST-261120-0001"


def found(records: RecordsDatabase, unit: str = "BHXH-TEST", limit: int = 100, **wanted: object) -> list[TrailLine]:
    return entries(records, TrailFilter.model_validate(wanted), {unit}, load_staff(), limit)


@pytest.fixture
def dossiers(records: RecordsDatabase) -> tuple[UUID, UUID]:
    """One of this unit with two looks at it, one of another unit, and what belongs to no dossier."""
    mine, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    other, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], unit_id="BHXH-KHAC")
    with records.session() as session:
        assign_dossier_code(session, session.get_one(Dossier, mine), actor="tnhs.01", at=RECEIVED)
        audit(session, actor="gq.01", action="view", dossier_id=mine, rule="P14")
        audit(session, actor="gq.02", action="capture", dossier_id=mine, document_id=document)
        audit(session, actor="gq.09", action="view", dossier_id=other)
        for officer in ("gq.01", "gq.09", "unknown"):
            audit(session, actor=officer, action="sign-in", rule="WH04")
        audit(session, actor="unknown", action="refuse", details={"code": "NO_SESSION"})
    return mine, other


def test_WH04_each_unit_sees_its_own(records: RecordsDatabase, dossiers: tuple[UUID, UUID]) -> None:
    mine, other = dossiers
    seen = found(records)
    assert [line.seq for line in seen] == sorted((line.seq for line in seen), reverse=True)
    assert {line.dossier_id for line in seen} == {mine, None}
    assert {line.actor for line in seen} == {"gq.01", "gq.02", "tnhs.01", "unknown"}
    assert {line.dossier_id for line in found(records, "BHXH-KHAC")} == {other, None}
    assert "gq.01" not in {line.actor for line in found(records, "BHXH-KHAC")}


def test_P14_filters(records: RecordsDatabase, dossiers: tuple[UUID, UUID]) -> None:
    (look,) = found(records, action="view")
    assert (look.actor, look.sentence, look.dossier) == ("gq.01", "Xem dữ liệu hồ sơ.", CODE)
    assert [line.sentence for line in found(records, actor="gq.02")] == ["Thành phần 1: sao chụp."]
    assert [line.sentence for line in found(records, action="sign-in", actor="gq.01")] == ["Đăng nhập."]
    assert {line.dossier_id for line in found(records, code=CODE.lower())} == {dossiers[0]}
    with records.session() as session:
        submission = session.get_one(Dossier, dossiers[1]).submission
    assert found(records, code=submission) == found(records, code="không có") == []
    everything = found(records)
    assert [line.seq for line in found(records, before=everything[1].seq)] == [line.seq for line in everything[2:]]
    assert [line.seq for line in found(records, limit=2)] == [line.seq for line in everything[:2]]


def test_P14_days_are_viet_nams(records: RecordsDatabase) -> None:
    with records.session() as session:
        audit(session, actor="system", action="preservation")
    today = datetime.now(UTC).astimezone(VIET_NAM).date()
    assert len(found(records, since=today, until=today)) == 1
    assert found(records, since=today + timedelta(days=1)) == found(records, until=today - timedelta(days=1)) == []
    assert found(records, until=date(9999, 12, 30)) == found(records)


def test_P14_who_looks_is_in_the_trail(records: RecordsDatabase, dossiers: tuple[UUID, UUID]) -> None:
    wanted = TrailFilter(code=CODE, actor="Nguyễn Thị Thử Nghiệm", action="view", since=date(2026, 1, 1))
    record_access(records, "kt.01", "view-trail", wanted, 3)
    (line,) = found(records, action="view-trail")
    assert (line.actor, line.dossier_id, line.sentence) == ("kt.01", dossiers[0], "Xem nhật ký.")
    assert line.details == {"action": "view", "since": "2026-01-01", "shown": 3}  # what was typed may be a name


def test_P14_the_nightly_reading_is_noted_and_what_is_broken_is_an_incident(
    records: RecordsDatabase, owner: RecordsDatabase
) -> None:
    with records.session() as session:
        for _ in range(3):
            audit(session, actor="system", action="view")
    report = check_trail(records, "kt.01")
    assert report.entries == 3 and len(report.hash) == 64
    (noted,) = found(records, action="check_trail")
    assert noted.details == report.model_dump() and noted.actor == "kt.01"
    with owner.session() as session:
        session.execute(text("ALTER TABLE auditentry DISABLE TRIGGER USER"))
        session.execute(text("DELETE FROM auditentry WHERE seq = 2"))
        session.execute(text("ALTER TABLE auditentry ENABLE TRIGGER USER"))
    for _ in range(2):
        with pytest.raises(TrailBroken, match="dòng 3"):
            check_trail(records, "system")
    with records.session() as session:
        assert [row.code for row in session.exec(select(Incident))] == [BROKEN]  # one, until somebody has closed it
        query = select(AuditEntry).where(col(AuditEntry.action) == "incident")
        assert "nhật ký bị sửa" in next(line.sentence for line in found(records, action="incident"))
        assert len(session.exec(query).all()) == 1
