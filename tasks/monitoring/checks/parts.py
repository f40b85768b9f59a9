"""Checks of what runs: orchestrator, worker, desk, metrics, and what signs, reads and opens files."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from blocks.mail import Mail
from blocks.orchestrator import AUTOMATIONS, DEPLOYED, POOL, Orchestrator
from blocks.settings.sections import MachineSettings
from blocks.signer import agency_signer
from blocks.trust import Trust, run
from tasks.monitoring.checks.finding import Seen, bad, good, warning

CERTIFICATE_DAYS = 30
SECONDS = 20  # for an answer of desk and metrics
SENTENCE = "Bảo hiểm xã hội Việt Nam"


def orchestrator() -> Seen:
    prefect = Orchestrator()
    version = prefect.call("GET", "/admin/version").raise_for_status().json()
    missing = [n for n in DEPLOYED if prefect.call("GET", f"/deployments/name/{n}").status_code != 200]
    if missing:
        return bad(f"thiếu {', '.join(missing)}", "chạy lại `make up` để đăng ký các lượt xử lý")
    listed = prefect.call("POST", "/automations/filter", {"limit": 200}).raise_for_status().json()
    unset = set(AUTOMATIONS) - {a["name"] for a in listed if a["enabled"]}
    if unset:
        return warning(f"không bật {', '.join(sorted(unset))}", "bật lại trong Prefect, hoặc chạy lại `make up`")
    late = prefect.count(state={"name": {"any_": ["Late"]}})
    if late:
        return warning(f"Prefect {version}, {late} lượt xử lý bị trễ", "xem worker có chạy không (make status)")
    return good(f"Prefect {version}, đủ {len(DEPLOYED)} quy trình xử lý")


def worker() -> Seen:
    found = Orchestrator().call("POST", f"/work_pools/{POOL}/workers/filter", {}).raise_for_status().json()
    online = [w for w in found if w["status"] == "ONLINE"]
    if not online:
        return bad("không có worker nào hoạt động", "chạy `make up`; xem log/worker.log")
    return good(f"{len(online)} worker đang hoạt động")


def gateway() -> Seen:
    """Asked on this machine: a proxy in front of it is the office's."""
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{MachineSettings().port_gateway}") as desk:
            asked = desk.get("/dang-nhap", timeout=SECONDS)
    except httpx.TransportError:
        return bad("không trả lời", "chạy `make up`; xem log/gateway.log")
    if not asked.is_redirect:
        return bad("không đăng nhập được", "kiểm tra dịch vụ đăng nhập (SOHOA_OIDC_ISSUER); xem log/gateway.log")
    return good("trả lời, đăng nhập qua " + httpx.URL(asked.headers["location"]).host)


def figures() -> Seen:
    try:
        page = httpx.get(f"http://127.0.0.1:{MachineSettings().port_metrics}/metrics", timeout=SECONDS).text
    except httpx.TransportError:
        return warning("không trả lời", "chạy `make up`; xem log/metrics.log")
    if silent := re.findall(r'^sohoa_source_up\{source="(\w+)"\} 0', page, re.M):
        return warning(f"thiếu nguồn {', '.join(silent)}", "khắc phục bộ phận đó; xem log/metrics.log")
    return good(f"{page.count('# TYPE sohoa_')} số liệu cho Prometheus")


def time_stamps() -> Seen:
    async def ask() -> Any:
        stamper = Trust.get().timestamper()
        return await stamper.async_timestamp(os.urandom(32), "sha256")  # refuses when the clocks differ

    token = run(ask())
    told: datetime = token["content"]["encap_content_info"]["content"].parsed["gen_time"].native
    return good(f"cấp được dấu thời gian, lệch đồng hồ {abs((told - datetime.now(UTC)).total_seconds()):.0f} giây")


def agency_certificate() -> Seen:
    signer = agency_signer()
    run(Trust.get().check(signer.certificate))  # path, dates, revocation, usage
    ends: datetime = signer.certificate.not_valid_after
    seen = f"chứng thư số hợp lệ đến {ends:%d/%m/%Y}" + (", khóa THỬ NGHIỆM" if signer.test else "")
    if ends - datetime.now(UTC) < timedelta(days=CERTIFICATE_DAYS):
        return warning(seen, "xin gia hạn chứng thư số cơ quan trước ngày hết hạn")
    return good(seen)


def reading() -> Seen:
    import cv2
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from blocks import fonts
    from blocks.ocr.engine import OcrEngine

    engine = OcrEngine.get()
    page = Image.new("RGB", (1240, 400), "white")
    ImageDraw.Draw(page).text((120, 150), SENTENCE, font=ImageFont.truetype(str(fonts.REGULAR), 44), fill=(20, 20, 20))
    found = engine.read(np.asarray(cv2.GaussianBlur(np.asarray(page), (0, 0), 0.6)), 150).text
    if found != SENTENCE:
        return bad(f"đọc thành “{found}”", "cài đặt lại (xóa .venv rồi `make setup`); mô hình có thể bị hỏng")
    return good(engine.name)


def foreign_files() -> Seen:
    """Tried from inside the process that opens files from outside."""
    from blocks.sandbox import probe

    walls, open_ = probe.look()
    seen = f"tệp lạ mở trong tiến trình cách ly: {', '.join(walls) or 'KHÔNG có lớp nào'}"
    advice = "dùng nhân Linux từ 5.13 có Landlock và seccomp, cho phép không gian tên (user namespaces)"
    if open_:
        return bad(f"{seen}; vẫn làm được: {', '.join(open_)}", advice)
    return good(seen)


def mail() -> Seen:
    server = Mail()
    if not server.on:
        return good("chưa cài máy chủ thư, chỉ nhắc trong danh sách việc")
    with server.connected() as session:
        session.noop()
    return good("máy chủ thư nhận kết nối và đăng nhập")
