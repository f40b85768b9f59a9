"""What is known of one file from the scanner, and the limits that a file must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

MM_PER_INCH = 25.4
MIN_DPI = 200  # CA09
DPI_TOLERANCE = 0.05  # metadata may differ from the scanner profile by this share

REMOVED = "removed"  # media type of a scan that is none: it takes the blank image at its place out
SEPARATOR = "SOHOA:TACH"  # in the code of a separator sheet; with ":<type>" it names the paper that follows

MAX_FILE_BYTES = 400_000_000  # 200 pages of A4 in colour at 300 dpi are about 350 MB
MAX_PAGES = 500  # pages of one file
MAX_PIXELS = 80_000_000  # one page: A3 at 600 dpi is 70 million
MIN_SIDE_MM, MAX_SIDE_MM = 45.0, 450.0  # from a card to A3


class PageFacts(BaseModel):
    """One image of one page, as it will stand in the archival PDF.

    width, height: pixels as stored (not rotated); mode: Pillow's; dpi: what the metadata say, or pixels by page size
    inside a PDF, None when nothing is said; orientation: EXIF 1..8; path: the image as a file of its own (JPEG bytes
    untouched, everything else a lossless PNG); sha256: of the bytes of that file.
    """

    model_config = ConfigDict(frozen=True)
    number: int
    width: int
    height: int
    mode: str
    dpi: tuple[float, float] | None = None
    orientation: int = 1
    media_type: str = "image/jpeg"
    path: str | None = None
    sha256: str = ""


QUARTERS, MIRRORED = (1, 6, 3, 8), (2, 7, 4, 5)  # EXIF orientations, each a quarter clockwise from the one before


def turned(facts: Sequence[PageFacts], wishes: Mapping[str, int]) -> list[PageFacts]:
    """The pages of a file as a person wants them seen: number of a page → degrees clockwise. Pixels stay."""
    return [
        page.model_copy(update={"orientation": _turned(page.orientation, degrees)})
        if (degrees := wishes.get(str(page.number), 0))
        else page
        for page in facts
    ]


def _turned(orientation: int, degrees: int) -> int:
    ring = MIRRORED if orientation in MIRRORED else QUARTERS
    return ring[(ring.index(orientation) + degrees // 90) % 4]


class FileFacts(BaseModel):
    """One accepted file: media type, size in bytes, its pages in order, and when it says that it was scanned.

    repaired: a PDF whose table of objects was made anew, as readers do.
    """

    model_config = ConfigDict(frozen=True)
    media_type: str
    size: int
    pages: tuple[PageFacts, ...]
    taken: datetime | None = None
    repaired: bool = False


class PageLook(BaseModel):
    """What one page of a scan of several papers is. code: the text of the separator sheet that it is, "" for a paper's.

    blank: nothing is on it; only proposed, a person leaves it out. faint: hardly any ink, but some marks.
    """

    model_config = ConfigDict(frozen=True)
    code: str = ""
    blank: bool = False
    faint: bool = False
