"""Sao chụp một thành phần hồ sơ (Điều 8): from the scanner's files to one checked PDF/A-2b.

Originals are read by their hash (CA08) and opened in the guarded process; every problem is collected, not only the
first. The effect (pages, file, states, audit) is one transaction; called again, the first outcome is returned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError, InvalidTransition, Problem
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, file_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import attempt_entry, locked
from blocks.records.sources import sources_of
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Dossier, Incident, Page, Scan
from tasks.artifacts import progress_shown
from tasks.capture import errors
from tasks.capture.again import note_built, title_of
from tasks.capture.build import build_pdf
from tasks.capture.facts import REMOVED, turned
from tasks.capture.guard import inspect_guarded
from tasks.capture.pages import ScannedPage, Slot, check_names, check_pages, check_quality, layout, measure
from tasks.capture.scan_time import CapturedAt, captured_at

BUILT = "built.pdf"
STARTS = {DocumentState.CHO_SAO_CHUP, DocumentState.CHUP_LAI, DocumentState.DA_SAO_CHUP}


class CaptureReport(BaseModel):
    """What capture found. pages: images in the PDF (with-note images included); no personal data.

    notices: what the officer should look at although nothing is wrong with the scans.
    """

    ok: bool
    pages: int = 0
    problems: list[Problem] = []
    notices: list[Problem] = []
    files: list[int] = []  # of a refused component: which file each of its images came from, in order
    file_key: str | None = None  # in WORKING
    file_sha256: str | None = None
    file_version: str = ""


@dataclass
class _Job:
    """One attempt at one document, as the records have it."""

    document: Document
    scans: list[Scan]
    shared: dict[str, int]  # SHA-256 of a file → ordinal of another component that has it too
    pages: list[ScannedPage] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    files: list[int] = field(default_factory=list)  # of each image, also of one that can't be used
    problems: list[Problem] = field(default_factory=list)
    times: list[datetime | None] = field(default_factory=list)  # when each file says that it was scanned
    taken: CapturedAt | None = None
    repaired: list[int] = field(default_factory=list)  # files whose table of objects was made anew

    def refuse(self, found: Sequence[Problem]) -> None:
        self.problems += [p.model_copy(update={"component": self.document.ordinal}) for p in found]


def capture(
    records: RecordsDatabase,
    objects: ObjectStore,
    document_id: DocumentId,
    actor: str = "system",
    *,
    attempt: int | None = None,
) -> CaptureReport:
    """Check the scans of a document's capture attempt and build its PDF/A. Idempotent.

    Moves CHO_SAO_CHUP or CHUP_LAI → DA_SAO_CHUP → DAT_KIEM_TRA, or → CHUP_LAI with problems; notes `refused_code` on
    scans. attempt: only to read an earlier outcome again; None: the document's current one. Raises InvalidTransition
    when the document doesn't wait for capture, IntegrityError (with an incident) when an original was altered.
    """
    with records.session() as session:
        document = session.exec(select(Document).where(Document.id == document_id)).one()
        known = outcome(session, document_id, attempt or document.attempt)
        if known is not None:
            return known
        if document.state not in STARTS:
            raise InvalidTransition(source=document.state.value, target=DocumentState.DA_SAO_CHUP.value)
        job = _Job(document, _scans(session, document), _shared_files(session, document))
        dossier = session.get_one(Dossier, document.dossier_id)
        received, backlog = _received(session, dossier, job.scans), dossier.transitional
    with TemporaryDirectory(prefix="sohoa-capture-") as folder:
        work = Path(folder)
        readable = _read_files(records, objects, job, work)
        _check(job, readable)
        job.taken = captured_at(job.times, document.declared_at, received, backlog=backlog)
        files = job.files if job.problems else []
        report = CaptureReport(
            ok=not job.problems, pages=len(job.pages), problems=job.problems, notices=_notices(job), files=files
        )
        if report.ok:
            report = _store(objects, job, work, report)
    return _record(records, job, report, actor)


def _scans(session: Session, document: Document) -> list[Scan]:
    query = select(Scan).where(Scan.document_id == document.id, Scan.attempt == document.attempt)
    return list(session.exec(query.order_by(col(Scan.ordinal))))


def _received(session: Session, dossier: Dossier, scans: Sequence[Scan]) -> datetime:
    """When the last of these files was handed in."""
    hashes = {scan.sha256 for scan in scans if scan.sha256}
    parts = [row.at for row in sources_of(session, dossier.submission) if hashes & set(row.files.values())]
    return max(parts, default=dossier.created_at)


def _shared_files(session: Session, document: Document) -> dict[str, int]:
    """CA10: files of the dossier's other components, by hash."""
    query = (
        select(Scan.sha256, Document.ordinal)
        .join(Document, col(Scan.document_id) == Document.id)
        .where(Document.dossier_id == document.dossier_id, Document.id != document.id)
        .where(Scan.attempt == Document.attempt, Scan.sha256 != "")
    )
    return {sha256: ordinal for sha256, ordinal in session.exec(query)}


