"""Scanned again: a whole component, or single pages of it (Điều 8.2). What is handed in is the next capture attempt.

New files lie in INBOX under ``<submission>/rescan/<component>/<attempt>/``, each hand-in in a folder of its own, so
that one can be repeated: the newest counts. In it files in order are the whole component; a file under
``replace-<place>/`` is put in the place of one image, under ``insert-<place>/`` it becomes that image and the others
move on; one under ``remove-<place>/`` says that the blank image there goes. Places are those of the images in the PDF,
1-based. Every earlier scan stays.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import UUID

from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents, get_dossier, locked
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Scan
from tasks.capture.document import outcome, places
from tasks.capture.errors import PageBlank, PageNotBlank, PagesMissing, PageUnknown
from tasks.capture.facts import REMOVED
from tasks.decisions.proofs import latest_proven
from tasks.intake.names import stored_names
from tasks.intake.origin import Origin, expected
from tasks.intake.originals import Original, keep_originals
from tasks.pauses.verification import Verification, VerificationDecision

KINDS = ("replace", "remove", "insert")  # in the order in which they change the images
_NAME = re.compile(r"(?:(\d{20})/)?(?:(replace|insert|remove)-(\d{1,4})/)?.+")


class RescanMissing(SohoaError):
    """The officer said that a component was scanned again, but no new file has arrived."""

    code, rule = "RESCAN_MISSING", "CA05"
    message = "Chưa nhận được bản quét lại của thành phần số {component}; vui lòng quét lại rồi xác nhận."
    remedy = Remedy.RESCAN


def rescan_prefix(submission: str, ordinal: int, attempt: int) -> str:
    return f"{submission}/rescan/{ordinal}/{attempt}/"


def hand_in_rescan(
    records: RecordsDatabase,
    objects: ObjectStore,
    origin: Origin,
    submission: str,
    ordinal: int,
    attempt: int,
    files: Sequence[Path] = (),
    *,
    replaced: Mapping[int, Path] | None = None,
    inserted: Mapping[int, Path] | None = None,
    removed: Sequence[int] = (),
) -> None:
    """Put new scans of one component into INBOX: all of it in the given order, or single images by their places.

    removed: places of blank images that an officer has looked at and lets go.
    """
    part = f"rescan/{ordinal}/{attempt}/{time.time_ns():020d}"
    put: list[tuple[str, str, Path | bytes]] = []
    put += [("", name, path) for name, path in zip(stored_names(ordinal, [p.name for p in files]), files, strict=True)]
    for kind, pages in (("replace", replaced or {}), ("insert", inserted or {})):
        put += [(f"{kind}-{n:04d}/", stored_names(ordinal, [path.name])[0], path) for n, path in pages.items()]
    put += [(f"remove-{place:04d}/", "0001-0.txt", f"{REMOVED} {place}\n".encode()) for place in removed]
    hashes = {}
    for folder, stored, path in put:
        name = f"{part}/{folder}{PurePosixPath(stored).name}"
        kept = objects.put_once(Bucket.INBOX, f"{submission}/{name}", path, content_type="application/octet-stream")
        hashes[name] = kept.sha256
    origin.note(records, submission, part, hashes)


def handed_in(session: Session, submission: str, ordinal: int, attempt: int) -> list[Original]:
    """What counts of the hand-ins for an attempt: the newest whole component, then what changes single images of it.

    Without a whole component the changes are of the attempt before. Changes stand in the order in which they are made:
    replaced images by the places that they have, removed ones from the last on, inserted ones by the places that they
    get. Files that lie in
    INBOX without a known origin don't count.
    """
    prefix = rescan_prefix(submission, ordinal, attempt)
    whole: dict[str, list[Original]] = {}
    changes: dict[tuple[int, int], tuple[str, Original]] = {}
    for key in sorted(f"{submission}/{name}" for name in _expected(session, submission, ordinal, attempt)):
        match = _NAME.fullmatch(key.removeprefix(prefix))
        if match is None:
            continue
        at, kind, place = match.groups(default="")
        if kind:
            change = Original(key, int(place), kind == "insert", kind == "remove")
            order = (KINDS.index(kind), -int(place) if change.removed else int(place))
            changes[order] = at, change  # sorted: the newest comes last
        else:
            whole.setdefault(at, []).append(Original(key))
    newest = max(whole, default="")
    return whole.get(newest, []) + [original for _, (at, original) in sorted(changes.items()) if at >= newest]


def _expected(session: Session, submission: str, ordinal: int, attempt: int) -> dict[str, str]:
    return expected(session, submission, f"rescan/{ordinal}/{attempt}/")


def receive_rescan(
    records: RecordsDatabase, objects: ObjectStore, submission: str, document_id: DocumentId, attempt: int
) -> int:
    """Register the new scans of one component as capture attempt `attempt`; the earlier ones stay. Idempotent.

    Where only single images came, the files of the attempt before are part of this one. Returns how many are new.
    """
    with records.session() as session:
        document = locked(session, Document, document_id)
        dossier_id, ordinal = document.dossier_id, document.ordinal
        originals = handed_in(session, submission, ordinal, attempt)
        hashes = _expected(session, submission, ordinal, attempt)
        if not originals:
            raise RescanMissing(component=ordinal)
        if outcome(session, document_id, attempt) is not None:
            return len(originals)  # taken and judged before
        kept = [] if any(original.place is None for original in originals) else _before(session, document_id, attempt)
        after = max((scan.ordinal for scan in kept), default=0)
        if document.attempt < attempt:
            document.declared_at = None  # it was of the scans before
            begin_attempt(session, document, attempt, kept)
            changed = sorted(original.place for original in originals if original.place is not None)
            removed = sorted(original.place or 0 for original in originals if original.removed)
            audit(
                session,
                actor="system",
                action="rescan",
                dossier_id=dossier_id,
                document_id=document_id,
                rule="CA05",
                details={"attempt": attempt, "files": len(originals)}
                | ({"pages": changed} if changed else {})
                | ({"removed": removed} if removed else {}),
            )
    keep_originals(records, objects, dossier_id, document_id, attempt, originals, handed_in=hashes, after=after)
    return len(originals)


def begin_attempt(
    session: Session,
    document: Document,
    attempt: int,
    kept: Sequence[Scan],
    parts: Mapping[UUID, Mapping[str, list[float]]] | None = None,
) -> None:
    """A new capture attempt with these files of the one before. parts: see `Scan.parts`, by the id of the file."""
    document.attempt = attempt
    document.page_count = document.file_key = document.file_sha256 = document.captured_at = None
    document.captured_at_source = ""
    session.add(document)
    for scan in kept:
        carried = _carried_over(scan, attempt)
        carried.parts = {**scan.parts, **(parts or {}).get(scan.id, {})}
        session.add(carried)


def _before(session: Session, document_id: DocumentId, attempt: int) -> list[Scan]:
    return files_of(session, document_id, attempt - 1)


def files_of(session: Session, document_id: DocumentId, attempt: int) -> list[Scan]:
    """The files of an attempt, without changes that had no place in it."""
    query = select(Scan).where(Scan.document_id == document_id, Scan.attempt == attempt)
    scans = session.exec(query.order_by(col(Scan.ordinal)))
    return [scan for scan in scans if scan.refused_code not in (PageUnknown.code, PageNotBlank.code)]


def _carried_over(scan: Scan, attempt: int) -> Scan:
    return Scan(**scan.model_dump(exclude={"id", "attempt"}), attempt=attempt)


@dataclass(frozen=True)
class RescanRequest:
    """What must be scanned again. places: of images; empty: the component as a whole, or what the officer finds fit.

    short: capture has found too few pages, the forgotten ones can be put in (CA06).
    """

    places: list[int]
    short: bool = False


def requested_rescan(session: Session, document: Document) -> RescanRequest:
    """Either the resolving officer has named it (Điều 9.3), or capture has found it unfit and nothing else wrong."""
    report = outcome(session, document.id, document.attempt)
    if report is None or report.ok:
        return RescanRequest(_named(session, document))
    pages = {problem.page for problem in report.problems}
    unfit = [place for place, slot in places(document).items() if slot.paper_page in pages]
    short = any(problem.code == PagesMissing.code for problem in report.problems)
    return RescanRequest([] if None in pages else unfit, short)


def blank_places(session: Session, document: Document) -> list[int]:
    """Images that capture has found blank: each may go, if an officer who has the paper says so."""
    report = outcome(session, document.id, document.attempt)
    if report is None or report.ok:
        return []
    blank = {problem.page for problem in report.problems if problem.code == PageBlank.code and problem.page}
    slots = places(document)
    if report.pages != len(slots):
        return sorted(blank)  # as many images as there are, numbered as they came
    return [place for place, slot in slots.items() if slot.paper_page in blank]


def is_asked_again(session: Session, document: Document) -> bool:
    """Whether a component in CHUP_LAI waits for scans; not while those that came are yet to be judged."""
    return outcome(session, document.id, document.attempt) is not None


def _named(session: Session, document: Document) -> list[int]:
    """The images of a component that the resolving officer wants again, by the newest verification."""
    kept = latest_proven(session, document.dossier_id, "verification")
    if kept is None or kept.decision != VerificationDecision.QUET_LAI.value:
        return []
    answer = Verification.model_validate(kept.payload)
    if document.ordinal in answer.rescan:
        return []
    return sorted({item.page for item in answer.rescan_pages if item.component == document.ordinal})


def missing_scans(session: Session, dossier_id: DossierId) -> list[str]:
    """What is still to be handed in before a dossier can go on, as Vietnamese sentences."""
    submission = get_dossier(session, dossier_id).submission
    waiting = documents(session, dossier_id, states=[DocumentState.CHUP_LAI])
    return [fault for document in waiting for fault in lacking(session, submission, document)]


def lacking(session: Session, submission: str, document: Document) -> list[str]:
    """What is still to be handed in of one component, as Vietnamese sentences."""
    originals = handed_in(session, submission, document.ordinal, document.attempt + 1)
    came = {original.place for original in originals}
    if not originals:
        return [f"Chưa nhận được bản quét lại của thành phần {document.ordinal}."]
    missing = set() if None in came else set(requested_rescan(session, document).places) - came
    return [f"Chưa nhận được bản quét lại của {page_label(document, place)}." for place in sorted(missing)]


def page_label(document: Document, place: int) -> str:
    """How an officer calls one image of a component."""
    slot = places(document).get(place) if document.note_pages else None
    if slot is None:
        return f"thành phần {document.ordinal}, trang {place}"
    note = " (còn giấy ghi chú)" if slot.with_note else ""
    return f"thành phần {document.ordinal}, ảnh {place}: trang {slot.paper_page}{note}"
