"""The desk as a whole: its pages, sign-ins and decisions, made once for the application."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, load_staff
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.ids import FlowRunId
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.settings.sections import GatewaySettings
from deployments.desk.auth.sessions import Session
from deployments.desk.auth.sign_in_records import SignIns
from deployments.desk.auth.signin import AGAIN
from deployments.desk.counter import Counter
from deployments.desk.decisions import STEP_UP_SENTENCE, Answer, Decisions
from deployments.desk.drafts import Drafts
from deployments.desk.limits import Uploads
from deployments.desk.pages.counter import CounterPages
from deployments.desk.pages.disposal import DisposalPages
from deployments.desk.pages.dossier import DossierPages
from deployments.desk.pages.operations import routes
from deployments.desk.pages.oversight import OversightPages
from deployments.desk.pages.parting import PartingPages
from deployments.desk.pages.rendering import AGAIN_LATER, Pages
from deployments.desk.pages.sessions import SessionPages
from deployments.desk.pages.worklist import WorklistPages
from tasks.pauses.outages import not_answering

UNKNOWN = "unknown"
PLAIN_PATH = re.compile(r"(/([a-z_-]{1,40}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})){1,8}/?")


class Desk:
    """Services, pages and what sign-in and guard ask of them."""

    def __init__(self, settings: GatewaySettings, records: RecordsDatabase | None = None) -> None:
        self.records, self.objects = records or RecordsDatabase.get(), ObjectStore.get()
        self.catalog, self.prefect = Catalog.get(), Orchestrator()
        uploads = Uploads(settings.upload_quota_mb << 20, settings.uploads_at_once, settings.spool_limit_mb << 20)
        self.pages, self.origin = Pages(settings.upload_limit_mb, uploads), settings.origin
        self.decisions = Decisions(
            self.records, self.prefect, settings.gateway_private_key_file, settings.step_up_minutes
        )
        self.signins, self.sessions = (
            SignIns(self.records),
            SessionPages(self.pages, self.records, settings.step_up_minutes),
        )

    def routers(self) -> list[APIRouter]:
        pages, records, catalog = self.pages, self.records, self.catalog
        drafts = Drafts(room=self.pages.uploads.spool)
        counter = Counter(records, self.objects, catalog, self.prefect, self.decisions.private_key, drafts)
        return [
            pages.router(),
            WorklistPages(pages, records, catalog, self.decisions).router(),
            DossierPages(pages, records, self.objects, catalog, self.decisions, counter).router(),
            PartingPages(pages, catalog, counter).router(),
            CounterPages(pages, records, catalog, counter).router(),
            OversightPages(pages, records, self.refused).router(),
            DisposalPages(pages, records, self.refused, catalog, self.decisions.step_up_minutes).router(),
            APIRouter(routes=[*routes(self.pages, self._refuse_operations)]),
        ]

    def confirmed(self, officer: str, told: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        return load_staff().confirmed(officer, told, vietnam_day())

    def _refuse_operations(self, request: Request) -> Response | None:
        """The page of operations is for them and for leaders (WH04)."""
        session: Session = request.state.session
        if session.officer.holds(Role.OPERATE.value) or session.officer.holds(Role.LEAD.value):
            return None
        self.refused("WRONG_ROLE", session.officer.id, request.state.trace, request.url.path)
        return self.pages.say("Không được xem", "Trang này dành cho bộ phận vận hành và lãnh đạo.", 403, session)

    def resume(self, session: Session, run: FlowRunId, form: dict[str, Any], trace: str) -> Answer:
        try:
            answer = self.decisions.take(session.officer, load_staff(), run, form, trace, session=session)
            if answer.code == "STEP_UP":
                dossier = self.decisions.dossier_of(run)
                answer.step_up = f"{AGAIN}?viec={session.ask_again(answer.about, f'/ho-so/{dossier}', form)}"
                answer.sentences = [f"{STEP_UP_SENTENCE} Địa chỉ: {self.origin}{answer.step_up}"]
            return answer
        except SohoaError as error:
            if error.remedy is not Remedy.RETRY:  # e.g. the list of staff can't be read
                return Answer("FAULT", [error.text])
            return Answer("LATER", [f"{not_answering(error)} {AGAIN_LATER}"])

    def show_sessions(self, session: Session, everybody: list[Session]) -> Response:
        return self.sessions.show(session, everybody)

    async def end_session(
        self, request: Request, session: Session, wanted: list[Session]
    ) -> tuple[list[Session], Response]:
        return await self.sessions.end(request, session, wanted)

    def say(self, title: str, sentence: str, status: int, leave: str = "") -> Response:
        return self.pages.page("message.html", None, status, title=title, sentence=sentence, leave=leave)

    def keep_typed(self, path: str, typed: list[tuple[str, str]]) -> Response:
        return self.pages.keep_typed(path, typed)

    def signed(self, action: str, officer: str, trace: str, details: dict[str, Any]) -> None:
        """Who came and went, and how they proved who they are, into the audit trail (WH04)."""
        with self.records.session() as session:
            audit(session, actor=officer, action=action, rule="WH04", details=details | {"trace": trace})

    def refused(self, code: str, officer: str | None, trace: str, path: str, count: int = 1) -> None:
        """Into the audit trail: who was refused what, or how often. The path is kept only where it can hold but ids."""
        details: dict[str, Any] = {"code": code, "trace": trace} | ({"count": count} if count > 1 else {})
        if PLAIN_PATH.fullmatch(path):
            details["path"] = path
        with self.records.session() as session:
            audit(session, actor=officer or UNKNOWN, action="refuse", rule="WH04", details=details)
