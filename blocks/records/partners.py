"""Partners: other systems that hand dossiers in, each with secrets, a scope, and the cases that are its own (WH04).

A partner is bound to units, procedures and officers; an officer of the list answers for its scans (QĐ 1333, Điều 8.1).
A secret is shown once and kept as scrypt hash; while it is rotated two are valid, the older one until a moment.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, DateTime, UniqueConstraint, Uuid
from sqlmodel import Field, Session, SQLModel, col, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import FlowRunId
from blocks.records.audit import audit
from blocks.records.tables import Json, now

SCOPES = ("submit", "read", "callback")
COST = {"n": 2**14, "r": 8, "p": 1}  # scrypt: 16 MB and some 40 ms a try
LENGTH = 32  # bytes of salt, hash and secret


def _json(**kw: Any) -> Any:
    return Field(default_factory=list, sa_column=Column(Json, nullable=False), **kw)


def _moment(nullable: bool = False) -> Any:
    default: Any = {"default": None} if nullable else {"default_factory": now}
    return Field(**default, sa_column=Column(DateTime(timezone=True), nullable=nullable))


class Partner(SQLModel, table=True):
    """Hệ thống bên ngoài được phép chuyển hồ sơ đến. hosts: where its call-backs may go (``host``, ``host:port``)."""

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=200)
    units: list[str] = _json()
    procedures: list[str] = _json()
    officers: list[str] = _json()
    scopes: list[str] = _json()
    hosts: list[str] = _json()
    callback_url: str = ""
    open_limit: int = 200  # submissions that are not ended
    minute_limit: int = 600  # requests
    created_at: datetime = _moment()
    revoked_at: datetime | None = _moment(nullable=True)


class PartnerSecret(SQLModel, table=True):
    """One secret of a partner. ends_at: until when it is valid; None: until it is rotated.

    tag: 32 of the 256 bits of its SHA-256: it tells a guess without the work of scrypt, so guessing shuts nobody out.
    """

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    partner_id: str = Field(foreign_key="partner.id", index=True, max_length=32)
    hash: str = Field(max_length=200)
    tag: str = Field(max_length=8)
    created_at: datetime = _moment()
    ends_at: datetime | None = _moment(nullable=True)


class PartnerCase(SQLModel, table=True):
    """One case of a partner: its own id beside our submission. told: what its system was told last."""

    __table_args__ = (UniqueConstraint("partner_id", "reference"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    partner_id: str = Field(foreign_key="partner.id", max_length=32)
    reference: str = Field(max_length=64)
    submission: str = Field(unique=True, max_length=64)
    unit_id: str = Field(max_length=35)
    procedure_code: str = Field(max_length=32)
    officer: str = Field(default="", max_length=64)  # who answers for the scans, by the declaration
    created_at: datetime = _moment()
    started_at: datetime | None = _moment(nullable=True)
    ended_at: datetime | None = _moment(nullable=True)
    flow_run_id: FlowRunId | None = Field(sa_type=Uuid, default=None, index=True)
    told: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    events: int = 0  # call-backs that were written for it


class PartnerFile(SQLModel, table=True):
    """A file that a partner has uploaded, until and after it is handed in. name: below the part, without its folder."""

    __table_args__ = (UniqueConstraint("case_id", "part", "name"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    case_id: UUID = Field(foreign_key="partnercase.id")
    part: str = Field(max_length=64)
    name: str = Field(max_length=128)
    sha256: str = Field(max_length=64)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = _moment()


class PartnerUnknown(SohoaError):
    """No partner of this id."""

    code = "PARTNER_UNKNOWN"
    message = "Không có đối tác {partner}; vui lòng xem danh sách bằng `sohoa partner list`."
    remedy = Remedy.OFFICER


class PartnerExists(SohoaError):
    """The id is taken, also by a partner that was revoked."""

    code = "PARTNER_EXISTS"
    message = "Mã đối tác {partner} đã có; vui lòng chọn mã khác."
    remedy = Remedy.OFFICER


def add_partner(session: Session, partner: Partner, actor: str) -> str:
    """Register it. Returns its secret, which nobody can read again. Raises PartnerExists."""
    if session.get(Partner, partner.id) is not None:
        raise PartnerExists(partner=partner.id)
    session.add(partner)
    session.flush()
    audit(session, actor=actor, action="partner-added", rule="WH04", details={"partner": partner.id})
    return _new_secret(session, partner.id)


def change_partner(session: Session, partner_id: str, changes: Mapping[str, Any], actor: str) -> Partner:
    """Other bounds from now on: units, procedures, officers, scopes, hosts, limits. Raises PartnerUnknown."""
    partner = partner_of(session, partner_id, for_update=True)
    for name, value in changes.items():
        setattr(partner, name, value)
    session.add(partner)
    details = {"partner": partner.id, "changed": sorted(changes)}
    audit(session, actor=actor, action="partner-changed", rule="WH04", details=details)
    return partner


def rotate(session: Session, partner_id: str, keep: timedelta, actor: str) -> str:
    """A new secret; the newest one until now stays valid for `keep`, older ones end at once."""
    partner = partner_of(session, partner_id, for_update=True)
    moment = now()
    for number, secret in enumerate(_valid(session, partner.id, moment)):
        end = moment + keep if number == 0 else moment
        secret.ends_at = min(secret.ends_at, end) if secret.ends_at else end
        session.add(secret)
    audit(session, actor=actor, action="partner-rotated", rule="WH04", details={"partner": partner.id})
    return _new_secret(session, partner.id)


def revoke(session: Session, partner_id: str, actor: str) -> None:
    """No secret and no token of it opens anything from now on. Its cases go on. Idempotent."""
    partner = partner_of(session, partner_id, for_update=True)
    if partner.revoked_at is None:
        partner.revoked_at = now()
        session.add(partner)
        audit(session, actor=actor, action="partner-revoked", rule="WH04", details={"partner": partner.id})


def partner_of(session: Session, partner_id: str, *, for_update: bool = False) -> Partner:
    """Raises PartnerUnknown."""
    query = select(Partner).where(Partner.id == partner_id)
    found = session.exec(query.with_for_update() if for_update else query).first()
    if found is None:
        raise PartnerUnknown(partner=partner_id)
    return found


def authenticate(session: Session, partner_id: str, secret: str) -> PartnerSecret | None:
    """The valid secret that this is; None for all else."""
    partner = session.get(Partner, partner_id)
    if partner is None or partner.revoked_at is not None:
        return None
    tag = _tag(secret)
    likely = (known for known in _valid(session, partner_id, now()) if hmac.compare_digest(known.tag, tag))
    return next((known for known in likely if _fits(known.hash, secret)), None)


def still_valid(session: Session, partner_id: str, secret_id: UUID) -> Partner | None:
    """The partner of a token that was given for this secret, unless either has ended."""
    partner, secret = session.get(Partner, partner_id), session.get(PartnerSecret, secret_id)
    if partner is None or secret is None or secret.partner_id != partner.id or partner.revoked_at is not None:
        return None
    return partner if secret.ends_at is None or secret.ends_at > now() else None


def case_of(session: Session, partner_id: str, reference: str, *, for_update: bool = False) -> PartnerCase | None:
    """A case by the partner's own id; nobody finds that of another."""
    query = select(PartnerCase).where(PartnerCase.partner_id == partner_id, PartnerCase.reference == reference)
    return session.exec(query.with_for_update() if for_update else query).first()


