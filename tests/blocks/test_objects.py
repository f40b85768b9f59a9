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
    assert objects.get(Bucket.WORKING, key, sha256=stored.sha256) == data
    assert objects.head(Bucket.WORKING, key) == stored
    assert objects.head(Bucket.WORKING, new_key()) is None
    with pytest.raises(ObjectMissing):
        objects.get(Bucket.WORKING, new_key())


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
    assert objects.get(bucket, key) == b"one"


def test_CA08_empty_file(objects: ObjectStore) -> None:
    key = new_key()
    assert put(objects, Bucket.INTAKE, key, b"").size == 0
    assert objects.get(Bucket.INTAKE, key) == b""


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
    assert digest(objects.get(Bucket.WORKING, key))[0] == won[0].sha256


def test_CA08_racing_writers_of_the_same_bytes_all_succeed(objects: ObjectStore) -> None:
    key = new_key()
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: put(objects, Bucket.RECORDS, key, b"same"), range(8)))
    assert len({entry.version for entry in stored}) == 1


def test_CA08_a_changed_object_is_noticed(objects: ObjectStore) -> None:
    key = new_key()
    stored = put(objects, Bucket.WORKING, key, b"right")
    objects.client.put_object(
        Bucket=objects.bucket_name(Bucket.WORKING), Key=key, Body=b"wrong", Metadata={"sha256": stored.sha256}
    )
    with pytest.raises(IntegrityError):
        objects.get(Bucket.WORKING, key)
    with pytest.raises(IntegrityError):
        objects.get(Bucket.WORKING, key, sha256=stored.sha256)


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
    assert objects.get(Bucket.RECORDS, key, version=stored.version) == b"record"


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
        ObjectStore(endpoint_env="NOWHERE").head(Bucket.WORKING, "x")
    monkeypatch.setenv("WRONG", "wrong-key")
    with pytest.raises(ObjectStoreRefused):
        ObjectStore(secret_key_env="WRONG").get(Bucket.WORKING, "x")


def test_the_block_holds_references_only() -> None:
    values = set(ObjectStore().model_dump(include={"endpoint_env", "access_key_env", "secret_key_env"}).values())
    assert values == {"SOHOA_S3_ENDPOINT", "SOHOA_S3_ACCESS_KEY", "SOHOA_S3_SECRET_KEY"}
