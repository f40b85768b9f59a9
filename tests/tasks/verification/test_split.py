"""Two papers on one image: two components with the whole image each, each reads its own part (Điều 8.2, 9.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.ocr.engine import OcrEngine
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.queries import documents
from blocks.records.regions import parts_of, split_off
from blocks.records.states import DocumentState, FieldSource
from blocks.records.tables import AuditEntry, Document, FieldValue, Page, Scan
from tasks.capture.document import capture
from tasks.capture.errors import ComponentFiles
from tasks.desk_views.history import history
from tasks.extraction.document import extract_fields
from tasks.extraction.notes import notes_of
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.pauses.verification import Side, Verification, check
from tasks.reading.ocr import read_pages
from tasks.scope.decide import ScopeReport, decide_scope
from tasks.verification.split import part_images, parts
from tests.cases import sheets as draw
from tests.samples.documents import make_document
from tests.tasks.capture.pages_for_tests import DPI, jpeg, paper, pdf_of, scanned
from tests.tasks.capture.test_document import state
from tests.tasks.capture.test_rescan import Counter, blocks
from tests.tasks.decided import decide

__all__ = ["blocks"]  # a fixture
D = DocumentState
DISCHARGE, LIST = "LOCAL:GIAY-RA-VIEN", "LOCAL:C65-HD"
STAGE = "verification-1"


def two_papers() -> bytes:
    """Discharge papers of two people on A3."""
    sheet = draw.beside(draw.pages(DISCHARGE, 1)[0], draw.pages(DISCHARGE, 2)[0])
    return jpeg(Image.fromarray(sheet))


def truth(number: int) -> dict[str, str | None]:
    return make_document(5, number, DISCHARGE, dpi=draw.DPI)[0].fields


def sent(counter: Counter, *split: dict[str, object]) -> None:
    """The resolving officer parts images of the first component."""
    with counter.records.session() as session:
        document = session.get_one(Document, counter.document)
        for target in (D.DA_KY_CA_NHAN, D.OCR, D.CHO_XAC_NHAN):
            move_document(session, document, target, actor="system")
    decide(counter.records, counter.dossier, STAGE, "TACH_ANH", "gq.01", split=list(split))


def scope_of(counter: Counter) -> ScopeReport:
    return decide_scope(counter.records, counter.objects, Catalog(), counter.dossier, "system")


def read(records: RecordsDatabase, objects: ObjectStore, document: UUID) -> dict[str, FieldValue]:
    """Captured, signed, read and extracted: its fields."""
    report = capture(records, objects, document)
    assert report.ok, report.problems
    with records.session() as session:
        move_document(session, session.get_one(Document, document), D.DA_KY_CA_NHAN, actor="system")
    read_pages(records, objects, OcrEngine(), document)
    extract_fields(records, objects, document)
    with records.session() as session:
        rows = session.exec(select(FieldValue).where(FieldValue.document_id == document)).all()
        return {row.name: row for row in rows}


def images(records: RecordsDatabase, document: UUID) -> list[str]:
    attempt = state(records, document).attempt
    with records.session() as session:
        rows = session.exec(select(Page).where(Page.document_id == document, Page.attempt == attempt)).all()
        return [row.image_sha256 for row in sorted(rows, key=lambda row: row.number)]


def test_CA06_each_of_two_papers_keeps_the_whole_image_and_reads_its_own_part(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    whole = two_papers()
    counter = Counter(records, objects, tmp_path, [whole])
    before = images(records, counter.document)
    sent(counter, {"component": 1, "page": 1, "side": "LEFT", "type": DISCHARGE})
    found = part_images(records, objects, counter.dossier, STAGE)
    assert part_images(records, objects, counter.dossier, STAGE) == found  # tried again: nothing more
    assert counter.document in [item.document_id for item in scope_of(counter).documents]
    assert len(scope_of(counter).documents) == 1
    first, second = found.attempts
    assert (first, list(found.attempts.values())) == (counter.document, [2, 1])
    own, other = read(records, objects, first), read(records, objects, second)
    assert images(records, first) == images(records, second) == before  # the same whole image in both copies
    for rows, mine, not_mine in ((own, truth(1), truth(2)), (other, truth(2), truth(1))):
        assert notes_of(rows["type_code"].rule).several == ()
        assert (rows["full_name"].value or "").title() == mine["full_name"]
        assert rows["full_name"].confidence >= CONFIDENCE_THRESHOLD
        read_ones = {name: row for name, row in rows.items() if row.source is FieldSource.OCR and row.value}
        theirs = {v.casefold() for v in not_mine.values() if v and v not in mine.values() and len(v) > 3}
        assert not {str(row.value).casefold() for row in read_ones.values()} & theirs
    with records.session() as session:
        papers = documents(session, counter.dossier)
        assert [(d.ordinal, d.state) for d in papers] == [(1, D.CHO_XAC_NHAN), (2, D.CHO_XAC_NHAN)]
        (entry,) = session.exec(select(AuditEntry).where(AuditEntry.action == "split")).all()
        assert (entry.actor, entry.details["part"], entry.details["other_part"]) == (
            "gq.01", [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0],
        )  # fmt: skip
        assert any("tách hai giấy tờ trên một ảnh" in event.sentence for event in history(session, counter.dossier))
        # Of a run that begins anew: what was declared at the counter is one paper still.
        assert split_off(session, counter.dossier) == {second}
        scans = session.exec(select(Scan).where(Scan.document_id == second)).all()
        assert [objects.read(Bucket.INTAKE, s.object_key, sha256=s.sha256) for s in scans] == [whole]


def test_CA06_of_a_file_with_several_pages_only_that_page_is_the_others(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    """Scanned again later, the page is the paper's as a whole: what was parted was the image before."""
    pages = [jpeg(scanned(paper(number))) for number in (1, 2, 3)]
    counter = Counter(records, objects, tmp_path, [pdf_of(pages)], pages=3)
    before = images(records, counter.document)
    sent(counter, {"component": 1, "page": 2, "side": "BOTTOM", "at": 40, "type": DISCHARGE})
    first, second = part_images(records, objects, counter.dossier, STAGE).attempts
    assert capture(records, objects, first).ok and capture(records, objects, second).ok
    assert images(records, first) == before and images(records, second) == before[1:2]
    with records.session() as session:
        assert parts_of(session, first, 2) == {2: (0.0, 0.4, 1.0, 1.0)}
        assert parts_of(session, second, 1) == {1: (0.0, 0.0, 1.0, 0.4)}
    counter.again(whole=True)
    counter.hand_in(pdf_of(pages))
    assert counter.capture() == []
    with records.session() as session:
        assert parts_of(session, first, 3) == {}


