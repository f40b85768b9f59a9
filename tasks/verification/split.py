"""Hai giấy tờ trên một ảnh: an image that shows two papers becomes two components of the dossier (Điều 8.2, 9.3).

The copy must show the paper whole and unaltered, so no image is cut: each of the two has the whole image as its
capture, checked and signed as such, and what the scanner gave stays as it came. Limited is what is *read*: beside each
scan stands the part of the image that is this paper's. Whoever opens a copy sees both papers; whoever takes a value
from the data gets one of the right paper (docs/decisions/0016-two-papers-on-one-image.md).
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from uuid import UUID, uuid5

from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from blocks.catalog import Catalog
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import documents, get_dossier, locked
from blocks.records.regions import Part, places_in_files
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, Document, Page, Scan
from tasks.capture.facts import QUARTERS
from tasks.capture.guard import count_guarded, pages_guarded
from tasks.capture.rescan import begin_attempt, files_of
from tasks.decisions.proofs import proven_decision
from tasks.pauses.verification import Side, SplitPage, Verification
from tasks.scope.decide import BY_VERDICT, case_date, verdict_of

ACTION, RULE = "split", "CA06"


class Split(BaseModel):
    """The papers that are captured anew, with their attempts."""

    attempts: dict[DocumentId, int]


def part_images(records: RecordsDatabase, objects: ObjectStore, dossier_id: DossierId, stage: str) -> Split:
    """Carry out what the resolving officer has decided at `stage`. Idempotent.

    The declared paper goes back to capture with the same files; for the other one on the image a component is added.
    """
    with records.session() as session:
        if known := _done(session, dossier_id, stage):
            return known
        answer = Verification.model_validate(proven_decision(session, dossier_id, stage).payload)
        papers = {document.ordinal: document.id for document in documents(session, dossier_id)}
    made = {
        item.key: _own_file(records, objects, papers[item.component], item, _other_id(papers[item.component], item))
        for item in answer.split
    }
    with records.session() as session:
        get_dossier(session, dossier_id)
        attempts: dict[DocumentId, int] = {}
        for ordinal in sorted({item.component for item in answer.split}):
            document = locked(session, Document, papers[ordinal])
            if _done(session, dossier_id, stage):  # a rival was faster
                break
            chosen = [item for item in answer.split if item.component == ordinal]
            attempts |= _split(session, document, chosen, {item.key: made[item.key] for item in chosen}, answer, stage)
        session.flush()
        return Split(attempts=attempts) if attempts else _require_done(session, dossier_id, stage)


def parts(side: Side, at: int, orientation: int) -> tuple[Part, Part]:
    """(This paper's part, the other's) of the image as stored. side, at: as the page is shown, in percent."""
    share = at / 100
    first: Part = (0.0, 0.0, share, 1.0) if side in (Side.LEFT, Side.RIGHT) else (0.0, 0.0, 1.0, share)
    second: Part = (share, 0.0, 1.0, 1.0) if side in (Side.LEFT, Side.RIGHT) else (0.0, share, 1.0, 1.0)
    turns = QUARTERS.index(orientation) if orientation in QUARTERS else 0
    for _ in range(turns):  # back to how it lies in the file
        first, second = _turned_back(first), _turned_back(second)
    return (first, second) if side in (Side.LEFT, Side.TOP) else (second, first)


def _turned_back(part: Part) -> Part:
    """A quarter anticlockwise: what is shown at the top lies at the left."""
    x0, y0, x1, y1 = part
    return y0, 1 - x1, y1, 1 - x0


def _other_id(document_id: DocumentId, item: SplitPage) -> DocumentId:
    """The same each time that the step is tried."""
    return DocumentId(uuid5(document_id, f"split/{item.page}/{item.type}"))


def _own_file(
    records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId, item: SplitPage, other: DocumentId
) -> Scan:
    """The file with that page, in the other paper's own folder: a page of a file with several as a file of its own."""
    with records.session() as session:
        document = session.get_one(Document, document_id)
        scan_id, place = places_in_files(session, document_id, document.attempt)[item.page]
        scan, dossier_id = session.get_one(Scan, scan_id), document.dossier_id
        session.expunge(scan)
    with TemporaryDirectory(prefix="sohoa-split-") as folder:
        original = Path(folder, "original")
        objects.download(Bucket.INTAKE, scan.object_key, original, version=scan.version, sha256=scan.sha256)
        if count_guarded(original) > 1:
            pages_guarded(original, [place], Path(folder, "page"))
            original = Path(folder, "page")
        data = original.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"0001-{sha256[:16]}{PurePosixPath(scan.object_key).suffix}"
    kept = objects.put_once(
        Bucket.INTAKE, document_key(dossier_id, other, 1, name), data, content_type="application/octet-stream"
    )
    turned = {"1": scan.turned[str(place)]} if str(place) in scan.turned else {}
    return Scan(
        document_id=other,
        attempt=1,
        ordinal=1,
        object_key=kept.key,
        version=kept.version,
        sha256=sha256,
        size=kept.size,
        turned=turned,
    )


