"""When a page was scanned: what the file says, what was declared, or else when it was handed in (CA02, Điều 8.1).

Never the server's own clock in silence: which of them it is stands beside the time, in the records, in the signature
and in the signed data.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import pikepdf
from PIL import Image
from pydantic import BaseModel, ConfigDict

from blocks.clock import VIET_NAM

CLOCKS = timedelta(minutes=5)  # by which a scanner's clock may be fast
OLDEST = timedelta(days=30)  # between scan and hand-in …
OLDEST_BACKLOG = timedelta(days=20 * 366)  # … and for dossiers received before digitising began (Điều 15)
APART = timedelta(days=1)  # file and declaration that differ by more tell of different scans
# (time, offset from UTC): original, digitised, changed
EXIF_TIMES = ((0x9003, 0x9011), (0x9004, 0x9012), (0x0132, 0x9010))
EXIF_IFD = 0x8769
_EXIF = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_PDF = re.compile(r"D:(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:Z|([+-]\d\d)'?(\d\d)'?)?")


class TimeSource(StrEnum):
    FILE = "FILE"
    DECLARED = "DECLARED"
    RECEIVED = "RECEIVED"
    CHECKED = "CHECKED"  # of papers captured before the others were known: when the system looked at the scans


LABELS = {
    TimeSource.FILE: "theo tệp quét",
    TimeSource.DECLARED: "theo tờ khai",
    TimeSource.RECEIVED: "thời điểm nộp tệp",
    TimeSource.CHECKED: "thời điểm kiểm tra tệp quét",
}


DOUBTS = {
    "FILE_IMPLAUSIBLE": "giờ ghi trong tệp quét không hợp lý nên không được dùng",
    "DECLARED_IMPLAUSIBLE": "giờ quét đã khai không hợp lý nên không được dùng",
    "CONTRADICTION": "giờ trong tệp quét và giờ đã khai mâu thuẫn nên không được dùng",
}


class CapturedAt(BaseModel):
    """The time of capture and how it is known. doubt: why a better source isn't believed; "": nothing is against it."""

    model_config = ConfigDict(frozen=True)
    at: datetime
    source: TimeSource
    doubt: str = ""  # FILE_IMPLAUSIBLE | DECLARED_IMPLAUSIBLE | CONTRADICTION


def plausible(at: datetime, received: datetime, *, backlog: bool = False) -> bool:
    """Not after the hand-in, and not long before it."""
    return received - (OLDEST_BACKLOG if backlog else OLDEST) <= at <= received + CLOCKS


def captured_at(
    files: Sequence[datetime | None], declared: datetime | None, received: datetime, *, backlog: bool = False
) -> CapturedAt:
    """Of one paper. files: what each of its scans says; received: when the last of them was handed in."""
    known = [at for at in files if at is not None]
    told = max(known) if known and len(known) == len(files) else None
    doubt = ""
    if told and not all(plausible(at, received, backlog=backlog) for at in known):
        told, doubt = None, "FILE_IMPLAUSIBLE"
    if declared and not plausible(declared, received, backlog=backlog):
        declared, doubt = None, doubt or "DECLARED_IMPLAUSIBLE"
    if told and declared and abs(told - declared) > APART:
        return CapturedAt(at=received, source=TimeSource.RECEIVED, doubt="CONTRADICTION")
    if told:
        return CapturedAt(at=told, source=TimeSource.FILE, doubt=doubt)
    if declared:
        return CapturedAt(at=declared, source=TimeSource.DECLARED, doubt=doubt)
    return CapturedAt(at=received, source=TimeSource.RECEIVED, doubt=doubt)


def time_in_file(source: Path | bytes | BinaryIO, media_type: str) -> datetime | None:
    """When the file says that it was scanned; without an offset it is Viet Nam's time. None: it doesn't say.

    Foreign input: called in the guarded process only.
    """
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        if not isinstance(stream, Path):
            stream.seek(0)
        return _of_pdf(stream) if media_type == "application/pdf" else _of_image(stream)
    except Exception:  # metadata are a hint; where they are odd they are none
        return None


def _of_image(source: Path | BinaryIO) -> datetime | None:
    with Image.open(source) as image:
        exif = image.getexif()
        inner: dict[int, Any] = {**exif, **exif.get_ifd(EXIF_IFD)}
    for time, offset in EXIF_TIMES:
        if match := _EXIF.match(str(inner.get(time, ""))):
            return _moment([int(part) for part in match.groups()], str(inner.get(offset, "")))
    return None


def _of_pdf(source: Path | BinaryIO) -> datetime | None:
    with pikepdf.open(source) as pdf:
        match = _PDF.match(str(pdf.docinfo.get("/CreationDate", "")))
    if match is None:
        return None
    *parts, hours, minutes = match.groups()
    zulu = match[0].endswith("Z")
    return _moment([int(part) for part in parts], "+00:00" if zulu else f"{hours}:{minutes}" if hours else "")


def _moment(parts: list[int], offset: str) -> datetime:
    year, month, day, hour, minute, second = parts
    here = datetime(year, month, day, hour, minute, second, tzinfo=VIET_NAM)
    found = re.fullmatch(r"[+-]\d\d:\d\d", offset.strip())
    return datetime.fromisoformat(f"{here:%Y-%m-%dT%H:%M:%S}{found[0]}") if found else here
