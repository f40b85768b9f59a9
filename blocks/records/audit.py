"""Nhật ký: the append-only audit trail, chained by SHA-256, each entry sealed by the part that writes it (P14, QĐ 352
Điều 5).

`audit()` notes an entry in the session; the entries of a transaction are numbered, linked and inserted when it
commits. So the lock that puts the chain in order is held for one SELECT, the INSERTs and the commit, never while a
step works, and as the last lock taken it can't take part in a deadlock. Rolled back: nothing was noted.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, event, text
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session, col, select

from blocks.ids import DocumentId, DossierId
from blocks.records.tables import AuditEntry, Document, Dossier
from blocks.seals import WORKER, Seals, part_of, seal

CHAIN_LOCK = 0x50A0A002  # the trigger auditentry_chain takes the same one
GENESIS = "0" * 64  # previous hash of entry 1
_NOTED = "sohoa.audit"

ACTOR = re.compile(r"\S{1,128}")
# Ids and hashes are no personal data, though a run of digits in them may look like it.
_IDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<![0-9A-Za-z])[0-9a-f]{32,128}(?![0-9A-Za-z])")
# Personal id, health card (2 letters + 13 digits); BHXH number and tax code.
_NUMBERS = re.compile(r"(?<![0-9A-Za-z])(?:[0-9]{12}|[0-9]{10}|[A-Z]{2}[0-9]{13})(?![0-9A-Za-z])")


class PersonalDataInAudit(ValueError):
    """A programmer's error: an audit entry was given something that looks like personal data (WH04).

    The message names the place, never the value. Put ids, counts, codes and page numbers into details instead.
    """


class ChainHead(NamedTuple):
    """The newest entry: kept elsewhere (a signed manifest, a log), it proves that no entry was cut off the end."""

    seq: int
    hash: str


class ChainFaults(NamedTuple):
    """Numbers of entries. wrong: changed, put in, or standing after a gap; unsealed: written by no part of ours."""

    wrong: list[int]
    unsealed: list[int]

    @property
    def all(self) -> list[int]:
        return sorted({*self.wrong, *self.unsealed})


def audit(
    session: Session,
    *,
    actor: str,
    action: str,
    dossier_id: DossierId | None = None,
    document_id: DocumentId | None = None,
    rule: str = "",
    details: Mapping[str, Any] | None = None,
    source_state: str | None = None,
    target_state: str | None = None,
) -> AuditEntry:
    """Note one entry in the transaction of `session`; it gets `seq` and `hash` and is stored when that commits.

    details: JSON values, UUIDs and dates; no personal data. Raises PersonalDataInAudit, or TypeError/ValueError for
    what JSON can't hold.
    """
    if not ACTOR.fullmatch(actor):
        raise PersonalDataInAudit("actor must be an officer id or 'system' (no spaces), not a name")
    plain: dict[str, Any] = _plain(details or {})
    _refuse_personal(session, plain, dossier_id, document_id)
    entry = AuditEntry(
        actor=actor,
        action=action,
        dossier_id=dossier_id,
        document_id=document_id,
        rule=rule,
        details=plain,
        source_state=str(source_state) if source_state else None,
        target_state=str(target_state) if target_state else None,
    )
    if not session.in_transaction():
        session.begin()
    transaction = session.get_nested_transaction() or session.get_transaction()
    session.info.setdefault(_NOTED, []).append((transaction, entry))
    return entry


def pending(session: Session) -> list[AuditEntry]:
    """Entries that were noted in the open transaction and will be stored with it."""
    return [entry for _, entry in session.info.get(_NOTED, [])]


def canonical(entry: Mapping[str, Any] | RowMapping) -> bytes:
    """The bytes that are hashed: all columns but `hash` and `seal`, keys sorted, times in UTC, UTF-8 JSON."""
    row = {
        "seq": entry["seq"],
        "dossier_id": str(entry["dossier_id"]) if entry["dossier_id"] else None,
        "document_id": str(entry["document_id"]) if entry["document_id"] else None,
        "at": entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        "details": _plain(entry["details"]),
        **{name: entry[name] for name in _TEXTS},
    }
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


_TEXTS = ("actor", "action", "rule", "source_state", "target_state", "previous_hash")


def entry_hash(entry: Mapping[str, Any] | RowMapping) -> str:
    """SHA-256 (hex) of an entry as it stands."""
    return hashlib.sha256(canonical(entry)).hexdigest()


def chain_head(session: Session) -> ChainHead | None:
    """The newest stored entry; None while there is none."""
    row = session.exec(select(AuditEntry.seq, AuditEntry.hash).order_by(col(AuditEntry.seq).desc()).limit(1)).first()
    return ChainHead(int(row[0] or 0), row[1]) if row else None


def verify_chain(
    session: Session, *, anchor: ChainHead | None = None, newest: int | None = None, since: ChainHead | None = None
) -> list[int]:
    """Sequence numbers of all that `read_chain` finds. Empty: the trail is whole."""
    return read_chain(session, anchor=anchor, newest=newest, since=since).all


def read_chain(
    session: Session, *, anchor: ChainHead | None = None, newest: int | None = None, since: ChainHead | None = None
) -> ChainFaults:
    """What doesn't fit.

    anchor: a head noted earlier; its number is in the answer when that entry is gone or another. newest: only so many
    entries at the end are read; None: the whole trail (12,000 entries a processor second), in constant memory. since: a
    head that is proven otherwise: only what follows it is read, and must follow from it. Raises SealKeyMissing.
    """
    wrong, unsealed = set[int](), list[int]()
    previous, expected, anchored = GENESIS, 1, anchor is None
    head = chain_head(session) if newest is not None else None
    if head is not None and newest is not None and head.seq > newest:
        expected = head.seq - newest + 1
        before = session.exec(select(AuditEntry.hash).where(col(AuditEntry.seq) == expected - 1)).first()
        previous = before or ""  # gone: the first that is read doesn't fit
    if since is not None:
        kept = session.exec(select(AuditEntry.hash).where(col(AuditEntry.seq) == since.seq)).first()
        if kept != since.hash:
            wrong.add(since.seq)
        previous, expected = since.hash, since.seq + 1
    # Entries from before there were seals are vouched for by the anchors; none of them follows a sealed one.
    earlier = select(AuditEntry.seal, AuditEntry.at).where(col(AuditEntry.seq) == expected - 1)
    sealed, at = session.exec(earlier).first() or ("", None)
    seals = Seals(at)
    for row in _rows(session, expected):
        seq = row["seq"]
        digest = entry_hash(row)
        if seq != expected or row["previous_hash"] != previous or row["hash"] != digest:
            wrong.add(seq)
        sealed = sealed or row["seal"]
        its_own = part_of(row["seal"]) == WORKER or not row["target_state"]  # no other part moves a dossier
        if sealed and not (its_own and seals.fits(row["seal"], digest, row["at"])):
            unsealed.append(seq)
        if anchor and seq == anchor.seq:
            anchored = row["hash"] == anchor.hash
        previous, expected = row["hash"], seq + 1
    if anchor and not anchored:
        wrong.add(anchor.seq)
    return ChainFaults(sorted(wrong), unsealed)


def _rows(session: Session, first: int) -> Iterator[RowMapping]:
    table = AuditEntry.__table__  # type: ignore[attr-defined]
    query = table.select().where(table.c.seq >= first).order_by(table.c.seq).execution_options(yield_per=1000)
    yield from session.connection().execute(query).mappings()


def _plain(value: Any) -> Any:
    """`value` as JSON that comes back from JSONB the same: whole floats as integers, keys as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        value.encode()  # raises for lone surrogates, which PostgreSQL can't hold
        if "\0" in value:
            raise ValueError("audit details can't hold a NUL character")
        return str(value)
    if isinstance(value, int | float):
        return int(value) if value == int(value) else float(value)  # int(nan), int(inf) raise
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item) for item in value]
        return sorted(items) if isinstance(value, set | frozenset) else items
    raise TypeError(f"audit details can't hold {type(value).__name__}")


