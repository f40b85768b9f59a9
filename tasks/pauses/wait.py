"""Pauses: where an officer decides, and how the decision is kept (Điều 8.2, 9.3, 13.3, 13.4).

A flow suspends until the officer resumes it with the form of the stage. Decisions live in the records database
under (dossier, stage-number): a retry or a replay of the flow finds them there and asks nobody twice. What fails a
check that JSON Schema can't express is kept as HOI_LAI and asked again under the next number, with the reasons.
A stored decision is proven again whenever it is found (`tasks.pauses.proofs`): a row that isn't is passed over.
Forms carry no personal data outwards; what an officer typed in is moved to the records and removed from Prefect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.flow_runs import suspend_flow_run
from prefect.input.run_input import RunInput, keyset_from_base_key
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, load_staff
from blocks.clock import vietnam_day
from blocks.errors import Problem
from blocks.identity import Attestation, DecisionNotProven, prove, shown_digest
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.queries import decision, get_dossier, record_decision
from blocks.records.waiting import wait_at, waits_no_more
from tasks.desk_views.worklist import WHO
from tasks.pauses.proofs import ASK_AGAIN, is_proven, refuse_forged
from tasks.pauses.shown import CHANGED, Shown, ShownChanged, shown

TIMEOUT_SECONDS = 45 * 24 * 3600  # then the run fails: silence is never an approval
OFFICER_ID = r"^[0-9a-z._-]{1,64}$"

# The gateway fills in both from the session; a person neither sees nor types them.
OfficerId = Annotated[str, Field(title="Mã viên chức (cổng tự ghi)", pattern=r"^[0-9a-z._-]{0,64}$")]
Proof = Annotated[str, Field(title="Chứng thực của cổng (cổng tự ghi)", max_length=4096)]


def _without_nul(value: Any) -> Any:
    """PostgreSQL keeps no NUL: the run would fail with what an officer has decided already."""
    return value.replace("\0", "") if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_without_nul)]
# Empty rather than None: Prefect's dialog would draw a choice between "str" and "None".
Reason = Annotated[
    Text,
    Field(title="Lý do (bắt buộc khi trả lại hoặc từ chối)", description="Nêu rõ bằng văn bản", max_length=4000),
]


Article = Annotated[Text, Field(min_length=1, max_length=4000)]


class SupplementDecision(StrEnum):
    DA_BO_SUNG = "DA_BO_SUNG"
    TU_CHOI = "TU_CHOI"


class RescanDecision(StrEnum):
    DA_QUET_LAI = "DA_QUET_LAI"
    TRA_LAI = "TRA_LAI"


class LeaderDecision(StrEnum):
    KHONG_SO_HOA = "KHONG_SO_HOA"
    SO_HOA = "SO_HOA"


class SecrecyDecision(StrEnum):
    XAC_NHAN_MAT = "XAC_NHAN_MAT"
    KHONG_PHAI_MAT = "KHONG_PHAI_MAT"


class ScopeDecision(StrEnum):
    TIEP_TUC = "TIEP_TUC"
    TRA_LAI = "TRA_LAI"


class VerificationDecision(StrEnum):
    DUYET = "DUYET"
    QUET_LAI = "QUET_LAI"
    XIN_Y_KIEN = "XIN_Y_KIEN"
    TRA_LAI = "TRA_LAI"


class ConsultationDecision(StrEnum):
    DA_CO_Y_KIEN = "DA_CO_Y_KIEN"
    TRA_LAI = "TRA_LAI"


class SignDecision(StrEnum):
    KY_SO_CA_NHAN = "KY_SO_CA_NHAN"
    TRA_LAI = "TRA_LAI"


class ConfirmDecision(StrEnum):
    DA_XAC_NHAN = "DA_XAC_NHAN"
    TRA_LAI = "TRA_LAI"


class IssueDecision(StrEnum):
    """The leader has decided (KY) before: what is left is the confirmation on the phone."""

    DA_XAC_NHAN = "DA_XAC_NHAN"


class SignOffDecision(StrEnum):
    KY = "KY"
    TRA_LAI = "TRA_LAI"


class SealDecision(StrEnum):
    KY_SO = "KY_SO"
    TRINH_LAI = "TRINH_LAI"


class CorrectionReason(StrEnum):
    NHAN_DANG_SAI = "NHAN_DANG_SAI"
    CHU_MO = "CHU_MO"
    CHU_VIET_TAY = "CHU_VIET_TAY"
    BO_SOT = "BO_SOT"
    KHAC = "KHAC"


class Correction(BaseModel):
    """One field typed by the officer against the paper (EX02)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    field: Text = Field(title="Trường dữ liệu", description="Ví dụ: number_symbol", max_length=64)
    value: Text = Field(title="Giá trị đúng trên giấy tờ", min_length=1, max_length=2000)
    reason: CorrectionReason = Field(CorrectionReason.NHAN_DANG_SAI, title="Lý do sửa")


