"""TLS before PostgreSQL, as a pooler has it (the bundled server is built without), or before an object store.

Plain connections are refused.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # the client's first message when it wants TLS


class TlsFront:
    """Listens on `port` (loopback) and passes on to `behind`. encrypted: how many connections came over TLS.

    asked: TLS begins when the client asks for it as PostgreSQL's do; else at once (https).
    """

    def __init__(self, port: int, behind: int, certificate: Path, key: Path, *, asked: bool = True) -> None:
        self._asked = asked
        self.port, self.behind, self.encrypted, self.refused = port, behind, 0, 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        context = None if self._asked else self._context
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context))
        ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._asked:
                if await reader.readexactly(8) != SSL_REQUEST:
                    self.refused += 1
                    return
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._context)
            self.encrypted += 1
            inner, outer = await asyncio.open_connection("127.0.0.1", self.behind)
            await asyncio.gather(_pass(reader, outer), _pass(inner, writer))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
