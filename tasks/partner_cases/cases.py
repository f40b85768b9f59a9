"""Hồ sơ do hệ thống của đối tác chuyển đến: case, files, declaration, hand-in, supplement, rescan (Điều 13.1, 8.2).

The same hand-in as at the counter or by the inbox, in steps: files one by one into INBOX, written once, with the
SHA-256 that the partner states; the declaration checked at once; then everything counts together. A partner names a
case by an id of its own; what is another's is unknown to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import yaml
from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from blocks.errors import ObjectConflict
from blocks.objects import Bucket, ObjectStore, digest
from blocks.orchestrator import INTEGRATORS, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.partners import Partner, PartnerCase, PartnerFile, case_of, files_of
from blocks.records.queries import documents, dossier_of_submission, locked
from blocks.records.sources import SourceKind, source_of
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import now
from tasks.capture.rescan import is_asked_again
from tasks.intake.begin import Ended, begin
from tasks.intake.manifest import MANIFEST, Manifest
from tasks.intake.names import part_of
from tasks.intake.origin import NotTheCapturer, Origin
from tasks.partner_cases.declaration import FILE, checked, declared_in, handed_in_before, names_of, take_over
from tasks.partner_cases.errors import (
    AlreadyOther,
    CaseConflict,
    CaseUnknown,
    Closed,
    DeclarationInvalid,
    DigestWrong,
    FileNameRefused,
    FileNotDeclared,
    NotAsked,
    NotDeclared,
    OutOfScope,
    QuotaReached,
    ReferencePersonal,
)

REFERENCE = r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"
PERSONAL = re.compile(r"(?<!\d)(?:\d{10}|\d{12}|\d{13})(?!\d)")  # numbers of people stand in no address and no log
FILE_LIMIT, CASE_FILES = 200 << 20, 5_000  # bytes of one file; files of one case


class Declared(BaseModel):
    sha256: str
    missing: list[str]  # files that are declared and have not come: capture will ask for them
    unused: list[str]  # files that have come and are not declared: they will be part of nothing


def create_case(
    records: RecordsDatabase, partner: Partner, reference: str, unit: str, procedure: str
) -> tuple[PartnerCase, bool]:
    """The case of this id, and whether it is new. Raises CaseConflict, OutOfScope, QuotaReached."""
    if PERSONAL.search(reference):
        raise ReferencePersonal()
    _require_scope(partner, unit, procedure)
    with records.session() as session:
        locked(session, Partner, partner.id)
        case, new = case_of(session, partner.id, reference), False
        if case is None:
            opened = select(func.count()).where(
                PartnerCase.partner_id == partner.id, col(PartnerCase.ended_at).is_(None)
            )
            if session.exec(opened).one() >= partner.open_limit:
                raise QuotaReached(limit=partner.open_limit)
            case, new = (
                PartnerCase(
                    partner_id=partner.id,
                    reference=reference,
                    submission=uuid4().hex,
                    unit_id=unit,
                    procedure_code=procedure,
                ),
                True,
            )
            session.add(case)
            note(session, partner, "partner-case", case)
        elif (case.unit_id, case.procedure_code) != (unit, procedure):
            raise CaseConflict()
        return case, new


def receive_file(
    records: RecordsDatabase,
    objects: ObjectStore,
    partner: Partner,
    reference: str,
    part: str,
    name: str,
    path: Path,
    sha256: str,
) -> PartnerFile:
    """Take one file; the same again is the same answer. part: r1, r2 …, rescan/<component>/<attempt>.

    name: below the part, e.g. c1/0001.jpg.
    Raises FileNameRefused, DigestWrong, AlreadyOther, Closed, NotAsked, FileNotDeclared.
    """
    if not FILE.fullmatch(name.rpartition("/")[2]):
        raise FileNameRefused()
    made, size = digest(path)
    if made != sha256:
        raise DigestWrong()
    with records.session() as session:
        case, place, known = _place(session, partner, reference, part, name, sha256)
        came = {file.name: file for file in files_of(session, case.id, place)}
    if known is not None:
        return known
    manifest = declared_in(objects, case, place, came)
    if manifest is not None and name not in names_of(manifest):
        raise FileNotDeclared(name=name)
    try:
        objects.put_once(
            Bucket.INBOX, f"{case.submission}/{place}/{name}", path, content_type="application/octet-stream"
        )
    except ObjectConflict:
        raise AlreadyOther() from None
    with records.session() as session:  # no lock was held while the file was stored
        case, place, known = _place(session, partner, reference, part, name, sha256, here=place)
        if known is not None:
            return known
        held = session.exec(select(func.count()).where(PartnerFile.case_id == case.id)).one()
        if held >= CASE_FILES:
            raise QuotaReached(limit=CASE_FILES)
        file = PartnerFile(case_id=case.id, part=place, name=name, sha256=sha256, size=size)
        session.add(file)
        note(session, partner, "partner-file", case, {"part": place, "file": name, "sha256": sha256})
        return file


def _place(
    session: Session, partner: Partner, reference: str, part: str, name: str, sha256: str, here: str = ""
) -> tuple[PartnerCase, str, PartnerFile | None]:
    """The case, where a file of this part lies, and the file when it has come already. here: where it was put.

    Raises AlreadyOther, Closed, NotAsked.
    """
    try:
        case, place = open_part(session, partner, reference, part, here)
    except (Closed, NotAsked):
        kept = _kept(session, partner, reference, part, name, sha256)
        if kept is None:
            raise
        return _own(session, partner, reference), kept.part, kept  # handed in already: the same answer
    known = next((file for file in files_of(session, case.id, place) if file.name == name), None)
    if known is not None and known.sha256 != sha256:
        raise AlreadyOther()
    return case, place, known


def declare(
    records: RecordsDatabase, objects: ObjectStore, partner: Partner, reference: str, revision: int, told: Any
) -> Declared:
    """Check a declaration and keep it with its part. Raises DeclarationInvalid, OutOfScope, AlreadyOther, Closed."""
    manifest = checked(told)
    with records.session() as session:
        case, part = _own(session, partner, reference, for_update=True), part_of(revision)
        if (manifest.unit, manifest.procedure) != (case.unit_id, case.procedure_code):
            raise CaseConflict()
        manifest.captured_by = case.officer = _capturer(partner, manifest.captured_by)
        body = yaml.safe_dump(manifest.model_dump(mode="json"), allow_unicode=True, sort_keys=False).encode()
        sha256, size = digest(body)
        files = {file.name: file for file in files_of(session, case.id, part)}
        if MANIFEST in files and files[MANIFEST].sha256 != sha256:
            raise AlreadyOther()
        if MANIFEST not in files:
            open_part(session, partner, reference, part)
            _require_whole(session, case, manifest)
            objects.put_once(
                Bucket.INBOX, f"{case.submission}/{part}/{MANIFEST}", body, content_type="application/yaml"
            )
            session.add_all([case, PartnerFile(case_id=case.id, part=part, name=MANIFEST, sha256=sha256, size=size)])
            note(session, partner, "partner-declaration", case, {"part": part, "sha256": sha256})
        wanted, before = names_of(manifest), handed_in_before(session, case, revision)
        return Declared(
            sha256=sha256,
            missing=[name for name in wanted if name not in files and name not in before],
            unused=[name for name in files if name not in wanted and name != MANIFEST],
        )


def _require_whole(session: Session, case: PartnerCase, manifest: Manifest) -> None:
    """A supplement drops nothing (CA04): told at the door, where it can still be mended. Raises DeclarationInvalid."""
    dossier = dossier_of_submission(session, case.submission)
    known = len(documents(session, dossier.id)) if dossier else 0
    if len(manifest.components) < known:
        reason = f"không được bớt thành phần đã khai; tờ khai trước có {known} thành phần"
        raise DeclarationInvalid([{"field": "components", "reason": reason}])


def hand_over(
    records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator, partner: Partner, reference: str, part: str
) -> PartnerCase:
    """From now on what was sent is handed in, and the flow of a new case starts. Idempotent.

    Raises NotDeclared, NotAsked, PrefectUnavailable (then do it again; the clock does, too).
    """
    first, supplement = part == part_of(1), not part.startswith("rescan/")
    if supplement and not first:
        with records.session() as session:
            case = _own(session, partner, reference)
            come = source_of(session, case.submission, part) is not None
            if not come:
                open_part(session, partner, reference, part)
        if not come:
            take_over(records, objects, case, int(part[1:]))
    with records.session() as session:
        case = _own(session, partner, reference)
        if source_of(session, case.submission, part) is not None:
            place = part  # handed in already
        else:
            case, place = open_part(session, partner, reference, part)
        files = files_of(session, case.id, place)
        named = {file.name for file in files}
        if not files or (supplement and MANIFEST not in named):
            if not first and (last := _last(session, case, part)):
                return last  # handed in already, nothing new has come
            raise NotDeclared()
        hashes = {f"{place}/{file.name}": file.sha256 for file in files}
        if source_of(session, case.submission, place) is None:
            note(session, partner, "partner-handed-in", case, {"part": place, "files": len(files)})
    # Of the partner's list (declare): who signs these scans in person.
    Origin(SourceKind.PARTNER, partner.id, case.officer).note(records, case.submission, place, hashes)
    return start_case(records, prefect, case.id) if first else case


def start_case(records: RecordsDatabase, prefect: Orchestrator, case_id: UUID) -> PartnerCase:
    """Create the flow run of a case that was handed in, or find it."""
    with records.session() as session:
        case = locked(session, PartnerCase, case_id)
        if case.flow_run_id is None:
            begun = begin(records, prefect, case.submission, deployment=INTEGRATORS, tags=["partner"])
            case.flow_run_id = begun.flow_run_id if isinstance(begun, Ended) else begun
            case.started_at = now()
            session.add(case)
        return case


def open_part(session: Session, partner: Partner, reference: str, part: str, here: str = "") -> tuple[PartnerCase, str]:
    """The case and the name under which files of this part lie now. Raises CaseUnknown, Closed, NotAsked.

    here: the folder of a rescan that was chosen before.
    """
    case = _own(session, partner, reference, for_update=True)
    if part == part_of(1):
        if source_of(session, case.submission, part) is not None:
            raise Closed()
        return case, part
    dossier = dossier_of_submission(session, case.submission)
    if dossier is None:
        raise NotAsked()
    if not part.startswith("rescan/"):
        if dossier.state is not DossierState.BO_SUNG_TRUOC or part != part_of(dossier.revision + 1):
            raise NotAsked()
        if source_of(session, case.submission, part) is not None:
            raise Closed()
        return case, part
    _, component, attempt = part.split("/")
    waiting = documents(session, dossier.id, states=[DocumentState.CHUP_LAI])
    asked = [(d.ordinal, d.attempt + 1) for d in waiting if is_asked_again(session, d)]
    if (int(component), int(attempt)) not in asked:
        raise NotAsked()
    if here and source_of(session, case.submission, here) is not None:
        raise Closed()
    return case, here or _newest_open(session, case, part)


def _newest_open(session: Session, case: PartnerCase, part: str) -> str:
    """Files of a rescan lie in a folder of each hand-in; the one that isn't handed in yet, or a new one."""
    query = select(func.max(PartnerFile.part)).where(
        PartnerFile.case_id == case.id, col(PartnerFile.part).startswith(f"{part}/", autoescape=True)
    )
    newest = session.exec(query).one()
    if newest is not None and source_of(session, case.submission, newest) is None:
        return str(newest)
    return f"{part}/{time.time_ns():020d}"


