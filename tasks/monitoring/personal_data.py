"""What is held about a person: dossiers, papers, fields, decisions, objects, and who has looked (the person's right).

Asked for by the person's own id, which is written nowhere: not into the trail, a log, or a command's arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, or_, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.tables import (
    ArchivedObject,
    AuditEntry,
    Decision,
    Document,
    Dossier,
    FieldValue,
    RepositoryEntry,
    Scan,
)

REPORTED = "report-person"
LOOKS = ("view", "export", "export_receipt", REPORTED)


class PersonUnknown(SohoaError):
    """Nothing is held under this id in the units of who asks."""

    code, rule = "PERSON_UNKNOWN", "WH04"
    message = "Không lưu dữ liệu nào theo số định danh này trong đơn vị của bạn."
    remedy = Remedy.OFFICER


class ReportNotYours(SohoaError):
    """Reports about persons are the leader's."""

    code, rule = "REPORT_NOT_YOURS", "WH04"
    message = "Chỉ lãnh đạo đơn vị được lập báo cáo dữ liệu đang lưu về một người."
    remedy = Remedy.OFFICER


def held_about(records: RecordsDatabase, owner_id: str, officer: str, units: Sequence[str]) -> dict[str, Any]:
    """Everything in dossiers of these units, as JSON values. Each dossier notes in the trail that it was reported.

    units: where the officer is a leader today. Raises ReportNotYours, PersonUnknown.
    """
    if not units:
        raise ReportNotYours()
    with records.session() as session:
        shown = select(RepositoryEntry.document_id).where(RepositoryEntry.owner_id == owner_id)
        papers = select(Document.dossier_id).where(or_(Document.code_owner == owner_id, col(Document.id).in_(shown)))
        mine = or_(Dossier.owner_id == owner_id, col(Dossier.id).in_(papers))
        query = select(Dossier).where(mine, col(Dossier.unit_id).in_(units)).order_by(col(Dossier.created_at))
        found = [_dossier(session, dossier) for dossier in session.exec(query)]
        if not found:
            raise PersonUnknown()
        for item in found:
            audit(session, actor=officer, action=REPORTED, dossier_id=DossierId(UUID(item["id"])), rule="WH04")
    return {"dossiers": found}


def _dossier(session: Session, dossier: Dossier) -> dict[str, Any]:
    papers = session.exec(select(Document).where(Document.dossier_id == dossier.id).order_by(col(Document.ordinal)))
    decisions = session.exec(
        select(Decision).where(Decision.dossier_id == dossier.id).order_by(col(Decision.decided_at))
    )
    looks = session.exec(
        select(AuditEntry)
        .where(AuditEntry.dossier_id == dossier.id, col(AuditEntry.action).in_(LOOKS))
        .order_by(col(AuditEntry.seq))
    )
    return dossier.model_dump(mode="json") | {
        "documents": [_document(session, paper) for paper in papers],
        "decisions": [row.model_dump(mode="json", exclude={"dossier_id"}) for row in decisions],
        "looked_at": [{"at": row.at.isoformat(), "by": row.actor, "action": row.action} for row in looks],
    }


def _document(session: Session, paper: Document) -> dict[str, Any]:
    def rows(table: Any, *order: str) -> list[dict[str, Any]]:
        query = select(table).where(table.document_id == paper.id).order_by(*(getattr(table, name) for name in order))
        return [row.model_dump(mode="json", exclude={"document_id"}) for row in session.exec(query)]

    return paper.model_dump(mode="json", exclude={"dossier_id"}) | {
        "fields": rows(FieldValue, "name"),
        "scans": rows(Scan, "attempt", "ordinal"),
        "objects": rows(ArchivedObject, "kind", "number"),
    }
