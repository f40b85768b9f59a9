"""A round of preservation (QĐ 1333, Điều 11.5; LU06): locks that are kept long enough, and what operations read of it.

The round itself is `flows/preservation.py`; objects are looked at in `fixity.py`, proofs renewed in `renewal.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from blocks.errors import SohoaError
from blocks.objects import (
    Bucket,
    ObjectStore,
)
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import locked
from blocks.records.tables import ArchivedObject, Document
from blocks.settings import in_production
from blocks.trust import clock
from tasks.archive.fixity import FixityReport
from tasks.archive.store import FOREVER_YEARS
from tasks.prefect_task import one_by_one


class NotPreserved(SohoaError):
    """An object is damaged and its bytes are nowhere else, or a proof could not be renewed."""

    code, rule = "NOT_PRESERVED", "LU06"
    message = (
        "Có bản lưu bị hỏng chưa khôi phục được hoặc chưa gia hạn được dấu thời gian; "
        "vui lòng báo quản trị viên xem báo cáo bảo quản và khôi phục từ bản sao dự phòng."
    )


def extend_locks(records: RecordsDatabase, objects: ObjectStore) -> int:
    """A lock needs a date: one "for ever" is set anew while half of it is left. Returns how many."""
    limit = clock() + timedelta(days=365 * FOREVER_YEARS // 2)
    until = clock() + timedelta(days=365 * FOREVER_YEARS)

    def extend(object_id: UUID) -> None:
        with records.session() as session:
            row = locked(session, ArchivedObject, object_id)
            objects.extend_lock(Bucket.RECORDS, row.object_key, row.version, until)
            row.locked_until = until
            session.add(row)

    return len(one_by_one(_short_locks(records, limit), extend))


def _short_locks(records: RecordsDatabase, limit: datetime) -> list[UUID]:
    if not in_production():
        return []  # there locks are short on purpose
    query = (
        select(ArchivedObject.id)
        .join(Document, col(Document.id) == ArchivedObject.document_id)
        .where(col(Document.retain_until).is_(None), col(ArchivedObject.locked_until) < limit)
    )
    with records.session() as session:
        return list(session.exec(query).all())


def report_preservation(
    records: RecordsDatabase, checks: list[FixityReport], renewed: list[UUID], failed: list[UUID], locks: int
) -> str:
    """One table for operations: counts and ids, no personal data (Markdown). The trail keeps the counts, too."""
    damaged = [item for report in checks for item in report.damaged]
    restored = [item for report in checks for item in report.restored]
    rows = [
        ("Bản lưu đã kiểm tra", sum(report.checked for report in checks)),
        ("Bản lưu bị hỏng", len(damaged)),
        ("Bản lưu chưa xem được", sum(len(report.unread) for report in checks)),
        ("Đã khôi phục", len(restored)),
        ("Hồ sơ đã gia hạn dấu thời gian", len(renewed)),
        ("Gia hạn không thành công", len(failed)),
        ("Khóa lưu trữ được kéo dài", locks),
    ]
    table = "\n".join(["| Nội dung | Số lượng |", "|---|---|", *(f"| {name} | {count} |" for name, count in rows)])
    lost = [item for item in damaged if item not in restored]
    for title, ids in (("Chưa khôi phục được", lost), ("Gia hạn không thành công", failed)):
        if ids:
            table += f"\n\n**{title}:**\n" + "\n".join(f"- `{item}`" for item in ids)
    with records.session() as session:
        _audit_run(session, checks, renewed, failed)
    return table


def _audit_run(session: Session, checks: list[FixityReport], renewed: list[UUID], failed: list[UUID]) -> None:
    counts = {
        "checked": sum(report.checked for report in checks),
        "damaged": sum(len(report.damaged) for report in checks),
        "unread": sum(len(report.unread) for report in checks),
        "restored": sum(len(report.restored) for report in checks),
        "renewed": len(renewed),
        "failed": len(failed),
    }
    audit(session, actor="system", action="preservation", rule="LU06", details=counts)
