"""Copies of the object store in a folder: every version of every object once, by its hash, and lists of what there was.

`blobs/ab/<sha256>` are the bytes, `<time>.jsonl` says what the store held at that time. A later copy adds what is new.
What was deleted between two copies is in the earlier list only, so it doesn't come back from the later one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from blocks.errors import IntegrityError
from blocks.objects import CHUNK, Bucket, ObjectStore, digest, store_faults


class Copied(BaseModel):
    """One version of an object in a copy."""

    bucket: Bucket
    key: str
    version: str
    sha256: str
    size: int  # bytes
    content_type: str = "application/octet-stream"
    lock_until: datetime | None = None


@dataclass(frozen=True)
class CopyReport:
    """How much a copy holds, and how much of it was new. bytes: of the new ones."""

    versions: int
    new: int
    new_bytes: int


def copy_objects(objects: ObjectStore, folder: Path, name: str) -> CopyReport:
    """Write `<name>.jsonl` and the bytes that the folder hasn't yet, each checked by its hash. Needs only to read.

    Raises ObjectStoreUnavailable, and IntegrityError for bytes that changed on the way.
    """
    known = _Before(_newest_list(folder))
    versions = new = new_bytes = 0
    half = folder / f"{name}.part"
    with half.open("w", encoding="utf-8") as listing:
        for bucket in Bucket:
            for key, version in _versions(objects, bucket):
                item = known.find(bucket, key, version)
                if item is None or not _blob(folder, item.sha256).exists():
                    item = _copy(objects, bucket, key, version, folder)
                    new, new_bytes = new + 1, new_bytes + item.size
                listing.write(item.model_dump_json() + "\n")
                versions += 1
    half.rename(folder / f"{name}.jsonl")
    return CopyReport(versions, new, new_bytes)


def read_list(path: Path) -> Iterator[Copied]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Copied.model_validate_json(line)


def restore_objects(objects: ObjectStore, folder: Path, names: Sequence[str]) -> dict[tuple[str, str], str]:
    """Put back what the lists name, the oldest version of a key first, locks that still run as they were.

    Needs the administrator's key and empty buckets. Returns (key, version before) → version now: a store gives
    versions names of its own. Raises IntegrityError when a copy isn't what it was.
    """
    objects.ensure_buckets()
    versions: dict[tuple[str, str], str] = {}
    for item in chain.from_iterable(read_list(folder / f"{name}.jsonl") for name in names):
        if (item.key, item.version) in versions:
            continue
        blob = _blob(folder, item.sha256)
        if digest(blob)[0] != item.sha256:
            raise IntegrityError()
        arguments: dict[str, Any] = {}
        if item.lock_until and item.lock_until > datetime.now(UTC):
            arguments = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": item.lock_until}
        with store_faults(), blob.open("rb") as body:
            answer = objects.client.put_object(
                Bucket=objects.bucket_name(item.bucket),
                Key=item.key,
                Body=body,
                ContentType=item.content_type,
                ContentLength=item.size,
                Metadata={"sha256": item.sha256},
                **arguments,
            )
        versions[item.key, item.version] = answer.get("VersionId", "")
    return versions


def drop_unlisted(folder: Path) -> int:
    """Delete bytes that no list names any more; returns how many."""
    kept = {item.sha256 for path in folder.glob("*.jsonl") for item in read_list(path)}
    dropped = 0
    for blob in (folder / "blobs").glob("*/*"):
        if blob.name not in kept:
            blob.unlink()
            dropped += 1
    return dropped


def _newest_list(folder: Path) -> Iterator[Copied]:
    lists = sorted(folder.glob("*.jsonl"))
    return read_list(lists[-1]) if lists else iter(())


def _blob(folder: Path, sha256: str) -> Path:
    return folder / "blobs" / sha256[:2] / sha256


class _Before:
    """The list before, read along: both are ordered by bucket and key, so neither is held in memory."""

    def __init__(self, items: Iterator[Copied]) -> None:
        self._groups = groupby(items, lambda item: (list(Bucket).index(item.bucket), item.key))
        self._place: tuple[int, str] = (-1, "")
        self._versions: dict[str, Copied] = {}

    def find(self, bucket: Bucket, key: str, version: str) -> Copied | None:
        wanted = (list(Bucket).index(bucket), key)
        while self._place < wanted:
            self._place, group = next(self._groups, ((len(Bucket), ""), iter(())))
            self._versions = {item.version: item for item in group}
        return self._versions.get(version) if self._place == wanted else None


def _versions(objects: ObjectStore, bucket: Bucket) -> Iterator[tuple[str, str]]:
    """Key and version of everything in a bucket, by key, the oldest of a key first."""
    with store_faults():
        pages = objects.client.get_paginator("list_object_versions")
        found = (
            (entry["Key"], entry["VersionId"])
            for page in pages.paginate(Bucket=objects.bucket_name(bucket))
            for entry in page.get("Versions", [])
        )
        for _, group in groupby(found, lambda item: item[0]):
            yield from reversed(list(group))


def _copy(objects: ObjectStore, bucket: Bucket, key: str, version: str, folder: Path) -> Copied:
    half, running = folder / "blob.part", hashlib.sha256()
    with store_faults():
        answer = objects.client.get_object(Bucket=objects.bucket_name(bucket), Key=key, VersionId=version)
        with closing(answer["Body"]) as body, half.open("wb") as file:
            for chunk in body.iter_chunks(CHUNK):
                running.update(chunk)
                file.write(chunk)
    target = _blob(folder, running.hexdigest())
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half.replace(target)
    return Copied(
        bucket=bucket,
        key=key,
        version=version,
        sha256=running.hexdigest(),
        size=target.stat().st_size,
        content_type=answer.get("ContentType", "application/octet-stream"),
        lock_until=answer.get("ObjectLockRetainUntilDate"),
    )
