"""What was handed in at the counter: the folder with ``dossier.yaml`` becomes rows and stored originals (Điều 13.1).

A submission is a folder: the manifest that the counter officer declared and the files as the scanner wrote them.
It enters through the INBOX bucket under an id that is not personal; every original is kept in INTAKE for ever,
whatever is wrong with it. One submission id gives one dossier, however often it is handed in (CO06).
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from sqlmodel import Session, col, select

from blocks.clock import VIET_NAM
from blocks.errors import IntegrityError, Remedy, SohoaError
from blocks.folder import Folder
from blocks.foreign import LIMIT, ForeignRefused, Place, read_yaml
from blocks.ids import DocumentId, DossierId, FlowRunId
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.queries import documents, dossier_of_submission
from blocks.records.sources import SourceKind, require_source, source_of
from blocks.records.states import DossierState, Form, OwnerKind
from blocks.records.tables import AuditEntry, Document, Dossier, Scan, Source
from tasks.capture.facts import REMOVED
from tasks.capture.scan_time import plausible
from tasks.intake.batch import PLACE, Batch, Cutting, Duplex, Whole, interleave, part_batch
from tasks.intake.begin import ended
from tasks.intake.folder_files import FolderFiles, composed, inside
from tasks.intake.manifest_faults import faults, named
from tasks.intake.order import ranks
from tasks.intake.origin import HandInAltered, Origin, told

MANIFEST = "dossier.yaml"
SUBMISSION_ID = r"^[0-9a-z][0-9a-z-]{7,63}$"
MANIFEST_LIMIT = LIMIT  # bytes
SUPPLEMENTABLE = {DossierState.NHAP, DossierState.KIEM_TRA, DossierState.BO_SUNG_TRUOC}


class ManifestInvalid(SohoaError):
    """dossier.yaml is missing, isn't YAML, or a declaration in it is not of the form that the README gives."""

    code, rule = "MANIFEST_INVALID", "B3a"
    message = "Tờ khai hồ sơ dossier.yaml không hợp lệ ({where}); vui lòng sửa lại theo mẫu rồi nộp lại."
    remedy = Remedy.OFFICER


class NameNotNormalised(SohoaError):
    """A name or a file name is in decomposed Unicode (NFD): two spellings of one name would not match."""

    code, rule = "NAME_NFD", "WH04"
    message = "Mục {where} dùng bảng mã tiếng Việt tổ hợp (NFD); vui lòng nhập lại bằng bảng mã dựng sẵn (NFC)."
    remedy = Remedy.OFFICER


class SubmissionUnknown(SohoaError):
    """Nothing was handed in under this id."""

    code, rule = "SUBMISSION_UNKNOWN", "B1"
    message = "Không tìm thấy lần nộp {submission} trong hộp nhận; vui lòng nộp hồ sơ trước khi xử lý."
    remedy = Remedy.OFFICER