class Absence(BaseModel):
    """The officer attests that the paper does not carry this field (never guessed)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    field: Text = Field(title="Trường dữ liệu không có trên giấy tờ", max_length=64)


class PageAgain(BaseModel):
    """One page image that must be scanned again (CA05)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    page: int = Field(title="Ảnh số, như trên trang xem hồ sơ", ge=1)


class PaperToSign(BaseModel):
    """One captured paper as it was shown: which attempt, and the SHA-256 (hex) of its PDF."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    component: int = Field(title="Thành phần số", ge=1)
    attempt: int = Field(title="Lần sao chụp", ge=1)
    sha256: str = Field(title="Mã băm SHA-256 của bản sao chụp", pattern=r"^[0-9a-f]{64}$")


class Supplement(RunInput):
    """Bổ sung hồ sơ trước khi tiếp nhận (B3a)."""

    decision: SupplementDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Rescan(RunInput):
    """Quét lại thành phần không đạt (Điều 8.2)."""

    decision: RescanDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class SignCapture(RunInput):
    """Người sao chụp kiểm tra và cho ký số cá nhân các bản sao chụp (Điều 8.1)."""

    decision: SignDecision = Field(title="Quyết định")
    papers: list[PaperToSign] = Field([], title="Bản sao chụp được ký (cổng ghi theo trang đã xem)", max_length=500)
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Confirmation(RunInput):
    """Người sao chụp xác nhận ký số trên điện thoại (Điều 8.1)."""

    decision: ConfirmDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class LeaderOpinion(RunInput):
    """Ý kiến lãnh đạo về giấy tờ quan trọng, dễ hỏng (Điều 13.3b)."""

    decision: LeaderDecision = Field(title="Ý kiến của lãnh đạo")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Secrecy(RunInput):
    """Lãnh đạo xác định giấy tờ nghi có dấu chỉ mức độ mật (Điều 5.4)."""

    decision: SecrecyDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class ScopeOpinion(RunInput):
    """Việc còn phải quyết định trước khi sao chụp (Điều 4, 5, 13.3b)."""

    decision: ScopeDecision = Field(title="Quyết định")
    digitise: list[int] = Field([], title="Thành phần chưa có danh mục mà viên chức quyết định số hóa", max_length=500)
    certified: list[int] = Field([], title="Thành phần dễ hỏng đã sao y bản giấy", max_length=500)
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Verification(RunInput):
    """Viên chức giải quyết TTHC xác nhận dữ liệu bóc tách (Điều 9.3)."""

    decision: VerificationDecision = Field(title="Quyết định")
    flagged_checked: bool = Field(False, title="Đã đối chiếu với bản giấy mọi trường có độ tin cậy thấp")
    originals_seen: bool = Field(False, title="Đã xem các bản điện tử gốc và người ký")
    corrections: list[Correction] = Field([], title="Sửa, nhập dữ liệu", max_length=2000)
    absent: list[Absence] = Field([], title="Trường không có trên giấy tờ", max_length=2000)
    rescan: list[int] = Field([], title="Thành phần cần quét lại toàn bộ (số thứ tự)", max_length=500)
    rescan_pages: list[PageAgain] = Field([], title="Trang cần quét lại", max_length=2000)
    result: list[Article] = Field([], title="Nội dung kết quả giải quyết, mỗi điều một đoạn", max_length=50)
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Consultation(RunInput):
    """Ý kiến của đơn vị, cơ quan được hỏi (QĐ 352: chờ ý kiến)."""

    decision: ConsultationDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class SignOff(RunInput):
    """Lãnh đạo cho ký số cơ quan (Điều 9.4)."""

    decision: SignOffDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Seal(RunInput):
    """Văn thư ký số cơ quan sau khi lãnh đạo đã ký duyệt (NĐ 30/2020, Điều 26; QĐ 1333, Điều 9.4)."""

    decision: SealDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


class Issue(RunInput):
    """Lãnh đạo xác nhận ký số ban hành kết quả trên điện thoại (Điều 13.4b; NĐ 30/2020, Điều 13)."""

    decision: IssueDecision = Field(title="Quyết định")
    reason: Reason = ""
    officer: OfficerId = ""
    proof: Proof = ""


Answer = TypeVar(
    "Answer",
    Supplement,
    Rescan,
    SignCapture,
    Confirmation,
    LeaderOpinion,
    Secrecy,
    ScopeOpinion,
    Verification,
    Consultation,
    SignOff,
    Seal,
    Issue,
)
Form = TypeVar("Form", bound=RunInput)
Check = Callable[[UUID, Any], list[str]]


@dataclass(frozen=True)
class Stage(Generic[Answer]):
    """One kind of pause: its key, its form, and the checks that go beyond the form (Vietnamese sentences).

    proven: whether something else than the gateway's attestation proves an answer, so that a program may give it.
    """

    name: str
    model: type[Answer]
    check: Check
    rule: str
    proven: Callable[[UUID, Any], bool] = lambda dossier_id, answer: False


@dataclass(frozen=True)
class Answered(Generic[Answer]):
    number: int  # of the pause within its stage
    answer: Answer


def not_valid(model: type[BaseModel], error: ValidationError) -> str:
    """A sentence that names the items of the form as officers read them; what was typed isn't repeated."""
    places = {item["loc"][0] if item["loc"] else "" for item in error.errors()}
    known = [field.title or name for name, field in model.model_fields.items() if name in places]
    if places - set(model.model_fields):
        known.append("có mục mà biểu mẫu không có")
    return f"Mục chưa hợp lệ: {'; '.join(known)}."


