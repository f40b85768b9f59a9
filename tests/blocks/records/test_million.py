"""A million dossiers: no question of the desk, the watch, the metrics or a step reads a large table from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import load_staff
from blocks.records import RecordsDatabase
from blocks.records.audit import chain_head
from blocks.records.queries import attempt_entry, documents, find_dossier
from blocks.records.tables import Dossier, Outbox, Waiting
from blocks.records.waiting import Place, at_a_pause, counts, page
from blocks.settings.sections import PreservationSettings
from deployments.desk.auth.sessions import Officer
from deployments.desk.work import Work
from deployments.metrics import COUNTS, DUE, PAUSES, SINGLE, STAGES, WAITING
from infra.local.postgres import Postgres
from tasks.archive.fixity import objects_to_check
from tasks.archive.renewal import documents_to_renew
from tasks.desk_views.history import history
from tasks.desk_views.worklist import for_officer, reminders_of
from tasks.monitoring.audit_trail import TrailFilter, entries
from tasks.monitoring.deadlines import due
from tasks.monitoring.incidents import incidents
from tests.blocks.records.plans import asked, whole_reads

MILLION = 1_000_000
LARGE = {"dossier", "document", "auditentry", "archivedobject"}  # what waits or is open now stays small
DAY = date(2026, 11, 30)
FILL = f"""
INSERT INTO dossier (id, submission, code, unit_id, revision, procedure_code, state, owner_kind, owner_name,
  digital_account, originals_declared, captured_by, transitional, flow_run_id, public_department, due_date, received_at,
  created_at)
SELECT md5('d' || n)::uuid, md5('s' || n), 'BHXH-' || n % 20 || '-' || to_char(at, 'YYMMDD') || '-' || n,
  'BHXH-' || n % 20, 1, '1.001667', CASE WHEN n % 50 = 0 THEN 'THAM_DINH' ELSE 'LUU_TRU' END, 'PERSON',
  'Nguyễn Văn ' || n, 'NONE', 1,
  'tnhs.01', false, md5('r' || n)::uuid, 'Bộ phận', (at + interval '7 days')::date, at, at
FROM (SELECT n, timestamptz '2026-11-30' - n * interval '90 seconds' AS at
  FROM generate_series(1, {MILLION}) n) AS rows;
INSERT INTO document (id, dossier_id, ordinal, type_code, form, state, declared_pages, note_pages, scan_dpi,
  is_prior_result, requested_by_owner, show_only, secret, fragile, important, attempt, legally_valid,
  captured_at_source, retain_until)
SELECT md5('p' || n)::uuid, md5('d' || n)::uuid, 1, 'LOCAL:GIAY-RA-VIEN', 'ORIGINAL', 'HIEN_THI_KHO', 1, '[]', 300,
  false, false, false, false, false, false, 1, false, '', timestamptz '2030-01-01' + n * interval '1 hour'
FROM generate_series(1, {MILLION}) n;
INSERT INTO auditentry (seq, dossier_id, document_id, actor, action, rule, details, at, previous_hash, hash, seal)
SELECT n, md5('d' || n)::uuid, md5('p' || n)::uuid, 'gq.' || n % 500,
  (ARRAY['transition', 'capture', 'view', 'sign'])[n % 4 + 1],
  '', '{{"attempt": 1}}', timestamptz '2026-11-30' - ({MILLION} - n) * interval '30 seconds', '', '',
  'worker.' || repeat('A', 86)
FROM generate_series(1, {MILLION}) n;
INSERT INTO archivedobject (id, document_id, attempt, kind, number, object_key, version, sha256, size, stored_at,
  locked_until, checked_at, intact)
SELECT md5('o' || n)::uuid, md5('p' || n)::uuid, 1, 'record.pdf', 0, 'k' || n, 'v', '', 1, now(), now(),
  timestamptz '2026-11-30' - n * interval '1 minute', true FROM generate_series(1, {MILLION} / 10) n;
