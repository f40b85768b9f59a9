"""Bảo quản bản lưu điện tử (Điều 11.5): each night the trust list is looked over, records are read again,
proofs that end soon are renewed, the audit trail is read, and the rows that it tells of are compared with it.

Each is done whatever becomes of the others; what failed makes the run red at the end.
"""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from blocks.results import KIND
from tasks.archive.fixity import FixityReport
from tasks.archive.preservation import NotPreserved
from tasks.archive.steps import (
    certify_disposals,
    check_fixity,
    documents_to_renew,
    drop_stored_copies,
    extend_locks,
    objects_to_check,
    renew_proof,
    report_preservation,
    review_trust_list,
)
from tasks.journal import goes_on
from tasks.monitoring.steps import anchor_trail, check_rows, check_trail

BATCH = 50  # objects a task


@flow(name="preservation", result_serializer=KIND, persist_result=False, log_prints=False)
@goes_on
def preservation(objects: int = 2000, renewals: int = 500) -> str:
    """At most so many objects are read and documents renewed in one run. Returns the report (Markdown)."""
    others: list[State] = [review_trust_list(return_state=True)]
    checks: list[FixityReport] = []
    due = objects_to_check(objects)
    for first in range(0, len(due), BATCH):
        looked: State = check_fixity(due[first : first + BATCH], return_state=True)
        if looked.is_completed():
            checks.append(looked.result())
        else:
            others.append(looked)
    renewed: list[UUID] = []
    failed: list[UUID] = []
    for document in documents_to_renew(renewals):
        outcome: State = renew_proof(document, return_state=True)
        (renewed if outcome.is_completed() else failed).append(document)
    others += [trail := check_trail(return_state=True), locked := extend_locks(return_state=True)]
    others.append(check_rows(trail.result().since if trail.is_completed() else 0, return_state=True))
    if trail.is_completed():  # never an anchor of what is broken
        others.append(anchor_trail(return_state=True))
    others += [drop_stored_copies(return_state=True), certify_disposals(return_state=True)]
    report: str = report_preservation(checks, renewed, failed, locked.result() if locked.is_completed() else 0)
    lost = any(len(check.damaged) > len(check.restored) or check.unread for check in checks)
    if lost or failed or not all(state.is_completed() for state in others):
        raise NotPreserved()  # the run is red in Prefect until somebody has looked
    return report
