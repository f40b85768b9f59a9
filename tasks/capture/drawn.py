"""Pages of PDFs, drawn in the sandbox: for officers' eyes, and to see where print lies. Nothing is parsed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blocks import sandbox
from blocks.errors import Remedy, SohoaError

LIMITS = sandbox.Limits(memory=700_000_000, seconds=12, output=200_000_000, files=2)


class PageUndrawable(SohoaError):
    """A page that can't be drawn, or isn't there."""

    code, rule = "PAGE_UNDRAWABLE", "CA08"
    message = "Không dựng được ảnh của trang; vui lòng tải lại trang, nếu vẫn lỗi thì báo quản trị viên."
    remedy = Remedy.RETRY


def sheet_drawn(pdf: Path | bytes, page: int, width: int, *, annotated: bool) -> bytes:
    """A page (1-based) as a JPEG `width` pixels wide. annotated: with what lies on it. Raises PageUndrawable."""
    found: dict[str, bytearray] = {}
    if not _asked("sheet", pdf, {"page": page, "width": width, "annotated": annotated}, found) or not found:
        raise PageUndrawable()
    return bytes(found["page.jpg"])


def sheet_sizes(pdf: Path | bytes) -> list[tuple[float, float]]:
    """Width and height of each page as seen, points. Raises PageUndrawable."""
    try:
        return [(float(width), float(height)) for width, height in _asked("sizes", pdf, {}, {})]
    except (TypeError, ValueError) as error:
        raise PageUndrawable() from error


def first_page_grey(pdf: Path | bytes, width: int) -> npt.NDArray[np.uint8]:
    """(H, W) brightness of page 1. Raises PageUndrawable."""
    found: dict[str, bytearray] = {}
    told = _asked("grey", pdf, {"width": width}, found)
    try:
        return np.frombuffer(found["grey"], np.uint8).reshape((int(told[0]), int(told[1])))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise PageUndrawable() from error


def _asked(function: str, pdf: Path | bytes, arguments: dict[str, Any], found: dict[str, bytearray]) -> Any:
    try:
        return sandbox.run(f"tasks.capture.drawing:{function}", arguments, {"pdf": pdf}, LIMITS, take=found.__setitem__)
    except (sandbox.LimitBroken, sandbox.SandboxFault) as error:
        raise PageUndrawable() from error
