"""Ký số (QĐ 1333, Điều 8.1, 9.4): the officer signs the capture, the agency the result; both can be verified.

Plain functions: `sign_capture`, `sign_agency`, `sign_manifest`, `verify_pdf`, `verify_manifest`. Prefect tasks:
`sign_captured`, `sign_by_agency` (copy and extracted data).
"""

from __future__ import annotations

from uuid import UUID

from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.trust import Trust
from tasks.shell import step
from tasks.signing.steps import SignatureReport, sign_agency, sign_capture, sign_manifest
from tasks.signing.verify import SignatureVerdict, Verdict, verify_manifest, verify_pdf

__all__ = [
    "SignatureReport",
    "SignatureVerdict",
    "Verdict",
    "sign_agency",
    "sign_by_agency",
    "sign_capture",
    "sign_captured",
    "sign_manifest",
    "verify_manifest",
    "verify_pdf",
]


@step("Ký số cá nhân lên bản sao chụp", rule="CA01-CA03")
def sign_captured(document_id: UUID, attempt: int) -> SignatureReport:
    """The officer's signature. `attempt` separates the runs after a rescan."""
    return sign_capture(RecordsDatabase.get(), ObjectStore.get(), document_id, trust=Trust.get())


@step("Ký số cơ quan lên bản sao và dữ liệu đặc tả", rule="EX17")
def sign_by_agency(document_id: UUID, attempt: int) -> list[SignatureReport]:
    """The agency's signatures: the copy, then the extracted data that name its hash."""
    blocks = RecordsDatabase.get(), ObjectStore.get(), document_id
    trust = Trust.get()
    return [sign_agency(*blocks, trust=trust), sign_manifest(*blocks, trust=trust)]
