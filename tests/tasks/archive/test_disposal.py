"""Disposal after retention: two persons, no dispute, nothing before its day; the store's own lock; the certificate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError as Constraint
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.objects import Bucket, ObjectStore, ObjectStoreRefused
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.grants import GATEWAY
from blocks.records.named import naming
from blocks.records.tables import ArchivedObject, AuditEntry, Disposal, Document, Dossier, FieldValue, now
from blocks.settings.sections import PreservationSettings
from blocks.trust import Trust
from infra.local.postgres import Postgres
from tasks.archive import disposal
from tasks.archive.custody import freeze_disposal
from tasks.archive.destruction import destroy, finish, ordered, unfinished
from tasks.archive.disposal import (
    Candidate,
    DisposalChanged,
    DisposalGone,
    DisposalNotYours,
    DisposalReasonMissing,
    DisposalStepUp,
    NotDisposable,
    Person,
    due,
    proposed,
    reject,
)
from tasks.archive.fixity import objects_to_check
from tasks.archive.store import store_record
from tasks.monitoring.audit_rows import RowsUnproven
from tests.attack.plugin import Attack
from tests.tasks.lawcase import make_dossier, put_signed
from tests.tasks.signing.conftest import signing_settings  # noqa: F401

UNIT = "BHXH-TEST"
LEAD, OTHER, SEAL = {(UNIT, Role.LEAD)}, {("BHXH-KHAC", Role.LEAD)}, {(UNIT, Role.SEAL)}
WHY = "Hết thời hạn lưu trữ theo Danh mục của cơ quan."


@pytest.fixture
def desk(records: RecordsDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordsDatabase]:
    """The same database with the rights of the gateway, which alone may write who decided."""
    name = os.environ["SOHOA_DATABASE_URL"].rpartition("/")[2]
    monkeypatch.setenv("SOHOA_TEST_DESK_URL", postgres.url(name, GATEWAY))
    database = RecordsDatabase(url_env="SOHOA_TEST_DESK_URL")
    yield database
    database.engine.dispose()


@pytest.fixture
def stored(records: RecordsDatabase, objects: ObjectStore) -> UUID:
    """A record whose retention has ended: its objects are rows as product stores them, the lock in the past."""
    dossier, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    over = now() - timedelta(days=3)
    with records.session() as session:
        paper = session.get_one(Document, document)
        for kind in ("record.pdf", "manifest.json"):
            key = f"{dossier}/{document}/1/{kind}"
            kept = objects.put_once(Bucket.RECORDS, key, uuid4().bytes, content_type="application/pdf")
            objects.put_once(Bucket.WORKING, key, b"copy", content_type="application/pdf")
            session.add(
                ArchivedObject(
                    document_id=document, kind=kind, object_key=key, version=kept.version, sha256=kept.sha256,
                    size=kept.size, locked_until=over,
                )
            )  # fmt: skip
        objects.put_once(Bucket.INTAKE, f"{dossier}/{document}/1/0001.jpg", b"scan", content_type="image/jpeg")
        paper.record_key, paper.retain_until, paper.retention_class = key, over, "10-NAM"
        session.add(paper)
        session.add(FieldValue(document_id=document, name="full_name", value="Nguyễn Thị Thử Nghiệm"))
    return document


def state(records: RecordsDatabase, objects: ObjectStore, document: UUID) -> tuple[int, int]:
    """(versions under lock, rows of what was read)."""
    with records.session() as session:
        keys = session.exec(select(ArchivedObject.object_key).where(ArchivedObject.document_id == document)).all()
        fields = session.exec(select(FieldValue.id).where(FieldValue.document_id == document)).all()
    return sum(len([*objects.versions(Bucket.RECORDS, key)]) for key in keys), len(fields)


def proven(officer: str, held: set[tuple[str, Role]]) -> Person:
    """Somebody who has just proved anew who they are."""
    return Person(officer, held, "high", now())


def seen(records: RecordsDatabase, document: UUID) -> str:
    """What stands on the page of the record's unit now; of what stands on none, an older look."""
    with records.session() as session:
        unit = session.get_one(Dossier, session.get_one(Document, document).dossier_id).unit_id
        listed: list[Candidate] = due(session, [unit]) + proposed(session, [unit])
    return next((item.seen for item in listed if item.document_id == document), "0" * 64)


