"""Mốc neo của nhật ký: the head of the audit chain, signed, time-stamped and locked outside the database (P14).

A chain of hashes shows that an entry was changed, unless whoever changed it computed all later hashes anew, or cut the
end off. So each night, and before each backup, the newest number and hash are signed with the agency's certificate
(CAdES-B-LTA with a time-stamp) and put under lock in the bucket of records, under a number of their own that each
names its predecessor's hash. Whoever checks reads them from the store by listing, and the chain must hold each of them.

The entry `anchor` of the trail names each of them: one that was destroyed in the store is missed, too. What was decided
since the newest anchor must have its entry, so that a cut end of the trail shows before the next night.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from asn1crypto import cms
from pydantic import BaseModel, ConfigDict, ValidationError
from pyhanko.sign.general import extract_certificate_info
from sqlmodel import Session, col, select

from blocks.errors import IntegrityError, ObjectConflict, Remedy, SohoaError
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.audit import ChainHead, audit, chain_head
from blocks.records.tables import AuditEntry, Decision
from blocks.settings import in_production, settings
from blocks.signer import agency_signer
from blocks.trust import Trust
from tasks.signing.manifest import canonical, open_statement, sign_statement
from tasks.signing.verify import verify_manifest

PLACE = "trail-anchors/"  # in RECORDS
NAME = re.compile(rf"{PLACE}(\d{{8}})\.json")
FIRST = "0" * 64  # hash before the first anchor
LOCK_YEARS, TEST_LOCK_DAYS = 100, 1
OVERLAP = timedelta(hours=1)  # between the clocks of the machine and of the time-stamp service, amply
LATE = timedelta(hours=36)  # an anchor is made each night
ANCHORED = "anchor"  # action of the audit trail


class AnchorTaken(SohoaError):
    """Two anchors were made at the same time: the other one counts, this one is made again later."""

    code, rule, remedy = "ANCHOR_TAKEN", "P14", Remedy.RETRY
    message = "Mốc neo của nhật ký vừa được lập ở nơi khác; hệ thống sẽ tự thử lại."


class TrailEmpty(SohoaError):
    """There is nothing to anchor yet."""

    code, rule, remedy = "TRAIL_EMPTY", "P14", Remedy.OFFICER
    message = "Nhật ký chưa có dòng nào nên chưa lập được mốc neo; vui lòng lập lại khi đã có hồ sơ."


class Anchor(BaseModel):
    """What is signed. seq, hash: of the newest entry; serial: 1, 2, …; previous: SHA-256 of the anchor before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = "sohoa-audit-anchor-1"
    unit: str
    serial: int
    previous: str
    seq: int
    hash: str
    at: datetime

    @property
    def head(self) -> ChainHead:
        return ChainHead(self.seq, self.hash)


class Found(BaseModel):
    """An anchor as it lies in the store; fault: why it doesn't count, empty: it does."""

    serial: int
    sha256: str = ""  # of the signed bytes
    anchor: Anchor | None = None
    fault: str = ""  # MISSING, SEVERAL_VERSIONS, UNREADABLE, NOT_OURS, OTHER_PREDECESSOR


def key_of(serial: int) -> str:
    return f"{PLACE}{serial:08d}.json"


# -- making -------------------------------------------------------------------------------------------------------
def anchor_trail(records: RecordsDatabase, objects: ObjectStore, trust: Trust, actor: str) -> Anchor:
    """Anchor the trail as it stands. Whole it must be: check it first.

    Raises AnchorTaken, TrailEmpty, and the errors of signer, time-stamp service and stores: then nothing was anchored.
    """
    last = max(anchors(objects), key=lambda found: found.serial, default=None)
    serial, previous = (last.serial + 1, last.sha256) if last else (1, FIRST)
    with records.session() as session:
        head = chain_head(session)
    if head is None:
        raise TrailEmpty()
    made = Anchor(
        unit=settings().unit_id, serial=serial, previous=previous, seq=head.seq, hash=head.hash, at=datetime.now(UTC)
    )
    data = canonical(made.model_dump())
    body = sign_statement("anchor", data, agency_signer(), trust)
    try:
        objects.put_once(
            Bucket.RECORDS, key_of(serial), body, content_type="application/json", lock_until=_locked_until(made.at)
        )
    except ObjectConflict as error:
        raise AnchorTaken() from error
    with records.session() as session:
        details = {"serial": serial, "seq": made.seq, "sha256": sha256(data).hexdigest()}
        audit(session, actor=actor, action=ANCHORED, rule="P14", details=details)
    return made


def _locked_until(at: datetime) -> datetime:
    return at + timedelta(days=366 * LOCK_YEARS if in_production() else TEST_LOCK_DAYS)


