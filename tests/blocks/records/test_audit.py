"""The audit trail: append-only, whole, without personal data, in order under concurrency (P14, WH04)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, col, select

from blocks.records import RecordsDatabase
from blocks.records.audit import (
    ChainHead,
    PersonalDataInAudit,
    audit,
    canonical,
    chain_head,
    pending,
    verify_chain,
)
from blocks.records.tables import AuditEntry
from tests.blocks.records.conftest import OWNER, OWNER_ID, new_document, new_dossier
from tests.blocks.records.race import race


def note(session: Session, number: int, **kw: Any) -> AuditEntry:
    return audit(session, actor="gq.01", action="view", details={"number": number}, **kw)


def write(db: RecordsDatabase, count: int) -> None:
    with db.session() as session:
        for number in range(count):
            note(session, number)


def tamper(db: RecordsDatabase, *statements: str, **values: Any) -> None:
    """As the database's owner who switches the guards off: what the app's role can't."""
    with RecordsDatabase(url_env="SOHOA_DATABASE_OWNER_URL").session() as session:
        session.execute(text("ALTER TABLE auditentry DISABLE TRIGGER USER"))
        for statement in statements:
            session.execute(text(statement), values)
        session.execute(text("ALTER TABLE auditentry ENABLE TRIGGER USER"))


def check(db: RecordsDatabase, anchor: ChainHead | None = None) -> list[int]:
    with db.session() as session:
        return verify_chain(session, anchor=anchor)


def test_P14_entries_are_linked_in_order(records: RecordsDatabase) -> None:
    write(records, 3)
    write(records, 2)
    with records.session() as session:
        rows = list(session.exec(select(AuditEntry).order_by(col(AuditEntry.seq))))
        assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
        assert [row.details["number"] for row in rows] == [0, 1, 2, 0, 1]
        assert rows[0].previous_hash == "0" * 64
        assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
        assert chain_head(session) == (5, rows[-1].hash)
    assert check(records) == []


def test_P14_entry_is_known_when_the_transaction_ends(records: RecordsDatabase) -> None:
    with records.session() as session:
        entry = note(session, 1)
        assert entry.seq is None and pending(session) == [entry]
    assert entry.seq == 1 and len(entry.hash) == 64


@pytest.mark.parametrize("way", ["error", "rollback"])
def test_P14_rolled_back_leaves_nothing(records: RecordsDatabase, way: str) -> None:
    write(records, 1)
    if way == "error":
        with pytest.raises(RuntimeError), records.session() as session:
            note(session, 7)
            raise RuntimeError
    else:
        with Session(records.engine) as session:
            note(session, 7)
            session.rollback()
            assert pending(session) == []
            session.commit()
    write(records, 1)
    with records.session() as session:
        assert [row.details["number"] for row in session.exec(select(AuditEntry))] == [0, 0]
    assert check(records) == []


def test_P14_savepoints_take_their_entries_with_them(records: RecordsDatabase) -> None:
    with records.session() as session:
        note(session, 1)
        with pytest.raises(RuntimeError), session.begin_nested():
            note(session, 2)
            with session.begin_nested():
                note(session, 3)
            raise RuntimeError
        with session.begin_nested():
            note(session, 4)
        note(session, 5)
    with records.session() as session:
        numbers = [row.details["number"] for row in session.exec(select(AuditEntry).order_by(col(AuditEntry.seq)))]
    assert numbers == [1, 4, 5]
    assert check(records) == []