@contextmanager
def at_the_desk() -> Iterator[None]:
    """The gateway seals what is noted meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_PART", "gateway")
        yield


def propose(
    records: RecordsDatabase, document: UUID, officer: str, held: set[tuple[str, Role]], why: str, **more: datetime
) -> None:
    """As the page is sent by somebody who looked just now, after a step-up."""
    with at_the_desk():
        disposal.propose(records, document, proven(officer, held), why, seen(records, document), **more)


def confirm(records: RecordsDatabase, document: UUID, officer: str, held: set[tuple[str, Role]], why: str) -> None:
    with at_the_desk():
        disposal.confirm(records, document, proven(officer, held), why, seen(records, document))


def audited(records: RecordsDatabase, document: UUID) -> list[str]:
    with records.session() as session:
        query = select(AuditEntry.action).where(AuditEntry.document_id == document, AuditEntry.rule == "LU06")
        return list(session.exec(query.order_by(AuditEntry.seq)).all())  # type: ignore[arg-type]


def test_LU06_two_persons_then_destruction_and_a_certificate(
    desk: RecordsDatabase,
    records: RecordsDatabase,
    objects: ObjectStore,
    stored: UUID,
    signing_settings: None,  # noqa: F811
) -> None:
    with records.session() as session:
        assert [item.document_id for item in due(session, [UNIT])] == [stored]
        assert due(session, ["BHXH-KHAC"]) == []
    propose(desk, stored, "ld.01", LEAD, WHY)
    with records.session() as session:
        assert due(session, [UNIT]) == [] and [item.proposed_by for item in proposed(session, [UNIT])] == ["ld.01"]
        assert ordered(session) == []
    confirm(desk, stored, "vt.01", SEAL, WHY)
    with records.session() as session:
        assert ordered(session) == [stored] and proposed(session, [UNIT]) == []
    assert destroy(records, objects, stored, "quan-tri") == 2
    assert state(records, objects, stored)[0] == 0
    trust = Trust.get()
    key = finish(records, objects, trust, stored)
    assert finish(records, objects, trust, stored) == key
    assert state(records, objects, stored) == (0, 0)
    with records.session() as session:
        row, paper = session.get_one(Disposal, stored), session.get_one(Document, stored)
        dossier = session.get_one(Dossier, row.dossier_id)
        assert (paper.record_key, dossier.owner_name, dossier.owner_id) == (None, "", None)
        assert [len(item["sha256"]) for item in row.objects] == [64, 64] and unfinished(session) == []
        place = f"{row.dossier_id}/"
    assert not [*objects.list(Bucket.WORKING, place)] and not [*objects.list(Bucket.INTAKE, place)]
    told = json.loads(objects.unproven(Bucket.RECORDS, key)[0])
    assert WHY not in told["certificate"] and "Nguyễn" not in told["certificate"]
    assert json.loads(told["certificate"])["confirmed_by"] == "vt.01" and len(bytes.fromhex(told["cades"])) > 1000
    assert audited(records, stored) == ["dispose-proposed", "dispose-confirmed", "dispose", "dispose-certified"]
    assert objects_to_check(records, 10, PreservationSettings(fixity_days=0)) == []  # nobody misses it


def test_one_person_alone(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    propose(desk, stored, "ld.01", LEAD, WHY)
    with attack("the proposer confirms the own proposal", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(DisposalNotYours) as refused:
            confirm(desk, stored, "ld.01", LEAD, WHY)
        told.answered(refused.value)
        with pytest.raises(NotDisposable):
            destroy(records, objects, stored, "quan-tri")


def test_one_person_past_the_code(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    propose(desk, stored, "ld.01", LEAD, WHY)
    with attack("one person written as both into the database", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(Constraint) as refused, desk.session() as session:
            row = session.get_one(Disposal, stored)
            row.confirmed_by, row.confirmed_at = row.proposed_by, now()
            session.add(row)
        told.answered(type(refused.value.orig).__name__)


def test_an_order_from_the_worker(attack: Attack, records: RecordsDatabase, objects: ObjectStore, stored: UUID) -> None:
    with attack("an order of two persons written by the worker's database role",
                watch=lambda: state(records, objects, stored)) as told:  # fmt: skip
        with pytest.raises(ProgrammingError) as refused, records.session() as session:
            session.add(
                Disposal(
                    document_id=stored, dossier_id=session.get_one(Document, stored).dossier_id, unit_id=UNIT,
                    retention_class="", retain_until=now(), proposed_by="ld.01", proposed_at=now(), reason=WHY,
                    confirmed_by="ld.02", confirmed_at=now(),
                )
            )  # fmt: skip
        told.answered(refused.value.orig)


def test_an_order_that_the_desk_has_not_sealed(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    """With the gateway's database password, but without its key."""
    with attack("an order of two persons written by the gateway's database role",
                watch=lambda: state(records, objects, stored)) as told:  # fmt: skip
        with desk.session() as session:
            document = session.get_one(Document, stored)
            session.add(
                Disposal(
                    document_id=stored, dossier_id=document.dossier_id, unit_id=UNIT,
                    retention_class=document.retention_class or "", retain_until=document.retain_until or now(),
                    proposed_by="ld.01", proposed_at=now(), reason=WHY,
                    confirmed_by="vt.01", confirmed_at=now(), confirmation=WHY,
                )
            )  # fmt: skip
        with pytest.raises(RowsUnproven) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)
    with attack("the same, with entries that the worker's key has sealed",
                watch=lambda: state(records, objects, stored)) as told:  # fmt: skip
        with desk.session() as session:
            row = session.get_one(Disposal, stored)
            for action in ("dispose-proposed", "dispose-confirmed"):
                audit(session, actor="ld.01", action=action, document_id=stored, rule="LU06", details=naming(row))
        with pytest.raises(RowsUnproven) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)


