"""Dossiers that wait for a confirmation on the officer's phone go on once it is there (Điều 8.1)."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import select

from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.records.tables import Document, Dossier
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

    Nobody is asked again who declined.
    """
    resumed = 0
    for run in prefect.paused():
        if not pause_key(run).startswith("confirm-"):
            continue
        with records.session() as session:
            dossier = session.exec(select(Dossier).where(Dossier.flow_run_id == UUID(str(run["id"])))).first()
        try:
            if dossier is not None and _confirmed(records, dossier):
                prefect.resume(str(run["id"]), {"officer": dossier.captured_by, "decision": "DA_XAC_NHAN"})
                resumed += 1
        except SohoaError:  # a service is down, or somebody was faster: next minute; the other dossiers go on
            continue
    return resumed


def _confirmed(records: RecordsDatabase, dossier: Dossier) -> bool:
    if any(declined for _, declined in unconfirmed(records, dossier.id)):
        return False
    collect(records, dossier.id, signer_for(dossier.captured_by))
    return not unconfirmed(records, dossier.id)
