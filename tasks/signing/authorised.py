"""Người sao chụp đã cho ký: a personal signature is made only on what its owner has seen and allowed (Điều 8.1).

Two ways prove it, both attested by the gateway for one officer and exact hashes:
- the decision of a pause `sign`: the captured PDFs as they were shown;
- the hand-in at the desk with "Tôi đã kiểm tra và ký số": the scanned files, of which the PDF is built again and
  must be the same. Capture is deterministic, so nothing else than those files can give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import ValidationError
from sqlmodel import Session, col, select

from blocks.errors import Remedy, SohoaError
from blocks.hand_in import HandInNotProven, prove_hand_in
from blocks.ids import DocumentId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.pause_keys import PauseKey
from blocks.records.queries import get_document, get_dossier
from blocks.records.sources import SourceKind, sources_of
from blocks.records.tables import Decision, Document, Dossier, Scan
from blocks.signer import signer_for
from tasks.capture.again import rebuilt_sha256
from tasks.decisions.proofs import attested
from tasks.pauses.sign import SIGN, PaperToSign, SignCapture, SignDecision


class NotAuthorised(SohoaError):
    """The owner of the signature hasn't allowed it for exactly this file (Điều 8.1)."""

    code, rule = "SIGNATURE_NOT_AUTHORISED", "CA01"
    message = (
        "Người sao chụp chưa cho ký số đúng bản sao chụp này nên chữ ký không được tạo; "
        "vui lòng báo quản trị viên kiểm tra sự cố."
    )
    remedy = Remedy.ADMINISTRATOR


def needs_authorisation(records: RecordsDatabase, papers: Sequence[tuple[DocumentId, int]]) -> bool:
    """Whether the officer who captured is asked for the signature on one of these papers, with their attempts."""
    if not papers:
        return False
    with records.session() as session:
        owner = get_dossier(session, get_document(session, papers[0][0]).dossier_id).captured_by
    return signer_for(owner).asks_pin or bool(unauthorised(records, papers))


def unauthorised(records: RecordsDatabase, papers: Sequence[tuple[DocumentId, int]]) -> list[DocumentId]:
    """Those of these papers that no hand-in allows to be signed: for them the officer is asked, or was before.

    papers: with their capture attempts.
    """
    with records.session() as session:
        found = []
        for document_id, attempt in papers:
            document = get_document(session, document_id)
            if not _by_hand_in(session, get_dossier(session, document.dossier_id), document, attempt)[0]:
                found.append(document_id)
        return found


def last_allowed(session: Session, papers: Sequence[tuple[DocumentId, int]]) -> int:
    """Number of the newest pause at which the signature on one of these papers was allowed; 0: none."""
    numbers = [0]
    for document_id, attempt in papers:
        document = get_document(session, document_id)
        for row, answer in _decisions(session, get_dossier(session, document.dossier_id)):
            key = PauseKey.parse(row.stage)
            if key and any((paper.component, paper.attempt) == (document.ordinal, attempt) for paper in answer.papers):
                numbers.append(key.number)
    return max(numbers)


def require_authorised(records: RecordsDatabase, objects: ObjectStore, document_id: DocumentId) -> str:
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
    return _by_hand_in(session, dossier, document, document.attempt)


def _by_decision(session: Session, dossier: Dossier, document: Document) -> str:
    wanted = PaperToSign(component=document.ordinal, attempt=document.attempt, sha256=document.file_sha256 or "0" * 64)
    return next((row.stage for row, answer in _decisions(session, dossier) if wanted in answer.papers), "")


def _decisions(session: Session, dossier: Dossier) -> Iterator[tuple[Decision, SignCapture]]:
    """Those at which the officer who captured has allowed the signature, with what was allowed."""
    query = select(Decision).where(Decision.dossier_id == dossier.id, col(Decision.stage).startswith(f"{SIGN.name}-"))
    for row in session.exec(query):
        try:
            answer = SignCapture.model_validate(row.payload)
        except ValidationError:
            continue
        if answer.decision is SignDecision.KY_SO_CA_NHAN:
            attestation = attested(session, row)
            if attestation is not None and attestation.officer == dossier.captured_by:
                yield row, answer


def _by_hand_in(session: Session, dossier: Dossier, document: Document, attempt: int) -> tuple[str, list[Scan]]:
    query = select(Scan).where(Scan.document_id == document.id, Scan.attempt == attempt)
    scans = list(session.exec(query.order_by(col(Scan.ordinal))))
    allowed: dict[str, str] = {}
    for row in sources_of(session, dossier.submission):
        try:
            if row.kind != SourceKind.SESSION:
                continue
            attestation = prove_hand_in(row.proof, submission=row.submission, part=row.part, files=row.files)
        except HandInNotProven:
            continue
        if attestation.sign and attestation.officer == dossier.captured_by:
            allowed |= dict.fromkeys(row.files.values(), row.part)
    parts = [allowed.get(scan.sha256) for scan in scans]
    if not parts or None in parts:
        return "", []
    return str(parts[-1]), scans


__all__ = ["NotAuthorised", "last_allowed", "require_authorised", "unauthorised"]
