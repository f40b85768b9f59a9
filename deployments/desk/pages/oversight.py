"""Pages for who watches over others: incidents, closed with a reason, and the audit trail (P14, WH04).

Incidents: operations, leaders, auditors; who closes which stands in `tasks.monitoring.incidents`. The trail: auditors.
Each sees what is of the own units and of the machine itself.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog.staff import SEES_PAPERS, Role, load_staff
from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown
from blocks.trust import Trust
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.forms import iso_day
from deployments.desk.pages.rendering import Pages
from tasks.desk_views.history import ACTION_NAMES
from tasks.monitoring.audit_trail import TrailFilter, TrailLine, check_trail, entries, record_access
from tasks.monitoring.incidents import IncidentGone, incidents, open_dispute, settle_incident

PAGE, MOST = 100, 10_000  # entries on a page, in a file
LONGEST = 64  # characters of what is typed to search for
COLUMNS = ("seq", "at", "actor", "action", "sentence", "rule", "article", "dossier", "details", "hash")
WATCHERS = (Role.OPERATE, Role.LEAD, Role.AUDIT)
WATCHED_BY = "bộ phận vận hành, lãnh đạo và người kiểm tra"


class DayInvalid(SohoaError):
    """A day that isn't one was typed."""

    code, rule = "DAY_INVALID", "P14"
    message = "Ngày không hợp lệ; vui lòng chọn lại từ ngày, đến ngày."


