"""The one list of checks, and how they are made: a part that fails in whatever way is a finding, never an end."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from blocks.errors import SohoaError
from blocks.orchestrator import PrefectUnavailable
from tasks.monitoring.checks import parts, stores, work
from tasks.monitoring.checks.finding import Check, Cost, Finding, Look, Seen, bad

DEAR = Cost.DEAR
# In the order in which they are shown. No incident: what is found has incidents of its own already (of a dossier, an
# archived object, the nightly check of the trail), or the check is dear and the watch doesn't make it.
CHECKS: tuple[Check, ...] = (
    Check("records", "Cơ sở dữ liệu hồ sơ", stores.records_database),
    Check("trail", "Nhật ký", stores.audit_trail, DEAR, brief=stores.newest_entries, incident=""),
    Check("objects", "Kho đối tượng", stores.object_store),
    Check("timestamps", "Dấu thời gian", parts.time_stamps, DEAR, incident=""),
    Check("certificate", "Chữ ký cơ quan", parts.agency_certificate, DEAR, incident=""),
    Check("orchestrator", "Điều phối", parts.orchestrator),
    Check("worker", "Worker", parts.worker),
    Check("gateway", "Cổng viên chức", parts.gateway),
    Check("metrics", "Số liệu", parts.figures),
    Check("reading", "Nhận dạng chữ", parts.reading, DEAR, incident=""),
    Check("sandbox", "Tệp lạ", parts.foreign_files, DEAR, incident=""),
    Check("disk", "Đĩa", stores.disk),
    Check("dossiers", "Hồ sơ", work.dossiers, incident=""),
    Check("queue", "Hàng đợi", work.queue, incident="QUEUE_TOO_LONG"),
    Check("services", "Việc định kỳ", work.services, incident="SERVICE_FAILED"),
    Check("preservation", "Bảo quản", stores.preservation, incident=""),
    Check("messages", "Tin gửi đi", work.messages),
    Check("partners", "Thông báo đối tác", work.partners, incident="CALLBACK_DEAD"),
    Check("reminders", "Thư chờ gửi", work.reminders, incident="MAIL_STUCK"),
    Check("mail", "Thư nhắc việc", parts.mail, DEAR, incident=""),
)


def checks(cost: Cost | None = None) -> list[Check]:
    """Those of one cost, or all."""
    return [check for check in CHECKS if cost in (None, check.cost)]


def examine(cost: Cost | None = None, *, brief: bool = False) -> Iterator[Finding]:
    """Each part in turn."""
    return (look_at(check, brief=brief) for check in checks(cost))


def look_at(check: Check, *, brief: bool = False) -> Finding:
    """Make one check now. brief: its short form, where it has one."""
    seen = _seen(check.brief if brief and check.brief else check.look)
    return Finding(check.key, check.part, seen.state, seen.seen, seen.advice, seen.details)


def _seen(look: Look) -> Seen:
    try:
        return look()
    except PrefectUnavailable as error:
        return bad(error.code, "chạy `make up`; đang chạy thì xem log/prefect.log")
    except SohoaError as error:
        return bad(error.code, error.text)
    except httpx.HTTPStatusError as error:
        return bad(f"HTTP {error.response.status_code}", "xem log/prefect.log")
    except Exception as error:  # the kind only: a message may carry what it was called with
        return bad(type(error).__name__, "xem `make status` và các tệp trong thư mục log")
