"""A partner's system, as tests play it: its requests through the same front as in production, on real servers."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
from starlette.testclient import TestClient

from blocks.records import RecordsDatabase
from blocks.records.partners import Partner, add_partner
from blocks.settings import ROOT

BASE = "/api/partners/v1"
DECLARATION: dict[str, Any] = {
    "version": 1,
    "unit": "BHXH-TEST",
    "procedure": "1.001667",
    "originals": 1,
    "owner": {"kind": "PERSON", "id": "001099012345", "name": "Nguyễn Văn A", "birth_date": "1999-01-02"},
    "components": [{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": ["c1/0001.jpg"]}],
}
PAGE = b"\xff\xd8\xff\xe0 a page \xff\xd9"


def example(*names: str) -> str:
    """Blocks of the documentation for integrators, one after the other."""
    text = (ROOT / "docs/en/integrators.md").read_text(encoding="utf-8")
    return "".join(re.findall(rf"```\w+ {name}\n(.*?)```", text, re.S)[0] for name in names)


def register(records: RecordsDatabase, name: str, **more: Any) -> str:
    """The secret of a new partner."""
    told: dict[str, Any] = {
        "units": ["BHXH-TEST"],
        "procedures": ["1.001667"],
        "officers": ["tnhs.01"],
        "scopes": ["submit", "read", "callback"],
    }
    with records.session() as session:
        return add_partner(session, Partner(id=name, name=name, **(told | more)), "test")


@dataclass
class PartnerClient:
    http: httpx.Client | TestClient
    name: str
    secret: str
    token: str = field(default="")

    def ask_token(self, **form: str) -> httpx.Response:
        told = {"grant_type": "client_credentials"} | form
        return self.http.post("/oauth/token", data=told, auth=(self.name, self.secret))

    def sign_in(self) -> PartnerClient:
        self.token = self.ask_token().json()["access_token"]
        return self

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return self.http.request(method, path if path.startswith("/") else f"{BASE}/{path}", headers=headers, **more)

    def open(self, reference: str, **more: str) -> httpx.Response:
        body = {"unit": "BHXH-TEST", "procedure": "1.001667"} | more
        return self.call("POST", "submissions", json=body, headers={"idempotency-key": reference})

    def put(self, path: str, data: bytes = PAGE, digest: bytes | None = None) -> httpx.Response:
        made = base64.b64encode(digest or hashlib.sha256(data).digest()).decode()
        return self.call("PUT", path, content=data, headers={"content-digest": f"sha-256=:{made}:"})

    def hand_in(self, reference: str, **changes: Any) -> httpx.Response:
        """All steps of a case of one page."""
        assert self.open(reference).status_code in (200, 201)
        assert self.put(f"submissions/{reference}/r1/c1/0001.jpg").status_code == 200
        told = self.call("PUT", f"submissions/{reference}/r1/declaration", json=DECLARATION | changes)
        assert told.status_code == 200, told.text
        return self.call("POST", f"submissions/{reference}/r1/start")


class Receiver(HTTPServer):
    """A partner's server: keeps what it gets. status: its answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""
