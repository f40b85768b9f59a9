"""A submission is started once, however often it is handed in, also when Prefect has forgotten its run (CO06).

Prefect knows a submission by its run. The run of a dossier that has ended is deleted one day
(tasks/monitoring/run_faults.py), or by somebody; the records then say what became of it, and nothing is started anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from blocks.ids import DossierId, FlowRunId
from blocks.orchestrator import COUNTER, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.machine import DOSSIER_FAILED, PUBLIC_STATUS
from blocks.records.queries import dossier_of_submission
from blocks.records.states import DossierState

ENDED = DOSSIER_FAILED | {DossierState.LUU_TRU}  # no run has anything left to do


@dataclass(frozen=True)
class Ended:
    """What became of a submission. flow_run_id: of the run that did it."""

    dossier_id: DossierId
    code: str | None
    state: DossierState
    flow_run_id: FlowRunId | None

    @property
    def text(self) -> str:
        """For whoever hands it in again."""
        named = f"mã {self.code}" if self.code else "chưa được cấp mã"
        status = PUBLIC_STATUS.get(self.state)
        became = status.value if status else "hồ sơ đã được rút theo yêu cầu của người nộp"
        return f"Hồ sơ này đã được nộp trước đây ({named}). Tình trạng: {became}."


def ended(records: RecordsDatabase, submission: str) -> Ended | None:
    """None: it never became a dossier, or its dossier goes on."""
    with records.session() as session:
        found = dossier_of_submission(session, submission)
        if found is None or found.state not in ENDED:
            return None
        return Ended(found.id, found.code, found.state, found.flow_run_id)


def begin(
    records: RecordsDatabase,
    prefect: Orchestrator,
    submission: str,
    *,
    deployment: str = COUNTER,
    tags: list[str] | None = None,
) -> FlowRunId | Ended:
    """Create the flow run of a submission, or find it; what became of it when it has ended.

    Raises PrefectUnavailable, RunRefused.
    """
    if (known := ended(records, submission)) is not None:
        return known
    return FlowRunId(UUID(prefect.start(submission, deployment=deployment, tags=tags)["id"]))
