"""What a partner may know of its case: public values, what is waited for, what is wrong; nothing personal (P03–P05)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.errors import Problem
from blocks.records.machine import DOSSIER_FAILED, PUBLIC_STATUS, PublicStatus
from blocks.records.partners import PartnerCase
from blocks.records.queries import documents, dossier_of_submission
from blocks.records.sources import source_of
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import Dossier
from tasks.capture.document import outcome
from tasks.capture.rescan import blank_places, lacking, requested_rescan
from tasks.intake.electronic_originals import original_problems
from tasks.intake.names import part_of
from tasks.intake.reception import check_dossier

# A result that is ready, but not returned yet, is work.
ENDED = DOSSIER_FAILED | {DossierState.DA_TRA, DossierState.LUU_TRU}


class Phase(StrEnum):
    OPEN = "OPEN"  # files and declaration are being sent
    HANDED_IN = "HANDED_IN"  # the flow will register it, or has refused the declaration
    IN_WORK = "IN_WORK"
    ENDED = "ENDED"


class RequestedPaper(BaseModel):
    """What the partner may send now. places: of the images; empty: the component as a whole.

    blank: images that seem blank: proposed, nothing goes by itself; an officer at the desk, or a new scan without them.
    handed_in: it has come, an officer will confirm it; nothing more is to be sent.
    """

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    kind: Literal["SUPPLEMENT", "RESCAN"]
    revision: int | None = None
    component: int | None = None
    attempt: int | None = None
    places: list[int] = []
    blank: list[int] = []
    handed_in: bool = False


class CaseView(BaseModel):
    """status: one of the five public values (QĐ 352, Điều 12), None before reception."""

    reference: str
    submission: str
    phase: Phase
    code: str | None = None
    status: PublicStatus | None = None
    received: date | None = None
    result_day: date | None = None
    waiting_for: list[RequestedPaper] = []
    problems: list[Problem] = []


def view_case(session: Session, catalog: Catalog, case: PartnerCase) -> CaseView:
    """Reads only."""
    dossier = dossier_of_submission(session, case.submission)
    handed_in = source_of(session, case.submission, part_of(1)) is not None
    seen = CaseView(
        reference=case.reference,
        submission=case.submission,
        phase=Phase.HANDED_IN if handed_in else Phase.OPEN,
    )
    if dossier is None:
        return seen
    seen.phase = Phase.ENDED if dossier.state in ENDED else Phase.IN_WORK
    seen.code, seen.status = dossier.code, PUBLIC_STATUS.get(dossier.state)
    seen.received = vietnam_day(dossier.received_at) if dossier.received_at else None
    if dossier.state not in {DossierState.TU_CHOI_TIEP_NHAN, DossierState.TRA_LAI}:
        seen.result_day = vietnam_day(dossier.result_at) if dossier.result_at else dossier.due_date
    if dossier.state is DossierState.BO_SUNG_TRUOC:
        _supplement(session, catalog, dossier, seen)
    for document in documents(session, dossier.id, states=[DocumentState.CHUP_LAI]):
        report = outcome(session, document.id, document.attempt)
        if report is None:
            continue  # scanned again: nothing is asked for until that is judged
        places, came = requested_rescan(session, document).places, not lacking(session, dossier.submission, document)
        wanted = RequestedPaper(
            kind="RESCAN",
            component=document.ordinal,
            attempt=document.attempt + 1,
            places=places,
            blank=blank_places(session, document),
            handed_in=came,
        )
        seen.waiting_for.append(wanted)
        seen.problems += (
            [p.model_copy(update={"component": document.ordinal}) for p in report.problems] if report else []
        )
    return seen


def _supplement(session: Session, catalog: Catalog, dossier: Dossier, seen: CaseView) -> None:
    components = documents(session, dossier.id)
    seen.problems += check_dossier(catalog, dossier, components, vietnam_day(datetime.now(UTC)))
    seen.problems += [problem for document in components for problem in original_problems(session, document)]
    if seen.problems:  # else it came and is whole, and will be received in a moment
        next_one = dossier.revision + 1
        came = source_of(session, dossier.submission, part_of(next_one)) is not None
        seen.waiting_for.append(RequestedPaper(kind="SUPPLEMENT", revision=next_one, handed_in=came))
