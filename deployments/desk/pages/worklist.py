"""Pages of the worklist: what waits for the officer, claim and release, search by code (QĐ 352, Điều 12)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, load_staff
from blocks.clock import vietnam_day
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import DossierUnknown
from blocks.records.waiting import Place
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.decisions import Decisions, why_not
from deployments.desk.pages.rendering import Pages
from deployments.desk.work import FOUND, SHORTEST, Work
from tasks.desk_views.claims import TakenByOther, give_up, holders, take
from tasks.pauses.registry import pauses, step_label

HOMES: dict[tuple[str, ...], str] = {
    (Role.OPERATE.value,): "/van-hanh",
    (Role.AUDIT.value,): "/nhat-ky",
}  # of who has nothing to decide


def _written(at: Place | None) -> str:
    return quote(f"{at.due.isoformat()}_{at.since.isoformat()}_{at.dossier_id}") if at else ""


def _place(written: str) -> Place | None:
    """Where the page before ended; the first page for what isn't one."""
    try:
        due, since, dossier_id = written[:120].split("_")
        return Place(
            date.fromisoformat(due), datetime.fromisoformat(since).astimezone(UTC), DossierId(UUID(dossier_id))
        )
    except (ValueError, OverflowError):
        return None


class WorklistPages:
    def __init__(self, pages: Pages, records: RecordsDatabase, catalog: Catalog, decisions: Decisions) -> None:
        self.pages, self.records, self.decisions = pages, records, decisions
        self.work = Work(records, catalog, decisions.just_taken)

    def show_worklist(self, session: Session, step: str, after: Place | None = None) -> Response:
        """step: only this one; empty: all. after: where the page before ended."""
        today, staff = vietnam_day(), load_staff()
        items, more = self.work.items(session.officer, staff, step, after)
        at = Counter(item.pause for item in items)
        if step or after or more:
            at = Counter(self.work.counts(session.officer, staff))
        steps = [("", "Tất cả", at.total()), *((name, step_label(name), count) for name, count in at.items())]
        with self.records.session() as database:
            held = holders(database, [item.dossier_id for item in items])
        acting = [one for one in staff.delegations if one.id == session.officer.id and one.in_time(today)]
        values: dict[str, Any] = {"items": items, "steps": steps, "step": step, "held": held, "acting": acting}
        values |= {"more": _written(more), "all": at[step] if step else at.total(), "first": after is None}
        return self.pages.page("worklist.html", session, title="Danh sách việc", **values)

    def search(self, session: Session, wanted: str) -> Response:
        rows = self.work.found(session.officer, wanted)
        if len(rows) == 1:
            return RedirectResponse(f"/ho-so/{rows[0].id}", 303)
        nothing = DossierUnknown().text if len(wanted) >= SHORTEST else f"Vui lòng gõ ít nhất {SHORTEST} ký tự."
        values = {"wanted": wanted, "rows": rows, "nothing": nothing, "limit": FOUND}
        return self.pages.page("found.html", session, 200 if rows else 404, title="Tìm hồ sơ", **values)

    def _claim(self, session: Session, dossier_id: DossierId) -> Response:
        waiting = self.decisions.waiting_of(dossier_id)
        if waiting is None:
            return self.pages.say("Không nhận được việc", "Hồ sơ không chờ ai.", 403, session)
        if refusal := why_not(session.officer, waiting.dossier, waiting.pause, load_staff()):
            return self.pages.say("Không nhận được việc", refusal[1], 403, session)
        try:
            take(self.records, dossier_id, session.officer.id)
        except TakenByOther as error:
            return self.pages.say("Không nhận được việc", error.text, 409, session)
        return RedirectResponse(f"/ho-so/{dossier_id}", 303)

    def _release(self, session: Session, dossier_id: DossierId) -> Response:
        give_up(self.records, dossier_id, session.officer.id)
        return RedirectResponse("/viec", 303)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)
        shown_to = self.pages.shown_to

        @router.get("/", include_in_schema=False)
        async def home(request: Request) -> Response:
            officer: Officer = request.state.session.officer
            return RedirectResponse(HOMES.get(tuple(officer.roles), "/viec"), 303)

        @router.get("/viec", summary="Danh sách việc của viên chức đang đăng nhập")
        async def work(request: Request, buoc: str = "", tiep: str = "") -> Response:
            return await shown_to(request, self.show_worklist, buoc if buoc in pauses() else "", _place(tiep))

        @router.get("/tim", summary="Tìm hồ sơ theo mã hoặc một phần của mã")
        async def find(request: Request, ma: str = "") -> Response:
            return await shown_to(request, self.search, ma.strip().replace("\0", "")[:64])

        @router.post("/ho-so/{dossier_id}/nhan", summary="Nhận việc")
        async def claim(request: Request, dossier_id: DossierId) -> Response:
            _, _, refusal = await self.pages.posted(request)
            return refusal or await shown_to(request, self._claim, dossier_id)

        @router.post("/ho-so/{dossier_id}/tra", summary="Thôi nhận việc")
        async def release(request: Request, dossier_id: DossierId) -> Response:
            _, _, refusal = await self.pages.posted(request)
            return refusal or await shown_to(request, self._release, dossier_id)

        return router
