"""Tiêu hủy bản lưu hết thời hạn: a leader proposes, another person confirms, each with a written reason (LU06)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog.staff import Role
from blocks.errors import SohoaError
from blocks.records import RecordsDatabase
from deployments.desk.oversight_pages import roles_of, units
from deployments.desk.pages import Pages
from infra.gateway.sessions import Session
from tasks.disposal import confirm, due, propose, proposed, reject

DECIDES = (Role.LEAD, Role.SEAL)
ACTS = {"de-nghi": propose, "xac-nhan": confirm, "bac": reject}


class DisposalPages:
    def __init__(self, pages: Pages, records: RecordsDatabase, refused: Callable[[str, str, str, str], None]) -> None:
        self.pages, self.records, self.refused = pages, records, refused

    def show(self, session: Session, problem: str = "", status: int = 200) -> Response:
        held = roles_of(session.officer, *DECIDES)
        if not held:
            return self.pages.say("Không xem được", "Trang này dành cho lãnh đạo và văn thư của đơn vị.", 403, session)
        with self.records.session() as database:
            over, waiting = due(database, units(held)), proposed(database, units(held))
        return self.pages.page(
            "disposal.html",
            session,
            status,
            title="Tiêu hủy",
            over=over,
            waiting=waiting,
            leads=any(role is Role.LEAD for _, role in held),
            problem=problem,
        )

    def act(self, session: Session, what: str, document: UUID, form: Mapping[str, Any], path: str) -> Response:
        officer, held = session.officer.id, roles_of(session.officer, *DECIDES)
        try:
            ACTS[what](self.records, document, officer, held, str(form.get("reason", "")))
        except SohoaError as error:
            if error.code == "DISPOSAL_NOT_YOURS":
                self.refused(error.code, officer, "", path)
            return self.show(session, error.text, status=403 if error.code == "DISPOSAL_NOT_YOURS" else 422)
        return RedirectResponse("/tieu-huy", 303)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.get("/tieu-huy", summary="Bản lưu hết thời hạn, đề nghị tiêu hủy đang chờ người thứ hai")
        async def listed(request: Request) -> Response:
            return await self.pages.shown_to(request, self.show)

        @router.post("/tieu-huy/{document}/{what}", summary="Đề nghị, xác nhận hoặc bác tiêu hủy, có lý do")
        async def act(request: Request, document: UUID, what: str) -> Response:
            form, _, refusal = await self.pages.posted(request)
            if refusal or what not in ACTS:
                return refusal or RedirectResponse("/tieu-huy", 303)
            return await self.pages.shown_to(request, self.act, what, document, form, request.url.path)

        return router
