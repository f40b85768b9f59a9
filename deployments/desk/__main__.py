"""``python -m deployments.desk``: the officer gateway with the pages of the product, on loopback."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from blocks.catalog import Catalog
from blocks.catalog.staff import Role, load_staff
from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.codes import vietnam_day
from blocks.settings import load_stack_env
from deployments.desk.counter import Counter
from deployments.desk.counter_pages import CounterPages
from deployments.desk.decisions import Answer, Decisions
from deployments.desk.dossier_pages import DossierPages
from deployments.desk.health import routes
from deployments.desk.oversight_pages import OversightPages
from deployments.desk.pages import Pages
from deployments.desk.worklist_pages import WorklistPages
from deployments.partners.access import Access
from deployments.partners.app import Front, create_partners
from infra.gateway.app import create_app
from infra.gateway.sessions import Officer, Session
from infra.gateway.settings import GatewaySettings

UNKNOWN = "unknown"
PLAIN_PATH = re.compile(r"(/([a-z_-]{1,40}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})){1,8}/?")


class Desk:
    """What the gateway needs of the product."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.records, self.objects = RecordsDatabase(), ObjectStore()
        self.catalog, self.prefect = Catalog(), Orchestrator()
        self.pages = Pages(settings.upload_limit_mb)
        self.decisions = Decisions(self.records, self.prefect, settings.gateway_private_key_file)

    def routers(self) -> list[APIRouter]:
        pages, records, catalog = self.pages, self.records, self.catalog
        counter = Counter(records, self.objects, catalog, self.prefect)
        return [
            pages.router(),
            WorklistPages(pages, records, catalog, self.prefect, self.decisions).router(),
            DossierPages(pages, records, self.objects, catalog, self.decisions, counter).router(),
            CounterPages(pages, records, catalog, counter).router(),
            OversightPages(pages, records, self.refused).router(),
            APIRouter(routes=routes(self.pages, self._refuse_operations)),
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

    def resume(self, officer: Officer, run: UUID, form: dict[str, Any], trace: str) -> Answer:
        try:
            return self.decisions.take(officer, load_staff(), run, form, trace)
        except SohoaError as error:  # Prefect or the database doesn't answer, the list of staff can't be read
            return Answer("LATER", [error.text])

    def say(self, title: str, sentence: str, status: int, leave: str = "") -> Response:
        return self.pages.page("message.html", None, status, title=title, sentence=sentence, leave=leave)

    def keep_typed(self, path: str, typed: list[tuple[str, str]]) -> Response:
        return self.pages.keep_typed(path, typed)

    def signed(self, action: str, officer: str, trace: str) -> None:
        """Who came and went, into the audit trail (WH04)."""
        with self.records.session() as session:
            audit(session, actor=officer, action=action, rule="WH04", details={"trace": trace})

    def refused(self, code: str, officer: str | None, trace: str, path: str) -> None:
        """Into the audit trail: who was refused what. The path is kept only where it can't hold anything but ids."""
        details = {"code": code, "trace": trace}
        if PLAIN_PATH.fullmatch(path):
            details["path"] = path
        with self.records.session() as session:
            audit(session, actor=officer or UNKNOWN, action="refuse", rule="WH04", details=details)


def main() -> None:
    load_stack_env()
    settings = GatewaySettings()  # type: ignore[call-arg]  (from the environment)
    lines = logging.getLogger("sohoa.gateway")  # JSON, one line a request; Prefect's format would go round it
    lines.setLevel(logging.INFO)
    lines.propagate = False
    lines.addHandler(logging.StreamHandler(sys.stdout))
    desk = Desk(settings)
    partners = create_partners(desk.records, desk.objects, desk.catalog, desk.prefect, Access(desk.records))
    uvicorn.run(
        Front(partners, create_app(settings, desk)),
        host="127.0.0.1",
        port=settings.gateway_port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
