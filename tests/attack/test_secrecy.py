"""Attacks on a paper that may be secret: who else sees it, what destroys it, what lets it go on (Điều 5.4; SC13)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest
from PIL import ImageDraw
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.errors import InvalidTransition
from blocks.identity import DecisionNotProven
from blocks.objects import Bucket, ObjectMissing, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.tables import AuditEntry, Document, Dossier, FieldValue, Page
from deployments.desk.images import WIDTH, ImageGone, Images
from tasks import artifacts
from tasks.archive.closing import NotStored, announce_result, return_case
from tasks.capture.completeness.facts import dossier_facts
from tasks.decisions.shown import shown
from tasks.pauses.secrecy import Secrecy, SecrecyDecision
from tasks.pauses.secrecy import check as check_secrecy
from tasks.pauses.secrecy import describe as describe_secrecy
from tasks.reading import ocr
from tasks.reading import steps as reading
from tasks.reading.ocr import read_pages
from tasks.reading.steps import read_pages as read_pages_step
from tasks.scope import quarantine
from tasks.scope.quarantine import take_back
from tasks.scope.steps import isolate
from tasks.verification.review import NotAssignedToUnit, look
from tests.attack.plugin import Attack
from tests.samples.look import font
from tests.tasks.decided import decide, whole_settings
from tests.tasks.lawcase import D, H, get, walk_dossier
from tests.tasks.reading.test_ocr import DPI, ENGINE, jpeg, page_image, signed_document

CATALOG = Catalog()
UNIT, LEADERS = "BHXH-TEST", {"BHXH-TEST"}


def stamped(text: str = "TỐI MẬT") -> bytes:
    """A letter with a framed stamp on it."""
    from PIL import Image

    image = Image.new("RGB", (827, 560), (250, 250, 247))
    pen = ImageDraw.Draw(image)
    pen.multiline_text((80, 260), "BÁO CÁO về việc triển khai kế hoạch", font=font("Tinos", False, False, 26), fill=0)
    pen.rectangle((90, 100, 330, 160), outline=(200, 20, 20), width=3)
    pen.text((210, 130), text, font=font("Tinos", True, False, 32), fill=(200, 20, 20), anchor="mm")
    return jpeg(image, DPI)


@dataclass
class Suspected:
    records: RecordsDatabase
    objects: ObjectStore
    dossier: UUID
    document: UUID

    def state(self) -> str:
        return get(self.records, self.document).state.value

    def texts(self) -> list[str]:
        place = f"{self.dossier}/{self.document}/"
        return [key for key in self.objects.list(Bucket.WORKING, place) if "page-" in key]

    def copies(self) -> int:
        place = f"{self.dossier}/{self.document}/"
        return sum(len(list(self.objects.list(bucket, place))) for bucket in (Bucket.INTAKE, Bucket.WORKING))

    def seen_by(self, officer: str, role: str) -> tuple[int, bool]:
        """(page images on the dossier's page, whether it says that the paper is hidden)."""
        review = look(self.records, CATALOG, self.dossier, officer, grants={(UNIT, role)})
        return review.components[0].images, review.components[0].hidden


@pytest.fixture
def suspected(records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Suspected:
    """A paper of two pages, one with a stamp, as reading leaves it."""
    monkeypatch.setattr(RecordsDatabase, "get", staticmethod(lambda: records))
    monkeypatch.setattr(Catalog, "get", staticmethod(lambda: CATALOG))
    monkeypatch.setattr(ObjectStore, "get", classmethod(lambda cls: objects))
    document = signed_document(records, objects, [page_image("THÔNG BÁO về việc họp"), stamped()])
    with records.session() as session:
        row = session.get_one(Document, document)
        row.page_count = 2
        session.add(row)
    report, texts = read_pages(records, objects, ENGINE, document)
    assert (report.secrecy, report.pages, report.problems, texts) == ("TOI_MAT", 0, [], {})
    made = Suspected(records, objects, get(records, document).dossier_id, document)
    assert made.state() == "NGHI_MAT" and made.copies() == 1  # nothing was deleted but what was read
    return made


def test_nobody_but_the_leader_sees_a_suspected_paper(attack: Attack, suspected: Suspected) -> None:
    images = Images(suspected.records, suspected.objects)
    for officer, role in (("gq.01", "RESOLVE"), ("tnhs.01", "RECEIVE"), ("vt.01", "SEAL"), ("kt.01", "AUDIT")):
        with attack(f"{role} opens the dossier of a paper that may be secret", watch=suspected.state) as told:
            seen = suspected.seen_by(officer, role)
            told.answered(f"{seen[0]} images; the page says that only the leader sees it")
            assert seen == (0, True)
            with suspected.records.session() as session:
                entry = session.exec(select(AuditEntry).where(AuditEntry.action == "view")).all()[-1]
            told.audited(f"view by {entry.actor}")
        token = images.address(officer, suspected.document, 2).removeprefix("/anh/")
        with attack(f"{role} asks for the image by an address that was good before", watch=suspected.state) as told:
            with pytest.raises(ImageGone) as refused:
                images.open(token, officer, WIDTH, {UNIT}, set())
            told.answered(refused.value.code)
    assert suspected.seen_by("ld.01", "LEAD") == (2, False)
    token = images.address("ld.01", suspected.document, 2).removeprefix("/anh/")
    assert images.open(token, "ld.01", WIDTH, {UNIT}, LEADERS).startswith(b"\xff\xd8")
    assert not images._images and not images._files  # not even in memory
    with attack("a leader of another unit asks for the image", watch=suspected.state) as told:
        with pytest.raises(ImageGone) as refused:
            images.open(token, "ld.01", WIDTH, {UNIT}, {"BHXH-KHAC"})
        told.answered(refused.value.code)
    with attack("a leader by the staff list alone, whose group at the provider is gone", watch=suspected.state) as told:
        with pytest.raises(NotAssignedToUnit) as away:
            suspected.seen_by("ld.01", "AUDIT")
        told.answered(away.value.code)


def test_nothing_that_was_read_is_left(attack: Attack, suspected: Suspected, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(reading, "keep_markdown", lambda *args: kept.append(str(args)))
    monkeypatch.setattr(artifacts, "progress_shown", None)
    with attack(
        "what was read of it is looked for: texts, rows, artifacts, facts, the pause", watch=suspected.copies
    ) as t:
        monkeypatch.setattr(ocr.OcrEngine, "get", staticmethod(lambda: ENGINE))
        report = read_pages_step.fn(suspected.document, 1)  # a retry of the step
        assert report.secrecy == "TOI_MAT" and report.mean_confidence == 0 and kept == []
        with suspected.records.session() as session:
            pages = session.exec(select(Page).where(Page.document_id == suspected.document)).all()
            assert all(page.text_key is None and page.readable is None for page in pages)
            assert session.exec(select(FieldValue)).all() == []
            assert dossier_facts(session, suspected.dossier) == ([], [])
        assert suspected.texts() == []
        told = describe_secrecy(suspected.dossier)
        assert "MẬT" not in told.upper().replace("ĐỘ MẬT", "").replace("GIẤY TỜ MẬT", "")  # no level that was read
        t.answered("no text, no field, no artifact, no row of figures")


def test_a_paper_is_not_destroyed_without_the_leader(attack: Attack, suspected: Suspected) -> None:
    with attack("the step that deletes is run without a decision", watch=suspected.copies) as told:
        with pytest.raises(DecisionNotProven) as refused:
            isolate.fn(suspected.document, "TOI_MAT", 1, "secrecy-1")
        told.answered(refused.value.code)
    decide(suspected.records, suspected.dossier, "secrecy-1", "KHONG_PHAI_MAT", "ld.01", reason="Từ trong bảng.")
    with attack("it is to be deleted though the leader said that it isn't secret", watch=suspected.copies) as t:
        with pytest.raises(DecisionNotProven) as refused:
            isolate.fn(suspected.document, "TOI_MAT", 1, "secrecy-1")
        t.answered(refused.value.code)


def test_a_paper_is_not_shown_again_without_the_leader(attack: Attack, suspected: Suspected) -> None:
    with attack("the state machine is asked to let it go on to reading", watch=suspected.state) as told:
        with pytest.raises(InvalidTransition) as moved, suspected.records.session() as session:
            document = session.get_one(Document, suspected.document)
            move_document(session, document, D.CHO_XAC_NHAN, actor="gq.01")
        told.answered(moved.value.code)
    decide(suspected.records, suspected.dossier, "secrecy-1", "KHONG_PHAI_MAT", "ld.01", reason="Từ trong bảng.")
    with attack("a decision about this paper is used for its next scan", watch=suspected.state) as told:
        with pytest.raises(DecisionNotProven) as refused:
            take_back(suspected.records, suspected.document, 2, "secrecy-1")
        told.answered(refused.value.code)
    with attack("the case is returned while the paper waits", watch=suspected.state) as told:
        walk_dossier(suspected.records, suspected.dossier, H.SO_HOA)
        return_case(suspected.records, suspected.dossier, "ld.01", "Thiếu giấy tờ.")
        told.answered("returned; the paper stays isolated")


def test_a_result_does_not_go_out_while_a_paper_waits(attack: Attack, suspected: Suspected) -> None:
    walk_dossier(suspected.records, suspected.dossier, H.KY_CO_QUAN)
    with attack("the case is closed while a paper may be secret", watch=suspected.state) as told:
        with pytest.raises(NotStored) as refused:
            announce_result(suspected.records, suspected.dossier, "system")
        told.answered(refused.value.code)


def test_SC13_confirmed_every_version_is_gone(suspected: Suspected) -> None:
    with suspected.records.session() as session:
        dossier = session.get_one(Dossier, suspected.dossier)
        keys = [
            (Bucket.INTAKE, f"{suspected.dossier}/{suspected.document}/1/0001.jpg"),
            (Bucket.INBOX, f"{dossier.submission}/r1/c1/0001-1.jpg"),
        ]
    for bucket, key in keys:
        suspected.objects.put_once(bucket, key, b"image", content_type="image/jpeg")
    decide(suspected.records, suspected.dossier, "secrecy-1", "XAC_NHAN_MAT", "ld.01")
    report = isolate.fn(suspected.document, "TOI_MAT", 1, "secrecy-1")
    assert (report.removed, suspected.state(), suspected.copies()) == (3, "CACH_LY_MAT", 0)
    for bucket, key in keys:
        assert not list(suspected.objects.list(bucket, key))
        with pytest.raises(ObjectMissing):
            suspected.objects.unproven(bucket, key)
    with suspected.records.session() as session:
        done = session.exec(select(AuditEntry).where(AuditEntry.action == "quarantine")).one()
    assert (done.actor, done.details["objects_removed"]) == ("ld.01", 3)


def test_SC13_a_false_alarm_goes_on_where_it_was(suspected: Suspected) -> None:
    no = Secrecy(decision=SecrecyDecision.KHONG_PHAI_MAT, officer="ld.01")
    assert check_secrecy(suspected.dossier, no) != []  # needs a reason
    assert check_secrecy(suspected.dossier, no.model_copy(update={"reason": "Cột tiền mặt."})) == []
    with whole_settings(), suspected.records.session() as session:
        listed = shown(session, CATALOG, suspected.dossier)
    assert ["suspected", str(suspected.document), 1] in listed
    decide(suspected.records, suspected.dossier, "secrecy-1", "KHONG_PHAI_MAT", "ld.01", reason="Cột tiền mặt.")
    take_back(suspected.records, suspected.document, 1, "secrecy-1")
    take_back(suspected.records, suspected.document, 1, "secrecy-1")
    quarantine.require_cleared(suspected.records, suspected.document, 1, "secrecy-1")
    report, texts = read_pages(suspected.records, suspected.objects, ENGINE, suspected.document, cleared=True)
    assert (report.secrecy, report.readable, suspected.state()) == (None, 2, "OCR")
    assert any("MẬT" in line.text for line in texts[2].lines) and len(suspected.texts()) == 2
    assert suspected.seen_by("gq.01", "RESOLVE") == (2, False)
