"""`sohoa doctor`: is each part fit for work? Nothing is believed: each check does what the product does with the part.

What is written for a check is taken away again, and nothing of a dossier is read but counts and ages.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import cv2
import httpx
import numpy as np
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import text
from sqlmodel import col, func, select

from blocks import fonts
from blocks.errors import SohoaError
from blocks.mail import Mail
from blocks.objects import Bucket, ObjectStore
from blocks.ocr.engine import OcrEngine
from blocks.orchestrator import Orchestrator, PrefectUnavailable
from blocks.records import RecordsDatabase
from blocks.records.audit import verify_chain
from blocks.records.migrate import VERSION_TABLE, configuration
from blocks.records.tables import ArchivedObject, Incident, Outbox
from blocks.sandbox import probe
from blocks.settings import home
from blocks.settings.sections import ConnectionSettings, MachineSettings
from blocks.signer import agency_signer
from blocks.trust import Trust, run
from deployments.automations import wanted
from deployments.setup import CLOSED_TO_UNKNOWN, POOL
from tasks.monitoring.audit_anchor import LATE, anchors
from tasks.monitoring.audit_anchor import newest as newest_anchor
from tasks.monitoring.audit_trail import look_through

FREE_BYTES = 2 << 30  # below: warned; the stack itself refuses to start below 500 MB
CERTIFICATE_DAYS, OLD_MESSAGE_HOURS = 30, 24
SENTENCE = "Bảo hiểm xã hội Việt Nam"


class State(StrEnum):
    GOOD = "ĐẠT"
    WARNING = "CẢNH BÁO"
    BAD = "LỖI"


@dataclass(frozen=True)
class Finding:
    """One part: what was seen, and what to do when it isn't good."""

    part: str
    state: State
    seen: str
    advice: str = ""


def good(seen: str) -> tuple[State, str, str]:
    return State.GOOD, seen, ""


def records_database() -> tuple[State, str, str]:
    records = RecordsDatabase.get()
    with records.session() as session:
        attempt = session.begin_nested()
        session.add(Incident(code="CANARY"))  # what flows and gateway alike may write
        session.flush()
        attempt.rollback()
        version = session.connection().execute(text("SHOW server_version")).scalar()
        context = MigrationContext.configure(session.connection(), opts={"version_table": VERSION_TABLE})
        have, want = context.get_current_revision(), ScriptDirectory.from_config(configuration()).get_current_head()
    if have != want:
        return State.BAD, f"lược đồ {have}, cần {want}", "chạy lại `make up` để nâng cấp lược đồ"
    return good(f"PostgreSQL {version}, lược đồ {have}, đọc và ghi được")


def audit_trail(newest: int | None = None) -> tuple[State, str, str]:
    """newest: for the page of operations, the chain's end alone; None: all of it, and the anchors outside."""
    advice = "không sửa gì; giữ nguyên máy, báo người phụ trách an toàn thông tin và đối chiếu bản sao lưu"
    if newest is not None:
        with RecordsDatabase.get().session() as session:
            wrong = verify_chain(session, newest=newest)
            against: list[str] = []
    else:
        report, found, against = look_through(RecordsDatabase.get(), ObjectStore.get(), Trust.get())
        wrong = found.all
    if wrong:
        return (
            State.BAD,
            f"{len(wrong)} dòng không khớp hoặc không do hệ thống ghi, đầu tiên là dòng {wrong[0]}",
            advice,
        )
    if against:
        return State.BAD, f"không khớp mốc neo: {', '.join(against[:5])}", advice
    if newest is not None:
        return good("chuỗi băm liền mạch")
    last = newest_anchor(anchors(ObjectStore.get()))
    if last is None or datetime.now(UTC) - last.at > LATE:
        seen = f"chuỗi băm liền mạch, mốc neo gần nhất {last.at:%d/%m/%Y %H:%M}" if last else "chưa có mốc neo nào"
        return State.WARNING, seen, "lập mốc neo bằng `sohoa anchor`, xem vì sao việc bảo quản hằng đêm không lập"
    return good(f"chuỗi băm liền mạch, khớp {report.anchors} mốc neo, gần nhất {last.at:%d/%m/%Y %H:%M}")


def object_store() -> tuple[State, str, str]:
    # One object for ever: most keys may not delete.
    objects, key, data = ObjectStore.get(), "canary/doctor", b"sohoa doctor"
    stored = objects.put_once(Bucket.INBOX, key, data, content_type="application/octet-stream")
    same = objects.read(Bucket.INBOX, key, version=stored.version, sha256=stored.sha256) == data
    if not (same and objects.records_are_locked()):
        return State.BAD, "kho lưu trữ không khóa được đối tượng", "tạo lại kho bản lưu có object lock (Điều 11)"
    return good("ghi, đọc được; kho bản lưu có khóa")


