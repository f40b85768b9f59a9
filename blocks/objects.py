"""The object store: files by key, written once, with the hash of what was written (QĐ 1333, Điều 8; CA08).

Any S3 does; the local stack runs SeaweedFS. Keys are made of ids and numbers only, never of personal data.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from blocks.errors import IntegrityError, ObjectConflict, Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.service import Service
from blocks.settings import load_stack_env

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20
T = TypeVar("T")
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


class RecordsNotLocked(SohoaError):
    """The bucket of records has no object lock, which can only be given to a new one (LU06)."""

    code, rule = "RECORDS_NOT_LOCKED", "LU06"
    message = "Kho bản lưu trữ không khóa được bản ghi; vui lòng báo quản trị viên tạo lại kho có object lock."


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


def document_key(dossier_id: DossierId, document_id: DocumentId, attempt: int, name: str) -> str:
    """Key of a file of one attempt at a document."""
    return f"{dossier_id}/{document_id}/{attempt}/{name}"


class Paper(Protocol):
    """A document at its current attempt."""

    id: DocumentId
    dossier_id: DossierId
    attempt: int


def file_key(document: Paper, name: str) -> str:
    return document_key(document.dossier_id, document.id, document.attempt, name)


class ObjectStore(Service):
    """An S3 store. The fields name environment variables: no secret is kept in Prefect's database."""

    _block_type_name = "Sohoa object store"
    _block_type_slug = "sohoa-object-store"

    endpoint_env: str = "SOHOA_S3_ENDPOINT"
    access_key_env: str = "SOHOA_S3_ACCESS_KEY"
    secret_key_env: str = "SOHOA_S3_SECRET_KEY"  # noqa: S105  (the name of a variable)
    prefix: str = "sohoa"  # of the buckets' names

    @property
    def client(self) -> S3Client:
        """boto3 client of this process (never shared over a fork)."""
        load_stack_env()
        return _client(os.getpid(), *self._access)

    @property
    def _access(self) -> tuple[str, str, str]:
        """(endpoint, access key, secret key). Raises KeyError naming a variable that isn't set."""
        return os.environ[self.endpoint_env], os.environ[self.access_key_env], os.environ[self.secret_key_env]

    def bucket_name(self, bucket: Bucket) -> str:
        return f"{self.prefix}-{bucket.value}"

    def ensure_buckets(self) -> None:
        """Create the buckets that are missing; every one keeps all versions of a key. Only the administrator's key may.

        RECORDS gets object lock, which can't be added later: raises RecordsNotLocked where that is missing.
        """
        with store_faults():
            have = {entry.get("Name") for entry in self.client.list_buckets()["Buckets"]}
        for bucket in Bucket:
            name = self.bucket_name(bucket)
            if name not in have:
                with store_faults(allowed={"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}):
                    self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=bucket is Bucket.RECORDS)
            with store_faults():
                if self.client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
                    self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
                self.client.put_bucket_encryption(
                    Bucket=name,
                    ServerSideEncryptionConfiguration={
                        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                    },
                )
        if not self.records_are_locked():
            raise RecordsNotLocked()

    def records_are_locked(self) -> bool:
        """Whether the bucket of records has object lock."""
        lock: Any = {}
        with store_faults(allowed={"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"}):
            lock = self.client.get_object_lock_configuration(Bucket=self.bucket_name(Bucket.RECORDS))
        return bool(lock.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")

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
            with store_faults(), _body(data) as body:
                answer = self.client.put_object(Body=body, **arguments)
        except (_AlreadyThere, ObjectStoreUnavailable) as error:
            # 412 also follows a PUT whose answer was lost and that was sent again: look what is there.
            return self._settle(bucket, key, sha256, lock_until, error)
        return StoredObject(bucket, key, answer.get("VersionId", ""), sha256, size)

    def _settle(
        self, bucket: Bucket, key: str, sha256: str, lock_until: datetime | None, error: SohoaError
    ) -> StoredObject:
        """Read back what is stored under the key: a version with the same bytes counts as our own write."""
        found = None
        for version in self.versions(bucket, key):
            found = self._look(bucket, key, version)
            if found.sha256 == sha256:
                if lock_until is not None:
                    self.extend_lock(bucket, key, version, lock_until)
                return found
        if found is None:
            # An unanswered PUT that stored nothing; or a rival's that is half done: try again later in both cases.
            raise ObjectStoreUnavailable() from error
        raise ObjectConflict() from error

    def put_version(
        self, bucket: Bucket, key: str, path: Path, *, content_type: str, lock_until: datetime
    ) -> StoredObject:
        """A new locked version under a key that exists: how a damaged object is restored. The old ones stay."""
        sha256, size = digest(path)
        with store_faults(), _body(path) as body:
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
        with store_faults():
            current = self.client.head_object(**where).get("ObjectLockRetainUntilDate")
            if current is None or current < until:
                retention: Any = {"Mode": "COMPLIANCE", "RetainUntilDate": until.astimezone(UTC)}
                self.client.put_object_retention(**where, Retention=retention)

    # Shadows Prefect's deletion of a block document, which nothing here uses.
    def delete(self, bucket: Bucket, key: str) -> int:  # type: ignore[override]
        """Delete every version of an object, and the marks of earlier deletions; returns how many.

        A missing one is fine. Raises RecordsAreKept for the bucket of records.
        """
        if bucket is Bucket.RECORDS:
            raise RecordsAreKept()
        return self._delete_versions(bucket, key)

    def delete_below(self, bucket: Bucket, prefix: str, where: Callable[[str], object] = bool) -> int:
        """`delete` every object whose key begins with the prefix and is one of `where`; returns how many versions."""
        return sum(self.delete(bucket, key) for key in [*self.list(bucket, prefix)] if where(key))

    def destroy(self, key: str) -> int:
        """Delete every version of a record whose lock has ended; how many. Needs the identity for disposal.

        Raises ObjectStoreRefused while a lock holds, or for another identity.
        """
        return self._delete_versions(Bucket.RECORDS, key)

    def _delete_versions(self, bucket: Bucket, key: str) -> int:
        found = [entry["VersionId"] for entry in self._entries(bucket, key) if entry["Key"] == key]
        for version in found:
            with store_faults(allowed=_MISSING):
                self.client.delete_object(Bucket=self.bucket_name(bucket), Key=key, VersionId=version)
        return len(found)

    # -- reading ------------------------------------------------------------------------------------------------
    # A key alone proves nothing: who may write can put another version over it. The records say which bytes are meant.
    def read(self, bucket: Bucket, key: str, *, sha256: str, version: str = "") -> bytes:
        """The bytes with this hash, as the records name them.

        version: where they were stored; another version of the key with the same bytes is as good. Raises
        ObjectMissing; IntegrityError when no version under the key has these bytes.
        """

        def whole(candidate: str) -> tuple[bytes, str]:
            data = b"".join(self._chunks(bucket, key, candidate))
            return data, digest(data)[0]

        return self._right(bucket, key, version, sha256, whole)

    def download(self, bucket: Bucket, key: str, path: Path, *, sha256: str, version: str = "") -> None:
        """The same into a file, which appears only when it is whole and right."""
        half = path.with_name(path.name + ".part")
        try:
            self._right(
                bucket, key, version, sha256, lambda candidate: (None, self._fetch(bucket, key, candidate, half).sha256)
            )
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)

    def _right(self, bucket: Bucket, key: str, version: str, sha256: str, look: Callable[[str], tuple[T, str]]) -> T:
        """What `look` makes of the first version whose bytes have this hash. Raises as `read`."""
        fault: SohoaError = ObjectMissing()
        for candidate in self._candidates(bucket, key, version):
            try:
                found, hash_ = look(candidate)
            except ObjectMissing:
                continue
            except ObjectStoreUnavailable as error:
                fault = error
                continue
            if hash_ == sha256:
                return found
            fault = IntegrityError()
        raise fault

    def unproven(self, bucket: Bucket, key: str) -> tuple[bytes, StoredObject]:
        """What was stored under the key first, and its hash, where the records don't know it yet.

        Nobody vouches for these bytes: the caller proves what they are (by parsing, by verifying a signature), and
        notes hash and version, by which they are read from then on. Raises ObjectMissing.
        """
        version = self._first(bucket, key)
        data = b"".join(self._chunks(bucket, key, version))
        return data, StoredObject(bucket, key, version, *digest(data))

    def download_unproven(self, bucket: Bucket, key: str, path: Path) -> StoredObject:
        """The same into a file."""
        return self._fetch(bucket, key, self._first(bucket, key), path)

    def exists(self, bucket: Bucket, key: str) -> bool:
        """Whether anything is stored under the key; it says nothing of what that is."""
        return next(self.versions(bucket, key), None) is not None

    def versions(self, bucket: Bucket, key: str) -> Iterator[str]:
        """Ids of all versions of one key, newest first."""
        for entry in self._entries(bucket, key):
            if entry["Key"] == key and "Size" in entry:  # a delete marker has no size
                yield entry["VersionId"]

    def stored_hash(self, bucket: Bucket, key: str, version: str) -> str:
        """SHA-256 of what is really stored as this version, from its bytes. Raises ObjectMissing."""
        return self._look(bucket, key, version).sha256

    def list(self, bucket: Bucket, prefix: str) -> Iterator[str]:
        """Keys that begin with the prefix, in alphabetical order; also those that a delete marker hides."""
        last = ""
        for entry in self._entries(bucket, prefix):
            if entry["Key"] != last:
                yield (last := entry["Key"])

    def _entries(self, bucket: Bucket, prefix: str) -> Iterator[Any]:
        """Versions and delete markers, by key."""
        with store_faults():
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.bucket_name(bucket), Prefix=prefix):
                found: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                yield from sorted(found, key=lambda entry: str(entry["Key"]))

    def _candidates(self, bucket: Bucket, key: str, version: str) -> Iterator[str]:
        """The version that the records name, then the others."""
        if version:
            yield version
        yield from [other for other in self.versions(bucket, key) if other != version]

    def _first(self, bucket: Bucket, key: str) -> str:
        *_, oldest = [None, *self.versions(bucket, key)]
        if oldest is None:
            raise ObjectMissing()
        return oldest

    def _fetch(self, bucket: Bucket, key: str, version: str, path: Path) -> StoredObject:
        with path.open("wb") as file:
            for chunk in self._chunks(bucket, key, version):
                file.write(chunk)
        return StoredObject(bucket, key, version, *digest(path))

    def _look(self, bucket: Bucket, key: str, version: str) -> StoredObject:
        """Hash and size of a version, from its bytes."""
        running, size = hashlib.sha256(), 0
        for chunk in self._chunks(bucket, key, version):
            running.update(chunk)
            size += len(chunk)
        return StoredObject(bucket, key, version, running.hexdigest(), size)

    def _chunks(self, bucket: Bucket, key: str, version: str) -> Iterator[bytes]:
        with store_faults():
            answer = self.client.get_object(Bucket=self.bucket_name(bucket), Key=key, VersionId=version)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK)


class _AlreadyThere(SohoaError):
    """If-None-Match failed: the key is taken. Never leaves this module."""

    code = "OBJECT_EXISTS"


@contextmanager
def store_faults(allowed: frozenset[str] | set[str] = frozenset()) -> Iterator[None]:
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


def prepare() -> None:
    """Make a client that forks of this process find made. It has no connection: each fork opens its own."""
    with suppress(KeyError):
        access = ObjectStore.get()._access
        _prepared[access] = _made(*access)


_prepared: dict[tuple[str, str, str], S3Client] = {}


@cache
def _client(_pid: int, endpoint: str, access_key: str, secret_key: str) -> S3Client:
    return _prepared.pop((endpoint, access_key, secret_key), None) or _made(endpoint, access_key, secret_key)


def _made(endpoint: str, access_key: str, secret_key: str) -> S3Client:
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