COLUMNS = {
    "actor": "'gq.02'",
    "action": "'sign'",
    "rule": "'EX17'",
    "details": "'{\"number\": 9}'",
    "at": "at + interval '1 microsecond'",
    "source_state": "'OCR'",
    "target_state": "'OCR'",
    "dossier_id": "gen_random_uuid()",
    "document_id": "gen_random_uuid()",
    "hash": "repeat('a', 64)",
    "previous_hash": "repeat('a', 64)",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_P14_a_changed_column_is_found(records: RecordsDatabase, column: str) -> None:
    write(records, 5)
    tamper(records, f"UPDATE auditentry SET {column} = {COLUMNS[column]} WHERE seq = 3")
    assert 3 in check(records)
    assert set(check(records)) <= {3, 4}  # 4: its predecessor is another now


def test_P14_a_change_with_its_own_new_hash_is_found(records: RecordsDatabase) -> None:
    write(records, 5)
    with records.session() as session:
        row = session.exec(select(AuditEntry).where(AuditEntry.seq == 3)).one().model_dump()
    row["actor"] = "gq.02"
    digest = hashlib.sha256(canonical(row)).hexdigest()
    tamper(records, "UPDATE auditentry SET actor = 'gq.02', hash = :digest WHERE seq = 3", digest=digest)
    assert check(records) == [3, 4], "nobody seals it anew, and the next one follows another"


def test_P14_a_removed_or_moved_entry_is_found(records: RecordsDatabase) -> None:
    write(records, 6)
    tamper(records, "DELETE FROM auditentry WHERE seq = 2")
    assert check(records) == [3]
    tamper(records, "UPDATE auditentry SET seq = seq - 1 WHERE seq > 2")
    assert check(records) == [2, 3, 4, 5]


def test_P14_a_cut_end_is_found_by_an_anchor(records: RecordsDatabase) -> None:
    write(records, 5)
    with records.session() as session:
        anchor = chain_head(session)
    write(records, 1)
    assert check(records, anchor) == []
    tamper(records, "DELETE FROM auditentry WHERE seq > 3")
    assert check(records) == []
    assert check(records, anchor) == [5]
    write(records, 4)  # written anew over the cut
    assert check(records) == []
    assert check(records, anchor) == [5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE auditentry SET actor = 'x'",
        "DELETE FROM auditentry",
        "TRUNCATE auditentry",
        "INSERT INTO auditentry SELECT 99, dossier_id, document_id, actor, action, rule, source_state, target_state,"
        " details, at, previous_hash, hash FROM auditentry WHERE seq = 2",
        "INSERT INTO auditentry SELECT 3, dossier_id, document_id, actor, action, rule, source_state, target_state,"
        " details, at, previous_hash, hash FROM auditentry WHERE seq = 2",
    ],
)
def test_P14_the_database_refuses(records: RecordsDatabase, owner: RecordsDatabase, statement: str) -> None:
    write(records, 2)
    with pytest.raises(Exception, match=r"refused|continue the chain"), owner.session() as session:
        session.execute(text(statement))
    with pytest.raises(Exception, match=r"42501|continue the chain"), records.session() as session:
        session.execute(text(statement))
    assert check(records) == []


