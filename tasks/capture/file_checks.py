"""Checks of one scanned file (Điều 8.2; CA05, CA09), in the order of docs/formats.md.

Order: size → magic bytes → pixel and page limits (images inside PDFs too) → encryption → signatures, XFA, JavaScript,
attachments → full decode → colour and dpi. The number of pages is a matter of the whole component (`tasks.capture`).
The first failing check raises its `ScanError`. Files come from outside: `tasks.capture.guard` has this done in the
sandbox.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from tasks.capture import errors
from tasks.capture.facts import (
    DPI_TOLERANCE,
    MAX_FILE_BYTES,
    MAX_PAGES,
    MAX_PIXELS,
    MM_PER_INCH,
    FileFacts,
    PageFacts,
)
from tasks.capture.limits import DPI, LONG_SIDE, SHORT_SIDE
from tasks.capture.page_image import PageImage
from tasks.capture.pdf_input import electronic_pages, pdf_outline, pdf_pages
from tasks.capture.png import as_png
from tasks.capture.scan_time import time_in_file

Source = Path | bytes | BinaryIO  # a file, its content, or an open stream of it
Keep = Callable[[str, bytes], str]  # takes a file by its name and says where it is
MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"%PDF-": "application/pdf",
}
FORMATS = {"image/jpeg": "JPEG", "image/tiff": "TIFF", "image/png": "PNG"}
USUAL_DPI = (100, 150, 200, 240, 300, 400, 600)
PAPERS_MM = ((210.0, 297.0), (148.0, 210.0), (297.0, 420.0), (105.0, 148.0), (216.0, 279.0), (216.0, 356.0))
HEADER_WITHIN = 1024  # bytes: readers find a PDF's header behind what a mail or printer program put before it
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, KeyError, TypeError, IndexError)

ImageFile.LOAD_TRUNCATED_IMAGES = False


def inspect_file(source: Source, scan_dpi: int, out: Keep | Path | None = None) -> FileFacts:
    """Facts of one file, or the `ScanError` of the first check that fails.

    source: file, bytes or stream; scan_dpi: resolution of the scanner profile, which is the truth about the page size;
    out: where each page's image is kept as a file of its own (``0001.jpg`` …); None: facts only.
    """
    size = check_size(source)
    media_type = media_type_of(source)
    if media_type == "application/pdf":
        pages = pdf_part(source, scan_dpi, out)
    elif media_type == "image/tiff":
        pages = _tiff(source, scan_dpi, out)
    else:
        pages = [_single(source, media_type, scan_dpi, out)]
    return FileFacts(media_type=media_type, size=size, pages=tuple(pages), taken=time_in_file(source, media_type))


def outline_of(source: Source) -> dict[str, Any] | None:
    """Facts of a PDF but its pages, and what each of them has to draw; None for images. Raises ScanError."""
    size = check_size(source)
    if media_type_of(source) != "application/pdf":
        return None
    outline = pdf_outline(source)
    taken = time_in_file(source, "application/pdf")
    facts = FileFacts(media_type="application/pdf", size=size, pages=(), taken=taken, repaired=outline.repaired)
    return {"facts": facts.model_dump(mode="json"), "pixels": list(outline.pixels)}


def inspect_electronic(source: Source) -> int:
    """Pages of a signed PDF (SC05) that passes the checks of a scan, or the `ScanError` of the first that fails."""
    check_size(source)
    if media_type_of(source) != "application/pdf":
        raise errors.FileType()
    return electronic_pages(source)


def _size(source: Source) -> int:
    if isinstance(source, bytes):
        return len(source)
    return source.stat().st_size if isinstance(source, Path) else source.seek(0, io.SEEK_END)


def _whole(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, Path):
        return source.read_bytes()
    source.seek(0)
    return source.read()


def check_size(source: Source) -> int:
    size = _size(source)
    if size == 0:
        raise errors.FileEmpty()
    if size > MAX_FILE_BYTES:
        raise errors.FileTooLarge(limit_mb=MAX_FILE_BYTES // 1_000_000)
    return size


def media_type_of(source: Source) -> str:
    if isinstance(source, bytes):
        head = source[:HEADER_WITHIN]
    elif isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(HEADER_WITHIN)
    else:
        source.seek(0)
        head = source.read(HEADER_WITHIN)
        source.seek(0)
    for magic, media_type in MAGIC.items():
        if head.startswith(magic):
            return media_type
    if b"%PDF-" in head:
        return "application/pdf"
    raise errors.FileType()


def open_image(source: Source, media_type: str) -> Image.Image:
    """The image with its header read, within the limits of pixels."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS * 2  # our own limit comes first and has its own sentence
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        image = Image.open(stream, formats=[FORMATS[media_type]])
    except Image.DecompressionBombError as error:
        raise errors.ImageBomb() from error
    except UnidentifiedImageError as error:
        raise errors.FileTruncated() from error
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error
    limit_pixels(image.width, image.height)
    return image


