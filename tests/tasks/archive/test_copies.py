"""Copies go once the record is locked and readable; nothing goes that the record doesn't hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.sources import SourceKind
from blocks.records.tables import ArchivedObject, AuditEntry, Document, Dossier, Source, now
from blocks.settings.sections import PreservationSettings
from tasks.archive.copies import drop_abandoned, drop_copies, drop_folders, drop_stored_copies, ended
from tasks.archive.store import store_record
from tests.tasks.lawcase import make_dossier, put_signed
from tests.tasks.signing.conftest import signing_settings  # noqa: F401

AT_ONCE = PreservationSettings(copies_days=0, abandoned_days=1)


@pytest.fixture
def archived(records: RecordsDatabase, objects: ObjectStore, signing_settings: None) -> UUID:  # noqa: F811
    """A dossier in LUU_TRU with one locked record, its copies and its scanner's file."""
    dossier, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    put_signed(records, objects, document)
    store_record(records, objects, Catalog(), document, "gq.01")
    with records.session() as session:
        row = session.get_one(Dossier, dossier)
        objects.put_once(Bucket.INBOX, f"{row.submission}/r1/c1/0001-1.jpg", b"scan" * 1000, content_type="image/jpeg")
    objects.put_once(Bucket.INTAKE, f"{dossier}/{document}/1/0001.jpg", b"scan" * 1000, content_type="image/jpeg")
    with records.engine.begin() as connection:  # past the state machine: only its end matters here
        connection.exec_driver_sql(
            "UPDATE dossier SET state = 'LUU_TRU', result_at = now() - interval '2 days' WHERE id = %s", (dossier,)
        )
    return dossier


def held(records: RecordsDatabase, objects: ObjectStore, dossier: UUID) -> dict[str, int]:
    with records.session() as session:
        submission = session.get_one(Dossier, dossier).submission
    places = {Bucket.INBOX: submission, Bucket.INTAKE: dossier, Bucket.WORKING: dossier, Bucket.RECORDS: dossier}
    return {bucket.value: len([*objects.list(bucket, f"{place}/")]) for bucket, place in places.items()}


def test_LU06_copies_go_record_and_scans_stay(records: RecordsDatabase, objects: ObjectStore, archived: UUID) -> None:
    before = held(records, objects, archived)
    assert before["working"] >= 2 and before["inbox"] == 1
    assert ended(records, PreservationSettings(copies_days=30)) == []  # the grace time
    assert ended(records, AT_ONCE) == [archived]
    report = drop_stored_copies(records, objects, Path("/nowhere"), AT_ONCE)
    assert (report.dossiers, report.kept) == (1, 0)
    after = held(records, objects, archived)
    assert after == {"inbox": 0, "working": 0, "intake": before["intake"], "records": before["records"]}
    assert ended(records, AT_ONCE) == []
    with records.session() as session:
        assert session.exec(select(AuditEntry.action).where(AuditEntry.action == "drop-copies")).all() == [
            "drop-copies"
        ]


@pytest.mark.parametrize("fault", ["hash", "lock", "missing"])
def test_what_is_not_rightly_locked_keeps_its_copies(
    records: RecordsDatabase, objects: ObjectStore, archived: UUID, fault: str
) -> None:
    with records.session() as session:
        row = session.exec(select(ArchivedObject).where(ArchivedObject.kind == "record.pdf")).one()
        row.locked_until = now() - timedelta(days=1) if fault == "lock" else row.locked_until
        row.version = objects.put_once(
            Bucket.RECORDS, f"{uuid4()}", b"another", content_type="application/pdf"
        ).version if fault == "missing" else row.version  # fmt: skip
        session.add(row)
    if fault == "hash":
        with records.session() as session:
            paper = session.exec(select(Document).where(Document.dossier_id == archived)).one()
            paper.file_key = paper.file_key or "x"
            session.add(paper)
            second = Document(dossier_id=archived, ordinal=2, type_code="X", declared_pages=1, file_key="unstored")
            session.add(second)
    before = held(records, objects, archived)
    assert drop_copies(records, objects, archived) is False
    assert held(records, objects, archived) == before


def test_hand_ins_that_nobody_started_go(records: RecordsDatabase, objects: ObjectStore) -> None:
    old, young = uuid4().hex, uuid4().hex
    with records.session() as session:
        for submission, age in ((old, 3), (young, 0)):
            objects.put_once(Bucket.INBOX, f"{submission}/r1/c1/0001-1.jpg", b"x", content_type="image/jpeg")
            session.add(
                Source(
                    submission=submission, part="r1", kind=SourceKind.INBOX.value, source="tnhs.01", officer="tnhs.01",
                    at=now() - timedelta(days=age),
                )
            )  # fmt: skip
    assert drop_abandoned(records, objects, AT_ONCE) == 1 and drop_abandoned(records, objects, AT_ONCE) == 0
    assert not [*objects.list(Bucket.INBOX, f"{old}/")] and [*objects.list(Bucket.INBOX, f"{young}/")]


def test_taken_folders_go_with_the_copies_and_links_are_not_followed(
    records: RecordsDatabase, objects: ObjectStore, archived: UUID, tmp_path: Path
) -> None:
    with records.session() as session:
        submission = session.get_one(Dossier, archived).submission
    folder, elsewhere = tmp_path / "inbox" / "tnhs.01" / "ho-so", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "file").write_text("stays")
    (folder / ".sohoa-submission").write_text(submission + "\n")
    (folder / "link").symlink_to(elsewhere)
    assert drop_folders(records, tmp_path / "inbox", AT_ONCE) == 0  # its copies are still there
    assert drop_copies(records, objects, archived)
    assert drop_folders(records, tmp_path / "inbox", AT_ONCE) == 1
    assert not folder.exists() and (elsewhere / "file").read_text() == "stays"
