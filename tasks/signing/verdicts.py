"""What a signing step did, for operations: a row a signature, as verified just then; no person is named (WH04)."""

from __future__ import annotations

from sqlmodel import col, select

from blocks.clock import vietnam_time
from blocks.records import RecordsDatabase
from blocks.records.tables import Document
from tasks.artifacts import keep_markdown
from tasks.signing.batch import Batch
from tasks.signing.report import ROLES


def as_table(records: RecordsDatabase, batch: Batch) -> str:
    """Rows by the documents' numbers (Markdown, Vietnamese); empty for an empty batch."""
    ids = [*batch.signed, *batch.waiting, *batch.failed]
    with records.session() as session:
        found = session.exec(select(Document.id, Document.ordinal).where(col(Document.id).in_(ids)))
        ordinals = {document: ordinal for document, ordinal in found}
    rows = [
        (
            ordinals[document],
            ROLES[made.role.value],
            made.level,
            "hợp lệ" if made.valid else "KHÔNG hợp lệ",
            vietnam_time(made.signed_at),
            "TEST" if made.test else "–",
        )
        for document, reports in batch.signed.items()
        for made in reports
    ]
    rows += [(ordinals[one], "–", "–", "chờ người ký xác nhận trên điện thoại", "–", "–") for one in batch.waiting]
    rows += [(ordinals[one], "–", "–", f"chưa ký: `{error.code}`", "–", "–") for one, error in batch.failed.items()]
    if not rows:
        return ""
    head = ("| Số | Chữ ký | Mức | Kết quả | Lúc | Thử nghiệm |", "|---|---|---|---|---|---|")
    return "\n".join([*head, *(f"| {' | '.join(map(str, row))} |" for row in sorted(rows, key=lambda row: row[0]))])


def show_verdicts(records: RecordsDatabase, batch: Batch, step: str, about: str) -> None:
    """As an artifact of the run, also of a batch that failed in part. step: tells the signing steps of a run apart."""
    if table := as_table(records, batch):
        keep_markdown(f"chu-ky-{step}", table, about)
