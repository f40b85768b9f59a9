"""LU01–LU06, EX17, KQ03, B4c, B5: locked storage on the real object store, the repository, custody, the ends."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from botocore.exceptions import ClientError
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.errors import IntegrityError, InvalidTransition
from blocks.identity import DecisionNotProven
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.machine import ReasonMissing, SignedCaseNotReturned
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Custody, Document, Outbox, RepositoryEntry
from blocks.settings.sections import PreservationSettings
from tasks.archive.closing import NotStored, announce_result, close_case, return_case
from tasks.archive.custody import (
    CustodyOrder,
    Place,
    freeze_disposal,
    hand_over_paper,
    locate_paper,
    may_dispose,
)
from tasks.archive.store import (
    NotAgencySigned,
    OwnerConflict,
    OwnerIdInvalid,
    RetentionOverrideRefused,
    legally_usable,
    lock_until,
    set_owner_id,
    store_record,
)
from tasks.monitoring.incidents import incidents, settle_incident
from tests.tasks.decided import returned
from tests.tasks.lawcase import OWNER_ID, get, get_case, make_dossier, put_signed, walk_document, walk_dossier

D, H = DocumentState, DossierState
CATALOG = Catalog()
NAMES = ["record.pdf", "manifest.json", "manifest.p7s"]


def signed(records: RecordsDatabase, objects: ObjectStore, *, owner: str = OWNER_ID) -> tuple[UUID, UUID]:
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    put_signed(records, objects, ids[0], owner=owner)
    return dossier_id, ids[0]


@pytest.mark.parametrize("facts", list(itertools.product([False, True], repeat=3)))
def test_LU03_truth_table(facts: tuple[bool, bool, bool]) -> None:
    usable = legally_usable(agency_signed=facts[0], stored=facts[1], legally_valid=facts[2])
    assert usable is (facts == (True, True, True))


def test_LU01_LU02_a_record_is_locked_shown_and_put_out(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, document_id = signed(records, objects)
    report = store_record(records, objects, CATALOG, document_id, "gq.01")
    assert report.state is D.HIEN_THI_KHO and report.shown and report.retention_class == "LOCAL:LT-CHE-DO"
    assert not report.legally_usable  # signed with test keys: never claimed legal (LU03)
    assert report.retain_until and report.retain_until > datetime.now(UTC) + timedelta(hours=12)
    document = get(records, document_id)
    assert document.record_key == document_key(dossier_id, document_id, 1, "record.pdf")
    assert OWNER_ID not in (document.record_key or "")  # keys hold ids only (CO06)
    for name in NAMES:
        key = document_key(dossier_id, document_id, 1, name)
        stored = objects.unproven(Bucket.RECORDS, key)[1]
        assert stored is not None and stored.version
        with pytest.raises(ClientError):  # the lock holds against the owner of the bucket too
            objects.client.delete_object(Bucket=objects.bucket_name(Bucket.RECORDS), Key=key, VersionId=stored.version)
    with records.session() as session:
        assert session.exec(select(RepositoryEntry)).one().owner_id == OWNER_ID
        out = session.exec(select(Outbox)).one()
        assert (out.topic, out.payload) == (
            "national-portal",
            {"document": str(document_id), "dossier": str(dossier_id)},
        )
        assert verify_chain(session) == []


def test_LU01_storing_twice_and_at_the_same_time_stores_once(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, document_id = signed(records, objects)
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: store_record(records, objects, CATALOG, document_id, "gq.01"), range(4)))
    assert len({report.record_version for report in reports}) == 1
    versions = objects.client.list_object_versions(Bucket=objects.bucket_name(Bucket.RECORDS), Prefix=f"{dossier_id}/")[
        "Versions"
    ]
    assert len(versions) == 3
    with records.session() as session:
        assert len(session.exec(select(RepositoryEntry)).all()) == len(session.exec(select(Outbox)).all()) == 1


@pytest.mark.parametrize("puts_before_the_crash", [0, 1, 2, 3])
def test_LU01_a_crash_anywhere_is_finished_by_the_next_run(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, puts_before_the_crash: int
) -> None:
    _, document_id = signed(records, objects)
    from tasks.archive import store as storage

    real, done = storage.store_locked, []

    def crashing(*args: object) -> object:
        if len(done) == puts_before_the_crash:
            raise KeyboardInterrupt
        done.append(real(*args))  # type: ignore[arg-type]
        return done[-1]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "store_locked", crashing)
        patch.setattr(storage, "_note_stored", killed)
        with pytest.raises(KeyboardInterrupt):
            store_record(records, objects, CATALOG, document_id, "gq.01")
    assert get(records, document_id).state is D.DA_KY_CO_QUAN
    report = store_record(records, objects, CATALOG, document_id, "gq.01")
    assert report.state is D.HIEN_THI_KHO
    if done:
        assert report.record_version == done[0].version


def test_LU02_without_an_id_stored_but_not_shown_until_it_comes(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, document_id = signed(records, objects, owner="")
    with pytest.raises(InvalidTransition):
        set_owner_id(records, document_id, OWNER_ID, "gq.01")
    assert store_record(records, objects, CATALOG, document_id, "gq.01").state is D.DA_LUU_CHUA_DINH_DANH
    with records.session() as session:
        assert session.exec(select(RepositoryEntry)).all() == session.exec(select(Outbox)).all() == []
    with pytest.raises(OwnerIdInvalid):
        set_owner_id(records, document_id, "không phải mã", "gq.01")
    for _ in range(2):
        assert set_owner_id(records, document_id, OWNER_ID, "gq.01").shown
    with pytest.raises(OwnerConflict):
        set_owner_id(records, document_id, "001099012399", "gq.01")
    assert get(records, document_id).owner_id_source == "LOOKUP"
    with records.session() as session:
        assert session.exec(select(RepositoryEntry)).one().owner_id == OWNER_ID


def test_EX17_nothing_is_stored_without_valid_agency_signatures(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:GIAY-RA-VIEN"])
    put_signed(records, objects, ids[0], valid=False)
    with pytest.raises(NotAgencySigned):
        store_record(records, objects, CATALOG, ids[0], "gq.01")
    walk_document(records, ids[1], D.CHO_KET_QUA)
    with pytest.raises(InvalidTransition):
        store_record(records, objects, CATALOG, ids[1], "gq.01")


def test_CA08_other_bytes_than_the_signed_ones_are_refused(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, document_id = signed(records, objects)
    with records.session() as session:
        document = session.get_one(Document, document_id)
        document.manifest_sha256 = "0" * 64
        session.add(document)
    with pytest.raises(IntegrityError):
        store_record(records, objects, CATALOG, document_id, "gq.01")
    assert get(records, document_id).state is D.DA_KY_CO_QUAN
    assert not objects.exists(Bucket.RECORDS, document_key(dossier_id, document_id, 1, "manifest.json"))


ON = date(2026, 11, 24)
SIGNED_AT = datetime(2026, 12, 31, 18, 0, tzinfo=UTC)  # 2027 in Viet Nam


@pytest.mark.parametrize(
    ("code", "years"), [("LOCAL:LT-CHE-DO", 70), ("LOCAL:LT-THE", 20), ("forever", 100), ("NOBODY-KNOWS", 100)]
)
def test_LU06_locks_by_retention_class(code: str, years: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    until = lock_until(CATALOG.retention(code, ON), SIGNED_AT, PreservationSettings(), ON)
    assert until.isoformat() == f"{2027 + years}-12-31T23:59:59+07:00"


def test_LU06_a_short_lock_is_for_tests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    retention = CATALOG.retention("forever", ON)
    assert lock_until(retention, SIGNED_AT, PreservationSettings(), ON).date() == date(2026, 11, 25)
    monkeypatch.setenv("SOHOA_RETENTION_OVERRIDE_DAYS", "3")
    assert lock_until(retention, SIGNED_AT, PreservationSettings(), ON).date() == date(2026, 11, 27)
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    with pytest.raises(RetentionOverrideRefused):
        lock_until(retention, SIGNED_AT, PreservationSettings(), ON)


def test_LU06_the_real_store_takes_a_lock_of_a_hundred_years(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOHOA_ENVIRONMENT", "production")
    dossier_id, ids = make_dossier(records, ["LOCAL:VAN-BAN-HANH-CHINH"])
    put_signed(records, objects, ids[0], test=False)
    report = store_record(records, objects, CATALOG, ids[0], "gq.01")
    assert report.retain_until is None and report.retention_class == "forever"
    assert report.legally_usable  # real keys, signed, stored (LU03)
    head = objects.client.head_object(
        Bucket=objects.bucket_name(Bucket.RECORDS), Key=document_key(dossier_id, ids[0], 1, "record.pdf")
    )
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert head["ObjectLockRetainUntilDate"].year >= datetime.now(UTC).year + 100
    assert not may_dispose(records, ids[0], at=datetime(9000, 1, 1, tzinfo=UTC))


def test_LU04_the_paper_goes_from_counter_to_unit_to_archive(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    with pytest.raises(CustodyOrder):
        hand_over_paper(records, dossier_id, Place.ARCHIVE, handed_by="tnhs.01", received_by="luu.tru")
    for place, taker in zip(Place, ["tnhs.01", "gq.01", "luu.tru"], strict=True):
        assert hand_over_paper(records, dossier_id, place, handed_by="tnhs.01", received_by=taker)
        assert not hand_over_paper(records, dossier_id, place, handed_by="tnhs.01", received_by=taker)
    with pytest.raises(CustodyOrder):
        hand_over_paper(records, dossier_id, Place.COUNTER, handed_by="luu.tru", received_by="tnhs.01")
    located = locate_paper(records, dossier_id)
    assert (located.place, located.held_by, located.frozen) == (Place.ARCHIVE, "luu.tru", False)


def test_LU05_a_dispute_freezes_disposal(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, document_id = signed(records, objects)
    store_record(records, objects, CATALOG, document_id, "gq.01")
    later = datetime.now(UTC) + timedelta(days=30)
    assert not may_dispose(records, document_id)  # its retention has not ended
    assert may_dispose(records, document_id, at=later)
    freeze_disposal(records, dossier_id, "ld.01")
    freeze_disposal(records, dossier_id, "ld.01")
    assert not may_dispose(records, document_id, at=later) and locate_paper(records, dossier_id).frozen
    (dispute,), _ = incidents(records, {"BHXH-TEST"})
    settle_incident(records, dispute.id, "ld.01", {("BHXH-TEST", Role.LEAD)}, "Đã giải quyết xong khiếu nại")
    assert may_dispose(records, document_id, at=later)


def test_KQ03_B5_the_case_is_closed_when_everything_is_stored(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, document_id = signed(records, objects)
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    with pytest.raises(NotStored):
        announce_result(records, dossier_id, "system")
    store_record(records, objects, CATALOG, document_id, "gq.01")
    announce_result(records, dossier_id, "system")
    with pytest.raises(DecisionNotProven):  # there is a result, but nobody has returned it
        close_case(records, dossier_id, "return-1", "gq.01")
    assert get_case(records, dossier_id).state is H.CO_KET_QUA
    key = returned(records, dossier_id)
    for _ in range(2):
        report = close_case(records, dossier_id, key, "gq.01")
        assert report.state is H.LUU_TRU and (report.shown, report.hidden, report.without_value) == (1, 0, 0)
    assert get_case(records, dossier_id).result_at
    with records.session() as session:
        assert [row.place for row in session.exec(select(Custody))] == ["COUNTER", "BUSINESS_UNIT", "ARCHIVE"]
        assert sorted(row.topic for row in session.exec(select(Outbox))) == ["national-portal", "owner-account"]


def test_B4c_EX17_a_failed_case_goes_back_in_writing_and_keeps_its_working_copies(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    out = {"type_code": "LOCAL:CCCD", "show_only": True}
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN", "LOCAL:C65-HD", out])
    walk_dossier(records, dossier_id, H.TRINH_KY)
    walk_document(records, ids[0], D.CHO_KET_QUA)
    key = document_key(dossier_id, ids[0], 1, "officer.pdf")
    objects.put_once(Bucket.WORKING, key, b"officer", content_type="application/pdf")
    with records.session() as session:
        document = session.get_one(Document, ids[0])
        document.file_key = key
        session.add(document)
    with pytest.raises(ReasonMissing):
        return_case(records, dossier_id, "gq.01", " ")
    for _ in range(2):
        report = return_case(records, dossier_id, "gq.01", "Không đủ điều kiện hưởng.")
        assert report.state is H.TRA_LAI and report.without_value == 3
    assert get(records, ids[0]).state is D.DA_LUU_KHONG_GIA_TRI
    assert objects.unproven(Bucket.WORKING, key)[0] == b"officer"
    assert not objects.exists(Bucket.RECORDS, document_key(dossier_id, ids[0], 1, "record.pdf"))
    with pytest.raises(InvalidTransition):
        store_record(records, objects, CATALOG, ids[0], "gq.01")
    assert get_case(records, dossier_id).return_reason == "Không đủ điều kiện hưởng."


def test_EX17_a_signed_case_cannot_be_returned(records: RecordsDatabase, objects: ObjectStore) -> None:
    dossier_id, _ = signed(records, objects)
    walk_dossier(records, dossier_id, H.KY_CO_QUAN)
    with pytest.raises(SignedCaseNotReturned):
        return_case(records, dossier_id, "gq.01", "Lý do.")
