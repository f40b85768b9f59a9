"""How far a dossier is: its state, where the paper lies, and what the Prefect UI shows of it (Điều 7, 11.4)."""

from __future__ import annotations

from collections.abc import Iterable

from prefect import get_client
from prefect.context import FlowRunContext
from sqlmodel import col, select

from blocks.ids import DocumentId, DossierId, FlowRunId
from blocks.records import RecordsDatabase
from blocks.records.machine import DOSSIER_OPEN, move_document, move_dossier
from blocks.records.past import decided_in, moves
from blocks.records.queries import documents, get_dossier
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import AuditEntry
from tasks.archive.custody import Place, move_paper
from tasks.decisions.proofs import proven_decision
from tasks.pauses.verification import Verification


def advance(records: RecordsDatabase, dossier_id: DossierId, target: DossierState, rule: str, actor: str) -> bool:
    """Move a dossier; with DA_CHUYEN its paper goes to the business unit (LU04). False: it was there already."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        moved = move_dossier(session, dossier, target, actor=actor, rule=rule)
        if moved and target is DossierState.DA_CHUYEN:
            move_paper(session, dossier_id, Place.BUSINESS_UNIT, handed_by=dossier.captured_by, received_by=actor)
        return moved


def has_moved(
    records: RecordsDatabase, dossier_id: DossierId, target: DossierState, after: DossierState | None, times: int
) -> bool:
    """Whether this move was made before, wherever the dossier is by now.

    times: number of the verification that has asked for it, of a move that each of them may ask for; 0: of no such one.
    """
    with records.session() as session:
        since = decided_in(session, dossier_id, f"verification-{times}") if times else 0
        if since is None:
            return False
        return bool(moves(session, get_dossier(session, dossier_id), target, source=after, since=since))


def reopen(records: RecordsDatabase, dossier_id: DossierId, stage: str) -> bool:
    """What the leader or the clerk has sent back under `stage` is the resolving officer's again: TRINH_KY → THAM_DINH.

    Its papers wait to be confirmed, with the data as they are. False: it was done before. Raises DecisionNotProven.
    """
    with records.session() as session:
        decision = proven_decision(session, dossier_id, stage)
        since = decided_in(session, dossier_id, stage)
        dossier = get_dossier(session, dossier_id)
        if since is None or moves(session, dossier, DossierState.THAM_DINH, since=since):
            return False
        details = {"stage": stage}
        move_dossier(session, dossier, DossierState.THAM_DINH, actor=decision.officer, rule="B4b", details=details)
        for document in documents(session, dossier_id, states=[DocumentState.CHO_KET_QUA]):
            move_document(session, document, DocumentState.CHO_XAC_NHAN, actor=decision.officer, rule="WH03")
        return True


def send_back(records: RecordsDatabase, dossier_id: DossierId, stage: str) -> list[DocumentId]:
    """The components of which the resolving officer wants pages scanned again go back to capture. Returns their ids."""
    with records.session() as session:
        answer = Verification.model_validate(proven_decision(session, dossier_id, stage).payload)
        named = {*answer.rescan, *(item.component for item in answer.rescan_pages)}
        chosen = [d for d in documents(session, dossier_id) if d.ordinal in named]
        since = decided_in(session, dossier_id, stage)
        for document in chosen:
            sent = since is not None and moves(session, document, DocumentState.CHUP_LAI, since=since)
            if document.state is DocumentState.CHO_XAC_NHAN and not sent:  # else it has been captured again
                move_document(session, document, DocumentState.CHUP_LAI, actor=answer.officer, rule="CA05")
        return [document.id for document in chosen]


STATE = "state:"  # tag of a run that follows the dossier
DEADLINE = "deadline:"  # tag of a run while its dossier is open: near, missed
DEADLINE_NOTED = "deadline-near", "deadline-missed"  # actions of the audit trail (tasks/monitoring/deadlines.py)


def show_run(
    records: RecordsDatabase, dossier_id: DossierId, flow_run_id: FlowRunId, tags: Iterable[str] | None = None
) -> None:
    """Link dossier and flow run, and label the run. tags: see label_run."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        dossier.flow_run_id = flow_run_id
        session.add(dossier)
    label_run(records, dossier_id, flow_run_id, tags)


def label_run(
    records: RecordsDatabase, dossier_id: DossierId, flow_run_id: FlowRunId, tags: Iterable[str] | None = None
) -> None:
    """Name the run by the dossier's code and tag it by unit, procedure, state and deadline. Raises ObjectNotFound.

    tags: what it has; those that don't follow the dossier stay. None: its server is asked.

    The dossier's step and the look at deadlines may write at once, and Prefect keeps the last: whoever writes looks
    whether the records still say so, so that the last one's is what they say.
    """
    written = None
    with get_client(sync_client=True) as client:
        while (label := _label(records, dossier_id)) != written:
            name, ours = written = label
            known = client.read_flow_run(flow_run_id).tags if tags is None else tags
            others = {tag for tag in known if not tag.startswith((STATE, DEADLINE))}
            client.update_flow_run(flow_run_id, name=name, tags=sorted(others | ours))


def _label(records: RecordsDatabase, dossier_id: DossierId) -> tuple[str, set[str]]:
    """(name, tags) of the dossier's run, by the records."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        name = dossier.code or f"moi-{dossier.submission[:12]}"
        tags = {f"unit:{dossier.unit_id}", f"procedure:{dossier.procedure_code[:32]}", f"{STATE}{dossier.state.value}"}
        query = select(AuditEntry.action).where(
            AuditEntry.dossier_id == dossier_id, col(AuditEntry.action).in_(DEADLINE_NOTED)
        )
        noted = session.exec(query.order_by(col(AuditEntry.seq).desc())).first()
        if noted and dossier.state in DOSSIER_OPEN:
            tags.add(DEADLINE + noted.removeprefix("deadline-"))
        return name, tags


def announce(dossier_id: DossierId) -> None:
    """`show_run` for the run that this task belongs to."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        show_run(RecordsDatabase.get(), dossier_id, FlowRunId(context.flow_run.id), context.flow_run.tags)
