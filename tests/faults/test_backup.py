"""The drill: fill, back up, go on writing, lose the machine, restore elsewhere, compare every hash (CA08, LU06)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.tables import ArchivedObject, Document, Dossier
from blocks.seals import ensure_seal_keys
from deployments.cli import backup
from infra.local.installation import load_installation
from infra.local.process import StackError
from infra.local.roles import OWNER
from tasks.archive.reconcile import compare
from tasks.archive.store import store_record
from tests.faults.stack import free_base
from tests.tasks.lawcase import TO_SIGN_OFF, get, make_dossier, put_signed, scan_of, walk_dossier


@contextmanager
def installation(patch: pytest.MonkeyPatch, home: Path, base: int) -> Iterator[tuple[RecordsDatabase, ObjectStore]]:
    """Database and object store of a state folder, running."""
    patch.setenv("SOHOA_HOME", str(home))
    patch.setenv("SOHOA_PORT_BASE", str(base))
    installation = load_installation()
    postgres, seaweed = installation.postgres(), installation.seaweed()
    try:
        postgres.start()
        seaweed.start()
        patch.setenv("SOHOA_DATABASE_URL", postgres.url("sohoa", OWNER))
        patch.setenv("SOHOA_S3_ENDPOINT", seaweed.endpoint)
        patch.setenv("SOHOA_S3_ACCESS_KEY", seaweed.access_key)
        patch.setenv("SOHOA_S3_SECRET_KEY", seaweed.secret_key)
        records = RecordsDatabase()
        records.migrate()
        yield records, ObjectStore()
        records.engine.dispose()
    finally:
        seaweed.stop()
        postgres.stop()


def archive_one(records: RecordsDatabase, objects: ObjectStore) -> UUID:
    """A dossier with one record under lock; returns the document."""
    dossier_id, [document_id] = make_dossier(records, ["GIAY_RA_VIEN"])
    scan_of(records, objects, document_id)
    walk_dossier(records, dossier_id, TO_SIGN_OFF[-1])
    put_signed(records, objects, document_id)
    store_record(records, objects, Catalog(), document_id, "test")
    return document_id


def dossiers(records: RecordsDatabase) -> int:
    with records.session() as session:
        return len(session.exec(select(Dossier.id)).all())


def recipient(folder: Path) -> tuple[Path, Path]:
    """(certificate, certificate with key) of whoever keeps the keys."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backup")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now.replace(year=now.year + 1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "cert.pem").write_bytes(pem)
    (folder / "both.pem").write_bytes(pem + private)
    return folder / "cert.pem", folder / "both.pem"


def test_the_machine_is_lost(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored elsewhere: every hash, every lock, all versions; and a point in time between two backups."""
    root = home / "drill"  # PostgreSQL, another user when we are root, may enter it
    root.mkdir(mode=0o711)
    first, second, third = (root / name for name in ("first", "second", "third"))
    for place in (first, second, third):
        place.mkdir(mode=0o711)
    copies, keys = root / "copies", root / "elsewhere" / "keys"
    certificate, identity = recipient(root)
    with installation(monkeypatch, first, free_base()) as (records, objects):
        ensure_seal_keys(first)
        objects.ensure_buckets()
        Catalog().load_into(records)
        (first / "stack.env").write_text(f"SOHOA_ENVIRONMENT=test\nSOHOA_INBOX_DIR={first}/inbox\n")
        (first / "stack.env").chmod(0o600)
        (first / "gateway").mkdir()
        (first / "gateway" / "decisions.key").write_text("SECRET KEY")
        (first / "inbox" / "scanner").mkdir(parents=True)
        (first / "inbox" / "scanner" / "page.pdf").write_bytes(b"%PDF waiting")
        document = archive_one(records, objects)
        row = get(records, document)
        name = objects.bucket_name(Bucket.RECORDS)
        objects.client.put_object(Bucket=name, Key=str(row.record_key), Body=b"over it")  # an attacker's version
        one = backup.backup(copies, keys, recipient=certificate)
        assert one.new == one.versions > 5 and one.base == one.name
        archive_one(records, objects)
        time.sleep(1.1)
        between = datetime.now(UTC)  # two dossiers
        time.sleep(1.1)
        archive_one(records, objects)
        two = backup.backup(copies, keys, recipient=certificate)
        assert two.base == one.name and two.new == two.versions - one.versions, "only what is new"
        archive_one(records, objects)  # after the last backup: lost with the machine
        assert dossiers(records) == 4
    assert stat_mode(keys) == 0o600 and b"SECRET" not in keys.read_bytes()
    secret = (b"SECRET KEY", (first / "sealing" / "worker.key").read_bytes())
    copied = [path.read_bytes() for path in copies.rglob("*") if path.is_file()]
    assert not [data for data in copied if any(key in data for key in secret)]
    shutil.rmtree(first)

    monkeypatch.setenv("SOHOA_HOME", str(second))
    monkeypatch.setenv("SOHOA_PORT_BASE", str(free_base()))
    with pytest.raises(StackError, match="identity"):
        backup.restore(copies, keys)
    shutil.rmtree(second / "unpacked", ignore_errors=True)
    found = backup.restore(copies, keys, identity=identity)
    assert found.whole and found.checked > 10 and not found.missing, found
    assert (second / "gateway" / "decisions.key").read_text() == "SECRET KEY"
    assert (second / "inbox" / "scanner" / "page.pdf").read_bytes() == b"%PDF waiting"
    left = [
        p
        for p in second.rglob("*")
        if p.is_file() and not p.is_relative_to(second / "seaweed") and "postgres" not in p.parts
    ]
    assert not [path for path in left if str(first).encode() in path.read_bytes()], "no path of the lost machine"
    with installation(monkeypatch, second, int(os.environ["SOHOA_PORT_BASE"])) as (records, objects):
        assert dossiers(records) == 3 and compare(records, objects).whole
        with records.session() as session:
            rows = session.exec(select(ArchivedObject)).all()
            stored = session.get_one(Document, document)
        for kept in rows:
            assert objects.stored_hash(Bucket.RECORDS, kept.object_key, kept.version) == kept.sha256
            where = {"Bucket": name, "Key": kept.object_key, "VersionId": kept.version}
            lock = objects.client.get_object_retention(**where)["Retention"]
            assert (
                lock["Mode"] == "COMPLIANCE" and abs((lock["RetainUntilDate"] - kept.locked_until).total_seconds()) < 2
            )
        assert len(list(objects.versions(Bucket.RECORDS, str(stored.record_key)))) == 2, "all versions came back"
        archive_one(records, objects)  # it goes on, with the same keys
        with records.session() as session:
            assert verify_chain(session) == []
        assert (second / "sealing" / "worker.key").read_bytes() == secret[1]

    monkeypatch.setenv("SOHOA_HOME", str(third))
    monkeypatch.setenv("SOHOA_PORT_BASE", str(free_base()))
    assert backup.restore(copies, keys, identity=identity, until=between).whole
    with installation(monkeypatch, third, int(os.environ["SOHOA_PORT_BASE"])) as (records, objects):
        assert dossiers(records) == 2, "as it was between the two backups"

    # a changed copy is told, not restored
    blob = next(path for path in (copies / "objects" / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(blob.read_bytes() + b"x")
    fourth = root / "fourth"
    fourth.mkdir(mode=0o711)
    monkeypatch.setenv("SOHOA_HOME", str(fourth))
    monkeypatch.setenv("SOHOA_PORT_BASE", str(free_base()))
    with pytest.raises(Exception, match="INTEGRITY"):
        backup.restore(copies, keys, identity=identity)


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
