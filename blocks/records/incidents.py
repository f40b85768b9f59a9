"""Sự cố: what went wrong with integrity, secrecy or access, until somebody closes it (CA08, SC13, WH01)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from blocks.ids import DocumentId, DossierId
from blocks.records.audit import audit
from blocks.records.named import naming
from blocks.records.queries import locked
from blocks.records.tables import Incident, now


def raise_incident(
    session: Session,
    *,
    code: str,
    dossier_id: DossierId | None = None,
    document_id: DocumentId | None = None,
    rule: str = "",
    details: Mapping[str, Any] | None = None,
    actor: str = "system",
) -> Incident:
    """Open an incident with one audit entry; an open one of the same code and place is returned instead.

    Stored with the transaction of `session`: raise it in one that commits, before the error that ends the step.
    details: ids, counts, codes; no personal data (PersonalDataInAudit).
    """
    query = select(Incident).where(
        Incident.code == code,
        Incident.dossier_id == dossier_id,
        Incident.document_id == document_id,
        col(Incident.closed_at).is_(None),
    )
    known = session.exec(query).first()
    if known is not None:
        return known
    entry = audit(
        session,
        actor=actor,
        action="incident",
        dossier_id=dossier_id,
        document_id=document_id,
        rule=rule,
        details={**(details or {}), "code": code},
    )
    incident = Incident(
        code=code,
        dossier_id=dossier_id,
        document_id=document_id,
        rule=rule,
        details={key: value for key, value in entry.details.items() if key != "code"},
    )
    session.add(incident)
    session.flush()
    return incident


def close_incident(
    session: Session, incident: Incident, *, actor: str, reason: str = "", details: Mapping[str, Any] | None = None
) -> bool:
    """Close an open incident with one audit entry. False: it was closed already.

    reason: what a person wrote, kept with the incident and not in the audit trail, where no personal data may stand.
    """
    row = locked(session, Incident, incident.id)
    if row.closed_at is not None:
        return False
    row.closed_at, row.closed_by, row.reason = now(), actor, reason
    session.add(row)
    audit(
        session,
        actor=actor,
        action="incident-closed",
        dossier_id=row.dossier_id,
        document_id=row.document_id,
        rule=row.rule,
        details={**(details or {}), "code": row.code, "incident": row.id, **naming(row)},
    )
    return True
