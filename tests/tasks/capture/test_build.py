"""CA09, CA10: one PDF/A-2b a component, images untouched, true size, the same bytes for the same images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pikepdf
import pytest
from pikepdf import pdfa
from PIL import Image

from tasks.capture.build import build_pdf, verify_images
from tasks.capture.errors import BuildFailed
from tasks.capture.facts import PageFacts
from tasks.capture.file_checks import inspect_file
from tests.tasks.capture.pages_for_tests import DPI, encoded, jpeg, paper, pdf_of, scanned


def small(seed: int) -> Image.Image:
    return paper(seed).resize((827, 1170))


def images(folder: Path) -> list[PageFacts]:
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = [
        jpeg(scanned(small(1))),
        encoded(small(2), "PNG", dpi=(DPI, DPI)),
        encoded(small(3), "TIFF", compression="tiff_lzw", dpi=(DPI, DPI)),
        jpeg(scanned(small(4)), exif=exif.tobytes()),
        pdf_of([jpeg(scanned(small(5)))]),
        jpeg(scanned(small(6)), progressive=True),
    ]
    pages = []
    for index, data in enumerate(sources):
        out = folder / str(index)
        out.mkdir()
        pages += inspect_file(data, DPI, out).pages
    return pages


def test_CA09_pdfa_with_untouched_images_and_true_size(tmp_path: Path) -> None:
    pages = images(tmp_path)
    target = tmp_path / "built.pdf"
    sha256 = build_pdf(pages, DPI, "Thành phần hồ sơ", target)
    assert sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert not (tmp_path / "built.pages").exists()
    with pikepdf.open(target) as pdf:
        assert str(pdfa.check(pdf, "2b").verdict).endswith("pass")
        assert len(pdf.pages) == 6 and tuple(map(int, pdf.pdf_version.split("."))) >= (1, 4)
        width, height = (float(v) / 72 * 25.4 for v in pdf.pages[0].mediabox[2:])
        assert abs(width - 105) < 0.5 and abs(height - 148.6) < 0.5
        assert pdf.pages[3].obj.Rotate == 90 and "/Rotate" not in pdf.pages[0].obj
        (stream,) = pdf.pages[0].get_images().values()
        assert hashlib.sha256(stream.read_raw_bytes()).hexdigest() == pages[0].sha256
        (lossless,) = pdf.pages[2].get_images().values()
        assert pikepdf.PdfImage(lossless).as_pil_image().tobytes() == small(3).tobytes()
        assert "/CreationDate" not in pdf.docinfo and "/Author" not in pdf.docinfo


def test_CA08_same_images_same_bytes_whatever_the_folder(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        hashes.add(build_pdf(images(folder), DPI, "x", folder / "built.pdf"))
    assert len(hashes) == 1


def test_CA08_a_pdf_with_other_images_is_refused(tmp_path: Path) -> None:
    pages = images(tmp_path)
    target = tmp_path / "built.pdf"
    build_pdf(pages, DPI, "x", target)
    with pytest.raises(BuildFailed):
        verify_images(target, pages[::-1])
    with pytest.raises(BuildFailed):
        verify_images(target, pages[:-1])
