"""Attacks with the password of one database role, and with the key of one part: rows and entries that look genuine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlmodel import col, select

from blocks.catalog.staff import Role
from blocks.identity import replace_keys
from blocks.records import RecordsDatabase
from blocks.records.audit import ChainHead, audit, canonical, read_chain
from blocks.records.incidents import close_incident, raise_incident
from blocks.records.machine import move_document
from blocks.records.named import naming
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, Custody, Disposal, Document, Incident, Outbox, now
from blocks.seals import SealKeyMissing, Seals, seal
from infra.local.postgres import Postgres
from infra.local.roles import APP, GATEWAY
from tasks.archive.custody import Place, move_paper
from tasks.archive.disposal import Person, reject
from tasks.archive.store import set_owner_id
from tasks.monitoring.audit_rows import CODE, RowsUnproven, check_rows
from tasks.monitoring.audit_trail import BROKEN, TrailBroken, Unsealed, check_trail
from tests.attack.plugin import Attack
from tests.tasks.archive.test_disposal import propose
from tests.tasks.lawcase import OWNER_ID, make_dossier, walk_document

WHY = "Hết thời hạn lưu trữ theo Danh mục của cơ quan."
LEAD = {("BHXH-TEST", Role.LEAD)}


@dataclass
class Office:
    """Rows that the parts themselves have written, and who has got hold of an address of the database."""

    records: RecordsDatabase
    desk: RecordsDatabase
    dossier: UUID
    shown: UUID  # in its owner's repository
    other: UUID  # stored, nobody's yet
    proposed: UUID  # to be destroyed
    closed: UUID  # incidents
    open: UUID
    enter: Callable[[str], psycopg.Connection[Any]]

    def do(self, role: str, statement: str, **values: Any) -> None:
        self.enter(role).execute(statement, values)

    def append(self, role: str, sealed: Callable[[str], str], **changes: Any) -> int:
        """A well-chained entry of the trail past the program. sealed: of its hash."""
        with self.records.session() as session:
            head = session.exec(select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)).one()
        entry = AuditEntry(actor="gq.01", action="view", rule="P14", seq=(head.seq or 0) + 1, previous_hash=head.hash)
        row = entry.model_dump() | changes
        row["hash"] = hashlib.sha256(canonical(row)).hexdigest()
        row["seal"] = sealed(row["hash"])
        row["details"] = json.dumps(row["details"])
        names = ", ".join(row)
        self.do(role, f"INSERT INTO auditentry ({names}) VALUES ({', '.join(f'%({n})s' for n in row)})", **row)
        return int(row["seq"])

    def rows_found(self, since: int = 0) -> str:
        """What the nightly comparison says, and its incident."""
        with pytest.raises(RowsUnproven) as told:
            check_rows(self.records, since)
        self.incident(CODE)
        return str(told.value)

    def trail_found(self, seq: int) -> str:
        """What the nightly reading and the auditor's button say: the first entry that no part wrote."""
        with pytest.raises(Unsealed, match=f"Dòng {seq} của nhật ký") as told:
            check_trail(self.records, "system")
        self.incident(BROKEN)
        return str(told.value)

    def incident(self, code: str) -> None:
        with self.records.session() as session:
            assert session.exec(select(Incident.closed_at).where(Incident.code == code)).all() == [None]

    def newest(self) -> int:
        with self.records.session() as session:
            return int(session.exec(select(AuditEntry.seq).order_by(col(AuditEntry.seq).desc()).limit(1)).one() or 0)


