"""An archive in the tables: the rows of one dossier that was really filed, and of one that waits, many times over.

Every table that knows the dossier is copied, by the server itself: ids become others, the same wherever they stand;
times are spread over the years before. The audit trail is chained anew, dossiers interleaved as in an office, and its
newest part sealed: the office was there before seals were. What the copies' files would be isn't in the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import psycopg.rows
from sqlalchemy import Date, DateTime, Table, Uuid
from sqlmodel import SQLModel

from blocks.records.audit import GENESIS
from blocks.records.migrations.r0019_guards import SEAL
from blocks.seals import seal

UNITS = ("BHXH-TEST", "BHXH-TEST", "BHXH-KHAC", "BHXH-BA", "BHXH-BON")
KINDS = ("verification", "verification", "verification", "signoff", "seal", "supplement", "rescan", "leader", "sign")
DAYS = 1000  # of the archive
WAITED = 10  # days over which what waits has come
RECENT = 100  # days that the journal is kept
SEALED = 0.1  # part of the trail
EACH = 2  # of its entries each second one: some forty a dossier
OWN = {"dossier": "id = %(dossier)s", "source": "submission = %(submission)s", "donestep": "flow_run_id = %(run)s"}
BY_DOSSIER = ("document", "decision", "custody", "waiting", "resultnumber")
BY_PAPER = ("scan", "page", "signature", "archivedobject", "repositoryentry")
PAPERS = "document_id IN (SELECT id FROM document WHERE dossier_id = %(dossier)s)"
WHERE = OWN | dict.fromkeys(BY_DOSSIER, "dossier_id = %(dossier)s") | dict.fromkeys(BY_PAPER, PAPERS)
FEW = "full_name", "owner_id", "birth_date", "number_symbol", "issue_date", "issuer", "abstract", "type_code"
WHERE["fieldvalue"] = f"{PAPERS} AND name IN {FEW}"
SENT = {"outbox": "position(%(dossier)s IN payload::text) > 0 OR position(%(dossier)s IN dedup_key) > 0"}
PUT_ASIDE = ("owner_birth_date", "procedure_valid_from")  # dates that aren't of the dossier's way
ANOTHER = ("submission", "dedup_key", "object_key", "text_key", "file_key", "record_key", "manifest_key")
UNIT = "(ARRAY[{}])[n %% {} + 1]".format(", ".join(f"'{unit}'" for unit in UNITS), len(UNITS))
OWNER = "lpad((1200000000 + n * 7 %% 80000)::text, 12, '0')"  # some come again
VALUES = {
    ("dossier", "code"): "'BHXH-' || n %% 5 || '-' || to_char({created}, 'YYMMDD') || '-' || lpad(n::text, 6, '0')",
    ("dossier", "owner_id"): OWNER,
    ("dossier", "owner_name"): "'Nguyễn Văn ' || n",
    ("document", "code_owner"): OWNER,
    ("document", "code"): "code || '-' || n",
    ("repositoryentry", "owner_id"): OWNER,
    ("resultnumber", "number"): "100000 + n",
    ("decision", "shown"): "NULL::jsonb",  # long, and never searched by
    ("signature", "verdict"): "'{}'::jsonb",
    ("resultnumber", "document_id"): "md5(document_id::text || n)::uuid",
}


def another(of: UUID | str, number: int) -> str:
    """The id that stands in copy `number` for this one; as the server's md5(id || n)."""
    return str(UUID(hashlib.md5(f"{of}{number}".encode(), usedforsecurity=False).hexdigest()))


def multiply(database: psycopg.Connection, filed: UUID, waiting: UUID, copies: int, left: int) -> None:
    """Fill the database of these two dossiers. As superuser; the two themselves go."""
    database.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
    database.execute("SET maintenance_work_mem = '512MB'")
    templates = {one: _rows(database, one) for one in (filed, waiting)}
    with _without_indexes(database):
        _copy(database, filed, WHERE | SENT, 1, copies, DAYS, WAITED)
        _copy(database, waiting, WHERE, copies + 1, copies + left, WAITED, 0)
        for one in templates:
            _leave(database, one)
        _chain(database, templates, filed, waiting, copies, left)
        _vary(database, copies, left)
    database.execute("VACUUM (ANALYZE)")


