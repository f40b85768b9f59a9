"""Nhận dạng chữ (Điều 9.1): the page images of the signed PDF are read once, the texts kept beside it.

Images are taken as they are stored, from the hash-checked file. A text is written once under its page's key and found
again by the hash of its image: a rerun, or a rescan with the same image, reads nothing.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pikepdf
from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError, InvalidTransition, Problem
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, StoredObject, digest, file_key
from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import PageText
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.past import moves
from blocks.records.queries import get_document
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Page
from tasks.artifacts import progress_shown
from tasks.capture.guard import pixels_guarded
from tasks.capture.numbers import check_printed_numbers
from tasks.reading.secrecy import secrecy_level
from tasks.scope.quarantine import suspect, suspected_in, suspected_level

_DONE = {DocumentState.OCR, DocumentState.NHAP_TAY, DocumentState.CHO_XAC_NHAN}


class OcrReport(BaseModel):
    """What reading found; no text. secrecy: MAT, TOI_MAT or TUYET_MAT when that may be a stamp (SC13), then no more."""

    ordinal: int = 0  # of the document in its dossier
    pages: int = 0
    readable: int = 0
    mean_confidence: float = 0.0  # of the readable pages
    seconds: float = 0.0  # of reading, this time
    reused: int = 0  # pages whose text was there already
    secrecy: str | None = None
    problems: list[Problem] = []  # CA06 by the printed page numbers


@dataclass(frozen=True)
class _Work:
    """One page to read, as the records have it."""

    number: int
    image_sha256: str
    dpi: int
    with_note: bool
    known: StoredObject | None  # its text, or one of the same image, read before


def read_pages(
    records: RecordsDatabase, objects: ObjectStore, engine: OcrEngine, document_id: DocumentId, *, cleared: bool = False
) -> tuple[OcrReport, dict[int, PageText]]:
    """Read all pages of a document's current attempt: report, and the texts by page number. Idempotent.

    Moves DA_KY_CA_NHAN → OCR, or → NHAP_TAY when no page can be read (EX02). With what may be a stamp of secrecy:
    → NGHI_MAT, and no text is kept or returned, unless the leader has `cleared` the paper. Raises InvalidTransition
    when the document isn't signed by the officer yet (CA01), IntegrityError when the stored file was altered (CA08).
    """
    with records.session() as session:
        document = get_document(session, document_id)
        level = suspected_level(session, document)
        if level is None and document.state is not DocumentState.DA_KY_CA_NHAN and document.state not in _DONE:
            raise InvalidTransition(source=document.state.value, target=DocumentState.OCR.value)
        work = [] if level else _work(session, document)
    if level:  # once more, so that what a crash left is forgotten, too
        suspect(records, objects, document_id, level)
        return OcrReport(ordinal=document.ordinal, secrecy=level), {}
    started = time.perf_counter()
    texts = {}
    reused = 0
    missing = []
    for item in work:
        text = _stored(records, objects, document, item)
        if text is None:
            missing.append(item)
        else:
            texts[item.number] = text
            reused += 1
    if missing:
        wanted = {item.number: item for item in missing}
        bar = f"doc-trang-{document_id}-{document.attempt}", f"Đọc {len(work)} trang của giấy tờ số {document.ordinal}"
        with progress_shown(*bar, len(work), reused) as one_more:
            for number, image in _images(objects, document):
                if number in wanted:
                    item = wanted[number]
                    text = texts[number] = engine.read(_checked(image, item), item.dpi)
                    if cleared or secrecy_level([text]) is None:
                        _keep(records, objects, document, item, text)
                    one_more()
    unread = not cleared and document.state not in _DONE
    if unread and (level := secrecy_level(list(texts.values()))):
        suspect(records, objects, document_id, level)
        return OcrReport(ordinal=document.ordinal, secrecy=level), {}
    report = _report(document.ordinal, work, texts, reused, time.perf_counter() - started)
    _record(records, document_id, document.attempt, work, texts, bool(report.readable))
    return report, texts


def read_before(
    records: RecordsDatabase, document_id: DocumentId, attempt: int, *, cleared: bool = False
) -> OcrReport | None:
    """What reading this attempt has found, where the paper is past it; None: it is to be read, or read on.

    What is odd about its numbers isn't told any more: the officer has judged it, or it was scanned again.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        here = document.attempt == attempt
        level = suspected_in(session, document, attempt)
        if level is not None and not cleared:
            unsettled = here and document.state is DocumentState.NGHI_MAT
            return None if unsettled else OcrReport(ordinal=document.ordinal, secrecy=level)
        if here and document.state in {DocumentState.DA_KY_CA_NHAN, *_DONE}:
            return None
        for target in (DocumentState.OCR, DocumentState.NHAP_TAY):
            for entry in moves(session, document, target, source=DocumentState.DA_KY_CA_NHAN):
                if entry.details.get("attempt") == attempt:
                    return OcrReport(ordinal=document.ordinal, pages=entry.details.get("pages", 0))
    return None


def _work(session: Session, document: Document) -> list[_Work]:
    pages = session.exec(select(Page).where(Page.document_id == document.id).order_by(col(Page.number))).all()
    known = {page.image_sha256: text for page in pages if (text := _text_of(page))}
    return [
        _Work(
            page.number,
            page.image_sha256,
            page.dpi,
            page.with_note,
            _text_of(page) or known.get(page.image_sha256),
        )
        for page in pages
        if page.attempt == document.attempt
    ]


