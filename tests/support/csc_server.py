"""A remote signing service (CSC 1.0.4) on loopback: certomancer's dummy with a PIN, phones that must be tapped, faults.

`python -m tests.support.csc_server PKI_FOLDER PORT`; control by POST /control {"mode": …}: ok, pending, declined, hang,
html, down, wrong.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from certomancer.registry import CertomancerConfig
from csc_dummy.csc_dummy_server import CSCWithCertomancer, DummyServiceParams

from infra.local.process import free_port, spawn, stop, wait_ready

PIN = "24681357"
MULTISIGN = 10


class Service(CSCWithCertomancer):  # type: ignore[misc]
    """mode: how `authorize` and `signHash` answer; counts: how often each was asked."""

    def __init__(self, folder: Path) -> None:
        config = CertomancerConfig.from_file(str(folder / "pki.yml"), key_search_dir=str(folder))
        super().__init__(config, service_params=DummyServiceParams(multisign=MULTISIGN))
        self.mode, self.pin = "ok", ""
        self.counts = {"authorize": 0, "sign": 0, "pins": 0}
        self.hashes: set[str] = set()  # that were signed
        self.register_routes()
        self.app.add_routes([web.post("/control", self.control)])

    async def control(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.mode, self.pin = told.get("mode", self.mode), told.get("pin", self.pin)
        if told.get("reset"):
            self.counts = dict.fromkeys(self.counts, 0)
            self.hashes.clear()
        return web.json_response({**self.counts, "hashes": len(self.hashes)})

    async def credentials_authorize(self, request: web.Request) -> Any:
        self.counts["authorize"] += 1
        if self.mode == "pending":
            return web.json_response({"error": "authorization_pending"}, status=400)
        if self.mode == "declined":
            return web.json_response({"error": "access_denied"}, status=400)
        if self.mode == "hang":
            await asyncio.sleep(60)
        if self.mode == "html":
            return web.Response(text="<html>Welcome</html>", content_type="text/html")
        if self.mode == "down":
            return web.Response(status=503)
        if self.pin:
            self.counts["pins"] += 1
            if (await request.json()).get("PIN") != self.pin:
                return web.json_response({"error": "invalid_pin"}, status=400)
        return await super().credentials_authorize(request)

    async def signatures_sign_hash(self, request: web.Request) -> Any:
        self.counts["sign"] += 1
        self.hashes.update((await request.json())["hash"])
        if self.mode == "wrong":
            count = len((await request.json())["hash"])
            return web.json_response({"signatures": ["AAAA"] * (count - 1)})
        return await super().signatures_sign_hash(request)


@contextmanager
def serving(folder: Path, log: Path) -> Iterator[str]:
    """The service over the keys of a PKI folder, in a process of its own. Yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-m", "tests.support.csc_server", str(folder), str(port)]
    root = Path(__file__).resolve().parents[2]
    server = spawn(arguments, log=log, cwd=root, env=os.environ, parent_death=signal.SIGKILL)
    try:
        wait_ready("CSC server", lambda: httpx.get(f"{url}/info", timeout=2) and None, server, log, 60)
        yield url
    finally:
        stop(server)


def control(url: str, **told: Any) -> dict[str, int]:
    return dict(httpx.post(f"{url}/control", json=told).json())


if __name__ == "__main__":
    web.run_app(Service(Path(sys.argv[1])).app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
