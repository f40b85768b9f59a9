"""Pixels as a PNG, lossless: the same bytes for the same pixels, no metadata."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BAND = 256  # rows that are held twice
UP = 2  # each row as its difference from the one above


def as_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(H, W, 3) as a PNG. Runs of bytes and their frequency are all that is looked for: that codes the grain of a scan

    as small as longer searches do, in a fifth of the time, and needs little memory beside the pixels.
    """
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = b"".join(_packed(pixels))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(*each) for each in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    )


def _packed(pixels: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    coder = zlib.compressobj(3, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    above = np.zeros((1, 3 * pixels.shape[1]), np.uint8)
    for top in range(0, len(pixels), BAND):
        band = np.ascontiguousarray(pixels[top : top + BAND]).reshape(-1, above.shape[1])
        rows = np.empty((len(band), above.shape[1] + 1), np.uint8)
        rows[:, 0] = UP
        np.subtract(band[:1], above, out=rows[:1, 1:])
        np.subtract(band[1:], band[:-1], out=rows[1:, 1:])
        above = band[-1:].copy()
        yield coder.compress(rows.tobytes())
    yield coder.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