def limit_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise errors.ImageBomb()
    if min(width, height) < 1:
        raise errors.FileTruncated()


def _single(source: Source, media_type: str, scan_dpi: int, out: Keep | Path | None) -> PageFacts:
    image = open_image(source, media_type)
    data = _whole(source)
    dpi = metadata_dpi(image)
    return _page(image, data, media_type, 1, dpi, scan_dpi, out)


def _page(
    image: Image.Image,
    data: bytes,
    media_type: str,
    number: int,
    dpi: tuple[float, float] | None,
    scan_dpi: int,
    out: Keep | Path | None,
) -> PageFacts:
    """Decode wholly, then colour and dpi, then keep the image as a file of its own."""
    size, mode, orientation = image.size, image.mode, orientation_of(image)
    keep = media_type == "image/jpeg" or (media_type == "image/png" and mode == "RGB" and _plain_png(image))
    if media_type == "image/jpeg":
        # An eighth of the size still reads every byte of the stream, in a third of the time.
        image.draft(mode if mode in {"L", "RGB"} else None, (image.width // 8, image.height // 8))
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise errors.ImageBomb() from error
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error
    _check_colour(image, mode)
    check_dpi(size[0], size[1], dpi, scan_dpi)
    if not keep:
        data, media_type = (_as_png(image), "image/png") if out is not None else (b"", "image/png")
    path = None
    if out is not None:
        path = keep_file(out, f"{number:04d}.{'jpg' if media_type == 'image/jpeg' else 'png'}", data)
    return PageFacts(
        number=number,
        width=size[0],
        height=size[1],
        mode=mode,
        dpi=dpi,
        orientation=orientation,
        media_type=media_type,
        path=path,
        sha256=hashlib.sha256(data).hexdigest() if data else "",
    )


def keep_file(out: Keep | Path, name: str, data: bytes) -> str:
    if not isinstance(out, Path):
        return out(name, data)
    (out / name).write_bytes(data)
    return str(out / name)


def _plain_png(image: Image.Image) -> bool:
    return not image.info.get("interlace") and "transparency" not in image.info


def _as_png(image: Image.Image) -> bytes:
    """Lossless, the same bytes for the same pixels, no metadata."""
    plain = image.convert("RGB") if image.mode != "RGB" else image
    clean = Image.frombytes("RGB", plain.size, plain.tobytes())
    buffer = io.BytesIO()
    clean.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _tiff(source: Source, scan_dpi: int, out: Keep | Path | None) -> list[PageFacts]:
    return [
        _page(frame, b"", "image/tiff", number, metadata_dpi(frame), scan_dpi, out)
        for number, frame in enumerate(tiff_frames(open_image(source, "image/tiff")), 1)
    ]


def tiff_frames(image: Image.Image) -> Iterator[Image.Image]:
    """The images of a TIFF one after the other, each within the limits; good until the next one is asked for."""
    try:
        frames = int(getattr(image, "n_frames", 1))
    except DECODE_ERRORS as error:
        raise errors.FileTruncated() from error
    if frames > MAX_PAGES:
        raise errors.ImageBomb()
    for index in range(frames):
        try:
            image.seek(index)
        except DECODE_ERRORS as error:
            raise errors.FileTruncated() from error
        limit_pixels(image.width, image.height)
        yield image


def pdf_part(
    source: Source, scan_dpi: int, out: Keep | Path | None, first: int = 1, count: int | None = None
) -> list[PageFacts]:
    """Pages of a PDF. A JPEG is kept as it stands; the rest becomes a lossless PNG of what a reader shows."""
    pages = []
    for number, page in pdf_pages(source, first, count):
        try:
            pages.append(_pdf_page(number, page, scan_dpi, out))
        except errors.ScanError as error:
            raise error.on_page(number) from error
    return pages


def _pdf_page(number: int, page: PageImage, scan_dpi: int, out: Keep | Path | None) -> PageFacts:
    if page.jpeg is not None:
        image = open_image(page.jpeg, "image/jpeg")
        facts = _page(image, page.jpeg, "image/jpeg", number, page.dpi, scan_dpi, out)
        return facts.model_copy(update={"orientation": page.orientation})  # an EXIF tag has no meaning in a PDF
    assert page.pixels is not None
    height, width = page.pixels.shape[:2]
    check_dpi(width, height, page.dpi, scan_dpi)
    facts = PageFacts(number=number, width=width, height=height, mode="RGB", dpi=page.dpi, media_type="image/png")
    if out is None:
        return facts
    data = as_png(page.pixels)
    path = keep_file(out, f"{number:04d}.png", data)
    return facts.model_copy(update={"path": path, "sha256": hashlib.sha256(data).hexdigest()})


def orientation_of(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def metadata_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Resolution that the file claims, in dots an inch; None when it claims none.

    Pillow invents 72 dpi for a JPEG whose EXIF gives none: that is no claim.
    """
    value = image.info.get("dpi")
    if value is None:
        return None
    try:
        x, y = float(value[0]), float(value[1])
        if image.format == "JPEG" and (x, y) == (72.0, 72.0) and not image.info.get("jfif_unit"):
            return (x, y) if image.getexif().get(282) else None
    except DECODE_ERRORS:
        return (0.0, 0.0)
    return x, y


def _check_colour(image: Image.Image, mode: str) -> None:
    """Colour of three channels (CA09): line art, greyscale and print colours are refused."""
    if mode == "RGB":
        return
    if mode == "P" and "transparency" not in image.info:
        red, green, blue = image.convert("RGB").split()
        if red.tobytes() != green.tobytes() or green.tobytes() != blue.tobytes():
            return
    if mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return
    raise errors.NotColour()


def check_dpi(width: int, height: int, dpi: tuple[float, float] | None, scan_dpi: int) -> None:
    """The scanner profile is the truth about resolution; what contradicts it is refused (CA09)."""
    if DPI.broken_by(scan_dpi):
        raise DPI.error(dpi=scan_dpi)
    if dpi is not None and any(abs(value - scan_dpi) > DPI_TOLERANCE * scan_dpi for value in dpi):
        claimed = min(dpi)
        # A whole sheet of usual paper at the lower resolution that the file claims: it was scanned so.
        if (
            claimed >= 50
            and DPI.broken_by(claimed)
            and max(dpi) < 1.05 * claimed
            and _is_paper_at(width, height, claimed)
        ):
            raise DPI.error(dpi=round(claimed))
        raise errors.DpiMetadata(dpi=scan_dpi)
    short, long = (side / scan_dpi * MM_PER_INCH for side in sorted((width, height)))
    for limit, side in ((SHORT_SIDE, short), (LONG_SIDE, long)):
        if limit.broken_by(side):
            raise limit.error(dpi=scan_dpi)
    if dpi is None and not _is_paper(short, long) and _another_dpi_fits(width, height):
        raise errors.DpiMetadata(dpi=scan_dpi)


def _is_paper_at(width: int, height: int, dpi: float) -> bool:
    short, long = (side / dpi * MM_PER_INCH for side in sorted((width, height)))
    return _is_paper(short, long)


def _is_paper(short: float, long: float, tolerance: float = 0.03) -> bool:
    return any(abs(short - a) <= tolerance * a and abs(long - b) <= tolerance * b for a, b in PAPERS_MM)


def _another_dpi_fits(width: int, height: int) -> bool:
    """Exactly A4 at another usual resolution: the profile was declared wrongly."""
    for dpi in USUAL_DPI:
        short, long = (side / dpi * MM_PER_INCH for side in sorted((width, height)))
        if abs(short - 210) <= 2 and abs(long - 297) <= 2:
            return True
    return False