@pytest.mark.parametrize(
    ("side", "orientation", "own"),
    [
        (Side.LEFT, 1, (0.0, 0.0, 0.3, 1.0)),
        (Side.RIGHT, 1, (0.3, 0.0, 1.0, 1.0)),
        (Side.TOP, 6, (0.0, 0.0, 0.3, 1.0)),  # shown a quarter clockwise: what is on top lies at the left
        (Side.LEFT, 6, (0.0, 0.7, 1.0, 1.0)),
        (Side.LEFT, 3, (0.7, 0.0, 1.0, 1.0)),
        (Side.TOP, 8, (0.7, 0.0, 1.0, 1.0)),
    ],
)
def test_the_part_is_of_the_stored_image_however_the_page_is_shown(
    side: Side, orientation: int, own: tuple[float, ...]
) -> None:
    assert parts(side, 30, orientation)[0] == pytest.approx(own)


@pytest.mark.parametrize(
    ("decision", "split", "told"),
    [
        ("TACH_ANH", [], "ảnh nào có hai giấy tờ"),
        ("DUYET", [{"page": 1, "side": "LEFT", "type": LIST}], "vui lòng chọn tách"),
        ("TACH_ANH", [{"page": 7, "side": "LEFT", "type": LIST}], "không có trang 7"),
        ("TACH_ANH", [{"page": 1, "side": "LEFT", "type": "LOCAL:KHONG-CO"}], "không có trong danh mục"),
        ("TACH_ANH", [{"page": 1, "side": "LEFT"}], "chọn loại của giấy tờ kia"),
        ("TACH_ANH", [{"page": 1, "side": "LEFT", "type": LIST}] * 2, "chỉ tách một lần"),
    ],
)
def test_WH03_what_can_t_be_parted_is_told(
    records: RecordsDatabase,
    objects: ObjectStore,
    tmp_path: Path,
    decision: str,
    split: Sequence[dict[str, object]],
    told: str,
) -> None:
    counter = Counter(records, objects, tmp_path, [jpeg(scanned(paper(1)))])
    with records.session() as session:
        document = session.get_one(Document, counter.document)
        for target in (D.DA_KY_CA_NHAN, D.OCR, D.CHO_XAC_NHAN):
            move_document(session, document, target, actor="system")
    said = {"decision": decision, "officer": "gq.01", "split": [{"component": 1} | item for item in split]}
    assert told in " ".join(check(counter.dossier, Verification.model_validate(said)))


def test_the_image_that_two_papers_share_is_no_shared_file(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    """CA10: but for what was parted, no two components have one file."""
    counter = Counter(records, objects, tmp_path, [jpeg(scanned(paper(4)))])
    sent(counter, {"component": 1, "page": 1, "side": "TOP", "type": DISCHARGE})
    first, second = part_images(records, objects, counter.dossier, STAGE).attempts
    assert [capture(records, objects, one).ok for one in (first, second)] == [True, True]
    with records.session() as session:
        third = Document(dossier_id=counter.dossier, ordinal=3, type_code=DISCHARGE, declared_pages=1, scan_dpi=DPI)
        session.add(third)
        session.flush()
        scan = session.exec(select(Scan).where(Scan.document_id == second)).one()
        session.add(Scan(**scan.model_dump(exclude={"id", "document_id", "parts"}), document_id=third.id))
        for target in (D.PHAN_LOAI, D.CHO_SAO_CHUP):
            move_document(session, third, target, actor="system")
        stranger = third.id
    assert [problem.code for problem in capture(records, objects, stranger).problems] == [ComponentFiles.code]
