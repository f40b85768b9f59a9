"""The archival PDF built a second time from the scanner's files: what is signed must be exactly this (CA08)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from blocks.objects import Bucket, ObjectStore
from blocks.records.tables import Document, Scan
from tasks.capture.build import write_pdf
from tasks.capture.facts import PageFacts, turned
from tasks.capture.guard import inspect_guarded


def title_of(document: Document) -> str:
    return f"Thành phần hồ sơ {document.id}"


_lately: dict[tuple[object, ...], str] = {}  # what this process has built, by all that it was built from
_LATELY_MANY = 256


def _made_from(document: Document, scans: Sequence[Scan]) -> tuple[object, ...]:
    return title_of(document), document.scan_dpi, *(_told(scan) for scan in scans)


def _told(scan: Scan) -> tuple[object, ...]:
    return scan.sha256, scan.place, scan.added, *sorted(scan.turned.items())


def note_built(document: Document, scans: Sequence[Scan], sha256: str) -> None:
    """The PDF of a capture attempt was built of these files by this process: it needn't build it again to compare."""
    if len(_lately) >= _LATELY_MANY:
        _lately.clear()
    _lately[_made_from(document, scans)] = sha256


def rebuilt_sha256(objects: ObjectStore, document: Document, scans: Sequence[Scan]) -> str:
    """SHA-256 of the PDF that these files of one capture attempt give, in their order and with their replacements.

    Raises IntegrityError when a file isn't the recorded one, ScanError when one can't be read (it could before).
    """
    if (known := _lately.get(_made_from(document, scans))) is not None:
        return known
    pages: list[PageFacts] = []
    with TemporaryDirectory(prefix="sohoa-again-") as name:
        folder = Path(name)
        for scan in scans:
            original, images = folder / f"{scan.ordinal:04d}.in", folder / f"{scan.ordinal:04d}"
            images.mkdir()
            objects.download(Bucket.INTAKE, scan.object_key, original, sha256=scan.sha256)
            found = turned(inspect_guarded(original, document.scan_dpi, images).pages, scan.turned)
            if scan.place is None:
                pages += found
            else:
                pages[scan.place - 1 : scan.place - (1 if scan.added else 0)] = found
        return write_pdf(pages, document.scan_dpi, title_of(document), folder / "again.pdf")
