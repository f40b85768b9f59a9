"""What was handed in is copied from INBOX to INTAKE, unaltered, and kept for ever, whatever is wrong with it (CA08)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sqlmodel import col, select

from blocks.errors import IntegrityError
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.tables import AuditEntry, Dossier, Scan
from tasks.capture.facts import REMOVED
from tasks.intake.batch import PLACE
from tasks.intake.names import inbox_key, sequence_of
from tasks.intake.origin import HandInAltered
from tasks.intake.parted import Whole


def whole_key(dossier_id: DossierId, name: str, sha256: str) -> str:
    """Where a scan of several papers lies in INTAKE. name: below its submission in INBOX, ``r1/batch/…``."""
    path = PurePosixPath(name)
    return f"{dossier_id}/{PLACE}/{path.parts[0]}-{path.stem[:4]}-{sha256[:16]}{path.suffix}"


def keep_whole(
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
        data = unaltered(records, objects, submission, key, handed_in, dossier_id)
        hashes.append(hashlib.sha256(data).hexdigest())
        target = whole_key(dossier_id, key.removeprefix(f"{submission}/"), hashes[-1])
        objects.put_once(Bucket.INTAKE, target, data, content_type="application/octet-stream")
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id, with_for_update=True)
        same = (col(AuditEntry.dossier_id) == dossier_id, col(AuditEntry.action) == "part")
        known = session.exec(select(AuditEntry).where(*same)).all()
        if all(entry.details.get("revision") != revision for entry in known):
            details = {"revision": revision, "files": hashes, "cut": whole.cut, "blank": whole.blank}
            details |= {"by": whole.by, "left_out": whole.left_out, "turned": whole.turned} if whole.by else {}
            audit(
                session, actor=dossier.captured_by, action="part", dossier_id=dossier_id, rule="CA08", details=details
            )


def unaltered(
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
    """A file in INBOX. place, added, turned: as in `Scan`; place None: one of the files in order."""

    key: str
    place: int | None = None
    added: bool = False
    removed: bool = False  # no file: the blank image at `place` goes, as an officer has accepted
    turned: Mapping[str, int] = field(default_factory=dict)


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
            turned=dict(original.turned),
            media_type=REMOVED if original.removed else "",
        )
        if objects.exists(Bucket.INBOX, original.key):
            submission = original.key.partition("/")[0]
            data = unaltered(records, objects, submission, original.key, handed_in, dossier_id)
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
