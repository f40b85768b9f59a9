"""Tiếp nhận hồ sơ (QĐ 1333, Điều 13.1–13.3a; QĐ 352, Điều 10, 20.3): NHAP → KIEM_TRA → DA_TIEP_NHAN.

Received is what a person who is assigned to it (Điều 6.1) has found complete: the procedure is published, every
component that it asks for is there, and as many originals were counted as will be captured (CA04). What is wrong is
collected, not reported one by one; the dossier then waits for a supplement, or the lead refuses it in writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import BaseModel
from sqlmodel import Session, select

from blocks.catalog import Catalog, Procedure, ProcedureUnknown, TypeUnknown
from blocks.catalog.staff import Grants, OfficerNotAssigned, Role, Staff, load_staff
from blocks.clock import vietnam_day
from blocks.errors import InvalidTransition, Problem
from blocks.ids import DossierId
from blocks.portal import AccountStatus, OwnerQuery, Portal
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.codes import ManualCode, assign_dossier_code
from blocks.records.incidents import raise_incident
from blocks.records.machine import ReasonMissing, move_dossier
from blocks.records.queries import documents, get_dossier, locked
from blocks.records.states import DossierState, ElectronicOriginal, OwnerKind
from blocks.records.tables import AuditEntry, Document, Dossier, now
from blocks.records.waiting import waits_at
from tasks.archive.custody import Place, move_paper
from tasks.decisions.proofs import proven_decision
from tasks.intake.electronic_originals import original_problems
from tasks.scope.decide import verdict_of

CHECKABLE = {DossierState.NHAP, DossierState.KIEM_TRA, DossierState.BO_SUNG_TRUOC}
FAILED = {DossierState.TU_CHOI_TIEP_NHAN, DossierState.TRA_LAI, DossierState.RUT}


class ReceptionReport(BaseModel):
    """The outcome of the counter's check; no personal data. code is public (it stands on the slip)."""

    dossier_id: DossierId
    accepted: bool
    state: DossierState
    code: str | None = None
    received_at: datetime | None = None
    due_date: date | None = None
    digital_account: str = "UNCHECKED"
    transitional: bool = False  # Điều 15: scan and sign only, stored under the dossier code (CT01)
    problems: list[Problem] = []


def receive(
    records: RecordsDatabase,
    catalog: Catalog,
    dossier_id: DossierId,
    actor: str,
    *,
    staff: Staff | None = None,
    at: datetime | None = None,
) -> ReceptionReport:
    """Check a dossier at the counter and receive it, or leave it BO_SUNG_TRUOC with the problems. Idempotent.

    at: moment of reception (now). A dossier that was received already comes back as it is; one that was supplemented
    is checked again. Raises OfficerNotAssigned (audited), ManualCode, InvalidTransition for a refused dossier.
    """
    moment = at or now()
    require_assigned(records, dossier_id, actor, Role.RECEIVE, staff=staff, on=vietnam_day(moment))
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if dossier.state in FAILED:
            raise InvalidTransition(source=dossier.state.value, target=DossierState.DA_TIEP_NHAN.value)
        if dossier.state not in CHECKABLE:
            return _report(dossier, [])
        if dossier.code is not None:
            raise ManualCode()
        components = documents(session, dossier_id)
        problems = check_dossier(catalog, dossier, components, vietnam_day(moment))
        problems += [problem for document in components for problem in original_problems(session, document)]
        if dossier.state is DossierState.BO_SUNG_TRUOC and (problems or _is_asked(session, dossier)):
            return _report(dossier, problems)  # still waiting for the supplement
        move_dossier(session, dossier, DossierState.KIEM_TRA, actor=actor, rule="B3a")
        if problems:
            details = {"problems": sorted({problem.code for problem in problems}), "count": len(problems)}
            move_dossier(session, dossier, DossierState.BO_SUNG_TRUOC, actor=actor, rule="B3a", details=details)
        else:
            _accept(session, catalog, dossier, actor, moment)
        return _report(dossier, problems)


def _is_asked(session: Session, dossier: Dossier) -> bool:
    """Whether this declaration was found wanting before: then the officer's answer counts, whatever is in force now."""
    return dossier.revision == 1 or waits_at(session, dossier.id, "supplement")


