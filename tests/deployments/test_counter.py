"""The counter's form as a declaration: who declares, what is kept, what is refused (B1, B3a, CA04, WH01)."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select
from starlette.datastructures import UploadFile

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Dossier
from deployments.desk.auth.sessions import Officer
from deployments.desk.counter import Counter, DeclarationInvalid, NotAtCounter
from deployments.desk.uploads import UploadRefused
from tasks.intake.hand_in import hand_in
from tasks.intake.manifest import parse_manifest
from tasks.intake.names import inbox_key
from tasks.intake.origin import by_command
from tasks.intake.submission import register, supplement_came
from tests.tasks.capture.pages_for_tests import DPI, pdf_of
from tests.tasks.intake.test_batch import pages as scans
from tests.tasks.intake.test_batch import sheet
from tests.tasks.intake.test_submission import PAGES, folder, manifest

AT_COUNTER = Officer("tnhs.02", frozenset({("BHXH-TEST", "RECEIVE")}))


@pytest.fixture
def counter(records: RecordsDatabase, objects: ObjectStore) -> Counter:
    return Counter(records, objects, Catalog(), Orchestrator("http://127.0.0.1:9"))  # nothing is started here


@pytest.fixture
def dossier(counter: Counter, tmp_path: Any) -> Dossier:
    """Handed in by somebody else, with two files of its first component."""
    # An id of its own: the same content is the same submission.
    papers, blocks = folder(tmp_path, manifest(), PAGES), (counter.records, counter.objects)
    submission = hand_in(*blocks, papers, by_command(), submission=uuid4().hex)
    register(counter.records, counter.objects, submission)
    with counter.records.session() as session:
        row = session.exec(select(Dossier)).one()
        session.expunge(row)
        return row


def upload(name: str, data: bytes = b"scan") -> UploadFile:
    return UploadFile(BytesIO(data), size=len(data), filename=name)


def declared(counter: Counter, dossier: Dossier) -> Any:
    """The supplement as it lies in INBOX."""
    return parse_manifest(counter.objects.unproven(Bucket.INBOX, inbox_key(dossier.submission, 2, "dossier.yaml"))[0])


def form(counter: Counter, dossier: Dossier, **changes: str) -> dict[str, Any]:
    """What the browser posts of the page as it is shown, with some inputs changed."""
    shown = counter.known(dossier)
    assert shown is not None
    return {name: str(value) for name, value in shown["values"].items() if value} | {
        "procedure": "1.001667",
        "captured_by": "ke.gian",
        **{f"c.{row.number}.type": shown["values"][f"c.{row.number}.type"] for row in shown["spare"]},
        **{name.replace("__", "."): value for name, value in changes.items()},
    }


def test_B3a_a_supplement_keeps_the_files_and_says_who_declares(counter: Counter, dossier: Dossier) -> None:
    typed = form(counter, dossier, originals="2", c__2__pages="1", c__2__flags__fragile="1")
    counter.supplement(AT_COUNTER, dossier, typed, {"scan.2": [upload("Máy quét 0042.PDF"), upload("b.jpg")]})
    kept = declared(counter, dossier)
    assert (kept.captured_by, kept.originals, kept.owner.name) == ("tnhs.02", 2, dossier.owner_name)
    first, second = kept.components
    assert len(first.files) == 2 and second.files == ["c2/0001-0.pdf", "c2/0002-0.jpg"]
    assert second.flags.fragile and second.type == "LOCAL:01B-HSB"
    for number, name in enumerate(first.files):
        again = counter.objects.unproven(Bucket.INBOX, inbox_key(dossier.submission, 2, name))[0]
        assert again == list(PAGES.values())[number]
    assert counter.known(dossier) is None  # has come: another form would be a second one
    counter.supplement(AT_COUNTER, dossier, typed | {"originals": "7"}, {})
    assert declared(counter, dossier).originals == 2


def test_CA04_what_was_declared_may_be_corrected_not_dropped(counter: Counter, dossier: Dossier) -> None:
    with pytest.raises(DeclarationInvalid, match="không được bớt"):
        counter.supplement(AT_COUNTER, dossier, form(counter, dossier, c__1__type=""), {})
    wrong = form(counter, dossier, c__1__pages="Hồng", owner__birth_date="hôm qua")
    with pytest.raises(DeclarationInvalid, match="ngày sinh; giấy tờ 1, số trang; giấy tờ 2, số trang") as refused:
        counter.supplement(AT_COUNTER, dossier, wrong, {})
    assert "Hồng" not in str(refused.value)
    with pytest.raises(UploadRefused):
        counter.supplement(AT_COUNTER, dossier, form(counter, dossier), {"scan.1": [upload("macro.docm")]})
    assert not supplement_came(counter.records, dossier)
    counter.supplement(
        AT_COUNTER, dossier, form(counter, dossier, c__2__type=""), {"scan.1": [upload("1.jpg", b"new")]}
    )
    assert declared(counter, dossier).components[0].files == ["c1/0001-1.jpg"]


def test_WH01_who_does_not_receive_here_hands_in_nothing(counter: Counter) -> None:
    before = list(counter.objects.list(Bucket.INBOX, ""))
    for grants in (set(), {("BHXH-TEST", "RESOLVE")}, {("BHXH-KHAC", "RECEIVE")}):
        officer = Officer("gq.01", frozenset(grants))
        if ("BHXH-KHAC", "RECEIVE") not in grants:
            with pytest.raises(NotAtCounter):
                counter.blank(officer, None)
        with pytest.raises(NotAtCounter):
            counter.submit(officer, {"unit": "BHXH-TEST"}, {})
    assert list(counter.objects.list(Bucket.INBOX, "")) == before


def test_CA06_one_scan_of_the_dossier_from_the_form(counter: Counter, tmp_path: Any) -> None:
    """A paper with a file of its own keeps it; the others come out of the scan, the sheet belongs to none."""
    typed = {
        "unit": "BHXH-TEST", "procedure": "1.001667", "originals": "3", "owner.kind": "PERSON",
        "owner.name": "Trần Văn Bình", "owner.id": "001170234567", "duplex": "",
    }  # fmt: skip
    for row, kind in enumerate(("LOCAL:GIAY-RA-VIEN", "LOCAL:CCCD", "LOCAL:01B-HSB"), 1):
        typed |= {f"c.{row}.type": kind, f"c.{row}.form": "ORIGINAL", f"c.{row}.pages": "1", f"c.{row}.dpi": str(DPI)}
    (first, other), own = scans(1, 3), scans(2)[0]
    files = {
        "scan.0": [upload("IMG_2.pdf", pdf_of([first, sheet(), other]))],
        "scan.2": [upload("cccd.jpg", own)],
    }
    counter._write(tmp_path, AT_COUNTER, typed, files, None)
    origin = counter.origin(AT_COUNTER, typed)
    submission = hand_in(counter.records, counter.objects, tmp_path, origin)
    body = counter.objects.unproven(Bucket.INBOX, inbox_key(submission, 1, "dossier.yaml"))[0]
    declared = parse_manifest(body)
    assert [component.files for component in declared.components] == [
        ["c1/0001-1.pdf"], ["c2/0001-1.jpg"], ["c3/0001-1.pdf"],
    ]  # fmt: skip
    assert declared.whole is not None and declared.whole.cut == ["0/1/2", "1/1/1", "3/1/3"]
