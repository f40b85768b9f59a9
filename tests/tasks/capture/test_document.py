"""Capture of one component on the real database and object store: states, pages, hashes, repetition (CA01–CA10)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlmodel import Session, select

from blocks.errors import IntegrityError, InvalidTransition
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.states import DocumentState as S
from blocks.records.tables import AuditEntry, Document, Dossier, Incident, Page, Scan
from tasks.capture.document import capture
from tests.tasks.capture.pages_for_tests import DPI, jpeg, noted, paper, pdf_of, scanned


def new_dossier(session: Session) -> Dossier:
    dossier = Dossier(submission=str(id(session)) + "-test", unit_id="BHXH-TEST", procedure_code="1.001667")
    dossier.owner_name = "Nguyễn Văn Thử"
    session.add(dossier)
    session.flush()
    return dossier


def new_document(
    records: RecordsDatabase,
    objects: ObjectStore,
    files: Sequence[bytes | None],
    *,
    pages: int = 1,
    notes: Sequence[int] = (),
    dossier_id: UUID | None = None,
    ordinal: int = 1,
) -> UUID:
    """A document that waits for capture, its originals in INTAKE; None: a declared file that is not there."""
    with records.session() as session:
        dossier_id = dossier_id or new_dossier(session).id
        document = Document(
            dossier_id=dossier_id,
            ordinal=ordinal,
            type_code="LOCAL:GIAY-RA-VIEN",
            declared_pages=pages,
            note_pages=list(notes),
            scan_dpi=DPI,
        )
        session.add(document)
        session.flush()
        for state in (S.PHAN_LOAI, S.CHO_SAO_CHUP):
            move_document(session, document, state, actor="system", rule="SC03")
        put_scans(session, objects, document, files)
        return document.id


def put_scans(session: Session, objects: ObjectStore, document: Document, files: Sequence[bytes | None]) -> None:
    for ordinal, data in enumerate(files, 1):
        sha256 = hashlib.sha256(data).hexdigest() if data is not None else ""
        name = f"{ordinal:04d}-{sha256[:16]}.jpg"
        key = document_key(document.dossier_id, document.id, document.attempt, name) if data is not None else ""
        if data is not None:
            objects.put_once(Bucket.INTAKE, key, data, content_type="application/octet-stream")
        session.add(
            Scan(
                document_id=document.id,
                attempt=document.attempt,
                ordinal=ordinal,
                sequence=ordinal,
                object_key=key,
                sha256=sha256,
                size=len(data or b""),
            )
        )


def state(records: RecordsDatabase, document_id: UUID) -> Document:
    with records.session() as session:
        return session.exec(select(Document).where(Document.id == document_id)).one()


def test_CA01_CA08_CA10_good_component(records: RecordsDatabase, objects: ObjectStore) -> None:
    files = [jpeg(scanned(paper(1))), jpeg(scanned(noted(paper(2)))), jpeg(scanned(paper(2), 5, skew=-0.4))]
    document_id = new_document(records, objects, files, pages=2, notes=[2])
    report = capture(records, objects, document_id)
    assert report.ok and report.pages == 3 and report.problems == []
    assert report.file_key and report.file_sha256
    objects.read(Bucket.WORKING, report.file_key, sha256=report.file_sha256)
    document = state(records, document_id)
    assert (document.state, document.page_count) == (S.DAT_KIEM_TRA, 3)
    assert (document.file_key, document.file_sha256) == (report.file_key, report.file_sha256)
    with records.session() as session:
        pages = sorted(session.exec(select(Page)), key=lambda page: page.number)
        assert [(page.paper_page, page.with_note) for page in pages] == [(1, False), (2, True), (2, False)]
        assert [page.image_sha256 for page in pages] == [hashlib.sha256(data).hexdigest() for data in files]
        assert all(page.quality["ink_mm2"] > 100 for page in pages)
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == "capture")).all()
        assert len(entries) == 1 and entries[0].details["files"] == 3

    again = capture(records, objects, document_id)  # idempotent: same outcome, no second effect
    assert again == report
    with records.session() as session:
        assert len(session.exec(select(Page)).all()) == 3
        assert len(session.exec(select(AuditEntry).where(AuditEntry.action == "capture")).all()) == 1


def test_CA05_CA06_problems_are_collected_and_the_component_waits_for_a_rescan(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    blurred = jpeg(scanned(paper(1), blur=4))
    document_id = new_document(records, objects, [b"", None, jpeg(paper(2).convert("L")), blurred], pages=4)
    report = capture(records, objects, document_id)
    found = {(problem.code, problem.component, problem.file) for problem in report.problems}
    assert found == {("FILE_EMPTY", 1, 1), ("FILE_MISSING", 1, 2), ("NOT_COLOUR", 1, 3), ("PAGE_BLURRED", 1, 4)}
    assert not report.ok and report.file_key is None
    assert state(records, document_id).state is S.CHUP_LAI
    with records.session() as session:
        scans = sorted(session.exec(select(Scan)), key=lambda scan: scan.ordinal)
        assert [s.refused_code for s in scans] == ["FILE_EMPTY", "FILE_MISSING", "NOT_COLOUR", "PAGE_BLURRED"]
        assert session.exec(select(Page)).all() == []
    assert capture(records, objects, document_id) == report
    assert state(records, document_id).state is S.CHUP_LAI

    with records.session() as session:  # the rescan
        document = session.get_one(Document, document_id)
        document.attempt, document.declared_pages = 2, 2
        session.add(document)
        put_scans(session, objects, document, [pdf_of([jpeg(scanned(paper(1))), jpeg(scanned(paper(2)))])])
    better = capture(records, objects, document_id, attempt=2)
    assert better.ok and better.pages == 2
    assert state(records, document_id).state is S.DAT_KIEM_TRA
    assert capture(records, objects, document_id, attempt=1) == report  # a replay reads its own outcome


def test_CA06_count_is_not_judged_while_a_file_is_unreadable(records: RecordsDatabase, objects: ObjectStore) -> None:
    whole = jpeg(scanned(paper(1)))
    document_id = new_document(records, objects, [whole, whole[:9000]], pages=2)
    assert [p.code for p in capture(records, objects, document_id).problems] == ["FILE_TRUNCATED"]


def test_CA10_COMPONENT_FILES_same_file_in_two_components(records: RecordsDatabase, objects: ObjectStore) -> None:
    data = jpeg(scanned(paper(1)))
    first = new_document(records, objects, [data])
    second = new_document(records, objects, [data], dossier_id=state(records, first).dossier_id, ordinal=2)
    for document_id, ordinal in ((first, 1), (second, 2)):
        (problem,) = capture(records, objects, document_id).problems
        assert (problem.code, problem.rule, problem.component) == ("COMPONENT_FILES", "CA10", ordinal)


def test_CA08_an_altered_original_is_refused_with_an_incident(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = new_document(records, objects, [jpeg(scanned(paper(1)))])
    with records.session() as session:
        scan = session.exec(select(Scan).where(Scan.document_id == document_id)).one()
    objects.delete(Bucket.INTAKE, scan.object_key)
    objects.put_once(Bucket.INTAKE, scan.object_key, jpeg(scanned(paper(2))), content_type="image/jpeg")
    with pytest.raises(IntegrityError):
        capture(records, objects, document_id)
    with records.session() as session:
        assert [(i.code, i.rule) for i in session.exec(select(Incident))] == [("INTEGRITY", "CA08")]
    assert state(records, document_id).state is S.CHO_SAO_CHUP


def test_ST01_only_documents_that_wait_for_capture(records: RecordsDatabase, objects: ObjectStore) -> None:
    with records.session() as session:
        document = Document(dossier_id=new_dossier(session).id, ordinal=1, type_code="x", declared_pages=1)
        session.add(document)
        session.flush()
        document_id = document.id
    with pytest.raises(InvalidTransition):
        capture(records, objects, document_id)


def test_CA06_no_scan_at_all(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = new_document(records, objects, [])
    assert [p.code for p in capture(records, objects, document_id).problems] == ["FILE_MISSING"]
