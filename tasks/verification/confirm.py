"""The resolving officer confirms what was extracted, field by field against the paper (Điều 9.1, 9.3).

Checks say in Vietnamese what is still open; applying a decision fills, corrects and confirms the field values and
keeps what extraction had found.
"""

from __future__ import annotations

from sqlmodel import Session

from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.past import decided_in, moves
from blocks.records.queries import fields as field_rows
from blocks.records.states import DocumentState, FieldSource
from blocks.records.tables import Document, FieldValue, now
from tasks.decisions.proofs import proven_decision
from tasks.extraction.normalise import normalise_field
from tasks.pauses.verification import Absence, Correction, Verification, awaiting


def confirm_fields(records: RecordsDatabase, dossier_id: DossierId, stage: str) -> int:
    """Carry out the decision kept under `stage`: fields are set and confirmed, documents become DA_BOC_TACH.

    Idempotent: documents that are confirmed already are left alone. Returns how many were confirmed.
    Raises DecisionNotProven.
    """
    with records.session() as session:
        answer = Verification.model_validate(proven_decision(session, dossier_id, stage).payload)
        since = decided_in(session, dossier_id, stage) or 0
        waiting = [
            document  # not one that this decision has confirmed, and that was sent back since
            for document in awaiting(session, dossier_id)
            if not moves(session, document, DocumentState.DA_BOC_TACH, since=since)
        ]
        for document in waiting:
            _confirm(session, document, answer, stage)
            move_document(
                session,
                document,
                DocumentState.DA_BOC_TACH,
                actor=answer.officer,
                rule="WH03",
                details={"stage": stage},
            )
        return len(waiting)


def _confirm(session: Session, document: Document, answer: Verification, stage: str) -> None:
    rows = {row.name: row for row in field_rows(session, document.id)}
    for correction in answer.corrections:
        if correction.component == document.ordinal:
            _set(session, document, rows, correction)
    for absence in answer.absent:
        if absence.component == document.ordinal:
            _attest_absent(session, document, rows, absence)
    for row in rows.values():
        row.confirmed_by, row.confirmed_at = answer.officer, now()
        session.add(row)
    document.type_code = rows["type_code"].value or document.type_code if "type_code" in rows else document.type_code
    if rows.get("owner_id") is not None and rows["owner_id"].value:
        document.owner_id_source = rows["owner_id"].source.value
    audit(
        session,
        actor=answer.officer,
        action="confirm_fields",
        dossier_id=document.dossier_id,
        document_id=document.id,
        rule="WH03",
        details={
            "stage": stage,
            "fields": len(rows),
            "corrected": sorted({c.field for c in answer.corrections if c.component == document.ordinal}),
            "absent": sorted({a.field for a in answer.absent if a.component == document.ordinal}),
        },
    )


def _set(session: Session, document: Document, rows: dict[str, FieldValue], correction: Correction) -> None:
    row = rows.get(correction.field)
    value = normalise_field(correction.field, correction.value)
    if row is None:
        row = FieldValue(document_id=document.id, name=correction.field, source=FieldSource.MANUAL, rule="EX02")
        rows[correction.field] = row
    elif row.value != value:
        row.extracted_value = row.value
        row.correction_reason = correction.reason.value
        row.source = FieldSource.MANUAL
    row.printed, row.value, row.confidence, row.attested_absent = correction.value, value, 1.0, False
    session.add(row)


def _attest_absent(session: Session, document: Document, rows: dict[str, FieldValue], absence: Absence) -> None:
    row = rows.get(absence.field)
    if row is None:
        row = FieldValue(document_id=document.id, name=absence.field, source=FieldSource.MANUAL, rule="EXc-g")
        rows[absence.field] = row
    if row.value:
        row.extracted_value, row.value, row.printed = row.value, None, None
    row.attested_absent, row.confidence = True, 1.0
    session.add(row)
