"""Decisions that are kept, proven once more at each use (QĐ 1333, Điều 9.3, 9.4; WH03).

A row of the database is no proof of itself: who can write there could make one up. What counts is the gateway's
attestation in it: of this dossier, this run and pause, this form, this officer in this role and unit. A row that isn't
proven has no effect, raises an incident, and the officer is asked under the next number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from blocks.identity import PROOF, Attestation, DecisionNotProven, shown_digest, verify_kept_attestation
from blocks.ids import DossierId
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.pause_keys import PauseKey, pause_of
from blocks.records.queries import decision, get_dossier
from blocks.records.states import SignatureRole
from blocks.records.tables import AuditEntry, Decision, Dossier
from tasks.pauses.registry import ASK_AGAIN, pauses

CONFIRMED = "DA_XAC_NHAN"


def attested(session: Session, kept: Decision) -> Attestation | None:
    """What the gateway attested of a kept decision; None: nothing that fits it, so that it doesn't count.

    The columns beside the form count only as copies of what was attested.
    """
    dossier = get_dossier(session, kept.dossier_id)
    pause = pauses().get(pause_of(kept.stage))
    if pause is None:
        return None
    try:
        attestation = verify_kept_attestation(kept.payload, run=dossier.flow_run_id, pause=kept.stage)
    except DecisionNotProven:
        return None
    form = kept.payload
    fits = (
        attestation.dossier in (None, kept.dossier_id)
        and (attestation.role, attestation.unit) == (pause.role.value, dossier.unit_id)
        and (kept.decision, kept.officer, kept.role) == (form.get("decision"), attestation.officer, attestation.role)
        and kept.decided_at == attestation.at
        and (kept.reason or "") == form.get("reason", "")
        and (not attestation.shown or attestation.shown == shown_digest(kept.shown or []))
    )
    return attestation if fits else None


def is_proven(session: Session, kept: Decision) -> bool:
    """Whether a kept decision counts: attested, or a confirmation on a phone by who holds the key.

    The latter a program may give: it has no effect of its own, the step that goes on looks for the signature itself.
    """
    if attested(session, kept) is not None:
        return True
    pause = pauses().get(pause_of(kept.stage))
    if pause is None or pause.on_phone is None or kept.decision != CONFIRMED or kept.payload.get(PROOF):
        return False
    holder = keyholder(session, get_dossier(session, kept.dossier_id), pause.on_phone)
    return kept.officer == kept.payload.get("officer") == holder


def keyholder(session: Session, dossier: Dossier, role: SignatureRole) -> str:
    """Whose signature it is: of who captured, or of the leader who has allowed the result to be signed."""
    if role is SignatureRole.OFFICER:
        return dossier.captured_by
    allowed = latest_proven(session, dossier.id, "signoff")
    return allowed.officer if allowed else ""


def proven_decision(session: Session, dossier_id: DossierId, key: str) -> Decision:
    """What was decided at exactly this pause. Raises DecisionNotProven, also where nothing was."""
    kept = decision(session, dossier_id, key)
    if kept is None or not is_proven(session, kept):
        raise DecisionNotProven()
    return kept


def latest_proven(session: Session, dossier_id: DossierId, stage: str) -> Decision | None:
    """The newest decision of a kind of stage that is proven; rows that aren't are passed over."""
    query = select(Decision).where(
        Decision.dossier_id == dossier_id,
        col(Decision.stage).startswith(f"{stage}-"),
        col(Decision.decision) != ASK_AGAIN,
    )
    rows = [
        (key.number, row) for row in session.exec(query) if (key := PauseKey.parse(row.stage)) and key.pause == stage
    ]
    rows.sort(key=lambda found: found[0], reverse=True)
    return next((row for _, row in rows if is_proven(session, row)), None)


def drafted(session: Session, dossier: Dossier) -> list[str]:
    """The articles that the resolving officer wrote when the data were approved (Điều 13.4b)."""
    kept = latest_proven(session, dossier.id, "verification")
    if kept is None or kept.decision != "DUYET":
        return []
    return [str(article) for article in kept.payload.get("result", [])]


def refuse_forged(session: Session, dossier_id: DossierId, key: str) -> None:
    """Note once that the row of this pause isn't proven: an incident and an entry of the trail (WH03)."""
    query = select(AuditEntry.details).where(
        AuditEntry.dossier_id == dossier_id, AuditEntry.action == "refuse", AuditEntry.rule == DecisionNotProven.rule
    )
    if any(_is_about(details, key) for details in session.exec(query)):
        return
    details = {"stage": key, "code": DecisionNotProven.code, "kept": True}
    audit(session, actor="unknown", action="refuse", dossier_id=dossier_id, rule="WH03", details=details)
    raise_incident(
        session, code=DecisionNotProven.code, dossier_id=dossier_id, rule="WH03", details={"stage": key, "kept": True}
    )


def _is_about(details: Mapping[str, Any], key: str) -> bool:
    return bool(details.get("kept")) and details.get("stage") == key