def _text_of(page: Page) -> StoredObject | None:
    """The text that the records name; one that merely lies in the store isn't known to be ours."""
    if not page.text_key or not page.text_sha256:
        return None
    return StoredObject(Bucket.WORKING, page.text_key, page.text_version, page.text_sha256, 0)


def _stored(records: RecordsDatabase, objects: ObjectStore, document: Document, item: _Work) -> PageText | None:
    """The text of this image that was read before. Raises IntegrityError when other bytes lie there (CA08)."""
    if item.known is None:
        return None
    stored = item.known
    data = objects.read(Bucket.WORKING, stored.key, version=stored.version, sha256=stored.sha256)
    text = PageText.from_json(data)
    return _keep(records, objects, document, item, text) if item.known.key != _key(document, item, text) else text


def _key(document: Document, item: _Work, text: PageText) -> str:
    """With the hash in its name: a page that is read twice leaves two texts, and the records name one."""
    return file_key(document, f"page-{item.number:04d}-{digest(text.to_json())[0][:16]}.json")


def _keep(records: RecordsDatabase, objects: ObjectStore, document: Document, item: _Work, text: PageText) -> PageText:
    """Store a text and note it at its page at once: reading goes on there after a crash."""
    key = _key(document, item, text)
    stored = objects.put_once(Bucket.WORKING, key, text.to_json(), content_type="application/json")
    with records.session() as session:
        query = select(Page).where(
            Page.document_id == document.id, Page.attempt == document.attempt, Page.number == item.number
        )
        page = session.exec(query).one()
        page.text_key, page.text_version, page.text_sha256 = stored.key, stored.version, stored.sha256
        session.add(page)
    return text


def _images(objects: ObjectStore, document: Document) -> Iterator[tuple[int, pikepdf.PdfImage]]:
    """The image of each page of the stored PDF, by page number."""
    assert document.file_key and document.file_sha256
    data = objects.read(Bucket.WORKING, document.file_key, version=document.file_version, sha256=document.file_sha256)
    with pikepdf.open(io.BytesIO(data)) as pdf:  # an image lives as long as its file is open
        for number, page in enumerate(pdf.pages, 1):
            stream = next(iter(page.get_images(recursive=False).values()))
            assert isinstance(stream, pikepdf.Stream)
            yield number, pikepdf.PdfImage(stream)


def _checked(image: pikepdf.PdfImage, item: _Work) -> np.ndarray:
    """(H, W, 3) RGB as stored. The bytes of a JPEG must be those that capture measured (CA08)."""
    if image.filters == ["/DCTDecode"]:
        raw = image.obj.read_raw_bytes()
        if hashlib.sha256(raw).hexdigest() != item.image_sha256:
            raise IntegrityError(page=item.number)
        return pixels_guarded(raw)
    return np.asarray(image.as_pil_image().convert("RGB"))


def _report(ordinal: int, work: Sequence[_Work], texts: dict[int, PageText], reused: int, seconds: float) -> OcrReport:
    readable = [texts[item.number] for item in work if texts[item.number].readable]
    lines = [line for page in readable for line in page.lines]
    letters = sum(len(line.text) for line in lines)
    mean = sum(line.confidence * len(line.text) for line in lines) / letters if letters else 0.0
    clean = [texts[item.number] for item in work if not item.with_note]
    return OcrReport(
        ordinal=ordinal,
        pages=len(work),
        readable=len(readable),
        mean_confidence=round(mean, 4),
        seconds=round(seconds, 2),
        reused=reused,
        problems=[p.model_copy(update={"component": ordinal}) for p in check_printed_numbers(clean)],
    )


def _record(
    records: RecordsDatabase,
    document_id: DocumentId,
    attempt: int,
    work: Sequence[_Work],
    texts: dict[int, PageText],
    readable: bool,
) -> None:
    with records.session() as session:
        document = get_document(session, document_id)
        pages = select(Page).where(Page.document_id == document_id, Page.attempt == attempt)
        for page in session.exec(pages):
            text = texts[page.number]
            page.readable, page.engine = text.readable, text.engine
            session.add(page)
        if document.state is DocumentState.DA_KY_CA_NHAN and document.attempt == attempt:
            target = DocumentState.OCR if readable else DocumentState.NHAP_TAY
            details = {"pages": len(work), "attempt": attempt}
            move_document(
                session, document, target, actor="system", rule="EX01" if readable else "EX02", details=details
            )


def as_table(report: OcrReport, engine: str) -> str:
    """Counts and times for operations (Markdown)."""
    rows = (
        ("Trang", report.pages),
        ("Trang đọc được", report.readable),
        ("Trang viên chức phải nhập (EX02)", report.pages - report.readable),
        ("Độ tin cậy trung bình", f"{report.mean_confidence:.3f}".replace(".", ",")),
        ("Thời gian", f"{report.seconds:.1f} giây".replace(".", ",")),
        ("Mô hình", f"`{engine}`"),
    )
    return "\n".join(["| Nội dung | Giá trị |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
