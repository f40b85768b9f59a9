"""Scanned again (CA05, CA06): whole components and single pages, on the real database and object store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.partners import PartnerCase
from blocks.records.states import DocumentState as S
from blocks.records.tables import AuditEntry, Document, Dossier, Page, Scan
from tasks.capture.document import capture
from tasks.capture.rescan import (
    RescanMissing,
    RescanRequest,
    blank_places,
    hand_in_rescan,
    handed_in,
    missing_scans,
    receive_rescan,
    requested_rescan,
)
from tasks.desk_views.history import history
from tasks.intake.origin import by_command
from tasks.partner_cases.status import view_case
from tasks.pauses.rescan import Rescan, RescanDecision
from tasks.pauses.rescan import check as check_rescan
from tasks.pauses.rescan import describe as describe_rescan
from tasks.progress import send_back
from tests.tasks.capture.pages_for_tests import SIZE, jpeg, noted, paper, pdf_of, scanned
from tests.tasks.capture.test_document import new_document, state
from tests.tasks.decided import decide

PAGES = [jpeg(scanned(paper(number))) for number in range(1, 7)]
BLURRED = jpeg(scanned(paper(2), blur=4))


@pytest.fixture(autouse=True)
def blocks(records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks as the tasks find them."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(ObjectStore, "get", staticmethod(lambda: objects))


class Counter:
    """A component and the officer who scans parts of it again."""

    def __init__(
        self, records: RecordsDatabase, objects: ObjectStore, folder: Path, files: Sequence[bytes], **declared: object
    ) -> None:
        self.records, self.objects, self.folder = records, objects, folder
        self.document = new_document(records, objects, files, **declared)  # type: ignore[arg-type]
        self.report = capture(records, objects, self.document)
        with records.session() as session:
            dossier = session.get_one(Dossier, session.get_one(Document, self.document).dossier_id)
            self.dossier, self.submission = dossier.id, dossier.submission

    def path(self, data: bytes, suffix: str = "jpg") -> Path:
        path = self.folder / f"{hashlib.sha256(data).hexdigest()[:8]}.{suffix}"
        path.write_bytes(data)
        return path

    def hand_in(
        self,
        *whole: bytes,
        replaced: dict[int, bytes] | None = None,
        inserted: dict[int, bytes] | None = None,
        removed: Sequence[int] = (),
    ) -> None:
        attempt = state(self.records, self.document).attempt + 1
        hand_in_rescan(
            self.records,
            self.objects,
            by_command(),
            self.submission,
            1,
            attempt,
            [self.path(data, "pdf" if data.startswith(b"%PDF") else "jpg") for data in whole],
            replaced={place: self.path(data) for place, data in (replaced or {}).items()},
            inserted={place: self.path(data) for place, data in (inserted or {}).items()},
            removed=removed,
        )

    def capture(self) -> list[str]:
        """Take what was handed in, twice as after a retry; codes of what is wrong with it."""
        attempt = state(self.records, self.document).attempt + 1
        took = {receive_rescan(self.records, self.objects, self.submission, self.document, attempt) for _ in range(2)}
        assert len(took) == 1
        self.report = capture(self.records, self.objects, self.document, attempt=attempt)
        return [problem.code for problem in self.report.problems]

    def again(self, *, pages: Sequence[int] = (), whole: bool = False) -> str:
        """The resolving officer sends it back; key of the decision."""
        with self.records.session() as session:
            document = session.get_one(Document, self.document)
            for target in (S.DA_KY_CA_NHAN, S.OCR, S.CHO_XAC_NHAN):
                move_document(session, document, target, actor="system", rule="CA01")
            key = f"verification-{document.attempt}"
        again = {"rescan": [1] if whole else [], "rescan_pages": [{"component": 1, "page": page} for page in pages]}
        decide(self.records, self.dossier, key, "QUET_LAI", "gq.01", **again)
        assert send_back(self.records, self.dossier, key) == [self.document]
        assert state(self.records, self.document).state is S.CHUP_LAI
        return key

    def missing(self) -> list[str]:
        with self.records.session() as session:
            return missing_scans(session, self.dossier)

    def asked(self) -> RescanRequest:
        with self.records.session() as session:
            return requested_rescan(session, session.get_one(Document, self.document))

    def images(self) -> list[str]:
        """SHA-256 of the images of the current attempt, in the order of the PDF."""
        attempt = state(self.records, self.document).attempt
        with self.records.session() as session:
            query = select(Page).where(Page.document_id == self.document, Page.attempt == attempt)
            return [page.image_sha256 for page in sorted(session.exec(query), key=lambda page: page.number)]


def hashes(*images: bytes) -> list[str]:
    return [hashlib.sha256(image).hexdigest() for image in images]


def test_CA05_only_the_bad_page_is_scanned_again(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, [PAGES[0], BLURRED, PAGES[2]], pages=3)
    assert [p.code for p in counter.report.problems] == ["PAGE_BLURRED"] and counter.asked() == RescanRequest([2])
    assert "thành phần 1, trang 2" in describe_rescan(counter.report.problems, counter.dossier)
    with pytest.raises(RescanMissing):
        receive_rescan(records, objects, counter.submission, counter.document, 2)
    assert counter.missing() == ["Chưa nhận được bản quét lại của thành phần 1."]
    counter.hand_in(replaced={1: PAGES[0]})
    assert counter.missing() == ["Chưa nhận được bản quét lại của thành phần 1, trang 2."]
    counter.hand_in(replaced={2: PAGES[4]})
    counter.hand_in(replaced={2: PAGES[1]})  # the newest counts
    assert counter.missing() == [] and counter.capture() == []
    assert counter.images() == hashes(*PAGES[:3])
    with records.session() as session:
        scans = sorted((s.attempt, s.ordinal, s.place) for s in session.exec(select(Scan)))
        assert scans == [*((1, n, None) for n in (1, 2, 3)), *((2, n, None) for n in (1, 2, 3)), (2, 4, 1), (2, 5, 2)]
        told = [event.sentence for event in history(session, counter.dossier)]
        assert "Thành phần 1: nhận bản quét lại, trang 1, 2." in told
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "rescan")).one()
        assert entry.details == {"attempt": 2, "files": 2, "pages": [1, 2]}


def test_CA05_a_page_of_one_scanned_pdf_and_then_another_one(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, [pdf_of(PAGES[:3])], pages=3)
    assert counter.report.ok
    counter.again(pages=[3])
    assert counter.asked() == RescanRequest([3])
    counter.hand_in(replaced={3: PAGES[3]})
    assert counter.capture() == [] and counter.images()[2:] == hashes(PAGES[3])
    counter.again(pages=[1])
    counter.hand_in(replaced={1: PAGES[4]})
    assert counter.capture() == []
    assert counter.images()[0::2] == hashes(PAGES[4], PAGES[3])  # the page of the first rescan is still there
    counter.again(whole=True)
    assert counter.asked() == RescanRequest([])
    counter.hand_in(pdf_of([PAGES[5], *PAGES[1:3]]))
    counter.hand_in(replaced={2: PAGES[0]})  # of the new whole
    assert counter.capture() == []
    assert counter.images()[1] == hashes(PAGES[0])[0]
    assert state(records, counter.document).attempt == 4


def test_CA06_a_forgotten_page_is_put_in(tmp_path: Path, records: RecordsDatabase, objects: ObjectStore) -> None:
    counter = Counter(records, objects, tmp_path, [PAGES[0], PAGES[3], BLURRED], pages=5)
    assert {p.code for p in counter.report.problems} == {"PAGES_MISSING", "PAGE_BLURRED"}
    assert counter.asked() == RescanRequest([], short=True)
    counter.hand_in(inserted={2: PAGES[1], 3: PAGES[2]}, replaced={3: PAGES[4]})
    counter.hand_in(inserted={2: PAGES[1]})  # handed in twice is put in once
    assert counter.capture() == [] and counter.images() == hashes(*PAGES[:5])


def test_CA06_blank_backs_go_when_an_officer_says_so_and_nothing_else_does(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    """Two pages of which a duplex scanner gave the backs, too."""
    blank = jpeg(scanned(Image.new("RGB", SIZE, (250, 250, 247)), 7))
    counter = Counter(records, objects, tmp_path, [pdf_of([PAGES[0], blank, PAGES[1], blank])], pages=2)
    with records.session() as session:
        assert blank_places(session, session.get_one(Document, counter.document)) == [2, 4]
        case = PartnerCase(
            partner_id="p", reference="r", submission=counter.submission, unit_id="U", procedure_code="P"
        )
        (wanted,) = view_case(session, Catalog(), case).waiting_for
        assert wanted.blank == [2, 4]  # a partner's system is told, too
    counter.hand_in(removed=[2, 3])  # 3 is no blank page
    assert "PAGE_NOT_BLANK" in counter.capture()
    counter.hand_in(removed=[3])  # one of them has gone
    assert counter.capture() == []
    assert counter.report.pages == 2
    with records.session() as session:
        pages = session.exec(select(Page).where(Page.document_id == counter.document)).all()
        assert [page.image_sha256 for page in sorted(pages, key=lambda page: page.number)] == hashes(*PAGES[:2])
        asked = session.exec(select(AuditEntry).where(AuditEntry.action == "rescan")).all()
        assert [entry.details["removed"] for entry in asked] == [[2, 3], [3]]


def test_CA05_a_damaged_file_is_healed_by_its_page(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, [PAGES[0], PAGES[1][:9000]], pages=2)
    assert [p.code for p in counter.report.problems] == ["FILE_TRUNCATED"]
    counter.hand_in(replaced={2: PAGES[1]})
    assert counter.capture() == [] and counter.images() == hashes(*PAGES[:2])
    with records.session() as session:
        assert {s.refused_code for s in session.exec(select(Scan).where(Scan.attempt == 2))} == {None}


def test_CA06_what_replaces_a_page_is_one_page_and_has_a_place(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, [PAGES[0], BLURRED], pages=2)
    counter.hand_in(replaced={2: pdf_of(PAGES[1:3]), 7: PAGES[3]})
    assert sorted(counter.capture()) == ["ONE_PAGE", "PAGE_UNKNOWN"]
    assert state(records, counter.document).state is S.CHUP_LAI
    counter.hand_in(replaced={2: PAGES[1]})  # neither stands in the way
    assert counter.capture() == [] and counter.images() == hashes(*PAGES[:2])


def test_CA07_both_images_of_a_page_with_a_note_are_asked_for(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    with_note = jpeg(scanned(noted(paper(2))))
    counter = Counter(records, objects, tmp_path, [PAGES[0], with_note, BLURRED], pages=2, notes=[2])
    assert not counter.report.ok and counter.asked() == RescanRequest([2, 3])
    told = describe_rescan(counter.report.problems, counter.dossier)
    assert "ảnh 2: trang 2 (còn giấy ghi chú)" in told and "ảnh 3: trang 2." in told
    counter.hand_in(replaced={2: with_note, 3: jpeg(scanned(paper(2), 5, skew=-0.4))})
    assert counter.missing() == [] and counter.capture() == []


def test_CA05_the_pause_asks_for_the_pages_that_are_missing(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    counter = Counter(records, objects, tmp_path, PAGES[:2], pages=2)
    counter.again(pages=[2])
    answer = Rescan(decision=RescanDecision.DA_QUET_LAI, officer="tnhs.01")
    assert "Chưa nhận được bản quét lại của thành phần 1." in check_rescan(counter.dossier, answer)
    counter.hand_in(PAGES[0], PAGES[3])  # the whole component will do, too
    assert not [fault for fault in check_rescan(counter.dossier, answer) if "quét lại" in fault]


def test_CA08_files_that_nobody_handed_in_do_not_count(records: RecordsDatabase, objects: ObjectStore) -> None:
    """Whoever can write to the bucket has handed nothing in."""
    prefix = "s" * 32 + "/rescan/2/2/"
    objects.put_once(Bucket.INBOX, prefix + "0001.jpg", b"x", content_type="application/octet-stream")
    with records.session() as session:
        assert handed_in(session, "s" * 32, 2, 2) == []
