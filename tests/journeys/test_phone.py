"""An officer who confirms on a phone: the dossier waits, goes on by itself, and each paper is signed once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import yaml
from sqlmodel import select

from blocks.objects import Bucket
from blocks.orchestrator import ResumeRefused
from blocks.records.states import SignatureRole
from blocks.records.tables import Decision, Document, Signature, SigningRequest
from blocks.settings import settings
from blocks.trust import Trust
from tasks.signing.verify import verify_pdf
from tests.faults.stack import until
from tests.journeys.conftest import Journey
from tests.players.officers import Sample
from tests.support.csc_server import control, serving

OFFICER = "tnhs.02"


LEADER = "ld.01"


@pytest.fixture
def csc(played: Journey) -> Iterator[str]:
    """Officer tnhs.02 and leader ld.01 of the running stack sign by a remote service."""
    folder = settings().pki_dir
    listing = folder / "officers.yml"
    before = listing.read_text()
    (folder / "csc.token").write_text("access")
    (folder / "csc.token").chmod(0o600)
    shutil.chown(folder / "csc.token", (folder / "keys").stat().st_uid)  # the worker's, as root
    with serving(folder, played.folder / "csc.log") as url:
        known = yaml.safe_load(before)
        for who in (OFFICER, LEADER):
            entry = {"kind": "csc", "url": url, "credential": f"test/{who}", "token": "file:csc.token", "pin": ""}
            known["officers"][who] |= entry
        listing.write_text(yaml.safe_dump(known, allow_unicode=True))
        try:
            yield url
        finally:
            listing.write_text(before)


def signed(played: Journey, sample: Sample) -> list[Signature]:
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    with played.officers.records.session() as session:
        query = select(Signature).join(Document).where(Document.dossier_id == dossier.id)  # type: ignore[arg-type]
        return [row for row in session.exec(query) if row.role is SignatureRole.OFFICER]


def test_CA01_waits_for_the_phone_and_goes_on_by_itself(played: Journey, csc: str) -> None:
    sample = played.variant("dien-thoai", "01-om-dau", captured_by=OFFICER)
    control(csc, mode="pending")
    played.officers.hand_in(sample)
    run = played.wait_pause(sample, "confirm-1", 180)
    assert run["state_name"] == "Suspended" and not signed(played, sample)
    assert "Thành phần 1: chờ xác nhận" in played.description(sample, "confirm-1")

    # somebody resumes it too early: it waits on; then the officer declines, and nobody asks again by the clock
    played.officers.at_gateway(OFFICER).resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "confirm-2")
    control(csc, mode="declined")
    played.officers.at_gateway(OFFICER).resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "confirm-3")
    assert "đã bị từ chối hoặc hết hạn" in played.description(sample, "confirm-3")
    control(csc, mode="pending", reset=True)
    played.officers.at_gateway(OFFICER).resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "confirm-4")
    until(lambda: control(csc)["authorize"] > 1, 90)  # asked each minute while it waits
    assert not signed(played, sample)

    control(csc, mode="ok")  # the officer taps
    played.wait_pause(sample, "verification-1", 240)
    papers = [d for d in played.officers.documents(played.officers.dossier(sample)) if d.page_count]  # type: ignore[arg-type]
    rows = signed(played, sample)
    assert papers and sorted(row.document_id for row in rows) == sorted(paper.id for paper in papers)
    assert control(csc)["hashes"] == len(papers)
    for row in rows:
        data = played.officers.objects.read(Bucket.WORKING, row.object_key, sha256=row.sha256)
        [found] = verify_pdf(data, Trust()).signatures
        assert found.valid and found.level == "B-LT"
    with played.officers.records.session() as session:
        requests = session.exec(select(SigningRequest).where(SigningRequest.document_id == papers[0].id)).all()
        dossier = played.officers.dossier(sample)
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()  # type: ignore[union-attr]
    assert len(requests) == 1 and requests[0].signature
    confirmed = [decision for decision in kept if decision.stage.startswith("confirm-")]
    assert len(confirmed) == 4 and {decision.officer for decision in confirmed} == {OFFICER}


def test_B4e_a_leader_confirms_the_result_on_a_phone(played: Journey, csc: str) -> None:
    """The result has its number and waits; the dossier goes on by itself, with one signature of the leader."""
    sample = played.variant("dien-thoai-lanh-dao", "01-om-dau", captured_by="tnhs.01")
    officers = played.officers
    control(csc, mode="pending", reset=True)
    officers.hand_in(sample)
    for key in ("verification-1", "signoff-1", "seal-1"):
        run = played.wait_pause(sample, key, 240)
        assert officers.answer(sample, run) == key.partition("-")[0]
    run = played.wait_pause(sample, "issue-1", 180)
    assert run["state_name"] == "Suspended"
    shown = played.description(sample, "issue-1")
    assert "Văn bản kết quả 3: chờ xác nhận" in shown
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "KY_CO_QUAN"
    (result,) = (d for d in officers.documents(dossier) if d.is_issued)
    assert result.code_number and result.record_key is None

    # Not the leader who signs, and not beside the gateway; declined: nobody asks again by the clock.
    with pytest.raises(ResumeRefused) as refused:
        officers.at_gateway("vt.01").resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    assert "không có vai trò" in refused.value.details["why"]
    played.prefect.resume(sample.run_id, {"officer": LEADER, "decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "issue-2")
    assert "không đi qua cổng viên chức" in played.description(sample, "issue-2")
    control(csc, mode="declined")
    officers.at_gateway(LEADER).resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "issue-3")
    assert "đã bị từ chối hoặc hết hạn" in played.description(sample, "issue-3")
    control(csc, mode="pending")
    officers.at_gateway(LEADER).resume(sample.run_id, {"decision": "DA_XAC_NHAN"})
    played.wait_pause(sample, "issue-4")

    control(csc, mode="ok")  # the leader taps
    played.hand_over(sample)
    dossier = officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    (result,) = (d for d in officers.documents(dossier) if d.is_issued)
    assert control(csc)["hashes"] == 1 and result.record_key
    verdict = verify_pdf(officers.objects.unproven(Bucket.RECORDS, result.record_key)[0], Trust())
    assert verdict.valid and [item.role for item in verdict.signatures] == ["SIGNER", "AGENCY"]
    with officers.records.session() as session:
        kept = session.exec(select(Decision).where(Decision.dossier_id == dossier.id)).all()
    assert {d.officer for d in kept if d.stage.startswith("issue-") and d.decision != "HOI_LAI"} == {LEADER}
