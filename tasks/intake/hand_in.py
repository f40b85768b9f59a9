"""A folder is handed in: its declaration and its files go to INBOX under an id that is not personal (Điều 13.1).

The same papers handed in twice are one submission (CO06).
"""

from __future__ import annotations

import hashlib
import os
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import yaml

from blocks.folder import Folder
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceKind, source_of
from tasks.intake.batch import PLACE, Cutting, interleave, part_batch
from tasks.intake.begin import ended
from tasks.intake.folder_files import FolderFiles, composed
from tasks.intake.manifest import MANIFEST, MANIFEST_LIMIT, Manifest, ManifestInvalid, implausible, parse_manifest
from tasks.intake.names import inbox_key, part_of, stored_names, suffix_of
from tasks.intake.origin import Origin
from tasks.intake.parted import Whole


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


def whole_of(records: RecordsDatabase, objects: ObjectStore, submission: str, revision: int = 1) -> Whole | None:
    """What became of a scan of several papers that was handed in; None: there was none. Raises IntegrityError."""
    with records.session() as session:
        source = source_of(session, submission, part_of(revision))
        sha256 = source.files.get(f"{part_of(revision)}/{MANIFEST}") if source else None
    key = inbox_key(submission, revision, MANIFEST)
    if sha256 is None or not objects.exists(Bucket.INBOX, key):
        return None
    return parse_manifest(objects.read(Bucket.INBOX, key, sha256=sha256)).whole


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
        component.turned += cutting.turned.get(number, [])
        component.duplex = None
        sources |= zip(component.files, made or listed[number], strict=True)
    if cutting.came:
        names = [f"{PLACE}/{place:04d}-0{suffix_of(name)}" for place, name in enumerate(cutting.came, 1)]
        renamed.batch, renamed.whole = None, cutting.whole.model_copy(update={"files": names})
        sources |= zip(names, cutting.came, strict=True)
    return renamed, sources


def _require_plausible(manifest: Manifest) -> None:
    """Raises ManifestInvalid."""
    for where in implausible(manifest):
        raise ManifestInvalid(where=f"{where}: thời điểm quét ở tương lai hoặc đã quá lâu")
