"""Bóc tách một thành phần hồ sơ: the fields of one document in the records (Điều 9.2).

Values that an officer confirmed are never touched; others are replaced when a rescan is extracted again.
"""

from __future__ import annotations

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import InvalidTransition
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore
from blocks.ocr.types import PageText
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import attempt_entry, get_document, locked
from blocks.records.regions import parts_of
from blocks.records.states import DocumentState, FieldSource
from blocks.records.tables import Document, FieldValue, Page
from tasks.extraction.compose import composed
from tasks.extraction.extract import Extraction, empty, extract
from tasks.extraction.fields import IF_ANY, REQUIRED, SUBSTITUTES, Extracted
from tasks.extraction.notes import Notes, notes_of
from tasks.extraction.part import limited
from tasks.extraction.profiles import profile_of
from tasks.extraction.settings import CONFIDENCE_THRESHOLD

_STARTS = {DocumentState.OCR, DocumentState.NHAP_TAY}


class ExtractionReport(BaseModel):
    """What extraction found: names and counts, no values (WH04)."""

    fields: int = 0  # with a value
    low: list[str] = []  # names of fields below the threshold: the officer must look
    empty: list[str] = []  # required and not found: typed or attested absent
    manual: bool = False  # no page could be read: everything is typed (EX02)
    type_code: str = ""  # as declared
    type_confidence: float = 0.0
    likely_type: str | None = None  # another type that the paper looks clearly more like
    several: list[int] = []  # pages that seem to hold more than one paper: nothing of it is sure


def extract_fields(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, attempt: int | None = None
) -> ExtractionReport:
    """Write the field values of a document's current attempt. Idempotent.

    attempt: of the capture; what was extracted before isn't again, wherever the document is by now. None: the current.
    Moves OCR or NHAP_TAY → CHO_XAC_NHAN. Once the document waits for confirmation, or is confirmed, nothing is
    extracted again. Raises InvalidTransition when its pages haven't been read (ST01).
    """
    with records.session() as session:
        document = get_document(session, document_id)
        if attempt and attempt_entry(session, document_id, "extract", attempt):
            return _report(session, document)
        if document.state not in _STARTS:
            if _was_extracted(session, document):
                return _report(session, document)
            raise InvalidTransition(source=document.state.value, target=DocumentState.CHO_XAC_NHAN.value)
        texts, parts = _texts(session, document), parts_of(session, document.id, document.attempt)
        type_code, current = document.type_code, document.attempt
        manual = document.state is DocumentState.NHAP_TAY
    pages = [(number, _text(objects, *stored)) for number, *stored in texts]
    pages = [(number, limited(page, parts[number]) if number in parts else page) for number, page in pages]
    found = None if manual else extract(pages, type_code)
    with records.session() as session:
        document = locked(session, Document, document_id)
        if document.state in _STARTS and document.attempt == current:
            _write(session, document, found)
            move_document(
                session,
                document,
                DocumentState.CHO_XAC_NHAN,
                actor="system",
                rule="EX01" if found else "EX02",
                details={"attempt": current},
            )
            session.flush()
        return _report(session, document)


def _was_extracted(session: Session, document: Document) -> bool:
    row = select(FieldValue.id).where(FieldValue.document_id == document.id, FieldValue.name == "type_code")
    open_again = {DocumentState.CHO_SAO_CHUP, DocumentState.CHUP_LAI, DocumentState.DA_SAO_CHUP}
    open_again |= {DocumentState.DAT_KIEM_TRA, DocumentState.DA_KY_CA_NHAN}
    return document.state not in open_again and session.exec(row).first() is not None


def _texts(session: Session, document: Document) -> list[tuple[int, str, str, str]]:
    """Number, and key, version and hash of the text of each clean page; the with-note image of a pair shows the paper
    covered (CA07)."""
    query = select(Page).where(Page.document_id == document.id, Page.attempt == document.attempt)
    pages = session.exec(query.order_by(col(Page.number)))
    return [
        (page.number, page.text_key, page.text_version, page.text_sha256)
        for page in pages
        if page.text_key and not page.with_note
    ]


def _text(objects: ObjectStore, key: str, version: str, sha256: str) -> PageText:
    return PageText.from_json(objects.read(Bucket.WORKING, key, version=version, sha256=sha256))


def _write(session: Session, document: Document, found: Extraction | None) -> None:
    """Replace what isn't confirmed by what was found; every field of the profile gets a row, also an empty one."""
    profile = profile_of(document.type_code)
    fields = dict(found.fields) if found else empty(document.type_code)
    source = FieldSource.OCR if found else FieldSource.MANUAL
    if found and (abstract := composed(profile, fields)):
        fields["abstract"] = abstract
    for name in (*REQUIRED, *IF_ANY, "owner_id", *SUBSTITUTES[profile.owner]):
        fields.setdefault(name, Extracted(name, None, source=source))
    fields["type_code"] = _type_field(document, found)
    kept = set()
    for row in session.exec(select(FieldValue).where(FieldValue.document_id == document.id)).all():
        if row.confirmed_at is not None:
            kept.add(row.name)
        else:
            session.delete(row)
    session.flush()
    for name, item in fields.items():
        if name not in kept:
            session.add(_row(document, item))
    audit(
        session,
        actor="system",
        action="extract",
        dossier_id=document.dossier_id,
        document_id=document.id,
        rule="EX01" if found else "EX02",
        details={
            "attempt": document.attempt,
            "fields": sum(item.value is not None for item in fields.values()),
            "low": sorted(n for n, i in fields.items() if i.value and i.confidence < CONFIDENCE_THRESHOLD),
            "likely_type": notes_of(fields["type_code"].rule).likely,
            "several": list(found.several) if found else [],
        },
    )


def _type_field(document: Document, found: Extraction | None) -> Extracted:
    """EXa: the type declared at the counter; below the threshold when the paper looks like another."""
    sure = 0.5 if found and found.type_doubted else 1.0
    likely = found.likely[0].type_code if found and found.type_doubted else None
    rule = Notes(likely, found.several if found else ()).rule
    return Extracted("type_code", document.type_code, document.type_code, sure, rule=rule, source=FieldSource.SYSTEM)


def _row(document: Document, item: Extracted) -> FieldValue:
    return FieldValue(
        document_id=document.id,
        name=item.name,
        printed=item.printed,
        value=item.value,
        confidence=item.confidence,
        page=item.page,
        box=list(item.box) if item.box else None,
        rule=item.rule,
        source=item.source,
        engine=item.engine,
    )


def _report(session: Session, document: Document) -> ExtractionReport:
    rows = session.exec(select(FieldValue).where(FieldValue.document_id == document.id)).all()
    by_name = {row.name: row for row in rows}
    kind = by_name.get("type_code")
    notes = notes_of(kind.rule) if kind else Notes()
    return ExtractionReport(
        fields=sum(row.value is not None for row in rows),
        low=sorted(
            r.name for r in rows if r.value and r.source is FieldSource.OCR and r.confidence < CONFIDENCE_THRESHOLD
        ),
        empty=sorted(name for name in REQUIRED if name not in by_name or by_name[name].value is None),
        manual=all(row.source is not FieldSource.OCR for row in rows),
        type_code=document.type_code,
        type_confidence=kind.confidence if kind else 0.0,
        likely_type=notes.likely,
        several=list(notes.several),
    )
