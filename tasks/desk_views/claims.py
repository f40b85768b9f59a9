"""Nhận việc: an officer takes a waiting dossier, so that colleagues see who works on it (QĐ 352, Điều 12)."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.tables import WorkClaim, now

LASTS = timedelta(hours=2)  # then anybody may take it


class TakenByOther(SohoaError):
    """A colleague has taken this dossier a short time ago."""

    code, rule = "TAKEN_BY_OTHER", "WH03"
    message = "Hồ sơ đang do {officer} xử lý; vui lòng trao đổi hoặc chờ người này trả lại việc."
    remedy = Remedy.OFFICER


def holders(session: Session, dossier_ids: list[DossierId]) -> dict[DossierId, str]:
    """Dossier → officer, for the claims that still hold."""
    query = select(WorkClaim).where(col(WorkClaim.dossier_id).in_(dossier_ids), col(WorkClaim.at) > now() - LASTS)
    return {claim.dossier_id: claim.officer for claim in session.exec(query)}


def take(records: RecordsDatabase, dossier_id: DossierId, officer: str) -> None:
    """Take a dossier, or keep it. Raises TakenByOther. Of two at once one wins."""
    with records.session() as session:
        row = {"dossier_id": dossier_id, "officer": officer, "at": now()}
        free = (col(WorkClaim.officer) == officer) | (col(WorkClaim.at) <= now() - LASTS)
        statement = insert(WorkClaim).values(**row)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["dossier_id"], set_={"officer": officer, "at": row["at"]}, where=free
            )
        )
        held = session.exec(select(WorkClaim).where(WorkClaim.dossier_id == dossier_id)).one()
        if held.officer != officer:
            raise TakenByOther(officer=held.officer)
        audit(session, actor=officer, action="claim", dossier_id=dossier_id, rule="WH03")


def give_up(records: RecordsDatabase, dossier_id: DossierId, officer: str) -> bool:
    """Let a dossier go that this officer had taken. False: there was nothing to let go."""
    with records.session() as session:
        mine = delete(WorkClaim).where(col(WorkClaim.dossier_id) == dossier_id, col(WorkClaim.officer) == officer)
        gone = session.exec(mine).rowcount > 0
        if gone:
            audit(session, actor=officer, action="release", dossier_id=dossier_id, rule="WH03")
        return gone
