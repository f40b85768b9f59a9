"""Who signs in: accounts bound to officers, sessions and their end, tokens that work once (WH04).

The binding is what says who somebody is: names at the provider are given anew, a subject never is (OpenID Connect
Core 1.0, 5.7).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete, select, update

from blocks.errors import Remedy, SohoaError
from blocks.records.audit import audit
from blocks.records.tables import OfficerIdentity, SignedIn, UsedToken, now

KEPT = timedelta(days=400)  # rows of sessions that have ended; the audit trail keeps who came and went for ever


class AccountBound(SohoaError):
    """The account belongs to another officer, or the officer has another account."""

    code, rule = "ACCOUNT_BOUND", "WH04"
    message = "Tài khoản hoặc mã viên chức này đã được gắn với nhau khác đi; vui lòng gỡ (sohoa officer unbind) trước."
    remedy = Remedy.ADMINISTRATOR


class NotBound(SohoaError):
    """No account is bound to this officer."""

    code, rule = "NOT_BOUND", "WH04"
    message = "Chưa có tài khoản nào gắn với mã viên chức này."
    remedy = Remedy.ADMINISTRATOR


def is_bound(session: Session, issuer: str, sub: str, officer: str, *, first: bool) -> bool:
    """Whether this account is this officer's. first: an officer without an account gets this one now, for good."""
    if first and _bind(session, issuer, sub, officer, officer):
        return True
    found = session.get(OfficerIdentity, (issuer, sub))
    return found is not None and found.officer == officer


def bind(session: Session, issuer: str, sub: str, officer: str, by: str) -> None:
    """By an administrator. Idempotent. Raises AccountBound."""
    if not _bind(session, issuer, sub, officer, by) and not is_bound(session, issuer, sub, officer, first=False):
        raise AccountBound()


def unbind(session: Session, issuer: str, officer: str, by: str) -> None:
    """The next account that signs in with this officer's name is bound anew. Raises NotBound."""
    mine = (col(OfficerIdentity.issuer) == issuer) & (col(OfficerIdentity.officer) == officer)
    if session.exec(delete(OfficerIdentity).where(mine)).rowcount == 0:
        raise NotBound()
    audit(session, actor=by, action="unbind-account", rule="WH04", details={"officer": officer})


def bindings(session: Session) -> list[OfficerIdentity]:
    return list(session.exec(select(OfficerIdentity).order_by(OfficerIdentity.officer)))


def _bind(session: Session, issuer: str, sub: str, officer: str, by: str) -> bool:
    row = {"issuer": issuer, "sub": sub, "officer": officer, "bound_by": by, "bound_at": now()}
    inserted = insert(OfficerIdentity).values(**row).on_conflict_do_nothing().returning(col(OfficerIdentity.sub))
    if session.execute(inserted).first() is None:
        return False
    audit(session, actor=by, action="bind-account", rule="WH04", details={"officer": officer})
    return True


# -- sessions ---------------------------------------------------------------------------------------------------
def begin(session: Session, ident: UUID, officer: str) -> None:
    at = now()
    session.add(SignedIn(id=ident, officer=officer, began_at=at, seen_at=at))


def seen(session: Session, times: dict[UUID, datetime]) -> None:
    """When each was used last."""
    for ident, at in times.items():
        session.exec(update(SignedIn).where(col(SignedIn.id) == ident).values(seen_at=at))


def end(session: Session, ident: UUID, by: str, reason: str) -> bool:
    """False: it had ended before, or there is none."""
    still = (col(SignedIn.id) == ident) & col(SignedIn.ended_at).is_(None)
    values = {"ended_at": now(), "ended_by": by, "reason": reason}
    return session.exec(update(SignedIn).where(still).values(**values)).rowcount > 0


def end_all(session: Session, by: str, reason: str) -> int:
    """Those that a gateway left open: a new one knows none of them."""
    session.exec(delete(SignedIn).where(col(SignedIn.began_at) < now() - KEPT))
    still = update(SignedIn).where(col(SignedIn.ended_at).is_(None))
    return session.exec(still.values(ended_at=now(), ended_by=by, reason=reason)).rowcount


def ended(session: Session, idents: Collection[UUID]) -> list[UUID]:
    """Which of these somebody has ended."""
    query = select(SignedIn.id).where(col(SignedIn.id).in_(idents), col(SignedIn.ended_at).is_not(None))
    return list(session.exec(query))


def still_open(session: Session, officer: str | None = None) -> list[SignedIn]:
    """Sessions that nobody has ended, the newest first."""
    query = select(SignedIn).where(col(SignedIn.ended_at).is_(None)).order_by(col(SignedIn.began_at).desc())
    return list(session.exec(query.where(SignedIn.officer == officer) if officer else query))


def first_use(session: Session, issuer: str, jti: str, until: datetime) -> bool:
    """Whether this token was never shown before; it is noted until it has expired anyway."""
    session.exec(delete(UsedToken).where(col(UsedToken.until) < now()))
    inserted = insert(UsedToken).values(issuer=issuer, jti=jti, until=until).on_conflict_do_nothing()
    return session.execute(inserted.returning(col(UsedToken.jti))).first() is not None