def _written_day(value: object) -> object:
    """A day as 1955-02-28: a bare number would be read as seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("ngày phải ghi dạng năm-tháng-ngày")
    return value


def _of_viet_nam(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=VIET_NAM)


AwareTime = Annotated[datetime, AfterValidator(_of_viet_nam)]


class Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: OwnerKind
    id: Annotated[str, Field(pattern=r"^[0-9A-Z.]{1,35}$")] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    birth_date: Annotated[date | None, BeforeValidator(_written_day)] = None
    founding_year: Annotated[int, Field(ge=1800, le=2200)] | None = None


class Flags(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fragile: bool = False
    important: bool = False
    show_only: bool = False
    secret: bool = False
    prior_result: bool = False
    requested: bool = False
    shared_as_data: str | None = None


class Component(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Annotated[str, Field(min_length=1, max_length=64)]
    form: Form = Form.ORIGINAL
    pages: Annotated[int, Field(ge=1, le=2000)]
    note_pages: list[Annotated[int, Field(ge=1)]] = []
    dpi: Annotated[int, Field(ge=50, le=2400)] = 300
    flags: Flags = Flags()
    captured_at: AwareTime | None = None  # when it was scanned, where the files don't say
    duplex: Duplex | None = None  # its backs came after its fronts
    files: list[str] = []

    @property
    def images(self) -> int:
        return self.pages + len(set(self.note_pages))

    @property
    def in_batch(self) -> bool:
        """Whether it lies in the scan of the whole dossier, where there is one: nothing else says where it is."""
        flags = self.flags
        return "files" not in self.model_fields_set and not (flags.show_only or flags.secret or flags.shared_as_data)

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Component:
        for name in self.files:
            inside(name)
        if any(page > self.pages for page in self.note_pages):
            raise ValueError("trang có giấy ghi chú lớn hơn số trang")
        return self


class Manifest(BaseModel):
    """dossier.yaml, version 1."""

    model_config = ConfigDict(extra="forbid")
    version: Annotated[int, Field(ge=1, le=1)]
    unit: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,35}$")]
    procedure: Annotated[str, Field(min_length=1, max_length=32)]
    captured_by: Annotated[str, Field(pattern=r"^[0-9a-z._-]{1,64}$")] | None = None  # None: whom the way in names
    originals: Annotated[int, Field(ge=0, le=10_000)]
    owner: Owner
    transitional: bool = False
    captured_at: AwareTime | None = None  # of all components that don't say
    batch: Batch | None = None  # one scan of all papers that have no files of their own
    whole: Whole | None = None  # what became of it, written at hand-in only
    components: Annotated[list[Component], Field(min_length=1, max_length=500)]


class Registered(BaseModel):
    """What the flow knows of a dossier: ids only. ended: its state, when another run has brought it to its end."""

    dossier_id: DossierId
    documents: list[DocumentId]
    counter_officer: str  # officer id of the TNHS officer who declared it
    ended: DossierState | None = None


def parse_manifest(data: bytes) -> Manifest:
    """The declaration, or ManifestInvalid / NameNotNormalised naming the place (never the value) that is wrong."""
    lines: dict[Place, int] = {}
    try:
        raw = read_yaml(data, limit=MANIFEST_LIMIT, lines=lines)
    except ForeignRefused as error:
        raise ManifestInvalid(where=str(error)) from None
    _compose_file_names(raw)
    _refuse_decomposed(raw, "dossier.yaml")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        # Places only: pydantic's messages repeat the values, which may be personal data.
        raise ManifestInvalid(where=faults(error, lines, _KNOWN)) from None


def _compose_file_names(raw: Any) -> None:
    """As `FolderFiles` has those of the folder."""
    components = raw.get("components") if isinstance(raw, dict) else None
    batch = raw.get("batch") if isinstance(raw, dict) else None
    for component in [batch, *(components if isinstance(components, list) else [])]:
        names = component.get("files") if isinstance(component, dict) else None
        if isinstance(names, list):
            component["files"] = [composed(name) if isinstance(name, str) else name for name in names]


_KNOWN = {name for model in (Manifest, Owner, Component, Flags) for name in model.model_fields}


def _refuse_decomposed(value: Any, where: str) -> None:
    if isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise NameNotNormalised(where=where)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_decomposed(key, where)
            name = named([key], _KNOWN)
            _refuse_decomposed(item, f"{where}.{name}" if where != "dossier.yaml" else name)
    elif isinstance(value, list):
        for index, item in enumerate(value, 1):
            _refuse_decomposed(item, f"{where}[{index}]")


def inbox_key(submission: str, revision: int, name: str) -> str:
    """Where a file of a submission lies in INBOX; revision 1 is the first hand-in, later ones supplements."""
    return f"{submission}/r{revision}/{name}"


def supplement_came(records: RecordsDatabase, dossier: Dossier) -> bool:
    """Whether the declaration that comes after the one in force has been handed in."""
    with records.session() as session:
        return source_of(session, dossier.submission, part_of(dossier.revision + 1)) is not None


def part_of(revision: int) -> str:
    """The name of a hand-in among those of its submission."""
    return f"r{revision}"


def stored_names(component: int, originals: Sequence[str]) -> list[str]:
    """Names without personal data that keep what matters of the scanner's: declared order, order by name, type."""
    places = enumerate(zip(originals, ranks(originals), strict=True), 1)
    return [f"c{component}/{place:04d}-{rank}{_suffix(name)}" for place, (name, rank) in places]


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", suffix) else ""


