"""Steps of monitoring for Prefect: each is the function of the same name, with this installation's services."""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.catalog.staff import load_staff
from blocks.clock import vietnam_day
from blocks.ids import DossierId
from blocks.mail import Mail
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.trust import Trust
from tasks.artifacts import keep_markdown
from tasks.monitoring import (
    audit_anchor,
    audit_rows,
    audit_trail,
    case_report,
    deadlines,
    notices,
    reminders,
    run_faults,
)
from tasks.prefect_task import step
from tasks.progress import announce as announce_here


@step("Neo nhật ký: ký số, đóng dấu thời gian, khóa", rule="P14")
def anchor_trail() -> int:
    """Each night, once the trail was found whole. Returns the anchor's number."""
    return audit_anchor.anchor_trail(RecordsDatabase.get(), ObjectStore.get(), Trust.get(), "system").serial


@step("Đối chiếu sổ giao nhận, kho, tin gửi đi, sự cố, tiêu hủy với nhật ký", rule="P14")
def check_rows(since: int) -> audit_rows.RowsReport:
    """Each night what is newer than the newest anchor, each Sunday all. since: as of the check of the trail."""
    return audit_rows.check_rows(RecordsDatabase.get(), since)


@step("Kiểm tra chuỗi băm, dấu niêm phong và mốc neo của nhật ký", rule="P14")
def check_trail() -> audit_trail.TrailReport:
    """Each night from the newest anchor on, each Sunday from the first entry. Raises TrailBroken."""
    whole = vietnam_day().weekday() == audit_trail.SUNDAY
    return audit_trail.check_trail(RecordsDatabase.get(), "system", ObjectStore.get(), Trust.get(), whole=whole)


@step("Tổng kết hồ sơ")
def report_dossier(dossier_id: DossierId) -> str:
    """What became of the dossier, as an artifact of its run; made once, here in the cached task."""
    text = case_report.report_dossier(RecordsDatabase.get(), dossier_id)
    keep_markdown(f"tong-ket-{dossier_id}", text, "Tổng kết xử lý hồ sơ")
    announce_here(dossier_id)
    return text


@step("Xem hạn trả kết quả", rule="WH03")
def note_deadlines() -> int:
    """Note and tell what has come near. Returns how many dossiers that were."""
    records = RecordsDatabase.get()
    near = deadlines.note_deadlines(records, Catalog.get())
    deadlines.tell(records, near)
    return len(near)


@step("Gửi thư nhắc việc", rule="WH03")
def send_notices() -> notices.Delivery:
    """Everything that waits for the mail server."""
    return notices.send_notices(RecordsDatabase.get(), load_staff(), Mail())


@step("Nhắc việc, báo lãnh đạo", rule="WH03")
def remind_officers() -> reminders.Reminded:
    """Everything that waits for officers now."""
    return reminders.remind_officers(RecordsDatabase.get(), Orchestrator(), Catalog.get(), load_staff())


@step("Xem các bộ phận", rule="P14")
def look_after_parts() -> run_faults.WatchResult:
    """An incident for parts that don't work."""
    return run_faults.look_after_parts(RecordsDatabase.get(), load_staff())


@step("Xem các lượt xử lý, hàng đợi", rule="P14")
def look_after_runs() -> run_faults.WatchResult:
    """Incidents for what is wrong now; old runs are deleted."""
    return run_faults.look_after_runs(RecordsDatabase.get(), Orchestrator(), Catalog.get(), load_staff())
