"""Pauses on the real stack: who may decide, twice, at once, with an empty or a wrong form (prefect.md)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import select

from blocks.orchestrator import ResumeRefused
from blocks.records.tables import AuditEntry, Decision, Signature
from tests.faults.stack import until
from tests.journeys.conftest import Journey


def test_verification_is_asked_again_until_it_is_right_and_won_by_one(played: Journey) -> None:
    """WH03; double resume: of eight officers at the same moment exactly one is taken."""
    sample = played.variant("hai-lan", "d05-dpi-thap", captured_by="tnhs.02")
    officers, prefect = played.officers, played.prefect
    officers.hand_in(sample)
    run = played.wait_pause(sample, "rescan-1")
    with pytest.raises(ResumeRefused) as empty:
        prefect.resume(sample.run_id, {})
    assert empty.value.details["status"] == "REJECT"
    with pytest.raises(ResumeRefused):
        prefect.resume(sample.run_id, {"officer": "tnhs.01", "decision": "DA_QUET_LAI", "unknown": 1})
    prefect.resume(sample.run_id, {"officer": "tnhs.01", "decision": "DA_QUET_LAI"})  # nothing has arrived yet
    played.wait_pause(sample, "rescan-2")
    assert "Chưa nhận được bản quét lại của thành phần 1" in played.description(sample, "rescan-2")
    assert officers.answer(sample, prefect.run(sample.run_id)) == "rescan"
    run = played.wait_pause(sample, "verification-1")
    good = officers._verification(sample)
    prefect.resume(sample.run_id, {**good, "officer": "tnhs.02"})  # the one who captured, and not assigned to resolve
    played.wait_pause(sample, "verification-2")
    assert "không phải người đã sao chụp" in played.description(sample, "verification-2")
    prefect.resume(sample.run_id, {**good, "corrections": [], "absent": [], "flagged_checked": False})
    played.wait_pause(sample, "verification-3")
    assert "còn trống" in played.description(sample, "verification-3")

    def answer(_: int) -> str:
        try:
            prefect.resume(sample.run_id, good)
            return "ACCEPT"
        except ResumeRefused as refused:
            return str(refused.details["status"])

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(answer, range(8)))
    assert answers.count("ACCEPT") == 1, answers
    run = played.wait_pause(sample, "signoff-1")
    prefect.resume(sample.run_id, {"officer": "ld.01", "decision": "TRA_LAI"})  # without written reasons
    played.wait_pause(sample, "signoff-2")
    assert "lý do bằng văn bản" in played.description(sample, "signoff-2")
    prefect.resume(sample.run_id, {"officer": "gq.01", "decision": "KY"})  # not a leader
    played.wait_pause(sample, "signoff-3")
    prefect.resume(sample.run_id, {"officer": "ld.01", "decision": "KY"})
    until(lambda: prefect.run(sample.run_id)["state_type"] == "COMPLETED", 90)
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    with officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()
        taken = sorted(d.stage for d in kept if d.decision != "HOI_LAI")
        asked = session.exec(
            select(AuditEntry).where(AuditEntry.dossier_id == dossier.id, AuditEntry.action == "decide")
        )
        assert taken == ["rescan-2", "signoff-3", "verification-3"] and len(asked.all()) == len(kept) == 8
    assert run["name"] == dossier.code


def test_a_retry_from_the_ui_asks_nobody_twice_and_signs_nothing_twice(played: Journey) -> None:
    sample = played.samples["d05-dpi-thap"]
    dossier = played.officers.dossier(sample)
    assert dossier is not None

    def signatures() -> int:
        with played.officers.records.session() as session:
            return len(session.exec(select(Signature)).all())

    before = signatures()
    answer = played.prefect.call(
        "POST",
        f"/flow_runs/{sample.run_id}/set_state",
        {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True},
    )
    assert answer.json()["status"] == "ACCEPT"
    until(lambda: played.prefect.run(sample.run_id)["state_type"] == "COMPLETED", 90)
    assert signatures() == before
