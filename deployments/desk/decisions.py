"""An officer's decision on its way: may this person decide here, is the form complete, then attested and handed on.

The one way for the review page and for Prefect's own dialog. The flow checks all of it again (tasks/pauses/wait.py):
what is refused here costs the officer no round, what is forged beside us finds a locked door there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cachetools import FIFOCache
from pydantic import ValidationError
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.catalog.staff import Delegation, OfficerNotAssigned, Role, Staff, four_eyes
from blocks.clock import vietnam_day
from blocks.identity import PROOF, STEP_UP, Attestation, Delegated, attest, form_digest, shown_digest
from blocks.ids import DossierId, FlowRunId
from blocks.orchestrator import Orchestrator, ResumeRefused, pause_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.pause_keys import PauseKey
from blocks.records.queries import decision, get_dossier
from blocks.records.tables import Dossier
from deployments.desk.auth.sessions import Officer, Proven, Session
from tasks.decisions.shown import CHANGED, ShownChanged, shown
from tasks.desk_views.claims import holders
from tasks.pauses.form import needs_reason, not_valid
from tasks.pauses.registry import Pause, decision_labels, pause_label, pauses

REMEMBERED = 2000
A_MOMENT = timedelta(minutes=10)
STEP_UP_SENTENCE = (
    "Quyết định này không rút lại được: vui lòng xác thực lại với tài khoản của bạn; nội dung đã gõ được giữ nguyên."
)
RULES = {
    OfficerNotAssigned.code: OfficerNotAssigned.rule,
    "OUT_OF_TIME": "WH02",
    "NOT_THE_CAPTURER": "CA01",
}  # of refusals; WH03 for the others
ROLE_NAMES = {
    Role.RECEIVE: "viên chức tiếp nhận",
    Role.RESOLVE: "viên chức giải quyết",
    Role.LEAD: "lãnh đạo",
    Role.SEAL: "văn thư",
    Role.OPERATE: "vận hành",
    Role.AUDIT: "kiểm tra",
}


@dataclass
class Answer:
    """status: ACCEPT, REJECT (mend and repeat) or ABORT (too late, or not for this person).

    step_up: address of a step-up that must come first; about: what it is for.
    """

    status: str
    sentences: list[str] = field(default_factory=list)
    code: str = ""
    step_up: str = ""
    about: str = ""
    shown: dict[str, Any] = field(default_factory=dict)  # of an accepted one, to be shown back


@dataclass(frozen=True)
class Waiting:
    """One dossier at its pause."""

    dossier: Dossier
    run: FlowRunId
    key: PauseKey

    @property
    def pause(self) -> Pause[Any]:
        return pauses()[self.key.pause]

    @property
    def role(self) -> Role:
        return self.pause.role


def why_not(officer: Officer, dossier: Dossier, pause: Pause[Any], staff: Staff) -> tuple[str, str] | None:
    """(code, sentence) when this officer may not decide at this pause of this dossier; None: may (WH01–WH03).

    The provider's group and the office's own list, with its days and delegations (WH02), must both say so.
    """
    role, unit, day = pause.role, dossier.unit_id, vietnam_day()
    told = officer.told | officer.grants
    if role.value not in {held for _, held in told}:
        return "WRONG_ROLE", f"Bước này dành cho {ROLE_NAMES[role]}; tài khoản của bạn không có vai trò đó."
    if (unit, role.value) not in told:
        return "WRONG_UNIT", "Hồ sơ thuộc đơn vị khác; bạn không được quyết định."
    if not staff.may(officer.id, unit, role, day):
        if ended := staff.out_of_time(officer.id, unit, [role], day):
            return "OUT_OF_TIME", f"{ended} nên bạn không được quyết định việc này; vui lòng báo lãnh đạo đơn vị."
        return OfficerNotAssigned.code, "Bạn chưa được phân công việc này tại đơn vị; vui lòng báo lãnh đạo đơn vị."
    if pause.capturer_only and officer.id != dossier.captured_by:
        return "NOT_THE_CAPTURER", f"Chữ ký số cá nhân là của {dossier.captured_by}; chỉ người đó được cho ký."
    if role is Role.RESOLVE and officer.id == dossier.captured_by and four_eyes():
        return "SAME_PERSON", "Bạn đã sao chụp hồ sơ này nên không được xác nhận dữ liệu của nó."
    return None


def acts_by(officer: Officer, dossier: Dossier, pause: Pause[Any], staff: Staff) -> Delegation | None:
    """The delegation by which this officer decides here today; None: by an assignment of one's own (WH02)."""
    held = staff.assignment(officer.id, dossier.unit_id, pause.role, vietnam_day())
    return held if isinstance(held, Delegation) else None