def _refuse_personal(
    session: Session, details: Mapping[str, Any], dossier_id: DossierId | None, document_id: DocumentId | None
) -> None:
    leaves = list(_leaves(details, "details"))
    for where, value in leaves:
        if _NUMBERS.search(_IDS.sub(" ", value)):
            raise PersonalDataInAudit(f"{where} looks like a personal number (10 or 12 digits, or a health card)")
    texts = [(where, _folded(value)) for where, value in leaves if not value.isascii() or not value.isdigit()]
    if not texts or (dossier_id is None and document_id is None):
        return
    name, owner_id = _owner(session, dossier_id, document_id)
    for where, value in texts:
        if (name and (value == name or (" " in name and name in value))) or (owner_id and value == owner_id):
            raise PersonalDataInAudit(f"{where} holds the owner's name or id")


def _leaves(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """(place, text) of all texts, numbers and keys; a key is named by its position so that it can't leak."""
    if isinstance(value, Mapping):
        for number, (key, item) in enumerate(value.items(), 1):
            yield f"key {number} of {where}", key
            yield from _leaves(item, f"{where}.{key}" if key.isascii() and key.isidentifier() else f"{where}[{number}]")
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _leaves(item, f"{where}[{number}]")
    elif value is not None and not isinstance(value, bool | float):  # a fraction is a measurement
        yield where, str(value)


def _folded(value: str) -> str:
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())


