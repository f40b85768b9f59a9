"""Routes of the counter: a new dossier, and the slip that the citizen takes home (Điều 13.1–13.3a)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from deployments.desk.auth.sessions import Session
from deployments.desk.counter import Counter, NotAtCounter
from deployments.desk.decisions import Answer
from deployments.desk.pages.rendering import Pages
from tasks.intake.names import SUBMISSION_ID
from tasks.intake.receipt import receipt_pdf
from tasks.intake.separators import separators_pdf
from tasks.verification.review import require_in_unit

LOOK_AGAIN_SECONDS = 3
SHEETS = 10  # separators for any paper that are printed at once


class CounterPages:
    def __init__(self, pages: Pages, records: RecordsDatabase, catalog: Catalog, counter: Counter) -> None:
        self.pages, self.records, self.catalog, self.counter = pages, records, catalog, counter

    def show(self, session: Session, procedure: str | None, parting: str = "") -> Response:
        draft = self.counter.parted(session.officer, {"parting": parting})
        if draft is not None and not (draft.ready and draft.leaves):
            return RedirectResponse(f"/nop/tach/{parting}", 303)
        # Of the papers nothing that was typed before counts: they are now those of the scan.
        head = {n: v for n, v in draft.typed.items() if not n.startswith("c.")} if draft else None
        values = self.counter.blank(session.officer, procedure, head, draft)
        return self.pages.page("submit.html", session, title="Tiếp nhận hồ sơ", problems=[], **values)

    def submit(self, session: Session, form: dict[str, Any], files: Any) -> Response:
        try:
            submission = self.counter.submit(session.officer, form, files)
        except SohoaError as error:
            if error.remedy is Remedy.RETRY:
                raise
            return self.show_again(session, form, Answer("REJECT", [error.text]))
        return RedirectResponse(f"/nop/{submission}", 303)

    def show_again(self, session: Session, form: Mapping[str, Any], answer: Answer) -> Response:
        """With what was typed; files must be chosen anew."""
        draft = self.counter.parted(session.officer, form)
        if draft is not None:
            draft.typed = dict(form)
        values = self.counter.blank(session.officer, str(form.get("procedure", "")), form, draft)
        status = 403 if answer.status == "OLD_FORM" else 422
        return self.pages.page(
            "submit.html", session, status, title="Tiếp nhận hồ sơ", problems=answer.sentences, **values
        )

    def follow(self, session: Session, submission: str) -> Response:
        """Until the dossier is registered; then its page."""
        if not self.counter.units(session.officer):
            raise NotAtCounter()
        known = re.fullmatch(SUBMISSION_ID, submission) is not None
        found = self.counter.dossier_of(session.officer, submission) if known else None
        if found is not None:
            return RedirectResponse(f"/ho-so/{found}", 303)
        answer = self.pages.say(
            "Đã nhận hồ sơ", f"Lần nộp {submission[:64]} đang được ghi nhận; trang hồ sơ sẽ tự mở.", 200, session
        )
        answer.headers["refresh"] = str(LOOK_AGAIN_SECONDS)
        return answer

    def separators(self, session: Session, procedure: str | None) -> Response:
        if not self.counter.units(session.officer):
            raise NotAtCounter()
        return self.pages.pdf("to-ngan.pdf", separators_pdf(self.catalog, procedure, SHEETS))

    def slip(self, session: Session, dossier_id: DossierId) -> Response:
        require_in_unit(self.records, dossier_id, session.officer.id, grants=session.officer.grants)
        data = receipt_pdf(self.records, self.catalog, dossier_id, session.officer.id)
        return self.pages.pdf("phieu-tiep-nhan.pdf", data)

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.get("/nop", summary="Tiếp nhận hồ sơ mới: chọn thủ tục, khai và chọn tệp quét")
        async def show(request: Request, procedure: str | None = None, tach: str = "") -> Response:
            return await self.pages.shown_to(request, self.show, procedure, tach)

        @router.post("/nop", summary="Nhận hồ sơ từ trang nộp; nộp lại cùng nội dung không tạo hồ sơ mới")
        async def submit(request: Request) -> Response:
            receives = bool(self.counter.units(request.state.session.officer))
            form, files, refusal = await self.pages.posted(request, self.show_again, files=receives)
            return refusal or await self.pages.shown_to(request, self.submit, form, files, typed=form)

        @router.get("/nop/to-ngan", summary="Tờ ngăn để quét cả hồ sơ một lần (PDF)")
        async def separators(request: Request, procedure: str | None = None) -> Response:
            return await self.pages.shown_to(request, self.separators, procedure)

        @router.get("/nop/{submission}", summary="Trang của hồ sơ vừa nộp")
        async def follow(request: Request, submission: str) -> Response:
            return await self.pages.shown_to(request, self.follow, submission)

        @router.get("/ho-so/{dossier_id}/phieu", summary="Phiếu tiếp nhận hồ sơ và hẹn trả kết quả")
        async def slip(request: Request, dossier_id: DossierId) -> Response:
            return await self.pages.shown_to(request, self.slip, dossier_id)

        return router
