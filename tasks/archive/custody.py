"""Sổ giao nhận bản giấy (QĐ 1333, Điều 11.4; LU04, LU05): where the paper is, and that it stays in a dispute.

The paper moves with the data: counter → business unit → archive. In a complaint or dispute the paper has the highest
evidential value, so it must be found, and neither it nor its record may be disposed of while the dispute is open.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.named import naming
from blocks.records.queries import get_document, get_dossier, locked
from blocks.records.tables import Custody, Dossier, Incident, now

DISPUTE = "DISPUTE"


class Place(StrEnum):
    COUNTER = "COUNTER"  # bộ phận một cửa
    BUSINESS_UNIT = "BUSINESS_UNIT"  # phòng, bộ phận nghiệp vụ
    ARCHIVE = "ARCHIVE"  # bộ phận lưu trữ


CUSTODY_ORDER = list(Place)


class CustodyOrder(SohoaError):
    """The paper would skip a place, or go back (LU04)."""

    code, rule = "CUSTODY_ORDER", "LU04"
    message = "Hồ sơ giấy phải chuyển lần lượt: một cửa, phòng nghiệp vụ, lưu trữ; vui lòng ghi sổ đúng thứ tự."
    remedy = Remedy.OFFICER


class PaperLocation(BaseModel):
    """Where the paper of a dossier is; frozen: a dispute is open, nothing may be disposed of."""

    dossier_id: DossierId
    place: Place | None
    since: datetime | None
    held_by: str
    frozen: bool


def hand_over_paper(
    records: RecordsDatabase, dossier_id: DossierId, place: Place, *, handed_by: str, received_by: str
) -> bool:
    """Write the custody log (LU04). False: the paper was there already. Raises CustodyOrder."""
    with records.session() as session:
        # The dossier's row orders two hand-overs at the same time.
        locked(session, Dossier, dossier_id, key_share=True)
        return move_paper(session, dossier_id, place, handed_by=handed_by, received_by=received_by)


def move_paper(
    session: Session,
    dossier_id: DossierId,
    place: Place,
    *,
    handed_by: str,
    received_by: str,
    at: datetime | None = None,
) -> bool:
    """The same in the caller's transaction."""
    last = _last(session, dossier_id)
    here = CUSTODY_ORDER.index(Place(last.place)) if last else -1
    if here == CUSTODY_ORDER.index(place):
        return False
    if CUSTODY_ORDER.index(place) != here + 1:
        raise CustodyOrder()
    row = Custody(
        dossier_id=dossier_id, place=place.value, handed_by=handed_by, received_by=received_by, at=at or now()
    )
    session.add(row)
    details = {"place": place.value, "received_by": received_by, **naming(row)}
    audit(
        session, actor=handed_by or received_by, action="custody", dossier_id=dossier_id, rule="LU04", details=details
    )
    session.flush()
    return True


def locate_paper(records: RecordsDatabase, dossier_id: DossierId) -> PaperLocation:
    """Where the paper is now (LU05)."""
    with records.session() as session:
        get_dossier(session, dossier_id)
        last = _last(session, dossier_id)
        return PaperLocation(
            dossier_id=dossier_id,
            place=Place(last.place) if last else None,
            since=last.at if last else None,
            held_by=last.received_by if last else "",
            frozen=_dispute(session, dossier_id) is not None,
        )


def freeze_disposal(records: RecordsDatabase, dossier_id: DossierId, actor: str) -> None:
    """A complaint or dispute: nothing of the dossier may be disposed of until the incident is closed (LU05).

    Idempotent."""
    with records.session() as session:
        get_dossier(session, dossier_id)
        raise_incident(session, code=DISPUTE, dossier_id=dossier_id, rule="LU05", actor=actor)


def may_dispose(records: RecordsDatabase, document_id: DocumentId, *, at: datetime | None = None) -> bool:
    """Whether a stored record may be disposed of: its retention has ended and no dispute is open (LU05, LU06).

    A record without an end of retention (for ever, unknown class) never may.
    """
    with records.session() as session:
        document = get_document(session, document_id)
        if document.retain_until is None or document.record_key is None:
            return False
        return document.retain_until < (at or now()) and _dispute(session, document.dossier_id) is None


def _last(session: Session, dossier_id: DossierId) -> Custody | None:
    entries = session.exec(select(Custody).where(col(Custody.dossier_id) == dossier_id)).all()
    # By place, not by time: one transaction may write two moves.
    return max(entries, key=lambda entry: CUSTODY_ORDER.index(Place(entry.place)), default=None)


def _dispute(session: Session, dossier_id: DossierId) -> Incident | None:
    query = select(Incident).where(
        col(Incident.dossier_id) == dossier_id, col(Incident.code) == DISPUTE, col(Incident.closed_at).is_(None)
    )
    return session.exec(query).first()
