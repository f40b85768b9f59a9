"""Pauses on the real stack: who may decide, twice, at once, with an empty or a wrong form (WH03)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import yaml
from sqlmodel import select

from blocks.orchestrator import ResumeRefused, pause_key
from blocks.records.tables import AuditEntry, Decision, Document, FieldValue, Incident, Signature
from tasks.intake.hand_in import hand_in
from tasks.intake.origin import by_command
from tests.attack.plugin import Attack
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.players.officers import Sample


def refusal(played: Journey, sample: Sample, officer: str, form: dict[str, object]) -> tuple[str, str]:
    """(status, sentence) of a decision that the gateway must refuse."""
    with pytest.raises(ResumeRefused) as refused:
        played.officers.at_gateway(officer).resume(sample.run_id, form)
    return str(refused.value.details["status"]), str(refused.value.details["why"])


def test_WH03_verification_is_asked_until_it_is_right_and_won_by_one(attack: Attack, played: Journey) -> None:
    """Double resume: of eight officers at the same moment exactly one is taken; the clerk signs after the leader."""
    sample = played.variant("hai-lan", "d05-dpi-thap", captured_by="tnhs.02")
    officers, prefect = played.officers, played.prefect
    officers.hand_in(sample)
    played.wait_pause(sample, "rescan-1")
    assert refusal(played, sample, "tnhs.01", {})[0] == "REJECT"
    assert refusal(played, sample, "tnhs.01", {"decision": "DA_QUET_LAI", "unknown": 1})[0] == "REJECT"
    status, why = refusal(played, sample, "tnhs.01", {"decision": "DA_QUET_LAI"})  # nothing has arrived yet
    assert status == "REJECT" and "Chưa nhận được bản quét lại của thành phần 1" in why
    # Beside the gateway, with Prefect's own password: Prefect takes it, the flow doesn't (WH03).
    prefect.resume(sample.run_id, {"officer": "tnhs.01", "decision": "TRA_LAI", "reason": "x"})
    played.wait_pause(sample, "rescan-2")
    assert "không đi qua cổng viên chức" in played.description(sample, "rescan-2")
    assert officers.answer(sample, prefect.run(sample.run_id)) == "rescan"
    run = played.wait_pause(sample, "verification-1")
    good = officers._verification(sample)
    assert "không có vai trò" in refusal(played, sample, "tnhs.01", good)[1]
    assert "đơn vị khác" in refusal(played, sample, "gq.09", good)[1]
    assert "đã sao chụp" in refusal(played, sample, "tnhs.02", good)[1]  # four eyes
    status, why = refusal(played, sample, "gq.01", good | {"corrections": [], "absent": [], "flagged_checked": False})
    assert status == "REJECT" and "chưa xác nhận đã đối chiếu" in why

    def answer(_: int) -> str:
        try:
            officers.at_gateway("gq.01").resume(sample.run_id, good)
            return "ACCEPT"
        except ResumeRefused as refused:
            return str(refused.details["status"])

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(answer, range(8)))
    assert answers.count("ACCEPT") == 1, answers
    status, why = refusal(played, sample, "gq.02", good)
    assert status == "ABORT" and "duyệt bởi gq.01" in why
    run = played.wait_pause(sample, "signoff-1")
    assert "lý do bằng văn bản" in refusal(played, sample, "ld.01", {"decision": "TRA_LAI"})[1]
    assert "không có vai trò" in refusal(played, sample, "gq.01", {"decision": "KY"})[1]
    waits = lambda: pause_key(prefect.run(sample.run_id))  # noqa: E731
    with attack("a leader allows the signature without proving anew who they are", watch=waits) as row:
        told = officers.at_gateway("ld.01").post(sample.run_id, {"decision": "KY"}).json()
        row.answered(f"{told['status']}: {told['details']['reason'][:60]}")
        assert told["status"] == "REJECT" and "xác thực lại" in told["details"]["reason"]
    officers.at_gateway("ld.01").resume(sample.run_id, {"decision": "KY"})
    played.wait_pause(sample, "seal-1")
    assert "không có vai trò" in refusal(played, sample, "ld.01", {"decision": "KY_SO"})[1]
    officers.at_gateway("vt.01").resume(sample.run_id, {"decision": "TRINH_LAI", "reason": "Sai thể thức."})
    played.wait_pause(sample, "signoff-2")
    assert "lý do bằng văn bản" in refusal(played, sample, "ld.01", {"decision": "SUA_LAI"})[1]
    why = "Trích yếu của thành phần 1 chưa đúng."
    officers.at_gateway("ld.01").resume(sample.run_id, {"decision": "SUA_LAI", "reason": why})
    played.wait_pause(sample, "verification-2")
    page = officers.at_gateway("gq.01").http.get(f"/ho-so/{officers.dossier(sample).id}").text
    assert why in page and "ld.01" in page
    officers.at_gateway("gq.01").resume(sample.run_id, good)
    played.wait_pause(sample, "signoff-3")
    officers.at_gateway("ld.01").resume(sample.run_id, {"decision": "KY"})
    played.wait_pause(sample, "seal-2")
    officers.at_gateway("vt.01").resume(sample.run_id, {"decision": "KY_SO"})
    played.hand_over(sample)
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    with officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()
        made = {d.stage: (d.decision, d.officer, d.role) for d in kept}
        trail = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier.id)).all()
    assert made == {
        "rescan-1": ("HOI_LAI", "", ""),
        "rescan-2": ("DA_QUET_LAI", "tnhs.02", "RECEIVE"),
        "verification-1": ("DUYET", "gq.01", "RESOLVE"),
        "signoff-1": ("KY", "ld.01", "LEAD"),
        "seal-1": ("TRINH_LAI", "vt.01", "SEAL"),
        "signoff-2": ("SUA_LAI", "ld.01", "LEAD"),
        "verification-2": ("DUYET", "gq.01", "RESOLVE"),
        "signoff-3": ("KY", "ld.01", "LEAD"),
        "seal-2": ("KY_SO", "vt.01", "SEAL"),
        "return-1": ("DA_TRA", "tnhs.01", "RECEIVE"),
    }
    assert all(row.payload["proof"] for row in kept if row.officer)  # the attestation itself is kept
    for row in kept:
        if row.decision in ("KY", "KY_SO"):
            said = json.loads(urlsafe_b64decode(row.payload["proof"].split(".")[1] + "=="))
            at, proved = (datetime.fromisoformat(said[name]) for name in ("at", "auth_time"))
            assert said["acr"] == "urn:sohoa:test" and timedelta(0) <= at - proved < timedelta(minutes=5)
    assert sum(entry.action == "decide" for entry in trail) == 9
    refused = [(entry.actor, entry.details["code"]) for entry in trail if entry.action == "refuse"]
    assert ("unknown", "DECISION_NOT_PROVEN") in refused
    assert {("tnhs.01", "WRONG_ROLE"), ("gq.09", "WRONG_UNIT"), ("tnhs.02", "SAME_PERSON")} <= set(refused)
    assert run["name"] == dossier.code


def test_B3a_a_supplement_and_then_a_rescan(played: Journey) -> None:
    """Declared anew before reception; the supplement is a capture attempt, the rescan is the next one."""
    sample = played.variant("bo-sung-roi-quet-lai", "d09-trang-trang", originals=7)
    officers = played.officers
    declared = yaml.safe_load((sample.folder / "dossier.yaml").read_text(encoding="utf-8"))
    officers.hand_in(sample)
    played.wait_pause(sample, "supplement-1")
    told = refusal(played, sample, "tnhs.01", {"decision": "DA_BO_SUNG"})[1]
    assert "Chưa nhận được hồ sơ bổ sung" in told
    mended = yaml.safe_dump(declared | {"originals": 1}, allow_unicode=True)
    (sample.folder / "dossier.yaml").write_text(mended, encoding="utf-8")
    again = {"submission": sample.submission, "revision": 2}
    hand_in(officers.records, officers.objects, sample.folder, by_command(), **again)
    officers.at_gateway("tnhs.01").resume(sample.run_id, {"decision": "DA_BO_SUNG"})
    played.wait_pause(sample, "rescan-1")
    assert officers.answer(sample, played.prefect.run(sample.run_id)) == "rescan"
    played.wait_pause(sample, "verification-1")
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.code
    (document,) = officers.documents(dossier)
    with officers.records.session() as session:
        signed = session.exec(select(Signature).where(Signature.document_id == document.id)).all()
    assert document.attempt == 3 and [row.attempt for row in signed] == [3]


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
    until(lambda: played.prefect.run(sample.run_id)["state_type"] == "COMPLETED")
    assert signatures() == before


def test_a_waiting_dossier_is_changed_or_decided_beside_the_gateway(attack: Attack, played: Journey) -> None:
    """With the database's password of the flows, and Prefect's: what an officer didn't see isn't decided, what no
    officer decided isn't done."""
    sample = played.variant("sua-ben-canh", "01-om-dau")
    officers = played.officers
    officers.hand_in(sample)
    played.wait_pause(sample, "verification-1")
    dossier = officers.dossier(sample)
    assert dossier is not None
    at, path = officers.at_gateway("gq.01"), f"/ho-so/{dossier.id}"

    def state() -> str:
        found = officers.dossier(sample)
        return found.state.value if found else ""

    def change(value: str) -> str:
        with officers.records.session() as session:
            row = session.exec(
                select(FieldValue).join(Document).where(Document.dossier_id == dossier.id, FieldValue.name == "issuer")
            ).first()
            assert row is not None
            before, row.printed = row.printed or "", value
            session.add(row)
            return before

    page = at.http.get(path).text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)) | {
        "decision": "TRA_LAI", "reason": "Thiếu chữ ký.",
    }  # fmt: skip
    with attack("a value is changed in the database while the officer reads the page", watch=state) as told:
        before = change("Bệnh viện khác")
        answer = at.http.post(f"{path}/quyet-dinh", data=form, headers={"accept": "text/html"})
        assert answer.status_code == 409 and "Hồ sơ vừa thay đổi" in answer.text
        told.answered(f"HTTP {answer.status_code}: Hồ sơ vừa thay đổi")
        told.audited("refuse SHOWN_CHANGED by gq.01")
        with officers.records.session() as session:
            trail = session.exec(select(AuditEntry).where(AuditEntry.dossier_id == dossier.id)).all()
        assert any(e.action == "refuse" and e.details.get("code") == "SHOWN_CHANGED" for e in trail)
        change(before)
    with attack("a forged approval in the database, the run resumed with Prefect's password", watch=state) as told:
        payload = officers._verification(sample) | {"officer": "gq.01", "reason": "", "proof": ""}
        with officers.records.session() as session:
            session.add(
                Decision(
                    dossier_id=dossier.id, stage="verification-1", decision="DUYET", officer="gq.01", role="RESOLVE",
                    payload=payload,
                )
            )  # fmt: skip
        played.prefect.resume(sample.run_id, {"decision": "DUYET", "officer": "gq.01"})
        played.wait_pause(sample, "verification-2")
        told.answered("asked again at verification-2")
        told.audited("refuse DECISION_NOT_PROVEN verification-1")
        with officers.records.session() as session:
            codes = [row.code for row in session.exec(select(Incident).where(Incident.dossier_id == dossier.id))]
        assert codes == ["DECISION_NOT_PROVEN"]
