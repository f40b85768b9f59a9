"""The object store: files by key, written once, with the hash of what was written (QĐ 1333, Điều 8; CA08).

Any S3 does; the local stack runs SeaweedFS. Keys are made of ids and numbers only, never of personal data.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, overload
from uuid import UUID

from prefect.blocks.core import Block

from blocks.errors import IntegrityError, ObjectConflict, Remedy, SohoaError
from blocks.settings import load_stack_env

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchVersion"}
_TAKEN = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


class Bucket(StrEnum):
    """What kind of file, hence how long it lives."""

    INBOX = "inbox"  # handed in, not yet accepted
    INTAKE = "intake"  # the scanner's files as they came
    WORKING = "working"  # built and half-signed PDFs, texts of pages
    RECORDS = "records"  # signed records under object lock (COMPLIANCE)


class ObjectStoreUnavailable(SohoaError):
    """The object store does not answer, or answers with a fault of its own."""

    code = "OBJECT_STORE_UNAVAILABLE"
    message = "Kho tệp tạm thời không phản hồi; hệ thống sẽ tự thử lại, vui lòng chờ."
    remedy = Remedy.RETRY


class ObjectStoreRefused(SohoaError):
    """The store refuses the request: wrong keys, no such bucket, no permission. `details["answer"]`: its code."""

    code = "OBJECT_STORE_REFUSED"
    message = "Kho tệp từ chối yêu cầu ({answer}); vui lòng báo quản trị viên kiểm tra cấu hình kho tệp."


class ObjectMissing(SohoaError):
    """A file that the records database names is not in the store."""

    code, rule = "OBJECT_MISSING", "CA08"
    message = "Không tìm thấy tệp đã lưu trong kho; vui lòng báo quản trị viên kiểm tra kho tệp."


class RecordsAreKept(SohoaError):
    """Somebody asks to delete from the bucket of signed records (LU06, P14)."""

    code, rule = "RECORDS_ARE_KEPT", "LU06"
    message = "Không được xóa bản lưu trữ đã ký số; vui lòng giữ nguyên hồ sơ."


@dataclass(frozen=True)
class StoredObject:
    """One stored version. `sha256`: lower-case hex of its bytes; `version` is empty where the bucket has none."""

    bucket: Bucket
    key: str
    version: str
    sha256: str
    size: int  # bytes


def document_key(dossier_id: UUID, document_id: UUID, attempt: int, name: str) -> str:
    """Key of a file of one attempt at a document."""
    return f"{dossier_id}/{document_id}/{attempt}/{name}"


class Paper(Protocol):
    """A document at its current attempt."""

    id: UUID
    dossier_id: UUID
    attempt: int


def file_key(document: Paper, name: str) -> str:
    return document_key(document.dossier_id, document.id, document.attempt, name)


class _Read(Protocol):
    def __call__(self, bucket: Bucket, key: str, *, version: str | None = None, sha256: str | None = None) -> bytes: ...


class _Get:
    """`ObjectStore.get()` is the installation's store, as with any block; `store.get(bucket, key)` reads an object."""

    @overload
    def __get__(self, instance: None, owner: type[ObjectStore]) -> Callable[[], ObjectStore]: ...
    @overload
    def __get__(self, instance: ObjectStore, owner: type[ObjectStore]) -> _Read: ...
    def __get__(self, instance: ObjectStore | None, owner: type[ObjectStore]) -> Any:
        return owner.registered if instance is None else instance.read


