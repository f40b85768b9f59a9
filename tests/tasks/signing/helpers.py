"""Small real PDFs (PDF/A-2b) for the signing tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pikepdf
from pikepdf import pdfa

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
