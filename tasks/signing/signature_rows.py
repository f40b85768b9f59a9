"""What is known of a document's signatures: read before one is made, recorded after it (Điều 8.1, 9.4)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.errors import InvalidTransition
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectStore, StoredObject
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import locked
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import AuditEntry, Document, Dossier, Signature
from blocks.trust import Trust
from tasks.capture.scan_time import TimeSource
from tasks.signing.errors import (
    SignatureInvalid,
)
from tasks.signing.verify import (
    Verdict,
    verify_manifest,
    verify_pdf,
)


class SignatureReport(BaseModel):
    """One signature, without personal data. already: an earlier run had made it. sha256: of the signed file."""

    document_id: DocumentId
    role: SignatureRole
    attempt: int
    object_key: str
    sha256: str
    level: str  # PAdES-B-LT, PAdES-B-LTA, CAdES-B-T
    signed_at: datetime
    test: bool
    valid: bool
    already: bool = False


@dataclass(frozen=True)
class Work:
    """What a step needs to know, read in one transaction."""

    dossier: Dossier
    document: Document
    done: Signature | None
    captured_at: datetime | None = None
    known: TimeSource = TimeSource.CHECKED  # how that time is known


def work_of(records: RecordsDatabase, document_id: DocumentId, role: SignatureRole) -> Work:
    """The document, its dossier, and this signature where it is made already."""
    with records.session() as session:
        document = session.exec(select(Document).where(Document.id == document_id)).one()
        dossier = session.exec(select(Dossier).where(Dossier.id == document.dossier_id)).one()
        if document.captured_at:
            known = TimeSource(document.captured_at_source)
            return Work(dossier, document, signature_row(session, document, role), document.captured_at, known)
        captured = session.exec(  # of a paper that was captured before the time was kept
            select(AuditEntry.at)
            .where(
                AuditEntry.document_id == document_id,
                AuditEntry.action == "transition",
                AuditEntry.target_state == DocumentState.DA_SAO_CHUP.value,
            )
            .order_by(col(AuditEntry.seq).desc())
            .limit(1)
        ).first()
        return Work(dossier, document, signature_row(session, document, role), captured)


def signature_row(session: Session, document: Document, role: SignatureRole) -> Signature | None:
    """The signature in this role of the attempt that counts."""
    query = select(Signature).where(
        Signature.document_id == document.id, Signature.role == role, Signature.attempt == document.attempt
    )
    return session.exec(query).first()


def expect(document: Document, state: DocumentState, target: DocumentState) -> None:
    """Raises InvalidTransition where the document isn't in `state`, from which it moves to `target`."""
    if document.state is not state:
        raise InvalidTransition(source=document.state.value, target=target.value)


def captured_sha256(records: RecordsDatabase, document: Document) -> str | None:
    """The file that the officer signed, which is what leader and clerk saw."""
    with records.session() as session:
        row = signature_row(session, document, SignatureRole.OFFICER)
        return row.sha256 if row else None


def record_signature(
    records: RecordsDatabase,
    work: Work,
    role: SignatureRole,
    stored: StoredObject,
    verdict: Verdict,
    *,
    actor: str,
    rule: str,
    target: DocumentState | None = None,
    manifest: StoredObject | None = None,
    placed: dict[str, object] | None = None,
    reports: dict[str, Any] | None = None,
) -> SignatureReport:
    """Row, state and audit entry in one transaction; when another run was faster, its row is the answer."""
    found = verdict.of(role.value)
    assert found is not None and found.signed_at is not None
    details = {
        "role": role.value,
        "attempt": work.document.attempt,
        "sha256": stored.sha256,
        "revision_sha256": found.revision_sha256 or verdict.sha256,
        "level": found.level,
        "test": found.test,
        "revisions": verdict.revisions,
        **(placed or {}),
    }
    with records.session() as session:
        document = locked(session, Document, work.document.id)
        if row := signature_row(session, document, role):
            return report_of(row, already=True)
        row = Signature(
            document_id=document.id,
            role=role,
            attempt=document.attempt,
            level=f"{'CAdES' if role is SignatureRole.MANIFEST else 'PAdES'}-{found.level}",
            signer=found.signer,
            serial=found.serial,
            test=found.test,
            signed_at=found.signed_at,
            object_key=stored.key,
            version=stored.version,
            sha256=stored.sha256,
            valid=True,
            verdict=verdict.model_dump(mode="json") | {"reports": reports or {}},
        )
        session.add(row)
        if manifest is not None:
            document.manifest_key, document.manifest_sha256 = manifest.key, manifest.sha256
            document.manifest_version = manifest.version
        else:
            document.file_key, document.file_sha256 = stored.key, stored.sha256
            document.file_version = stored.version
        if target is None:
            audit(session, actor=actor, action="sign", dossier_id=document.dossier_id, document_id=document.id,
                  rule=rule, details=details)  # fmt: skip
        else:
            move_document(session, document, target, actor=actor, rule=rule, details=details)
        session.add(document)
        return report_of(row)


def verified_again(objects: ObjectStore, row: Signature, trust: Trust) -> SignatureReport:
    """A rerun: the stored file still has the recorded hash (IntegrityError) and still verifies (SignatureInvalid)."""
    with tempfile.TemporaryDirectory(prefix="sohoa-sign-") as folder:
        path = Path(folder) / "signed"
        objects.download(Bucket.WORKING, row.object_key, path, version=row.version, sha256=row.sha256)
        if row.role is SignatureRole.MANIFEST:
            json_key = row.object_key.removesuffix("p7s") + "json"
            data = objects.read(Bucket.WORKING, json_key, sha256=row.verdict["sha256"])
            verdict = verify_manifest(data, path, trust)
        else:
            verdict = verify_pdf(path, trust)
    if not verdict.valid:
        raise SignatureInvalid()
    return report_of(row, already=True)


def report_of(row: Signature, *, already: bool = False) -> SignatureReport:
    """A recorded signature, told to the flow."""
    return SignatureReport(
        document_id=row.document_id,
        role=row.role,
        attempt=row.attempt,
        object_key=row.object_key,
        sha256=row.sha256,
        level=row.level,
        signed_at=row.signed_at,
        test=row.test,
        valid=row.valid,
        already=already,
    )
