"""Steps of results for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.catalog import Catalog
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.waiting import waits_at
from blocks.trust import Trust
from tasks.decisions.upheld import require_upheld
from tasks.prefect_task import step
from tasks.results import issue
from tasks.signing.batch import sign_issued_results
from tasks.signing.verdicts import show_verdicts


@step("Lập văn bản kết quả, cấp số và ký hiệu", rule="KQ01-B4e")
def issue_results(dossier_id: DossierId, signer: str, clerk: str) -> list[DocumentId]:
    """Điều 12, 13.4b: the result documents of the case, numbered by the clerk; `signer` signs them."""
    records, catalog = RecordsDatabase.get(), Catalog.get()
    require_upheld(records, catalog, dossier_id, leader=signer, clerk=clerk)
    return issue.issue_results(records, ObjectStore.get(), catalog, dossier_id, signer, clerk)


@step("Ký số ban hành kết quả điện tử", rule="B4e")
def sign_by_leader(dossier_id: DossierId, results: Sequence[DocumentId], officer: str, asked: int) -> list[DocumentId]:
    """The signature of who may sign them on the results; returns those that wait for a confirmation on the phone.

    asked: how often that person was asked before, which separates the runs.
    """
    records, objects, catalog = RecordsDatabase.get(), ObjectStore.get(), Catalog.get()
    with records.session() as session:
        if waits_at(session, dossier_id, "issue"):  # a run that begins anew: the answer is taken first
            return list(results)
    require_upheld(records, catalog, dossier_id, leader=officer)
    for result in results:
        issue.require_as_decided(records, objects, catalog, result, officer)
    batch = sign_issued_results(records, objects, dossier_id, results, officer, trust=Trust.get())
    show_verdicts(records, batch, f"ban-hanh-{dossier_id}-{asked}", "Chữ ký số của người ban hành kết quả")
    batch.require()
    return batch.waiting
