"""Whether the object store holds what the records name, byte for byte: after a restore, and whenever asked (CA08)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel
from sqlalchemy import String, cast
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError
from blocks.ids import DossierId
from blocks.objects import Bucket, ObjectMissing, ObjectStore, StoredObject
from blocks.records import RecordsDatabase
from blocks.records.queries import file_of
from blocks.records.tables import ArchivedObject, Document, Dossier, Page, Scan, Signature, SigningRequest, Source
from tasks.intake.batch import PLACE
from tasks.intake.originals import whole_key

BATCH = 500  # rows that are read at once
_ARCHIVED = select(ArchivedObject.document_id)


class Comparison(BaseModel):
    """What a look at everything found. Keys are made of ids only.

    dropped: copies that were deleted on purpose once the record was under lock, or because the paper is secret.
    unknown: objects that no record names, by bucket: left from steps that were stopped, or put there by somebody.
    """

    checked: int = 0
    missing: list[str] = []
    different: list[str] = []
    dropped: int = 0
    unknown: dict[str, int] = {}

    @property
    def whole(self) -> bool:
        return not self.missing and not self.different


def compare(records: RecordsDatabase, objects: ObjectStore) -> Comparison:
    """Read every object that the records name and compare its hash; then count what nobody names."""
    found, named = Comparison(), set[tuple[Bucket, str]]()
    with records.session() as session:
        for stored, kept in _named(session):
            if (stored.bucket, stored.key) in named and stored.bucket is not Bucket.RECORDS:
                continue
            named.add((stored.bucket, stored.key))
            place = f"{stored.bucket.value}/{stored.key}"
            try:
                objects.read(stored.bucket, stored.key, version=stored.version, sha256=stored.sha256)
                found.checked += 1
            except ObjectMissing:
                if kept:
                    found.missing.append(place)
                else:
                    found.dropped += 1
            except IntegrityError:
                found.different.append(place)
    extra = Counter(bucket.value for bucket in Bucket for key in objects.list(bucket, "") if (bucket, key) not in named)
    return found.model_copy(update={"unknown": dict(extra)})


def _named(session: Session) -> Iterator[tuple[StoredObject, bool]]:
    """Each object that the records name, and whether it must be there."""
    held = set(session.exec(select(Document.id).where(col(Document.record_key).is_not(None))))
    for row in session.exec(select(ArchivedObject).execution_options(yield_per=BATCH)):
        # A document without its record was disposed of when its years had ended (LU05).
        yield StoredObject(Bucket.RECORDS, row.object_key, row.version, row.sha256, row.size), row.document_id in held
    dropped = set(session.exec(select(Document.id).where(col(Document.secret) | col(Document.id).in_(_ARCHIVED))))
    for document in session.exec(select(Document).execution_options(yield_per=BATCH)):
        if (stored := file_of(document)) and stored.bucket is Bucket.WORKING:
            yield stored, document.id not in dropped
    for scan in session.exec(select(Scan).where(col(Scan.object_key) != "").execution_options(yield_per=BATCH)):
        kept = scan.document_id not in dropped and scan.refused_code is None
        yield StoredObject(Bucket.INTAKE, scan.object_key, scan.version, scan.sha256, scan.size), kept
    for page in session.exec(select(Page).where(col(Page.text_sha256) != "").execution_options(yield_per=BATCH)):
        text = StoredObject(Bucket.WORKING, page.text_key or "", page.text_version, page.text_sha256, 0)
        yield text, page.document_id not in dropped
    for signature in session.exec(select(Signature).execution_options(yield_per=BATCH)):
        kept = signature.document_id not in dropped
        yield StoredObject(Bucket.WORKING, signature.object_key, signature.version, signature.sha256, 0), kept
        for place in signature.verdict.get("reports", {}).values():
            yield StoredObject(Bucket.WORKING, **place, size=0), kept
    for request in session.exec(select(SigningRequest).execution_options(yield_per=BATCH)):
        prepared = StoredObject(
            Bucket.WORKING, request.prepared_key, request.prepared_version, request.prepared_sha256, 0
        )
        yield prepared, request.document_id not in dropped
    of_dossier = select(Dossier.submission).join(Document, col(Document.dossier_id) == Dossier.id)
    closed = set(session.exec(of_dossier.where(col(Document.secret) | col(Document.id).in_(_ARCHIVED))))
    shared = select(Source.submission).where(cast(Source.files, String).contains(f"/{PLACE}/"))
    dossiers = dict(
        session.exec(select(Dossier.submission, Dossier.id).where(col(Dossier.submission).in_(shared))).all()
    )
    for source in session.exec(select(Source).execution_options(yield_per=BATCH)):
        for name, sha256 in source.files.items():
            yield (
                StoredObject(Bucket.INBOX, f"{source.submission}/{name}", "", sha256, 0),
                source.submission not in closed,
            )
            if f"/{PLACE}/" in name and source.submission in dossiers:  # goes with the first of its papers that goes
                key = whole_key(DossierId(dossiers[source.submission]), name, sha256)
                yield StoredObject(Bucket.INTAKE, key, "", sha256, 0), source.submission not in closed