def _split(
    session: Session,
    document: Document,
    chosen: list[SplitPage],
    files: dict[tuple[int, int], Scan],
    answer: Verification,
    stage: str,
) -> dict[DocumentId, int]:
    """The rows of one declared paper and of those that lie on its images."""
    places = places_in_files(session, document.id, document.attempt)
    numbers = select(Page).where(Page.document_id == document.id, Page.attempt == document.attempt)
    shown = {page.number: page.quality.get("orientation", 1) for page in session.exec(numbers)}
    halves = {item.page: parts(item.side, item.at, shown[item.page]) for item in chosen}
    own: dict[UUID, dict[str, list[float]]] = {}
    for item in chosen:
        scan_id, place = places[item.page]
        own.setdefault(scan_id, {})[str(place)] = list(halves[item.page][0])
    attempt = document.attempt + 1
    move_document(session, document, DocumentState.CHUP_LAI, actor=answer.officer, rule=RULE)
    begin_attempt(session, document, attempt, files_of(session, document.id, document.attempt), own)
    found = {document.id: attempt}
    for item in chosen:
        other = _other(session, document, item, answer.officer)
        file = files[item.key]
        file.parts = {"1": list(halves[item.page][1])}
        session.add(file)
        found[other.id] = 1
        audit(
            session,
            actor=answer.officer,
            action=ACTION,
            dossier_id=document.dossier_id,
            document_id=document.id,
            rule=RULE,
            details={
                "stage": stage,
                "attempt": attempt,
                "page": item.page,
                "part": list(halves[item.page][0]),
                "other": other.id,
                "component": other.ordinal,
                "other_part": list(halves[item.page][1]),
            },
        )
    return found


def _other(session: Session, document: Document, item: SplitPage, officer: str) -> Document:
    """The component for the other paper: declared by the resolving officer, in scope by the same rules."""
    last = session.exec(select(func.max(Document.ordinal)).where(Document.dossier_id == document.dossier_id)).one()
    other = Document(
        id=_other_id(document.id, item),
        dossier_id=document.dossier_id,
        ordinal=last + 1,
        type_code=item.type,
        form=document.form,
        declared_pages=1,
        scan_dpi=document.scan_dpi,
        declared_at=document.declared_at,
        is_prior_result=document.is_prior_result,
        requested_by_owner=document.requested_by_owner,
    )
    session.add(other)
    session.flush()
    verdict = verdict_of(Catalog.get(), other, case_date(get_dossier(session, document.dossier_id)))
    other.scope_rule, other.in_scope = verdict.rule, True
    move_document(session, other, DocumentState.PHAN_LOAI, actor=officer, rule=verdict.rule)
    details = {BY_VERDICT: True}
    move_document(session, other, DocumentState.CHO_SAO_CHUP, actor=officer, rule=verdict.rule, details=details)
    session.flush()
    return other


def _done(session: Session, dossier_id: DossierId, stage: str) -> Split | None:
    same = (col(AuditEntry.dossier_id) == dossier_id, col(AuditEntry.action) == ACTION)
    entries = [one for one in session.exec(select(AuditEntry).where(*same)) if one.details.get("stage") == stage]
    attempts: dict[DocumentId, int] = {}
    for entry in entries:
        attempts |= {DocumentId(entry.document_id): entry.details["attempt"], entry.details["other"]: 1}  # type: ignore[arg-type]
    return Split.model_validate({"attempts": attempts}) if attempts else None


def _require_done(session: Session, dossier_id: DossierId, stage: str) -> Split:
    found = _done(session, dossier_id, stage)
    assert found is not None  # nothing is decided here without a page
    return found
