"""Small questions that many ask of the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import NoResultFound
from sqlmodel import Session, SQLModel, col, select

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId, DossierId
from blocks.objects import Bucket, StoredObject
from blocks.records.states import DocumentState, OwnerKind, SignatureRole
from blocks.records.tables import AuditEntry, Decision, Document, Dossier, FieldValue, SigningRequest, now


class DossierUnknown(SohoaError):
    """No dossier has this id or code."""

    code, rule = "DOSSIER_UNKNOWN", "P03"
    message = "Không tìm thấy hồ sơ; vui lòng kiểm tra lại mã hồ sơ."
    remedy = Remedy.OFFICER


class DocumentUnknown(SohoaError):
    """No document has this id."""

    code = "DOCUMENT_UNKNOWN"
    message = "Không tìm thấy thành phần hồ sơ; vui lòng kiểm tra lại mã thành phần."
    remedy = Remedy.OFFICER


def get_dossier(session: Session, dossier_id: DossierId) -> Dossier:
    """The dossier, or DossierUnknown."""
    dossier = session.get(Dossier, dossier_id)
    if dossier is None:
        raise DossierUnknown()
    return dossier


def find_dossier(session: Session, code: str) -> Dossier:
    """The dossier with this code (P01), or DossierUnknown."""
    dossier = session.exec(select(Dossier).where(Dossier.code == code)).first()
    if dossier is None:
        raise DossierUnknown()
    return dossier


def dossier_of_submission(session: Session, submission: str) -> Dossier | None:
    """The dossier that this submission became; None: it became none yet."""
    return session.exec(select(Dossier).where(Dossier.submission == submission)).first()


def get_document(session: Session, document_id: DocumentId) -> Document:
    """The document, or DocumentUnknown."""
    document = session.get(Document, document_id)
    if document is None:
        raise DocumentUnknown()
    return document


Row = TypeVar("Row", bound=SQLModel)
_UNKNOWN: dict[type[SQLModel], type[Exception]] = {Dossier: DossierUnknown, Document: DocumentUnknown}


def locked(session: Session, table: type[Row], row_id: UUID | str, *, key_share: bool = False) -> Row:
    """The row as the database has it now, locked until the end of the transaction.

    key_share: rows that only refer to this one may still be added meanwhile (FOR NO KEY UPDATE).
    Raises DossierUnknown, DocumentUnknown, or sqlalchemy's NoResultFound for a row of another table.
    """
    row = session.get(table, row_id, with_for_update={"key_share": key_share}, populate_existing=True)
    if row is None:
        raise _UNKNOWN.get(table, NoResultFound)()
    return row


def declared_owner(dossier: Dossier) -> dict[str, str]:
    """What was declared of the owner beside the code, by the names of the fields of Điều 9.2b; only what is known."""
    if dossier.owner_kind is OwnerKind.PERSON:
        born = dossier.owner_birth_date
        return {"full_name": dossier.owner_name} | ({"birth_date": born.isoformat()} if born else {})
    founded = dossier.owner_founding_year
    return {"organisation_name": dossier.owner_name} | ({"founding_year": str(founded)} if founded else {})


def file_of(document: Document) -> StoredObject | None:
    """The file that stands for a document now, as the records name it: the record under lock, else the working copy.

    None: it has none that may be shown, or nothing says which bytes are meant.
    """
    if document.record_key:
        if not (document.record_version and document.record_sha256):
            return None
        return StoredObject(Bucket.RECORDS, document.record_key, document.record_version, document.record_sha256, 0)
    if document.file_key and document.file_sha256:
        return StoredObject(Bucket.WORKING, document.file_key, document.file_version, document.file_sha256, 0)
    return None


def documents(session: Session, dossier_id: DossierId, states: Iterable[DocumentState] | None = None) -> list[Document]:
    """The documents of a dossier in the order of the declaration; only those in `states`, when given."""
    query = select(Document).where(Document.dossier_id == dossier_id)
    if states is not None:
        query = query.where(col(Document.state).in_(list(states)))
    return list(session.exec(query.order_by(col(Document.ordinal))))


def fields(session: Session, document_id: DocumentId) -> list[FieldValue]:
    """The field values of a document, by name."""
    query = select(FieldValue).where(FieldValue.document_id == document_id)
    return list(session.exec(query.order_by(col(FieldValue.name))))


def attempt_entry(session: Session, document_id: DocumentId, action: str, attempt: int) -> AuditEntry | None:
    """What the audit trail says of a step on this capture attempt of a document; None: it wasn't done yet."""
    query = select(AuditEntry).where(AuditEntry.document_id == document_id, AuditEntry.action == action)
    entries = session.exec(query.order_by(col(AuditEntry.seq).desc()))
    return next((entry for entry in entries if entry.details.get("attempt") == attempt), None)


def open_requests(session: Session, dossier_id: DossierId, role: SignatureRole) -> list[SigningRequest]:
    """What this person has still to confirm in this dossier, in the order of the documents."""
    query = (
        select(SigningRequest)
        .join(Document, col(Document.id) == col(SigningRequest.document_id))
        .where(
            Document.dossier_id == dossier_id,
            SigningRequest.attempt == Document.attempt,
            SigningRequest.role == role,
            col(SigningRequest.signature).is_(None),
        )
        .order_by(col(Document.ordinal))
    )
    return list(session.exec(query))


def decision(session: Session, dossier_id: DossierId, stage: str) -> Decision | None:
    """What was decided at exactly this stage, e.g. ``verification-1``; None: not yet."""
    query = select(Decision).where(Decision.dossier_id == dossier_id, Decision.stage == stage)
    return session.exec(query).first()


def record_decision(
    session: Session,
    dossier_id: DossierId,
    stage: str,
    *,
    decision: str,
    officer: str,
    role: str = "",
    reason: str | None = None,
    payload: Mapping[str, Any] | None = None,
    shown: list[list[Any]] | None = None,
    at: datetime | None = None,
) -> Decision:
    """Keep what an officer decided (at; now) and return what is kept: the first decision of a stage wins, for ever.

    shown: the list of what the officer saw (tasks/decisions/shown.py), whose hash the gateway attested.

    A second one at the same time waits for the first to commit, then gets the first's row. Writes no audit entry.
    """
    row = {
        "id": uuid4(),
        "dossier_id": dossier_id,
        "stage": stage,
        "decision": decision,
        "reason": reason,
        "officer": officer,
        "role": role,
        "payload": dict(payload or {}),
        "shown": shown,
        "decided_at": at or now(),
    }
    session.execute(insert(Decision).values(**row).on_conflict_do_nothing(index_elements=["dossier_id", "stage"]))
    query = select(Decision).where(Decision.dossier_id == dossier_id, Decision.stage == stage)
    return session.exec(query).one()
