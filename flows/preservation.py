"""Bảo quản bản lưu điện tử (Điều 11.5): each night the trust list is looked over, records are read again,
proofs that end soon are renewed, and the audit trail is read from its first entry to its last."""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.states import State

from tasks.preservation import (
    FixityReport,
    NotPreserved,
    check_fixity,
    documents_to_renew,
    keep_locked,
    objects_to_check,
    renew_proof,
    report_preservation,
)
from tasks.trail import check_trail
from tasks.trust_list import review_trust_list

BATCH = 50  # objects a task


@flow(name="preservation", persist_result=True, log_prints=False)
def preservation(objects: int = 2000, renewals: int = 500) -> str:
    """At most so many objects are read and documents renewed in one run. Returns the report (Markdown)."""
    review_trust_list()
    checks: list[FixityReport] = []
    for turn in range(max(1, objects // BATCH)):
        due = objects_to_check(BATCH, turn)
        if not due:
            break
        checks.append(check_fixity(due))
        if checks[-1].damaged and not checks[-1].restored:
            break  # what can't be restored stays due: don't read it again and again
    renewed: list[UUID] = []
    failed: list[UUID] = []
    for document in documents_to_renew(renewals):
        outcome: State = renew_proof(document, return_state=True)
        (renewed if outcome.is_completed() else failed).append(document)
    trail: State = check_trail(return_state=True)
    report = report_preservation(checks, renewed, failed, keep_locked())
    if trail.is_failed() or failed or any(len(check.damaged) > len(check.restored) for check in checks):
        raise NotPreserved()  # the run is red in Prefect until somebody has looked
    return report
