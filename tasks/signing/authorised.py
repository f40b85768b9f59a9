"""Người sao chụp đã cho ký: a personal signature is made only on what its owner has seen and allowed (Điều 8.1).

Two ways prove it, both attested by the gateway for one officer and exact hashes:
- the decision of a pause `sign`: the captured PDFs as they were shown;
- the hand-in at the desk with "Tôi đã kiểm tra và ký số": the scanned files, of which the PDF is built again and
  must be the same. Capture is deterministic, so nothing else than those files can give it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.hand_in import HandInNotProven, prove_hand_in
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.queries import documents, get_document, get_dossier
from blocks.records.sources import SourceKind, sources_of
from blocks.records.states import DocumentState
from blocks.records.tables import Decision, Document, Dossier, Scan
from tasks.approvals import PaperToSign, SignCapture, SignDecision
from tasks.capture.again import rebuilt_sha256
from tasks.proofs import attested

STAGE = "sign"


class NotAuthorised(SohoaError):
    """The owner of the signature hasn't allowed it for exactly this file (Điều 8.1)."""

    code, rule = "SIGNATURE_NOT_AUTHORISED", "CA01"
    message = (
        "Người sao chụp chưa cho ký số đúng bản sao chụp này nên chữ ký không được tạo; "
        "vui lòng báo quản trị viên kiểm tra sự cố."
    )
    remedy = Remedy.ADMINISTRATOR


def to_sign(session: Session, dossier_id: UUID) -> list[PaperToSign]:
    """What the officer who captured is asked for now: all captured papers that aren't signed yet."""
    return [
        PaperToSign(component=document.ordinal, attempt=document.attempt, sha256=document.file_sha256)
        for document in documents(session, dossier_id, states=[DocumentState.DAT_KIEM_TRA])
        if document.file_sha256
    ]


def unauthorised(records: RecordsDatabase, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these papers for which the officer must still be asked."""
    with records.session() as session:
        rows = [get_document(session, one) for one in ids]
        return [
            document.id
            for document in rows
            if document.state is DocumentState.DAT_KIEM_TRA and not _proof(session, document)[0]
        ]


def insist_authorised(records: RecordsDatabase, objects: ObjectStore, document_id: UUID) -> str:
    """By what the signature on this paper is allowed: the pause or the hand-in. Raises NotAuthorised (an incident)."""
    with records.session() as session:
        document = get_document(session, document_id)
        proof, scans = _proof(session, document)
        session.expunge_all()
    if proof and scans and rebuilt_sha256(objects, document, scans) != document.file_sha256:
        proof = ""
    if not proof:
        with records.session() as session:
            raise_incident(
                session,
                code=NotAuthorised.code,
                dossier_id=document.dossier_id,
                document_id=document_id,
                rule=NotAuthorised.rule,
                details={"attempt": document.attempt},
            )
        raise NotAuthorised()
    return proof


def _proof(session: Session, document: Document) -> tuple[str, list[Scan]]:
    """(pause or hand-in, the scans from which the file must be built again); ("", []): there is none."""
    dossier = get_dossier(session, document.dossier_id)
    if stage := _by_decision(session, dossier, document):
        return stage, []
    return _by_hand_in(session, dossier, document)


def _by_decision(session: Session, dossier: Dossier, document: Document) -> str:
    query = select(Decision).where(Decision.dossier_id == dossier.id, col(Decision.stage).startswith(f"{STAGE}-"))
    wanted = PaperToSign(component=document.ordinal, attempt=document.attempt, sha256=document.file_sha256 or "0" * 64)
    for row in session.exec(query):
        try:
            answer = SignCapture.model_validate(row.payload)
        except ValidationError:
            continue
        if answer.decision is not SignDecision.KY_SO_CA_NHAN or wanted not in answer.papers:
            continue
        said = attested(session, row)
        if said is not None and said.officer == dossier.captured_by:
            return row.stage
    return ""


def _by_hand_in(session: Session, dossier: Dossier, document: Document) -> tuple[str, list[Scan]]:
    query = select(Scan).where(Scan.document_id == document.id, Scan.attempt == document.attempt)
    scans = list(session.exec(query.order_by(col(Scan.ordinal))))
    allowed: dict[str, str] = {}
    for row in sources_of(session, dossier.submission):
        try:
            if row.kind != SourceKind.SESSION:
                continue
            said = prove_hand_in(row.proof, submission=row.submission, part=row.part, files=row.files)
        except HandInNotProven:
            continue
        if said.sign and said.officer == dossier.captured_by:
            allowed |= dict.fromkeys(row.files.values(), row.part)
    parts = [allowed.get(scan.sha256) for scan in scans]
    if not parts or None in parts:
        return "", []
    return str(parts[-1]), scans


__all__ = ["NotAuthorised", "insist_authorised", "to_sign", "unauthorised"]
