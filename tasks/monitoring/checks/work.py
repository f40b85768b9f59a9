"""Checks of the work itself: runs that failed, queues, and messages that nobody takes. Counts and ids of runs only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import col, func, select

from blocks.orchestrator import DOSSIER, WATCH, Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Outbox
from blocks.settings.sections import ConnectionSettings
from tasks.monitoring import notices
from tasks.monitoring.checks.finding import Seen, good, warning
from tasks.partner_cases import callbacks

LATE_RUNS = 10  # more dossiers than that wait for a free place: the queue is too long
MAIL_STUCK = timedelta(minutes=30)
OLD_MESSAGE_HOURS = 24


def dossiers() -> Seen:
    prefect = Orchestrator()
    waiting = prefect.count(flow=DOSSIER, state={"type": {"any_": ["PAUSED"]}})
    failed = prefect.count(state={"type": {"any_": ["FAILED", "CRASHED"]}})
    seen = f"{waiting} hồ sơ chờ viên chức, {failed} lượt xử lý lỗi"
    if failed:
        return warning(seen, "mở từng lượt lỗi trên giao diện Prefect, khắc phục theo mã lỗi rồi bấm Retry")
    return good(seen)


def queue() -> Seen:
    late = Orchestrator().count(flow=DOSSIER, state={"name": {"any_": ["Late"]}})
    seen = f"{late} hồ sơ chờ chỗ trống"
    if late > LATE_RUNS:
        return warning(seen, "xem máy có bị treo không; thường xuyên thì tăng SOHOA_WORKER_LIMIT", runs=late)
    return good(seen)


def services() -> Seen:
    """The flows that carry no dossier: the newest run of each counts. The watch doesn't judge itself."""
    prefect = Orchestrator()
    flows = [flow for flow in prefect.flows() if flow not in (DOSSIER, WATCH)]
    newest = [run for flow in flows for run in prefect.ended("COMPLETED", "FAILED", "CRASHED", flow=flow)]
    failed = [run["id"] for run in newest if run["state_type"] != "COMPLETED"]
    if failed:
        return warning(f"{len(failed)} việc lỗi lần gần nhất", "xem nhật ký lượt đó trong Prefect", flow_runs=failed)
    return good(f"{len(newest)} việc đã chạy, lần gần nhất đều xong")


def messages() -> Seen:
    limit = datetime.now(UTC) - timedelta(hours=OLD_MESSAGE_HOURS)
    with RecordsDatabase.get().session() as session:
        open_ = select(func.count()).where(col(Outbox.delivered_at).is_(None))
        count, old = session.exec(open_).one(), session.exec(open_.where(col(Outbox.created_at) < limit)).one()
    if old and ConnectionSettings().portal_url:
        return warning(f"{count} tin chờ gửi, {old} tin quá {OLD_MESSAGE_HOURS} giờ", "kiểm tra kết nối với cổng")
    return good(f"{count} tin chờ gửi")


def reminders() -> Seen:
    limit = datetime.now(UTC) - MAIL_STUCK
    with RecordsDatabase.get().session() as session:
        open_ = select(func.count()).where(Outbox.topic == notices.TOPIC, col(Outbox.delivered_at).is_(None))
        stuck = session.exec(open_.where(col(Outbox.created_at) < limit)).one()
    if stuck:
        return warning(f"{stuck} thư chưa gửi được", "kiểm tra máy chủ thư (SOHOA_SMTP_URL)", messages=stuck)
    return good("không có thư bị kẹt")


def partners() -> Seen:
    with RecordsDatabase.get().session() as session:
        unheard = session.exec(select(func.count()).where(*callbacks.DEAD)).one()
    if unheard:
        advice = "`sohoa partner list` cho biết đối tác nào; báo họ, rồi gửi lại bằng `sohoa partner resend <mã>`"
        return warning(f"{unheard} thông báo đối tác không nhận", advice, messages=unheard)
    return good("không có thông báo bị từ chối")