def sequence_of(stored: str) -> int:
    """The order by name in a name made by `stored_names` (or in any file name that ends in a number); 0: none."""
    numbers = re.findall(r"\d+", PurePosixPath(stored).stem)
    return int(numbers[-1]) if numbers else 0


def submission_id(path: Path) -> str:
    """Id of a folder's content: the same papers handed in twice are one submission."""
    with Folder(path, own=True) as folder:
        return _content_id(folder)


def _content_id(folder: Folder) -> str:
    digest = hashlib.sha256(folder.read(MANIFEST, MANIFEST_LIMIT) or b"")
    for place, _ in sorted(folder.files(), key=lambda found: PurePosixPath(composed(found[0].as_posix()))):
        if place == PurePosixPath(MANIFEST) or "rescan" in place.parts or place.suffix in {".json", ".txt"}:
            continue
        with folder.file(place) as path:
            if path is not None:
                digest.update(os.fsencode(composed(place.as_posix())))
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def hand_in(
    records: RecordsDatabase,
    objects: ObjectStore,
    path: Path,
    origin: Origin,
    *,
    submission: str | None = None,
    revision: int = 1,
) -> str:
    """Put a folder into INBOX, note whose it is and what it holds, and return its submission id.

    Raises ManifestInvalid, NotTheCapturer before anything is stored, FolderUnfit before it counts as handed in, and
    SourceConflict when somebody else handed it in. A folder of the inbox is not followed when it is a link.
    A declared file that is missing is not an error here: the dossier is registered and waits for that scan.
    Of a submission whose dossier has ended nothing is stored.
    """
    files = {}
    own = origin.kind is not SourceKind.INBOX
    with Folder(path, own=own) as folder, TemporaryDirectory(prefix="sohoa-batch-") as work:
        data = folder.read(MANIFEST, MANIFEST_LIMIT)
        if data is None:
            raise ManifestInvalid(where="thiếu tệp dossier.yaml")
        manifest = parse_manifest(data)
        if not origin.capturer(manifest.captured_by):
            raise ManifestInvalid(where="captured_by")
        _require_plausible(manifest)
        if manifest.whole:
            raise ManifestInvalid(where="whole")
        there = FolderFiles(folder)
        if submission is None:
            submission = _content_id(folder)
            if ended(records, submission) is not None:  # its copies may be gone (LU06): nothing is stored again
                origin.require(records, submission, part_of(revision))
                return submission
        if _parted_before(records, manifest, submission, revision):
            origin.require(records, submission, part_of(revision))
            return submission
        renamed, sources = _renamed(manifest, folder, there, Path(work))
        body = yaml.safe_dump(renamed.model_dump(mode="json"), allow_unicode=True, sort_keys=False).encode()
        parse_manifest(body)  # what is stored can be read again
        for known, source in sources.items():
            with folder.file(there.place_of(source)) if isinstance(source, str) else nullcontext(source) as file:
                if file is not None:
                    key = inbox_key(submission, revision, known)
                    put = objects.put_once(Bucket.INBOX, key, file, content_type="application/octet-stream")
                    files[f"{part_of(revision)}/{known}"] = put.sha256
    declared = objects.put_once(
        Bucket.INBOX, inbox_key(submission, revision, MANIFEST), body, content_type="application/yaml"
    )
    files[f"{part_of(revision)}/{MANIFEST}"] = declared.sha256
    origin.note(records, submission, part_of(revision), files)  # last: what has a source is complete
    return submission


def _parted_before(records: RecordsDatabase, manifest: Manifest, submission: str, revision: int) -> bool:
    """The same scan of several papers was handed in: it isn't parted again, and its parts are there."""
    if manifest.batch is None and not any(component.duplex for component in manifest.components):
        return False
    with records.session() as session:
        return source_of(session, submission, part_of(revision)) is not None


