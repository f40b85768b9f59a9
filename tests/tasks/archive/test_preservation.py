"""LU06 (Điều 11.5): damaged records are found and restored, proofs renewed; on the real store, database and PKI."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.queries import file_of
from blocks.records.tables import ArchivedObject, AuditEntry, Incident
from blocks.settings.sections import PreservationSettings
from blocks.trust import Trust
from infra.local.seaweed import Seaweed
from tasks.archive import fixity, renewal
from tasks.archive.fixity import check_fixity, objects_to_check
from tasks.archive.preservation import extend_locks
from tasks.archive.renewal import documents_to_renew, renew_proof
from tasks.archive.store import store_record
from tasks.signing.errors import ForeignFile
from tasks.signing.report import REPORT_TYPES
from tasks.signing.sign import sign_agency, sign_capture, sign_manifest
from tasks.signing.verify import verify_manifest, verify_pdf
from tests.conftest import TestPki
from tests.tasks.lawcase import get, make_dossier, put_signed
from tests.tasks.signing.conftest import signing_settings  # noqa: F401
from tests.tasks.signing.test_steps import Case

CATALOG = Catalog()
AT_ONCE = PreservationSettings(fixity_days=0)


@pytest.fixture
def stored(records: RecordsDatabase, objects: ObjectStore) -> UUID:
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    put_signed(records, objects, ids[0])
    store_record(records, objects, CATALOG, ids[0], "gq.01")
    return ids[0]


def rows(records: RecordsDatabase, document: UUID) -> dict[str, ArchivedObject]:
    with records.session() as session:
        query = select(ArchivedObject).where(ArchivedObject.document_id == document).order_by(ArchivedObject.number)  # type: ignore[arg-type]
        found = session.exec(query).all()
        session.expunge_all()
        return {f"{row.kind}/{row.number}": row for row in found}


def incidents(records: RecordsDatabase) -> list[Incident]:
    with records.session() as session:
        found = list(session.exec(select(Incident)).all())
        session.expunge_all()
        return found


def test_LU06_everything_stored_is_listed_and_found_intact(
    records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    listed = rows(records, stored)
    assert list(listed) == ["record.pdf/0", "manifest.json/0", "manifest.p7s/0"]
    assert objects_to_check(records, 10, PreservationSettings()) == []  # looked at when it was stored
    due = objects_to_check(records, 10, AT_ONCE)
    assert set(due) == {row.id for row in listed.values()}
    report = check_fixity(records, objects, due)
    assert (report.checked, report.damaged) == (3, [])
    assert incidents(records) == []


def test_LU06_a_version_put_over_a_record_is_found_and_undone(
    records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    row = rows(records, stored)["record.pdf/0"]
    right = objects.read(Bucket.RECORDS, row.object_key, version=row.version, sha256=row.sha256)
    name = objects.bucket_name(Bucket.RECORDS)
    objects.client.put_object(Bucket=name, Key=row.object_key, Body=b"%PDF-1.7 another")
    assert objects.client.get_object(Bucket=name, Key=row.object_key)["Body"].read() != right
    report = check_fixity(records, objects, [row.id])
    assert report.damaged == report.restored == [stored]
    assert objects.read(Bucket.RECORDS, row.object_key, sha256=row.sha256) == right
    again = rows(records, stored)["record.pdf/0"]
    assert again.version != row.version and get(records, stored).record_version == again.version
    (incident,) = incidents(records)
    assert incident.closed_at is not None and incident.details["fault"] == "HIDDEN"
    with pytest.raises(Exception, match=r"Denied|WORM|retention|Forbidden|lock"):  # locked like the first one
        objects.client.delete_object(Bucket=name, Key=row.object_key, VersionId=again.version)
    assert check_fixity(records, objects, [row.id]).damaged == []


def sizes(seaweed: Seaweed) -> dict[Path, int]:
    """Of the volumes that hold the records. What lies in them is encrypted: places are known by growth only."""
    return {path: path.stat().st_size for path in seaweed.folder.rglob("*records*.dat")}


def spoil(seaweed: Seaweed, before: dict[Path, int]) -> None:
    """Change a byte on the disk in the middle of what was written since `before`."""
    grown = {path: size for path, size in sizes(seaweed).items() if size > before.get(path, 0)}
    assert grown
    for path, size in grown.items():
        middle = (before.get(path, 0) + size) // 2
        with path.open("r+b") as stream:
            stream.seek(middle)
            (byte,) = stream.read(1)
            stream.seek(middle)
            stream.write(bytes([byte ^ 0xFF]))


def stored_alone(objects: ObjectStore, records: RecordsDatabase, row: ArchivedObject, path: Path) -> None:
    """The same bytes as a new version, so that we know what on the disk is theirs."""
    path.write_bytes(objects.read(Bucket.RECORDS, row.object_key, version=row.version, sha256=row.sha256))
    until = datetime.now(UTC) + timedelta(days=1)
    put = objects.put_version(Bucket.RECORDS, row.object_key, path, content_type="application/pdf", lock_until=until)
    with records.session() as session:
        known = session.get_one(ArchivedObject, row.id)
        known.version = put.version
        session.add(known)


def test_LU06_a_byte_changed_on_the_disk_is_found_and_restored(
    records: RecordsDatabase, objects: ObjectStore, seaweed: Seaweed, stored: UUID, tmp_path: Path
) -> None:
    row = rows(records, stored)["record.pdf/0"]
    right = objects.unproven(Bucket.RECORDS, row.object_key)[0]
    before = sizes(seaweed)
    stored_alone(objects, records, row, tmp_path / "copy")
    spoil(seaweed, before)
    report = check_fixity(records, objects, [row.id])
    assert report.damaged == report.restored == [stored]
    again = rows(records, stored)["record.pdf/0"]
    assert objects.read(Bucket.RECORDS, row.object_key, version=again.version, sha256=row.sha256) == right
    (incident,) = incidents(records)
    assert incident.closed_at is not None


def test_LU06_what_is_nowhere_else_stays_an_open_incident(
    records: RecordsDatabase, owner: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    row = rows(records, stored)["manifest.json/0"]
    with owner.session() as session:  # as if the only version had other bytes
        known = session.get_one(ArchivedObject, row.id)
        known.sha256 = "0" * 64
        session.add(known)
    report = check_fixity(records, objects, [row.id])
    assert (report.damaged, report.restored) == ([stored], [])
    (incident,) = incidents(records)
    assert incident.closed_at is None and incident.details["fault"] == "DIFFERENT"
    assert not rows(records, stored)["manifest.json/0"].intact
    assert row.id in objects_to_check(records, 10, PreservationSettings())  # asked for again until it is mended
    check_fixity(records, objects, [row.id])
    assert len(incidents(records)) == 1


@pytest.fixture
def signed(records: RecordsDatabase, objects: ObjectStore, pki: TestPki) -> Iterator[Case]:
    """A record with real signatures, stored."""
    case = Case(records, objects)
    sign_capture(records, objects, case.id)
    case.to_signoff()
    sign_agency(records, objects, case.id)
    sign_manifest(records, objects, case.id)
    store_record(records, objects, CATALOG, case.id, "gq.01")
    yield case


@pytest.mark.usefixtures("signing_settings")
def test_LU06_proofs_are_renewed_once_and_in_time(
    records: RecordsDatabase, objects: ObjectStore, signed: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = Trust()
    before = rows(records, signed.id)
    assert before["record.pdf/0"].renew_before > datetime.now(UTC) + timedelta(days=3000)  # type: ignore[operator]
    assert {f"{name}/0" for name in REPORT_TYPES} < set(before)  # what the verification found is locked with the record
    assert documents_to_renew(records, 10, PreservationSettings()) == []
    assert renew_proof(records, objects, signed.id, trust).renewed == []
    monkeypatch.setenv("SOHOA_RENEWAL_DAYS", "4000")
    assert documents_to_renew(records, 10, PreservationSettings()) == [signed.id]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # stopped between storing and noting
        patch.setattr(renewal, "_note_renewed", killed)
        with pytest.raises(KeyboardInterrupt):
            renew_proof(records, objects, signed.id, trust)
    assert list(rows(records, signed.id)) == list(before)
    assert renew_proof(records, objects, signed.id, trust).renewed == ["record.pdf", "manifest.p7s"]
    after = rows(records, signed.id)
    assert {"record.pdf/1", "manifest.p7s/1"} == set(after) - set(before)
    record, data = after["record.pdf/1"], after["manifest.json/0"]
    assert (get(records, signed.id).record_key, get(records, signed.id).record_version) == (
        record.object_key, record.version,
    )  # fmt: skip
    shown = file_of(get(records, signed.id))  # what officers see from now on
    assert shown is not None and (shown.version, shown.sha256) == (record.version, record.sha256)
    old = objects.unproven(Bucket.RECORDS, before["record.pdf/0"].object_key)[0]
    new = objects.read(Bucket.RECORDS, record.object_key, version=record.version, sha256=record.sha256)
    assert new.startswith(old) and hashlib.sha256(old).hexdigest() == before["record.pdf/0"].sha256
    verdict = verify_pdf(new, trust)
    assert verdict.valid and [item.level for item in verdict.signatures] == ["B-LTA", "B-LTA"]
    manifest = objects.unproven(Bucket.RECORDS, data.object_key)[0]
    token = objects.unproven(Bucket.RECORDS, after["manifest.p7s/1"].object_key)[0]
    assert verify_manifest(manifest, token, trust).of("MANIFEST").level == "B-LTA"  # type: ignore[union-attr]
    # the replaced proofs are not due any more
    assert after["record.pdf/0"].renew_before is None
    with records.session() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == "renew")).all()
        assert len(entries) == 2 and set(verdict.revisions) == set(entries[0].details["revisions"])
        assert verify_chain(session) == []


@pytest.mark.usefixtures("signing_settings")
def test_LU06_a_foreign_file_is_not_adopted_as_renewal(
    records: RecordsDatabase, objects: ObjectStore, signed: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signatures are valid, but it isn't this record with one more time-stamp: the working copy of the officer."""
    monkeypatch.setenv("SOHOA_RENEWAL_DAYS", "4000")
    first = rows(records, signed.id)["record.pdf/0"]
    other = objects.unproven(Bucket.WORKING, signed.key("officer.pdf"))[0]
    key = f"{first.object_key.rpartition('/')[0]}/record.r0001.pdf"
    objects.put_once(Bucket.RECORDS, key, other, content_type="application/pdf")
    with pytest.raises(ForeignFile):
        renew_proof(records, objects, signed.id, Trust())
    assert get(records, signed.id).record_key == first.object_key


