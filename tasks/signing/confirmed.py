"""Dossiers that wait for a confirmation on the officer's phone go on once it is there (Điều 8.1)."""

from __future__ import annotations

from uuid import UUID

import httpx
from sqlmodel import col, select

from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Dossier, SigningRequest
from blocks.signer import signer_for
from tasks.signing.interrupted import collect, open_requests


def unconfirmed(records: RecordsDatabase, dossier_id: UUID) -> list[tuple[int, bool]]:
    """(ordinal of the document, whether the officer declined) of each signature that is still to be confirmed."""
    with records.session() as session:
        return [
            (session.get_one(Document, request.document_id).ordinal, bool(request.state.get("declined")))
            for request in open_requests(session, dossier_id)
        ]


def go_on(records: RecordsDatabase, prefect: Orchestrator) -> int:
    """Fetch what was confirmed and resume those runs: who holds the key has answered. Returns how many.

    Nobody is asked again who declined. Prefect is asked about dossiers with such a request only, not about all.
    """
    asked = (
        select(Document.dossier_id)
        .join(SigningRequest, col(SigningRequest.document_id) == col(Document.id))
        .where(Document.state == DocumentState.DAT_KIEM_TRA, SigningRequest.attempt == Document.attempt)
    )
    with records.session() as session:
        dossiers = session.exec(select(Dossier).where(col(Dossier.id).in_(asked))).all()
    resumed = 0
    for dossier in dossiers:
        try:
            resumed += _resumed(records, prefect, dossier)
        except (SohoaError, httpx.HTTPStatusError):  # a service is down, the run is gone, somebody was faster
            continue
    return resumed


def _resumed(records: RecordsDatabase, prefect: Orchestrator, dossier: Dossier) -> bool:
    if dossier.flow_run_id is None or not pause_key(prefect.run(dossier.flow_run_id)).startswith("confirm-"):
        return False
    if not _confirmed(records, dossier):
        return False
    prefect.resume(dossier.flow_run_id, {"officer": dossier.captured_by, "decision": "DA_XAC_NHAN"})
    return True


def _confirmed(records: RecordsDatabase, dossier: Dossier) -> bool:
    if any(declined for _, declined in unconfirmed(records, dossier.id)):
        return False
    collect(records, dossier.id, signer_for(dossier.captured_by))
    return not unconfirmed(records, dossier.id)