def outcome(session: Session, document_id: DocumentId, attempt: int) -> CaptureReport | None:
    """The report of an attempt that was already judged, from the audit trail."""
    entry = attempt_entry(session, document_id, "capture", attempt)
    return CaptureReport.model_validate(entry.details["report"]) if entry else None


@dataclass
class _Image:
    """One place in the component: its image, or why it has none."""

    file: int  # ordinal of the scan
    page: ScannedPage | None = None
    problem: Problem | None = None


def _read_files(records: RecordsDatabase, objects: ObjectStore, job: _Job, work: Path) -> bool:
    """Fetch, check and measure each file; False when some image can't be used at all.

    A file that can't be read holds one place. What replaces it, or is put in, is of one page each (Điều 8.2).
    """
    if not job.scans:
        job.refuse([errors.FileMissing().problem()])
        return False
    images: list[_Image] = []
    paper = job.document
    bar = f"chup-{paper.id}-{paper.attempt}", f"Kiểm tra {len(job.scans)} tệp quét của giấy tờ số {paper.ordinal}"
    with progress_shown(*bar, len(job.scans)) as one_more:
        for scan in job.scans:
            if scan.media_type == REMOVED:
                _take_out(job, images, scan)
                one_more()
                continue
            try:
                if scan.sha256 in job.shared and not scan.parts:  # two papers on one image, as was decided, share it
                    raise errors.ComponentFiles(other=job.shared[scan.sha256])
                found = [_Image(scan.ordinal, page) for page in _read_file(records, objects, job, scan, work)]
                if scan.place is not None and len(found) != 1:
                    raise errors.OnePage(found=len(found))
            except errors.ScanError as error:
                slot = places(job.document).get(scan.place or 0)  # of a file in order the page is not known
                page = slot.paper_page if slot else None
                found = [_Image(scan.ordinal, problem=error.problem(file=scan.ordinal, page=page))]
            if scan.place is None:
                images += found
            elif not 1 <= scan.place <= len(images) + scan.added:
                job.refuse([errors.PageUnknown(found=len(images)).problem(file=scan.ordinal, page=scan.place)])
            else:
                images[scan.place - 1 : scan.place - (1 if scan.added else 0)] = found
            one_more()
    job.files = [image.file for image in images]
    job.pages = [image.page for image in images if image.page is not None]
    job.refuse([image.problem for image in images if image.problem is not None])
    return not job.problems


def _take_out(job: _Job, images: list[_Image], scan: Scan) -> None:
    """The image goes, if it is blank indeed: nobody drops what can be read."""
    place = scan.place or 0
    page = images[place - 1].page if 1 <= place <= len(images) else None
    if page is None:
        job.refuse([errors.PageUnknown(found=len(images)).problem(file=scan.ordinal, page=place)])
    elif not page.quality.is_blank:
        job.refuse([errors.PageNotBlank().problem(file=scan.ordinal, page=place)])
    else:
        del images[place - 1]


def places(document: Document) -> dict[int, Slot]:
    """Place of each image in the component's PDF → which page of the paper it shows (CA06, CA07)."""
    return dict(enumerate(layout(document.declared_pages, document.note_pages), 1))


def _read_file(records: RecordsDatabase, objects: ObjectStore, job: _Job, scan: Scan, work: Path) -> list[ScannedPage]:
    if not scan.object_key:
        raise errors.FileMissing()
    folder = work / f"{scan.ordinal:04d}"
    folder.mkdir()
    original = folder / "original"
    try:
        objects.download(Bucket.INTAKE, scan.object_key, original, version=scan.version, sha256=scan.sha256)
    except IntegrityError:
        _incident(records, job.document, scan)
        raise
    dpi = job.document.scan_dpi
    facts = inspect_guarded(original, dpi, folder)
    original.unlink()
    scan.media_type = facts.media_type
    job.times.append(facts.taken)
    if facts.repaired:
        job.repaired.append(scan.ordinal)
    return [measure(page, dpi, scan.ordinal, scan.sequence) for page in turned(facts.pages, scan.turned)]


