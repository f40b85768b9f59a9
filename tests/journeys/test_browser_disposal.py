"""Disposal in Chromium (LU06): a leader proposes, the clerk confirms, each signed in anew; then it is carried out."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlmodel import select

from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.machine import move_dossier
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import ArchivedObject, AuditEntry, Disposal, Document, Dossier, FieldValue, now
from blocks.trust import Trust
from tasks.signing.manifest import open_statement
from tasks.signing.verify import verify_manifest
from tests.faults.stack import ROOT, until
from tests.journeys.conftest import Journey
from tests.journeys.test_browser import SignIn, require_accessible, sign_in  # noqa: F401
from tests.tasks.lawcase import make_dossier, walk_dossier

WHY = "Hết thời hạn lưu trữ theo Danh mục của cơ quan."


@pytest.fixture
def over(played: Journey) -> tuple[str, UUID]:
    """(code, record) of a dossier whose retention has ended.

    The store keeps what flows have stored today at least until tomorrow, and nobody can shorten that. So the record of
    a played dossier is stored a second time without a lock, by the worker's key, and the worker's database role writes
    the rows of a dossier that was closed long ago beside it.
    """
    officers = played.officers
    records, objects = officers.records, officers.objects
    ended = now() - timedelta(days=3)
    paper = {"type_code": "LOCAL:GIAY-RA-VIEN", "state": DocumentState.DA_LUU, "page_count": 1}
    dossier, (document,) = make_dossier(records, [paper])
    walk_dossier(records, dossier, DossierState.KY_CO_QUAN)
    with records.session() as session:
        for state in (DossierState.CO_KET_QUA, DossierState.DA_TRA, DossierState.LUU_TRU):
            move_dossier(session, session.get_one(Dossier, dossier), state, actor="test")
        code = assign_dossier_code(session, session.get_one(Dossier, dossier), actor="system")
        query = select(ArchivedObject).join(Document).join(Dossier).where(ArchivedObject.kind == "record.pdf")
        known = session.exec(query.limit(1)).one()
        data = objects.read(Bucket.RECORDS, known.object_key, sha256=known.sha256, version=known.version)
        key = f"{dossier}/{document}/1/record.pdf"
        kept = objects.put_once(Bucket.RECORDS, key, data, content_type="application/pdf")
        objects.put_once(Bucket.WORKING, key, data, content_type="application/pdf")
        session.add(
            ArchivedObject(
                document_id=document, kind="record.pdf", object_key=key, version=kept.version, sha256=kept.sha256,
                size=kept.size, locked_until=ended,
            )
        )  # fmt: skip
        row = session.get_one(Document, document)
        row.record_key, row.record_version, row.retain_until = key, kept.version, ended
        row.retention_class = "LOCAL:LT-CHE-DO"
        session.add(row)
        session.add(FieldValue(document_id=document, name="full_name", value="Nguyễn Thị Thử Nghiệm"))
    return code, document


def decide(page: Page, officer: str, code: str, button: str) -> None:
    """Fill in and click; prove anew who one is; find what was typed, and click again."""

    def row() -> Locator:
        return page.get_by_role("row").filter(has_text=code)

    row().get_by_label("Căn cứ").fill(WHY)
    row().get_by_role("button", name=button).click()
    expect(page.locator("main")).to_contain_text("không lấy lại được")
    require_accessible(page)
    page.get_by_role("link", name="Xác thực lại").click()
    page.get_by_role("button", name=officer, exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("Đã xác thực lại")
    expect(row().get_by_label("Căn cứ")).to_have_value(WHY)
    row().get_by_role("button", name=button).click()


def order(played: Journey, document: UUID) -> tuple[str, str]:
    with played.officers.records.session() as session:
        row = session.get(Disposal, document)
        return (row.proposed_by, row.confirmed_by) if row else ("", "")


@pytest.mark.long
def test_LU06_two_officers_order_a_disposal_and_read_that_it_is_certified(
    played: Journey,
    sign_in: SignIn,  # noqa: F811
    over: tuple[str, UUID],
) -> None:
    code, document = over
    officers = played.officers
    leader = sign_in("ld.01", "/tieu-huy")
    mine = leader.get_by_role("row").filter(has_text=code)
    expect(mine).to_contain_text("giấy tờ 1: Giấy ra viện")
    assert "LOCAL:" not in leader.locator("main").inner_text()
    mine.get_by_label("Căn cứ").fill("vì")
    mine.get_by_role("button", name="Đề nghị tiêu hủy").click()  # the browser itself asks for more
    assert order(played, document) == ("", "")
    decide(leader, "ld.01", code, "Đề nghị tiêu hủy")
    expect(mine).to_contain_text("Người khác xác nhận")
    require_accessible(leader)
    assert order(played, document) == ("ld.01", "")

    clerk = sign_in("vt.01", "/tieu-huy")
    decide(clerk, "vt.01", code, "Xác nhận tiêu hủy")
    expect(clerk.get_by_role("row").filter(has_text=code)).to_contain_text("Chờ quản trị viên tiêu hủy")
    assert order(played, document) == ("ld.01", "vt.01")

    # As an administrator does, with the key that only deletes; then the night comes.
    command = [sys.executable, "-m", "deployments.cli.main", "dispose", "--operator", "quan-tri"]
    done = subprocess.run(command, cwd=ROOT, env=played.stack.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Đã tiêu hủy 1 bản lưu" in done.stdout, done.stdout + done.stderr
    clerk.reload()
    expect(clerk.get_by_role("row").filter(has_text=code)).to_contain_text("biên bản được lập trong đêm")
    deployment = played.prefect.call("GET", "/deployments/name/preservation/archive").json()["id"]
    night = str(played.prefect.call("POST", f"/deployments/{deployment}/create_flow_run", {}).json()["id"])
    until(
        lambda: played.prefect.run(night)["state_type"] in ("COMPLETED", "FAILED", "CRASHED"),
        240,
        lambda: played.stack.log("worker")[-3000:],
    )
    clerk.reload()
    expect(clerk.get_by_role("row").filter(has_text=code)).to_contain_text("biên bản tiêu hủy đã ký số cơ quan và khóa")
    require_accessible(clerk)
    certified(officers.records, officers.objects, document)


def certified(records: RecordsDatabase, objects: ObjectStore, document: UUID) -> None:
    """The certificate is the agency's and names the two; what it is about is gone; who did what is in the trail."""
    with records.session() as session:
        row = session.get_one(Disposal, document)
        dossier = session.get_one(Dossier, row.dossier_id)
        assert (dossier.owner_name, dossier.owner_id) == ("", None)
        assert not session.exec(select(FieldValue.id).where(FieldValue.document_id == document)).all()
        query = select(AuditEntry).where(AuditEntry.document_id == document, AuditEntry.rule == "LU06")
        trail = sorted(session.exec(query), key=lambda entry: entry.seq or 0)
    assert [(entry.actor, entry.action) for entry in trail] == [
        ("ld.01", "dispose-proposed"),
        ("vt.01", "dispose-confirmed"),
        ("quan-tri", "dispose"),
        ("system", "dispose-certified"),
    ]
    assert all(entry.details["auth_time"] for entry in trail[:2])  # each had signed in anew
    for bucket in (Bucket.RECORDS, Bucket.WORKING):
        assert not [*objects.list(bucket, f"{row.dossier_id}/{document}/")]
    text, cades = open_statement("certificate", objects.unproven(Bucket.RECORDS, row.certificate_key)[0])
    assert verify_manifest(text, cades, Trust()).valid
    said = json.loads(text)
    assert (said["what"], said["proposed_by"], said["confirmed_by"], said["destroyed_by"]) == (
        "BIEN_BAN_TIEU_HUY", "ld.01", "vt.01", "quan-tri",
    )  # fmt: skip
    assert WHY not in text.decode()
