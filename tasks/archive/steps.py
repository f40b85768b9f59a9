"""Steps of the archive for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from uuid import UUID

from blocks.catalog import Catalog
from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.settings import settings
from blocks.settings.sections import PreservationSettings
from blocks.trust import Trust
from tasks.archive import closing, copies, destruction, fixity, preservation, renewal, store, trust_list
from tasks.artifacts import keep_markdown
from tasks.decisions.upheld import require_upheld
from tasks.prefect_task import step


@step("Lưu kết quả số hóa", rule="LU01-LU03")
def store_record(document_id: DocumentId, actor: str = "system") -> store.StorageReport:
    """Điều 11: the signed record is locked away and shown in its owner's repository."""
    records, objects = RecordsDatabase.get(), ObjectStore.get()
    store.require_signed(records, objects, document_id, Trust.get())
    return store.store_record(records, objects, Catalog.get(), document_id, actor)


@step("Thông báo có kết quả", rule="KQ03")
def announce_result(dossier_id: DossierId, actor: str = "system") -> None:
    """Điều 12.3, 13.5: everything is stored, so the result can be returned."""
    records = RecordsDatabase.get()
    require_upheld(records, Catalog.get(), dossier_id)
    closing.announce_result(records, dossier_id, actor)


@step("Trả kết quả và lưu hồ sơ", rule="B5-LU04")
def close_case(dossier_id: DossierId, pause: str, actor: str = "system") -> closing.ClosingReport:
    """Điều 13.5, 11.4: the result was returned, as the officer tells at this pause; the paper goes to the archive."""
    records = RecordsDatabase.get()
    require_upheld(records, Catalog.get(), dossier_id)
    return closing.close_case(records, dossier_id, pause, actor)


@step("Trả lại hồ sơ có nêu lý do", rule="B4c")
def return_case(dossier_id: DossierId, officer: str, stage: str) -> closing.ClosingReport:
    """Điều 13.4a: the case goes back with the written reason of the decision at `stage`."""
    return closing.return_as_decided(RecordsDatabase.get(), dossier_id, stage)


@step("Chọn bản lưu cần kiểm tra", rule="LU06")
def objects_to_check(limit: int) -> list[UUID]:
    """The objects to look at in one run, each once: what can't be read or restored doesn't come again in it."""
    return fixity.objects_to_check(RecordsDatabase.get(), limit, PreservationSettings())


@step("Kiểm tra toàn vẹn bản lưu", rule="LU06")
def check_fixity(ids: list[UUID]) -> fixity.FixityReport:
    """Điều 11.5: stored bytes are still what was signed."""
    return fixity.check_fixity(RecordsDatabase.get(), ObjectStore.get(), ids)


@step("Chọn bản lưu cần gia hạn dấu thời gian", rule="LU06")
def documents_to_renew(limit: int) -> list[UUID]:
    """Documents whose proof must be renewed soon."""
    return renewal.documents_to_renew(RecordsDatabase.get(), limit, PreservationSettings())


@step("Gia hạn dấu thời gian lưu trữ", rule="LU06")
def renew_proof(document_id: DocumentId) -> renewal.RenewalReport:
    """One more archive time-stamp before the last one ends."""
    return renewal.renew_proof(RecordsDatabase.get(), ObjectStore.get(), document_id, Trust.get())


@step("Kéo dài khóa lưu trữ", rule="LU06")
def extend_locks() -> int:
    """Records that are kept for ever stay locked."""
    return preservation.extend_locks(RecordsDatabase.get(), ObjectStore.get())


@step("Báo cáo bảo quản", rule="LU06")
def report_preservation(checks: list[fixity.FixityReport], renewed: list[UUID], failed: list[UUID], locks: int) -> str:
    """One table for operations: counts and ids, no personal data. Returns it (Markdown)."""
    table = preservation.report_preservation(RecordsDatabase.get(), checks, renewed, failed, locks)
    keep_markdown("bao-quan", table, "Báo cáo bảo quản bản lưu điện tử")
    return table


@step("Bỏ bản sao đã có bản lưu", rule="LU06")
def drop_stored_copies() -> copies.CopyReport:
    """Each night."""
    stored = RecordsDatabase.get(), ObjectStore.get()
    return copies.drop_stored_copies(*stored, settings().inbox_dir, PreservationSettings())


@step("Lập biên bản tiêu hủy, xóa bản sao", rule="LU06")
def certify_disposals() -> int:
    """Each night: what was destroyed gets its certificate. Returns how many."""
    return destruction.certify_disposals(RecordsDatabase.get(), ObjectStore.get(), Trust.get())


@step("Rà soát danh sách chứng thư số tin cậy", rule="CA01")
def review_trust_list() -> trust_list.TrustListReport:
    """Điều 8.1, 9.4: signatures are believed on the strength of this list."""
    report = trust_list.review_trust_list(RecordsDatabase.get(), Trust.get())
    if report.first or report.changed or report.expired or report.ending:
        keep_markdown("tin-cay", trust_list.as_table(report), "Danh sách tin cậy")
    return report
