"""A scan of several papers at once: what its pages are, and pages of it as files of their own (Điều 13.3b).

It runs in the sandbox only; `tasks.capture.guard` asks for it. Pages come out as they went in: of a PDF the page with
its streams untouched, of a TIFF the same pixels, so that the image of a page has the same hash in both (CA08).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pikepdf
from PIL import Image

from blocks.ocr.codes import read_codes
from tasks.capture import errors
from tasks.capture.facts import SEPARATOR, PageLook
from tasks.capture.file_checks import DECODE_ERRORS, Keep, Source, check_size, media_type_of, open_image, tiff_frames
from tasks.capture.look import UPRIGHT, decoded, images_of, narrowed
from tasks.capture.page_image import picture_of_page
from tasks.capture.patch import parts_by_patch
from tasks.capture.pdf_input import DAMAGE, pdf_outline, pdf_shown
from tasks.capture.quality import blankness

QUALITY = 85  # of a JPEG of such a page
WIDTH = 1400  # pixels of a page in which codes are looked for: a module of the sheet's code is eight of them wide
THUMB, THUMB_QUALITY = 280, 72  # pixels of its longer side
DATE_TIME = 306  # tag of a TIFF


def look_at(source: Source, first: int, count: int, out: Keep | None = None) -> list[PageLook]:
    """What the pages from `first` on are (1-based), fewer at the end. out: gets a small JPEG of each, `0001.jpg` …

    Raises ScanError where the file must not be opened, or can't be.
    """
    check_size(source)
    found = []
    for number, (image, orientation) in enumerate(_pages(source, first, count), first):
        page = narrowed(decoded(image, WIDTH), WIDTH)
        found.append(_look(page))
        if out is not None:
            out(f"{number:04d}.jpg", _small(page, orientation))
    return found


def _pages(source: Source, first: int, count: int) -> Iterator[tuple[Image.Image, int]]:
    """Images of pages with their EXIF orientation; those of a PDF as a reader shows them."""
    if media_type_of(source) == "application/pdf":
        for page in pdf_shown(source, first, count):
            yield open_image(picture_of_page(page, WIDTH, QUALITY), "image/jpeg"), 1
    else:
        yield from islice(images_of(source), first - 1, first - 1 + count)


def count_pages(source: Source) -> int:
    """Pages of a file; those of a PDF aren't drawn. Raises ScanError."""
    check_size(source)
    if media_type_of(source) == "application/pdf":
        return len(pdf_outline(source).pixels)
    return sum(1 for _ in images_of(source))


def _look(page: Image.Image) -> PageLook:
    grey = np.asarray(page.convert("L"))
    texts = [code.text for code in read_codes(grey)]
    code = next((text for text in texts if text == SEPARATOR or text.startswith(f"{SEPARATOR}:")), "")
    if not code and parts_by_patch(grey):
        code = SEPARATOR
    blank, faint = (False, False) if code else blankness(grey)
    return PageLook(code=code, blank=blank, faint=faint)


def _small(page: Image.Image, orientation: int) -> bytes:
    small = page.copy()
    small.thumbnail((THUMB, THUMB), reducing_gap=2.0)
    if orientation in UPRIGHT:
        small = small.transpose(UPRIGHT[orientation])
    made = io.BytesIO()
    small.save(made, "JPEG", quality=THUMB_QUALITY)
    return made.getvalue()


def pages_of(source: Source, pages: Sequence[int]) -> bytes:
    """Those pages (1-based, in this order) as a file: a PDF of a PDF, a page of a TIFF as a TIFF. Raises ScanError."""
    if media_type_of(source) == "application/pdf":
        return _pdf(source, pages)
    frames = tiff_frames(open_image(source, "image/tiff"))
    frame = next(islice(frames, pages[0] - 1, None))
    made = io.BytesIO()
    tags = getattr(frame, "tag_v2", {})
    taken = {DATE_TIME: tags[DATE_TIME]} if DATE_TIME in tags else {}
    try:
        frame.load()  # turns it as its tag says
        told = {"dpi": frame.info["dpi"]} if "dpi" in frame.info else {}
        frame.save(made, "TIFF", compression="tiff_adobe_deflate", tiffinfo=taken, **told)
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error
    return made.getvalue()


def _pdf(source: Source, pages: Sequence[int]) -> bytes:
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    made = io.BytesIO()
    try:
        with pikepdf.open(stream, suppress_warnings=True) as pdf, pikepdf.new() as new:
            for number in pages:
                new.pages.append(pdf.pages[number - 1])
            if "/Info" in pdf.trailer:  # when it was scanned
                new.trailer["/Info"] = new.make_indirect(new.copy_foreign(pdf.make_indirect(pdf.trailer["/Info"])))
            new.save(made, min_version=pdf.pdf_version, deterministic_id=True, compress_streams=False)
    except DAMAGE as error:
        raise errors.PdfDamaged() from error
    return made.getvalue()