class ObjectStore(Block):
    """An S3 store. The fields name environment variables: no secret is kept in Prefect's database."""

    _block_type_name = "Sohoa object store"
    _block_type_slug = "sohoa-object-store"

    endpoint_env: str = "SOHOA_S3_ENDPOINT"
    access_key_env: str = "SOHOA_S3_ACCESS_KEY"
    secret_key_env: str = "SOHOA_S3_SECRET_KEY"  # noqa: S105  (the name of a variable)
    prefix: str = "sohoa"  # of the buckets' names

    get: ClassVar[_Get] = _Get()

    @classmethod
    def registered(cls) -> Self:
        """The store of this installation. No document of Prefect is asked: its password would change where we write."""
        return cls()

    @property
    def client(self) -> S3Client:
        """boto3 client of this process (never shared over a fork)."""
        load_stack_env()
        variables = (self.endpoint_env, self.access_key_env, self.secret_key_env)
        return _client(os.getpid(), *(os.environ[name] for name in variables))

    def bucket_name(self, bucket: Bucket) -> str:
        return f"{self.prefix}-{bucket.value}"

    def ensure_buckets(self) -> None:
        """Create the buckets that are missing. RECORDS gets object lock, which can't be added later."""
        with _faults():
            have = {entry.get("Name") for entry in self.client.list_buckets()["Buckets"]}
        for bucket in Bucket:
            name = self.bucket_name(bucket)
            if name in have:
                continue
            with _faults(allowed={"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}):
                self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=bucket is Bucket.RECORDS)
            with _faults():
                self.client.put_bucket_encryption(
                    Bucket=name,
                    ServerSideEncryptionConfiguration={
                        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                    },
                )

    # -- writing ------------------------------------------------------------------------------------------------
    def put_once(
        self,
        bucket: Bucket,
        key: str,
        data: bytes | Path,
        *,
        content_type: str,
        lock_until: datetime | None = None,
    ) -> StoredObject:
        """Store under a key that is written once, or find the same bytes there already.

        lock_until (RECORDS only, with time zone): until then nobody can delete or change this version.
        Raises ObjectConflict when other bytes are there, ObjectStoreUnavailable when it can't be known.
        """
        if lock_until is not None and bucket is not Bucket.RECORDS:
            raise ValueError("only the bucket of records has object lock")
        sha256, size = digest(data)
        arguments: dict[str, Any] = {
            "Bucket": self.bucket_name(bucket),
            "Key": key,
            "ContentType": content_type,
            "ContentLength": size,
            "IfNoneMatch": "*",
            "ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode(),
            "Metadata": {"sha256": sha256},
        }
        if lock_until is not None:
            arguments |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": lock_until.astimezone(UTC)}
        try:
            with _faults(), _body(data) as body:
                answer = self.client.put_object(Body=body, **arguments)
        except (_AlreadyThere, ObjectStoreUnavailable) as error:
            # 412 also follows a PUT whose answer was lost and that was sent again: look what is there.
            return self._settle(bucket, key, sha256, lock_until, error)
        return StoredObject(bucket, key, answer.get("VersionId", ""), sha256, size)

    def _settle(
        self, bucket: Bucket, key: str, sha256: str, lock_until: datetime | None, error: SohoaError
    ) -> StoredObject:
        """Read back what is stored under the key: the same bytes count as our own write."""
        there = self.head(bucket, key)
        if there is None:
            # An unanswered PUT that stored nothing; or a rival's that is half done: try again later in both cases.
            raise ObjectStoreUnavailable() from error
        if self._hash(bucket, key, there.version) != sha256:
            raise ObjectConflict() from error
        if lock_until is not None:
            self.extend_lock(bucket, key, there.version, lock_until)
        return StoredObject(bucket, key, there.version, sha256, there.size)

    def put_version(
        self, bucket: Bucket, key: str, path: Path, *, content_type: str, lock_until: datetime
    ) -> StoredObject:
        """A new locked version under a key that exists: how a damaged object is restored. The old ones stay."""
        sha256, size = digest(path)
        with _faults(), _body(path) as body:
            answer = self.client.put_object(
                Bucket=self.bucket_name(bucket),
                Key=key,
                Body=body,
                ContentType=content_type,
                ContentLength=size,
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                Metadata={"sha256": sha256},
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=lock_until.astimezone(UTC),
            )
        return StoredObject(bucket, key, answer.get("VersionId", ""), sha256, size)

    def extend_lock(self, bucket: Bucket, key: str, version: str, until: datetime) -> None:
        """Locks are only ever made longer."""
        where: dict[str, Any] = {"Bucket": self.bucket_name(bucket), "Key": key, "VersionId": version}
        with _faults():
            current = self.client.head_object(**where).get("ObjectLockRetainUntilDate")
            if current is None or current < until:
                retention: Any = {"Mode": "COMPLIANCE", "RetainUntilDate": until.astimezone(UTC)}
                self.client.put_object_retention(**where, Retention=retention)

    # Shadows Prefect's deletion of a block document, which nothing here uses.
    def delete(self, bucket: Bucket, key: str) -> None:  # type: ignore[override]
        """Delete an object; a missing one is fine. Raises RecordsAreKept for the bucket of records."""
        if bucket is Bucket.RECORDS:
            raise RecordsAreKept()
        with _faults(allowed=_MISSING):
            self.client.delete_object(Bucket=self.bucket_name(bucket), Key=key)

    def discard(self, bucket: Bucket, key: str) -> int:
        """Delete every version of an object, and the marks of earlier deletions; how many. Raises RecordsAreKept."""
        if bucket is Bucket.RECORDS:
            raise RecordsAreKept()
        name, count = self.bucket_name(bucket), 0
        for found, version in [*self._every_version(bucket, key)]:
            if found == key:
                with _faults(allowed=_MISSING):
                    self.client.delete_object(Bucket=name, Key=key, VersionId=version)
                count += 1
        with _faults(allowed=_MISSING):  # a bucket without versions
            if not count:
                self.client.delete_object(Bucket=name, Key=key)
        return count

    def all_keys(self, bucket: Bucket, prefix: str) -> Sequence[str]:
        """Keys under a prefix of which any version is left, also below a mark of deletion; in alphabetical order."""
        return sorted({key for key, _ in self._every_version(bucket, prefix)}.union(self.list(bucket, prefix)))

    def _every_version(self, bucket: Bucket, prefix: str) -> Iterator[tuple[str, str]]:
        with _faults():
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.bucket_name(bucket), Prefix=prefix):
                entries: Any = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                for entry in entries:
                    yield entry["Key"], entry["VersionId"]

    # -- reading ------------------------------------------------------------------------------------------------
    def read(self, bucket: Bucket, key: str, *, version: str | None = None, sha256: str | None = None) -> bytes:
        """The bytes of an object; also callable as `store.get(…)`.

        Raises ObjectMissing; IntegrityError when they don't fit `sha256` or the hash that was stored with them.
        """
        return b"".join(self._chunks(bucket, key, version, sha256))

    def download(
        self, bucket: Bucket, key: str, path: Path, *, version: str | None = None, sha256: str | None = None
    ) -> None:
        """The same into a file, which appears only when it is whole and right."""
        half = path.with_name(path.name + ".part")
        try:
            with half.open("wb") as file:
                for chunk in self._chunks(bucket, key, version, sha256):
                    file.write(chunk)
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)

    def head(self, bucket: Bucket, key: str) -> StoredObject | None:
        """What is stored under the key, without its bytes; None when nothing is."""
        try:
            with _faults():
                answer = self.client.head_object(Bucket=self.bucket_name(bucket), Key=key)
        except ObjectMissing:
            return None
        hash_ = answer["Metadata"].get("sha256") or self._hash(bucket, key, answer.get("VersionId", ""))
        return StoredObject(bucket, key, answer.get("VersionId", ""), hash_, answer["ContentLength"])

    def versions(self, bucket: Bucket, key: str) -> Iterator[str]:
        """Ids of all versions of one key, newest first."""
        with _faults():
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.bucket_name(bucket), Prefix=key):
                yield from (entry["VersionId"] for entry in page.get("Versions", []) if entry["Key"] == key)

    def stored_hash(self, bucket: Bucket, key: str, version: str) -> str:
        """SHA-256 of what is really stored, from its bytes. Raises like `read`."""
        return self._hash(bucket, key, version)

    def list(self, bucket: Bucket, prefix: str) -> Iterator[str]:
        """Keys that begin with the prefix, in alphabetical order."""
        with _faults():
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket_name(bucket), Prefix=prefix):
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def _chunks(self, bucket: Bucket, key: str, version: str | None, sha256: str | None) -> Iterator[bytes]:
        where: dict[str, Any] = {"Bucket": self.bucket_name(bucket), "Key": key}
        where |= {"VersionId": version} if version else {}
        running = hashlib.sha256()
        with _faults():
            answer = self.client.get_object(**where)
            with closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK):
                    running.update(chunk)
                    yield chunk
        for expected in (sha256, answer["Metadata"].get("sha256")):
            if expected and expected != running.hexdigest():
                raise IntegrityError()

    def _hash(self, bucket: Bucket, key: str, version: str) -> str:
        """SHA-256 of what is really stored, from its bytes."""
        running = hashlib.sha256()
        for chunk in self._chunks(bucket, key, version or None, None):
            running.update(chunk)
        return running.hexdigest()


