"""`make geometry-report`: both signatures on page 1 of every kind of page, as pictures (var/report/geometry).

The pages are those of tests/tasks/signing/test_placement.py, which proves the places to the millimetre; here they are
to be looked at, with the head of a letter printed on them.
"""

from __future__ import annotations

import html
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pymupdf
from rich.console import Console

from blocks.settings import home
from blocks.signer import agency_signer, signer_for
from blocks.trust import Trust, run
from tasks.signing.geometry import MM
from tasks.signing.pdf import sign_as_agency, sign_as_officer
from tests.bench.sign import services
from tests.tasks.signing.helpers import HEAD, blank_pdf, printed_pdf
from tests.tasks.signing.test_placement import PAGES

ACROSS = 700  # pixels of a picture


def pages() -> dict[str, bytes]:
    """Title → file: the blank geometries, a card, and letters whose head is printed where the boxes usually stand."""
    blank = {name: blank_pdf(**entries) for name, entries in PAGES.items()}
    blank["card, 85 × 54 mm"] = blank_pdf(size=(85 * MM, 54 * MM))
    letters = {f"letter turned {turn}": printed_pdf(HEAD, rotate=turn) for turn in (0, 90, 180, 270)}
    usual = {"letter, head at 20 mm": printed_pdf([(x, y + 10, text) for x, y, text in HEAD])}
    dense = {
        "print up to the edge": printed_pdf(
            [(4, y, "Nội dung in dày đặc trên trang giấy " * 4) for y in range(5, 110, 5)]
        )
    }
    return {**blank, **letters, **usual, **dense}


def main() -> None:
    target = home() / "report" / "geometry"
    target.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="sohoa-geometry-") as name, services(Path(name)):
        officer, agency, trust, now = signer_for("tnhs.01"), agency_signer(), Trust(), datetime.now(UTC)
        for number, (title, data) in enumerate(pages().items(), 1):
            path = Path(name) / "page.pdf"
            path.write_bytes(data)
            made = run(sign_as_officer(path, officer, agency, now, trust, long_term=False))
            run(sign_as_agency(path, agency, now, trust, long_term=False))
            with pymupdf.open(path) as pdf:
                zoom = ACROSS / pdf[0].rect.width
                pdf[0].get_pixmap(matrix=pymupdf.Matrix(zoom, zoom)).save(target / f"{number:02d}.png")
            said = "" if made.visible else "signed invisibly: too small. "
            said += f"moved: {', '.join(made.moved) or '–'}; on print: {', '.join(made.overlapping) or '–'}"
            rows.append(f'<figure><img src="{number:02d}.png" alt=""><figcaption><b>{html.escape(title)}</b><br>{said}')
    style = "figure{display:inline-block;width:30%;margin:1%;vertical-align:top}img{width:100%;border:1px solid #888}"
    page = (
        f'<!doctype html><meta charset="utf-8"><title>Signatures on page 1</title><style>{style}</style>{"".join(rows)}'
    )
    (target / "index.html").write_text(page, encoding="utf-8")
    Console().print(f"{len(rows)} pages: {target / 'index.html'}", soft_wrap=True)


if __name__ == "__main__":
    main()
