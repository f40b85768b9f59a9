"""Ký số (QĐ 1333, Điều 8.1, 9.4): the officer signs the capture, the agency the result; both can be verified.

Plain functions: `sign_capture`, `sign_agency`, `sign_manifest`, for many `sign_captures`, `sign_results`; `verify_pdf`,
`verify_manifest`. Prefect tasks: `sign_captured`, `sign_by_agency` (copies and extracted data of a dossier),
`go_on_with_confirmed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.queries import get_document, get_dossier
from blocks.signer import signer_for
from blocks.trust import Trust
from tasks.decisions.upheld import insist_upheld
from tasks.prefect_task import step
from tasks.signing.authorised import unauthorised
from tasks.signing.awaited import PHONE, PIN, awaited, still_here
from tasks.signing.batch import Batch, sign_captures, sign_results
from tasks.signing.confirmed import go_on
from tasks.signing.steps import SignatureReport, sign_agency, sign_capture, sign_manifest
from tasks.signing.verdicts import show_verdicts
from tasks.signing.verify import SignatureVerdict, Verdict, verify_manifest, verify_pdf

__all__ = [
    "Batch",
    "SignatureReport",
    "SignatureVerdict",
    "Verdict",
    "go_on_with_confirmed",
    "needs_authorisation",
    "sign_agency",
    "sign_by_agency",
    "sign_capture",
    "sign_captured",
    "sign_captures",
    "sign_manifest",
    "sign_results",
    "verify_manifest",
    "verify_pdf",
]


@step("Kiểm tra người sao chụp đã cho ký số", rule="CA01")
def needs_authorisation(papers: Sequence[tuple[UUID, int]]) -> bool:
    """Whether the officer who captured is asked for the signature on one of these papers (Điều 8.1).

    papers: with their capture attempts. Once the officer has answered it is still so: the answer is then found.
    """
    records = RecordsDatabase.get()
    if not papers:
        return False
    with records.session() as session:
        owner = get_dossier(session, get_document(session, papers[0][0]).dossier_id).captured_by
    return signer_for(owner).asks_pin or bool(unauthorised(records, papers))


@step("Ký số cá nhân lên bản sao chụp", rule="CA01-CA03")
def sign_captured(papers: Sequence[tuple[UUID, int]], asked: int) -> str:
    """The officer's signature on papers of a dossier; returns what it waits for: PHONE, PIN, or "" when all is signed.

    papers: with their capture attempts; asked: how often the officer was asked before.
    """
    blocks = RecordsDatabase.get(), ObjectStore.get()
    with blocks[0].session() as session:
        if waits_for := awaited(session, papers, asked):
            return waits_for
        left = still_here(session, papers)
    batch = sign_captures(*blocks, left, trust=Trust.get())
    show_verdicts(blocks[0], batch, f"ca-nhan-{_step(papers)}-{asked}", "Chữ ký số cá nhân trên bản sao chụp")
    batch.insist()
    return (PIN if batch.pin else PHONE) if batch.waiting else ""


@step("Ký số cơ quan lên bản sao và dữ liệu đặc tả", rule="EX17")
def sign_by_agency(papers: Sequence[tuple[UUID, int]]) -> None:
    """The agency's signatures on the papers of a dossier: the copies, then the extracted data that name their hash."""
    blocks = RecordsDatabase.get(), ObjectStore.get()
    with blocks[0].session() as session:
        dossiers = {get_document(session, document).dossier_id for document, _ in papers}
    for dossier in dossiers:
        insist_upheld(blocks[0], Catalog.get(), dossier)
    batch = sign_results(*blocks, [document for document, _ in papers], trust=Trust.get())
    show_verdicts(blocks[0], batch, f"co-quan-{_step(papers)}", "Chữ ký số cơ quan trên bản sao và dữ liệu")
    batch.insist()


def _step(papers: Sequence[tuple[UUID, int]]) -> str:
    """Tells the signing after a rescan from the one before, in a key of lower case letters, digits and dashes."""
    return "-".join(str(part) for part in papers[0]) if papers else ""


@step("Lấy chữ ký số đã xác nhận trên điện thoại", rule="CA01")
def go_on_with_confirmed() -> int:
    """Dossiers whose officer has confirmed go on by themselves. Returns how many."""
    return go_on(RecordsDatabase.get(), Orchestrator())
