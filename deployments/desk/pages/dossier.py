"""The page of a dossier: papers beside fields, the officer's decision (QĐ 1333, Điều 9.3, 9.4, 13).

Every look is audited by `tasks.verification.review.look`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from markdown_it import MarkdownIt
from pydantic import SecretStr
from sqlmodel import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from blocks.catalog import Catalog
from blocks.catalog.staff import SEES_PAPERS, Role, Staff, load_staff
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.pins import MOST
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_document, get_dossier
from blocks.records.regions import Part, parts_of
from blocks.records.states import DocumentState
from blocks.records.tables import Page
from blocks.signer import signer_for
from deployments.desk.auth.sessions import Officer, Session
from deployments.desk.counter import Counter
from deployments.desk.decisions import ROLE_NAMES, Answer, Decisions, Waiting, acts_by, why_not
from deployments.desk.forms import SPLITS, pause_form
from deployments.desk.images import A4_HEIGHT, LARGE, WIDTH, ImageGone, Images
from deployments.desk.pages.rendering import Again, Pages, capital
from deployments.desk.rescans import Rescans
from deployments.desk.results import Results
from deployments.desk.words import Words
from tasks.decisions.proofs import latest_proven
from tasks.desk_views.claims import give_up, holders
from tasks.intake.electronic_originals import signers_of
from tasks.pauses.facts import keyholder_of
from tasks.pauses.outages import sentence
from tasks.pauses.registry import decision_labels, pauses
from tasks.pauses.rescan import RESCAN
from tasks.pauses.sign import PaperToSign, to_sign
from tasks.pauses.supplement import SUPPLEMENT
from tasks.signing.pins import drop_pin, keep_pin
from tasks.signing.verify import SignatureVerdict
from tasks.verification.review import ComponentView, Review, look

UNREAD = DocumentState.DAT_KIEM_TRA  # captured, neither signed nor read
BY_PIN = {"KY_SO_CA_NHAN", "DA_XAC_NHAN"}
NO_PIN = "Vui lòng nhập mã PIN của chữ ký số để ký."
BRINGS_FILES = {"DA_QUET_LAI", "DA_BO_SUNG"}
CODE = re.compile(r"\*\*([A-Z_]+)\*\*")


class DossierPages:
    def __init__(
        self,
        pages: Pages,
        records: RecordsDatabase,
        objects: ObjectStore,
        catalog: Catalog,
        decisions: Decisions,
        counter: Counter,
    ) -> None:
        self.pages, self.records, self.catalog = pages, records, catalog
        self.decisions, self.counter = decisions, counter
        self.images = Images(records, objects)
        self.results = Results(records, objects, catalog, self.images)
        self.words = Words(records, objects, self.images)
        self.rescans = Rescans(records, objects, catalog, self.images)
        self.markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    # -- looking ------------------------------------------------------------------------------------------------
    def show_review(
        self,
        session: Session,
        dossier_id: DossierId,
        typed: Mapping[str, Any] | None = None,
        answer: Answer | None = None,
        staff: Staff | None = None,
        proven: bool = False,
    ) -> Response:
        """proven: the officer has just proved anew who they are, for the decision that was typed."""
        officer, staff = session.officer, staff or load_staff()
        waiting = self.decisions.waiting_of(dossier_id)
        seen = self.decisions.seen(dossier_id) if waiting else ""  # before it is read: never newer than the page
        review = look(self.records, self.catalog, dossier_id, officer.id, staff, grants=officer.grants)
        refusal = why_not(officer, waiting.dossier, waiting.pause, staff) if waiting else None
        with self.records.session() as database:
            holder = holders(database, [dossier_id]).get(dossier_id)
            outage = sentence(database, dossier_id)
        stage = waiting.pause.name if waiting else ""
        pictures, texts = self._pictures(review, officer), self._texts(review)
        if stage == "rescan" and refusal is None:
            pictures |= self.rescans.refused(officer.id, dossier_id)
        status = {"REJECT": 422, "ABORT": 409, "OLD_FORM": 403}.get(answer.status, 200) if answer else 200
        return self.pages.page(
            "review.html",
            session,
            status,
            title=f"Hồ sơ {review.code}",
            dossier_id=dossier_id,
            review=review,
            pictures=pictures,
            texts=texts,
            signers=self._signers(review),
            waiting=waiting,
            seen=seen,
            outage=outage,
            stage=stage,
            step=waiting.pause.label if waiting else "",
            role=ROLE_NAMES[waiting.role] if waiting else "",
            choices=waiting.pause.choices if waiting else {},
            description=self._description(waiting) if waiting and stage != "verification" else "",
            refusal=refusal[1] if refusal else "",
            acting=acts_by(officer, waiting.dossier, waiting.pause, staff) if waiting else None,
            may=waiting is not None and refusal is None and holder in (None, officer.id),
            holder=holder,
            typed=typed or {},
            problems=answer.sentences if answer else [],
            lists=self._lists(dossier_id),
            again=self.rescans.asked(dossier_id) if stage == "rescan" else [],
            declared=self.counter.known(waiting.dossier, typed) if waiting and stage == "supplement" else None,
            asks_pin=waiting is not None and self._asks_pin(officer, waiting, staff),
            to_sign=self._to_sign(dossier_id) if stage == "sign" and refusal is None else [],
            said=self._said_before(dossier_id, stage),
            doubts=self._doubts(waiting) if waiting and stage == "verification" else "",
            proven=proven,
            splits=self._splits(review, typed or {}) if stage == "verification" else None,
            **self.results.of_page(officer, review, waiting, typed),
        )

    def show_after_step_up(self, session: Session, dossier_id: DossierId, token: str) -> Response:
        """With what was typed before it."""
        asked = session.step_up(token)
        if asked is None or asked.back != f"/ho-so/{dossier_id}" or asked.proven is None:
            return self.show_review(session, dossier_id)
        return self.show_review(session, dossier_id, asked.typed, proven=True)

    def show_result(self, session: Session, dossier_id: DossierId, number: int) -> Response:
        """A result as a file: draft, or issued with its signatures. Each look is in the audit trail."""
        found = self.results.file(session.officer, dossier_id, number)
        if found is None:
            return self.pages.say("Không có văn bản kết quả", "Hồ sơ này không có văn bản đó.", 404, session)
        return self.pages.pdf(found.name, found.data)

    def show_text(self, session: Session, dossier_id: DossierId, ordinal: int) -> Response:
        """The whole text of a paper, to read, search and copy. Each look is in the audit trail."""
        review = look(self.records, self.catalog, dossier_id, session.officer.id, grants=session.officer.grants)
        component = next((c for c in review.components if c.ordinal == ordinal and not c.hidden), None)
        texts = self.words.texts(component.id) if component else []
        if component is None or not any(texts):
            return self.pages.say("Không có văn bản", "Giấy tờ này chưa được đọc, hoặc không được xem.", 404, session)
        title = f"Toàn văn: {component.kind}"
        return self.pages.page(
            "text.html", session, title=title, dossier_id=dossier_id, review=review, ordinal=ordinal, texts=texts
        )

    def _texts(self, review: Review) -> set[int]:
        """Of which papers there is a text to read, by their numbers."""
        with self.records.session() as database:
            seen = [c for c in review.components if not c.hidden and not c.issued]
            return {component.ordinal for component in seen if self.words.readable(database, component.id)}

    def _description(self, waiting: Waiting) -> str:
        # Prefect's dialog shows codes to choose from, this page has buttons with words on them.
        told = self.decisions.told(waiting)
        text = CODE.sub(lambda code: f"**{capital(decision_labels().get(code[1], code[1]))}**", told)
        # One heading below the page's own.
        html: str = self.markdown.render(text.replace("### ", "## "))
        return html

    def _doubts(self, waiting: Waiting) -> str:
        """What the flow wants looked at on the paper: the description without its table of fields."""
        html = self._description(waiting)
        head, mark, tail = html.partition("</table>")
        refused_before = head[: head.index("<h2")] if "<h2" in head else ""
        return (refused_before + (tail if mark else "")).strip()

    def _said_before(self, dossier_id: DossierId, stage: str) -> str:
        """The written words of the step before: the question of a consultation, its answer, the clerk's reasons."""
        before = pauses()[stage].words_of if stage else ()
        with self.records.session() as database:
            kept = {name: latest_proven(database, dossier_id, name) for name in before}
            said = [(row.decided_at, name, row) for name, row in kept.items() if row and row.reason]
            if not said:
                return ""
            _, name, row = max(said)
            return f"{pauses()[name].label}, {row.officer}: {row.reason}"

    def _to_sign(self, dossier_id: DossierId) -> list[PaperToSign]:
        """The captured files whose pages stand on the page; they go with the form, so that only they are signed."""
        with self.records.session() as database:
            return to_sign(database, dossier_id)

    def _splits(self, review: Review, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Rows for images with two papers: as typed, or those that seem to be such, and one for any other."""
        flagged = [(c.ordinal, page) for c in review.components if not c.hidden for page in c.several][: SPLITS - 1]
        found = [{"component": c, "page": p, "side": "", "at": 50, "type": ""} for c, p in flagged]
        rows = [*found, {"component": "", "page": "", "side": "", "at": 50, "type": ""}]
        for number, row in enumerate(rows):
            row |= {item: typed[name] for item in row if (name := f"split.{number}.{item}") in typed}
        types = sorted(self.catalog.document_types(vietnam_day()), key=lambda kind: kind.name)
        return {"rows": rows, "types": types, "open": bool(flagged) or any(row["side"] for row in rows)}

    def _lists(self, dossier_id: DossierId) -> dict[str, list[int]]:
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
            captured_by = get_dossier(database, review.id).captured_by
            attempts = {
                # Nobody has read it yet, so a secrecy stamp isn't known (Điều 5.4): only who captured looks at it.
                d.id: (d.attempt, bool(d.file_key) and (d.state is not UNREAD or officer.id == captured_by))
                for d in documents(database, review.id)
            }
            for component in review.components:
                attempt, built = attempts[component.id]
                query = select(Page).where(Page.document_id == component.id, Page.attempt == attempt)
                seen = built and not component.hidden
                rows = database.exec(query.order_by(Page.number)).all() if seen else []  # type: ignore[arg-type]
                parts = parts_of(database, component.id, attempt) if seen else {}
                pictures[component.ordinal] = (
                    self.results.pictures(officer, component)
                    if component.issued
                    else self._original(officer, component)
                    if component.electronic and not component.hidden
                    else [
                        {
                            "url": self.images.address(officer.id, component.id, row.number),
                            "number": row.number,
                            **_as_shown(row),
                            "part": _box_of(row, parts.get(row.number)),
                            "boxes": _boxes(component, row.number),
                            "words": self.words.address(officer.id, component.id, row.number) if row.text_key else "",
                        }
                        for row in rows
                    ]
                )
        return pictures

    def _original(self, officer: Officer, component: ComponentView) -> list[dict[str, Any]]:
        """Pages of an electronic original, which has no scans."""
        return [
            {
                "url": self.images.of_original(officer.id, component.id, number),
                "number": number,
                "width": WIDTH,
                "height": A4_HEIGHT,
                "boxes": [],
            }
            for number in range(1, component.images + 1)
        ]

    def _signers(self, review: Review) -> dict[int, list[SignatureVerdict]]:
        """Who signed the electronic originals, by the number of the component."""
        with self.records.session() as database:
            return {
                component.ordinal: signers_of(self.images.objects, database, get_document(database, component.id))
                for component in review.components
                if component.examined and not component.hidden
            }

    # -- deciding -----------------------------------------------------------------------------------------------
    def decide(
        self, session: Session, dossier_id: DossierId, form: Mapping[str, Any], files: Any, trace: str
    ) -> Response:
        waiting, staff = self.decisions.waiting_of(dossier_id), load_staff()
        if waiting is None:
            gone = self._gone(session, staff, dossier_id, form, trace)
            return self.show_review(session, dossier_id, form, gone, staff)
        review = look(self.records, self.catalog, dossier_id, session.officer.id, staff, grants=session.officer.grants)
        pause = waiting.pause
        if form.get("decision") in BRINGS_FILES and why_not(session.officer, waiting.dossier, pause, staff) is None:
            try:
                if pause is RESCAN and (files or any(name.startswith("drop.") for name in form)):
                    self.rescans.receive(self.counter.origin(session.officer, form), waiting.dossier, form, files)
                elif pause is SUPPLEMENT and waiting.key == form.get("pause"):
                    self.counter.supplement(session.officer, waiting.dossier, form, files)
            except SohoaError as error:
                if error.remedy is Remedy.RETRY:
                    raise
                return self.show_review(session, dossier_id, form, Answer("REJECT", [error.text]), staff)
        typed_pin = str(form.get("pin", ""))
        form = {name: value for name, value in form.items() if name != "pin"}  # shown, kept and sent nowhere
        asked = self._asks_pin(session.officer, waiting, staff) and form.get("decision") in BY_PIN
        if asked and not 1 <= len(typed_pin) <= MOST:
            return self.show_review(session, dossier_id, form, Answer("REJECT", [NO_PIN]), staff)
        filled = pause_form(pause.name, form, review.components)
        shown = {"expected": str(form.get("pause", "")), "seen": str(form.get("seen", ""))}
        if asked and waiting.key == shown["expected"]:
            keep_pin(self.records, dossier_id, waiting.key, session.officer.id, SecretStr(typed_pin))
        answer = self.decisions.take(session.officer, staff, waiting.run, filled, trace, **shown, session=session)
        if answer.code == "STEP_UP":
            drop_pin(self.records, dossier_id, waiting.key)
            return self.pages.step_up(session, answer.about, f"/ho-so/{dossier_id}", form)
        if answer.status != "ACCEPT":
            if asked and answer.status == "REJECT":
                drop_pin(self.records, dossier_id, waiting.key)
            return self.show_review(session, dossier_id, form, answer, staff)
        give_up(self.records, dossier_id, session.officer.id)
        session.notes.append(answer.shown | {"code": review.code})
        return RedirectResponse(f"/ho-so/{dossier_id}", 303)

    def may_bring_files(self, officer: Officer, dossier_id: DossierId) -> bool:
        """Asked before a body is read: scans come from who receives in the dossier's unit."""
        try:
            with self.records.session() as database:
                return get_dossier(database, dossier_id).unit_id in officer.where(Role.RECEIVE)
        except SohoaError:
            return False

    def _asks_pin(self, officer: Officer, waiting: Waiting, staff: Staff) -> bool:
        """Whether this officer decides here by typing the PIN of an own signature."""
        pause = waiting.pause
        if pause.pin_of is None or why_not(officer, waiting.dossier, pause, staff) is not None:
            return False
        return keyholder_of(waiting.dossier.id, pause.pin_of) == officer.id and signer_for(officer.id).asks_pin

    def _gone(
        self, session: Session, staff: Staff, dossier_id: DossierId, form: Mapping[str, Any], trace: str
    ) -> Answer:
        run = self.decisions.run_of(dossier_id)
        if run is None:
            return Answer("ABORT", ["Hồ sơ chưa đến bước này."])
        return self.decisions.take(session.officer, staff, run, {}, trace, expected=str(form.get("pause", "")))

    # -- routes -------------------------------------------------------------------------------------------------
    def router(self) -> APIRouter:
        router = APIRouter(default_response_class=HTMLResponse)
        shown_to = self.pages.shown_to

        def again(dossier_id: DossierId) -> Again:
            return lambda session, form, answer: self.show_review(session, dossier_id, form, answer)

        @router.get("/ho-so/{dossier_id}", summary="Xem một hồ sơ; mỗi lần xem đều được ghi nhật ký")
        async def review(request: Request, dossier_id: DossierId) -> Response:
            if token := request.query_params.get("xac-thuc"):
                return await shown_to(request, self.show_after_step_up, dossier_id, token)
            return await shown_to(request, self.show_review, dossier_id)

        @router.post("/ho-so/{dossier_id}/quyet-dinh", summary="Ghi quyết định từ trang xem hồ sơ")
        async def decide(request: Request, dossier_id: DossierId) -> Response:
            brings = await run_in_threadpool(self.may_bring_files, request.state.session.officer, dossier_id)
            form, files, refusal = await self.pages.posted(request, again(dossier_id), files=brings)
            trace = request.state.trace
            return refusal or await shown_to(request, self.decide, dossier_id, form, files, trace, typed=form)

        @router.post("/ho-so/{dossier_id}/du-thao", summary="Xem dự thảo văn bản kết quả với nội dung đang soạn")
        async def preview(request: Request, dossier_id: DossierId) -> Response:
            form, _, refusal = await self.pages.posted(request, again(dossier_id))
            return refusal or await shown_to(request, self.show_review, dossier_id, form, typed=form)  # nothing is kept

        @router.get("/ho-so/{dossier_id}/ket-qua/{number}", summary="Tải văn bản kết quả, dự thảo hoặc đã phát hành")
        async def result(request: Request, dossier_id: DossierId, number: int) -> Response:
            return await shown_to(request, self.show_result, dossier_id, number)

        @router.get("/ho-so/{dossier_id}/van-ban/{ordinal}", summary="Toàn văn đã đọc của một giấy tờ")
        async def text(request: Request, dossier_id: DossierId, ordinal: int) -> Response:
            return await shown_to(request, self.show_text, dossier_id, ordinal)

        @router.get("/chu/{token}", summary="Các chữ của một trang và vị trí, chỉ cho người vừa mở hồ sơ")
        async def words(request: Request, token: str) -> Response:
            officer: Officer = request.state.session.officer
            try:
                found = await run_in_threadpool(self.words.at, token, officer.id, officer.where(*SEES_PAPERS))
            except ImageGone as error:
                return self.pages.say("Chữ không mở được", error.text, 403)
            body = [word.model_dump() for word in found]
            return JSONResponse(body, headers={"cache-control": "no-store"})

        @router.get("/anh/{token}", summary="Ảnh một trang, chỉ cho người vừa mở hồ sơ")
        async def image(request: Request, token: str, lon: bool = False) -> Response:
            """lon: twice as big, for small print."""
            officer: Officer = request.state.session.officer
            sees, leads, width = officer.where(*SEES_PAPERS), officer.where(Role.LEAD), LARGE if lon else WIDTH
            try:
                data = await run_in_threadpool(self.images.open, token, officer.id, width, sees, leads)
            except ImageGone as error:
                return self.pages.say("Ảnh không mở được", error.text, 403)
            # Papers of people: not on the disk of a computer that several officers use.
            return Response(data, media_type="image/jpeg", headers={"cache-control": "no-store"})

        return router


def _as_shown(row: Page) -> dict[str, Any]:
    """Width and height of a page as it is shown, and how what lies on the stored image is turned with it."""
    wide, high = row.width, row.height
    turned = {
        3: (wide, high, f"matrix(-1 0 0 -1 {wide} {high})"),
        6: (high, wide, f"matrix(0 1 -1 0 {high} 0)"),
        8: (high, wide, f"matrix(0 -1 1 0 0 {wide})"),
    }
    width, height, transform = turned.get(row.quality.get("orientation", 1), (wide, high, ""))
    return {"width": width, "height": height, "transform": transform}


def _box_of(row: Page, part: Part | None) -> list[int] | None:
    """x, y, width, height of the part of the stored image that is read."""
    if part is None:
        return None
    left, top = round(part[0] * row.width), round(part[1] * row.height)
    return [left, top, round(part[2] * row.width) - left, round(part[3] * row.height) - top]


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