def test_P14_many_writers_one_chain(records: RecordsDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    def writer(name: str) -> None:
        for _ in range(25):
            with records.session() as session:
                audit(session, actor=name, action="view")
                audit(session, actor=name, action="view")

    start = time.perf_counter()
    assert race(*[partial(writer, f"w{n}") for n in range(12)]) == [None] * 12
    seconds = time.perf_counter() - start
    assert check(records) == []
    with records.session() as session:
        head = chain_head(session)
    assert head is not None and head.seq == 600
    with capsys.disabled():
        print(f" [{300 / seconds:.0f} audited transactions/s, 12 writers]", end="")


def test_P14_the_newest_entries_alone(records: RecordsDatabase) -> None:
    """What the page of operations reads each minute: a change among them is found, and one at their edge."""
    write(records, 10)

    def newest(count: int) -> list[int]:
        with records.session() as session:
            return verify_chain(session, newest=count)

    assert newest(4) == newest(10) == newest(99) == []
    tamper(records, "UPDATE auditentry SET actor = 'other' WHERE seq = 8")
    assert newest(2) == [] and newest(4) == newest(99) == [8]
    tamper(records, "DELETE FROM auditentry WHERE seq = 6")
    assert newest(4) == [7, 8]


def test_P14_a_working_step_keeps_nobody_waiting(records: RecordsDatabase) -> None:
    """The chain's lock is not held between noting and committing."""
    with records.session() as slow:
        note(slow, 1)
        slow.flush()
        with records.session() as quick:
            quick.execute(text("SET LOCAL lock_timeout = '2s'"))
            note(quick, 2)
    assert check(records) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**8), 10**8)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not 1e8 < abs(x) < 1e13)
    | st.text(st.characters(exclude_categories=["Cs", "N"], exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcđ ", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(details=st.dictionaries(st.text("xyzạ ", max_size=4), JSON, max_size=4))
def test_P14_details_of_any_shape_come_back_the_same(db: RecordsDatabase, details: dict[str, Any]) -> None:
    with db.session() as session:
        audit(session, actor="system", action="view", details=details)
    with db.session() as session:
        head = chain_head(session)
        assert head is not None
        row = session.exec(select(AuditEntry).where(AuditEntry.seq == head.seq)).one()
        assert hashlib.sha256(canonical(row.model_dump())).hexdigest() == row.hash


def test_P14_whole_trail_of_the_shapes_fits(db: RecordsDatabase) -> None:
    assert check(db) == []


@pytest.mark.parametrize("bad", ["a\0b", {"k": "\ud800"}, float("nan"), float("inf"), object(), b"x"])
def test_details_that_json_can_not_hold_are_refused_at_once(records: RecordsDatabase, bad: object) -> None:
    with records.session() as session:
        with pytest.raises((TypeError, ValueError, OverflowError)):
            audit(session, actor="system", action="view", details={"value": bad})
        assert pending(session) == []


PERSONAL: list[Callable[[], dict[str, Any]]] = [
    lambda: {"id": "001099012345"},
    lambda: {"id": 101099012345},
    lambda: {"book": "0123456789"},
    lambda: {"text": "Sổ số 0123456789."},
    lambda: {"card": "DN4010123456789"},
    lambda: {"fields": [{"deep": "cccd 001099012345"}]},
    lambda: {"001099012345": 1},
    lambda: {"name": OWNER},
    lambda: {"name": OWNER.upper()},
    lambda: {"text": f"Hồ sơ của {OWNER} "},
    lambda: {"name": "Nguyễn Thị  Bích\u00a0Vân"},
    lambda: {OWNER: True},
]


@pytest.mark.parametrize("make", PERSONAL)
@pytest.mark.parametrize("place", ["dossier", "document"])
def test_WH04_personal_data_are_refused(db: RecordsDatabase, make: Callable[[], dict[str, Any]], place: str) -> None:
    """And the error names the place, not the value."""
    dossier_id = new_dossier(db)
    where: dict[str, UUID] = (
        {"dossier_id": dossier_id} if place == "dossier" else {"document_id": new_document(db, dossier_id)}
    )
    with db.session() as session, pytest.raises(PersonalDataInAudit) as error:
        audit(session, actor="gq.01", action="confirm", details=make(), **where)
    for secret in (OWNER, "Nguy", "Vân", "001099", "0123456789", OWNER_ID):
        assert secret.casefold() not in str(error.value).casefold()


def test_WH04_ids_counts_codes_and_hashes_are_welcome(db: RecordsDatabase) -> None:
    digest = "0123456789" * 6 + "abcd"
    details = {
        "uuid": UUID("12345678-1234-4123-8123-123456789012"),
        "key": "12345678-1234-4123-8123-123456789012/12345678-1234-4123-8123-123456789012/1/0001-0123456789012345.jpg",
        "sha256": digest,
        "size": 123_456_789,
        "code": "BHXH-TEST-261124-0001",
        "number": "352/QĐ-BHXH",
        "pages": [1, 2],
        "ok": True,
        "share": 0.9876543210,
        "confidence": 1 / 3,
        "at": "2026-11-24T04:00:00+00:00",
    }
    with db.session() as session:
        audit(session, actor="gq.01", action="view", dossier_id=new_dossier(db), details=details)
    assert check(db) == []


@pytest.mark.parametrize("actor", [OWNER, "", "a b", "x" * 129])
def test_WH04_actor_is_an_id(records: RecordsDatabase, actor: str) -> None:
    with records.session() as session, pytest.raises(PersonalDataInAudit):
        audit(session, actor=actor, action="view")


def test_audit_of_an_unknown_dossier_is_kept(records: RecordsDatabase) -> None:
    """E.g. a refused look-up: there is no row to point at."""
    with records.session() as session:
        audit(session, actor="anonymous", action="refuse", dossier_id=uuid4(), details={"why": "UNKNOWN"})
    assert check(records) == []
