"""What comes out of the sandbox: a kind, a name, some bytes, each with its length. The reader believes none of them."""

from __future__ import annotations

import struct
from typing import IO

START, FILE, END = b"S", b"F", b"E"
HEAD = struct.Struct("=cBQ")  # kind, length of the name, length of the bytes


def write(stream: IO[bytes], kind: bytes, name: bytes, data: bytes | memoryview) -> None:
    """One frame, at once."""
    stream.write(HEAD.pack(kind, len(name), len(data)) + name)
    stream.write(data)
    stream.flush()
