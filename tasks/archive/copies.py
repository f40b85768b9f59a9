"""Copies are dropped once the record is locked: what was handed in twice, and what the steps have worked on.

What stays: the record under lock, and the scanner's files in INTAKE with their SHA-256 in the records, as evidence of
what was captured, until the record itself is disposed of. QĐ 1333 doesn't ask for raw scans; a dispute about the
capture (Điều 11.4) does. INBOX holds the same bytes as INTAKE, WORKING what can be read from the record.
"""

from __future__ import annotations

import logging
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import update
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError, SohoaError
from blocks.folder import Folder
from blocks.ids import DossierId
from blocks.objects import Bucket, ObjectMissing, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents
from blocks.records.states import DossierState
from blocks.records.tables import ArchivedObject, Dossier, DroppedHandIn, Source
from blocks.settings.sections import PreservationSettings
from blocks.trust import clock
from tasks.intake.inbox import TAKEN
from tasks.intake.names import SUBMISSION_ID
from tasks.journal import forget_ended
from tasks.prefect_task import one_by_one

KEPT = ("verification.json",)  # small, and shown on the dossier's page
AT_ONCE = 500  # dossiers a night
NOTHING_GOES_ON = 100  # days: no pause or outage lasts half as long
DROPPED, ABANDONED = "drop-copies", "drop-abandoned"
logger = logging.getLogger(__name__)


class CopyReport(BaseModel):
    """Dossiers whose copies went, hand-ins that were never started, folders of the inbox; dossiers that keep theirs."""

    dossiers: int = 0
    abandoned: int = 0
    folders: int = 0
    kept: int = 0


def ended(records: RecordsDatabase, bounds: PreservationSettings, limit: int = AT_ONCE) -> list[DossierId]:
    """Archived dossiers whose copies are still there, the oldest first."""
    before = clock() - timedelta(days=bounds.copies_days)
    query = select(Dossier.id).where(
        Dossier.state == DossierState.LUU_TRU, col(Dossier.copies_dropped_at).is_(None), col(Dossier.result_at) < before
    )
    with records.session() as session:
        return [DossierId(found) for found in session.exec(query.order_by(col(Dossier.result_at)).limit(limit))]


def drop_copies(records: RecordsDatabase, objects: ObjectStore, dossier_id: DossierId) -> bool:
    """False: something of the record is not (or not rightly) under lock, so the copies stay. Idempotent."""
    with records.session() as session:
        dossier = session.get_one(Dossier, dossier_id)
        papers = documents(session, dossier_id)
        ids = [paper.id for paper in papers]
        kept = session.exec(select(ArchivedObject).where(col(ArchivedObject.document_id).in_(ids))).all()
        whole = {row.document_id for row in kept}
        session.expunge_all()
    if dossier.state is not DossierState.LUU_TRU or any(paper.file_key and paper.id not in whole for paper in papers):
        return False
    if not all(_readable(objects, row) for row in kept):
        return False
    count = objects.delete_below(Bucket.INBOX, f"{dossier.submission}/")
    count += objects.delete_below(Bucket.WORKING, f"{dossier_id}/", lambda key: not key.endswith(KEPT))
    with records.session() as session:
        session.execute(update(Dossier).where(col(Dossier.id) == dossier_id).values(copies_dropped_at=clock()))
        audit(
            session, actor="system", action=DROPPED, dossier_id=dossier_id, rule="LU06",
            details={"objects": count, "verified": len(kept)},
        )  # fmt: skip
    return True


def _readable(objects: ObjectStore, row: ArchivedObject) -> bool:
    """Its bytes are there under lock, and are what was signed."""
    try:
        return row.locked_until > clock() and row.sha256 == objects.stored_hash(
            Bucket.RECORDS, row.object_key, row.version
        )
    except (IntegrityError, ObjectMissing):
        return False


def drop_abandoned(records: RecordsDatabase, objects: ObjectStore, bounds: PreservationSettings) -> int:
    """Hand-ins that never became a dossier: nobody started them. Returns how many."""
    before = clock() - timedelta(days=bounds.abandoned_days)
    known = select(Dossier.id).where(Dossier.submission == Source.submission).exists()
    done = select(DroppedHandIn.at).where(DroppedHandIn.submission == Source.submission).exists()
    gone = select(Source.submission).where(Source.at < before, ~known, ~done).distinct()
    with records.session() as session:
        old = list(session.exec(gone.limit(AT_ONCE)))

    def drop(submission: str) -> None:
        count = objects.delete_below(Bucket.INBOX, f"{submission}/")
        with records.session() as session:
            session.add(DroppedHandIn(submission=submission))
            audit(session, actor="system", action=ABANDONED, rule="LU06", details={"objects": count})

    return len(one_by_one(old, drop))


def drop_folders(records: RecordsDatabase, inbox: Path, bounds: PreservationSettings) -> int:
    """Taken folders of the inbox whose dossier is archived and whose copies are gone. Returns how many."""
    count = 0
    for path in (*inbox.glob("*"), *inbox.glob("*/*")):
        if path.is_symlink() or not path.is_dir():
            continue
        try:
            with Folder(path) as folder:
                submission = (folder.read(TAKEN, 100) or b"").decode("ascii", "replace").strip()
        except (OSError, SohoaError):
            continue
        if not re.fullmatch(SUBMISSION_ID, submission):
            continue
        with records.session() as session:
            if _dropped(session, submission) is not None:
                shutil.rmtree(path, ignore_errors=True)  # follows no link
                count += 1
    return count


def _dropped(session: Session, submission: str) -> datetime | None:
    return session.exec(select(Dossier.copies_dropped_at).where(Dossier.submission == submission)).first()


def drop_stored_copies(
    records: RecordsDatabase, objects: ObjectStore, inbox: Path, bounds: PreservationSettings
) -> CopyReport:
    """All of it. One dossier that can't be looked at keeps its copies and stops no other."""
    with records.session() as session:
        forget_ended(session, clock() - timedelta(days=NOTHING_GOES_ON))
    done = one_by_one(ended(records, bounds), lambda dossier: drop_copies(records, objects, dossier))
    return CopyReport(
        dossiers=sum(done),
        kept=len(done) - sum(done),
        abandoned=drop_abandoned(records, objects, bounds),
        folders=drop_folders(records, inbox, bounds),
    )