@pytest.fixture
def office(records: RecordsDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    name, opened = os.environ["SOHOA_DATABASE_URL"].rpartition("/")[2], list[psycopg.Connection[Any]]()

    def enter(role: str) -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(postgres.url(name, role).replace("+psycopg", ""), autocommit=True))
        return opened[-1]

    dossier, papers = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"] * 3)
    for paper in papers:
        walk_document(records, paper, DocumentState.DA_KY_CO_QUAN)
        with records.session() as session:
            document = session.get_one(Document, paper)
            for state in (DocumentState.DA_LUU, DocumentState.DA_LUU_CHUA_DINH_DANH):
                move_document(session, document, state, actor="system", rule="LU02")
            document.record_key, document.retain_until = "record.pdf", now() - timedelta(days=3)
    set_owner_id(records, papers[0], OWNER_ID, "gq.01")
    with records.session() as session:
        move_paper(session, dossier, Place.COUNTER, handed_by="", received_by="tnhs.01")
        closed = raise_incident(session, code="DISPUTE", document_id=papers[0])
        close_incident(session, closed, actor="ld.01", reason="Đã giải quyết xong khiếu nại.")
        still = raise_incident(session, code="DISPUTE", dossier_id=None, document_id=papers[1])
    desk = RecordsDatabase(url_env="SOHOA_DATABASE_GATEWAY_URL")
    with monkeypatch.context() as patch:
        patch.setenv("SOHOA_PART", "gateway")
        propose(desk, papers[1], "ld.01", LEAD, WHY)
        reject(desk, papers[1], Person("ld.02", LEAD), WHY)
        propose(desk, papers[2], "ld.01", LEAD, WHY)
    made = Office(records, desk, dossier, papers[0], papers[1], papers[2], closed.id, still.id, enter)
    assert check_rows(records).rows == 5, "a custody, a repository's row, a message, a closing, a proposal"
    assert check_rows(records, since=made.newest()).since > 0
    check_trail(records, "kt.01")
    yield made
    for connection in opened:
        connection.close()


def custody(office: Office, role: str = APP, **values: Any) -> None:
    row = Custody(dossier_id=office.dossier, place="ARCHIVE", handed_by="gq.01", received_by="ke.gian")
    given = row.model_dump() | values
    names = ", ".join(given)
    office.do(role, f"INSERT INTO custody ({names}) VALUES ({', '.join(f'%({n})s' for n in given)})", **given)


REPOSITORY = (
    "INSERT INTO repositoryentry (id, owner_id, document_id, shown_at) "
    "VALUES (gen_random_uuid(), '001199099999', %(document)s, now())"
)
MESSAGE = (
    "INSERT INTO outbox (id, topic, dedup_key, payload, created_at, tries, written_at) VALUES (gen_random_uuid(), "
    "'national-portal', gen_random_uuid()::text, '{}', now(), 0, NULL)"
)
CLOSE = "UPDATE incident SET closed_at = now(), closed_by = 'ld.01', reason = 'Đã giải quyết xong.' WHERE id = %(id)s"
PROPOSAL = (
    "INSERT INTO disposal (document_id, dossier_id, unit_id, retention_class, retain_until, proposed_by, proposed_at, "
    "reason, confirmed_by, confirmed_at, confirmation, destroyed_by, objects, certificate_key) VALUES (%(document)s, "
    "%(dossier)s, 'BHXH-TEST', '', now(), 'ld.01', now(), 'x', 'ld.02', now(), 'x', '', '[]', '')"
)
ROWS: dict[str, tuple[str, Callable[[Office], None]]] = {  # attempt: (what is told of, how)
    "app: the paper is in the archive": ("sổ giao nhận", custody),
    "app: the paper came in long ago": ("sổ giao nhận", lambda o: custody(o, at=datetime(2020, 1, 1, tzinfo=UTC))),
    "app: the row itself says that it is old": (
        "sổ giao nhận",
        lambda o: custody(o, written_at=datetime(2020, 1, 1, tzinfo=UTC)),
    ),
    "app: a record is shown to another": ("kho của chủ hồ sơ", lambda o: o.do(APP, REPOSITORY, document=o.other)),
    "app: a record vanishes from its owner's repository": (
        "kho của chủ hồ sơ",
        lambda o: o.do(APP, "DELETE FROM repositoryentry WHERE document_id = %(d)s", d=o.shown),
    ),
    "app: a message to the national portal": ("tin gửi đi", lambda o: o.do(APP, MESSAGE)),
    "app: a message to the national portal vanishes": ("tin gửi đi", lambda o: o.do(APP, "DELETE FROM outbox")),
    "app: a dispute is closed": ("việc đóng sự cố", lambda o: o.do(APP, CLOSE, id=o.open)),
    "gateway: a dispute is closed": ("việc đóng sự cố", lambda o: o.do(GATEWAY, CLOSE, id=o.open)),
    "gateway: another has closed it": (
        "việc đóng sự cố",
        lambda o: o.do(GATEWAY, "UPDATE incident SET closed_by = 'ld.02' WHERE id = %(id)s", id=o.closed),
    ),
    "app: an incident is opened again": (
        "việc đóng sự cố",
        lambda o: o.do(APP, "UPDATE incident SET closed_at = NULL WHERE id = %(id)s", id=o.closed),
    ),
    "gateway: two persons have ordered a destruction": (
        "tiêu hủy",
        lambda o: o.do(GATEWAY, PROPOSAL, document=o.shown, dossier=o.dossier),
    ),
    "gateway: a proposal that was rejected is there again": ("tiêu hủy", lambda o: again(o)),
    "gateway: a second person has confirmed": (
        "tiêu hủy",
        lambda o: o.do(GATEWAY, "UPDATE disposal SET confirmed_by = 'ld.02', confirmed_at = now()"),
    ),
    "gateway: a proposal vanishes": ("tiêu hủy", lambda o: o.do(GATEWAY, "DELETE FROM disposal")),
}


