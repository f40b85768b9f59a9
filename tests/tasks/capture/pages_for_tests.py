"""Small real pages for the capture tests: printed lines, table, stamp; a scanner pass with grain, shift and skew."""

from __future__ import annotations

import io
import random
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pikepdf
from PIL import Image, ImageDraw, ImageFont

import blocks.fonts

DPI = 200
SIZE = (1654, 2339)
FONT = Path(blocks.fonts.__file__).parent / "Tinos-Regular.ttf"
TEXT = "bảo hiểm xã hội quyết định hồ sơ giấy tờ người lao động chế độ thai sản ốm đau tiếp nhận trả kết quả"
WORDS = TEXT.split()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)


@lru_cache(maxsize=32)
def paper(seed: int, *, lines: int = 30, table: bool = False, number: str = "") -> Image.Image:
    """A printed page of A4 at 200 dpi; different seeds, different text."""
    rng = random.Random(seed)
    image = Image.new("RGB", SIZE, (250, 250, 247))
    draw = ImageDraw.Draw(image)
    if number:
        draw.text((SIZE[0] // 2, 120), number, font=font(36), fill=(20, 20, 25))
    for index in range(lines):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 12)))
        draw.text((240, 260 + index * 58), text, font=font(36), fill=(20, 20, 25))
    if table:
        for row in range(5):
            draw.line((240, 2000 + row * 50, 1500, 2000 + row * 50), fill=(20, 20, 25), width=3)
    draw.ellipse((1100, 1750, 1400, 2050), outline=(200, 30, 40), width=6)
    return image


def scanned(
    image: Image.Image, seed: int = 1, *, skew: float = 0.3, shift: tuple[float, float] = (3, -4), blur: float = 0.6
) -> Image.Image:
    """One pass through the scanner."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1)
    matrix[:, 2] += shift
    pixels = cv2.warpAffine(pixels, matrix, (width, height), borderValue=(250, 250, 247))
    if blur:
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def noted(image: Image.Image, box: tuple[int, int, int, int] = (800, 900, 1250, 1350)) -> Image.Image:
    """The same page with a yellow sticky note on it."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle(box, fill=(255, 238, 130))
    draw.text((box[0] + 30, box[1] + 60), "Xem lại", font=font(40), fill=(30, 30, 120))
    return copy


def jpeg(image: Image.Image, dpi: int | None = DPI, **options: object) -> bytes:
    buffer = io.BytesIO()
    if dpi is not None:
        options["dpi"] = (dpi, dpi)
    image.save(buffer, "JPEG", quality=85, **options)
    return buffer.getvalue()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pdf_of(jpegs: list[bytes], *, dpi: float = DPI, version: str = "1.4", edit=None, **save: object) -> bytes:  # type: ignore[no-untyped-def]
    """A PDF as scanners write them: one JPEG over each page. edit: changes the pikepdf.Pdf before it is saved."""
    pdf = pikepdf.new()
    for data in jpegs:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
        stream = pikepdf.Stream(pdf, data)
        stream.stream_dict = pikepdf.Dictionary(
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=width,
            Height=height,
            ColorSpace=pikepdf.Name.DeviceRGB,
            BitsPerComponent=8,
            Filter=pikepdf.Name.DCTDecode,
        )
        size = (width / dpi * 72, height / dpi * 72)
        page = pdf.add_blank_page(page_size=size)
        page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=pdf.make_indirect(stream)))
        page.obj.Contents = pdf.make_stream(f"q {size[0]:.4f} 0 0 {size[1]:.4f} 0 0 cm /Im0 Do Q".encode())
    if edit is not None:
        edit(pdf)
    buffer = io.BytesIO()
    pdf.save(buffer, force_version=version, **save)  # type: ignore[arg-type]
    return buffer.getvalue()