class Decisions:
    """Takes decisions. private_key: file of the gateway's Ed25519 key; step_up_minutes: see `Session.proven_for`."""

    def __init__(
        self, records: RecordsDatabase, prefect: Orchestrator, private_key: Path, step_up_minutes: int = 5
    ) -> None:
        self.records, self.prefect, self.private_key = records, prefect, private_key
        self.step_up_minutes = step_up_minutes
        # What was taken and when, until the flow has noted it.
        self._taken: FIFOCache[tuple[FlowRunId, str], tuple[str, datetime]] = FIFOCache(REMEMBERED)
        self._lock = threading.Lock()

    def waiting(self, run: FlowRunId) -> Waiting | None:
        """The pause at which this run waits; None when it doesn't wait, or is no dossier's."""
        answer = self.prefect.call("GET", f"/flow_runs/{run}")
        if answer.status_code != 200:
            return None
        key = PauseKey.parse(pause_key(answer.json()))
        with self.records.session() as session:
            dossier = session.exec(select(Dossier).where(Dossier.flow_run_id == run)).first()
            if dossier is None or key is None or key.pause not in pauses():
                return None
            session.expunge(dossier)
        return Waiting(dossier, run, key)

    def dossier_of(self, run: FlowRunId) -> DossierId | None:
        with self.records.session() as session:
            found = session.exec(select(Dossier.id).where(Dossier.flow_run_id == run)).first()
            return DossierId(found) if found else None

    def run_of(self, dossier_id: DossierId) -> FlowRunId | None:
        """The run of a dossier; None before its first step. Raises DossierUnknown."""
        with self.records.session() as session:
            return get_dossier(session, dossier_id).flow_run_id

    def waiting_of(self, dossier_id: DossierId) -> Waiting | None:
        """The pause at which a dossier waits. Raises DossierUnknown."""
        run = self.run_of(dossier_id)
        return self.waiting(run) if run else None

    def told(self, waiting: Waiting) -> str:
        """What the flow says at this pause, Markdown; empty while it isn't kept yet."""
        answer = self.prefect.call("GET", f"/flow_runs/{waiting.run}/input/suspended-{waiting.key}-description")
        return str(answer.json()) if answer.status_code == 200 else ""

    def seen(self, dossier_id: DossierId) -> str:
        """Hash of what stands on the dossier's page now (tasks/decisions/shown.py)."""
        with self.records.session() as session:
            return shown_digest(shown(session, Catalog.get(), dossier_id))

    def take(
        self,
        officer: Officer,
        staff: Staff,
        run: FlowRunId,
        form: dict[str, Any],
        trace: str,
        *,
        expected: str | None = None,
        seen: str | None = None,
        session: Session | None = None,
    ) -> Answer:
        """Decide. expected, seen: the pause and the content (`seen`) that the officer's page showed.

        None: whatever waits now, as it is now; Prefect's own dialog shows no pages. session: the officer's, which knows
        how they proved who they are; without one nothing is signed.
        """
        waiting = self.waiting(run)
        if waiting is None:
            return self._refuse(officer, None, trace, Answer("ABORT", [self._too_late(run, expected)], "NOT_WAITING"))
        if expected is not None and waiting.key != expected:
            sentence = self._too_late(run, expected)
            return self._refuse(officer, waiting, trace, Answer("ABORT", [sentence], "OLD_PAGE"))
        if (reason := why_not(officer, waiting.dossier, waiting.pause, staff)) is not None:
            return self._refuse(officer, waiting, trace, Answer("ABORT", [reason[1]], reason[0]))
        with self.records.session() as database:
            holder = holders(database, [waiting.dossier.id]).get(waiting.dossier.id)
        if holder not in (None, officer.id):
            return Answer(
                "REJECT", [f"Hồ sơ đang do {holder} xử lý; vui lòng nhận việc trước khi quyết định."], "TAKEN"
            )
        if set(form) & {"officer", PROOF} and (form.get("officer") or form.get(PROOF)):
            sentence = "Mã viên chức và chứng thực do cổng tự ghi; vui lòng không nhập."
            return self._refuse(officer, waiting, trace, Answer("REJECT", [sentence], "IDENTITY_TYPED"))
        try:
            answer = waiting.pause.form.model_validate({**form, "officer": officer.id, PROOF: ""})
        except ValidationError as error:
            return Answer("REJECT", [not_valid(waiting.pause.form, error)], "FORM")
        if faults := needs_reason(answer) + waiting.pause.check(waiting.dossier.id, answer):
            return Answer("REJECT", faults, "OPEN_POINTS")
        now = self.seen(waiting.dossier.id)
        if seen is not None and seen != now:
            return self._refuse(officer, waiting, trace, Answer("ABORT", [CHANGED], ShownChanged.code))
        by = acts_by(officer, waiting.dossier, waiting.pause, staff)
        proven = session.proven if session else Proven()
        about = f"{run}/{waiting.key}/{answer.decision.value}"
        if answer.decision.value in STEP_UP:
            fresh = session.proven_for(about, self.step_up_minutes) if session else None
            if fresh is None:
                return Answer("REJECT", [STEP_UP_SENTENCE], "STEP_UP", about=about)
            proven = fresh
        taken = self._hand_on(officer, by, waiting, answer.model_dump(mode="json"), trace, now, proven)
        if taken.status == "ACCEPT" and session:
            session.spend(about)
        return taken

    def _hand_on(
        self,
        officer: Officer,
        by: Delegation | None,
        waiting: Waiting,
        payload: dict[str, Any],
        trace: str,
        seen: str,
        proven: Proven,
    ) -> Answer:
        attestation = Attestation(
            officer=officer.id,
            role=waiting.role.value,
            unit=waiting.dossier.unit_id,
            run=waiting.run,
            pause=waiting.key,
            form=form_digest(payload),
            at=datetime.now(UTC),
            trace=trace,
            acr=proven.acr,
            auth_time=proven.auth_time,
            delegation=Delegated(document=by.document, by=by.delegated_by, until=by.valid_to) if by else None,
            dossier=waiting.dossier.id,
            shown=seen,
        )
        try:
            self.prefect.resume(waiting.run, payload | {PROOF: attest(self.private_key, attestation)})
        except ResumeRefused as refused:
            if refused.details.get("status") == "ABORT":
                return Answer("ABORT", [self._too_late(waiting.run, waiting.key)], "NOT_WAITING")
            # Suspended, but its form is not saved yet: Prefect does the two one after the other.
            return Answer("REJECT", ["Hồ sơ vừa đến bước này; vui lòng gửi lại sau vài giây."], "NOT_READY")
        label = decision_labels().get(payload["decision"], payload["decision"])
        at = datetime.now(UTC)
        with self._lock:
            self._taken[(waiting.run, waiting.key)] = f"{label} bởi {officer.id}", at
        shown = {
            "step": pause_label(waiting.key),
            "decision": label,
            "officer": officer.id,
            "role": ROLE_NAMES[waiting.role] + (f", theo ủy quyền: văn bản {by.document}" if by else ""),
            "at": at,
            "reason": payload.get("reason") or "",
            "corrections": len(payload.get("corrections", [])),
            "absent": len(payload.get("absent", [])),
            "rescan": payload.get("rescan", []),
            "rescan_pages": payload.get("rescan_pages", []),
            "articles": len(payload.get("result", [])),
        }
        return Answer("ACCEPT", [], shown=shown)

    def just_taken(self) -> list[tuple[FlowRunId, str]]:
        """Pauses (run, key) that were decided here a moment ago: no worklist shows them while the run gets going.

        For a moment only: what still waits after it is shown, whatever became of the answer.
        """
        since = datetime.now(UTC) - A_MOMENT
        with self._lock:
            return [pause for pause, (_, at) in self._taken.items() if at > since]

    def _too_late(self, run: FlowRunId, key: str | None) -> str:
        """What became of the pause that the officer meant."""
        with self._lock:
            mine = {pause: text for (of, pause), (text, _) in self._taken.items() if of == run}
        taken = mine.get(key) if key else next(reversed(mine.values()), None)
        if taken is None and key is not None:
            with self.records.session() as session:
                dossier = session.exec(select(Dossier).where(Dossier.flow_run_id == run)).first()
                kept = decision(session, dossier.id, key) if dossier else None
                taken = (
                    f"{decision_labels().get(kept.decision, kept.decision)} bởi {kept.officer or '–'}" if kept else None
                )
        if taken:
            return f"Bước này đã có quyết định: {taken}. Vui lòng mở lại trang để xem tình trạng mới."
        return "Hồ sơ không còn chờ quyết định này; vui lòng mở lại trang để xem tình trạng mới."

    def _refuse(self, officer: Officer, waiting: Waiting | None, trace: str, answer: Answer) -> Answer:
        details = {"code": answer.code, "trace": trace} | ({"stage": waiting.key} if waiting else {})
        with self.records.session() as session:
            audit(
                session,
                actor=officer.id,
                action="refuse",
                dossier_id=waiting.dossier.id if waiting else None,
                rule=RULES.get(answer.code, "WH03"),
                details=details,
            )
        return answer


__all__ = ["ROLE_NAMES", "Answer", "Decisions", "Waiting", "acts_by", "why_not"]
