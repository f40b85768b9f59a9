"""Routes of the page on which a scan of a whole dossier is parted, before it is declared and handed in (Điều 13.3b)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from deployments.desk.auth.sessions import Session
from deployments.desk.counter import WHOLE, Counter, NotAtCounter, kept_files
from deployments.desk.decisions import Answer
from deployments.desk.drafts import Draft
from deployments.desk.images import LARGE
from deployments.desk.limits import UploadsBusy
from deployments.desk.pages.rendering import BUSY, Pages
from tasks.intake.parted import LeftOut
from tasks.intake.parting import UNNAMED, NotParted, marked, parts, require_parted, without_blanks

LOOK_AGAIN_SECONDS = 2
REASONS = {
    LeftOut.BLANK: "trang trắng",
    LeftOut.SHEET: "tờ ngăn",
    LeftOut.TWICE: "quét trùng",
    LeftOut.FOREIGN: "không thuộc hồ sơ này",
}


class NoScan(SohoaError):
    """The button that parts was pressed before files were chosen."""

    code, rule = "NO_SCAN", "CA06"
    message = "Vui lòng chọn tệp ở “Tệp quét cả hồ sơ” rồi bấm nút tách lần nữa."
    remedy = Remedy.OFFICER


class PartingPages:
    def __init__(self, pages: Pages, catalog: Catalog, counter: Counter) -> None:
        self.pages, self.catalog, self.counter = pages, catalog, counter

    def begin(self, session: Session, form: dict[str, Any], files: Any) -> Response:
        """Keep the scan and look at it; the answer doesn't wait for that."""
        self._require_counter(session)
        procedure = str(form.get("procedure", ""))
        try:
            uploads = files.get(WHOLE, [])
            if not uploads:
                raise NoScan()
            chosen = self.catalog.procedure(procedure, vietnam_day())
            types = [code for group in chosen.components if group.required for code in group.any_of[:1]]
            size = sum(upload.size or 0 for upload in uploads)
            draft = self.counter.drafts.begin(
                session.officer.id, procedure, types, form, size, lambda place: kept_files(uploads, place)
            )
        except UploadsBusy as error:
            return self.pages.say("Chưa nhận được tệp", BUSY[error.why], 429, session)
        except SohoaError as error:
            if error.remedy is Remedy.RETRY:
                raise
            values = self.counter.blank(session.officer, procedure, form)
            return self.pages.page(
                "submit.html", session, 422, title="Tiếp nhận hồ sơ", problems=[error.text], **values
            )
        return RedirectResponse(f"/nop/tach/{draft.id}", 303)

    def show(self, session: Session, ident: str, problems: tuple[str, ...] = (), status: int = 200) -> Response:
        self._require_counter(session)
        draft = self.counter.drafts.of(session.officer.id, ident)
        if not draft.ready:
            sentence = f"Đã xem {draft.seen} ảnh của bản quét; trang tự mở khi xem xong."
            answer = self.pages.say("Đang xem bản quét", sentence, 200, session)
            answer.headers["refresh"] = str(LOOK_AGAIN_SECONDS)
            return answer
        if draft.fault:
            values = self.counter.blank(session.officer, draft.procedure, draft.typed)
            told = [f"{draft.fault.rstrip('.')}. Vui lòng sửa rồi chọn lại tệp."]
            return self.pages.page("submit.html", session, 422, title="Tiếp nhận hồ sơ", problems=told, **values)
        return self.pages.page("parting.html", session, status, **self._shown(draft), problems=problems)

    def _shown(self, draft: Draft) -> dict[str, Any]:
        names = self._names(draft)
        found = parts(draft.leaves)
        begins = {part.leaves[0].number: (number, part) for number, part in enumerate(found, 1)}
        return {
            "title": "Tách bản quét cả hồ sơ",
            "draft": draft,
            "leaves": draft.leaves,
            "begins": begins,
            "parts": found,
            "names": names | {UNNAMED: "chọn loại khi khai", "": "chưa chọn loại"},
            "types": names,
            "unnamed": UNNAMED,
            "reasons": {reason.value: text for reason, text in REASONS.items()},
            "blanks": sum(leaf.look.blank and leaf.out is None for leaf in draft.leaves),
            "left_out": sum(leaf.out is not None for leaf in draft.leaves),
        }

    def _names(self, draft: Draft) -> dict[str, str]:
        """Types that may be chosen: those of the procedure, and any that a sheet or a mark has named."""
        today = vietnam_day()
        groups = self.catalog.procedure(draft.procedure, today).components
        codes = [code for group in groups for code in group.any_of]
        known = {kind.code: kind.name for kind in self.catalog.document_types(today)}
        return {code: known[code] for code in [*codes, *(leaf.start for leaf in draft.leaves)] if code in known}

    def mark(self, session: Session, ident: str, form: dict[str, Any]) -> Response:
        """Keep the marks; `do` says what the officer wants next: see them, leave out the blanks, or declare."""
        self._require_counter(session)
        draft = self.counter.drafts.of(session.officer.id, ident)
        if not draft.ready or draft.fault:
            return self.show(session, ident)
        draft.leaves = marked(draft.leaves, form, list(self._names(draft)))
        if form.get("do") == "blanks":
            draft.leaves = without_blanks(draft.leaves)
        if form.get("do") != "declare":
            return RedirectResponse(f"/nop/tach/{ident}", 303)
        try:
            require_parted(draft.leaves)
        except NotParted as error:
            return self.show(session, ident, (error.text,), 422)
        return RedirectResponse(f"/nop?procedure={draft.procedure}&tach={ident}", 303)

    def mark_again(self, session: Session, ident: str, form: Mapping[str, Any], answer: Answer) -> Response:
        """After a new sign-in: the marks of the form are kept, nothing goes on."""
        draft = self.counter.drafts.of(session.officer.id, ident)
        draft.leaves = marked(draft.leaves, form, list(self._names(draft)))
        return self.show(session, ident, tuple(answer.sentences), 403)

    def picture(self, session: Session, ident: str, number: int, large: bool) -> Response:
        self._require_counter(session)
        draft = self.counter.drafts.of(session.officer.id, ident)
        data = self.counter.drafts.picture(draft, number, LARGE if large else 0)
        headers = {"cache-control": "private, max-age=900", "x-sohoa-page": "1"}
        return Response(data, media_type="image/jpeg", headers=headers)

    def _require_counter(self, session: Session) -> None:
        if not self.counter.units(session.officer):
            raise NotAtCounter()

    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        @router.post("/nop/tach", summary="Nhận bản quét cả hồ sơ để tách bằng tay; chưa nộp")
        async def begin(request: Request) -> Response:
            receives = bool(self.counter.units(request.state.session.officer))
            form, files, refusal = await self.pages.posted(request, files=receives)
            return refusal or await self.pages.shown_to(request, self.begin, form, files)

        @router.get("/nop/tach/{ident}", summary="Trang tách bản quét: ảnh nhỏ của mọi trang, theo thứ tự")
        async def show(request: Request, ident: str) -> Response:
            return await self.pages.shown_to(request, self.show, ident)

        @router.post("/nop/tach/{ident}", summary="Ghi cách tách; chưa nộp")
        async def mark(request: Request, ident: str) -> Response:
            def again(session: Session, form: Mapping[str, Any], answer: Answer) -> Response:
                return self.mark_again(session, ident, form, answer)

            form, _, refusal = await self.pages.posted(request, again)
            return refusal or await self.pages.shown_to(request, self.mark, ident, form, typed=form)

        @router.get("/nop/tach/{ident}/anh/{number}", summary="Ảnh một trang của bản quét đang tách")
        async def picture(request: Request, ident: str, number: int, lon: int = 0) -> Response:
            return await self.pages.shown_to(request, self.picture, ident, number, bool(lon))

        return router