def _names(database: psycopg.Connection, dossier: UUID) -> dict[str, Any]:
    query = "SELECT submission, flow_run_id FROM dossier WHERE id = %s"
    found = database.execute(query, [dossier]).fetchone()
    assert found is not None
    return {"dossier": str(dossier), "submission": found[0], "run": found[1]}


def _copy(
    database: psycopg.Connection, dossier: UUID, where: dict[str, str], first: int, last: int, days: int, until: int
) -> None:
    """Copies first … last of the dossier's rows, spread over `days` days that ended `until` days ago."""
    names = _names(database, dossier)
    shift = (
        f"interval '1 second' * ({until * 86400} + ({last} - n) * {(days - until) * 86400 / (last - first + 1):.3f})"
    )
    for name, condition in where.items():
        table = SQLModel.metadata.tables[name]
        columns, values = [], []
        for column in table.columns:
            columns.append(column.name)
            values.append(_value(table, column.name, shift))
        first_number = first
        if name == "donestep":  # dropped after a while
            first_number = max(first, last - (last - first + 1) * max(RECENT - until, 0) // days) if until else first
        query = (
            f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {name}, "
            f"generate_series({first_number}, {last}) n WHERE {condition.replace('%%', '%')}"
        )
        database.execute(query.encode(), names)


def _value(table: Table, name: str, shift: str) -> str:
    """What stands in a column of copy n."""
    kind = table.columns[name].type
    if (table.name, name) in VALUES:
        text = VALUES[table.name, name].replace("{created}", f"(created_at - {shift})")
        return f"CASE WHEN {name} IS NULL THEN NULL ELSE {text} END"
    if name == "unit_id":
        return UNIT
    if name in ANOTHER:
        return f"{name} || '-' || n"
    if isinstance(kind, Uuid):
        return f"md5({name}::text || n)::uuid"
    if isinstance(kind, DateTime):
        return f"{name} - {shift}"
    if isinstance(kind, Date) and name not in PUT_ASIDE:
        return f"({name} - {shift})::date"
    return name


def _leave(database: psycopg.Connection, dossier: UUID) -> None:
    names = _names(database, dossier)
    for name, condition in reversed((WHERE | SENT).items()):
        database.execute(f"DELETE FROM {name} WHERE {condition}".encode(), names)


def _vary(database: psycopg.Connection, copies: int, left: int) -> None:
    """What waits does so at all steps, some of it for long; some incidents are closed, a few are open."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    at = f"(ARRAY[{kinds}])[1 + abs(hashtext(dossier_id::text)) % {len(KINDS)}]"
    database.execute(f"UPDATE waiting SET kind = {at}, stage = {at} || '-1'".encode())
    database.execute("UPDATE outbox SET delivered_at = created_at")
    for code, numbers, closed in (
        ("RUN_FAILED", range(1, copies, 20), True),
        ("OFFICER_NOT_ASSIGNED", range(1, left, 50), False),
    ):
        database.execute(
            "INSERT INTO incident (id, dossier_id, code, rule, details, at, closed_at, closed_by, reason, written_at)"
            " SELECT md5('i' || %s || n)::uuid, d.id, %s, '', '{}', now(), CASE WHEN %s THEN now() END, '', '', now()"
            " FROM (SELECT id, row_number() OVER (ORDER BY created_at) AS n FROM dossier) d WHERE n = ANY(%s)",
            [code, code, closed, list(numbers)],
        )


# -- the trail ------------------------------------------------------------------------------------------------------
def _rows(database: psycopg.Connection, dossier: UUID) -> list[dict[str, Any]]:
    """The entries of a dossier."""
    query = "SELECT * FROM auditentry WHERE dossier_id = %s ORDER BY seq"
    with database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query, [dossier]).fetchall()


def _parts(entries: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What is done on the first day, after the verification, after the leader's decision."""
    parts: list[list[dict[str, Any]]] = [[]]
    for entry in entries:
        if entry["action"] == "decide" and entry["details"].get("stage") in ("verification-1", "signoff-1"):
            parts.append([])
        parts[-1].append(entry)
    return parts


def _chain(
    database: psycopg.Connection,
    templates: dict[UUID, list[dict[str, Any]]],
    filed: UUID,
    waiting: UUID,
    copies: int,
    left: int,
) -> None:
    """All entries anew. A part of each dossier's stands together, those of many others lie between two parts."""
    database.execute("TRUNCATE auditentry")
    database.execute("ALTER TABLE auditentry DROP CONSTRAINT auditentry_sealed")
    parts = [[Line(entry) for entry in part[::EACH]] for part in _parts(templates[filed])]
    begun = [Line(entry) for entry in templates[waiting][::EACH]]
    number = copies * sum(map(len, parts)) + left * len(begun)
    unsealed, lag = int(number * (1 - SEALED)), max(1, copies // 500)
    seq, previous, moment = 0, GENESIS, datetime.now(UTC) - timedelta(days=DAYS)
    step = timedelta(days=DAYS) / (number + 1)
    copy = f"COPY auditentry ({', '.join(COLUMNS)}) FROM STDIN"
    with database.cursor() as cursor, cursor.copy(copy.encode()) as out:
        for part, n in _order(parts, begun, copies, left, lag):
            ids = {one: another(one, n) for line in part for one in (line.dossier, line.document) if one}
            for line in part:
                seq, moment = seq + 1, moment + step
                text, previous = line.copy(seq, n, ids, moment.isoformat(timespec="microseconds"), previous)
                out.write(f"{text}\t{seal(previous) if seq > unsealed else ''}\n")
    assert seq == number
    rule = f"CHECK (seq <= {unsealed} OR seal ~ '{SEAL}') NOT VALID"
    database.execute(f"ALTER TABLE auditentry ADD CONSTRAINT auditentry_sealed {rule}".encode())


def _order(parts: list[Lines], begun: Lines, copies: int, left: int, lag: int) -> Iterator[tuple[Lines, int]]:
    for n in range(1, copies + left + len(parts) * lag + 1):
        if n <= copies + left:
            yield (parts[0] if n <= copies else begun), n
        for later, part in enumerate(parts[1:], 1):
            if 1 <= n - later * lag <= copies:
                yield part, n - later * lag


class Line:
    """An entry as it is copied: what stays the same, ready to be hashed and written."""

    def __init__(self, entry: dict[str, Any]) -> None:
        def plain(value: Any) -> str:
            return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

        self.dossier, self.document = entry["dossier_id"], entry["document_id"]
        self.actor, details = entry["actor"], plain(entry["details"])
        self.action, self.details = f'{{"action":{plain(entry["action"])}', f'"details":{details}'
        self.rule = f'"rule":{plain(entry["rule"])}'
        self.states = f'"source_state":{plain(entry["source_state"])},"target_state":{plain(entry["target_state"])}}}'
        texts = [entry["action"], entry["rule"], entry["source_state"], entry["target_state"], details]
        self.told = "\t".join(r"\N" if text is None else text.replace("\\", r"\\") for text in texts)

    def copy(self, seq: int, n: int, ids: dict[UUID, str], at: str, previous: str) -> tuple[str, str]:
        """(the row without its seal, its hash)"""
        actor = f"gq.{n * 7 % 40:02d}" if self.actor == "gq.01" else self.actor
        dossier, document = ids[self.dossier], ids[self.document] if self.document else None
        paper = f'"{document}"' if document else "null"
        hashed = (
            f'{self.action},"actor":"{actor}","at":"{at}",{self.details},"document_id":{paper},'
            f'"dossier_id":"{dossier}","previous_hash":"{previous}",{self.rule},"seq":{seq},{self.states}'
        )
        digest = hashlib.sha256(hashed.encode()).hexdigest()
        return "\t".join((str(seq), dossier, document or r"\N", actor, self.told, at, previous, digest)), digest


Lines = list[Line]
COLUMNS = (
    "seq", "dossier_id", "document_id", "actor", "action", "rule", "source_state", "target_state", "details", "at",
    "previous_hash", "hash", "seal",
)  # fmt: skip


@contextmanager
def _without_indexes(database: psycopg.Connection) -> Iterator[None]:
    """Filled without indexes, keys and references, made at once afterwards: a fraction of the time."""
    keys = database.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace ="
        " 'public'::regnamespace AND contype IN ('p', 'u', 'f') ORDER BY contype"  # foreign, primary, unique
    ).fetchall()
    for table, name, _ in keys:
        database.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    indexes = database.execute(query.encode()).fetchall()
    for name, _ in indexes:
        database.execute(f'DROP INDEX "{name}"'.encode())
    yield
    for _, definition in indexes:
        database.execute(definition.encode())
    for table, name, definition in reversed(keys):
        later = " NOT VALID" if definition.startswith("FOREIGN") else ""  # they fit
        database.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}{later}'.encode())
