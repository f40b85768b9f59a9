"""At the moment of use: do the decisions still hold, and is what they were about still the same (Điều 9.3, 9.4; WH03)?

Before a number is given out, a leader's or the agency's signature is made, and a case is closed, the decisions that
allow it are proven again, the data are compared with what the resolving officer confirmed, and pages, files, data and
drafts with what leader and clerk saw. What differs isn't signed; it is an incident.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.errors import SohoaError
from blocks.identity import Attestation, DecisionNotProven
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.incidents import raise_incident
from blocks.records.pause_keys import PauseKey
from blocks.records.queries import documents, fields, get_dossier
from blocks.records.states import DossierState
from blocks.records.tables import Decision, Document, FieldValue
from blocks.records.waiting import waits_at
from tasks.decisions.proofs import attested, latest_proven
from tasks.decisions.shown import Shown, ShownChanged, papers_shown, shown, value_digest
from tasks.extraction.normalise import normalise_field
from tasks.pauses.verification import Verification

ALLOWS = {"verification": "DUYET", "signoff": "KY", "seal": "KY_SO"}
SEALED = {DossierState.KY_CO_QUAN, DossierState.CO_KET_QUA, DossierState.DA_TRA, DossierState.LUU_TRU}


def require_upheld(
    records: RecordsDatabase,
    catalog: Catalog,
    dossier_id: DossierId,
    *,
    stages: Sequence[str] = tuple(ALLOWS),
    leader: str | None = None,
    clerk: str | None = None,
) -> None:
    """All decisions that allow the agency's signature hold, and are about what is there now.

    leader, clerk: who they must be by. Raises DecisionNotProven or ShownChanged, after the incident is written.
    """
    try:
        with records.session() as session:
            made = {stage: _decided(session, dossier_id, stage) for stage in stages}
            for stage, officer in (("signoff", leader), ("seal", clerk)):
                if officer is not None and stage in made and made[stage].officer != officer:
                    raise DecisionNotProven()
            if "verification" in made and unlike_verified(session, dossier_id, made["verification"]):
                raise ShownChanged()
            for stage in ("signoff", "seal"):
                if stage in made and not _same(session, catalog, made[stage]):
                    raise ShownChanged()
    except (DecisionNotProven, ShownChanged) as error:
        note(records, dossier_id, error)
        raise


def unchanged_since(session: Session, catalog: Catalog, dossier_id: DossierId, stages: Sequence[str]) -> bool:
    """Whether what was decided last at these stages was about what is there now."""
    kept = [latest_proven(session, dossier_id, stage) for stage in stages]
    return all(row is not None and _same(session, catalog, row) for row in kept)


def note(records: RecordsDatabase, dossier_id: DossierId, error: SohoaError) -> None:
    """The incident, in a transaction that commits before the error ends the step."""
    with records.session() as session:
        raise_incident(session, code=error.code, dossier_id=dossier_id, rule=error.rule)


def still_allowed(records: RecordsDatabase, catalog: Catalog, dossier_id: DossierId, signoff: int) -> bool:
    """Whether leader and clerk saw what would be signed now; False: they are asked again, and it is an incident.

    signoff: number of the leader's pause: of one that another has followed it is told what came of it.
    """
    with records.session() as session:
        if get_dossier(session, dossier_id).state in SEALED:
            return not _asked_after(session, dossier_id, signoff)
        if waits_at(session, dossier_id, "signoff") or _asked_after(session, dossier_id, signoff):
            return False
    try:
        require_upheld(records, catalog, dossier_id)
    except ShownChanged:
        return False
    return True


def _asked_after(session: Session, dossier_id: DossierId, signoff: int) -> bool:
    """Whether the leader has decided again after this pause."""
    newest = latest_proven(session, dossier_id, "signoff")
    key = PauseKey.parse(newest.stage) if newest else None
    return key is not None and key.number > signoff


def _decided(session: Session, dossier_id: DossierId, stage: str) -> Decision:
    kept = latest_proven(session, dossier_id, stage)
    if kept is None or kept.decision != ALLOWS[stage]:
        raise DecisionNotProven()
    return kept


def _same(session: Session, catalog: Catalog, kept: Decision) -> bool:
    said: Attestation | None = attested(session, kept)
    return bool(said and said.shown) and kept.shown == shown(session, catalog, kept.dossier_id)


# -- the data are what the resolving officer confirmed ------------------------------------------------------------
def unlike_verified(session: Session, dossier_id: DossierId, kept: Decision | None = None) -> list[int]:
    """Ordinals of papers whose pages or fields are not what the resolving officer saw and confirmed (Điều 9.3).

    kept: the approval; None: the newest that is proven. Without one, every paper that has fields.
    """
    kept = kept or latest_proven(session, dossier_id, "verification")
    papers = [document for document in documents(session, dossier_id) if not document.is_issued]
    if kept is None or kept.decision != ALLOWS["verification"]:
        return [document.ordinal for document in papers if fields(session, document.id)]
    answer = Verification.model_validate(kept.payload)
    seen = _seen(kept.shown or [])
    before, now = _images(kept.shown or []), _images(papers_shown(session, dossier_id))
    return [
        document.ordinal
        for document in papers
        if before["dossier"] != now["dossier"]
        or _corrected(before[str(document.id)], document, answer) != now[str(document.id)]
        or not _as_verified(session, document, answer, seen)
    ]


def _images(listed: Shown) -> defaultdict[str, Shown]:
    """Document → its files and page images; "dossier" → whose it is."""
    found: defaultdict[str, Shown] = defaultdict(list)
    for item in listed:
        if item[0] == "dossier":
            found["dossier"].append(item)
        elif item[0] in ("paper", "page", "scan"):
            found[str(item[1])].append(item)
    return found


def _corrected(listed: Shown, document: Document, answer: Verification) -> Shown:
    """The paper as it was shown, of the type that the officer chose for it (Điều 9.2a)."""
    typed = [c.value for c in answer.corrections if c.component == document.ordinal and c.field == "type_code"]
    return [[*item[:3], typed[-1], *item[4:]] if typed and item[0] == "paper" else item for item in listed]


def _seen(listed: Shown) -> dict[tuple[str, str], str]:
    """(document, field) → hash of the value that stood on the page."""
    return {(str(item[1]), str(item[2])): str(item[3]) for item in listed if item[0] == "field"}


def _as_verified(session: Session, document: Document, answer: Verification, seen: dict[tuple[str, str], str]) -> bool:
    rows = {row.name: row for row in fields(session, document.id)}
    typed: dict[str, Any] = {c.field: c.value for c in answer.corrections if c.component == document.ordinal}
    absent = {a.field for a in answer.absent if a.component == document.ordinal}
    known = {name for place, name in seen if place == str(document.id)}
    if set(rows) != known | set(typed) | absent:
        return False
    return all(
        _is_right(row, typed.get(name), name in absent, seen.get((str(document.id), name)))
        and row.confirmed_by == answer.officer
        for name, row in rows.items()
    )


def _is_right(row: FieldValue, typed: str | None, absent: bool, seen: str | None) -> bool:
    if absent:
        return row.attested_absent and row.value is None
    if typed is not None:
        return (row.printed, row.value, row.attested_absent) == (typed, normalise_field(row.name, typed), False)
    return value_digest(row) == seen
