"""The real gateway with the desk's pages in this process: real database and store; Prefect isn't there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from sqlmodel import col, select
from starlette.testclient import TestClient

from blocks.catalog.staff import Role
from blocks.identity import ensure_keys
from blocks.records import RecordsDatabase
from blocks.records.tables import AuditEntry
from blocks.settings.sections import GatewaySettings
from deployments.desk.app import create_app
from deployments.desk.auth.sessions import Officer
from deployments.desk.desk import Desk
from deployments.desk.guard import Guard
from infra.local.postgres import Postgres
from infra.local.roles import GATEWAY

GATEWAY_URL = "SOHOA_DATABASE_GATEWAY_URL"
ORIGIN = "http://gateway.example"
OWN, FOREIGN = "BHXH-TEST", "BHXH-KHAC"
Told = set[tuple[str, str]]


def staff_file(path: Path) -> Path:
    """For each role: here.<role> in OWN, there.<role> in FOREIGN, over.<role> whose delegation in OWN has ended."""
    staff, delegations = [], []
    for role in Role:
        for name, unit in (("here", OWN), ("there", FOREIGN)):
            staff.append(
                {"id": f"{name}.{role.lower()}", "units": [unit], "roles": [role.value], "valid_from": "2020-01-01"}
            )
        over = {"delegated_by": "here.lead", "document": "12/GUQ", "valid_from": "2020-01-01", "valid_to": "2024-12-31"}
        delegations.append({"id": f"over.{role.lower()}", "units": [OWN], "roles": [role.value]} | over)
    path.write_text(yaml.safe_dump({"staff": staff, "delegations": delegations}), encoding="utf-8")
    return path


@dataclass
class Signed:
    """Somebody's browser with a session."""

    http: TestClient
    csrf: str
    cookie: str

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(path, **more)

    def post(self, path: str, data: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        headers = {"origin": ORIGIN, "accept": "text/html"} | more.pop("headers", {})
        return self.http.post(path, data={"csrf": self.csrf} | (data or {}), headers=headers, **more)


@dataclass
class Gateway:
    app: Guard
    desk: Desk
    records: RecordsDatabase

    def signed_in(self, officer: str, told: Told) -> Signed:
        """As after a sign-in at which the provider told these groups."""
        cookie = self.app.sessions.begin(Officer(officer, frozenset(), frozenset(told)))
        session = self.app.sessions.find(cookie)
        assert session is not None
        http = TestClient(self.app, base_url=ORIGIN, cookies={"sohoa": cookie}, follow_redirects=False)
        return Signed(http, session.csrf, cookie)

    def stranger(self, **more: Any) -> TestClient:
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=False, **more)

    def refusals(self, after: int = 0) -> list[tuple[str, str]]:
        """(actor, code) of each refusal in the audit trail, oldest first."""
        with self.records.session() as session:
            query = select(AuditEntry).where(AuditEntry.action == "refuse", col(AuditEntry.seq) > after)
            return [
                (one.actor, str(one.details.get("code"))) for one in session.exec(query.order_by(col(AuditEntry.seq)))
            ]

    def newest(self) -> int:
        with self.records.session() as session:
            return session.exec(select(AuditEntry.seq).order_by(col(AuditEntry.seq).desc()).limit(1)).first() or 0


def make_gateway(records: RecordsDatabase, folder: Path, postgres: Postgres, **settings: Any) -> Gateway:
    """With the gateway's own rights in the database."""
    name = os.environ["SOHOA_DATABASE_URL"].rpartition("/")[2]
    os.environ[GATEWAY_URL] = postgres.url(name, GATEWAY)
    private, _ = ensure_keys(folder / "gateway")
    made = GatewaySettings(  # type: ignore[call-arg]
        **{
            "gateway_url": ORIGIN, "SOHOA_PORT_GATEWAY": 1, "gateway_private_key_file": private,
            "gateway_secret": "s" * 32, "oidc_issuer": "http://127.0.0.1:9", "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_API_AUTH_STRING": "a:b",
        }
        | settings
    )  # fmt: skip
    desk = Desk(made, RecordsDatabase(url_env=GATEWAY_URL))
    app = create_app(made, desk)
    assert isinstance(app, Guard)
    return Gateway(app, desk, records)


def text_of(answer: httpx.Response) -> str:
    return re.sub(r"\s+", " ", answer.text)