def time_stamps() -> tuple[State, str, str]:
    async def ask() -> Any:
        stamper = Trust.get().timestamper()
        return await stamper.async_timestamp(os.urandom(32), "sha256")  # refuses when the clocks differ

    token = run(ask())
    told: datetime = token["content"]["encap_content_info"]["content"].parsed["gen_time"].native
    return good(f"cấp được dấu thời gian, lệch đồng hồ {abs((told - datetime.now(UTC)).total_seconds()):.0f} giây")


def agency_certificate() -> tuple[State, str, str]:
    signer = agency_signer()
    run(Trust.get().check(signer.certificate))  # path, dates, revocation, usage
    ends: datetime = signer.certificate.not_valid_after
    seen = f"chứng thư số hợp lệ đến {ends:%d/%m/%Y}" + (", khóa THỬ NGHIỆM" if signer.test else "")
    if ends - datetime.now(UTC) < timedelta(days=CERTIFICATE_DAYS):
        return State.WARNING, seen, "xin gia hạn chứng thư số cơ quan trước ngày hết hạn"
    return good(seen)


def orchestrator() -> tuple[State, str, str]:
    prefect = Orchestrator()
    version = prefect.call("GET", "/admin/version").raise_for_status().json()
    missing = [n for n in CLOSED_TO_UNKNOWN if prefect.call("GET", f"/deployments/name/{n}").status_code != 200]
    if missing:
        return State.BAD, f"thiếu {', '.join(missing)}", "chạy lại `make up` để đăng ký các lượt xử lý"
    listed = prefect.call("POST", "/automations/filter", {"limit": 200}).raise_for_status().json()
    unset = {a.name for a in wanted(UUID(int=0))} - {a["name"] for a in listed if a["enabled"]}
    if unset:
        return State.WARNING, f"không bật {', '.join(sorted(unset))}", "bật lại trong Prefect, hoặc chạy lại `make up`"
    late = prefect.call("POST", "/flow_runs/count", {"flow_runs": {"state": {"name": {"any_": ["Late"]}}}}).json()
    if late:
        return State.WARNING, f"Prefect {version}, {late} lượt xử lý bị trễ", "xem worker có chạy không (make status)"
    return good(f"Prefect {version}, đủ {len(CLOSED_TO_UNKNOWN)} cách xử lý")


def worker() -> tuple[State, str, str]:
    found = Orchestrator().call("POST", f"/work_pools/{POOL}/workers/filter", {}).raise_for_status().json()
    online = [w for w in found if w["status"] == "ONLINE"]
    if not online:
        return State.BAD, "không có worker nào hoạt động", "chạy `make up`; xem log/worker.log"
    return good(f"{len(online)} worker đang hoạt động")


def gateway() -> tuple[State, str, str]:
    """Asked on this machine: a proxy in front of it is the office's."""
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{MachineSettings().port_gateway}") as desk:
            asked = desk.get("/dang-nhap", timeout=20)
    except httpx.TransportError:
        return State.BAD, "không trả lời", "chạy `make up`; xem log/gateway.log"
    if not asked.is_redirect:
        return State.BAD, "không đăng nhập được", "kiểm tra dịch vụ đăng nhập (SOHOA_OIDC_ISSUER); xem log/gateway.log"
    return good("trả lời, đăng nhập qua " + httpx.URL(asked.headers["location"]).host)


def figures() -> tuple[State, str, str]:
    try:
        told = httpx.get(f"http://127.0.0.1:{MachineSettings().port_metrics}/metrics", timeout=20).text
    except httpx.TransportError:
        return State.WARNING, "không trả lời", "chạy `make up`; xem log/metrics.log"
    if silent := re.findall(r'^sohoa_source_up\{source="(\w+)"\} 0', told, re.M):
        return State.WARNING, f"thiếu nguồn {', '.join(silent)}", "khắc phục bộ phận đó; xem log/metrics.log"
    return good(f"{told.count('# TYPE sohoa_')} số liệu cho Prometheus")


def reading() -> tuple[State, str, str]:
    engine = OcrEngine.get()
    page = Image.new("RGB", (1240, 400), "white")
    ImageDraw.Draw(page).text((120, 150), SENTENCE, font=ImageFont.truetype(str(fonts.REGULAR), 44), fill=(20, 20, 20))
    found = engine.read(np.asarray(cv2.GaussianBlur(np.asarray(page), (0, 0), 0.6)), 150).text
    if found != SENTENCE:
        return State.BAD, f"đọc thành “{found}”", "cài đặt lại (xóa .venv rồi `make setup`); mô hình có thể bị hỏng"
    return good(engine.name)


def disk() -> tuple[State, str, str]:
    free = shutil.disk_usage(home()).free
    if free < FREE_BYTES:
        return State.WARNING, f"còn {free / 1e9:.1f} GB", "dọn đĩa hoặc thêm dung lượng; dưới 0,5 GB hệ thống dừng nhận"
    return good(f"còn {free / 1e9:.0f} GB")


