"""What looks at scans from outside. It runs in the sandbox only (`blocks.sandbox`); `tasks.capture.guard` calls it."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from blocks.sandbox.keeper import Sink
from tasks.capture.batch import count_pages, look_at, pages_of
from tasks.capture.file_checks import inspect_electronic, inspect_file, outline_of, pdf_part
from tasks.capture.look import draw_pages
from tasks.capture.pages import measure_image


def prepare() -> None:
    """Once, before the walls stand: decoders that would be loaded at first use."""
    Image.init()
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def inspect(out: Sink, scan: BinaryIO, dpi: int, keep: bool) -> dict[str, Any]:
    """Facts of a file; with `keep` the image of each page comes out as a file of its own.

    Of a PDF the outline: its pages are asked for by `pdf_pages`, each with limits of its own.
    """
    if (outline := outline_of(scan)) is not None:
        return outline
    return inspect_file(scan, dpi, out.put if keep else None).model_dump(mode="json")


def pdf_pages(out: Sink, scan: BinaryIO, dpi: int, keep: bool, first: int, count: int) -> list[dict[str, Any]]:
    """Facts of some pages of a PDF."""
    return [page.model_dump(mode="json") for page in pdf_part(scan, dpi, out.put if keep else None, first, count)]


def electronic(out: Sink, pdf: BinaryIO) -> int:
    """Pages of an electronic original."""
    return inspect_electronic(pdf)


def draw(out: Sink, scan: BinaryIO, first: int, count: int, width: int) -> int:
    """Pages of a scan that was refused, as JPEGs."""
    return draw_pages(scan, out.put, first, count, width)


def measure(out: Sink, image: BinaryIO, dpi: int) -> dict[str, Any]:
    """Quality, fingerprint and sketch of one page image; the arrays come out as raw bytes."""
    quality, print_, sketch = measure_image(image, dpi)
    out.put("print", print_.tobytes())
    out.put("sketch", sketch.tobytes())
    return {"quality": quality.model_dump(mode="json"), "print": print_.shape, "sketch": sketch.shape}


def pixels(out: Sink, image: BinaryIO, width: int, height: int) -> list[int]:
    """An image as raw RGB, rows from the top; width, height: a JPEG need not be decoded bigger, 0: whole size."""
    with Image.open(io.BytesIO(image.read())) as opened:
        if width and opened.format == "JPEG":
            opened.draft("RGB", (width, height))
        plain = np.asarray(opened.convert("RGB"))
    out.put("rgb", plain.tobytes())
    return list(plain.shape[:2])


def looks(out: Sink, scan: BinaryIO, first: int, count: int, thumbs: bool) -> list[dict[str, Any]]:
    """What the pages of a scan of several papers are; with `thumbs` a small picture of each comes out."""
    return [look.model_dump() for look in look_at(scan, first, count, out.put if thumbs else None)]


def count(out: Sink, scan: BinaryIO) -> int:
    """Pages of a scan of several papers."""
    return count_pages(scan)


def pages(out: Sink, scan: BinaryIO, numbers: list[int]) -> None:
    """Pages of a scan of several papers as a file of their own."""
    out.put("part", pages_of(scan, numbers))
