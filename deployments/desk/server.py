"""HTTP as uvicorn speaks it, with time limits that it lacks: who sends slowly, or too often at once, is cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from blocks.settings.sections import GatewaySettings

HEAD_SECONDS = 10.0  # from the first byte, or the connection, to the end of the headers
LOOK_SECONDS = 5.0
GRACE_SECONDS = 20.0  # of a body, before its speed is looked at
SLOWEST = 1024  # bytes a second
LINGER_SECONDS = 2.0  # for who was answered before the body was read


class GuardedProtocol(H11Protocol):
    """most: connections of one address at once, unless it is in `proxies`."""

    most = 200
    proxies: tuple[Any, ...] = ()
    head_seconds, look_seconds, grace_seconds = HEAD_SECONDS, LOOK_SECONDS, GRACE_SECONDS
    addresses: Counter[str]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._since: float | None = self.loop.time()  # when a request began; None: none has
        self._bytes, self._seen = 0, 0
        self.addresses[self._address] += 1
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(self.look_seconds, self._look)
        if self.addresses[self._address] > self.most and not self._is_proxy():
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._leave()  # whose socket it is, and how many, is asked by the gateway
        super().handle_websocket_upgrade(event)

    def data_received(self, data: bytes) -> None:
        if self._since is None:
            self._since, self._bytes, self._seen = self.loop.time(), 0, 0
        self._bytes += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._since = None
        if self.conn.their_state is h11.SEND_BODY:  # answered already: the rest isn't wanted
            self.loop.call_later(LINGER_SECONDS, self._cut_off, self.cycle)
        super().on_response_complete()

    def _look(self) -> None:
        self._timer = self.loop.call_later(self.look_seconds, self._look)
        if self._since is None or self.transport.is_closing():
            return
        lasts = self.loop.time() - self._since
        if self.cycle is None or self.cycle.response_complete:
            if lasts >= self.head_seconds:
                self.transport.abort()
            return
        reading = self.cycle.more_body and not self.flow.read_paused
        fast = self._bytes - self._seen >= SLOWEST * self.look_seconds
        self._seen = self._bytes
        if reading and not fast and lasts >= self.grace_seconds:
            self.transport.abort()

    def _cut_off(self, cycle: Any) -> None:
        if self.cycle is cycle and self.conn.their_state is h11.SEND_BODY:
            self.transport.abort()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.addresses[self._address] -= 1
            if self.addresses[self._address] <= 0:
                del self.addresses[self._address]

    def _is_proxy(self) -> bool:
        try:
            return any(ip_address(self._address) in network for network in self.proxies)
        except ValueError:
            return False


def protocol(settings: GatewaySettings, **changes: Any) -> type[GuardedProtocol]:
    """The protocol of one server; changes: of its times."""
    networks = tuple(ip_network(text) for text in settings.trusted_proxies)
    limits = {"most": settings.connections_an_address, "proxies": networks, "addresses": Counter()}
    return type("Protocol", (GuardedProtocol,), limits | changes)


def config(app: ASGIApp, settings: GatewaySettings, **changes: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=settings.gateway_port,
        http=protocol(settings, **changes),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        h11_max_incomplete_event_size=32 << 10,  # bytes of headers
        timeout_graceful_shutdown=5,
    )
