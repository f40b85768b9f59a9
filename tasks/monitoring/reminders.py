"""Nhắc việc, báo lãnh đạo: what an officer leaves waiting is called to mind, then shown to the unit's leader.

Nothing is ever decided by silence: a reminder and an escalation are entries of the audit trail, lines in the worklist
and, where mail is set up, messages. Each once per pause and level (QĐ 352, Điều 12; deadlines in working days).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import update
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, Staff, four_eyes
from blocks.clock import VIET_NAM
from blocks.ids import FlowRunId
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.named import naming
from blocks.records.queries import locked
from blocks.records.tables import Dossier, Waiting
from blocks.records.waiting import OUTAGE, at_a_pause, forget_all_but, page, place, wait_at
from blocks.settings import gateway_url
from blocks.settings.sections import ReminderSettings
from tasks.desk_views.worklist import ESCALATED, REMINDED, Item, days_left, reminders_of, worklist
from tasks.monitoring.notices import note
from tasks.pauses.registry import pauses
from tasks.prefect_task import one_by_one

OFFICE_HOURS = range(7, 18)  # of Viet Nam; nobody is reminded at night
DOSSIER = "dossier"  # the flow
AT_ONCE = 200  # rows
SETTLED = timedelta(minutes=10)  # a row is written just before its run suspends
GRACE = timedelta(hours=2)  # a dossier whose deadline is near anyway: not in the minute in which it arrives


class Reminded(BaseModel):
    """How many dossiers were called to mind, and to how many messages that led."""

    reminded: int = 0
    escalated: int = 0
    messages: int = 0


def levels(item: Item, waited: int, at: datetime, limits: ReminderSettings) -> list[str]:
    """What is due for a waiting dossier. waited: whole working days since it began to wait."""
    long_enough = at - item.since >= GRACE
    due = []
    if waited >= limits.remind_after_days or (item.near and long_enough):
        due.append(REMINDED)
    if waited >= limits.escalate_after_days or (item.left is not None and item.left <= 0 and long_enough):
        due.append(ESCALATED)
    return due


def sweep(
    records: RecordsDatabase,
    catalog: Catalog,
    staff: Staff,
    rows: Iterable[Waiting],
    *,
    at: datetime | None = None,
    limits: ReminderSettings | None = None,
) -> Reminded:
    """Look over what waits, on working days within office hours. Safe to run as often as one likes."""
    moment, bounds, reminded = at or datetime.now(UTC), limits or ReminderSettings(), Reminded()
    local = moment.astimezone(VIET_NAM)
    if local.hour not in OFFICE_HOURS or not catalog.is_working_day(local.date()):
        return reminded

    def look(item: Item) -> None:
        waited = days_left(catalog, item.since.astimezone(VIET_NAM).date(), local.date())
        pause = pauses().get(item.pause)
        for level in levels(item, waited, moment, bounds):
            if level == ESCALATED and pause and pause.waits_for_citizen:
                continue
            if (level == REMINDED and item.reminded_at) or (level == ESCALATED and item.escalated_at):
                continue
            _tell(records, staff, item, level, waited, moment, reminded)

    one_by_one(worklist(records, catalog, rows, day=local.date()), look)
    return reminded


def _tell(
    records: RecordsDatabase, staff: Staff, item: Item, level: str, waited: int, at: datetime, told: Reminded
) -> None:
    with records.session() as session:
        # Two sweeps at once: the second waits here, then finds the entry of the first.
        dossier = locked(session, Dossier, item.dossier_id)
        if level in reminders_of(session, [item.dossier_id]).get((item.dossier_id, item.stage), {}):
            return
        pause = pauses().get(item.pause)
        role = Role.LEAD if level == ESCALATED else pause.role if pause else None
        officers = staff.holders(role, at.astimezone(VIET_NAM).date(), item.unit) if role else []
        if pause and pause.capturer_only and level == REMINDED:  # nobody else may sign for who captured
            officers = [officer for officer in officers if officer == dossier.captured_by]
        if role is Role.RESOLVE and four_eyes():
            officers = [officer for officer in officers if officer != dossier.captured_by]
        if level == ESCALATED:
            session.execute(
                update(Waiting)
                .where(col(Waiting.dossier_id) == item.dossier_id, col(Waiting.stage) == item.stage)
                .values(escalated_at=at)
            )
        details = {"stage": item.stage, "waited_days": waited, "left_days": item.left, "officers": officers}
        subject = "Báo lãnh đạo: hồ sơ chờ quá lâu" if level == ESCALATED else "Nhắc việc: hồ sơ đang chờ"
        messages = note(
            session,
            staff,
            officers,
            key=f"{level}:{item.dossier_id}:{item.stage}",
            subject=f"{subject} · {item.code}",
            text=_text(item, level),
        )
        told.messages += len(messages)
        details |= naming(*messages)
        audit(session, actor="system", action=level, dossier_id=item.dossier_id, rule="WH03", details=details)
    if level == ESCALATED:
        told.escalated += 1
    else:
        told.reminded += 1


def _text(item: Item, level: str) -> str:
    deadline = f"Hạn trả kết quả: {item.due:%d/%m/%Y}.\n" if item.due else ""
    asked = (
        "Viên chức được phân công chưa xử lý; đề nghị lãnh đạo đơn vị đôn đốc hoặc phân công lại."
        if level == ESCALATED
        else "Đề nghị xử lý hoặc trả lại việc cho người khác."
    )
    return (
        f"Hồ sơ {item.code} đang chờ bước: {item.step}.\n"
        f"Từ lúc {item.since.astimezone(VIET_NAM):%H:%M ngày %d/%m/%Y}.\n{deadline}{asked}\n\n"
        f"{gateway_url()}/ho-so/{item.dossier_id}\n\n"
        "Thư tự động của hệ thống Sohoa. Hồ sơ chỉ đi tiếp khi có người quyết định; im lặng không phải là đồng ý.\n"
    )


def to_remind(records: RecordsDatabase) -> Iterator[list[Waiting]]:
    """What a reminder may be due for, some at a time: what is escalated has had both."""
    still = (
        col(Waiting.kind) != OUTAGE,
        col(Waiting.since) < datetime.now(UTC) - GRACE,
        col(Waiting.escalated_at).is_(None),
    )
    after = None
    while True:
        with records.session() as session:
            rows = page(session, *still, after=after, limit=AT_ONCE)
        if not rows:
            return
        yield rows
        after = place(rows[-1])


def reconcile(records: RecordsDatabase, prefect: Orchestrator) -> None:
    """Let the rows of what waits fit Prefect again, when their numbers differ: after an upgrade, a cancelled run."""
    with records.session() as session:
        noted = at_a_pause(session)
    if noted == prefect.count(flow=DOSSIER, state={"type": {"any_": ["PAUSED"]}}):
        return
    paused = {FlowRunId(UUID(run["id"])): run for run in prefect.paused() if pause_key(run)}
    with records.session() as session:
        forget_all_but(session, paused, datetime.now(UTC) - SETTLED)
        known = set(session.exec(select(Waiting.flow_run_id).where(Waiting.kind != OUTAGE)))
        missing = paused.keys() - known
        for dossier in session.exec(select(Dossier).where(col(Dossier.flow_run_id).in_(missing))):
            run = paused[dossier.flow_run_id] if dossier.flow_run_id else {}
            since = datetime.fromisoformat(run["state"]["timestamp"])
            wait_at(session, dossier, FlowRunId(UUID(run["id"])), pause_key(run), since=since)


def remind_officers(records: RecordsDatabase, prefect: Orchestrator, catalog: Catalog, staff: Staff) -> Reminded:
    """Everything that waits for officers now."""
    reconcile(records, prefect)
    reminded = Reminded()

    def one(rows: list[Waiting]) -> None:
        more = sweep(records, catalog, staff, rows)
        reminded.reminded += more.reminded
        reminded.escalated += more.escalated
        reminded.messages += more.messages

    one_by_one(to_remind(records), one)
    return reminded
