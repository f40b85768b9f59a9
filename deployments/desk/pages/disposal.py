"""Tiêu hủy bản lưu hết thời hạn: a leader proposes, another person confirms, each with a written reason (LU06)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.clock import vietnam_day
from blocks.errors import SohoaError
from blocks.ids import DocumentId
from blocks.records import RecordsDatabase
from deployments.desk.auth.sessions import Proven, Session
from deployments.desk.pages.oversight import OversightPages, roles_of, units
from deployments.desk.pages.rendering import Pages
from tasks.archive.disposal import (
    CONFIRMS,
    DisposalChanged,
    DisposalNotYours,
    DisposalStepUp,
    Person,
    confirm,
    decided,
    due,
    propose,
    proposed,
    reject,
)

HERE = "/tieu-huy"
NO_WAY_BACK = {"de-nghi": propose, "xac-nhan": confirm}
DECIDED_BY = "lãnh đạo và văn thư của đơn vị"
WHY = "Bản lưu đã tiêu hủy không lấy lại được, nên bạn cần xác thực lại với tài khoản của mình."


class DisposalPages(OversightPages):
    """Each look and act asks both lists, as the pages of incidents do; who may not is noted in the trail.

    step_up_minutes: how fresh the proof of who one is must be, for this one act on this one record.
    """

    def __init__(
        self,
        pages: Pages,
        records: RecordsDatabase,
        refused: Callable[[str, str, str, str], None],
        catalog: Catalog,
        step_up_minutes: int,
    ) -> None:
        super().__init__(pages, records, refused)
        self.catalog, self.step_up_minutes = catalog, step_up_minutes

    def show(
        self,
        session: Session,
        problem: str = "",
        typed: Mapping[str, Any] | None = None,
        status: int = 200,
        proven: bool = False,
    ) -> Response:
        """typed: the form that was sent. proven: the officer has just proved anew who they are, for that act."""
        held = roles_of(session.officer, *CONFIRMS)
        with self.records.session() as database:
            over, waiting = due(database, units(held)), proposed(database, units(held))
            done = decided(database, units(held))
        return self.pages.page(
            "disposal.html",
            session,
            status,
            title="Tiêu hủy",
            over=over,
            waiting=waiting,
            done=done,
            types={one.code: one.name for one in self.catalog.document_types(vietnam_day())},
            classes={one.code: one.name for one in self.catalog.content.retention},
            leads=any(role is Role.LEAD for _, role in held),
            problem=problem,
            typed=typed or {},
            proven=proven,
        )

    def show_after_step_up(self, session: Session, token: str) -> Response:
        """With what was typed before it."""
        asked = session.step_up(token)
        if asked is None or asked.back != HERE or asked.proven is None:
            return self.show(session)
        return self.show(session, typed=asked.typed, proven=True)

    def act(
        self, session: Session, what: str, document: DocumentId, trace: str, path: str, form: Mapping[str, Any]
    ) -> Response:
        held, reason, seen = (
            roles_of(session.officer, *CONFIRMS),
            str(form.get("reason", "")),
            str(form.get("seen", "")),
        )
        about = f"{HERE}/{document}/{what}/{seen}"
        fresh = session.proven_for(about, self.step_up_minutes) or Proven()
        person, typed = (
            Person(session.officer.id, held, fresh.acr, fresh.auth_time),
            {**form, "at": f"{document}/{what}"},
        )
        try:
            if what in NO_WAY_BACK:
                NO_WAY_BACK[what](self.records, document, person, reason, seen)
            else:
                reject(self.records, document, person, reason)
        except DisposalStepUp:
            return self.pages.step_up(session, about, HERE, typed, why=WHY)
        except SohoaError as error:
            if isinstance(error, DisposalNotYours | DisposalChanged):
                self.refused(error.code, session.officer.id, trace, path)
            return self.show(session, error.text, typed, status=422)
        session.spend(about)
        return RedirectResponse(HERE, 303)

    async def _decided(self, request: Request, function: Any, *args: Any, form: bool = False) -> Response:
        refusal = await run_in_threadpool(self._refuse, request, DECIDED_BY, *CONFIRMS)
        return refusal or await self._shown(request, function, args, form)

    async def _act(self, request: Request, what: str, document: DocumentId) -> Response:
        where = request.state.trace, request.url.path
        return await self._decided(request, self.act, what, document, *where, form=True)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.get(HERE, summary="Bản lưu hết thời hạn, đề nghị tiêu hủy đang chờ người thứ hai, kết quả tiêu hủy")
        async def listed(request: Request) -> Response:
            if token := request.query_params.get("xac-thuc"):
                return await self._decided(request, self.show_after_step_up, token)
            return await self._decided(request, self.show)

        @router.post(HERE + "/{document}/de-nghi", summary="Đề nghị tiêu hủy một bản lưu, có căn cứ")
        async def proposing(request: Request, document: DocumentId) -> Response:
            return await self._act(request, "de-nghi", document)

        @router.post(HERE + "/{document}/xac-nhan", summary="Người thứ hai xác nhận tiêu hủy, có căn cứ")
        async def confirming(request: Request, document: DocumentId) -> Response:
            return await self._act(request, "xac-nhan", document)

        @router.post(HERE + "/{document}/bac", summary="Bác đề nghị tiêu hủy, có lý do")
        async def rejecting(request: Request, document: DocumentId) -> Response:
            return await self._act(request, "bac", document)

        return router
