"""Every sample reaches the end that its truth expects, although worker and PostgreSQL were killed on the way."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections import Counter

import pytest
import yaml
from botocore.exceptions import ClientError
from sqlmodel import func, select

from blocks.objects import Bucket
from blocks.orchestrator import ResumeRefused
from blocks.records.audit import verify_chain
from blocks.records.states import DocumentState, DossierState, SignatureRole
from blocks.records.tables import AuditEntry, Document, Dossier, Incident, Scan, Signature
from blocks.seals import GATEWAY, PARTS, WORKER, part_of
from blocks.settings import settings
from blocks.trust import Trust
from tasks.intake.public_status import status_of
from tasks.monitoring.audit_rows import unproven
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.journeys.conftest import Journey
from tests.journeys.samples import GOOD, MORE_GOOD, REFUSED
from tests.journeys.samples import played as played_now
from tests.players.demo import play
from tests.tasks.intake.test_electronic_originals import signed_with
from tests.tasks.results.test_issue import text_of

PLAYED = played_now()
DEFECTS = [name for name in PLAYED if name not in GOOD + MORE_GOOD + REFUSED]
pytestmark = pytest.mark.samples
PUBLIC = {
    "Bảo hiểm xã hội đã tiếp nhận hồ sơ",
    "Bảo hiểm xã hội đang xử lý hồ sơ",
    "Bảo hiểm xã hội đã xử lý xong hồ sơ và đã có kết quả",
    "Bảo hiểm xã hội đã trả kết quả",
    "Bảo hiểm xã hội đã từ chối hồ sơ",
}


@pytest.mark.parametrize("name", PLAYED)
def test_sample_ends_as_its_truth_says(played: Journey, name: str) -> None:
    sample = played.samples[name]
    if sample.truth["expected_state"] == "REFUSED":
        assert sample.refused in sample.truth["problem_codes"]
        return
    assert played.states[sample.run_id] == "COMPLETED", played.stack.log("worker")[-3000:]
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == sample.truth["expected_state"]
    states = {d.ordinal: d.state.value for d in played.officers.documents(dossier) if not d.is_issued}
    wanted = {d["ordinal"]: d["expected_state"] for d in sample.truth["documents"] if d.get("expected_state")}
    if dossier.state is DossierState.LUU_TRU:
        assert states == wanted
    else:  # returned or refused: nothing of it was filed, whatever its truth says of a filed one
        assert DocumentState.HIEN_THI_KHO.value not in states.values()


VERBS = {  # of a dossier, each once; of each paper, once a paper
    "Đăng ký hồ sơ · B1": 1, "Tiếp nhận hồ sơ · B1-B3a": 1, "Kiểm tra tài khoản số · B2": 1,
    "Ký số cá nhân lên bản sao chụp · CA01-CA03": 1, "Nhận dạng chữ · EX01": 0,
    "Ký số cơ quan lên bản sao và dữ liệu đặc tả · EX17": 1, "Lưu kết quả số hóa · LU01-LU03": 0,
}  # fmt: skip


def test_ST01_operations_see_each_verb_of_the_law_once_in_prefect(played: Journey) -> None:
    """Worker and database were killed on the way: of two dossiers each a verb may be missing or stand there twice."""
    wrong: Counter[str] = Counter()
    names = [name for name in GOOD + MORE_GOOD if name in played.samples and name != "18-van-ban-mat"]
    for name in names:
        sample = played.samples[name]
        dossier = played.officers.dossier(sample)
        assert dossier is not None
        papers = [d for d in played.officers.documents(dossier) if d.attempt == 1 and not d.is_issued]
        asked = {"flow_runs": {"id": {"any_": [sample.run_id]}}, "limit": 200}
        told = played.officers.prefect.call("POST", "/task_runs/filter", asked).raise_for_status().json()
        seen = Counter(run["name"].rpartition("-")[0] for run in told if run["state_type"] == "COMPLETED")
        for verb, times in VERBS.items():
            wrong[verb] += not (seen[verb] == times if times else 1 <= seen[verb] <= len(papers) + 1)
    assert all(count <= min(2, len(names) - 1) for count in wrong.values()), wrong


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_shown_to_the_officer_with_code_and_sentence(played: Journey, name: str) -> None:
    sample = played.samples[name]
    if sample.refused:
        assert sample.refused in sample.truth["problem_codes"]
        return
    paused = ("rescan-1", "supplement-1", "verification-1")
    shown = "".join(played.description(sample, key) for key in paused)
    for code in sample.truth["problem_codes"]:
        line = next((line for line in shown.splitlines() if f"`{code}`" in line), "")
        assert re.match(r"- \w.*(vui lòng|hãy)", line) and line[2].isupper(), f"{code} in: {shown}"


@pytest.mark.parametrize("name", [name for name in DEFECTS if name not in ("d31-ten-nfd", "d34-to-khai-sai")])
def test_originals_are_kept_whatever_was_wrong(played: Journey, name: str) -> None:
    dossier = played.officers.dossier(played.samples[name])
    assert dossier is not None
    with played.officers.records.session() as session:
        scans = session.exec(select(Scan).join(Document).where(Document.dossier_id == dossier.id)).all()  # type: ignore[arg-type]
    assert scans
    for scan in scans:
        if scan.refused_code != "FILE_MISSING":
            assert len(played.officers.objects.read(Bucket.INTAKE, scan.object_key, sha256=scan.sha256)) == scan.size


def test_EX17_a_failed_case_is_never_signed_by_the_agency(played: Journey) -> None:
    for name in REFUSED:
        dossier = played.officers.dossier(played.samples[name])
        assert dossier is not None and dossier.return_reason
        with played.officers.records.session() as session:
            roles = session.exec(
                select(Signature.role).join(Document).where(Document.dossier_id == dossier.id)  # type: ignore[arg-type]
            ).all()
        assert set(roles) == {SignatureRole.OFFICER}
        states = {document.state for document in played.officers.documents(dossier)}
        assert states <= {DocumentState.DA_LUU_KHONG_GIA_TRI, DocumentState.NGOAI_PHAM_VI}


def test_SC13_a_secret_paper_is_quarantined_and_its_images_are_gone(played: Journey) -> None:
    sample = played.samples["18-van-ban-mat"]
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    secret = [d for d in played.officers.documents(dossier) if d.state is DocumentState.CACH_LY_MAT]
    assert len(secret) == 1
    for bucket in (Bucket.INTAKE, Bucket.WORKING, Bucket.RECORDS):
        assert not list(played.officers.objects.list(bucket, f"{dossier.id}/{secret[0].id}/"))
    assert not list(played.officers.objects.list(Bucket.INBOX, f"{sample.submission}/r1/c{secret[0].ordinal}/"))
    with played.officers.records.session() as session:
        assert session.exec(select(Incident).where(Incident.document_id == secret[0].id)).all()


def test_nothing_is_signed_twice_and_every_record_verifies(played: Journey) -> None:
    objects, trust = played.officers.objects, Trust()
    with played.officers.records.session() as session:
        twice = session.exec(
            select(Signature.document_id, Signature.role, Signature.attempt)
            .group_by(Signature.document_id, Signature.role, Signature.attempt)  # type: ignore[arg-type]
            .having(func.count() > 1)
        ).all()
        stored = session.exec(select(Document).where(Document.record_key.is_not(None))).all()  # type: ignore[union-attr]
        for document in stored:
            session.expunge(document)
    truths = [sample.truth for sample in played.samples.values() if sample.truth["expected_state"] == "LUU_TRU"]
    filed = [d for truth in truths for d in truth["documents"] if d.get("expected_state") == "HIEN_THI_KHO"]
    assert not twice and filed and len(stored) >= len(filed)
    for document in stored[:12]:
        assert document.record_key and document.manifest_key
        record = objects.unproven(Bucket.RECORDS, document.record_key)[0]
        verdict = verify_pdf(record, trust)
        roles = sorted(item.role for item in verdict.signatures if item.valid and item.role != "OTHER")
        assert verdict.valid and roles == ["AGENCY", "SIGNER" if document.is_issued else "OFFICER"], verdict.sentence
        manifest = objects.unproven(Bucket.RECORDS, document.manifest_key)[0]
        signature = objects.unproven(Bucket.RECORDS, document.manifest_key.replace("manifest.json", "manifest.p7s"))[0]
        assert verify_manifest(manifest, signature, trust).valid


def test_KQ01_the_result_is_issued_signed_and_shown(played: Journey) -> None:
    dossier = played.officers.dossier(played.samples["01-om-dau"])
    assert dossier is not None
    (result,) = (d for d in played.officers.documents(dossier) if d.is_issued)
    assert result.state is DocumentState.HIEN_THI_KHO and result.record_key
    assert re.fullmatch(r"\d{2,}/QĐ-BHXH", result.code_number or "")
    data = played.officers.objects.unproven(Bucket.RECORDS, result.record_key)[0]
    verdict = verify_pdf(data, Trust())
    assert verdict.valid and [item.role for item in verdict.signatures] == ["SIGNER", "AGENCY"]


def test_SC05_a_signed_pdf_goes_under_lock_as_it_came(played: Journey) -> None:
    sample = played.variant("ban-dien-tu", "01-om-dau")
    declaration = sample.folder / "dossier.yaml"
    declared = yaml.safe_load(declaration.read_text(encoding="utf-8"))
    declared["components"][0] |= {"files": ["c1/goc.pdf"], "form": "E_COPY_REGISTER", "note_pages": []}
    declared["originals"] -= 1
    declaration.write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    data = signed_with(settings().pki_dir, Trust(), "ubnd")
    (sample.folder / "c1/goc.pdf").write_bytes(data)
    played.officers.hand_in(sample)
    assert set(play(played.officers, [sample], timeout=400).values()) == {"COMPLETED"}
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    first, *others = played.officers.documents(dossier)
    assert first.state is DocumentState.TAI_SU_DUNG and first.electronic_original == "VALID" and first.record_key
    assert played.officers.objects.unproven(Bucket.RECORDS, first.record_key)[0] == data
    assert [d.state for d in others if d.is_issued] == [DocumentState.HIEN_THI_KHO]


def test_B4e_who_resolves_is_asked_where_no_paper_was_digitised(played: Journey) -> None:
    """All components are electronic originals: a person still resolves the case and writes the result."""
    sample = played.variant("chi-ban-dien-tu", "01-om-dau")
    declaration = sample.folder / "dossier.yaml"
    declared = yaml.safe_load(declaration.read_text(encoding="utf-8"))
    for number, component in enumerate(declared["components"], 1):
        component |= {"files": [f"c{number}/goc.pdf"], "form": "E_COPY_REGISTER", "note_pages": []}
        (sample.folder / f"c{number}/goc.pdf").write_bytes(signed_with(settings().pki_dir, Trust(), "ubnd"))
    declared["originals"] = 0
    declaration.write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    played.officers.hand_in(sample)
    played.wait_pause(sample, "verification-1")
    with pytest.raises(ResumeRefused) as refused:
        played.officers.at_gateway("gq.01").resume(sample.run_id, {"decision": "DUYET"})
    assert "Vui lòng ghi nội dung kết quả giải quyết" in refused.value.details["why"]
    assert set(play(played.officers, [sample], timeout=400).values()) == {"COMPLETED"}
    dossier = played.officers.dossier(sample)
    assert dossier is not None and dossier.state.value == "LUU_TRU"
    *others, result = played.officers.documents(dossier)
    assert {d.state for d in others} == {DocumentState.TAI_SU_DUNG} and result.is_issued
    data = played.officers.objects.unproven(Bucket.RECORDS, result.record_key or "")[0]
    assert "Mức hưởng: 1.234.500 đồng" in text_of(data)


def test_pdfsig_finds_both_signatures_valid(played: Journey) -> None:
    dossier = played.officers.dossier(played.samples["01-om-dau"])
    assert dossier is not None
    document = played.officers.documents(dossier)[0]
    assert document.record_key
    path = played.folder / "record.pdf"
    path.write_bytes(played.officers.objects.unproven(Bucket.RECORDS, document.record_key)[0])
    report = subprocess.run(["pdfsig", str(path)], capture_output=True, text=True).stdout
    assert report.count("Signature is Valid.") >= 2, report
    assert "Signature is Invalid" not in report


def test_LU06_a_locked_version_can_not_be_deleted(played: Journey) -> None:
    dossier = played.officers.dossier(played.samples["01-om-dau"])
    assert dossier is not None
    document = played.officers.documents(dossier)[0]
    objects = played.officers.objects
    with pytest.raises(ClientError) as refused:
        objects.client.delete_object(
            Bucket=objects.bucket_name(Bucket.RECORDS), Key=document.record_key, VersionId=document.record_version
        )
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert objects.read(
        Bucket.RECORDS,
        str(document.record_key),
        version=document.record_version,
        sha256=str(document.file_sha256),
    )


def test_P03_the_public_sees_one_of_five_values_and_no_personal_data(played: Journey) -> None:
    seen = set()
    for sample in played.samples.values():
        dossier = played.officers.dossier(sample) if sample.run_id else None
        if dossier is None or dossier.code is None:
            continue
        view = status_of(played.officers.records, dossier.code)
        seen |= {value for value in view.values() if value in PUBLIC}
        assert PUBLIC & set(view.values()) == {sample.truth["public_status"]}
        text = " ".join(str(value) for value in view.values())
        assert dossier.owner_name not in text and (dossier.owner_id or "–") not in text
    assert len(seen) >= 2


def test_P14_the_trail_tells_of_every_row(played: Journey) -> None:
    """Custody, repositories, messages, closed incidents as real runs have written them."""
    with played.officers.records.session() as session:
        count, found = unproven(session)
    assert count > 0 and found == []


def test_P14_the_audit_trail_is_complete_and_unbroken(played: Journey) -> None:
    with played.officers.records.session() as session:
        assert verify_chain(session) == []
        parts = {part_of(entry) for entry in session.exec(select(AuditEntry.seal))}
        assert {WORKER, GATEWAY} <= parts <= set(PARTS), "each seals what it writes"
        for dossier in session.exec(select(Dossier)).all():
            moves = session.exec(
                select(AuditEntry)
                .where(AuditEntry.dossier_id == dossier.id, AuditEntry.document_id.is_(None))  # type: ignore[union-attr]
                .where(AuditEntry.target_state.is_not(None))  # type: ignore[union-attr]
                .order_by(AuditEntry.seq)  # type: ignore[arg-type]
            ).all()
            assert moves[-1].target_state == dossier.state.value
            for before, after in itertools.pairwise(moves):
                assert after.source_state in (before.target_state, None)


def test_WH04_operations_see_reports_and_the_state_of_each_dossier(played: Journey) -> None:
    """Artifacts: reading and summary, made once however often the run was resumed; the tag follows the state."""
    sample = played.samples["01-om-dau"]
    dossier = played.officers.dossier(sample)
    assert dossier is not None
    run = played.prefect.run(sample.run_id)
    assert [tag for tag in run["tags"] if tag.startswith("state:")] == [f"state:{dossier.state.value}"]
    body = {"artifacts": {"flow_run_id": {"any_": [sample.run_id]}}, "limit": 200}
    made = played.prefect.call("POST", "/artifacts/filter", body).json()
    keys = [item["key"] for item in made if item["key"]]
    assert keys.count(f"tong-ket-{dossier.id}") == 1
    papers = [d for d in played.officers.documents(dossier) if d.page_count and not d.is_issued]
    assert papers and all(keys.count(f"doc-{paper.id}-{paper.attempt}") == 1 for paper in papers)
    verdicts = [item["data"] for item in made if (item["key"] or "").startswith("chu-ky-")]
    assert len(verdicts) == 3  # the officer's, the leader's on the result, the agency's
    assert all("hợp lệ" in table and "TEST" in table and "KHÔNG" not in table for table in verdicts)
    assert dossier.owner_name not in "".join(str(item["data"]) for item in made)
    told = next(item["data"] for item in made if item["key"] == f"tong-ket-{dossier.id}")
    assert "đã lưu trữ" in told and "hợp lệ" in told and dossier.owner_name not in told
