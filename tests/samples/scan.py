"""From a printed sheet to what a scanner delivers: pixels with the faults of paper and machine, and files of them."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pikepdf
from numpy.typing import NDArray
from PIL import Image

from tests.samples.look import Look

Pixels = NDArray[np.uint8]
cv2.setNumThreads(1)


@lru_cache(maxsize=4)
def _noise_tile(seed: int) -> NDArray[np.float32]:
    """Noise of one sensor, standard deviation 1: mostly luminance, a little colour, slightly correlated."""
    rng = np.random.default_rng(seed)
    tile = rng.standard_normal((1024, 1024, 1), dtype=np.float32) + 0.35 * rng.standard_normal(
        (1024, 1024, 3), dtype=np.float32
    )
    return np.asarray(cv2.GaussianBlur(tile, (3, 3), 0.6) * 1.6, dtype=np.float32)


def scan(
    image: Image.Image, look: Look, page: int = 0, *, skew: float | None = None, blur: float | None = None
) -> Pixels:
    """One pass through the scanner: RGB array of the same size. skew and blur override the look (for defects)."""
    rng = np.random.default_rng([look.seed, page])
    tint = np.array(look.tint, dtype=np.float32)
    scale = np.arange(256, dtype=np.float32)[:, None] / 255
    lut = (look.ink + scale * (tint[None] - look.ink)).astype(np.uint8)[None]
    pixels = cv2.LUT(np.asarray(image), lut)
    high, wide = pixels.shape[:2]
    angle = look.skew * float(rng.uniform(0.6, 1.0)) if skew is None else skew
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), angle, 1.0)
    matrix[:, 2] += rng.uniform(-0.006, 0.006, 2) * wide
    pixels = cv2.warpAffine(
        pixels, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=tuple(int(v) for v in tint)
    )
    sigma = (look.blur if blur is None else blur) * look.dpi / 200
    pixels = cv2.GaussianBlur(pixels, (0, 0), sigma)
    for _ in range(look.specks):
        at = (int(rng.integers(wide)), int(rng.integers(high)))
        cv2.circle(pixels, at, int(rng.integers(1, 3)), (int(rng.integers(60, 160)),) * 3, -1)
    return _sensor(pixels, look, rng)


def _sensor(pixels: Pixels, look: Look, rng: np.random.Generator) -> Pixels:
    """Uneven light and noise."""
    high, wide = pixels.shape[:2]
    tile = np.roll(_noise_tile(look.seed % 3), (int(rng.integers(1024)), int(rng.integers(1024))), (0, 1)) * look.noise
    tile = tile.astype(np.int16)
    light = (1 - look.shade * np.linspace(0, 1, wide, dtype=np.float32) ** 2)[:: -1 if look.seed % 2 else 1]
    shade = np.repeat((light * 255).astype(np.uint8)[None, :, None], 3, axis=2)
    grain = np.tile(tile, (1, wide // 1024 + 1, 1))[:, :wide]
    out = np.empty_like(pixels)
    for top in range(0, high, 1024):
        band = pixels[top : top + 1024]
        lit = cv2.multiply(band, np.repeat(shade, band.shape[0], axis=0), scale=1 / 255)
        cv2.add(lit, grain[: band.shape[0]], dst=out[top : top + 1024], dtype=cv2.CV_8U)
    return out


def jpeg_bytes(pixels: Pixels, dpi: int, quality: int, *, grey: bool = False, with_dpi: bool = True) -> bytes:
    image = Image.fromarray(pixels)
    if grey:
        image = image.convert("L")
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality, **({"dpi": (dpi, dpi)} if with_dpi else {}))
    return data.getvalue()


def write_tiff(path: Path, pages: list[Pixels], dpi: int) -> None:
    """Multi-page RGB, LZW with horizontal predictor: what office scanners call TIFF."""
    images = [Image.fromarray(p) for p in pages]
    images[0].save(
        path, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}, save_all=True, append_images=images[1:], dpi=(dpi, dpi)
    )


def pdf_document(jpegs: list[bytes]) -> pikepdf.Pdf:
    """A PDF of images as scanners make it: one DCT image a page, page size from the dpi of the image."""
    pdf = pikepdf.new()
    for data in jpegs:
        with Image.open(io.BytesIO(data)) as image:
            wide, high = image.size
            dpi = float(image.info.get("dpi", (200, 200))[0])
            space = "/DeviceGray" if image.mode == "L" else "/DeviceRGB"
        stream = pikepdf.Stream(
            pdf,
            data,
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=wide,
            Height=high,
            ColorSpace=pikepdf.Name(space),
            BitsPerComponent=8,
            Filter=pikepdf.Name.DCTDecode,
        )
        w, h = wide * 72 / dpi, high * 72 / dpi
        content = pikepdf.Stream(pdf, f"q {w:.3f} 0 0 {h:.3f} 0 0 cm /Im0 Do Q".encode())
        page = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Page,
                MediaBox=[0, 0, round(w, 3), round(h, 3)],
                Contents=content,
                Resources=pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=stream)),
            )
        )
        pdf.pages.append(pikepdf.Page(page))
    return pdf


def write_pdf(path: Path, jpegs: list[bytes], version: str = "1.4") -> None:
    pdf = pdf_document(jpegs)
    pdf.save(path, force_version=version, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
