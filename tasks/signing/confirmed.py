"""Dossiers that wait for a confirmation on a phone go on once it is there: the officer's on captures (Điều 8.1), the
leader's on issued results (Điều 13.4b)."""

from __future__ import annotations

import logging

import httpx
from sqlmodel import and_, col, or_, select

from blocks.errors import SohoaError
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.records.pause_keys import pause_of
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Document, Dossier, SigningRequest
from blocks.signer import signer_for
from tasks.decisions.proofs import keyholder
from tasks.pauses.facts import unconfirmed
from tasks.pauses.registry import pauses
from tasks.signing.deferred import collect

logger = logging.getLogger(__name__)


def go_on_with_confirmed(records: RecordsDatabase, prefect: Orchestrator) -> int:
    """Fetch what was confirmed and resume those runs: who holds the key has answered. Returns how many.

    Nobody is asked again who declined. Prefect is asked about dossiers with such a request only, not about all.
    """
    asked = (
        select(Document.dossier_id)
        .join(SigningRequest, col(SigningRequest.document_id) == col(Document.id))
        .where(
            SigningRequest.attempt == Document.attempt,
            or_(
                and_(SigningRequest.role == SignatureRole.OFFICER, Document.state == DocumentState.DAT_KIEM_TRA),
                and_(SigningRequest.role == SignatureRole.SIGNER, Document.state == DocumentState.CHO_KET_QUA),
            ),
        )
    )
    with records.session() as session:
        dossiers = session.exec(select(Dossier).where(col(Dossier.id).in_(asked))).all()
    resumed = 0
    for dossier in dossiers:
        try:
            resumed += _resumed(records, prefect, dossier)
        except (SohoaError, httpx.HTTPStatusError):  # a service is down, the run is gone, somebody was faster
            continue
        except Exception as error:  # one request that can't be finished doesn't stop the others
            logger.warning("A confirmed signature can't be fetched: %s", type(error).__name__)
    return resumed


def _resumed(records: RecordsDatabase, prefect: Orchestrator, dossier: Dossier) -> bool:
    if dossier.flow_run_id is None:
        return False
    pause = pauses().get(pause_of(pause_key(prefect.run(dossier.flow_run_id))))
    if pause is None or pause.on_phone is None:
        return False
    role = pause.on_phone
    with records.session() as session:
        holder = keyholder(session, dossier, role)
    if not _confirmed(records, dossier, role, holder):
        return False
    prefect.resume(dossier.flow_run_id, {"officer": holder, "decision": "DA_XAC_NHAN"})
    return True


def _confirmed(records: RecordsDatabase, dossier: Dossier, role: SignatureRole, holder: str) -> bool:
    if any(declined for _, declined in unconfirmed(dossier.id, role)):
        return False
    signer = signer_for(holder)
    if not signer.is_deferred:  # nobody is asked on a phone: no signature comes by itself
        return False
    collect(records, dossier.id, signer, role)
    return not unconfirmed(dossier.id, role)