def _renamed(
    manifest: Manifest, folder: Folder, there: FolderFiles, work: Path
) -> tuple[Manifest, dict[str, str | Path]]:
    """The declaration with names that are no personal data, and for each of these its file.

    A file is one of the folder's, by its name, or was cut out of a scan of several papers. Raises BatchUnfit.
    """
    renamed, cutting = manifest.model_copy(deep=True), Cutting()
    sources: dict[str, str | Path] = {}
    listed = {  # of a folder, the names give the order
        number: there.listed(c.files) if "files" in c.model_fields_set else there.within(f"c{number}")
        for number, c in enumerate(manifest.components, 1)
    }
    for number, component in enumerate(manifest.components, 1):
        if component.duplex and listed[number]:
            interleave(cutting, folder, there, listed[number], number, component.duplex, work)
    if manifest.batch:
        papers = {n: c for n, c in enumerate(manifest.components, 1) if c.in_batch and not listed[n]}
        part_batch(cutting, folder, there, manifest.batch, papers, work)
    for number, component in enumerate(renamed.components, 1):
        made = cutting.made.get(number)
        component.files = stored_names(number, [path.name for path in made] if made else listed[number])
        component.duplex = None
        sources |= zip(component.files, made or listed[number], strict=True)
    if cutting.came:
        names = [f"{PLACE}/{place:04d}-0{_suffix(name)}" for place, name in enumerate(cutting.came, 1)]
        renamed.batch, renamed.whole = None, Whole(files=names, cut=cutting.cut)
        sources |= zip(names, cutting.came, strict=True)
    return renamed, sources


def implausible(manifest: Manifest) -> list[str]:
    """Where a declared time of capture is to come, or long past: a typing error at best."""
    now = datetime.now(UTC)
    declared = {f"components.{n}.captured_at": c.captured_at for n, c in enumerate(manifest.components, 1)}
    told = {"captured_at": manifest.captured_at} | declared
    return [where for where, at in told.items() if at and not plausible(at, now, backlog=manifest.transitional)]


def _require_plausible(manifest: Manifest) -> None:
    """Raises ManifestInvalid."""
    for where in implausible(manifest):
        raise ManifestInvalid(where=f"{where}: thời điểm quét ở tương lai hoặc đã quá lâu")


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
    manifest = parse_manifest(_unaltered(records, objects, submission, key, source.files))
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
        _keep_whole(records, objects, dossier_id, submission, revision, source.files, manifest.whole)
    for document_id, ordinal, attempt in declared:
        names = manifest.components[ordinal - 1].files
        originals = [Original(inbox_key(submission, revision, name)) for name in names]
        keep_originals(records, objects, dossier_id, document_id, attempt, originals, handed_in=source.files)
    return Registered(
        dossier_id=dossier_id, documents=[document_id for document_id, _, _ in declared], counter_officer=officer
    )


def whole_key(dossier_id: DossierId, name: str, sha256: str) -> str:
    """Where a scan of several papers lies in INTAKE. name: below its submission in INBOX, ``r1/batch/…``."""
    path = PurePosixPath(name)
    return f"{dossier_id}/{PLACE}/{path.parts[0]}-{path.stem[:4]}-{sha256[:16]}{path.suffix}"


def _keep_whole(
    records: RecordsDatabase,
    objects: ObjectStore,
    dossier_id: DossierId,
    submission: str,
    revision: int,
    handed_in: Mapping[str, str],
    whole: Whole,
) -> None:
    """What the scanner wrote is kept as it came, with what became of each of its pages in the trail (CA08)."""
    hashes = []
    for name in whole.files:
        key = inbox_key(submission, revision, name)
        data = _unaltered(records, objects, submission, key, handed_in, dossier_id)
        hashes.append(hashlib.sha256(data).hexdigest())
        target = whole_key(dossier_id, key.removeprefix(f"{submission}/"), hashes[-1])
        objects.put_once(Bucket.INTAKE, target, data, content_type="application/octet-stream")
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id, with_for_update=True)
        same = (col(AuditEntry.dossier_id) == dossier_id, col(AuditEntry.action) == "part")
        known = session.exec(select(AuditEntry).where(*same)).all()
        if all(entry.details.get("revision") != revision for entry in known):
            details = {"revision": revision, "files": hashes, "cut": whole.cut}
            audit(
                session, actor=dossier.captured_by, action="part", dossier_id=dossier_id, rule="CA08", details=details
            )


