"""Phát hành kết quả bản điện tử (QĐ 1333, Điều 12, 13.4b): `issue_results` makes the documents, `sign_issued` signs."""

from __future__ import annotations

from uuid import UUID

from blocks.catalog import Catalog
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.trust import Trust
from tasks.issuing.steps import issue_dossier
from tasks.shell import step
from tasks.signing.steps import SignatureReport, sign_agency, sign_manifest, sign_result

__all__ = ["issue_dossier", "issue_results", "sign_issued"]


@step("Lập văn bản kết quả, cấp số và ký hiệu", rule="KQ01-B4b")
def issue_results(dossier_id: UUID, signer: str, clerk: str) -> list[UUID]:
    """Điều 12, 13.4b: the result documents of the case, numbered by the clerk; `signer` signs them."""
    return issue_dossier(RecordsDatabase.get(), ObjectStore.get(), Catalog.get(), dossier_id, signer, clerk)


@step("Ký ban hành kết quả điện tử", rule="B4b")
def sign_issued(document_id: UUID, officer: str) -> list[SignatureReport]:
    """Who may sign it first, then the agency, then the agency on its data."""
    blocks = RecordsDatabase.get(), ObjectStore.get(), document_id
    trust = Trust.get()
    return [
        sign_result(*blocks, officer, trust=trust),
        sign_agency(*blocks, trust=trust),
        sign_manifest(*blocks, trust=trust),
    ]
