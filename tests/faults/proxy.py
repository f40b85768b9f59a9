"""A TCP proxy that misbehaves: answers lost after the request was done, connections refused, silence."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from types import TracebackType


class FaultyProxy:
    """Forwards to `upstream`. `lose_answers`: the next n answers are cut off; `refuse`: nobody gets in.

    hold: a request whose first line holds this (and PUT) gets no answer; `forward` says whether it is carried out.
    `held` tells that it came.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.lose_answers = 0
        self.refuse = False
        self.lost = 0
        self.hold, self.forward, self.held = b"", False, threading.Event()
        self._open: set[socket.socket] = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def __enter__(self) -> FaultyProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.listener.close()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The service is away: open connections are cut, new ones too, until the context ends."""
        self.refuse = True
        for connection in [*self._open]:
            _cut(connection)
        try:
            yield
        finally:
            self.refuse = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refuse:
                    _cut(client)
                    continue
                server = socket.create_connection(("127.0.0.1", self.upstream))
                self._open |= {client, server}
                if self.refuse:  # since a moment ago
                    _cut(client)
                silent = threading.Event()  # nothing comes back on this connection any more
                for source, target in ((client, server), (server, client)):
                    arguments = (source, target, source is server, silent)
                    threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not answers and self.hold and data.startswith(b"PUT ") and self.hold in data.splitlines()[0]:
                    silent.set()
                    self.held.set()
                if silent.is_set() and (not self.forward or (answers and not data.startswith(b"HTTP/1.1 100"))):
                    continue
                if answers and self.lose_answers > 0 and not data.startswith(b"HTTP/1.1 100"):
                    self.lose_answers -= 1
                    self.lost += 1
                    _cut(target)
                    break
                target.sendall(data)
        self._open -= {source, target}
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()


def _cut(connection: socket.socket) -> None:
    """End it at once, also for a thread that is reading from it (a mere close would wait for that thread)."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