def checked_before(records: RecordsDatabase, dossier_id: DossierId, revision: int) -> ReceptionReport | None:
    """How the check of this declaration has ended, where the dossier is past it; None: it is to be checked."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        wanting = dossier.revision > revision or dossier.state is DossierState.TU_CHOI_TIEP_NHAN
        if not wanting and dossier.received_at is None:
            return None
        # Received stays received, also when the case was returned afterwards.
        return _report(dossier, []).model_copy(update={"accepted": not wanting})


def check_dossier(catalog: Catalog, dossier: Dossier, components: Sequence[Document], on: date) -> list[Problem]:
    """Everything that keeps a dossier from being received (P10, EXa, B3a, CA04); [] when nothing does. Pure."""
    problems: list[Problem] = []
    to_capture = unknown = 0
    refused = {ElectronicOriginal.INVALID, ElectronicOriginal.UNSIGNED}
    uncounted = any(document.electronic_original in refused for document in components)
    for document in components:
        try:
            to_capture += verdict_of(catalog, document, on).in_scope is not False
        except TypeUnknown as error:
            problems.append(error.problem(component=document.ordinal))
            to_capture, unknown = to_capture + 1, unknown + 1
    try:
        problems += _missing_components(catalog.procedure(dossier.procedure_code, on), components, unknown)
    except ProcedureUnknown as error:
        problems.append(error.problem())
    if dossier.originals_declared != to_capture and not uncounted:  # else it is counted anew with the supplement
        text = (
            f"Số bản giấy đã đếm ({dossier.originals_declared}) khác số thành phần cần sao chụp ({to_capture}); "
            "vui lòng đếm lại bản giấy và kê khai lại."
        )
        problems.append(Problem(code="ORIGINALS_COUNT", rule="CA04", text=text))
    return problems


def _missing_components(procedure: Procedure, components: Sequence[Document], unknown: int) -> list[Problem]:
    """What the procedure asks for and nobody brought; unknown: papers whose type is to be corrected first."""
    lacking = procedure.missing([document.type_code for document in components])
    if len(lacking) <= unknown:
        return []  # one of those papers may be it
    return [
        Problem(
            code="COMPONENT_MISSING",
            rule="B3a",
            text=f"Hồ sơ còn thiếu: {group.name}; vui lòng bổ sung trước khi tiếp nhận.",
        )
        for group in lacking
    ]


def _accept(session: Session, catalog: Catalog, dossier: Dossier, actor: str, moment: datetime) -> None:
    """DA_TIEP_NHAN: the code (P01), the day of return, the paper at the counter (LU04)."""
    day = vietnam_day(moment)
    procedure = catalog.procedure(dossier.procedure_code, day)
    dossier.received_at = moment
    dossier.due_date = catalog.due_date(day, procedure.working_days)
    dossier.procedure_valid_from = procedure.valid_from
    session.add(dossier)
    assign_dossier_code(session, dossier, actor=actor, at=moment)
    details = {
        "due_date": dossier.due_date.isoformat(),
        "transitional": dossier.transitional,
        "originals": dossier.originals_declared,
    }
    rule = "CT01" if dossier.transitional else "P01"
    move_dossier(session, dossier, DossierState.DA_TIEP_NHAN, actor=actor, rule=rule, details=details)
    move_paper(session, dossier.id, Place.COUNTER, handed_by="", received_by=actor, at=moment)


def refuse(
    records: RecordsDatabase,
    dossier_id: DossierId,
    actor: str,
    reason: str,
    *,
    staff: Staff | None = None,
    at: datetime | None = None,
) -> ReceptionReport:
    """Từ chối tiếp nhận with written reasons: → TU_CHOI_TIEP_NHAN. Idempotent.

    The dossier gets a code all the same, so that the person can look up what became of it (P03). The reason stays in
    the records database only. Raises ReasonMissing.
    """
    if not reason.strip():
        raise ReasonMissing()
    moment = at or now()
    require_assigned(records, dossier_id, actor, Role.RECEIVE, Role.LEAD, staff=staff, on=vietnam_day(moment))
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if dossier.state is not DossierState.TU_CHOI_TIEP_NHAN:
            if dossier.state is DossierState.NHAP:
                move_dossier(session, dossier, DossierState.KIEM_TRA, actor=actor, rule="B3a")
            assign_dossier_code(session, dossier, actor=actor, at=moment)
            target = DossierState.TU_CHOI_TIEP_NHAN
            move_dossier(session, dossier, target, actor=actor, rule="B3a", reason=reason)
        return _report(dossier, [])


def check_account(records: RecordsDatabase, portal: Portal, dossier_id: DossierId, actor: str) -> AccountStatus:
    """B2: has the owner a digital account? Recorded as EXISTS, NONE, or UNCHECKED when nobody answers [R].

    EXISTS: the person is told, none is created; NONE: guided to register (no refusal, for organisations neither [R]).
    An answer that was had is not asked for again.
    """
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        if (known := _account(dossier)) is not None:
            return known
        query = owner_query(dossier)
    answer = portal.digital_account(query)  # outside the transaction: it may take seconds
    with records.session() as session:
        dossier = locked(session, Dossier, dossier_id, key_share=True)
        if _account(dossier) is None:
            dossier.digital_account = "UNCHECKED" if answer is AccountStatus.UNAVAILABLE else answer.value
            session.add(dossier)
            rule = "B2b" if dossier.owner_kind is OwnerKind.ORGANISATION else "B2a"
            details = {"result": dossier.digital_account, "configured": portal.configured}
            audit(session, actor=actor, action="check_account", dossier_id=dossier_id, rule=rule, details=details)
    return answer


def account_asked(records: RecordsDatabase, dossier_id: DossierId) -> AccountStatus | None:
    """What became of the question about the owner's account, also where nobody answered; None: not asked yet."""
    with records.session() as session:
        asked = select(AuditEntry.seq).where(AuditEntry.dossier_id == dossier_id, AuditEntry.action == "check_account")
        if session.exec(asked).first() is None:
            return None
        return _account(get_dossier(session, dossier_id)) or AccountStatus.UNAVAILABLE