IN_WRITING = {"TRA_LAI", "TU_CHOI", "TRINH_LAI", "XIN_Y_KIEN"}


def needs_reason(answer: Any) -> list[str]:
    """Returning or refusing needs written reasons (B4c)."""
    if answer.decision.value in IN_WRITING and not answer.reason.strip():
        return ["Vui lòng nêu rõ lý do bằng văn bản khi trả lại, từ chối, trình lại hoặc xin ý kiến."]
    return []


def ask(
    stage: Stage[Answer], dossier_id: UUID, describe: str | Callable[[UUID], str], *, after: int = 0
) -> Answered[Answer]:
    """The officer's answer at this stage: from the records if it was given, else suspend the flow and wait.

    `after`: number of the last pause of this stage that has been dealt with (0: none). `describe`: what the officer
    reads, Markdown, Vietnamese, without personal data; a function of the dossier is called only when it is shown.
    Raises prefect's Pause signal when it suspends; the flow then runs again from its first line once an officer has
    resumed it.
    """
    records = RecordsDatabase.get()
    number = after + 1
    problems: str = ""
    while True:
        key = f"{stage.name}-{number}"
        with records.session() as session:
            stored = decision(session, dossier_id, key)
            known: tuple[str, dict[str, Any]] | None = (stored.decision, dict(stored.payload)) if stored else None
            if stored and stored.decision != ASK_AGAIN and not is_proven(session, stored):
                refuse_forged(session, dossier_id, key)
                known = (ASK_AGAIN, {"problems": [DecisionNotProven().text]})
        if known is None:
            description = describe if isinstance(describe, str) else describe(dossier_id)
            _suspend_and_record(stage, dossier_id, key, problems + description, records)
            continue  # what is kept is read like any other: somebody may have put a row there meanwhile
        if known[0] != ASK_AGAIN:
            return Answered(number, stage.model.model_validate(known[1]))
        faults: list[str] = known[1]["problems"]
        problems = "\n".join(["**Chưa thực hiện được:**", *(f"- {text}" for text in faults), "", ""])
        number += 1


def _suspend_and_record(
    stage: Stage[Answer], dossier_id: UUID, key: str, description: str, records: RecordsDatabase
) -> None:
    form = stage.model.with_initial_data(description=description)
    said: Attestation | None = None
    who = ""
    verdict, reason = ASK_AGAIN, ""
    payload: dict[str, Any] = {}
    faults: list[str] = []
    seen: Shown | None = None
    _note_waiting(records, dossier_id, key)
    try:
        answer = wait_for(form, key)
        payload = answer.model_dump(mode="json")
        if stage.proven(dossier_id, answer):
            who = answer.officer
        else:
            run, accepted_at = _accepted(key)
            said = prove(payload, run=run, pause=key, accepted_at=accepted_at)
            who = said.officer
            seen = _still_shown(records, dossier_id, said)
            # On the day of the decision, which a worker may carry out on a later one.
            faults = not_assigned(dossier_id, who, WHO[stage.name], vietnam_day(said.at))
        faults += needs_reason(answer) + stage.check(dossier_id, answer)
        verdict, reason = answer.decision.value, answer.reason
    except ValidationError as error:
        # Passed the JSON Schema at the API but not the model: ask again rather than fail the run.
        faults = [not_valid(stage.model, error)]
    except DecisionNotProven as error:
        faults = [error.text]
    except ShownChanged:
        faults = [CHANGED]
    if faults:
        verdict, payload = ASK_AGAIN, {"problems": faults}
    with records.session() as session:
        waits_no_more(session, dossier_id)
        record_decision(
            session,
            dossier_id=dossier_id,
            stage=key,
            decision=verdict,
            reason=reason or None,
            officer=who,
            role=said.role if said else "",
            payload=payload,
            shown=seen,
            at=said.at if said else None,
        )
        audit(
            session,
            actor=who or "unknown",
            action="decide" if who else "refuse",
            dossier_id=dossier_id,
            rule=stage.rule,
            details={"stage": key, "decision": verdict}
            | ({"role": said.role, "trace": said.trace} if said else {})
            | ({"delegation": said.delegation.model_dump(mode="json")} if said and said.delegation else {})
            | ({} if who else {"code": DecisionNotProven.code}),
        )
        if not who:
            details = {"stage": key}
            raise_incident(session, code=DecisionNotProven.code, dossier_id=dossier_id, rule="WH03", details=details)
        elif faults == [CHANGED]:
            raise_incident(session, code=ShownChanged.code, dossier_id=dossier_id, rule="WH03", details={"stage": key})
    _forget_input(key)
    get_run_logger().info("%s: %s, trace %s", key, verdict, said.trace if said else "–")


