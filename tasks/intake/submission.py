"""What was handed in at the counter becomes rows and stored originals (Điều 13.1).

A submission is a folder: the manifest that the counter officer declared and the files as the scanner wrote them.
It enters through the INBOX bucket (`hand_in`); every original is kept in INTAKE for ever (`originals`). One submission
id gives one dossier, however often it is handed in (CO06).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from pydantic import BaseModel
from sqlmodel import Session, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId, FlowRunId
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents, dossier_of_submission
from blocks.records.sources import SourceKind, require_source, source_of
from blocks.records.states import DossierState
from blocks.records.tables import Document, Dossier, Source
from tasks.intake.begin import ended
from tasks.intake.manifest import MANIFEST, Component, Manifest, ManifestInvalid, parse_manifest
from tasks.intake.names import SUBMISSION_ID, inbox_key, part_of
from tasks.intake.origin import Origin, told
from tasks.intake.originals import Original, keep_originals, keep_whole, unaltered

SUPPLEMENTABLE = {DossierState.NHAP, DossierState.KIEM_TRA, DossierState.BO_SUNG_TRUOC}


class SubmissionUnknown(SohoaError):
    """Nothing was handed in under this id."""

    code, rule = "SUBMISSION_UNKNOWN", "B1"
    message = "Không tìm thấy lần nộp {submission} trong hộp nhận; vui lòng nộp hồ sơ trước khi xử lý."
    remedy = Remedy.OFFICER


class Registered(BaseModel):
    """What the flow knows of a dossier: ids only. ended: its state, when another run has brought it to its end."""

    dossier_id: DossierId
    documents: list[DocumentId]
    counter_officer: str  # officer id of the TNHS officer who declared it
    ended: DossierState | None = None


def supplement_came(records: RecordsDatabase, dossier: Dossier) -> bool:
    """Whether the declaration that comes after the one in force has been handed in."""
    with records.session() as session:
        return source_of(session, dossier.submission, part_of(dossier.revision + 1)) is not None


def register(records: RecordsDatabase, objects: ObjectStore, submission: str, revision: int = 1) -> Registered:
    """Rows and stored originals of a submission; a later revision replaces the declaration while that is open.

    Raises SubmissionUnknown, SourceUnknown, HandInAltered (with an incident), NotTheCapturer, ManifestInvalid.
    """
    if not re.fullmatch(SUBMISSION_ID, submission):
        raise SubmissionUnknown(submission=submission[:64])
    if (known := _registered_before(records, submission, revision)) is not None:
        return known
    key = inbox_key(submission, revision, MANIFEST)
    if not objects.exists(Bucket.INBOX, key):
        raise SubmissionUnknown(submission=submission)
    with records.session() as session:
        source = require_source(session, submission, part_of(revision))
        session.expunge(source)
    manifest = parse_manifest(unaltered(records, objects, submission, key, source.files))
    for number, component in enumerate(manifest.components, 1):
        if any(PurePosixPath(name).parts[0] != f"c{number}" for name in component.files):
            # Each component in its own folder: what must be deleted (SC13) is then known by its place.
            raise ManifestInvalid(where=f"components.{number}.files: tệp phải nằm trong thư mục c{number}/")
    # Who answers for the scans is whom the way in names, whatever else is declared (Điều 8.1).
    manifest.captured_by = Origin(SourceKind(source.kind), source.source, source.officer).capturer(manifest.captured_by)
    with records.session() as session:
        dossier = session.exec(select(Dossier).where(Dossier.submission == submission).with_for_update()).first()
        if dossier is None:
            dossier = _new_dossier(session, submission, manifest, source)
        elif revision > 1 and dossier.state in SUPPLEMENTABLE and dossier.revision < revision:
            _replace_declaration(session, dossier, manifest, revision, source)
        dossier_id, officer = dossier.id, dossier.captured_by
        declared = [(d.id, d.ordinal, d.attempt) for d in documents(session, dossier_id)]
    if manifest.whole:
        keep_whole(records, objects, dossier_id, submission, revision, source.files, manifest.whole)
    for document_id, ordinal, attempt in declared:
        component = manifest.components[ordinal - 1]
        originals = [
            Original(inbox_key(submission, revision, name), turned=component.turns_of(number))
            for number, name in enumerate(component.files, 1)
        ]
        keep_originals(records, objects, dossier_id, document_id, attempt, originals, handed_in=source.files)
    return Registered(
        dossier_id=dossier_id, documents=[document_id for document_id, _, _ in declared], counter_officer=officer
    )


def _registered_before(records: RecordsDatabase, submission: str, revision: int) -> Registered | None:
    """The dossier, where it is past this declaration: supplemented since, received or refused. Else None."""
    with records.session() as session:
        dossier = dossier_of_submission(session, submission)
        if dossier is None or (dossier.revision <= revision and dossier.state in SUPPLEMENTABLE):
            return None
        declared = [document.id for document in documents(session, dossier.id) if not document.is_issued]
        return Registered(dossier_id=dossier.id, documents=declared, counter_officer=dossier.captured_by)


def _declare(dossier: Dossier, manifest: Manifest) -> None:
    dossier.unit_id = manifest.unit
    dossier.procedure_code = manifest.procedure
    dossier.owner_kind = manifest.owner.kind
    dossier.owner_id = manifest.owner.id
    dossier.owner_name = manifest.owner.name
    dossier.owner_birth_date = manifest.owner.birth_date
    dossier.owner_founding_year = manifest.owner.founding_year
    dossier.originals_declared = manifest.originals
    dossier.captured_by = manifest.captured_by or ""
    dossier.transitional = manifest.transitional


def _component_row(dossier_id: DossierId, ordinal: int, component: Component, manifest: Manifest) -> Document:
    flags = component.flags
    return Document(
        dossier_id=dossier_id,
        ordinal=ordinal,
        type_code=component.type,
        form=component.form,
        declared_pages=component.pages,
        note_pages=sorted(set(component.note_pages)),
        scan_dpi=component.dpi,
        declared_at=component.captured_at or manifest.captured_at,
        is_prior_result=flags.prior_result,
        requested_by_owner=flags.requested,
        show_only=flags.show_only,
        secret=flags.secret,
        fragile=flags.fragile,
        important=flags.important,
        shared_as_data=flags.shared_as_data,
    )


def _new_dossier(session: Session, submission: str, manifest: Manifest, source: Source) -> Dossier:
    dossier = Dossier(submission=submission, unit_id=manifest.unit, procedure_code=manifest.procedure)
    _declare(dossier, manifest)
    session.add(dossier)
    session.flush()
    for ordinal, component in enumerate(manifest.components, 1):
        session.add(_component_row(dossier.id, ordinal, component, manifest))
    audit(
        session,
        actor=dossier.captured_by,
        action="register",
        dossier_id=dossier.id,
        rule="B1",
        details={"components": len(manifest.components), "originals": manifest.originals, **told(source)},
        target_state=DossierState.NHAP,
    )
    session.flush()
    return dossier


def _replace_declaration(session: Session, dossier: Dossier, manifest: Manifest, revision: int, source: Source) -> None:
    """A supplement before acceptance: the declaration is replaced, the scans of the earlier one stay in INTAKE.

    It may correct and add components, not drop them: what was handed in stays accounted for (CA04).
    """
    if len(manifest.components) < len(documents(session, dossier.id)):
        raise ManifestInvalid(where="components: không được bớt thành phần đã khai")
    _declare(dossier, manifest)
    dossier.revision = revision
    rows = {document.ordinal: document for document in documents(session, dossier.id)}
    for ordinal, component in enumerate(manifest.components, 1):
        row = rows.get(ordinal)
        fresh = _component_row(dossier.id, ordinal, component, manifest)
        if row is None:
            fresh.attempt = revision
            session.add(fresh)
            continue
        for name in Document.model_fields:
            if name not in {"id", "dossier_id", "ordinal", "state", "attempt"}:
                setattr(row, name, getattr(fresh, name))
        row.attempt = revision
        session.add(row)
    session.add(dossier)
    audit(
        session,
        actor=dossier.captured_by,
        action="supplement",
        dossier_id=dossier.id,
        rule="B3a",
        details={"revision": revision, "components": len(manifest.components), **told(source)},
    )
    session.flush()


def register_for(
    records: RecordsDatabase, objects: ObjectStore, submission: str, revision: int, run: FlowRunId | None
) -> Registered:
    """`register` for a flow run; one that comes after another run of the same submission is told how that one ended."""
    registered = register(records, objects, submission, revision)
    known = ended(records, submission)
    if known and run and known.flow_run_id not in (None, run):
        registered.ended = known.state
    return registered
