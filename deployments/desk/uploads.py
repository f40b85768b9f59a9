"""Scanned files that come with a form of the desk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import UploadFile

from blocks.errors import SohoaError

UPLOAD_LIMIT = 200 << 20  # bytes of one scanned file
SUFFIXES = {".pdf", ".jpg", ".jpeg", ".png", ".tif", ".tiff"}
INPUT = re.compile(r"scan\.(\d{1,4})(?:\.(\d{1,4}|insert))?")  # component; one image of it, or put in


class UploadRefused(SohoaError):
    """A file of another kind, or too big a one."""

    code, rule = "UPLOAD_REFUSED", "CA02"
    message = "Tệp thứ {file} không phải PDF, JPEG, PNG, TIFF hoặc lớn hơn 200 MB; vui lòng chọn lại."


class UploadsTooLarge(SohoaError):
    """All files of one form together are too many bytes."""

    code, rule = "UPLOADS_TOO_LARGE", "CA09"
    message = (
        "Các tệp của một lần gửi nặng quá {limit} MB; chưa có gì được ghi nhận. Vui lòng quét ở 200–300 dpi, bớt tệp, "
        "hoặc nhờ người vận hành nhận bằng thư mục qua hộp nhận."
    )


def require_small(headers: Mapping[str, str], limit_mb: int) -> int:
    """Its bytes, by what the browser says of a form that isn't read yet; the server takes no byte more than was said.

    Raises UploadsTooLarge, also where nothing is said: browsers always do.
    """
    said = headers.get("content-length", "")
    if not said.isdecimal() or int(said) > limit_mb << 20:
        raise UploadsTooLarge(limit=limit_mb)
    return int(said)


def saved(upload: UploadFile, place: Path, number: int) -> Path:
    """Write an upload to `place` with its suffix. number: which one it is, for the error. Raises UploadRefused."""
    suffix = Path(upload.filename or "").suffix.lower()
    if suffix not in SUFFIXES or (upload.size or 0) > UPLOAD_LIMIT:
        raise UploadRefused(file=number)
    path = place.with_name(place.name + suffix)
    with path.open("wb") as target:
        while chunk := upload.file.read(1 << 20):
            target.write(chunk)
    return path