def _kept(session: Session, partner: Partner, reference: str, part: str, name: str, sha256: str) -> PartnerFile | None:
    """This very file, when it came before the part was handed in."""
    case, of = _own(session, partner, reference), col(PartnerFile.part)
    query = select(PartnerFile).where(
        PartnerFile.case_id == case.id,
        PartnerFile.name == name,
        PartnerFile.sha256 == sha256,
        (of == part) | of.startswith(f"{part}/", autoescape=True),
    )
    return session.exec(query.order_by(of.desc()).limit(1)).first()


def _last(session: Session, case: PartnerCase, part: str) -> PartnerCase | None:
    """The case, when a hand-in of this part is known."""
    query = select(PartnerFile).where(
        PartnerFile.case_id == case.id, col(PartnerFile.part).startswith(f"{part}/", autoescape=True)
    )
    return case if session.exec(query.limit(1)).first() else None


def _own(session: Session, partner: Partner, reference: str, *, for_update: bool = False) -> PartnerCase:
    case = case_of(session, partner.id, reference, for_update=for_update)
    if case is None:
        raise CaseUnknown()
    return case


def _require_scope(partner: Partner, unit: str, procedure: str) -> None:
    if unit not in partner.units:
        raise OutOfScope(what="đơn vị")
    if procedure not in partner.procedures:
        raise OutOfScope(what="thủ tục")


def _capturer(partner: Partner, declared: str | None) -> str:
    """Who has scanned: of the partner's officers; the only one need not be named (Điều 8.1). Raises NotTheCapturer."""
    if declared is None and len(partner.officers) == 1:
        return partner.officers[0]
    if declared not in partner.officers:
        raise NotTheCapturer()
    return str(declared)


def note(
    session: Session, partner: Partner, action: str, case: PartnerCase, details: Mapping[str, Any] | None = None
) -> None:
    """Into the audit trail: which partner did what to which of its cases."""
    session.flush()
    known = {"case": case.id, "submission": case.submission} | dict(details or {})
    audit(session, actor=f"partner:{partner.id}", action=action, rule="B1", details=known)
