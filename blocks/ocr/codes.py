"""QR codes on a page: identity cards carry their data in one (Thông tư 06/2021/TT-BCA)."""

from __future__ import annotations

import unicodedata

import numpy as np
import zxingcpp

from blocks.ocr.types import Code


def read_codes(image: np.ndarray) -> tuple[Code, ...]:
    """Every QR code of a page, from top to bottom. image: (H, W) or (H, W, 3) uint8, any orientation."""
    found = zxingcpp.read_barcodes(
        np.ascontiguousarray(image), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    return tuple(sorted((_code(item) for item in found if item.valid and item.text), key=lambda code: code.box[1]))


def _code(item: zxingcpp.Barcode) -> Code:
    corners = [getattr(item.position, name) for name in ("top_left", "top_right", "bottom_right", "bottom_left")]
    xs, ys = [float(corner.x) for corner in corners], [float(corner.y) for corner in corners]
    return Code(unicodedata.normalize("NFC", item.text), "QRCode", (min(xs), min(ys), max(xs), max(ys)))
