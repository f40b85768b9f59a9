"""Decisions for tests as the gateway attests them and the flow keeps them: proven, about what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from blocks.catalog import Catalog
from blocks.identity import PROOF, PUBLIC_KEY_FILE, Attestation, attest, ensure_keys, form_digest, shown_digest
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.pause_keys import pause_of
from blocks.records.queries import get_dossier, record_decision
from blocks.records.tables import Decision
from blocks.settings import settings
from tasks.archive.closing import ClosingReport, announce_result, close_case
from tasks.decisions.shown import Shown, shown
from tasks.pauses.registry import pauses

NEEDED = (
    "DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "PKI_DIR", "PKI_URL", "TSA_URL", "INBOX_DIR",
)  # fmt: skip


def gateway_key(home: Path | None = None) -> Path:
    """The private key of the test run's gateway; its public one is in the environment, as in the product."""
    folder = (home or Path(os.environ["SOHOA_HOME"])) / "gateway"
    private, public = ensure_keys(folder)
    os.environ[PUBLIC_KEY_FILE] = str(public)
    return private


@contextmanager
def whole_settings() -> Iterator[None]:
    """The settings are read as a whole; what a test uses of them, its fixtures have set."""
    added = {f"SOHOA_{name}" for name in NEEDED} - set(os.environ)
    os.environ |= dict.fromkeys(added, "unused")
    settings.cache_clear()
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
        settings.cache_clear()


def attestation(
    records: RecordsDatabase, dossier_id: UUID, key: str, form: Mapping[str, Any], seen: Shown, **changes: Any
) -> Attestation:
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        if dossier.flow_run_id is None:
            dossier.flow_run_id = uuid4()
            session.add(dossier)
        said: dict[str, Any] = {
            "officer": form["officer"],
            "role": pauses()[pause_of(key)].role.value,
            "unit": dossier.unit_id,
            "run": dossier.flow_run_id,
            "pause": key,
            "form": form_digest(form),
            "at": datetime.now(UTC),
            "dossier": dossier_id,
            "shown": shown_digest(seen),
        }
    return Attestation(**(said | changes))


def decide(
    records: RecordsDatabase,
    dossier_id: UUID,
    key: str,
    decision: str,
    officer: str,
    *,
    private: Path | None = None,
    claims: Mapping[str, Any] | None = None,
    **form: Any,
) -> Decision:
    """Keep a decision at a pause (`signoff-1`). form: the other items; claims: what the attestation says otherwise."""
    private = private or gateway_key()
    model = pauses()[pause_of(key)].form
    payload = model.model_validate({"decision": decision, "officer": officer, **form}).model_dump(mode="json")
    with whole_settings(), records.session() as session:
        seen = shown(session, Catalog(), dossier_id)
    said = attestation(records, dossier_id, key, payload, seen, **(claims or {}))
    proof = attest(private, said)
    with records.session() as session:
        kept = record_decision(
            session, dossier_id, key, decision=decision, officer=officer, role=said.role,
            reason=payload["reason"] or None, payload=payload | {PROOF: proof}, shown=seen, at=said.at,
        )  # fmt: skip
        session.expunge(kept)
        return kept


def returned(records: RecordsDatabase, dossier_id: UUID, number: int = 1, **form: Any) -> str:
    """The counter officer's word that the result was handed over; gives its pause."""
    key = f"return-{number}"
    how = {"way": "TRUC_TIEP", "receiver": "Người nộp hồ sơ", "identity_checked": True} | form
    decide(records, dossier_id, key, "DA_TRA", "tnhs.01", **how)
    return key


def close_as_returned(records: RecordsDatabase, dossier_id: UUID) -> ClosingReport:
    """The end of a case that has succeeded: announced, handed over, filed. Raises NotStored."""
    announce_result(records, DossierId(dossier_id), "system")
    return close_case(records, DossierId(dossier_id), returned(records, dossier_id), "gq.01")
