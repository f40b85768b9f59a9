"""Steps of signing for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.catalog import Catalog
from blocks.ids import DocumentId
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.queries import get_document
from blocks.trust import Trust
from tasks.decisions.upheld import require_upheld
from tasks.prefect_task import step
from tasks.signing import authorised, confirmed
from tasks.signing.awaited import PHONE, PIN, awaited, still_here
from tasks.signing.batch import sign_captures, sign_results
from tasks.signing.verdicts import show_verdicts


@step("Kiểm tra người sao chụp đã cho ký số", rule="CA01")
def needs_authorisation(papers: Sequence[tuple[DocumentId, int]]) -> bool:
    """Whether the officer who captured is asked for the signature on one of these papers (Điều 8.1).

    papers: with their capture attempts. Once the officer has answered it is still so: the answer is then found.
    """
    return authorised.needs_authorisation(RecordsDatabase.get(), papers)


@step("Ký số cá nhân lên bản sao chụp", rule="CA01-CA03")
def sign_captured(papers: Sequence[tuple[DocumentId, int]], asked: int) -> str:
    """The officer's signature on papers of a dossier; returns what it waits for: PHONE, PIN, or "" when all is signed.

    papers: with their capture attempts; asked: how often the officer was asked before.
    """
    records, objects = RecordsDatabase.get(), ObjectStore.get()
    with records.session() as session:
        if waits_for := awaited(session, papers, asked):
            return waits_for
        left = still_here(session, papers)
    batch = sign_captures(records, objects, left, trust=Trust.get())
    show_verdicts(records, batch, f"ca-nhan-{_key(papers)}-{asked}", "Chữ ký số cá nhân trên bản sao chụp")
    batch.require()
    return (PIN if batch.pin else PHONE) if batch.waiting else ""


@step("Ký số cơ quan lên bản sao và dữ liệu đặc tả", rule="EX17")
def sign_by_agency(papers: Sequence[tuple[DocumentId, int]]) -> None:
    """The agency's signatures on the papers of a dossier: the copies, then the extracted data that name their hash."""
    records, objects = RecordsDatabase.get(), ObjectStore.get()
    with records.session() as session:
        dossiers = {get_document(session, document).dossier_id for document, _ in papers}
    for dossier in dossiers:
        require_upheld(records, Catalog.get(), dossier)
    batch = sign_results(records, objects, [document for document, _ in papers], trust=Trust.get())
    show_verdicts(records, batch, f"co-quan-{_key(papers)}", "Chữ ký số cơ quan trên bản sao và dữ liệu")
    batch.require()


@step("Lấy chữ ký số đã xác nhận trên điện thoại", rule="CA01")
def go_on_with_confirmed() -> int:
    """Dossiers whose officer has confirmed go on by themselves. Returns how many."""
    return confirmed.go_on_with_confirmed(RecordsDatabase.get(), Orchestrator())


def _key(papers: Sequence[tuple[DocumentId, int]]) -> str:
    """Tells the signing after a rescan from the one before, in a key of lower case letters, digits and dashes."""
    return "-".join(str(part) for part in papers[0]) if papers else ""