def dossiers() -> tuple[State, str, str]:
    prefect = Orchestrator()
    waiting = prefect.count(flow="dossier", state={"type": {"any_": ["PAUSED"]}})
    failed = prefect.count(state={"type": {"any_": ["FAILED", "CRASHED"]}})
    seen = f"{waiting} hồ sơ chờ viên chức, {failed} lượt xử lý lỗi"
    if failed:
        return State.WARNING, seen, "mở từng lượt lỗi trên giao diện Prefect, khắc phục theo mã lỗi rồi bấm Retry"
    return good(seen)


def preservation() -> tuple[State, str, str]:
    with RecordsDatabase.get().session() as session:
        damaged = session.exec(select(func.count()).where(col(ArchivedObject.intact).is_(False))).one()
        oldest = session.exec(select(func.min(ArchivedObject.checked_at))).one()
        due = session.exec(select(func.count()).where(col(ArchivedObject.renew_before) < datetime.now(UTC))).one()
        incidents = session.exec(select(func.count()).where(col(Incident.closed_at).is_(None))).one()
    if damaged or due:
        return State.BAD, f"{damaged} bản lưu hỏng, {due} quá hạn gia hạn", "xem sự cố đang mở và báo cáo bảo quản"
    if incidents:
        return State.WARNING, f"{incidents} sự cố đang mở", "xem và đóng từng sự cố ở trang /su-co"
    return good("không có sự cố; " + (f"kiểm tra toàn vẹn từ {oldest:%d/%m/%Y}" if oldest else "chưa có bản lưu"))


def messages() -> tuple[State, str, str]:
    limit = datetime.now(UTC) - timedelta(hours=OLD_MESSAGE_HOURS)
    with RecordsDatabase.get().session() as session:
        open_ = select(func.count()).where(col(Outbox.delivered_at).is_(None))
        count, old = session.exec(open_).one(), session.exec(open_.where(col(Outbox.created_at) < limit)).one()
    if old and ConnectionSettings().portal_url:
        return State.WARNING, f"{count} tin chờ gửi, {old} tin quá {OLD_MESSAGE_HOURS} giờ", "kiểm tra kết nối với cổng"
    return good(f"{count} tin chờ gửi")


def mail() -> tuple[State, str, str]:
    server = Mail()
    if not server.on:
        return good("chưa cài máy chủ thư, chỉ nhắc trong danh sách việc")
    with server.connected() as session:
        session.noop()
    return good("máy chủ thư nhận kết nối và đăng nhập")


def foreign_files() -> tuple[State, str, str]:
    """Tried from inside the process that opens files from outside."""
    walls, open_ = probe.look()
    seen = f"tệp lạ mở trong tiến trình cách ly: {', '.join(walls) or 'KHÔNG có lớp nào'}"
    advice = "dùng nhân Linux từ 5.13 có Landlock và seccomp, cho phép không gian tên (user namespaces)"
    if open_:
        return State.BAD, f"{seen}; vẫn làm được: {', '.join(open_)}", advice
    return good(seen)


CHECKS: tuple[tuple[str, Callable[[], tuple[State, str, str]]], ...] = (
    ("Cơ sở dữ liệu hồ sơ", records_database),
    ("Nhật ký", audit_trail),
    ("Kho đối tượng", object_store),
    ("Dấu thời gian", time_stamps),
    ("Chữ ký cơ quan", agency_certificate),
    ("Điều phối", orchestrator),
    ("Worker", worker),
    ("Cổng viên chức", gateway),
    ("Số liệu", figures),
    ("Nhận dạng chữ", reading),
    ("Tệp lạ", foreign_files),
    ("Đĩa", disk),
    ("Hồ sơ", dossiers),
    ("Bảo quản", preservation),
    ("Tin gửi đi", messages),
    ("Thư nhắc việc", mail),
)


class NotSetUp(SohoaError):
    """No stack was ever started with this SOHOA_HOME: no part of it needs to be looked at."""

    code = "NOT_SET_UP"
    message = (
        "Hệ thống chưa được cài đặt tại {home}; vui lòng chạy `make up` (cài từ gói: `python -m infra.local up`), "
        "hoặc đặt biến SOHOA_HOME là thư mục của hệ thống đã có."
    )


def need_set_up() -> None:
    """Raises NotSetUp."""
    if not os.environ.get("SOHOA_ENVIRONMENT"):
        raise NotSetUp(home=home())


def examine(newest: int | None = None) -> Iterator[Finding]:
    """Each part in turn. A part that fails in whatever way is a finding, never an end.

    newest: so many entries of the audit trail are read, the last ones; None: all.
    """
    for part, check in CHECKS:
        try:
            yield Finding(part, *(audit_trail(newest) if check is audit_trail else check()))
        except PrefectUnavailable as error:
            yield Finding(part, State.BAD, error.code, "chạy `make up`; đang chạy thì xem log/prefect.log")
        except SohoaError as error:
            yield Finding(part, State.BAD, error.code, error.text)
        except httpx.HTTPStatusError as error:
            yield Finding(part, State.BAD, f"HTTP {error.response.status_code}", "xem log/prefect.log")
        except Exception as error:  # the kind only: a message may carry what it was called with
            yield Finding(part, State.BAD, type(error).__name__, "xem `make status` và các tệp trong thư mục log")