def again(office: Office) -> None:
    """The very row of before, as whoever reads the database has copied it: its proposal was once told of."""
    with office.desk.session() as session:
        row = session.get_one(Disposal, office.proposed)
        told = row.model_dump()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOHOA_PART", "gateway")
        reject(office.desk, office.proposed, Person("ld.02", LEAD), WHY)
    check_rows(office.records)
    with office.desk.session() as session:
        session.add(Disposal(**told))


@pytest.mark.parametrize("attempt", ROWS)
def test_P14_a_row_that_no_part_has_written_is_found(attack: Attack, office: Office, attempt: str) -> None:
    what, how = ROWS[attempt]
    proven = office.newest()
    with attack(attempt) as told:
        how(office)
        said = office.rows_found(proven)
        assert what in said
        told.answered(said)
        told.audited(f"incident {CODE}")
        told.proved("trail and row are as they are: found, not mended")


@pytest.mark.parametrize("role", [APP, GATEWAY])
def test_P14_what_a_role_may_not_write_at_all(attack: Attack, office: Office, role: str) -> None:
    attempts: dict[str, Callable[[], object]] = {
        "an entry without a seal": lambda: office.append(role, lambda _: ""),
        "an entry sealed by a part that there isn't": lambda: office.append(role, lambda _: "root." + "A" * 86),
        "another text in a message": lambda: office.do(role, """UPDATE outbox SET payload = '{"to": "me"}'"""),
        "when a row was written": lambda: office.do(role, "UPDATE custody SET written_at = NULL"),
    }
    if role == GATEWAY:
        attempts |= {
            "custody": lambda: custody(office, role),
            "a repository": lambda: office.do(role, REPOSITORY, document=office.other),
            "a message": lambda: office.do(role, MESSAGE),
        }
    for attempt, do in attempts.items():
        with attack(f"{role}: {attempt}", watch=office.newest) as told:
            with pytest.raises(psycopg.Error) as refused:
                do()
            assert refused.value.sqlstate in {"42501", "23514", "P0001"}, refused.value
            told.answered(f"{type(refused.value).__name__} {refused.value.sqlstate}")
    assert check_rows(office.records).rows == 5


def of_the_last(office: Office) -> Callable[[str], str]:
    with office.records.session() as session:
        newest = session.exec(select(AuditEntry.seal).order_by(col(AuditEntry.seq).desc()).limit(1)).one()
    return lambda _: newest


