"""Faults between us and the object store: what was stored is found again, nothing is stored twice (CA08)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.errors import ObjectConflict
from blocks.objects import Bucket, ObjectStore, ObjectStoreUnavailable, document_key
from infra.local.seaweed import Seaweed
from tests.faults.proxy import FaultyProxy


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[FaultyProxy]:
    with FaultyProxy(seaweed.ports[0]) as made:
        yield made


@pytest.fixture
def shaky(objects: ObjectStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The same store, through the proxy."""
    monkeypatch.setenv("SHAKY_S3", f"http://127.0.0.1:{proxy.port}")
    return ObjectStore(endpoint_env="SHAKY_S3")


def new_key() -> str:
    return document_key(uuid4(), uuid4(), 1, "record.pdf")


@pytest.mark.parametrize("lost", [1, 3])
def test_CA08_a_lost_answer_is_read_back(
    objects: ObjectStore, shaky: ObjectStore, proxy: FaultyProxy, lost: int
) -> None:
    """1: the client's own repetition meets 412; 3: the client gives up and the block looks what is there."""
    key, until = new_key(), datetime.now(UTC) + timedelta(days=1)
    proxy.lose_answers = lost
    stored = shaky.put_once(Bucket.RECORDS, key, b"record", content_type="application/pdf", lock_until=until)
    assert proxy.lost == lost
    versions = objects.client.list_object_versions(Bucket=objects.bucket_name(Bucket.RECORDS), Prefix=key)["Versions"]
    assert [version["VersionId"] for version in versions] == [stored.version]
    assert objects.read(Bucket.RECORDS, key, version=stored.version, sha256=stored.sha256) == b"record"


def test_CA08_a_lost_answer_to_a_rival_key_is_a_conflict(
    objects: ObjectStore, shaky: ObjectStore, proxy: FaultyProxy
) -> None:
    key = new_key()
    objects.put_once(Bucket.WORKING, key, b"theirs", content_type="application/pdf")
    proxy.lose_answers = 1
    with pytest.raises(ObjectConflict):
        shaky.put_once(Bucket.WORKING, key, b"ours", content_type="application/pdf")


def test_CA08_nothing_stored_and_no_answer_is_to_be_tried_again(shaky: ObjectStore, proxy: FaultyProxy) -> None:
    key = new_key()
    proxy.refuse = True
    with pytest.raises(ObjectStoreUnavailable):
        shaky.put_once(Bucket.WORKING, key, b"data", content_type="application/pdf")
    proxy.refuse = False
    assert shaky.put_once(Bucket.WORKING, key, b"data", content_type="application/pdf").size == 4


def test_CA08_a_lost_download_is_tried_again(objects: ObjectStore, shaky: ObjectStore, proxy: FaultyProxy) -> None:
    key = new_key()
    stored = objects.put_once(Bucket.WORKING, key, b"data", content_type="application/pdf")
    proxy.lose_answers = 1
    assert shaky.read(Bucket.WORKING, key, sha256=stored.sha256) == b"data"


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=3), losses=st.integers(0, 3))
def test_CA08_whatever_is_lost_the_bytes_are_stored_once(
    seaweed: Seaweed, objects: ObjectStore, sizes: list[int], losses: int
) -> None:
    with FaultyProxy(seaweed.ports[0]) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHAKY_S3", f"http://127.0.0.1:{proxy.port}")
        shaky = ObjectStore(endpoint_env="SHAKY_S3")
        for size in sizes:
            key, data = new_key(), secrets.token_bytes(size)
            proxy.lose_answers = losses
            stored = shaky.put_once(Bucket.WORKING, key, data, content_type="application/octet-stream")
            proxy.lose_answers = 0
            assert objects.read(Bucket.WORKING, key, sha256=stored.sha256) == data
