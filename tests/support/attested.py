"""The officer gateway's part in tests: decisions and hand-ins attested with a key of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlmodel import col, select

from blocks.hand_in import HandInAttestation, files_digest
from blocks.identity import PROOF, PUBLIC_KEY_FILE, Attestation, attest, ensure_keys, form_digest
from blocks.ids import DocumentId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.queries import get_document, get_dossier, record_decision
from blocks.records.sources import SourceKind
from blocks.records.tables import Decision
from tasks.intake.origin import Origin
from tasks.pauses.sign import PaperToSign, SignCapture, SignDecision


def gateway_key() -> Path:
    """The private key; the public one is in the environment of this process and its children."""
    private, public = ensure_keys(Path(os.environ["SOHOA_HOME"]) / "test-gateway")
    os.environ[PUBLIC_KEY_FILE] = str(public)
    return private


def at_desk(officer: str, *, sign: bool = True, key: Path | None = None) -> Origin:
    """Handed in by this officer in a session."""
    private = key or gateway_key()

    def attested(submission: str, part: str, files: Mapping[str, str]) -> str:
        digest, at = files_digest(files), datetime.now(UTC)
        said = HandInAttestation(officer=officer, submission=submission, part=part, files=digest, sign=sign, at=at)
        return attest(private, said)

    return Origin(SourceKind.SESSION, officer, officer, attested)


def allow_signature(
    records: RecordsDatabase,
    document_id: DocumentId,
    *,
    officer: str | None = None,
    papers: Sequence[PaperToSign] | None = None,
    **attested: Any,
) -> str:
    """The decision of a pause `sign` for one captured paper; attested: what the gateway says differently.

    Returns the pause.
    """
    private = gateway_key()
    with records.session() as session:
        document = get_document(session, document_id)
        dossier = get_dossier(session, document.dossier_id)
        dossier.flow_run_id = dossier.flow_run_id or FlowRunId(uuid4())
        session.add(dossier)
        query = select(Decision.stage).where(col(Decision.stage).startswith("sign-"), Decision.dossier_id == dossier.id)
        stage, who = f"sign-{len(session.exec(query).all()) + 1}", officer or dossier.captured_by
        paper = PaperToSign(component=document.ordinal, attempt=document.attempt, sha256=document.file_sha256 or "")
        answer = SignCapture(
            decision=SignDecision.KY_SO_CA_NHAN, papers=[paper] if papers is None else list(papers), officer=who
        )
        form, at = answer.model_dump(mode="json"), datetime.now(UTC)
        said: dict[str, Any] = {
            "officer": who,
            "role": "RECEIVE",
            "unit": dossier.unit_id,
            "run": dossier.flow_run_id,
            "pause": stage,
        }
        said |= {"form": form_digest(form), "at": at, **attested}
        payload = form | {PROOF: attest(private, Attestation.model_validate(said))}
        record_decision(
            session, dossier.id, stage, decision=answer.decision.value, officer=who, role="RECEIVE", payload=payload,
            at=at,
        )  # fmt: skip
    return stage