@pytest.mark.usefixtures("signing_settings")
def test_LU06_a_lost_original_is_cut_out_of_its_renewal(
    records: RecordsDatabase, objects: ObjectStore, seaweed: Seaweed, signed: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOHOA_RENEWAL_DAYS", "4000")
    first = rows(records, signed.id)["record.pdf/0"]
    right = objects.unproven(Bucket.RECORDS, first.object_key)[0]
    renew_proof(records, objects, signed.id, Trust())
    objects.delete(Bucket.WORKING, signed.key("agency.pdf"))
    places = list(fixity._places(records, first))
    assert [source for source, *_ in places] == ["VERSION", "WORKING", "RENEWAL"]
    monkeypatch.setattr(fixity, "_places", lambda *_: iter(places[1:]))  # as if the version were unreadable
    monkeypatch.setattr(fixity, "_fault", lambda *_: "UNREADABLE")
    assert check_fixity(records, objects, [first.id]).restored == [signed.id]
    again = rows(records, signed.id)["record.pdf/0"]
    assert objects.read(Bucket.RECORDS, again.object_key, version=again.version, sha256=again.sha256) == right


@pytest.mark.usefixtures("signing_settings")
def test_LU06_an_invalid_record_is_not_renewed_but_reported(
    records: RecordsDatabase, objects: ObjectStore, stored: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with records.session() as session:
        row = session.exec(select(ArchivedObject).where(ArchivedObject.kind == "record.pdf")).one()
        row.renew_before = datetime.now(UTC)
        session.add(row)
    with pytest.raises(Exception, match="SIGNATURE_INVALID"):
        renew_proof(records, objects, stored, Trust())
    (incident,) = incidents(records)
    assert (incident.code, incident.details["error"]) == ("RENEWAL_FAILED", "SIGNATURE_INVALID")


def test_LU06_locks_for_ever_are_set_anew(
    records: RecordsDatabase, objects: ObjectStore, stored: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert extend_locks(records, objects) == 0  # test data must die
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    with records.session() as session:
        from blocks.records.tables import Document

        document = session.get_one(Document, stored)
        document.retain_until = None
        session.add(document)
    real, asked = ObjectStore.extend_lock, []
    # a lock of a hundred years would outlive the test's store, and can't be taken back
    monkeypatch.setattr(ObjectStore, "extend_lock", lambda self, b, k, v, until: asked.append(
        real(self, b, k, v, datetime.now(UTC) + timedelta(days=2)) or until))  # fmt: skip
    assert extend_locks(records, objects) == 3
    assert all(until > datetime.now(UTC) + timedelta(days=99 * 365) for until in asked)
    row = rows(records, stored)["record.pdf/0"]
    name = objects.bucket_name(Bucket.RECORDS)
    kept = objects.client.get_object_retention(Bucket=name, Key=row.object_key, VersionId=row.version)
    assert kept["Retention"]["RetainUntilDate"] > datetime.now(UTC) + timedelta(days=1, hours=12)
    assert extend_locks(records, objects) == 0
