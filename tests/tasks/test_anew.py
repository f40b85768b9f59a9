"""Each step that is called again without the journal finds its work in the records, wherever the dossier is by now.

tests/journeys/test_anew.py plays whole dossiers so; here is what one step does when others have followed it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.errors import InvalidTransition
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import close_incident
from blocks.records.machine import move_document, move_dossier
from blocks.records.states import DossierState, Form
from blocks.records.tables import AuditEntry, Document, Dossier, Incident, Scan
from blocks.records.waiting import wait_at, waits_no_more
from tasks.archive.custody import Place, move_paper
from tasks.capture.completeness import check
from tasks.capture.steps import check_completeness
from tasks.decisions.steps import still_allowed
from tasks.intake.hand_in import hand_in
from tasks.intake.steps import check_account, find_shared_data, receive, register
from tasks.reading.steps import read_pages
from tasks.scope.decide import decide_scope
from tasks.scope.fragile import certify_copy, settle_leader_opinion, settle_unlisted
from tasks.scope.steps import isolate, take_back
from tasks.signing.awaited import awaited
from tasks.signing.steps import needs_authorisation, sign_captured
from tasks.steps import advance, send_back
from tests.attack.test_person import Captured
from tests.attack.test_secrecy import Suspected, suspected  # noqa: F401  (a fixture)
from tests.support.attested import allow_signature
from tests.tasks.capture.test_rescan import PAGES, Counter
from tests.tasks.decided import decide
from tests.tasks.intake.test_submission import COMMAND, folder, manifest
from tests.tasks.intake.test_submission import PAGES as FILES
from tests.tasks.lawcase import D, H, get, get_case, make_dossier, walk_dossier

CATALOG = Catalog()


@pytest.fixture(autouse=True)
def blocks(records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks as the tasks find them."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(ObjectStore, "get", staticmethod(lambda: objects))
    monkeypatch.setattr(Catalog, "get", staticmethod(lambda: CATALOG))


def decided(records: RecordsDatabase, dossier_id: UUID, key: str) -> None:
    """As the trail tells of a decision."""
    with records.session() as session:
        audit(session, actor="gq.01", action="decide", dossier_id=dossier_id, details={"stage": key})


def moved(records: RecordsDatabase, dossier_id: UUID, *states: DossierState) -> None:
    with records.session() as session:
        for state in states:
            move_dossier(session, session.get_one(Dossier, dossier_id), state, actor="test", reason="Thử nghiệm")


def test_ST01_a_move_that_lies_behind_is_not_made_again(records: RecordsDatabase) -> None:
    """Two opinions: each asked for once, however often the run begins anew."""
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    walk_dossier(records, dossier_id, H.DA_TIEP_NHAN)
    with records.session() as session:
        move_paper(session, dossier_id, Place.COUNTER, handed_by="", received_by="tnhs.01")
    with pytest.raises(InvalidTransition):
        advance.verb(dossier_id, H.THAM_DINH, "B4a")
    way: list[tuple[tuple[DossierState, str], dict[str, Any]]] = [
        ((H.SO_HOA, "B3c"), {}),
        ((H.CHO_LANH_DAO_SO_HOA, "B3e"), {}),
        ((H.SO_HOA, "B3e"), {"after": H.CHO_LANH_DAO_SO_HOA}),
        ((H.DA_CHUYEN, "LU04"), {}),
        ((H.THAM_DINH, "B4a"), {}),
        *(
            ((state, "B4a"), {"after": after, "times": times})
            for times in (2, 3)
            for state, after in ((H.CHO_Y_KIEN, None), (H.THAM_DINH, H.CHO_Y_KIEN))
        ),
        ((H.TRINH_KY, "B4b"), {}),
    ]
    for number, (step, options) in enumerate(way):
        if step[0] is H.CHO_Y_KIEN:
            decided(records, dossier_id, f"verification-{options['times']}")
        for before, how in way[:number]:
            assert advance.verb(dossier_id, *before, **how) is False
        assert advance.verb(dossier_id, *step, **options) is True
        assert get_case(records, dossier_id).state is step[0]
    with records.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == "transition", AuditEntry.actor == "system")
        entries = session.exec(query.order_by(col(AuditEntry.seq))).all()
    assert [entry.target_state for entry in entries] == [step[0].value for step, _ in way]


def test_B3a_a_supplemented_dossier_is_registered_and_checked_as_before(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    """The first declaration, called again, neither takes its files once more nor is received in place of the second."""
    root = folder(tmp_path, manifest(), {**FILES, next(iter(FILES)): uuid4().bytes})  # nobody else's
    submission = hand_in(records, objects, root, COMMAND)
    dossier_id = register.verb(submission).dossier_id
    assert not receive.verb(dossier_id, "tnhs.01", 1).accepted
    both = [*manifest()["components"], {"type": "LOCAL:01B-HSB", "pages": 1, "files": ["b/0001.jpg"]}]  # type: ignore[misc]
    (root / "dossier.yaml").write_text(yaml.safe_dump(manifest(components=both, originals=2), allow_unicode=True))
    (root / "b").mkdir()
    (root / "b/0001.jpg").write_bytes(b"third")
    hand_in(records, objects, root, COMMAND, submission=submission, revision=2)
    second = register.verb(submission, 2)

    def scans() -> int:
        with records.session() as session:
            return len(session.exec(select(Scan)).all())

    before = scans()
    for _ in range(2):
        assert register.verb(submission) == second and scans() == before
        assert not receive.verb(dossier_id, "tnhs.01", 1).accepted
        assert receive.verb(dossier_id, "tnhs.01", 2).accepted
        assert register.verb(submission, 2) == second
    moved(records, dossier_id, H.TRA_LAI)
    assert receive.verb(dossier_id, "tnhs.01", 2).accepted  # it was


def test_B3a_who_waits_for_a_supplement_waits_on(records: RecordsDatabase) -> None:
    """A second declaration is found wanting; whatever the catalogue says by now, the officer's answer counts."""
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    assert not receive.verb(dossier_id, "tnhs.01", 1).accepted
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        dossier.revision = 2
        session.add(dossier)
        wait_at(session, dossier, uuid4(), "supplement-2")
        session.add(Document(dossier_id=dossier_id, ordinal=2, type_code="LOCAL:01B-HSB", declared_pages=1))
        dossier.originals_declared = 2
    assert not receive.verb(dossier_id, "tnhs.01", 2).accepted
    moved(records, dossier_id, H.TU_CHOI_TIEP_NHAN)
    assert not receive.verb(dossier_id, "tnhs.01", 2).accepted
    assert get_case(records, dossier_id).state is H.TU_CHOI_TIEP_NHAN