def by(part: str, called: str | None = None) -> Callable[[str], str]:
    """With that part's key; called: under another name."""

    def sealed(digest: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOHOA_PART", part)
            made = seal(digest)
        return f"{called or part}.{made.partition('.')[2]}"

    return sealed


ENTRIES: dict[str, tuple[Callable[[Office], Callable[[str], str]], dict[str, Any]]] = {
    "with a seal out of the air": (lambda _: lambda _: "worker." + "A" * 86, {}),
    "with the seal of the entry before": (of_the_last, {}),
    "with the gateway's key, as the worker's": (lambda _: by("gateway", "worker"), {}),
    "with the worker's key, as the gateway's": (lambda _: by("worker", "gateway"), {}),
    "with the gateway's key: a dossier has moved": (lambda _: by("gateway"), {"target_state": "LUU_TRU"}),
}


@pytest.mark.parametrize("role", [APP, GATEWAY])
@pytest.mark.parametrize("attempt", ENTRIES)
def test_P14_an_entry_that_no_part_has_sealed_is_found(attack: Attack, office: Office, attempt: str, role: str) -> None:
    sealed, changes = ENTRIES[attempt]
    with attack(f"{role}: a well-chained entry {attempt}") as told:
        seq = office.append(role, sealed(office), **changes)
        with office.records.session() as session:
            assert read_chain(session).wrong == [], "the hashes alone show nothing"
        told.answered(office.trail_found(seq))
        told.audited(f"incident {BROKEN}")
        told.proved("nothing was rewritten: the entry stands where it was put")


def test_P14_an_entry_of_another_part_vouches_for_no_row(attack: Attack, office: Office) -> None:
    with attack("with the gateway's key and the app's password: a custody row and an entry that names it") as told:
        row = Custody(dossier_id=office.dossier, place="ARCHIVE", handed_by="gq.01", received_by="ke.gian")
        custody(office, **row.model_dump())
        changes = {"action": "custody", "dossier_id": office.dossier, "details": naming(row)}
        office.append(APP, by("gateway"), **changes)
        check_trail(office.records, "kt.01")
        told.answered(office.rows_found())
        told.audited(f"incident {CODE}")
        told.proved("trail and row are as they are: found, not mended")


def test_P14_an_entry_that_was_sealed_and_names_no_row_is_found(attack: Attack, office: Office) -> None:
    with attack("the worker itself says what it never wrote") as told:
        message = Outbox(topic="national-portal", dedup_key=str(uuid4()))
        with office.records.session() as session:
            audit(session, actor="system", action="transition", details=naming(message))
        told.answered(office.rows_found())
        told.audited(f"incident {CODE}")
        told.proved("found, not mended")


@pytest.mark.parametrize("at", [timedelta(0), timedelta(days=-1)], ids=["today", "as of yesterday"])
def test_P14_a_key_that_was_replaced_seals_nothing_more(
    attack: Attack, office: Office, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: timedelta
) -> None:
    base = tmp_path / "var"
    (base / "sealing").mkdir(parents=True)
    for path in (home / "sealing").iterdir():
        if path.is_file():
            (base / "sealing" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("SOHOA_HOME", str(base))
    stolen = tmp_path / "stolen"
    (stolen / "sealing").mkdir(parents=True)
    (stolen / "sealing" / "worker.key").write_bytes((base / "sealing" / "worker.key").read_bytes())
    replace_keys(base / "sealing", "worker", at=now() - timedelta(minutes=5))
    monkeypatch.setattr("blocks.seals.MAX_AGE", timedelta(0))
    with office.records.session() as session:
        # What the old key has sealed until then counts on (these seconds are after the day of this test's change).
        kept = [path.read_text() for path in (base / "sealing" / "worker.past").iterdir()]
        assert len(kept) == 1
        entry = session.exec(select(AuditEntry).where(AuditEntry.seq == 1)).one()
        assert Seals().fits(entry.seal, entry.hash, entry.at - timedelta(minutes=10))
        audit(session, actor="system", action="view")  # the new key's first
    with attack("an entry sealed with the key that was replaced") as told:

        def sealed(digest: str) -> str:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SOHOA_HOME", str(stolen))
                return seal(digest)

        seq = office.append(APP, sealed, at=now() + at)
        with office.records.session() as session:
            assert read_chain(session).unsealed[-1] == seq
            before = session.exec(select(AuditEntry.hash).where(AuditEntry.seq == seq - 1)).one()
            assert read_chain(session, since=ChainHead(seq - 1, before)).unsealed == [seq], "also each night"
        with pytest.raises(TrailBroken) as broken:
            check_trail(office.records, "system")
        told.answered(broken.value)
        told.audited(f"incident {BROKEN}")
        told.proved("nothing was rewritten")


def test_P14_without_a_key_nothing_is_written(
    attack: Attack, office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for attempt, name, value in (
        ("a part that has no key", "SOHOA_PART", "metrics"),
        ("an installation without keys", "SOHOA_HOME", str(tmp_path)),
    ):
        with attack(f"{attempt} writes an entry", watch=office.newest) as told, monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(SealKeyMissing) as refused, office.records.session() as session:
                move_paper(session, office.dossier, Place.BUSINESS_UNIT, handed_by="tnhs.01", received_by="gq.01")
            told.answered(refused.value)
    with office.records.session() as session:
        assert len(session.exec(select(Custody)).all()) == 1, "nor its effect"