def _incident(records: RecordsDatabase, document: Document, scan: Scan) -> None:
    with records.session() as session:
        details = {"attempt": scan.attempt, "file": scan.ordinal}
        ids: dict[str, Any] = {"dossier_id": document.dossier_id, "document_id": document.id}
        session.add(Incident(**ids, code=IntegrityError.code, rule="CA08", details=details))
        audit(session, actor="system", action="incident", rule="CA08", details=details, **ids)


def _check(job: _Job, readable: bool) -> None:
    document = job.document
    if readable:
        found, job.slots = check_pages(job.pages, document.declared_pages, document.note_pages, document.scan_dpi)
        job.refuse(found)
        return
    # Some file is missing: which page an image shows, and how many there are, isn't known.
    for page in job.pages:
        job.refuse(check_quality(page, None))


def _notices(job: _Job) -> list[Problem]:
    found = check_names([(scan.ordinal, scan.sequence) for scan in job.scans if scan.place is None])
    return [problem.model_copy(update={"component": job.document.ordinal}) for problem in found]


def _store(objects: ObjectStore, job: _Job, work: Path, report: CaptureReport) -> CaptureReport:
    document = job.document
    target = work / BUILT
    sha256 = build_pdf([page.facts for page in job.pages], document.scan_dpi, title_of(document), target)
    key = file_key(document, BUILT)
    stored = objects.put_once(Bucket.WORKING, key, target, content_type="application/pdf")
    if stored.sha256 != sha256:
        raise IntegrityError()
    note_built(document, job.scans, sha256)
    return report.model_copy(update={"file_key": key, "file_sha256": sha256, "file_version": stored.version})


def _record(records: RecordsDatabase, job: _Job, report: CaptureReport, actor: str) -> CaptureReport:
    """The effect, in one transaction; a rival's outcome that came first is returned instead."""
    attempt = job.document.attempt
    with records.session() as session:
        document = locked(session, Document, job.document.id)
        known = outcome(session, document.id, attempt)
        if known is not None:
            return known
        if document.attempt != attempt:
            raise InvalidTransition(source=document.state.value, target=DocumentState.DA_SAO_CHUP.value)
        _mark_scans(session, job)
        move_document(session, document, DocumentState.DA_SAO_CHUP, actor=actor, rule="CA01")
        document.page_count = report.pages
        if report.ok:
            session.add_all(_page_rows(job))
            document.file_key, document.file_sha256 = report.file_key, report.file_sha256
            document.file_version = report.file_version
            if job.taken:
                document.captured_at, document.captured_at_source = job.taken.at, job.taken.source.value
        session.add(document)
        audit(
            session,
            actor=actor,
            action="capture",
            dossier_id=document.dossier_id,
            document_id=document.id,
            rule="CA08",
            details={
                "attempt": attempt,
                "files": len(job.scans),
                "scans_sha256": _chain(scan.sha256 for scan in job.scans),
                "images_sha256": _chain(page.facts.sha256 for page in job.pages),
                "report": report.model_dump(mode="json"),
                "taken": job.taken.model_dump(mode="json") if job.taken else None,
                **({"repaired": job.repaired} if job.repaired else {}),
            },
        )
        target = DocumentState.DAT_KIEM_TRA if report.ok else DocumentState.CHUP_LAI
        codes = sorted({problem.code for problem in report.problems})
        rule = report.problems[0].rule if report.problems else "CA09"
        move_document(session, document, target, actor=actor, rule=rule, details={"codes": codes} if codes else None)
    return report


def _chain(hashes: Iterable[str]) -> str:
    """One hash over an ordered list of hashes: a link of the chain of CA08."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _mark_scans(session: Session, job: _Job) -> None:
    codes = {problem.file: problem.code for problem in reversed(job.problems) if problem.file is not None}
    for scan in job.scans:
        row = session.get_one(Scan, scan.id)
        row.media_type = scan.media_type
        row.refused_code = codes.get(scan.ordinal)
        session.add(row)


def _page_rows(job: _Job) -> list[Page]:
    scan_ids = {scan.ordinal: scan.id for scan in job.scans}
    rows = []
    for number, (page, slot) in enumerate(zip(job.pages, job.slots, strict=True), 1):
        rows.append(
            Page(
                document_id=job.document.id,
                scan_id=scan_ids[page.file],
                attempt=job.document.attempt,
                number=number,
                paper_page=slot.paper_page,
                with_note=slot.with_note,
                width=page.facts.width,
                height=page.facts.height,
                dpi=job.document.scan_dpi,
                image_sha256=page.facts.sha256,
                quality=page.quality.model_dump(mode="json") | {"orientation": page.facts.orientation},
            )
        )
    return rows
