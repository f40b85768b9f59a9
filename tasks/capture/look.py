"""What an officer sees of a scan that capture refused: drawn as it is, whatever its colours and resolution are.

The file was never accepted: `tasks.capture.guard` has this done in the sandbox, and only the drawn pages, which nothing
of the file's own coding survives, come out of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from tasks.capture import errors
from tasks.capture.file_checks import (
    DECODE_ERRORS,
    Keep,
    Source,
    check_size,
    keep_file,
    media_type_of,
    open_image,
    orientation_of,
    tiff_frames,
)
from tasks.capture.page_image import picture_of_page
from tasks.capture.pdf_input import pdf_shown

QUALITY = 70
UPRIGHT = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}  # as in the PDF


def draw_pages(source: Source, out: Keep | Path, first: int, count: int, width: int) -> int:
    """Keep pages from `first` on (1-based) in `out` as JPEGs of at most this width. Returns how many there are.

    Raises ScanError where the file must not be opened, or can't be.
    """
    check_size(source)
    drawn = 0
    if media_type_of(source) == "application/pdf":
        for alone in pdf_shown(source, first, count):
            keep_file(out, f"{first + drawn:04d}.jpg", picture_of_page(alone, width, QUALITY))
            drawn += 1
        return drawn
    for image, orientation in islice(images_of(source), first - 1, first - 1 + count):
        page = _upright(image, orientation, width)
        made = io.BytesIO()
        page.save(made, "JPEG", quality=QUALITY)
        keep_file(out, f"{first + drawn:04d}.jpg", made.getvalue())
        drawn += 1
    return drawn


def images_of(source: Source) -> Iterator[tuple[Image.Image, int]]:
    """Each image of the file, not decoded yet, with its EXIF orientation."""
    media_type = media_type_of(source)
    image = open_image(source, media_type)
    if media_type != "image/tiff":
        yield image, orientation_of(image)
        return
    for frame in tiff_frames(image):
        yield frame, orientation_of(frame)


def _upright(image: Image.Image, orientation: int, width: int) -> Image.Image:
    plain = decoded(image, width)
    return narrowed(plain.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else plain, width)


def decoded(image: Image.Image, width: int) -> Image.Image:
    """In colours; a JPEG no bigger than it is shown at this width. Raises ImageBomb, FileTruncated."""
    if image.format == "JPEG":
        image.draft(None, (width, width))
    try:
        return image.convert("RGB")
    except Image.DecompressionBombError as error:
        raise errors.ImageBomb() from error
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error


def narrowed(page: Image.Image, width: int) -> Image.Image:
    """At most this wide."""
    if page.width <= width:
        return page
    return page.resize((width, max(1, round(page.height * width / page.width))), reducing_gap=2.0)