INSERT INTO waiting (dossier_id, flow_run_id, stage, kind, unit_id, captured_by, due, since, tries)
SELECT id, flow_run_id, 'verification-1', 'verification', unit_id, captured_by, due_date, created_at, 1
FROM dossier WHERE state = 'THAM_DINH';
"""


@pytest.fixture(scope="module")
def archive(new_database: Callable[[], str], postgres: Postgres) -> Iterator[RecordsDatabase]:
    """A database with a million dossiers, papers and audit entries, made in some tens of seconds."""
    with pytest.MonkeyPatch.context() as patch:
        url = new_database()
        patch.setenv("SOHOA_DATABASE_URL", url)
        records = RecordsDatabase()
        began = time.perf_counter()
        with postgres.connect(url.rpartition("/")[2]) as connection:
            connection.autocommit = True
            connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
            _only_what_matters(connection)
            with _without_indexes(connection):
                for statement in FILL.split(";\n"):
                    connection.execute(statement.encode())
            connection.execute("VACUUM (ANALYZE)")
        print(f"filled in {time.perf_counter() - began:.0f} s")
        yield records
        records.engine.dispose()


def _only_what_matters(connection: psycopg.Connection) -> None:
    """Columns that no question asks about may stay empty, also those that come later."""
    needed = connection.execute(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attnotnull"
        " AND a.attnum > 0 AND c.relname = ANY(%s) AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid"
        " AND i.indisprimary AND a.attnum = ANY(i.indkey))",
        [sorted(LARGE)],
    ).fetchall()
    for table, column in needed:
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL".encode())


@contextmanager
def _without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    """Filled without them, made at once afterwards: a third of the time."""
    found = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [sorted(LARGE)],
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in found:
        connection.execute(definition.encode())


DOSSIER, PAPER = "md5('d777')::uuid", "md5('p777')::uuid"
OFFICER = Officer(id="gq.01", grants=frozenset({("BHXH-7", "RESOLVE"), ("BHXH-9", "RESOLVE")}))


def ids(session: Session) -> tuple[UUID, UUID]:
    return session.connection().execute(text(f"SELECT {DOSSIER}, {PAPER}")).one()  # type: ignore[return-value]


def in_session(ask: Callable[[Session], Any]) -> Callable[[RecordsDatabase], Any]:
    def do(records: RecordsDatabase) -> Any:
        with records.session() as session:
            return ask(session)

    return do


def trail(**wanted: Any) -> Callable[[RecordsDatabase], Any]:
    return lambda records: entries(records, TrailFilter(**wanted), ["BHXH-7"], load_staff(), 101)


MINE = col(Waiting.unit_id).in_(["BHXH-0"]) & col(Waiting.kind).in_(["verification"])
AFTER = Place(date(2026, 11, 1), datetime(2026, 10, 1, tzinfo=UTC), UUID(int=7))
QUESTIONS: dict[str, Callable[[RecordsDatabase], Any]] = {
    "what was done at an attempt": in_session(lambda s: attempt_entry(s, ids(s)[1], "capture", 1)),
    "worklist": in_session(lambda s: page(s, MINE)),
    "worklist, a later page": in_session(lambda s: page(s, MINE, after=AFTER)),
    "worklist of an officer": in_session(lambda s: page(s, for_officer("gq.01", load_staff(), DAY))),
    "work by step": in_session(lambda s: counts(s, MINE)),
    "what waits": in_session(at_a_pause),
    "reminders of a page": in_session(lambda s: reminders_of(s, [UUID(int=n) for n in range(50)])),
    "dossiers of runs": in_session(
        lambda s: s.exec(select(Dossier).where(col(Dossier.flow_run_id).in_([UUID(int=n) for n in range(50)]))).all()
    ),
    "deadlines": in_session(lambda s: due(s, Catalog(), DAY)),
    "a code": in_session(lambda s: find_dossier(s, "BHXH-17-261129-777")),
    "papers of a dossier": in_session(lambda s: documents(s, ids(s)[0])),
    "history of a dossier": in_session(lambda s: history(s, ids(s)[0])),
    "a part of a code": lambda records: Work(records, Catalog()).found(OFFICER, "261129-777"),
    "a part that no code has": lambda records: Work(records, Catalog()).found(OFFICER, "khong-co"),
    "trail": trail(),
    "trail of a dossier": trail(code="BHXH-17-261129-777"),
    "trail of an officer": trail(actor="gq.77"),
    "trail of an act that was never done": trail(action="dispose"),
    "trail, an old page": trail(before=1000),
    "trail of a day": trail(since=DAY - timedelta(days=300), until=DAY - timedelta(days=300)),
    "incidents": lambda records: incidents(records, ["BHXH-7"]),
    "head of the trail": in_session(chain_head),
    "objects to read again": lambda records: objects_to_check(records, 2000, PreservationSettings(fixity_days=1)),
    "proofs to renew": lambda records: documents_to_renew(records, 500, PreservationSettings()),
    "messages to send": in_session(
        lambda s: s.exec(select(Outbox.id).where(Outbox.topic == "x", col(Outbox.delivered_at).is_(None))).all()
    ),
    **{
        f"metric: {name}": in_session(lambda s, query=query: s.connection().execute(text(query)).all())
        for name, query in [(n, q) for n, (_, _, q) in COUNTS.items()] + [(n, q) for n, (_, q) in SINGLE.items()]
    },
    **{
        f"metric: {name}": in_session(lambda s, query=query: s.connection().execute(query).all())
        for name, query in {"due": DUE, "pauses": PAUSES, "stages": STAGES, "reception": WAITING}.items()
    },
}


def test_no_question_reads_a_large_table_from_end_to_end(archive: RecordsDatabase) -> None:
    faults, slow = [], []
    for name, ask in QUESTIONS.items():
        with asked(archive, "SELECT", "WITH") as seen:
            began = time.perf_counter()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SOHOA_STAFF_FILE", "")
                ask(archive)
            seconds = time.perf_counter() - began
        if seconds > 20:  # on a machine that does other things; 20,000 overdue dossiers took 7 s at a load of 17
            slow.append((name, round(seconds, 1)))
        with archive.engine.connect() as connection:
            for statement, parameters in seen:
                read = whole_reads(connection, statement, parameters)
                faults += [(name, table) for table in read if table in LARGE]
    assert not faults, faults
    assert not slow, slow
