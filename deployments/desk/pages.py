"""The officers' pages: worklist, review of a dossier, decision (QĐ 1333, Điều 9.3, 9.4, 13).

Rendered on the server; the script only makes it quicker. Every look is audited by `tasks.review.look`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from sqlmodel import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, Staff, load_staff
from blocks.errors import Remedy, SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.codes import VIET_NAM, vietnam_day
from blocks.records.queries import DossierUnknown, documents, get_dossier, latest_decision
from blocks.records.states import DocumentState
from blocks.records.tables import Page
from deployments.desk.counter import Counter
from deployments.desk.decisions import ROLE_NAMES, Answer, Decisions, Waiting, acts_by, why_not
from deployments.desk.forms import key, pause_form, shown
from deployments.desk.images import LARGE, WIDTH, ImageGone, Images
from deployments.desk.rescans import Rescans
from deployments.desk.results import Results
from deployments.desk.uploads import INPUT, SUFFIXES, UploadsTooLarge, insist_small
from deployments.desk.work import FOUND, SHORTEST, Work
from infra.gateway.sessions import Officer, Session
from tasks.claims import TakenByOther, give_up, holders, take
from tasks.history import DECISIONS, STAGES, STATES
from tasks.review import REASONS, ComponentView, Review, look
from tasks.worklist import WHO

HERE = Path(__file__).parent
STATIC = {"desk.css": "text/css", "desk.js": "text/javascript", "van-hanh.js": "text/javascript"}
BRINGS_FILES = {"DA_QUET_LAI", "DA_BO_SUNG"}
OLD_FORM = (
    "Trang đã cũ: bạn đã đăng nhập lại sau khi mở trang này. Nội dung đã gõ còn nguyên ở dưới; vui lòng xem lại rồi "
    "bấm nút lần nữa (tệp đã chọn thì chọn lại)."
)
CODE = re.compile(r"\*\*([A-Z_]+)\*\*")
FORM_ROOM = 1 << 20  # bytes of a form beside its files: what was typed, and the borders between its parts
KEEPABLE = re.compile(r"/nop|/ho-so/[0-9a-f-]{36}/(quyet-dinh|du-thao)")
ATTESTED = "flagged_checked"  # said anew after each sign-in: it may be another officer's
HOMES = {(Role.OPERATE.value,): "/van-hanh", (Role.AUDIT.value,): "/nhat-ky"}  # of who has nothing to decide
CHOICES = {
    "supplement": ("DA_BO_SUNG", "TU_CHOI"),
    "rescan": ("DA_QUET_LAI", "TRA_LAI"),
    "leader": ("SO_HOA", "KHONG_SO_HOA"),
    "scope": ("TIEP_TUC", "TRA_LAI"),
    "confirm": ("DA_XAC_NHAN", "TRA_LAI"),
    "verification": ("DUYET", "QUET_LAI", "XIN_Y_KIEN", "TRA_LAI"),
    "consult": ("DA_CO_Y_KIEN", "TRA_LAI"),
    "signoff": ("KY", "TRA_LAI"),
    "seal": ("KY_SO", "TRINH_LAI"),
    "issue": ("DA_XAC_NHAN",),
}


# A page with what was typed before, and why it is shown again.
Again = Callable[[Session, Mapping[str, Any], Answer], Response]


def local(at: datetime) -> str:
    return f"{at.astimezone(VIET_NAM):%H:%M %d/%m/%Y}"


def ago(at: datetime) -> str:
    """How long somebody has waited, in the one unit that says it."""
    minutes = max(0, int((datetime.now(UTC) - at).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} phút"
    return f"{minutes // 60} giờ" if minutes < 48 * 60 else f"{minutes // 1440} ngày"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"shown": shown, "local": local, "ago": ago, "capital": capital}
    made.globals |= {
        "ROLE_NAMES": {role.value: name for role, name in ROLE_NAMES.items()},
        "DECISIONS": DECISIONS,
        "STATES": STATES,
        "REASONS": {reason.value: text for reason, text in REASONS.items()},
        "key": key,
        "ACCEPT": ",".join(sorted(SUFFIXES)),
    }
    return made


class Pages:
    """All routes of the desk."""

    def __init__(
        self,
        records: RecordsDatabase,
        objects: ObjectStore,
        catalog: Catalog,
        prefect: Orchestrator,
        upload_limit_mb: int,
    ) -> None:
        self.records, self.objects, self.catalog, self.prefect = records, objects, catalog, prefect
        self.upload_limit_mb = upload_limit_mb
        self.images = Images(records, objects)
        self.work = Work(records, catalog, prefect)
        self.results = Results(records, objects, catalog, self.images)
        self.rescans = Rescans(records, objects, catalog, self.images)
        self.counter = Counter(records, objects, catalog, prefect)
        self.decisions: Decisions  # set by the composer
        self.templates = _templates()
        self.templates.globals |= {
            "FILES_LIMIT": (upload_limit_mb << 20) - FORM_ROOM,
            "TOO_LARGE": UploadsTooLarge(limit=upload_limit_mb).text,
        }
        self.markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self.version = secrets.token_hex(4)  # of the static files

    # -- making pages -------------------------------------------------------------------------------------------
    def page(self, name: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        notes = session.notes[:] if session else []
        if session:
            session.notes.clear()
        text = self.templates.get_template(name).render(
            session=session, officer=session.officer if session else None, notes=notes, version=self.version, **values
        )
        return HTMLResponse(text, status, headers={"x-sohoa-page": "1", "cache-control": "no-store"})

    def say(self, title: str, sentence: str, status: int, session: Session | None = None) -> Response:
        return self.page("message.html", session, status, title=title, sentence=sentence)

    def pdf(self, name: str, data: bytes) -> Response:
        return self.download(name, data, "application/pdf")

    def download(self, name: str, data: bytes, kind: str) -> Response:
        """A file of this media type. name: without personal data."""
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
            "x-sohoa-page": "1",
        }
        return Response(data, media_type=kind, headers=headers)

    def keep_typed(self, path: str, typed: list[tuple[str, str]]) -> Response:
        """The answer to a form whose session had ended: it carries what was typed, and nothing of it is kept here."""
        if not KEEPABLE.fullmatch(path) or not typed:
            sentence = "Yêu cầu chưa được thực hiện; vui lòng đăng nhập rồi làm lại."
            return self.say("Phiên làm việc đã kết thúc", sentence, 401)
        kept = [(name, value) for name, value in typed if name not in ("csrf", "decision", ATTESTED)]
        return self.page("resend.html", None, 401, title="Phiên làm việc đã kết thúc", path=path, kept=kept)

    # -- worklist -----------------------------------------------------------------------------------------------
    def show_worklist(self, session: Session, step: str) -> Response:
        """step: only this one; empty: all."""
        today, staff = vietnam_day(), load_staff()
        everything = self.work.items(session.officer, staff)
        at = [item.stage.rpartition("-")[0] for item in everything]
        items = [item for item, name in zip(everything, at, strict=True) if step in ("", name)]
        steps = [("", "Tất cả", len(at)), *((name, STAGES[name], at.count(name)) for name in dict.fromkeys(at))]
        with self.records.session() as database:
            held = holders(database, [item.dossier_id for item in items])
        acting = [one for one in staff.delegations if one.id == session.officer.id and one.in_time(today)]
        values = {"items": items, "steps": steps, "step": step, "held": held, "acting": acting}
        return self.page("worklist.html", session, title="Danh sách việc", **values)

    def search(self, session: Session, wanted: str) -> Response:
        rows = self.work.found(session.officer, wanted)
        if len(rows) == 1:
            return RedirectResponse(f"/ho-so/{rows[0].id}", 303)
        nothing = DossierUnknown().text if len(wanted) >= SHORTEST else f"Vui lòng gõ ít nhất {SHORTEST} ký tự."
        values = {"wanted": wanted, "rows": rows, "nothing": nothing, "limit": FOUND}
        return self.page("found.html", session, 200 if rows else 404, title="Tìm hồ sơ", **values)

    # -- review -------------------------------------------------------------------------------------------------
    def show_review(
        self,
        session: Session,
        dossier_id: UUID,
        typed: Mapping[str, Any] | None = None,
        answer: Answer | None = None,
        staff: Staff | None = None,
    ) -> Response:
        officer, staff = session.officer, staff or load_staff()
        review = look(self.records, self.catalog, dossier_id, officer.id, staff)
        waiting = self._waiting(dossier_id)
        refusal = why_not(officer, waiting.dossier, waiting.stage.name, staff) if waiting else None
        with self.records.session() as database:
            holder = holders(database, [dossier_id]).get(dossier_id)
        stage = waiting.stage.name if waiting else ""
        pictures = self._pictures(review, officer)
        if stage == "rescan" and refusal is None:
            pictures |= self.rescans.refused(officer.id, dossier_id)
        status = {"REJECT": 422, "ABORT": 409, "OLD_FORM": 403}.get(answer.status, 200) if answer else 200
        return self.page(
            "review.html",
            session,
            status,
            title=f"Hồ sơ {review.code}",
            dossier_id=dossier_id,
            review=review,
            pictures=pictures,
            waiting=waiting,
            stage=stage,
            step=STAGES.get(stage, ""),
            role=ROLE_NAMES[WHO[stage]] if waiting else "",
            choices=CHOICES.get(stage, ()),
            description=self._description(waiting) if waiting and stage != "verification" else "",
            refusal=refusal[1] if refusal else "",
            acting=acts_by(officer, waiting.dossier, stage, staff) if waiting else None,
            may=waiting is not None and refusal is None and holder in (None, officer.id),
            holder=holder,
            typed=typed or {},
            problems=answer.sentences if answer else [],
            lists=self._lists(dossier_id),
            again=self.rescans.asked(dossier_id) if stage == "rescan" else [],
            declared=self.counter.known(waiting.dossier, typed) if waiting and stage == "supplement" else None,
            said=self._said_before(dossier_id, stage),
            doubts=self._doubts(waiting) if waiting and stage == "verification" else "",
            **self.results.of_page(officer, review, waiting, typed),
        )

    def show_result(self, session: Session, dossier_id: UUID, number: int) -> Response:
        """A result as a file: draft, or issued with its signatures. Each look is in the audit trail."""
        found = self.results.file(session.officer, dossier_id, number)
        if found is None:
            return self.say("Không có văn bản kết quả", "Hồ sơ này không có văn bản đó.", 404, session)
        return self.pdf(found.name, found.data)

    def _waiting(self, dossier_id: UUID) -> Waiting | None:
        with self.records.session() as database:
            run = get_dossier(database, dossier_id).flow_run_id
        return self.decisions.waiting(run) if run else None

    def _description(self, waiting: Waiting) -> str:
        path = f"/flow_runs/{waiting.run}/input/suspended-{waiting.key}-description"
        answer = self.prefect.call("GET", path)
        if answer.status_code != 200:
            return ""
        # Prefect's dialog shows codes to choose from, this page has buttons with words on them.
        text = CODE.sub(lambda code: f"**{capital(DECISIONS.get(code[1], code[1]))}**", str(answer.json()))
        return self.markdown.render(text.replace("### ", "## "))  # below the page's own heading

    def _doubts(self, waiting: Waiting) -> str:
        """What the flow wants looked at on the paper: the description without its table of fields."""
        html = self._description(waiting)
        head, mark, tail = html.partition("</table>")
        asked_again = head[: head.index("<h2")] if "<h2" in head else ""
        return (asked_again + (tail if mark else "")).strip()

    def _said_before(self, dossier_id: UUID, stage: str) -> str:
        """The written words of the step before: the question of a consultation, its answer, the clerk's reasons."""
        before = {
            "rescan": "verification",
            "consult": "verification",
            "verification": "consult",
            "signoff": "seal",
        }.get(stage)
        if before is None:
            return ""
        with self.records.session() as database:
            kept = latest_decision(database, dossier_id, before)
            return f"{STAGES[before]}, {kept.officer}: {kept.reason}" if kept and kept.reason else ""

    def _lists(self, dossier_id: UUID) -> dict[str, list[int]]:
        """Ordinals for the boxes of the pause `scope`."""
        with self.records.session() as database:
            rows = documents(database, dossier_id)
            return {
                "fragile": [d.ordinal for d in rows if d.state is DocumentState.DE_HONG],
                "undecided": [d.ordinal for d in rows if d.state is DocumentState.PHAN_LOAI],
            }

    def _pictures(self, review: Review, officer: Officer) -> dict[int, list[dict[str, Any]]]:
        """Page images of each component with the boxes of its fields."""
        pictures: dict[int, list[dict[str, Any]]] = {}
        with self.records.session() as database:
            attempts = {d.id: (d.attempt, bool(d.file_key)) for d in documents(database, review.id)}
            for component in review.components:
                attempt, built = attempts[component.id]
                query = select(Page).where(Page.document_id == component.id, Page.attempt == attempt)
                rows = database.exec(query.order_by(Page.number)).all() if built else []  # type: ignore[arg-type]
                pictures[component.ordinal] = (
                    self.results.pictures(officer, component)
                    if component.issued
                    else [
                        {
                            "url": self.images.address(officer.id, component.id, row.number),
                            "number": row.number,
                            "width": row.width,
                            "height": row.height,
                            "boxes": _boxes(component, row.number),
                        }
                        for row in rows
                    ]
                )
        return pictures

    # -- deciding -----------------------------------------------------------------------------------------------
    def decide(self, session: Session, dossier_id: UUID, form: Mapping[str, Any], files: Any, trace: str) -> Response:
        waiting, staff = self._waiting(dossier_id), load_staff()
        if waiting is None:
            gone = self._gone(session, staff, dossier_id, form, trace)
            return self.show_review(session, dossier_id, form, gone, staff)
        review = look(self.records, self.catalog, dossier_id, session.officer.id, staff)
        stage = waiting.stage.name
        if form.get("decision") in BRINGS_FILES and why_not(session.officer, waiting.dossier, stage, staff) is None:
            try:
                if stage == "rescan" and files:
                    self.rescans.receive(waiting.dossier, form, files)
                elif stage == "supplement" and waiting.key == form.get("pause"):
                    self.counter.supplement(session.officer, waiting.dossier, form, files)
            except SohoaError as error:
                return self.show_review(session, dossier_id, form, Answer("REJECT", [error.text]), staff)
        filled = pause_form(stage, form, review.components)
        expected = str(form.get("pause", ""))
        answer = self.decisions.take(session.officer, staff, waiting.run, filled, trace, expected=expected)
        if answer.status != "ACCEPT":
            return self.show_review(session, dossier_id, form, answer, staff)
        give_up(self.records, dossier_id, session.officer.id)
        session.notes.append(answer.shown | {"code": review.code})
        return RedirectResponse(f"/ho-so/{dossier_id}", 303)

    def _gone(self, session: Session, staff: Staff, dossier_id: UUID, form: Mapping[str, Any], trace: str) -> Answer:
        with self.records.session() as database:
            run = get_dossier(database, dossier_id).flow_run_id
        if run is None:
            return Answer("ABORT", ["Hồ sơ chưa đến bước này."])
        return self.decisions.take(session.officer, staff, run, {}, trace, expected=str(form.get("pause", "")))

    # -- routes -------------------------------------------------------------------------------------------------
    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)

        shown_to = self.shown_to

        def again(dossier_id: UUID) -> Again:
            return lambda session, form, answer: self.show_review(session, dossier_id, form, answer)

        @router.get("/", include_in_schema=False)
        async def home(request: Request) -> Response:
            officer: Officer = request.state.session.officer
            return RedirectResponse(HOMES.get(tuple(officer.roles), "/viec"), 303)

        @router.get("/favicon.ico", include_in_schema=False)
        async def icon() -> Response:
            return Response(status_code=204)

        @router.get("/tinh/{name}", include_in_schema=False)
        async def static(name: str) -> Response:
            if name not in STATIC:
                return Response(status_code=404)
            return FileResponse(HERE / "static" / name, media_type=STATIC[name])

        @router.get("/viec", summary="Danh sách việc của viên chức đang đăng nhập")
        async def work(request: Request, buoc: str = "") -> Response:
            return await shown_to(request, self.show_worklist, buoc if buoc in STAGES else "")

        @router.get("/tim", summary="Tìm hồ sơ theo mã hoặc một phần của mã")
        async def find(request: Request, ma: str = "") -> Response:
            return await shown_to(request, self.search, ma.strip().replace("\0", "")[:64])

        @router.get("/ho-so/{dossier_id}", summary="Xem một hồ sơ; mỗi lần xem đều được ghi nhật ký")
        async def review(request: Request, dossier_id: UUID) -> Response:
            return await shown_to(request, self.show_review, dossier_id)

        @router.post("/ho-so/{dossier_id}/quyet-dinh", summary="Ghi quyết định từ trang xem hồ sơ")
        async def decide(request: Request, dossier_id: UUID) -> Response:
            form, files, refusal = await self.posted(request, again(dossier_id))
            return refusal or await shown_to(request, self.decide, dossier_id, form, files, request.state.trace)

        @router.post("/ho-so/{dossier_id}/du-thao", summary="Xem dự thảo văn bản kết quả với nội dung đang soạn")
        async def preview(request: Request, dossier_id: UUID) -> Response:
            form, _, refusal = await self.posted(request, again(dossier_id))
            return refusal or await shown_to(request, self.show_review, dossier_id, form)  # nothing is kept

        @router.get("/ho-so/{dossier_id}/ket-qua/{number}", summary="Tải văn bản kết quả, dự thảo hoặc đã phát hành")
        async def result(request: Request, dossier_id: UUID, number: int) -> Response:
            return await shown_to(request, self.show_result, dossier_id, number)

        @router.post("/ho-so/{dossier_id}/nhan", summary="Nhận việc")
        async def claim(request: Request, dossier_id: UUID) -> Response:
            _, _, refusal = await self.posted(request)
            return refusal or await shown_to(request, self._claim, dossier_id)

        @router.post("/ho-so/{dossier_id}/tra", summary="Trả lại việc đã nhận")
        async def release(request: Request, dossier_id: UUID) -> Response:
            _, _, refusal = await self.posted(request)
            return refusal or await shown_to(request, self._release, dossier_id)

        @router.get("/anh/{token}", summary="Ảnh một trang, chỉ cho người vừa mở hồ sơ")
        async def image(request: Request, token: str, lon: bool = False) -> Response:
            """lon: twice as big, for small print."""
            officer = request.state.session.officer.id
            try:
                data = await run_in_threadpool(self.images.open, token, officer, LARGE if lon else WIDTH)
            except ImageGone as error:
                return self.say("Ảnh không mở được", error.text, 403)
            # Papers of people: not on the disk of a computer that several officers use.
            return Response(data, media_type="image/jpeg", headers={"cache-control": "no-store"})

        return router

    async def shown_to(self, request: Request, function: Any, *args: Any) -> Response:
        """Run it in a thread; what the product refuses becomes a page."""
        session: Session = request.state.session
        try:
            answer: Response = await run_in_threadpool(function, session, *args)
            return answer
        except SohoaError as error:
            status = 404 if isinstance(error, DossierUnknown) else 503 if error.remedy is Remedy.RETRY else 403
            return self.say("Không thực hiện được", error.text, status, session)

    async def posted(
        self, request: Request, again: Again | None = None
    ) -> tuple[dict[str, Any], dict[str, list[UploadFile]], Response | None]:
        """Fields and files of a posted form; a page instead when it isn't one of this session's, or too large.

        again: the page that shows what was typed again, so that a new sign-in costs nothing.
        """
        session: Session = request.state.session
        try:
            insist_small(request.headers, self.upload_limit_mb)
        except UploadsTooLarge as error:
            return {}, {}, self.say("Các tệp quá lớn", error.text, 413, session)
        try:
            posted = await request.form(max_files=5_000, max_fields=20_000)
        except Exception:
            return {}, {}, self.say("Biểu mẫu không hợp lệ", "Vui lòng mở lại trang và gửi lại.", 400, session)
        form: dict[str, Any] = {}
        files: dict[str, list[UploadFile]] = {}
        for name, value in posted.multi_items():
            if isinstance(value, str):
                form[name] = value.replace("\0", "").replace("\r\n", "\n")
            elif INPUT.fullmatch(name) and value.filename:
                files.setdefault(name, []).append(value)
        if not secrets.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            if again is None:
                return {}, {}, self.say("Trang đã cũ", "Vui lòng mở lại trang rồi gửi lại.", 403, session)
            form.pop(ATTESTED, None)
            old = Answer("OLD_FORM", [OLD_FORM])
            return {}, {}, await self.shown_to(request, again, form, old)
        return form, files, None

    def _claim(self, session: Session, dossier_id: UUID) -> Response:
        waiting = self._waiting(dossier_id)
        if waiting is None:
            return self.say("Không nhận được việc", "Hồ sơ không chờ ai.", 403, session)
        if refusal := why_not(session.officer, waiting.dossier, waiting.stage.name, load_staff()):
            return self.say("Không nhận được việc", refusal[1], 403, session)
        try:
            take(self.records, dossier_id, session.officer.id)
        except TakenByOther as error:
            return self.say("Không nhận được việc", error.text, 409, session)
        return RedirectResponse(f"/ho-so/{dossier_id}", 303)

    def _release(self, session: Session, dossier_id: UUID) -> Response:
        give_up(self.records, dossier_id, session.officer.id)
        return RedirectResponse("/viec", 303)


def _boxes(component: ComponentView, page: int) -> list[dict[str, Any]]:
    boxes = []
    for field in component.fields:
        if field.page == page and field.box and len(field.box) == 4:
            left, top, right, bottom = field.box
            boxes.append(
                {
                    "name": f"{component.ordinal}.{field.name}",
                    "label": field.label,
                    "pressing": field.pressing,
                    "x": left - 4,
                    "y": top - 4,
                    "width": max(1, right - left + 8),
                    "height": max(1, bottom - top + 8),
                }
            )
    return boxes