# -- reading ------------------------------------------------------------------------------------------------------
def anchors(objects: ObjectStore, trust: Trust | None = None, *, signatures: int | None = None) -> list[Found]:
    """All anchors of the store by serial, with what is wrong with each; deleted and hidden ones, too.

    trust: whether and how their signatures are checked. signatures: of so many, the newest; None: of all. Each names
    its predecessor's hash, so that the newest signature vouches for the older anchors. Raises ObjectStoreUnavailable.
    """
    named = {int(match[1]): key for key in objects.list(Bucket.RECORDS, PLACE) if (match := NAME.fullmatch(key))}
    found: list[Found] = []
    previous, last = FIRST, 0
    looked_at = set(sorted(named)[-signatures:] if signatures else named)
    for serial in sorted(named):
        if serial != last + 1:  # one for a gap, however wide somebody has made it
            found.append(Found(serial=last + 1, fault="MISSING"))
            previous = ""
        last = serial
        one = _read(objects, serial, trust if serial in looked_at else None)
        if not one.fault and one.anchor and previous and one.anchor.previous != previous:
            one = one.model_copy(update={"fault": "OTHER_PREDECESSOR"})
        previous = one.sha256
        found.append(one)
    return found


def _read(objects: ObjectStore, serial: int, trust: Trust | None) -> Found:
    """One anchor: its only version, not what may have been laid over it."""
    versions = [*objects.versions(Bucket.RECORDS, key_of(serial))]
    if len(versions) != 1:
        return Found(serial=serial, fault="SEVERAL_VERSIONS" if versions else "MISSING")
    try:
        body, _ = objects.unproven(Bucket.RECORDS, key_of(serial))  # its signature proves it
        data, token = open_statement("anchor", body)
        anchor = Anchor.model_validate_json(data)
    except (IntegrityError, ValidationError, ValueError, KeyError, TypeError):
        return Found(serial=serial, fault="UNREADABLE")
    if anchor.serial != serial or canonical(anchor.model_dump()) != data:
        return Found(serial=serial, fault="UNREADABLE")
    ours = trust is None or (verify_manifest(data, token, trust).valid and _by_the_agency(token))
    return Found(serial=serial, sha256=sha256(data).hexdigest(), anchor=anchor, fault="" if ours else "NOT_OURS")


def _by_the_agency(token: bytes) -> bool:
    """Signed for the same subject as the agency's certificate of today, which may have been renewed since."""
    signed: Any = cms.ContentInfo.load(token)["content"]
    subject: bytes = extract_certificate_info(signed).signer_cert.subject.dump()
    return bool(subject == agency_signer().certificate.subject.dump())


# -- comparing ----------------------------------------------------------------------------------------------------
def faults(session: Session, found: Sequence[Found]) -> list[str]:
    """What anchors, trail and decisions say against each other, as codes with numbers; [] when all agree."""
    wrong = [f"{one.fault} {one.serial}" for one in found if one.fault]
    good = {one.anchor.seq: one.anchor for one in found if one.anchor and not one.fault}
    rows = session.exec(select(AuditEntry.seq, AuditEntry.hash).where(col(AuditEntry.seq).in_(list(good)))).all()
    there = {int(seq or 0): hash_ for seq, hash_ in rows}
    wrong += [f"NOT_IN_TRAIL {a.serial}" for a in good.values() if there.get(a.seq) != a.hash]
    last = max((one.serial for one in found), default=0)
    wrong += [f"MISSING {serial}" for serial in range(last + 1, _told(session) + 1)]
    return wrong + _silent_decisions(session, newest(found))


def _told(session: Session) -> int:
    """The last number that the trail says was made."""
    query = select(AuditEntry.details).where(AuditEntry.action == ANCHORED).order_by(col(AuditEntry.seq).desc())
    return max((int(details.get("serial", 0)) for details in session.exec(query.limit(1))), default=0)


def _silent_decisions(session: Session, since: Anchor | None) -> list[str]:
    """Decisions since the newest anchor of which the trail says nothing: it was cut, or they are made up."""
    entry = (
        select(AuditEntry.seq)
        .where(
            AuditEntry.dossier_id == Decision.dossier_id,
            col(AuditEntry.action).in_(["decide", "refuse"]),
            col(AuditEntry.details)["stage"].as_string() == col(Decision.stage),
        )
        .exists()
    )
    query = select(Decision.stage).where(~entry)
    if since:
        query = query.where(col(Decision.decided_at) > since.at - OVERLAP)
    return [f"DECISION_WITHOUT_ENTRY {stage}" for stage in session.exec(query.limit(5))]


def newest(found: Sequence[Found]) -> Anchor | None:
    """The newest anchor that counts."""
    return max((one.anchor for one in found if one.anchor and not one.fault), key=lambda a: a.serial, default=None)