class _AlreadyThere(SohoaError):
    """If-None-Match failed: the key is taken. Never leaves this module."""

    code = "OBJECT_EXISTS"


@contextmanager
def _faults(allowed: frozenset[str] | set[str] = frozenset()) -> Iterator[None]:
    """Turn boto3's errors into ours; codes in `allowed` count as success."""
    from botocore.exceptions import (  # late: flows import this module, boto3 is slow to import
        BotoCoreError,
        ClientError,
        FlexibleChecksumError,
        HTTPClientError,
        ParamValidationError,
    )
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        answer = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if answer in allowed:
            return
        if answer in _TAKEN:
            raise _AlreadyThere() from error
        if answer in _MISSING:
            raise ObjectMissing() from error
        if status >= 500 or status in (0, 408, 429) or answer in {"SlowDown", "RequestTimeout", "InternalError"}:
            raise ObjectStoreUnavailable() from error
        raise ObjectStoreRefused(answer=answer or status) from error
    except FlexibleChecksumError as error:
        raise IntegrityError() from error
    except ParamValidationError:
        raise
    except (HTTPClientError, BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
        raise ObjectStoreUnavailable() from error


@contextmanager
def _body(data: bytes | Path) -> Iterator[Any]:
    if isinstance(data, bytes):
        yield data
    else:
        with data.open("rb") as file:
            yield file


def digest(data: bytes | Path) -> tuple[str, int]:
    """(SHA-256 in lower-case hex, size in bytes)."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest(), len(data)
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), data.stat().st_size


@cache
def _client(_pid: int, endpoint: str, access_key: str, secret_key: str) -> S3Client:
    import boto3
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=16,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=config,
    )
