"""Steps of extraction for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.ids import DocumentId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from tasks.extraction import document
from tasks.prefect_task import step


@step("Bóc tách dữ liệu", rule="EXa-l")
def extract_fields(document_id: DocumentId, attempt: int) -> document.ExtractionReport:
    """Điều 9.2: the fields of one paper, as it was captured by this attempt."""
    return document.extract_fields(RecordsDatabase.get(), ObjectStore.get(), document_id, attempt)