def _owner(session: Session, dossier_id: DossierId | None, document_id: DocumentId | None) -> tuple[str, str]:
    with session.no_autoflush:
        known = session.identity_map.get(session.identity_key(Dossier, dossier_id)) if dossier_id else None
        if isinstance(known, Dossier) and "owner_name" in known.__dict__:
            return _folded(known.owner_name), _folded(known.owner_id or "")
        query = select(Dossier.owner_name, Dossier.owner_id)
        if dossier_id is not None:
            query = query.where(Dossier.id == dossier_id)
        else:
            query = query.join(Document, col(Document.dossier_id) == Dossier.id).where(Document.id == document_id)
        row = session.exec(query).first()
    return (_folded(row[0]), _folded(row[1] or "")) if row else ("", "")


@event.listens_for(Session, "before_commit")
def _link(session: Session) -> None:
    """Number, link and insert what was noted. Runs as the last thing before the outermost COMMIT."""
    if session.in_nested_transaction() or not session.info.get(_NOTED):
        return
    session.flush()  # every other lock is taken before the chain's
    entries = [entry for _, entry in session.info.pop(_NOTED)]
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CHAIN_LOCK})
    head = chain_head(session) or ChainHead(0, GENESIS)
    for entry in entries:
        entry.seq, entry.previous_hash = head.seq + 1, head.hash
        entry.hash = entry_hash(entry.model_dump())
        entry.seal = seal(entry.hash)
        head = ChainHead(entry.seq, entry.hash)
        session.add(entry)
    session.flush()


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    """A rolled back transaction or savepoint takes what was noted in it with it."""
    noted = session.info.get(_NOTED)
    if noted:
        session.info[_NOTED] = [item for item in noted if not _within(item[0], previous)]


@event.listens_for(Session, "after_commit")
def _hand_up(session: Session) -> None:
    """What was noted in a released savepoint belongs to the transaction round it."""
    noted, savepoint = session.info.get(_NOTED), session.get_nested_transaction()
    if noted and savepoint is not None:
        session.info[_NOTED] = [(savepoint.parent if t is savepoint else t, entry) for t, entry in noted]


def _within(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while transaction is not None:
        if transaction is outer:
            return True
        transaction = transaction.parent
    return False
