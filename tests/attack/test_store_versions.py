"""Who holds the worker's S3 key lays other bytes over what was written: nobody sees, signs or keeps them (CA08)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from blocks.catalog import Catalog
from blocks.errors import IntegrityError, ObjectConflict
from blocks.objects import Bucket, ObjectMissing, ObjectStore, RecordsAreKept, StoredObject, document_key
from blocks.records import RecordsDatabase
from blocks.records.queries import file_of
from blocks.records.tables import Document, now
from deployments.cli import backup
from deployments.desk.images import WIDTH, Images
from infra.local.seaweed import Seaweed
from tasks.archive.store import store_record
from tests.attack.plugin import Attack
from tests.attack.test_store_keys import client
from tests.tasks.capture.pages_for_tests import jpeg, paper, pdf_of, scanned
from tests.tasks.lawcase import get, make_dossier, put_signed

UNITS = ("BHXH-TEST",)


@pytest.fixture
def thief(seaweed: Seaweed) -> Any:
    """boto3 client with the worker's key: the one that may write everywhere."""
    return client(seaweed, "worker")


@pytest.fixture
def document(records: RecordsDatabase, objects: ObjectStore) -> UUID:
    """A captured paper of one page."""
    dossier_id, [document_id] = make_dossier(records, ["GIAY_RA_VIEN"])
    key = document_key(dossier_id, document_id, 1, "built.pdf")
    stored = objects.put_once(Bucket.WORKING, key, _page(1), content_type="application/pdf")
    with records.session() as session:
        row = session.get_one(Document, document_id)
        row.file_key, row.file_version, row.file_sha256 = stored.key, stored.version, stored.sha256
        session.add(row)
    return document_id


def _page(number: int) -> bytes:
    return pdf_of([jpeg(scanned(paper(number)))])


def look(records: RecordsDatabase, objects: ObjectStore, document_id: UUID) -> Callable[[], bytes]:
    """What an officer gets to see, each time from a process that has kept nothing."""

    def seen() -> bytes:
        images = Images(records, objects)
        return images.open(images.address("gq.01", document_id, 1).rpartition("/")[2], "gq.01", WIDTH, UNITS)

    return seen


def test_another_image_over_the_one_that_officers_see(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, document: UUID, thief: Any
) -> None:
    row = get(records, document)
    where = {"Bucket": objects.bucket_name(Bucket.WORKING), "Key": row.file_key}
    seen = look(records, objects, document)
    with attack("another page over the key of a paper that waits for verification", watch=seen) as told:
        told.answered(f"stored as version {thief.put_object(**where, Body=_page(2))['VersionId'][:8]}, never shown")
    with attack("the same with the right hash in its metadata", watch=seen) as told:
        thief.put_object(**where, Body=_page(2), Metadata={"sha256": row.file_sha256})
        told.answered("stored, never shown: metadata prove nothing")
    with attack("a delete marker over the key", watch=seen) as told:
        told.answered(f"DeleteMarker {thief.delete_object(**where)['DeleteMarker']}, the version is read as before")
    with attack("the right version deleted, another page in its place") as told:
        thief.delete_object(**where, VersionId=row.file_version)
        with pytest.raises(IntegrityError) as refused:
            seen()
        told.answered(refused.value.code)
        told.proved("no other bytes are shown")


def test_another_version_over_a_locked_record(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, document: UUID, thief: Any
) -> None:
    pdf, key = _page(1), f"{uuid4()}/record.pdf"
    until = now() + timedelta(days=1)
    stored = objects.put_once(Bucket.RECORDS, key, pdf, content_type="application/pdf", lock_until=until)
    with records.session() as session:
        row = session.get_one(Document, document)
        row.record_key, row.record_version, row.record_sha256 = stored.key, stored.version, stored.sha256
        session.add(row)
    where = {"Bucket": objects.bucket_name(Bucket.RECORDS), "Key": key}
    with attack("another page over a record under COMPLIANCE lock", watch=look(records, objects, document)) as told:
        told.answered(f"stored as version {thief.put_object(**where, Body=_page(2))['VersionId'][:8]}, never shown")
        assert file_of(get(records, document)) == StoredObject(Bucket.RECORDS, key, stored.version, stored.sha256, 0)
    with attack("the record that a reader without a version would get") as told:
        assert thief.get_object(**where)["Body"].read() != pdf  # S3 itself gives the newest
        assert objects.read(Bucket.RECORDS, key, sha256=stored.sha256) == pdf
        told.answered("the store gives the newest, the product the one with the hash")
        told.proved("the locked version has its bytes")
    with attack("the product itself is asked to delete the record") as told:
        with pytest.raises(RecordsAreKept) as refused:
            objects.delete(Bucket.RECORDS, key)
        told.answered(refused.value.code)
        told.proved(f"{len(list(objects.versions(Bucket.RECORDS, key)))} versions")


def test_nothing_is_read_by_its_key_alone(attack: Attack, objects: ObjectStore) -> None:
    with attack("a read that names no hash") as told:
        with pytest.raises(TypeError) as refused:
            objects.read(Bucket.WORKING, "x")  # type: ignore[call-arg]
        told.answered(refused.value)
        told.proved("the type checker refuses it, too")


def test_a_key_is_taken_before_its_writer_comes(attack: Attack, objects: ObjectStore, thief: Any) -> None:
    key = f"{uuid4()}/built.pdf"
    thief.put_object(Bucket=objects.bucket_name(Bucket.WORKING), Key=key, Body=b"theirs")
    with attack("foreign bytes under a key before the step that writes it") as told:
        with pytest.raises(ObjectConflict) as refused:
            objects.put_once(Bucket.WORKING, key, b"ours", content_type="application/pdf")
        told.answered(refused.value.code)
        told.proved("nothing was adopted")


def test_a_forged_report_is_not_locked_with_the_record(
    attack: Attack, records: RecordsDatabase, objects: ObjectStore, thief: Any
) -> None:
    """Reports were taken by their key: whatever lay there went under lock beside the record."""
    Catalog().load_into(records)
    dossier_id, [document_id] = make_dossier(records, ["GIAY_RA_VIEN"])
    put_signed(records, objects, document_id)
    key = document_key(dossier_id, document_id, 1, "verification.json")
    thief.put_object(Bucket=objects.bucket_name(Bucket.WORKING), Key=key, Body=b'{"valid": true}')
    with attack("a report of one's own beside a signed copy, to be locked with it") as told:
        store_record(records, objects, Catalog(), document_id, "test")
        with pytest.raises(ObjectMissing) as refused:
            objects.unproven(Bucket.RECORDS, key)
        told.answered(refused.value.code)
        told.proved("the record has only what the records name")


def test_keys_never_lie_in_the_backup(attack: Attack, tmp_path: Path) -> None:
    with attack("keys into the folder of the backup") as told:
        with pytest.raises(backup.BackupRefused) as refused:
            backup.backup(tmp_path, tmp_path / "keys")
        told.answered(refused.value.text)
        told.proved(f"{len(list(tmp_path.iterdir()))} files written")