def test_B2_B3b_others_are_asked_once_a_dossier(records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOHOA_PORTAL_URL", raising=False)
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-KHAI-SINH"])
    walk_dossier(records, dossier_id, H.DA_TIEP_NHAN)
    assert {check_account.verb(dossier_id) for _ in range(2)} == {"UNAVAILABLE"}
    with records.session() as session:
        assert len(session.exec(select(AuditEntry).where(AuditEntry.action == "check_account")).all()) == 1
    assert find_shared_data.verb(dossier_id).unavailable == 1
    moved(records, dossier_id, H.SO_HOA)
    assert find_shared_data.verb(dossier_id).unavailable == 0  # nobody was asked


def test_SC01_the_scope_is_told_as_it_was_decided(records: RecordsDatabase, objects: ObjectStore) -> None:
    fragile: dict[str, Any] = {"type_code": "LOCAL:SO-BHXH", "fragile": True}
    copy: dict[str, Any] = {"type_code": "LOCAL:GIAY-RA-VIEN", "form": Form.PHOTOCOPY}
    secret: dict[str, Any] = {"type_code": "LOCAL:GIAY-RA-VIEN", "secret": True}
    important = fragile | {"important": True}
    dossier_id, ids = make_dossier(records, [fragile, important, "LOCAL:GIAY-RA-VIEN", "LOCAL:CCCD", copy, secret])
    first = decide_scope(records, objects, CATALOG, dossier_id, "system")
    with records.session() as session:  # one of them is nobody's rule to decide
        undecided = session.get_one(Document, ids[4])
        told = [(item.document_id, item.state) for item in first.documents]
    settle_unlisted(records, ids[4], digitise=True, actor="tnhs.01")
    settle_leader_opinion(records, ids[1], digitise=True, actor="ld.01")
    for fragile_one in ids[:2]:
        certify_copy(records, fragile_one, actor="tnhs.01")
    with records.session() as session:
        for document_id in ids[:3]:
            for state in (D.DA_SAO_CHUP, D.CHUP_LAI):
                move_document(session, session.get_one(Document, document_id), state, actor="test")
        issued = Document(dossier_id=dossier_id, ordinal=7, type_code="KHONG-CO", scope_rule="KQ01", declared_pages=1)
        assert issued.is_issued
        session.add(issued)
    again = decide_scope(records, objects, CATALOG, dossier_id, "system")
    assert [(item.document_id, item.state) for item in again.documents] == told
    assert (again.to_capture, again.to_ask, again.fragile) == (first.to_capture, first.to_ask, first.fragile)
    assert again.undecided == first.undecided and undecided.id in {*again.undecided, *[d for d, _ in told]}


def test_CA05_a_paper_that_was_captured_again_is_not_sent_back_again(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, [PAGES[0]])
    key = f"verification-{get(records, counter.document).attempt}"
    with records.session() as session:
        for target in (D.DA_KY_CA_NHAN, D.OCR, D.CHO_XAC_NHAN):
            move_document(session, session.get_one(Document, counter.document), target, actor="system")
    decide(records, counter.dossier, key, "QUET_LAI", "gq.01", rescan=[1])
    decided(records, counter.dossier, key)
    assert check_completeness.verb(counter.dossier, 1).ok
    assert send_back.verb(counter.dossier, key) == [counter.document]
    assert not check.check_completeness(records, counter.dossier).ok  # a paper is missing now,
    assert check_completeness.verb(counter.dossier, 1).ok  # but was not when this round was checked
    counter.hand_in(PAGES[1])
    assert counter.capture() == []
    with records.session() as session:
        for target in (D.DA_KY_CA_NHAN, D.OCR, D.CHO_XAC_NHAN):
            move_document(session, session.get_one(Document, counter.document), target, actor="system")
    assert send_back.verb(counter.dossier, key) == [counter.document]
    document = get(records, counter.document)
    assert (document.state, document.attempt) == (D.CHO_XAC_NHAN, 2)
    counter.hand_in(PAGES[2])  # for the next attempt: what was judged takes nothing more
    assert counter.images() == counter.images() and len(counter.images()) == 1


def test_SC13_what_reading_found_is_told_again_and_nothing_is_hidden_twice(suspected: Suspected) -> None:  # noqa: F811
    """A false alarm, then read; scanned again, then secret: each call tells what it told, and the paper stays gone."""
    records, document = suspected.records, suspected.document
    decide(records, suspected.dossier, "secrecy-1", "KHONG_PHAI_MAT", "ld.01", reason="Không phải dấu mật.")
    take_back.verb(document, 1, "secrecy-1")
    assert read_pages.verb(document, 1).secrecy == "TOI_MAT" and suspected.state() == "DA_KY_CA_NHAN"
    assert read_pages.verb(document, 1, "secrecy-1").pages == 2 and suspected.state() == "OCR"
    with records.session() as session:
        move_document(session, session.get_one(Document, document), D.CHO_XAC_NHAN, actor="system")
    for _ in range(2):
        assert read_pages.verb(document, 1).secrecy == "TOI_MAT"
        take_back.verb(document, 1, "secrecy-1")
        assert read_pages.verb(document, 1, "secrecy-1").secrecy is None and suspected.state() == "CHO_XAC_NHAN"
    with records.session() as session:  # scanned again, and suspected again
        row = session.get_one(Document, document)
        for state in (D.CHUP_LAI, D.DA_SAO_CHUP, D.DAT_KIEM_TRA, D.DA_KY_CA_NHAN):
            move_document(session, row, state, actor="test")
        row.attempt = 2
        details = {"level": "MAT", "attempt": 2}
        move_document(session, row, D.NGHI_MAT, actor="system", details=details)
        session.add(row)
    decide(records, suspected.dossier, "secrecy-2", "XAC_NHAN_MAT", "ld.01")
    for _ in range(2):
        assert read_pages.verb(document, 1).secrecy == "TOI_MAT"
        assert read_pages.verb(document, 1, "secrecy-1").pages == 2
        assert read_pages.verb(document, 2).secrecy == "MAT"
        isolate.verb(document, "MAT", 2, "secrecy-2")
        assert suspected.state() == "CACH_LY_MAT" and suspected.copies() == 0
        with records.session() as session:
            (incident,) = session.exec(select(Incident).where(Incident.code == "SECRET"))
            close_incident(session, incident, actor="ld.01", reason="Đã xử lý.")


def test_CA01_an_answer_is_taken_by_the_pause_that_asked_for_it(
    records: RecordsDatabase, objects: ObjectStore, pki: object
) -> None:
    """The officer is told to have been asked, also when all is signed; what waits for an answer isn't signed before."""
    captured = Captured(records, objects)
    papers = [(captured.document, 1)]
    assert needs_authorisation.verb(papers)
    allow_signature(records, captured.document)

    def waits_for(asked: int, pause: str = "") -> str:
        with records.session() as session:
            if pause:
                wait_at(session, session.get_one(Dossier, captured.dossier), uuid4(), pause)
            found = awaited(session, papers, asked)
            waits_no_more(session, captured.dossier)
            return found

    assert (waits_for(0), waits_for(1)) == ("PIN", "")
    assert (waits_for(1, "confirm-1"), waits_for(1, "sign-2"), waits_for(1, "rescan-1")) == ("PHONE", "PIN", "")
    assert sign_captured.verb(papers, 1) == "" and captured.signatures() == 1
    assert needs_authorisation.verb(papers) and waits_for(1, "confirm-1") == ""
    with records.session() as session:  # scanned again since
        row = session.get_one(Document, captured.document)
        for state in (D.OCR, D.CHO_XAC_NHAN, D.CHUP_LAI):
            move_document(session, row, state, actor="test")
        row.attempt = 2
        session.add(row)
    assert sign_captured.verb(papers, 1) == "" and captured.signatures() == 1


def test_CA01_returned_instead_of_signed_is_told_so(records: RecordsDatabase, objects: ObjectStore) -> None:
    captured = Captured(records, objects)
    with records.session() as session:
        move_document(session, session.get_one(Document, captured.document), D.DA_LUU_KHONG_GIA_TRI, actor="tnhs.01")
    assert needs_authorisation.verb([(captured.document, 1)])
    assert sign_captured.verb([(captured.document, 1)], 1) == "PHONE" and captured.signatures() == 0


def test_EX17_a_round_that_was_asked_again_is_not_allowed(records: RecordsDatabase) -> None:
    """The leader is asked again, or was: neither is a second incident made of the first, nor is it signed on that."""
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    walk_dossier(records, dossier_id, H.TRINH_KY)
    decide(records, dossier_id, "signoff-1", "KY", "ld.01")
    with records.session() as session:
        wait_at(session, session.get_one(Dossier, dossier_id), uuid4(), "signoff-2")
    assert not still_allowed.verb(dossier_id, 1, 1)
    with records.session() as session:
        waits_no_more(session, dossier_id)
    decide(records, dossier_id, "signoff-2", "KY", "ld.01")
    assert not still_allowed.verb(dossier_id, 1, 1)
    moved(records, dossier_id, H.KY_CO_QUAN)
    assert (still_allowed.verb(dossier_id, 1, 1), still_allowed.verb(dossier_id, 2, 2)) == (False, True)
    with records.session() as session:
        assert not session.exec(select(Incident)).all()
