"""Pauses: where an officer decides, and how the decision is kept (Điều 8.2, 9.3, 13.3, 13.4).

A flow suspends until the officer resumes it with the form of the pause. Decisions live in the records database
under (dossier, key of the pause): a retry or a replay of the flow finds them there and asks nobody twice. What fails a
check that JSON Schema can't express is kept as HOI_LAI and asked again under the next number, with the reasons.
A stored decision is proven again whenever it is found (`tasks.decisions.proofs`): a row that isn't is passed over.
Forms carry no personal data outwards; what an officer typed in is moved to the records and removed from Prefect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import httpx
from prefect import get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import Pause as PauseSignal
from prefect.flow_runs import suspend_flow_run
from prefect.input.run_input import RunInput, keyset_from_base_key
from pydantic import ValidationError
from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.catalog.staff import OfficerNotAssigned, Role, load_staff
from blocks.clock import vietnam_day
from blocks.identity import Attestation, DecisionNotProven, prove, shown_digest
from blocks.ids import DossierId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.incidents import raise_incident
from blocks.records.pause_keys import PauseKey
from blocks.records.queries import decision, get_dossier, record_decision
from blocks.records.waiting import wait_at, waits_no_more
from tasks.decisions.proofs import is_proven, refuse_forged
from tasks.decisions.shown import CHANGED, Shown, ShownChanged, shown
from tasks.pauses.form import needs_reason, not_valid
from tasks.pauses.registry import ASK_AGAIN, A, Pause
from tasks.this_run import this_run

A_DAY = 24 * 3600  # seconds
Form = TypeVar("Form", bound=RunInput)


@dataclass(frozen=True)
class Answered(Generic[A]):
    """The answer, and the how many-th one at this pause it is."""

    number: int
    answer: A


@dataclass
class _Taken:
    """What came of one question. officer: empty where nobody has proved to have answered."""

    decision: str = ASK_AGAIN
    reason: str = ""
    officer: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    said: Attestation | None = None
    seen: Shown | None = None
    faults: list[str] = field(default_factory=list)


def ask(pause: Pause[A], dossier_id: DossierId, *about: Any, after: int = 0) -> Answered[A]:
    """The officer's answer at this pause: from the records if it was given, else suspend the flow and wait.

    about: what the pause's description is made of beside the dossier; it is made only when it is shown.
    after: number of the last pause of this kind that has been dealt with (0: none).
    Raises Prefect's pause signal when it suspends; the flow then runs again from its first line once an officer has
    resumed it.
    """
    records = RecordsDatabase.get()
    number, problems = after + 1, ""
    while True:
        key = PauseKey.of(pause.name, number)
        known = _kept(records, dossier_id, key)
        if known is None:
            _suspend_and_record(pause, dossier_id, key, problems + pause.describe(*about, dossier_id))
            continue  # what is kept is read like any other: somebody may have put a row there meanwhile
        verdict, payload = known
        if verdict != ASK_AGAIN:
            return Answered(number, pause.form.model_validate(payload))
        faults: list[str] = payload["problems"]
        problems = "\n".join(["**Chưa thực hiện được:**", *(f"- {text}" for text in faults), "", ""])
        number += 1


def _kept(records: RecordsDatabase, dossier_id: DossierId, key: PauseKey) -> tuple[str, dict[str, Any]] | None:
    """(decision, form) that is kept under this key; None: nothing yet. What isn't proven is asked again."""
    with records.session() as session:
        stored = decision(session, dossier_id, key)
        if stored is None:
            return None
        if stored.decision != ASK_AGAIN and not is_proven(session, stored):
            refuse_forged(session, dossier_id, key)
            return ASK_AGAIN, {"problems": [DecisionNotProven().text]}
        return stored.decision, dict(stored.payload)


def _suspend_and_record(pause: Pause[A], dossier_id: DossierId, key: PauseKey, description: str) -> None:
    records = RecordsDatabase.get()
    _note_waiting(records, dossier_id, key)
    taken = _take(pause, dossier_id, key, description, records)
    with records.session() as session:
        _keep(session, dossier_id, key, pause.rule, taken)
    _forget_input(key)
    get_run_logger().info("%s: %s, trace %s", key, taken.decision, taken.said.trace if taken.said else "–")


def _take(pause: Pause[A], dossier_id: DossierId, key: PauseKey, description: str, records: RecordsDatabase) -> _Taken:
    """Suspend, and judge the answer once there is one. Raises Prefect's pause signal."""
    form, taken = pause.form.with_initial_data(description=description), _Taken()
    try:
        answer = wait_for(form, key, pause.days * A_DAY)
        taken.payload = answer.model_dump(mode="json")
        if pause.proven(dossier_id, answer):
            taken.officer = answer.officer
        else:
            run, accepted_at = _accepted(key)
            taken.said = prove(taken.payload, run=run, pause=key, accepted_at=accepted_at)
            taken.officer = taken.said.officer
            taken.seen = _still_shown(records, dossier_id, taken.said)
            # On the day of the decision, which a worker may carry out on a later one.
            taken.faults = not_assigned(dossier_id, taken.officer, pause.role, vietnam_day(taken.said.at))
        taken.faults += needs_reason(answer) + pause.check(dossier_id, answer)
        taken.decision, taken.reason = answer.decision.value, answer.reason
    except ValidationError as error:
        # Passed the JSON Schema at the API but not the model: ask again rather than fail the run.
        taken.faults = [not_valid(pause.form, error)]
    except DecisionNotProven as error:
        taken.faults = [error.text]
    except ShownChanged:
        taken.faults = [CHANGED]
    if taken.faults:
        taken.decision, taken.payload = ASK_AGAIN, {"problems": taken.faults}
    return taken