class OversightPages:
    """refused(code, officer, trace, path) writes the audit trail."""

    def __init__(self, pages: Pages, records: RecordsDatabase, refused: Callable[[str, str, str, str], None]) -> None:
        self.pages, self.records, self.refused = pages, records, refused

    # -- incidents ----------------------------------------------------------------------------------------------
    def show_incidents(
        self, session: Session, problem: str = "", at: UUID | None = None, typed: str = "", status: int = 200
    ) -> Response:
        """problem: why the incident `at` was not closed, with the reason that was typed."""
        held = roles_of(session.officer, *WATCHERS)
        still, over = incidents(self.records, units(held))
        mine = {item.id for item in still if item.closable(held)}
        return self.pages.page(
            "incidents.html",
            session,
            status,
            title="Sự cố",
            still=still,
            over=over,
            mine=mine,
            leads=any(role is Role.LEAD for _, role in held),
            opens=bool(roles_of(session.officer, *SEES_PAPERS)),
            problem=problem,
            at=at,
            typed=typed,
        )

    def close(self, session: Session, incident: UUID, form: Mapping[str, Any]) -> Response:
        held, reason = roles_of(session.officer, *WATCHERS), str(form.get("reason", ""))
        try:
            settle_incident(self.records, incident, session.officer.id, held, reason)
        except IncidentGone as error:
            return self.show_incidents(session, error.text, status=409)
        except SohoaError as error:
            return self.show_incidents(session, error.text, incident, reason, status=422)
        return RedirectResponse("/su-co", 303)

    def dispute(self, session: Session, form: Mapping[str, Any]) -> Response:
        leads = roles_of(session.officer, Role.LEAD)
        try:
            open_dispute(self.records, str(form.get("ho_so", "")), session.officer.id, leads)
        except DossierUnknown as error:
            return self.show_incidents(session, error.text, status=422)
        return RedirectResponse("/su-co", 303)

    # -- audit trail --------------------------------------------------------------------------------------------
    def show_trail(self, session: Session, asked: Mapping[str, str]) -> Response:
        try:
            wanted = _wanted(asked)
        except DayInvalid as error:
            return self._trail(session, asked, problem=error.text, status=422)
        lines = self._entries(session.officer, wanted, PAGE + 1)
        record_access(self.records, session.officer.id, "view-trail", wanted, min(PAGE, len(lines)))
        return self._trail(session, asked, lines=lines)

    def _entries(self, officer: Officer, wanted: TrailFilter, limit: int) -> list[TrailLine]:
        return entries(self.records, wanted, units(roles_of(officer, Role.AUDIT)), load_staff(), limit)

    def _trail(self, session: Session, asked: Mapping[str, str], *, status: int = 200, **values: Any) -> Response:
        lines = values.pop("lines", [])
        return self.pages.page(
            "trail.html",
            session,
            status,
            title="Nhật ký",
            asked=asked,
            actions=ACTION_NAMES,
            lines=lines[:PAGE],
            older=lines[PAGE - 1].seq if len(lines) > PAGE else None,
            most=MOST,
            **values,
        )

    def file(self, session: Session, asked: Mapping[str, str]) -> Response:
        """The same entries as CSV (UTF-8 with BOM, as spreadsheets want it), the newest MOST."""
        wanted = _wanted(asked)
        lines = self._entries(session.officer, wanted, MOST)
        record_access(self.records, session.officer.id, "export-trail", wanted, len(lines))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for line in lines:
            row = line.model_dump(mode="json") | {"details": json.dumps(line.details, ensure_ascii=False)}
            writer.writerow([row[name] for name in COLUMNS])
        return self.pages.download("nhat-ky.csv", out.getvalue().encode("utf-8-sig"), "text/csv")

    def check(self, session: Session, _: Mapping[str, str]) -> Response:
        """Read the whole trail now."""
        asked: Mapping[str, str] = {}
        try:
            report = check_trail(self.records, session.officer.id, ObjectStore.get(), Trust.get())
        except SohoaError as error:  # broken, or a store that doesn't answer
            return self._trail(session, asked, problem=error.text)
        return self._trail(session, asked, whole=report)

    # -- routes -------------------------------------------------------------------------------------------------
    def _refuse(self, request: Request, who: str, *roles: Role) -> Response | None:
        """The page for who may not be here; it is an entry of the trail."""
        session: Session = request.state.session
        if roles_of(session.officer, *roles):
            return None
        self.refused("WRONG_ROLE", session.officer.id, request.state.trace, request.url.path)
        sentence = f"Trang này dành cho {who}; bạn chưa được phân công vai trò đó."
        return self.pages.say("Không được xem", sentence, 403, session)

    async def _watched(self, request: Request, function: Any, *args: Any, form: bool = False) -> Response:
        """form: it is posted, and its fields are the last argument. It is read only from who may be here."""
        refusal = await run_in_threadpool(self._refuse, request, WATCHED_BY, *WATCHERS)
        return refusal or await self._shown(request, function, args, form)

    async def _audited(self, request: Request, function: Any, *args: Any, form: bool = False) -> Response:
        refusal = await run_in_threadpool(self._refuse, request, "người kiểm tra", Role.AUDIT)
        return refusal or await self._shown(request, function, args, form)

    async def _shown(self, request: Request, function: Any, args: tuple[Any, ...], form: bool) -> Response:
        if form:
            typed, _, refusal = await self.pages.posted(request)
            if refusal is not None:
                return refusal
            args = (*args, typed)
        return await self.pages.shown_to(request, function, *args)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.get("/su-co", summary="Sự cố đang mở và vừa đóng")
        async def open_incidents(request: Request) -> Response:
            return await self._watched(request, self.show_incidents)

        @router.post("/su-co/khieu-nai", summary="Ghi nhận khiếu nại, tranh chấp: không hủy bản giấy")
        async def dispute(request: Request) -> Response:
            return await self._watched(request, self.dispute, form=True)

        @router.post("/su-co/{incident}/dong", summary="Đóng một sự cố, có lý do bằng văn bản")
        async def close(request: Request, incident: UUID) -> Response:
            return await self._watched(request, self.close, incident, form=True)

        @router.get("/nhat-ky", summary="Nhật ký của đơn vị, mới nhất trước; mỗi lần xem đều được ghi lại")
        async def trail(
            request: Request,
            ho_so: str = "",
            nguoi: str = "",
            viec: str = "",
            tu: str = "",
            den: str = "",
            truoc: str = "",
        ) -> Response:
            asked = _asked(ho_so=ho_so, nguoi=nguoi, viec=viec, tu=tu, den=den, truoc=truoc)
            return await self._audited(request, self.show_trail, asked)

        @router.get("/nhat-ky.csv", summary="Nhật ký thành tệp CSV")
        async def file(
            request: Request, ho_so: str = "", nguoi: str = "", viec: str = "", tu: str = "", den: str = ""
        ) -> Response:
            asked = _asked(ho_so=ho_so, nguoi=nguoi, viec=viec, tu=tu, den=den)
            return await self._audited(request, self.file, asked)

        @router.post("/nhat-ky/kiem-tra", summary="Đọc lại toàn bộ chuỗi băm của nhật ký")
        async def check(request: Request) -> Response:
            return await self._audited(request, self.check, form=True)

        return router


def roles_of(officer: Officer, *roles: Role) -> set[tuple[str, Role]]:
    """(unit, role) pairs of these roles that the officer holds now (WH02)."""
    return {(unit, role) for role in roles for unit in officer.where(role)}


def units(held: set[tuple[str, Role]]) -> set[str]:
    return {unit for unit, _ in held}


def _asked(**typed: str) -> dict[str, str]:
    return {name: value.replace("\0", "").strip()[:LONGEST] for name, value in typed.items()}


def _wanted(asked: Mapping[str, str]) -> TrailFilter:
    """Raises DayInvalid."""
    before = asked.get("truoc", "")
    try:
        since, until = (date.fromisoformat(iso_day(asked[name])) if asked[name] else None for name in ("tu", "den"))
        return TrailFilter(
            code=asked["ho_so"],
            actor=asked["nguoi"],
            action=asked["viec"] if asked["viec"] in ACTION_NAMES else "",
            since=since,
            until=until,
            before=int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else None,
        )
    except ValueError as error:
        raise DayInvalid() from error
