"""What lies behind a dossier, as its audit trail tells: a step that is called again finds there what it has done.

A run may begin at its first line wherever its dossier is: the journal's rows are lost, or an older version kept none.
"""

from __future__ import annotations

from enum import StrEnum

from sqlmodel import Session, col, select

from blocks.ids import DossierId
from blocks.records.tables import AuditEntry, Document, Dossier


def moves(
    session: Session, of: Dossier | Document, target: StrEnum, *, source: StrEnum | None = None, since: int = 0
) -> list[AuditEntry]:
    """The moves of a dossier or a document into a state, the newest first.

    source: from that state only; since: number of the entry after which they were made.
    """
    query = select(AuditEntry).where(
        AuditEntry.action == "transition",
        AuditEntry.target_state == target.value,
        col(AuditEntry.seq) > since,
    )
    if isinstance(of, Document):
        query = query.where(AuditEntry.document_id == of.id)
    else:
        query = query.where(AuditEntry.dossier_id == of.id, col(AuditEntry.document_id).is_(None))
    if source is not None:
        query = query.where(AuditEntry.source_state == source.value)
    return list(session.exec(query.order_by(col(AuditEntry.seq).desc())))


def decided_in(session: Session, dossier_id: DossierId, stage: str) -> int | None:
    """Number of the entry that tells of the decision at a pause, e.g. ``verification-1``; None: there is none."""
    query = select(AuditEntry).where(AuditEntry.dossier_id == dossier_id, AuditEntry.action == "decide")
    entries = session.exec(query.order_by(col(AuditEntry.seq)))
    return next((entry.seq for entry in entries if entry.details.get("stage") == stage), None)
