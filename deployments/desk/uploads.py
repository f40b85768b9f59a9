"""Scanned files that come with a form of the desk."""

from __future__ import annotations

import re
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