def _keep(session: Session, dossier_id: DossierId, key: PauseKey, rule: str, taken: _Taken) -> None:
    """The decision, its entry in the trail and its incident, in one transaction."""
    said = taken.said
    waits_no_more(session, dossier_id)
    record_decision(
        session,
        dossier_id=dossier_id,
        stage=key,
        decision=taken.decision,
        reason=taken.reason or None,
        officer=taken.officer,
        role=said.role if said else "",
        payload=taken.payload,
        shown=taken.seen,
        at=said.at if said else None,
    )
    audit(
        session,
        actor=taken.officer or "unknown",
        action="decide" if taken.officer else "refuse",
        dossier_id=dossier_id,
        rule=rule,
        details={"stage": key, "decision": taken.decision}
        | ({"role": said.role, "trace": said.trace} if said else {})
        | ({"delegation": said.delegation.model_dump(mode="json")} if said and said.delegation else {})
        | ({} if taken.officer else {"code": DecisionNotProven.code}),
    )
    code = DecisionNotProven.code if not taken.officer else ShownChanged.code if taken.faults == [CHANGED] else ""
    if code:
        raise_incident(session, code=code, dossier_id=dossier_id, rule="WH03", details={"stage": key})


def wait_for(form: type[Form], key: str, timeout: int = 45 * A_DAY) -> Form:
    """The answer to this form at this pause; suspends the run until there is one. Raises Prefect's pause signal.

    A process that is killed between its question and its end leaves the question behind, and Prefect takes none twice:
    then it is asked anew by the process that goes on.
    """
    try:
        return suspend_flow_run(wait_for_input=form, timeout=timeout, key=key)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.CONFLICT or not error.request.url.path.endswith("/input"):
            raise
    run = this_run()
    assert run is not None
    keyset = keyset_from_base_key(f"suspended-{key}")
    with get_client(sync_client=True) as client:
        for left in (keyset["schema"], keyset["description"]):
            _drop_input(client, run, left)
        form.save(keyset)
        state = client.read_flow_run(run).state
    raise PauseSignal(state=state)


def _drop_input(client: SyncPrefectClient, run: FlowRunId, key: str) -> None:
    """Whether or not it is there."""
    try:
        client.delete_flow_run_input(run, key)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise


def _still_shown(records: RecordsDatabase, dossier_id: DossierId, said: Attestation) -> Shown:
    """What the officer saw, which is what is there now. Raises DecisionNotProven (another dossier), ShownChanged."""
    if said.dossier != dossier_id:
        raise DecisionNotProven()
    with records.session() as session:
        now = shown(session, Catalog.get(), dossier_id)
    if shown_digest(now) != said.shown:
        raise ShownChanged()
    return now


def _note_waiting(records: RecordsDatabase, dossier_id: DossierId, key: PauseKey) -> None:
    """For the worklist: here it waits from now on, unless it did already."""
    if (run := this_run()) is not None:
        with records.session() as session:
            wait_at(session, get_dossier(session, dossier_id), run, key)


def not_assigned(dossier_id: DossierId, officer: str, role: Role, on: date) -> list[str]:
    """A sentence when the officer doesn't hold the role in the dossier's unit on that day; that is an incident, too."""
    staff = load_staff()
    with RecordsDatabase.get().session() as session:
        unit = get_dossier(session, dossier_id).unit_id
        if staff.may(officer, unit, role, on):
            return []
        raise_incident(
            session,
            code=OfficerNotAssigned.code,
            dossier_id=dossier_id,
            rule="WH01",
            details={"roles": [role.value], "actor": officer},
            actor=officer,
        )
    why = staff.out_of_time(officer, unit, [role], on) or "Viên chức này chưa được phân công việc này tại đơn vị"
    return [f"{why}; vui lòng để người được phân công quyết định."]


def _accepted(key: str) -> tuple[FlowRunId, datetime]:
    """This run, and when Prefect took the answer of its pause."""
    run = this_run()
    if run is None:
        raise DecisionNotProven()
    response = keyset_from_base_key(f"suspended-{key}")["response"]
    with get_client(sync_client=True) as client:
        found = client.filter_flow_run_input(run, response, 1, set())
    if not found or found[0].created is None:
        raise DecisionNotProven()
    return run, found[0].created


def _forget_input(key: str) -> None:
    """Remove what the officer typed from Prefect's database: it may be personal data and is kept in the records."""
    run = this_run()
    if run is None:
        return
    with get_client(sync_client=True) as client:
        _drop_input(client, run, keyset_from_base_key(f"suspended-{key}")["response"])
