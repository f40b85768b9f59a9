"""The object store block on a real SeaweedFS (CA08, LU06)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from blocks.errors import IntegrityError, ObjectConflict
from blocks.objects import (
    Bucket,
    ObjectMissing,
    ObjectStore,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    RecordsAreKept,
    RecordsNotLocked,
    StoredObject,
    digest,
    document_key,
)


def new_key(name: str = "built.pdf") -> str:
    return document_key(uuid4(), uuid4(), 1, name)


def put(objects: ObjectStore, bucket: Bucket, key: str, data: bytes | Path, **options: object) -> StoredObject:
    return objects.put_once(bucket, key, data, content_type="application/pdf", **options)  # type: ignore[arg-type]


def test_CA08_what_is_put_comes_back_with_its_hash(objects: ObjectStore) -> None:
    key, data = new_key(), b"%PDF" * 1000
    stored = put(objects, Bucket.WORKING, key, data)
    assert (stored.sha256, stored.size) == digest(data)
    assert objects.read(Bucket.WORKING, key, sha256=stored.sha256) == data
    assert objects.unproven(Bucket.WORKING, key) == (data, stored)
    assert not objects.exists(Bucket.WORKING, new_key())
    with pytest.raises(ObjectMissing):
        objects.unproven(Bucket.WORKING, new_key())[0]


def test_CA08_a_file_is_put_and_downloaded_whole(objects: ObjectStore, tmp_path: Path) -> None:
    source, target, key = tmp_path / "a", tmp_path / "b", new_key()
    source.write_bytes(bytes(range(256)) * 20_000)  # 5 MB: more than one chunk of the store
    stored = put(objects, Bucket.INTAKE, key, source)
    objects.download(Bucket.INTAKE, key, target, sha256=stored.sha256)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(IntegrityError):
        objects.download(Bucket.INTAKE, key, tmp_path / "c", sha256="0" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("bucket", list(Bucket))
def test_CA08_a_key_is_written_once(objects: ObjectStore, bucket: Bucket) -> None:
    key = new_key()
    first = put(objects, bucket, key, b"one")
    assert put(objects, bucket, key, b"one") == first
    with pytest.raises(ObjectConflict):
        put(objects, bucket, key, b"two")
    assert objects.unproven(bucket, key)[0] == b"one"


def test_CA08_empty_file(objects: ObjectStore) -> None:
    key = new_key()
    assert put(objects, Bucket.INTAKE, key, b"").size == 0
    assert objects.unproven(Bucket.INTAKE, key)[0] == b""


def test_CA08_of_racing_writers_one_wins(objects: ObjectStore) -> None:
    key = new_key()

    def write(number: int) -> StoredObject | None:
        try:
            return put(objects, Bucket.WORKING, key, b"%d" % number)
        except (ObjectConflict, ObjectStoreUnavailable):
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [stored for stored in pool.map(write, range(16)) if stored]
    assert len(won) == 1
    assert digest(objects.unproven(Bucket.WORKING, key)[0])[0] == won[0].sha256


def test_CA08_racing_writers_of_the_same_bytes_all_succeed(objects: ObjectStore) -> None:
    key = new_key()
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: put(objects, Bucket.RECORDS, key, b"same"), range(8)))
    assert len({entry.version for entry in stored}) == 1


def test_CA08_other_bytes_over_a_key_are_never_read(objects: ObjectStore, tmp_path: Path) -> None:
    """The version that was written stays, and is the one that is read; metadata prove nothing."""
    key = new_key()
    stored = put(objects, Bucket.WORKING, key, b"right")
    name = objects.bucket_name(Bucket.WORKING)
    objects.client.put_object(Bucket=name, Key=key, Body=b"wrong", Metadata={"sha256": stored.sha256})
    for version in (stored.version, "", "0" * 32):  # also without the version, or with one that is gone
        assert objects.read(Bucket.WORKING, key, sha256=stored.sha256, version=version) == b"right"
        objects.download(Bucket.WORKING, key, tmp_path / "a", sha256=stored.sha256, version=version)
        assert (tmp_path / "a").read_bytes() == b"right"
    assert objects.unproven(Bucket.WORKING, key) == (b"right", stored)
    assert put(objects, Bucket.WORKING, key, b"right") == stored
    objects.client.delete_object(Bucket=name, Key=key, VersionId=stored.version)
    with pytest.raises(IntegrityError):
        objects.read(Bucket.WORKING, key, sha256=stored.sha256)
    with pytest.raises(IntegrityError):
        objects.download(Bucket.WORKING, key, tmp_path / "b", sha256=stored.sha256)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_LU06_every_bucket_keeps_versions_and_a_deletion_leaves_none(objects: ObjectStore) -> None:
    """Also of a key that a delete marker hides."""
    for bucket in (Bucket.INBOX, Bucket.INTAKE, Bucket.WORKING):
        key, name = new_key(), objects.bucket_name(bucket)
        put(objects, bucket, key, b"one")
        objects.client.put_object(Bucket=name, Key=key, Body=b"two")
        objects.client.delete_object(Bucket=name, Key=key)
        assert len(list(objects.versions(bucket, key))) == 2
        assert list(objects.list(bucket, key)) == [key]
        objects.delete(bucket, key)
        answer = objects.client.list_object_versions(Bucket=name, Prefix=key)
        assert "Versions" not in answer and "DeleteMarkers" not in answer


def test_an_older_installation_gets_versions(objects: ObjectStore) -> None:
    older = ObjectStore(prefix=f"older-{uuid4().hex[:8]}")
    for bucket in Bucket:
        objects.client.create_bucket(
            Bucket=older.bucket_name(bucket), ObjectLockEnabledForBucket=bucket is Bucket.RECORDS
        )
    key = new_key()
    older.client.put_object(Bucket=older.bucket_name(Bucket.WORKING), Key=key, Body=b"before")
    older.ensure_buckets()
    assert older.read(Bucket.WORKING, key, sha256=digest(b"before")[0]) == b"before"
    objects.client.put_object(Bucket=older.bucket_name(Bucket.WORKING), Key=key, Body=b"over")
    assert older.read(Bucket.WORKING, key, sha256=digest(b"before")[0]) == b"before"
    older.delete(Bucket.WORKING, key)
    assert not older.exists(Bucket.WORKING, key)


def test_LU06_a_bucket_of_records_without_lock_is_refused(objects: ObjectStore) -> None:
    wrong = ObjectStore(prefix=f"wrong-{uuid4().hex[:8]}")
    objects.client.create_bucket(Bucket=wrong.bucket_name(Bucket.RECORDS))
    with pytest.raises(RecordsNotLocked):
        wrong.ensure_buckets()


def test_LU06_a_locked_record_is_not_deleted_by_anyone(objects: ObjectStore) -> None:
    key, until = new_key("record.pdf"), datetime.now(UTC) + timedelta(days=2)
    stored = put(objects, Bucket.RECORDS, key, b"record", lock_until=until)
    assert stored.version
    with pytest.raises(RecordsAreKept):
        objects.delete(Bucket.RECORDS, key)
    name = objects.bucket_name(Bucket.RECORDS)
    for bypass in (False, True):
        with pytest.raises(ClientError, match=r"AccessDenied|Forbidden"):
            objects.client.delete_object(
                Bucket=name, Key=key, VersionId=stored.version, BypassGovernanceRetention=bypass
            )
    with pytest.raises(ClientError):
        objects.client.put_object_retention(
            Bucket=name,
            Key=key,
            VersionId=stored.version,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(hours=1)},
        )
    assert objects.read(Bucket.RECORDS, key, version=stored.version, sha256=stored.sha256) == b"record"


def test_LU06_storing_again_makes_a_lock_longer_never_shorter(objects: ObjectStore) -> None:
    key, now = new_key("record.pdf"), datetime.now(UTC).replace(microsecond=0)

    def until() -> datetime:
        answer = objects.client.head_object(Bucket=objects.bucket_name(Bucket.RECORDS), Key=key)
        assert answer["ObjectLockMode"] == "COMPLIANCE"
        return answer["ObjectLockRetainUntilDate"]

    put(objects, Bucket.RECORDS, key, b"record")  # an earlier writer knew no retention
    for days, expected in ((2, 2), (5, 5), (1, 5)):
        put(objects, Bucket.RECORDS, key, b"record", lock_until=now + timedelta(days=days))
        assert until() == now + timedelta(days=expected)


def test_only_records_can_be_locked(objects: ObjectStore) -> None:
    with pytest.raises(ValueError, match="object lock"):
        put(objects, Bucket.WORKING, new_key(), b"x", lock_until=datetime.now(UTC) + timedelta(days=1))


def test_list_and_delete(objects: ObjectStore) -> None:
    folder = uuid4()
    for name in ("b", "a", "c/d"):
        put(objects, Bucket.INBOX, f"{folder}/{name}", b"x")
    assert list(objects.list(Bucket.INBOX, f"{folder}/")) == [f"{folder}/a", f"{folder}/b", f"{folder}/c/d"]
    objects.delete(Bucket.INBOX, f"{folder}/a")
    objects.delete(Bucket.INBOX, f"{folder}/a")
    assert list(objects.list(Bucket.INBOX, f"{folder}/")) == [f"{folder}/b", f"{folder}/c/d"]


def test_buckets_are_made_once(objects: ObjectStore) -> None:
    objects.ensure_buckets()
    configuration = objects.client.get_object_lock_configuration(Bucket=objects.bucket_name(Bucket.RECORDS))
    assert configuration["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


def test_files_are_encrypted_at_rest(objects: ObjectStore) -> None:
    key = new_key()
    put(objects, Bucket.WORKING, key, b"secret")
    answer = objects.client.head_object(Bucket=objects.bucket_name(Bucket.WORKING), Key=key)
    assert answer["ServerSideEncryption"] == "AES256"


def test_no_server_is_a_fault_to_retry_and_wrong_keys_are_not(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOWHERE", "http://127.0.0.1:9")
    with pytest.raises(ObjectStoreUnavailable):
        ObjectStore(endpoint_env="NOWHERE").exists(Bucket.WORKING, "x")
    monkeypatch.setenv("WRONG", "wrong-key")
    with pytest.raises(ObjectStoreRefused):
        ObjectStore(secret_key_env="WRONG").unproven(Bucket.WORKING, "x")


def test_the_block_holds_references_only() -> None:
    values = set(ObjectStore().model_dump(include={"endpoint_env", "access_key_env", "secret_key_env"}).values())
    assert values == {"SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY"}
