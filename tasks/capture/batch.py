"""A scan of several papers at once: where separator sheets lie in it, and its pages as files of their own (Điều 13.3b).

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
from tasks.capture.facts import MAX_PAGES, SEPARATOR
from tasks.capture.file_checks import (
    DECODE_ERRORS,
    Source,
    check_size,
    media_type_of,
    open_image,
    tiff_frames,
)
from tasks.capture.page_image import picture_of_page
from tasks.capture.pdf_input import DAMAGE, pdf_shown

QUALITY = 85  # of a JPEG of such a page
WIDTH = 1400  # pixels of a page in which codes are looked for: a module of the sheet's code is eight of them wide
DATE_TIME = 306  # tag of a TIFF


def codes_from(source: Source, first: int, count: int) -> list[str]:
    """For each page from `first` on (1-based) the separator's text on it, "" for a page of a paper; fewer at the end.

    Raises ScanError where the file must not be opened, or can't be.
    """
    check_size(source)
    return [_separator(image) for image in islice(_images(source), first - 1, first - 1 + count)]


def _images(source: Source) -> Iterator[Image.Image]:
    media_type = media_type_of(source)
    if media_type == "application/pdf":
        for page in pdf_shown(source, 1, MAX_PAGES):
            yield open_image(picture_of_page(page, WIDTH, QUALITY), "image/jpeg")
    elif media_type == "image/tiff":
        yield from tiff_frames(open_image(source, media_type))
    else:
        yield open_image(source, media_type)


def _separator(image: Image.Image) -> str:
    if image.format == "JPEG":
        image.draft("L", (WIDTH, WIDTH))
    try:
        grey = image.convert("L")
    except Image.DecompressionBombError as error:
        raise errors.ImageBomb() from error
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error
    if grey.width > WIDTH:
        grey = grey.resize((WIDTH, max(1, round(grey.height * WIDTH / grey.width))), reducing_gap=2.0)
    texts = [code.text for code in read_codes(np.asarray(grey))]
    return next((text for text in texts if text == SEPARATOR or text.startswith(f"{SEPARATOR}:")), "")


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