def _account(dossier: Dossier) -> AccountStatus | None:
    """The answer that was had; None: none yet."""
    answered = {AccountStatus.EXISTS.value, AccountStatus.NONE.value}
    return AccountStatus(dossier.digital_account) if dossier.digital_account in answered else None


ACCOUNT_GUIDANCE = {
    AccountStatus.EXISTS: "Đã có tài khoản số: vui lòng thông báo cho người nộp, không tạo tài khoản mới.",
    AccountStatus.NONE: "Chưa có tài khoản số: vui lòng hướng dẫn đăng ký; nếu không có nhu cầu vẫn tiếp nhận hồ sơ.",
    AccountStatus.UNAVAILABLE: "Chưa kiểm tra được tài khoản số: đã ghi nhận, vui lòng tiếp tục tiếp nhận hồ sơ.",
}


def owner_query(dossier: Dossier) -> OwnerQuery:
    return OwnerQuery(
        kind=dossier.owner_kind,
        id=dossier.owner_id,
        name=dossier.owner_name,
        birth_date=dossier.owner_birth_date,
        founding_year=dossier.owner_founding_year,
    )


def require_assigned(
    records: RecordsDatabase,
    dossier_id: DossierId,
    actor: str,
    *roles: Role,
    staff: Staff | None = None,
    on: date | None = None,
    grants: Grants | None = None,
) -> None:
    """Raise OfficerNotAssigned unless the actor holds one of the roles in the dossier's unit on that day (WH01/02).

    grants: what the identity provider's groups say, which must say so, too; None where no session is behind the act.
    The refusal is kept as an incident and in the audit trail, in a transaction of its own.
    """
    day, assigned = on or vietnam_day(now()), staff or load_staff()
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        held = [role for role in roles if assigned.may(actor, dossier.unit_id, role, day)]
        if any(grants is None or (dossier.unit_id, role.value) in grants for role in held):
            return
        details = {"unit": dossier.unit_id, "roles": [role.value for role in roles], "actor": actor}
        raise_incident(
            session, code=OfficerNotAssigned.code, dossier_id=dossier_id, rule="WH01", details=details, actor=actor
        )
    raise OfficerNotAssigned()


def _report(dossier: Dossier, problems: list[Problem]) -> ReceptionReport:
    return ReceptionReport(
        dossier_id=dossier.id,
        accepted=dossier.received_at is not None and dossier.state not in FAILED,
        state=dossier.state,
        code=dossier.code,
        received_at=dossier.received_at,
        due_date=dossier.due_date,
        digital_account=dossier.digital_account,
        transitional=dossier.transitional,
        problems=problems,
    )


def refuse_as_decided(records: RecordsDatabase, dossier_id: DossierId, pause: str) -> ReceptionReport:
    """The refusal that an officer decided at this pause, by who was assigned then. Raises DecisionNotProven."""
    with records.session() as session:
        kept = proven_decision(session, dossier_id, pause)
        reason, at = kept.reason or "", kept.decided_at
    return refuse(records, dossier_id, kept.officer, reason, at=at)
