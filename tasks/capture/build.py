"""One PDF/A-2b a component (CA10, CA09): the scanned images byte for byte, in the size that the scanner profile gives.

The same images give the same bytes, so that a repeated capture finds its file again. Pages are assembled from files
on disk: memory doesn't grow with their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import img2pdf
import pikepdf
from pikepdf import Name, pdfa
from PIL import Image

from tasks.capture.errors import BuildFailed
from tasks.capture.facts import PageFacts

ROTATE = {1: 0, 3: 180, 6: 90, 8: 270}  # EXIF orientation → /Rotate; mirrored ones don't come from scanners
CREATOR = "Sohoa"


def build_pdf(pages: Sequence[PageFacts], scan_dpi: int, title: str, target: Path) -> str:
    """Write the archival PDF to `target`, make sure of its images, and return its SHA-256.

    pages: images in order, each with `path`; scan_dpi: pixels an inch of paper; title: without personal data.
    Raises BuildFailed when the file isn't PDF/A-2b or an image in it differs from what came in.
    """
    sha256 = write_pdf(pages, scan_dpi, title, target)
    verify_images(target, pages)
    return sha256


def write_pdf(pages: Sequence[PageFacts], scan_dpi: int, title: str, target: Path) -> str:
    """`build_pdf` without a look at what came out: to be compared with one that was looked at."""
    work = target.with_suffix(".pages")
    work.mkdir(exist_ok=True)
    with ExitStack() as stack:
        pdf = stack.enter_context(pikepdf.new())
        for page in pages:
            single = work / f"{page.number:05d}-{len(pdf.pages):05d}.pdf"
            _single_page(page, scan_dpi, single)
            source = stack.enter_context(pikepdf.open(single, access_mode=pikepdf.AccessMode.stream))
            pdf.pages.append(source.pages[0])
            if ROTATE.get(page.orientation):
                pdf.pages[-1].obj[Name.Rotate] = ROTATE[page.orientation]
        try:
            _describe(pdf, title)
            pdfa.save(pdf, target, "2b", repair=False, deterministic_id=True)
        except (pdfa.PdfaError, pikepdf.PdfError) as error:
            raise BuildFailed() from error
    for single in work.iterdir():
        single.unlink()
    work.rmdir()
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _single_page(page: PageFacts, scan_dpi: int, target: Path) -> None:
    if page.path is None:
        raise BuildFailed()
    try:
        with target.open("wb") as out:
            img2pdf.convert(
                page.path,
                outputstream=out,
                layout_fun=img2pdf.get_fixed_dpi_layout_fun((scan_dpi, scan_dpi)),
                rotation=img2pdf.Rotation.none,
                engine=img2pdf.Engine.pikepdf,
                nodate=True,
            )
    except (img2pdf.ImageOpenError, img2pdf.PdfTooLargeError, img2pdf.AlphaChannelError, ValueError) as error:
        raise BuildFailed() from error


def _describe(pdf: pikepdf.Pdf, title: str) -> None:
    """Make it PDF/A and say what it is. No dates: the time of capture stands in the officer's signature (CA02)."""
    pdfa.prepare(pdf, "2b")
    pdf.Root.Lang = pikepdf.String("vi")
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=True) as metadata:
        metadata["dc:title"] = title
        metadata["xmp:CreatorTool"] = CREATOR
        for name in ("xmp:MetadataDate", "xmp:ModifyDate", "xmp:CreateDate"):
            if name in metadata:
                del metadata[name]


def verify_images(path: Path, pages: Sequence[PageFacts]) -> None:
    """Each page holds exactly its image: a JPEG's bytes, or the pixels of a lossless one. Else BuildFailed (CA08)."""
    with pikepdf.open(path) as pdf:
        if len(pdf.pages) != len(pages):
            raise BuildFailed()
        for page, facts in zip(pdf.pages, pages, strict=True):
            images = list(page.get_images().values())
            if len(images) != 1 or not _same(images[0], facts):
                raise BuildFailed()


def _same(stream: Any, facts: PageFacts) -> bool:
    if facts.media_type == "image/jpeg":
        return hashlib.sha256(stream.read_raw_bytes()).hexdigest() == facts.sha256
    assert facts.path is not None
    with Image.open(facts.path) as image:
        wanted = _pixels(image)
    return _pixels(pikepdf.PdfImage(stream).as_pil_image()) == wanted


def _pixels(image: Image.Image) -> bytes:
    """SHA-256 of them, as RGB."""
    return hashlib.sha256((image if image.mode == "RGB" else image.convert("RGB")).tobytes()).digest()