def _registered_before(records: RecordsDatabase, submission: str, revision: int) -> Registered | None:
    """The dossier, where it is past this declaration: supplemented since, received or refused. Else None."""
    with records.session() as session:
        dossier = dossier_of_submission(session, submission)
        if dossier is None or (dossier.revision <= revision and dossier.state in SUPPLEMENTABLE):
            return None
        declared = [document.id for document in documents(session, dossier.id) if not document.is_issued]
        return Registered(dossier_id=dossier.id, documents=declared, counter_officer=dossier.captured_by)


def _unaltered(
    records: RecordsDatabase,
    objects: ObjectStore,
    submission: str,
    key: str,
    handed_in: Mapping[str, str],
    dossier_id: DossierId | None = None,
) -> bytes:
    """A file of INBOX as it was handed in. Raises HandInAltered, with an incident, also for one that never was."""
    sha256 = handed_in.get(key.removeprefix(f"{submission}/"), "")
    try:
        if sha256:
            return objects.read(Bucket.INBOX, key, sha256=sha256)
    except IntegrityError:
        pass
    with records.session() as session:
        raise_incident(session, code=HandInAltered.code, dossier_id=dossier_id, rule=HandInAltered.rule)
    raise HandInAltered()


@dataclass(frozen=True)
class Original:
    """A file in INBOX. place, added: as in `Scan`; None: one of the files in order."""

    key: str
    place: int | None = None
    added: bool = False
    removed: bool = False  # no file: the blank image at `place` goes, as an officer has accepted


def keep_originals(
    records: RecordsDatabase,
    objects: ObjectStore,
    dossier_id: DossierId,
    document_id: DocumentId,
    attempt: int,
    originals: Sequence[Original],
    *,
    handed_in: Mapping[str, str],
    after: int = 0,
) -> None:
    """Copy files from INBOX to INTAKE under their hash and note each as a Scan, numbered from after + 1; idempotent.

    handed_in: INBOX name below the submission → SHA-256 when it was handed in. Raises HandInAltered (with an incident)
    for a file that isn't that one. A file that isn't there leaves a Scan without object and with code FILE_MISSING:
    capture asks for it.
    """
    for ordinal, original in enumerate(originals, after + 1):
        scan = Scan(
            document_id=document_id,
            attempt=attempt,
            ordinal=ordinal,
            sequence=sequence_of(original.key) if original.place is None else 0,
            object_key="",
            sha256="",
            size=0,
            refused_code="FILE_MISSING",
            place=original.place,
            added=original.added,
            media_type=REMOVED if original.removed else "",
        )
        if objects.exists(Bucket.INBOX, original.key):
            submission = original.key.partition("/")[0]
            data = _unaltered(records, objects, submission, original.key, handed_in, dossier_id)
            sha256 = hashlib.sha256(data).hexdigest()
            suffix = PurePosixPath(original.key).suffix or ".bin"
            target = document_key(dossier_id, document_id, attempt, f"{ordinal:04d}-{sha256[:16]}{suffix}")
            kept = objects.put_once(Bucket.INTAKE, target, data, content_type="application/octet-stream")
            scan.object_key, scan.version, scan.sha256, scan.size = kept.key, kept.version, sha256, kept.size
            scan.refused_code = None
        with records.session() as session:
            exists = session.exec(
                select(Scan).where(Scan.document_id == document_id, Scan.attempt == attempt, Scan.ordinal == ordinal)
            ).first()
            if exists is None:
                session.add(scan)


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
