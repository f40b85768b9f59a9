"""Một hồ sơ TTHC, từ tiếp nhận đến lưu trữ, theo Điều 13 Quyết định 1333/QĐ-BHXH.

The flow tells who does what in which order; each verb is a task, each task an article. Between them travel ids.
Where an officer decides, the run suspends; once it is resumed it reads what it has done from the records and goes on
there (tasks/journal.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prefect import flow

from blocks.errors import Problem
from blocks.ids import DocumentId, DossierId
from blocks.records.pause_keys import PauseKey
from blocks.records.states import DossierState
from blocks.results import KIND
from tasks.archive.steps import announce_result, close_case, return_case, store_record
from tasks.capture.completeness.check import require_complete
from tasks.capture.steps import capture, check_completeness, receive_rescan
from tasks.decisions.steps import still_allowed
from tasks.extraction.steps import extract_fields
from tasks.intake.steps import (
    check_account,
    examine_originals,
    find_shared_data,
    receive,
    refuse,
    register,
    store_originals,
)
from tasks.journal import goes_on
from tasks.monitoring.steps import report_dossier
from tasks.pauses.confirm import CONFIRM, ConfirmDecision
from tasks.pauses.consult import CONSULT, ConsultationDecision
from tasks.pauses.issue import ISSUE
from tasks.pauses.leader import LEADER, LeaderDecision
from tasks.pauses.outages import waits_for_services
from tasks.pauses.registry import A, Pause
from tasks.pauses.rescan import RESCAN, RescanDecision
from tasks.pauses.result_return import RETURN
from tasks.pauses.scope import SCOPE, ScopeDecision
from tasks.pauses.seal import SEAL, SealDecision
from tasks.pauses.secrecy import SECRECY, SecrecyDecision
from tasks.pauses.sign import SIGN, SignDecision
from tasks.pauses.signoff import SIGNOFF, SignOffDecision
from tasks.pauses.supplement import SUPPLEMENT, SupplementDecision
from tasks.pauses.verification import VERIFICATION, VerificationDecision
from tasks.pauses.wait import ask
from tasks.reading.steps import read_pages
from tasks.results.steps import issue_results, sign_by_leader
from tasks.scope.steps import certify_copy, decide_scope, isolate, settle_leader_opinion, settle_unlisted, take_back
from tasks.signing.steps import needs_authorisation, sign_by_agency, sign_captured
from tasks.steps import advance, announce, reopen, send_back
from tasks.verification.steps import assign_code, confirm_fields, part_images


@dataclass
class Case:
    """What the flow carries of a dossier: ids, capture attempts, and how often each pause has asked."""

    id: DossierId
    submission: str
    counter_officer: str
    revision: int = 1  # of what was declared; each supplement is one more
    attempts: dict[DocumentId, int] = field(default_factory=dict)  # of the papers to digitise
    rounds: int = 0  # of capture
    asked: dict[str, int] = field(default_factory=dict)
    doubts: dict[DocumentId, list[Problem]] = field(default_factory=dict)  # what is odd of its pages, for the officer
    results: list[DocumentId] = field(default_factory=list)  # documents that were issued


class CaseEnded(Exception):
    """The case was refused, or returned with written reasons. before: it had ended already, by another run."""

    def __init__(self, case: Case, state: DossierState, before: bool = False) -> None:
        self.case, self.state, self.before = case, state, before


@flow(name="dossier", result_serializer=KIND, persist_result=False, log_prints=False)
@waits_for_services
@goes_on
def dossier(submission: str) -> str:
    """Tiếp nhận, số hóa, giải quyết và lưu trữ một hồ sơ. Returns the state in which the dossier ended."""
    try:
        case = reception(submission)  # Bước 1, 2, 3a
        scope(case)  # Bước 3b: Điều 4, 5
        digitise(case, list(case.attempts))  # Bước 3b: Điều 8, 9.1
        advance(case.id, DossierState.DA_CHUYEN, "LU04")  # Điều 11.4
        while True:
            verification(case)  # Bước 4a: Điều 9.3
            coding(case)  # Điều 10
            if allowed := approval(case):  # Bước 4b
                break
        signing(case, *allowed)  # Bước 4b: Điều 9.4
        archive(case)  # Bước 4c: Điều 11, 12
        returning(case)  # Bước 5: Điều 13.5
        end = DossierState.LUU_TRU
    except CaseEnded as ended:
        case, end = ended.case, ended.state
        if ended.before:
            return end.value
    report_dossier(case.id)
    return end.value


def reception(submission: str) -> Case:
    """Bước 1, 2, 3a: tiếp nhận, kiểm tra tài khoản số và thành phần hồ sơ; thiếu thì bổ sung hoặc từ chối."""
    registered = register(submission)
    case = Case(registered.dossier_id, submission, registered.counter_officer)
    if registered.ended:
        raise CaseEnded(case, registered.ended, before=True)
    announce(case.id)
    while True:
        examine_originals(case.id, case.revision)
        report = receive(case.id, case.counter_officer, case.revision)
        if report.accepted:
            break
        answer = pause(case, SUPPLEMENT, report.problems)
        if answer.decision is SupplementDecision.TU_CHOI:
            refuse(case.id, answer.officer, last(case, SUPPLEMENT))
            raise CaseEnded(case, DossierState.TU_CHOI_TIEP_NHAN)
        case.revision += 1
        register(submission, case.revision)
    check_account(case.id)
    find_shared_data(case.id)
    return case


def scope(case: Case) -> None:
    """Điều 4, 5, 13.3b: giấy tờ nào số hóa; giấy tờ quan trọng, dễ hỏng xin ý kiến lãnh đạo."""
    advance(case.id, DossierState.SO_HOA, "B3c")
    report = decide_scope(case.id)
    fragile, undecided = list(report.fragile), list(report.undecided)
    if report.to_ask:
        advance(case.id, DossierState.CHO_LANH_DAO_SO_HOA, "B3e")
        opinion = pause(case, LEADER, report.ordinals(report.to_ask))
        digitised = opinion.decision is LeaderDecision.SO_HOA
        for document in report.to_ask:
            settle_leader_opinion(document, digitised, opinion.officer)
        fragile += report.to_ask if digitised else []
        advance(case.id, DossierState.SO_HOA, "B3e", after=DossierState.CHO_LANH_DAO_SO_HOA)
    captured = list(report.to_capture)
    if fragile or undecided or report.problems:
        answer = pause(case, SCOPE, report.problems, report.ordinals(fragile))
        if answer.decision is ScopeDecision.TRA_LAI:
            give_back(case, SCOPE, answer.officer)
        for document in fragile:
            certify_copy(document, answer.officer)
        chosen = [d for d in undecided if report.ordinals([d])[0] in answer.digitise]
        for document in undecided:
            settle_unlisted(document, document in chosen, answer.officer)
        captured += [*fragile, *chosen]
    case.attempts = dict.fromkeys(captured, case.revision)  # a supplement is a capture attempt of its own


def digitise(case: Case, papers: list[DocumentId]) -> None:
    """Điều 8, 9.1: sao chụp, kiểm tra, ký cá nhân, đọc, bóc tách; thành phần không đạt thì quét lại."""
    while papers:
        reports = {document: capture(document, case.attempts[document]) for document in papers}
        case.rounds += 1
        checked = check_completeness(case.id, case.rounds)
        if all(report.ok for report in reports.values()):
            require_complete(checked)
        captured = [document for document in papers if reports[document].ok]
        sign(case, captured)
        for document in captured:
            read(case, document, reports[document].notices)
        papers = [document for document in papers if not reports[document].ok]
        if papers:
            rescan(case, papers, [problem for document in papers for problem in reports[document].problems])


def sign(case: Case, papers: list[DocumentId]) -> None:
    """Điều 8.1: ký cá nhân trước khi bóc tách, một lần cho phép của người sao chụp cho cả hồ sơ; ký từ xa thì chờ."""
    attempts = [(document, case.attempts[document]) for document in papers]
    if needs_authorisation(attempts):
        allow_signature(case)
    while waits_for := sign_captured(attempts, case.asked.get(CONFIRM.name, 0) + case.asked.get(SIGN.name, 0)):
        if waits_for == "PIN":
            allow_signature(case)
            continue
        answer = pause(case, CONFIRM)
        if answer.decision is ConfirmDecision.TRA_LAI:
            give_back(case, CONFIRM, answer.officer)


def allow_signature(case: Case) -> None:
    """Điều 8.1: người sao chụp xem các bản sao chụp rồi cho ký số, hoặc trả lại hồ sơ."""
    again = case.asked.get(SIGN.name, 0) > 0
    answer = pause(case, SIGN, again)
    if answer.decision is SignDecision.TRA_LAI:
        give_back(case, SIGN, answer.officer)


def read(case: Case, document: DocumentId, notices: list[Problem]) -> None:
    """Điều 9.1: đọc và bóc tách; giấy tờ nghi mật được cách ly ngay, chỉ xóa khi lãnh đạo xác nhận (Điều 5.4)."""
    attempt = case.attempts[document]
    seen = read_pages(document, attempt)
    if seen.secrecy:
        answer = pause(case, SECRECY)
        if answer.decision is SecrecyDecision.XAC_NHAN_MAT:
            isolate(document, seen.secrecy, attempt, last(case, SECRECY))
            del case.attempts[document]
            return
        take_back(document, attempt, last(case, SECRECY))
        seen = read_pages(document, attempt, last(case, SECRECY))
    extract_fields(document, attempt)
    case.doubts[document] = [*notices, *seen.problems]  # names and what was read prove nothing: the officer judges


def rescan(case: Case, failed: list[DocumentId], problems: list[Problem]) -> None:
    """Điều 8.2: viên chức quét lại các trang, thành phần không đạt, hoặc trả lại hồ sơ."""
    answer = pause(case, RESCAN, problems)
    if answer.decision is RescanDecision.TRA_LAI:
        give_back(case, RESCAN, answer.officer)
    for document in failed:
        case.attempts[document] += 1
        receive_rescan(case.submission, document, case.attempts[document])


def verification(case: Case) -> None:
    """Bước 4a, Điều 9.3: viên chức giải quyết TTHC đối chiếu, xác nhận dữ liệu bóc tách, soạn nội dung kết quả."""
    advance(case.id, DossierState.THAM_DINH, "B4a")
    while True:  # also where no paper was digitised: a person resolves the case
        doubts = [problem for found in case.doubts.values() for problem in found]
        answer = pause(case, VERIFICATION, doubts)
        if answer.decision is VerificationDecision.TRA_LAI:
            give_back(case, VERIFICATION, answer.officer)
        if answer.decision is VerificationDecision.DUYET:
            confirm_fields(case.id, last(case, VERIFICATION))
            return
        if answer.decision is VerificationDecision.XIN_Y_KIEN:
            consultation(case)
            continue
        if answer.decision is VerificationDecision.TACH_ANH:
            parted = part_images(case.id, last(case, VERIFICATION)).attempts  # the declared papers, and the others
            case.attempts |= parted
            digitise(case, list(parted))
            continue
        again = send_back(case.id, last(case, VERIFICATION))
        rescan(case, again, [])
        digitise(case, again)


def consultation(case: Case) -> None:
    """QĐ 352: hồ sơ chờ ý kiến, rồi trở lại thẩm định."""
    times = case.asked[VERIFICATION.name]
    advance(case.id, DossierState.CHO_Y_KIEN, "B4a", times=times)
    answer = pause(case, CONSULT)
    advance(case.id, DossierState.THAM_DINH, "B4a", after=DossierState.CHO_Y_KIEN, times=times)
    if answer.decision is ConsultationDecision.TRA_LAI:
        give_back(case, CONSULT, answer.officer)


def coding(case: Case) -> None:
    """Điều 10: cấp mã kết quả số hóa."""
    for document in case.attempts:
        assign_code(document, case.asked[VERIFICATION.name])


def approval(case: Case) -> tuple[str, str] | None:
    """Bước 4b: lãnh đạo cho ký, văn thư ký số. Returns who did; None: the resolving officer has to correct it."""
    advance(case.id, DossierState.TRINH_KY, "B4b", times=case.asked[VERIFICATION.name])
    while True:
        leader = pause(case, SIGNOFF)
        if leader.decision is SignOffDecision.TRA_LAI:
            give_back(case, SIGNOFF, leader.officer)
        if leader.decision is SignOffDecision.SUA_LAI:
            reopen(case.id, last(case, SIGNOFF))
            return None
        clerk = pause(case, SEAL)
        if clerk.decision is SealDecision.SUA_LAI:
            reopen(case.id, last(case, SEAL))
            return None
        if clerk.decision is SealDecision.KY_SO and still_allowed(
            case.id, case.asked[SIGNOFF.name], case.asked[SEAL.name]
        ):
            return leader.officer, clerk.officer


def signing(case: Case, leader: str, clerk: str) -> None:
    """Bước 4b, Điều 9.4, 12: lãnh đạo ký, văn thư cấp số và ký số cơ quan; chỉ hồ sơ giải quyết thành công (EX17)."""
    advance(case.id, DossierState.KY_CO_QUAN, "EX17", actor=clerk)
    case.results = issue_results(case.id, leader, clerk)  # Điều 12
    while sign_by_leader(case.id, case.results, leader, case.asked.get(ISSUE.name, 0)):
        pause(case, ISSUE)
    sign_by_agency([*case.attempts.items(), *((result, 1) for result in case.results)])


def archive(case: Case) -> None:
    """Bước 4c, Điều 11, 12: lưu khóa, đưa vào kho của chủ hồ sơ; hồ sơ có kết quả."""
    for document in (*case.attempts, *case.results):
        store_record(document)
    store_originals(case.id)
    announce_result(case.id)


def returning(case: Case) -> None:
    """Bước 5, Điều 13.5, 11.4: viên chức một cửa trả kết quả; bản giấy vào lưu trữ."""
    pause(case, RETURN)
    close_case(case.id, last(case, RETURN))


def pause(case: Case, at: Pause[A], *about: Any) -> A:
    """Wait for the officer's answer at this pause, the next one that has not been dealt with.

    about: what its description tells beside the dossier's own data.
    """
    answered = ask(at, case.id, *about, after=case.asked.get(at.name, 0))
    case.asked[at.name] = answered.number
    return answered.answer


def last(case: Case, at: Pause[Any]) -> str:
    """Key of the decision that was made last at this pause."""
    return PauseKey.of(at.name, case.asked[at.name])


def give_back(case: Case, at: Pause[Any], officer: str) -> None:
    """Trả lại hồ sơ kèm lý do bằng văn bản; không ký số cơ quan."""
    return_case(case.id, officer, last(case, at))
    raise CaseEnded(case, DossierState.TRA_LAI)
