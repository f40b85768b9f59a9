"""Checks of what keeps the dossiers: database, audit trail, object store, disk, archive.

A part of the stack may do less than another with a store: it tries what it may do, and says so.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from functools import cache

import httpx
from sqlalchemy import text
from sqlmodel import Session, col, func, select

from blocks.objects import Bucket, ObjectStore, ObjectStoreUnavailable
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.tables import ArchivedObject, Incident
from blocks.settings import home, load_stack_env
from blocks.trust import Trust
from tasks.monitoring.audit_anchor import LATE, anchors
from tasks.monitoring.audit_anchor import newest as newest_anchor
from tasks.monitoring.audit_trail import look_through
from tasks.monitoring.checks.finding import Seen, bad, good, warning

FREE_BYTES = 2 << 30  # below: warned; the stack itself refuses to start below 500 MB
BRIEF_ENTRIES = 5_000  # of the trail, under a second; the whole trail is read each night (audit_trail.py)
SECONDS = 10  # for an answer of the object store to who has no key


def records_database() -> Seen:
    with RecordsDatabase.get().session() as session:
        writes = session.connection().execute(text("SELECT has_table_privilege('incident', 'INSERT')")).scalar()
        if writes:
            attempt = session.begin_nested()
            session.add(Incident(code="CANARY"))  # what flows and gateway alike may write
            session.flush()
            attempt.rollback()
        version = session.connection().execute(text("SHOW server_version")).scalar()
        have, want = _revision(session), _wanted_revision()
    if have != want:
        return bad(f"lược đồ {have}, cần {want}", "chạy lại `make up` để nâng cấp lược đồ")
    return good(f"PostgreSQL {version}, lược đồ {have}, " + ("đọc và ghi được" if writes else "đọc được"))


def _revision(session: Session) -> str | None:
    from alembic.migration import MigrationContext

    from blocks.records.migrate import VERSION_TABLE

    context = MigrationContext.configure(session.connection(), opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


@cache
def _wanted_revision() -> str | None:
    """The schema that this code is written for: it can't change while the process runs."""
    from alembic.script import ScriptDirectory

    from blocks.records.migrate import configuration

    return ScriptDirectory.from_config(configuration()).get_current_head()


TRAIL_ADVICE = "không sửa gì; giữ nguyên máy, báo người phụ trách an toàn thông tin và đối chiếu bản sao lưu"


def audit_trail() -> Seen:
    """All of it, and the anchors outside the database."""
    report, found, against = look_through(RecordsDatabase.get(), ObjectStore.get(), Trust.get())
    if found.all:
        return _broken(found.all)
    if against:
        return bad(f"không khớp mốc neo: {', '.join(against[:5])}", TRAIL_ADVICE)
    last = newest_anchor(anchors(ObjectStore.get()))
    if last is None or datetime.now(UTC) - last.at > LATE:
        seen = f"chuỗi băm liền mạch, mốc neo gần nhất {last.at:%d/%m/%Y %H:%M}" if last else "chưa có mốc neo nào"
        return warning(seen, "lập mốc neo bằng `sohoa anchor`, xem vì sao việc bảo quản hằng đêm không lập")
    return good(f"chuỗi băm liền mạch, khớp {report.anchors} mốc neo, gần nhất {last.at:%d/%m/%Y %H:%M}")


def newest_entries() -> Seen:
    """The end of the trail alone."""
    with RecordsDatabase.get().session() as session:
        wrong = verify_chain(session, newest=BRIEF_ENTRIES)
    return _broken(wrong) if wrong else good("chuỗi băm liền mạch")


def _broken(wrong: list[int]) -> Seen:
    seen = f"{len(wrong)} dòng không khớp hoặc không do hệ thống ghi, đầu tiên là dòng {wrong[0]}"
    return bad(seen, TRAIL_ADVICE)


def object_store() -> Seen:
    load_stack_env()
    objects = ObjectStore.get()
    if objects.access_key_env not in os.environ:  # the metrics have no key of the store
        return _store_answers(os.environ[objects.endpoint_env])
    # One object for ever: most keys may not delete.
    key, data = "canary/doctor", b"sohoa doctor"
    stored = objects.put_once(Bucket.INBOX, key, data, content_type="application/octet-stream")
    same = objects.read(Bucket.INBOX, key, version=stored.version, sha256=stored.sha256) == data
    if not (same and objects.records_are_locked()):
        return bad("kho lưu trữ không khóa được đối tượng", "tạo lại kho bản lưu có object lock (Điều 11)")
    return good("ghi, đọc được; kho bản lưu có khóa")


def _store_answers(endpoint: str) -> Seen:
    """Any answer but a fault of its own: without a key the right one is a refusal. Raises ObjectStoreUnavailable."""
    try:
        answer = httpx.get(endpoint, timeout=SECONDS)
    except httpx.TransportError as error:
        raise ObjectStoreUnavailable() from error
    if answer.status_code >= 500:
        raise ObjectStoreUnavailable()
    return good("trả lời")


def disk() -> Seen:
    free = shutil.disk_usage(home()).free
    if free < FREE_BYTES:
        return warning(f"còn {free / 1e9:.1f} GB", "dọn đĩa hoặc thêm dung lượng; dưới 0,5 GB hệ thống dừng nhận")
    return good(f"còn {free / 1e9:.0f} GB")


def preservation() -> Seen:
    with RecordsDatabase.get().session() as session:
        damaged = session.exec(select(func.count()).where(col(ArchivedObject.intact).is_(False))).one()
        oldest = session.exec(select(func.min(ArchivedObject.checked_at))).one()
        due = session.exec(select(func.count()).where(col(ArchivedObject.renew_before) < datetime.now(UTC))).one()
        incidents = session.exec(select(func.count()).where(col(Incident.closed_at).is_(None))).one()
    if damaged or due:
        return bad(f"{damaged} bản lưu hỏng, {due} quá hạn gia hạn", "xem sự cố đang mở và báo cáo bảo quản")
    if incidents:
        return warning(f"{incidents} sự cố đang mở", "xem và đóng từng sự cố ở trang /su-co")
    return good("không có sự cố; " + (f"kiểm tra toàn vẹn từ {oldest:%d/%m/%Y}" if oldest else "chưa có bản lưu"))
