"""One bad row never stops the others: in each loop over many dossiers, messages and objects."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import TEST_STAFF, load_staff
from blocks.mail import Mail
from blocks.objects import ObjectMissing, ObjectStore, ObjectStoreUnavailable
from blocks.records import RecordsDatabase
from blocks.records.tables import ArchivedObject, AuditEntry, Outbox, Waiting
from tasks.archive import fixity
from tasks.archive.fixity import check_fixity
from tasks.desk_views.worklist import days_left, worklist
from tasks.monitoring import deadlines, reminders
from tasks.monitoring.deadlines import note_deadlines
from tasks.monitoring.notices import TOPIC, send_notices
from tasks.monitoring.reminders import sweep
from tasks.prefect_task import IN_A_ROW, RowsFailed, one_by_one
from tests.tasks.lawcase import make_dossier, make_waiting

FRIDAY = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # 10:00 in Viet Nam
TYPES = ["LOCAL:GIAY-RA-VIEN"]


def test_all_others_are_done_and_the_bad_ones_counted() -> None:
    done: list[int] = []

    def do(number: int) -> int:
        if number % 3 == 1:
            raise ValueError("Nguyễn Văn A")
        done.append(number)
        return number

    with pytest.raises(RowsFailed) as told:
        one_by_one(range(9), do)
    assert done == [0, 2, 3, 5, 6, 8] and "3 việc" in told.value.text and "Nguyễn" not in str(told.value)
    assert told.value.remedy.value == "ADMINISTRATOR"


def test_a_service_that_is_away_is_not_waited_for_by_each_row() -> None:
    tried: list[int] = []

    def do(number: int) -> None:
        tried.append(number)
        raise ObjectStoreUnavailable()

    with pytest.raises(RowsFailed) as told:
        one_by_one(range(1000), do)
    assert len(tried) == IN_A_ROW and told.value.remedy.value == "RETRY"


def waiting(records: RecordsDatabase, due: date | None, stage: str = "verification-1") -> tuple[UUID, Waiting]:
    return make_waiting(records, stage, FRIDAY - timedelta(days=10), due_date=due)


def test_a_deadline_in_a_year_without_days_off_hides_no_other_dossier(records: RecordsDatabase) -> None:
    far, far_row = waiting(records, date(2099, 1, 5))
    near, near_row = waiting(records, date(2026, 11, 23))
    items = worklist(records, Catalog(), [far_row, near_row], day=date(2026, 11, 20))
    assert [item.dossier_id for item in items] == [near, far] and (items[1].left or 0) > 18_000 / 8
    assert days_left(Catalog(), date(2099, 1, 5), date(2099, 1, 2)) == -1  # Monday, the Friday before


def test_a_dossier_that_can_not_be_noted_is_passed_over(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, _ = waiting(records, date(2026, 11, 19))
    good, _ = waiting(records, date(2026, 11, 23))
    real = deadlines.audit

    def audit(session: object, *, dossier_id: UUID, **values: object) -> None:
        if dossier_id == bad:
            raise KeyError("poisoned")
        real(session, dossier_id=dossier_id, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(deadlines, "audit", audit)
    with pytest.raises(RowsFailed):
        note_deadlines(records, Catalog(), FRIDAY)
    with records.session() as session:
        noted = session.exec(select(AuditEntry.dossier_id).where(AuditEntry.action == "deadline-near")).all()
    assert list(noted) == [good]


def test_a_dossier_that_can_not_be_reminded_of_is_passed_over(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bad, bad_row), (good, good_row) = waiting(records, None), waiting(records, None)
    real = reminders.audit

    def audit(session: object, *, dossier_id: UUID, **values: object) -> None:
        if dossier_id == bad:
            raise KeyError("poisoned")
        real(session, dossier_id=dossier_id, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(reminders, "audit", audit)
    unknown = Waiting(dossier_id=uuid4(), flow_run_id=uuid4(), stage="of-a-later-version-1", kind="of-a-later-version")
    with pytest.raises(RowsFailed):
        sweep(records, Catalog(), load_staff(TEST_STAFF), [unknown, bad_row, good_row], at=FRIDAY)
    with records.session() as session:
        told = session.exec(select(AuditEntry.dossier_id).where(AuditEntry.action == "remind")).all()
    assert list(told) == [good]


def test_a_message_that_can_not_be_written_does_not_keep_the_next(
    records: RecordsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server(smtplib.SMTP):
        """Takes what it is given, after the real class has made the message's text."""

        sent = 0

        def __init__(self) -> None:
            self.esmtp_features: dict[str, str] = {}
            self.does_esmtp = False

        def ehlo_or_helo_if_needed(self) -> None:
            pass

        def sendmail(self, *_: object, **__: object) -> dict[str, tuple[int, bytes]]:
            Server.sent += 1
            return {}

    @contextmanager
    def connected(_: Mail) -> Iterator[smtplib.SMTP]:
        yield Server()

    monkeypatch.setattr(Mail, "connected", connected)
    monkeypatch.setenv("SOHOA_SMTP_URL", "smtp://127.0.0.1")
    monkeypatch.setenv("SOHOA_SMTP_FROM", "sohoa@example.test")
    known = load_staff(TEST_STAFF)
    person = known.staff[0].model_copy(update={"email": "vien-chuc@example.test"})
    staff, officer = known.model_copy(update={"staff": (person,)}), person.id
    texts = [{"officer": officer}, {"officer": officer, "subject": "a\nb", "text": "x"}, {"subject": "no officer"}]
    good = {"officer": officer, "subject": "Nhắc việc", "text": "x"}
    with records.session() as session:
        for number, payload in enumerate([*texts, good]):
            session.add(Outbox(topic=TOPIC, dedup_key=str(number), payload=payload))
    with pytest.raises(RowsFailed):
        send_notices(records, staff, Mail(), date(2026, 11, 20))
    with records.session() as session:
        delivered = session.exec(select(Outbox.dedup_key).where(Outbox.delivered_at != None)).all()  # noqa: E711
    assert list(delivered) == ["3"] and Server.sent == 1


def test_an_object_that_can_not_be_looked_at_is_counted_and_the_next_read(
    records: RecordsDatabase, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (document,) = make_dossier(records, TYPES)
    when = datetime.now(UTC)
    rows = [
        ArchivedObject(
            document_id=document,
            kind=kind,
            object_key=f"{uuid4()}/{kind}",
            version="v",
            sha256="0" * 64,
            size=1,
            locked_until=when,
        )
        for kind in ("record.pdf", "manifest.json")
    ]
    ids = [row.id for row in rows]
    with records.session() as session:
        session.add_all(rows)
    real = fixity._fault

    def fault(store: ObjectStore, row: ArchivedObject) -> str | None:
        if row.id == ids[0]:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "poisoned")
        return real(store, row)

    monkeypatch.setattr(fixity, "_fault", fault)
    report = check_fixity(records, objects, ids)
    assert report.unread == [ids[0]] and report.checked == 1 and report.damaged == [document]
    monkeypatch.setattr(fixity, "_fault", lambda *_: (_ for _ in ()).throw(ObjectMissing()))
    assert check_fixity(records, objects, ids).unread == ids
