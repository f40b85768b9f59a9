"""Steps of capture for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.ids import DocumentId, DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.artifacts import keep_markdown
from tasks.capture import document, rescan
from tasks.capture.completeness import check
from tasks.prefect_task import step


@step("Sao chụp", rule="CA01-CA10")
def capture(document_id: DocumentId, attempt: int) -> document.CaptureReport:
    """Điều 8: sao chụp một thành phần. attempt tells the rescans apart."""
    return document.capture(RecordsDatabase.get(), ObjectStore.get(), document_id, attempt=attempt)


@step("Kiểm tra đầy đủ", rule="CA04-CA10")
def check_completeness(dossier_id: DossierId, attempt: int) -> check.CompletenessReport:
    """Điều 8.2: technical and completeness checks; the report becomes an artifact of this run.

    attempt: which round of capture, from 1. One that lies behind was complete, or something was scanned again after it.
    """
    records = RecordsDatabase.get()
    with records.session() as session:
        over = check.is_over(session, dossier_id, attempt)
    if over:
        return check.CompletenessReport(ok=True)
    report = check.check_completeness(records, dossier_id)
    keep_markdown(f"kiem-tra-{dossier_id}-{attempt}", report.markdown, "Kết quả kiểm tra bản sao chụp")
    return report


@step("Nhận bản quét lại", rule="CA05", retries=0)
def receive_rescan(submission: str, document_id: DocumentId, attempt: int) -> int:
    """New scans of one component, or of single pages of it."""
    return rescan.receive_rescan(RecordsDatabase.get(), ObjectStore.get(), submission, document_id, attempt)
