"""Small real PDFs (PDF/A-2b) for the signing tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
from pikepdf import pdfa

from blocks import fonts
from tasks.signing.geometry import MM

A4 = (595.28, 841.89)


def blank_pdf(size: tuple[float, float] = A4, pages: int = 1, **entries: Any) -> bytes:
    """Blank pages with these entries on each page: MediaBox, CropBox, Rotate, UserUnit."""
    pdf = pikepdf.new()
    for _ in range(pages):
        page = pdf.add_blank_page(page_size=size)
        for name, value in entries.items():
            page.obj[f"/{name}"] = pikepdf.Array(value) if isinstance(value, list) else value
    raw, out = io.BytesIO(), io.BytesIO()
    pdf.save(raw)
    raw.seek(0)
    with pikepdf.open(raw) as again:
        pdfa.save(again, out, "2b")
    return out.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def printed_pdf(lines: list[tuple[float, float, str]], size: tuple[float, float] = A4, rotate: int = 0) -> bytes:
    """A page with text (millimetres from the left and top as seen, 13 pt)."""
    with pymupdf.open() as pdf:
        wide, high = size if rotate in (0, 180) else (size[1], size[0])
        page = pdf.new_page(width=wide, height=high)
        page.set_rotation(rotate)
        for x, y, text in lines:
            at = pymupdf.Point(x * MM, y * MM) * page.derotation_matrix
            page.insert_text(at, text, fontsize=13, fontname="F0", fontfile=str(fonts.REGULAR), rotate=rotate)
        return bytes(pdf.tobytes())


# Top of a letter by Decree 30/2020: issuing agency and national title, as on nearly every paper.
HEAD = [
    (20, 12, "BẢO HIỂM XÃ HỘI VIỆT NAM"), (20, 18, "BẢO HIỂM XÃ HỘI TỈNH"), (30, 26, "Số: 12/TB-BHXH"),
    (105, 12, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"), (118, 18, "Độc lập - Tự do - Hạnh phúc"),
    (115, 26, "Hà Nội, ngày 25 tháng 11 năm 2026"),
]  # fmt: skip
