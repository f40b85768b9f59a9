"""A small real HTTP server in the place of the national portal, for tests of those who ask it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class PortalServer(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, str | None, dict[str, Any]]]
    answer: Answer


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, PortalServer)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.seen.append((self.path, self.headers.get("Authorization"), body))
        server.answer(self, body)

    def log_message(self, *_: object) -> None:
        pass


def reply(status: int, body: bytes) -> Answer:
    def send(handler: BaseHTTPRequestHandler, _body: dict[str, Any]) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


@contextmanager
def portal_server() -> Iterator[PortalServer]:
    """Runs until the end of the block; its address is ``http://127.0.0.1:{server_port}``."""
    running = PortalServer(("127.0.0.1", 0), _Handler)
    running.seen = []
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield running
    finally:
        running.shutdown()
        running.server_close()
