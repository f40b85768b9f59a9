"""Readers that the flow runs of a machine share: their models are loaded once, their kernels stay prepared.

Who forks the runs forks the readers, too (`fork`); a run that is to read a page asks the one that is free (`read`).
None of them is needed: where nobody reads for others, or a reader ends with a page in its hands, the page is read by
the process that has it.

A request is one message: a byte, and the handles of the memory that holds it (a line of JSON, then the pixels) and of
the pipe for the answer, which is the page's text as JSON, or nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from blocks.ocr.types import PageText

READERS = max(1, min(4, os.cpu_count() or 1))
MOST_PAGES = 5_000  # then a reader makes room for a fresh one
PATIENCE = 600.0  # seconds, with those before it in the queue
_PR_SET_NAME = 15
_channel: socket.socket | None = None


def fork(leave: Callable[[], None]) -> list[int]:
    """Start readers for all later forks of this process, in place of earlier ones. Returns their process ids.

    leave: what a child has to close before. Earlier readers end once no process is left that may ask them.
    """
    global _channel
    if _channel is not None:
        _channel.close()
    _channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    started = []
    for _ in range(READERS):
        if (pid := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                leave()
                _channel.close()
                _channel = None
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                ctypes.CDLL(None).prctl(_PR_SET_NAME, b"reader", 0, 0, 0)
                serve(theirs)
            os._exit(0)
        started.append(pid)
    theirs.close()
    return started


def serve(channel: socket.socket) -> None:
    """Read page by page until nobody is left who could ask."""
    from blocks.ocr.engine import OcrEngine

    OcrEngine.get().warm_up()
    for _ in range(MOST_PAGES):
        data, handles, _, _ = socket.recv_fds(channel, 1, 2)
        if not data:
            return
        with (
            os.fdopen(handles[0], "rb") as request,
            os.fdopen(handles[1], "wb") as answer,
            contextlib.suppress(Exception),  # who asked reads it again, and meets the fault itself
        ):
            answer.write(_read(request.fileno()).to_json())


def _read(handle: int) -> PageText:
    from blocks.ocr.engine import OcrEngine

    with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as memory:
        end = memory.find(b"\n")
        told = json.loads(memory[:end])
        image = np.frombuffer(memory, np.uint8, offset=end + 1).reshape(told["shape"]).copy()
    return OcrEngine(**told["engine"]).read(image, told["dpi"])


def read(engine: Mapping[str, Any], image: np.ndarray, dpi: int) -> PageText | None:
    """The text of one page, see OcrEngine.read. None: read it yourself. engine: the fields of the OcrEngine."""
    if _channel is None:
        return None
    told = {"engine": dict(engine), "shape": image.shape, "dpi": dpi}
    try:
        memory = os.memfd_create("page", os.MFD_CLOEXEC)
        with os.fdopen(memory, "wb") as stream:
            stream.write(json.dumps(told).encode() + b"\n")
            stream.write(np.ascontiguousarray(image).data)
            stream.flush()
            ours, theirs = os.pipe()
            with os.fdopen(ours, "rb") as answer:
                try:
                    socket.send_fds(_channel, [b"!"], [memory, theirs])
                finally:
                    os.close(theirs)
                if not select.select([answer], [], [], PATIENCE)[0]:
                    return None
                data = answer.read()
        return PageText.from_json(data) if data else None
    except (OSError, ValueError):
        return None
