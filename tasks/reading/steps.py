"""Steps of reading for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.ids import DocumentId
from blocks.objects import ObjectStore
from blocks.ocr.engine import OcrEngine
from blocks.records import RecordsDatabase
from tasks.artifacts import keep_markdown
from tasks.prefect_task import step
from tasks.reading import ocr, page_map
from tasks.scope.quarantine import require_cleared


@step("Nhận dạng chữ", rule="EX01")
def read_pages(document_id: DocumentId, attempt: int, cleared: str = "") -> ocr.OcrReport:
    """Điều 9.1: read the signed copy of this capture attempt; the report becomes an artifact.

    cleared: the pause at which the leader has decided that this paper isn't secret. Raises DecisionNotProven.
    """
    engine, records = OcrEngine.get(), RecordsDatabase.get()
    if cleared:
        require_cleared(records, document_id, attempt, cleared)
    if (known := ocr.read_before(records, document_id, attempt, cleared=bool(cleared))) is not None:
        return known
    report, texts = ocr.read_pages(records, ObjectStore.get(), engine, document_id, cleared=bool(cleared))
    if report.secrecy:  # operations read artifacts: nothing of this paper stands there
        return report
    told = ocr.as_table(report, engine.name) + page_map.as_markdown(texts)
    keep_markdown(
        f"doc-{document_id}-{attempt}", told, f"Kết quả nhận dạng chữ của giấy tờ số {report.ordinal}, lần {attempt}"
    )
    return report