def test_another_records_object_put_under_an_ordered_one(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    """With the worker's database password: rows of archived objects may be put in."""
    propose(desk, stored, "ld.01", LEAD, WHY)
    confirm(desk, stored, "vt.01", SEAL, WHY)
    key = f"{uuid4()}/{uuid4()}/copy.pdf"
    objects.put_once(Bucket.RECORDS, key, b"another record", content_type="application/pdf")
    with records.session() as session:
        mine = session.exec(select(ArchivedObject).where(ArchivedObject.document_id == stored)).first()
        assert mine is not None
        session.add(ArchivedObject(**mine.model_dump() | {"id": uuid4(), "object_key": key, "number": 99}))
    with attack(
        "an ordered disposal takes another record along", watch=lambda: objects.exists(Bucket.RECORDS, key)
    ) as told:
        with pytest.raises(RowsUnproven) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)


def test_without_a_confirmation(attack: Attack, records: RecordsDatabase, objects: ObjectStore, stored: UUID) -> None:
    with attack("destruction that nobody has ordered", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(NotDisposable) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)


def test_before_the_end(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    with attack("disposal before the end of retention", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(NotDisposable) as refused:
            propose(desk, stored, "ld.01", LEAD, WHY, at=now() - timedelta(days=4))
        told.answered(refused.value)
        with records.session() as session:
            assert due(session, [UNIT], at=now() - timedelta(days=4)) == []


def ordered_then_disputed(desk: RecordsDatabase, records: RecordsDatabase, stored: UUID) -> None:
    """Both have decided; then somebody says that the paper's whereabouts are disputed."""
    propose(desk, stored, "ld.01", LEAD, WHY)
    confirm(desk, stored, "ld.02", LEAD, WHY)
    with records.session() as session:
        dossier = session.get_one(Document, stored).dossier_id
    freeze_disposal(records, dossier, "ld.01")


def test_in_a_dispute(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    ordered_then_disputed(desk, records, stored)
    with attack("destruction while a dispute is open", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(NotDisposable) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)


def test_a_dispute_that_is_closed_in_the_database(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    ordered_then_disputed(desk, records, stored)
    with attack("destruction after a dispute was closed with the database's password alone",
                watch=lambda: state(records, objects, stored)) as told:  # fmt: skip
        with records.session() as session:
            session.execute(text("UPDATE incident SET closed_at = now(), closed_by = 'ld.01', reason = 'Xong.'"))
        with pytest.raises(RowsUnproven) as refused:
            destroy(records, objects, stored, "quan-tri")
        told.answered(refused.value)


@pytest.mark.parametrize("kind", ["of unknown class", "kept for ever"])
def test_a_class_without_end(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID, kind: str
) -> None:
    with records.session() as session:
        paper = session.get_one(Document, stored)
        paper.retain_until, paper.retention_class = None, "VINH-VIEN" if "ever" in kind else None
        session.add(paper)
    with attack(f"disposal of a record {kind}", watch=lambda: state(records, objects, stored)) as told:
        with pytest.raises(NotDisposable) as refused:
            propose(desk, stored, "ld.01", LEAD, WHY, at=datetime(2200, 1, 1, tzinfo=UTC))
        told.answered(refused.value)
        with records.session() as session:
            assert due(session, [UNIT], at=datetime(2200, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("roles", [OTHER, SEAL, {(UNIT, Role.OPERATE)}, {(UNIT, Role.AUDIT)}, set()], ids=str)
def test_who_may_not(
    attack: Attack,
    desk: RecordsDatabase,
    records: RecordsDatabase,
    objects: ObjectStore,
    stored: UUID,
    roles: set[tuple[str, Role]],
) -> None:
    with attack(f"disposal proposed with {sorted(roles) or 'no role'}", watch=lambda: audited(records, stored)) as told:
        with pytest.raises(DisposalNotYours) as refused:
            propose(desk, stored, "x.01", roles, WHY)
        told.answered(refused.value)
    if roles == SEAL:
        return  # may confirm
    propose(desk, stored, "ld.01", LEAD, WHY)
    with attack(
        f"disposal confirmed with {sorted(roles) or 'no role'}", watch=lambda: audited(records, stored)
    ) as told:
        with pytest.raises(DisposalNotYours) as refused:
            confirm(desk, stored, "x.01", roles, WHY)
        told.answered(refused.value)


NOT_PROVEN = {
    "no sign-in anew": None,
    "a sign-in of an hour ago": timedelta(hours=-1),
    "a sign-in that lies ahead": timedelta(hours=1),
}


@pytest.mark.parametrize("how", NOT_PROVEN)
def test_WH03_without_a_sign_in_anew(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, stored: UUID, how: str
) -> None:
    away = NOT_PROVEN[how]
    at = now() + away if away is not None else None
    with attack(f"disposal proposed with {how}", watch=lambda: audited(records, stored)) as told:
        with pytest.raises(DisposalStepUp) as refused:
            disposal.propose(desk, stored, Person("ld.01", LEAD, "high", at), WHY, seen(records, stored))
        told.answered(refused.value)
    propose(desk, stored, "ld.01", LEAD, WHY)
    with attack(f"disposal confirmed with {how}", watch=lambda: audited(records, stored)) as told:
        with pytest.raises(DisposalStepUp) as refused:
            disposal.confirm(desk, stored, Person("vt.01", SEAL, "high", at), WHY, seen(records, stored))
        told.answered(refused.value)
    with records.session() as session:
        assert ordered(session) == []


def test_changed_between_look_and_act(
    attack: Attack, desk: RecordsDatabase, records: RecordsDatabase, objects: ObjectStore, stored: UUID
) -> None:
    """What is proposed is what the page showed; what is confirmed is what was proposed; what goes is both."""

    def change(**columns: object) -> None:
        with records.session() as session:
            paper = session.get_one(Document, stored)
            for name, value in columns.items():
                setattr(paper, name, value)
            session.add(paper)

    with records.session() as session:
        before = session.get_one(Document, stored).retain_until
    assert before is not None
    look = seen(records, stored)
    change(retain_until=before - timedelta(days=1))
    with attack("another day of retention after the leader's look", watch=lambda: audited(records, stored)) as told:
        with pytest.raises(DisposalChanged) as refused:
            disposal.propose(desk, stored, proven("ld.01", LEAD), WHY, look)
        told.answered(refused.value)
    change(retain_until=before)
    disposal.propose(desk, stored, proven("ld.01", LEAD), WHY, look)
    first = seen(records, stored)
    reject(desk, stored, Person("vt.01", SEAL), "Chưa đối chiếu với bản giấy.")
    propose(desk, stored, "ld.01", LEAD, "Căn cứ khác với lần trước.")
    with attack("another proposal for the same record after the clerk's look",
                watch=lambda: audited(records, stored)) as told:  # fmt: skip
        with pytest.raises(DisposalChanged) as refused:
            disposal.confirm(desk, stored, proven("vt.01", SEAL), WHY, first)
        told.answered(refused.value)
    for what, columns in {
        "the retention's day": {"retain_until": before - timedelta(days=1)},
        "the retention's class": {"retention_class": "5-NAM"},
    }.items():
        change(**columns)
        with attack(f"{what} changed after the proposal", watch=lambda: audited(records, stored)) as told:
            with pytest.raises(DisposalChanged) as refused:
                confirm(desk, stored, "vt.01", SEAL, WHY)
            told.answered(refused.value)
        change(retain_until=before, retention_class="10-NAM")
    confirm(desk, stored, "vt.01", SEAL, WHY)
    change(retain_until=before - timedelta(days=1))
    with attack(
        "the retention's day changed after both have decided", watch=lambda: state(records, objects, stored)
    ) as told:
        with pytest.raises(NotDisposable) as gone:
            destroy(records, objects, stored, "quan-tri")
        told.answered(gone.value)


def test_the_lock_of_the_store_holds_against_a_forged_row(
    attack: Attack,
    desk: RecordsDatabase,
    records: RecordsDatabase,
    objects: ObjectStore,
    signing_settings: None,  # noqa: F811
) -> None:
    """Rows say that the lock is over; the store knows better."""
    _, (document,) = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    put_signed(records, objects, document)
    store_record(records, objects, Catalog(), document, "gq.01")
    over = now() - timedelta(days=1)
    with records.session() as session:
        paper = session.get_one(Document, document)
        paper.retain_until = over
        session.add(paper)
        for row in session.exec(select(ArchivedObject).where(ArchivedObject.document_id == document)):
            row.locked_until = over
            session.add(row)
    propose(desk, document, "ld.01", LEAD, WHY)
    confirm(desk, document, "ld.02", LEAD, WHY)
    with attack("destruction of a locked record after its rows were forged",
                watch=lambda: state(records, objects, document)) as told:  # fmt: skip
        with pytest.raises(ObjectStoreRefused) as refused:
            destroy(records, objects, document, "quan-tri")
        told.answered(refused.value)


def test_reasons_and_a_second_look(desk: RecordsDatabase, records: RecordsDatabase, stored: UUID) -> None:
    with pytest.raises(DisposalReasonMissing):
        propose(desk, stored, "ld.01", LEAD, "  vì  ")
    propose(desk, stored, "ld.01", LEAD, WHY)
    with pytest.raises(DisposalGone):
        propose(desk, stored, "ld.02", LEAD, WHY)
    reject(desk, stored, Person("vt.01", SEAL), "Chưa đối chiếu với bản giấy.")
    with pytest.raises(DisposalGone):
        confirm(desk, stored, "ld.02", LEAD, WHY)
    propose(desk, stored, "ld.02", LEAD, WHY)
    confirm(desk, stored, "ld.01", LEAD, WHY)
