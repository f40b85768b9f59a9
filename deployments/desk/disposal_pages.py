"""Tiêu hủy bản lưu hết thời hạn: a leader proposes, another person confirms, each with a written reason (LU06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog.staff import Role
from blocks.errors import SohoaError
from deployments.desk.oversight_pages import OversightPages, roles_of, units
from infra.gateway.sessions import Session
from tasks.disposal import CONFIRMS, confirm, due, propose, proposed, reject

ACTS = {"de-nghi": propose, "xac-nhan": confirm, "bac": reject}
DECIDED_BY = "lãnh đạo và văn thư của đơn vị"


class DisposalPages(OversightPages):
    """Each look and act asks both lists, as the pages of incidents do; who may not is noted in the trail."""

    def show(self, session: Session, problem: str = "", status: int = 200) -> Response:
        held = roles_of(session.officer, *CONFIRMS)
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

    def act(self, session: Session, what: str, document: UUID, form: Mapping[str, Any]) -> Response:
        officer, held = session.officer.id, roles_of(session.officer, *CONFIRMS)
        try:
            ACTS[what](self.records, document, officer, held, str(form.get("reason", "")))
        except SohoaError as error:
            return self.show(session, error.text, status=422)
        return RedirectResponse("/tieu-huy", 303)

    async def _decided(self, request: Request, function: Any, *args: Any, form: bool = False) -> Response:
        refusal = await run_in_threadpool(self._refuse, request, DECIDED_BY, *CONFIRMS)
        return refusal or await self._shown(request, function, args, form)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.get("/tieu-huy", summary="Bản lưu hết thời hạn, đề nghị tiêu hủy đang chờ người thứ hai")
        async def listed(request: Request) -> Response:
            return await self._decided(request, self.show)

        @router.post("/tieu-huy/{document}/de-nghi", summary="Đề nghị tiêu hủy một bản lưu, có căn cứ")
        async def proposing(request: Request, document: UUID) -> Response:
            return await self._decided(request, self.act, "de-nghi", document, form=True)

        @router.post("/tieu-huy/{document}/xac-nhan", summary="Người thứ hai xác nhận tiêu hủy, có căn cứ")
        async def confirming(request: Request, document: UUID) -> Response:
            return await self._decided(request, self.act, "xac-nhan", document, form=True)

        @router.post("/tieu-huy/{document}/bac", summary="Bác đề nghị tiêu hủy, có lý do")
        async def rejecting(request: Request, document: UUID) -> Response:
            return await self._decided(request, self.act, "bac", document, form=True)

        return router