def wait_for(form: type[Form], key: str, timeout: int = TIMEOUT_SECONDS) -> Form:
    """The answer to this form at this pause; suspends the run until there is one. Raises Prefect's Pause signal.

    A process that is killed between its question and its end leaves the question behind, and Prefect takes none twice:
    then it is asked anew by the process that goes on.
    """
    try:
        return suspend_flow_run(wait_for_input=form, timeout=timeout, key=key)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.CONFLICT or not error.request.url.path.endswith("/input"):
            raise
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    keyset = keyset_from_base_key(f"suspended-{key}")
    with get_client(sync_client=True) as client:
        for left in (keyset["schema"], keyset["description"]):
            _drop_input(client, context.flow_run.id, left)
        form.save(keyset)
        state = client.read_flow_run(context.flow_run.id).state
    raise Pause(state=state)


def _drop_input(client: SyncPrefectClient, run: UUID, key: str) -> None:
    """Whether or not it is there."""
    try:
        client.delete_flow_run_input(run, key)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise


def _still_shown(records: RecordsDatabase, dossier_id: UUID, said: Attestation) -> Shown:
    """What the officer saw, which is what is there now. Raises DecisionNotProven (another dossier), ShownChanged."""
    if said.dossier != dossier_id:
        raise DecisionNotProven()
    with records.session() as session:
        now = shown(session, Catalog.get(), dossier_id)
    if shown_digest(now) != said.shown:
        raise ShownChanged()
    return now


def _note_waiting(records: RecordsDatabase, dossier_id: UUID, key: str) -> None:
    """For the worklist: here it waits from now on, unless it did already."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        with records.session() as session:
            wait_at(session, get_dossier(session, dossier_id), context.flow_run.id, key)


def not_assigned(dossier_id: UUID, officer: str, role: Role, on: date) -> list[str]:
    """A sentence when the officer doesn't hold the role in the dossier's unit on that day; that is an incident, too."""
    staff = load_staff()
    with RecordsDatabase.get().session() as session:
        unit = get_dossier(session, dossier_id).unit_id
        if staff.may(officer, unit, role, on):
            return []
        raise_incident(
            session,
            code="OFFICER_NOT_ASSIGNED",
            dossier_id=dossier_id,
            rule="WH01",
            details={"roles": [role.value], "actor": officer},
            actor=officer,
        )
    why = staff.out_of_time(officer, unit, [role], on) or "Viên chức này chưa được phân công việc này tại đơn vị"
    return [f"{why}; vui lòng để người được phân công quyết định."]


def _accepted(key: str) -> tuple[UUID, datetime]:
    """This run, and when Prefect took the answer of its pause."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise DecisionNotProven()
    response = keyset_from_base_key(f"suspended-{key}")["response"]
    with get_client(sync_client=True) as client:
        found = client.filter_flow_run_input(context.flow_run.id, response, 1, set())
    if not found or found[0].created is None:
        raise DecisionNotProven()
    return context.flow_run.id, found[0].created


def _forget_input(key: str) -> None:
    """Remove what the officer typed from Prefect's database: it may be personal data and is kept in the records."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with get_client(sync_client=True) as client:
        _drop_input(client, context.flow_run.id, keyset_from_base_key(f"suspended-{key}")["response"])


def as_markdown(problems: list[Problem]) -> str:
    """Problems as a list that the officer reads at the pause."""
    lines = []
    for item in problems:
        place = [f"thành phần {item.component}"] if item.component else []
        place += [f"tệp {item.file}"] if item.file else []
        place += [f"trang {item.page}"] if item.page else []
        where = f" ({', '.join(place)})" if place else ""
        rule = f" · {item.rule}" if item.rule else ""
        lines.append(f"- {item.text}{where} `{item.code}`{rule}")
    return "\n".join(lines)
