"""CA02: the time of capture is the scan's, and how it is known stands beside it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image
from sqlmodel import select

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceKind
from blocks.records.tables import AuditEntry, Document, Dossier, Scan
from tasks.capture.document import capture
from tasks.capture.file_checks import inspect_file
from tasks.capture.scan_time import CapturedAt, TimeSource, captured_at, time_in_file
from tasks.intake.hand_in import hand_in
from tasks.intake.manifest import ManifestInvalid
from tasks.intake.origin import Origin
from tasks.signing.appearance import officer_text
from tests.tasks.capture.pages_for_tests import jpeg, paper, pdf_of, scanned
from tests.tasks.capture.test_document import new_document
from tests.tasks.intake.test_submission import COMMAND, PAGES, folder, manifest

RECEIVED = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PLAIN = jpeg(scanned(paper(1)))


def stamped(data: bytes, **exif: str) -> bytes:
    """The same JPEG with EXIF times; the image itself isn't encoded again."""
    tags = Image.Exif()
    inner = tags.get_ifd(0x8769)
    names = {"original": 0x9003, "offset": 0x9011}
    inner |= {names[name]: value for name, value in exif.items() if name in names}
    if "changed" in exif:
        tags[0x0132] = exif["changed"]
    block = b"Exif\0\0" + tags.tobytes().removeprefix(b"Exif\0\0")
    return data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]


@pytest.mark.parametrize(
    ("exif", "at"),
    [
        ({"original": "2026:11:20 08:30:15"}, datetime(2026, 11, 20, 1, 30, 15, tzinfo=UTC)),  # Viet Nam's time
        ({"original": "2026:11:20 08:30:15", "offset": "+00:00"}, datetime(2026, 11, 20, 8, 30, 15, tzinfo=UTC)),
        ({"changed": "2026:11:20 08:30:15"}, datetime(2026, 11, 20, 1, 30, 15, tzinfo=UTC)),
        ({"original": "2026:13:45 99:00:00"}, None),
        ({"original": "hôm qua"}, None),
        ({}, None),
    ],
)
def test_what_a_jpeg_says(tmp_path: Path, exif: dict[str, str], at: datetime | None) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(stamped(PLAIN, **exif))
    assert inspect_file(path, 200).taken == at


def test_what_tiff_and_pdf_say(tmp_path: Path) -> None:
    at = datetime(2026, 11, 20, 1, 30, 15, tzinfo=UTC)
    with Image.open(io.BytesIO(PLAIN)) as image:
        image.save(tmp_path / "a.tif", "TIFF", dpi=(200, 200), tiffinfo={306: "2026:11:20 08:30:15"})
    assert inspect_file(tmp_path / "a.tif", 200).taken == at
    for said in ("D:20261120083015+07'00'", "D:20261120013015Z", "D:20261120083015"):
        with pikepdf.open(io.BytesIO(pdf_of([PLAIN]))) as pdf:
            pdf.docinfo["/CreationDate"] = said
            pdf.save(tmp_path / "a.pdf")
        assert time_in_file(tmp_path / "a.pdf", "application/pdf") == at


@pytest.mark.parametrize(
    ("files", "declared", "source", "doubt"),
    [
        ([-DAY], None, "FILE", ""),
        ([-DAY, -2 * DAY], None, "FILE", ""),  # the latest page ends the capture
        ([-DAY, None], None, "RECEIVED", ""),  # one page doesn't say
        ([None], -DAY, "DECLARED", ""),
        ([None], None, "RECEIVED", ""),
        ([DAY], None, "RECEIVED", "FILE_IMPLAUSIBLE"),
        ([-400 * DAY], -DAY, "DECLARED", "FILE_IMPLAUSIBLE"),
        ([None], -400 * DAY, "RECEIVED", "DECLARED_IMPLAUSIBLE"),
        ([-DAY], -10 * DAY, "RECEIVED", "CONTRADICTION"),
    ],
)
def test_CA02_which_time_counts(
    files: list[timedelta | None], declared: timedelta | None, source: str, doubt: str
) -> None:
    found = captured_at(
        [RECEIVED + at if at is not None else None for at in files],
        RECEIVED + declared if declared is not None else None,
        RECEIVED,
    )
    latest = max((at for at in files if at is not None), default=None)
    at = {"FILE": latest, "DECLARED": declared, "RECEIVED": timedelta()}[source]
    assert at is not None and found == CapturedAt(at=RECEIVED + at, source=TimeSource(source), doubt=doubt)


def test_a_backlog_may_be_old() -> None:
    old = RECEIVED - 400 * DAY
    assert captured_at([old], None, RECEIVED, backlog=True).source is TimeSource.FILE


def test_CA02_the_signature_says_how_the_time_is_known() -> None:
    lines = officer_text("Nguyễn Thị Hằng", RECEIVED, test=False, known="thời điểm nộp tệp")
    assert lines[1:] == ["Thời gian sao chụp: 20/11/2026 10:00:00 +07:00", "(thời điểm nộp tệp)"]


@pytest.mark.parametrize("said", ["2026:11:29 09:00:00", "2031:01:01 00:00:00", None])
def test_CA02_capture_keeps_the_scans_time(records: RecordsDatabase, objects: ObjectStore, said: str | None) -> None:
    """A forged or wrong clock in the file doesn't count; the hand-in's time does, and says so."""
    data = stamped(PLAIN, original=said) if said else PLAIN
    document = new_document(records, objects, [data])
    with records.session() as session:
        dossier = session.get_one(Dossier, session.get_one(Document, document).dossier_id)
        submission = dossier.submission
        (scan,) = session.exec(select(Scan).where(Scan.document_id == document))
        dossier.transitional = True  # the day of this test run may be any
        session.add(dossier)
    Origin(SourceKind.COMMAND, "scan").note(records, submission, "r1", {"r1/c1/0001-1.jpg": scan.sha256})
    assert capture(records, objects, document).ok
    with records.session() as session:
        row = session.get_one(Document, document)
        (entry,) = session.exec(select(AuditEntry).where(AuditEntry.action == "capture"))
    past = said is not None and said.startswith("2026:11")
    assert row.captured_at_source == ("FILE" if past else "RECEIVED") and row.captured_at is not None
    assert entry.details["taken"]["doubt"] == ("FILE_IMPLAUSIBLE" if said and not past else "")
    if past:
        assert row.captured_at == datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
    else:
        assert abs(datetime.now(UTC) - row.captured_at) < timedelta(minutes=5)


@pytest.mark.parametrize("away", [timedelta(days=1), timedelta(days=-60)])
def test_CA02_a_declared_time_must_be_plausible(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore, away: timedelta
) -> None:
    at = (datetime.now(UTC) + away).isoformat()
    component: dict[str, Any] = {"type": "X", "pages": 1, "files": ["a/0001.jpg"], "captured_at": at}
    for name, data in {"one": manifest(captured_at=at), "two": manifest(components=[component])}.items():
        (tmp_path / name).mkdir()
        with pytest.raises(ManifestInvalid) as refused:
            hand_in(records, objects, folder(tmp_path / name, data, PAGES), COMMAND)
        assert "captured_at" in refused.value.text