def files_of(session: Session, case_id: UUID, part: str) -> list[PartnerFile]:
    query = select(PartnerFile).where(PartnerFile.case_id == case_id, PartnerFile.part == part)
    return list(session.exec(query.order_by(PartnerFile.name)))


def _valid(session: Session, partner_id: str, at: datetime) -> list[PartnerSecret]:
    """The newest first."""
    ends = col(PartnerSecret.ends_at)
    query = select(PartnerSecret).where(PartnerSecret.partner_id == partner_id, ends.is_(None) | (ends > at))
    return list(session.exec(query.order_by(col(PartnerSecret.created_at).desc())))


def _new_secret(session: Session, partner_id: str) -> str:
    secret = secrets.token_urlsafe(LENGTH)
    session.add(PartnerSecret(partner_id=partner_id, hash=_hashed(secret), tag=_tag(secret)))
    return secret


def _tag(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _hashed(secret: str) -> str:
    salt = secrets.token_bytes(LENGTH)
    derived = hashlib.scrypt(secret.encode(), salt=salt, dklen=LENGTH, **COST)
    return "$".join(["scrypt", *map(str, COST.values()), _text(salt), _text(derived)])


def _fits(kept: str, secret: str) -> bool:
    _, n, r, p, salt, derived = kept.split("$")
    tried = hashlib.scrypt(secret.encode(), salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), dklen=LENGTH)
    return hmac.compare_digest(tried, base64.b64decode(derived))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
