"""Single documents of all types with their truth, for measuring OCR and extraction.

`python -m tests.samples.documents OUT --count 300 --seed 1 [--type LOCAL:C65-HD]` writes

    OUT/0001-c65-hd/page-0001.jpg …     one file a page, dpi in the JFIF header
    OUT/0001-c65-hd/text/1-0001.txt …   the printed lines of each page, NFC, without dotted leaders
    OUT/0001-c65-hd/truth.json          {"type_code", "dpi", "pages", "fields": {name: normalised value or null}}
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from tests.samples.forms import FORMS, Paper, make_case
from tests.samples.look import Look, make_look
from tests.samples.scan import Pixels, jpeg_bytes, scan


def make_document(seed: int, number: int, type_code: str, *, dpi: int | None = None) -> tuple[Paper, Look]:
    """One paper with its own people and look, fixed by seed and number."""
    rng = random.Random(f"document {seed} {number} {type_code}")
    look = make_look(rng, dpi)
    case = make_case(rng, with_id=rng.random() < 0.85, mother=type_code in ("LOCAL:GIAY-CHUNG-SINH",))
    return FORMS[type_code](case, look), look


def page_pixels(paper: Paper, look: Look) -> list[Pixels]:
    return [scan(sheet.image, look, n) for n, sheet in enumerate(paper.sheets, 1)]


def write_text(folder: Path, component: int, paper: Paper) -> None:
    """text/<component>-<page>.txt: one printed line a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, sheet in enumerate(paper.sheets, 1):
        (folder / f"{component}-{n:04d}.txt").write_text("\n".join(sheet.lines) + "\n", encoding="utf-8")


def write_document(folder: Path, paper: Paper, look: Look) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, pixels in enumerate(page_pixels(paper, look), 1):
        (folder / f"page-{n:04d}.jpg").write_bytes(jpeg_bytes(pixels, look.dpi, look.quality))
    write_text(folder / "text", 1, paper)
    body = {"type_code": paper.type_code, "dpi": look.dpi, "pages": len(paper.sheets), "fields": paper.fields}
    (folder / "truth.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_documents(out: Path, count: int, seed: int, type_code: str | None = None) -> list[Path]:
    """`count` documents, the types in turn."""
    types = [type_code] if type_code else sorted(FORMS)
    folders = []
    for n in range(1, count + 1):
        kind = types[(n - 1) % len(types)]
        folder = out / f"{n:04d}-{kind.removeprefix('LOCAL:').lower()}"
        write_document(folder, *make_document(seed, n, kind))
        folders.append(folder)
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=22)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--type", choices=sorted(FORMS))
    args = parser.parse_args()
    print(f"{len(write_documents(args.out, args.count, args.seed, args.type))} documents in {args.out}")


if __name__ == "__main__":
    main()
