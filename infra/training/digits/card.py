"""The model card: what the reader of digits is, what it learned from and how well it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from blocks.ocr.digits import HEIGHT, MODEL
from infra.training.digits.faces import Package

_TEXT = """# sohoa-digits: numbers that a hand wrote into print

Reads the slots of printed lines (`Số: …/QĐ`, `ngày … tháng … năm`): ten digits and "no digit", CTC, and whether a hand
wrote them (`blocks/ocr/digits.py`); the latter also tells numbers in forms from print (`blocks/ocr/pens.py`). A CRNN of
{parameters:,} parameters, input {height} px high. Written by
`python -m infra.training.digits export`; don't edit.

- SHA-256 of `digits.onnx`: `{digest}`
- {history}
- Licence: Apache-2.0.

## Meant for
Proposals that an officer confirms. What it reads of a hand is never sure by itself: `tasks/extraction/written.py`. It
says of a letter (`12a`) or a struck-out digit that it is no digit, about every second time; which letter it is it
doesn't know, nor dates in figures alone.

## Learned from
Slots drawn by `infra/training/digits/slots.py`: digits of one hand, with other pens, slopes and sizes, that touch, over
dotted leaders and rules, with pieces of print at both ends and of the lines above and below, by ballpoints that skip,
felt pens that bleed, pale and pressing ones, corrected and struck out, as a scanner, a camera that moved or a fax sees
them; print of many faces, too; and slots without digits. No page of a real paper, nothing of any bench.

| what | from | licence |
|---|---|---|
| strokes of the ten digits as hands draw them | `infra/training/digits/strokes.py` | this repository |
| 1,797 digits that people wrote: optdigits, UCI repository | the wheel of scikit-learn, `digits.csv.gz` | CC BY 4.0 |
{packages}

optdigits: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49; its last fifth is held out, too.

Hands that training never saw (held out): {unseen}. Print faces held out: Crimson Text, PT Serif, Carlito.

## How well
{slots:,} drawn slots of held-out hands, writers, print faces and seeds, with all the faults above (harder than
genuine heads are). *sure*: probability of the text 0.95 and more.

| | slots | right | sure | wrong among the sure | taken for written (0.5) | surely print (below 0.1) |
|---|---|---|---|---|---|---|
{figures}

`make bench-extraction` measures it on whole heads: drawn ones and, where they are, genuine ones.
"""


def write(
    packages: Sequence[Package],
    unseen: Sequence[str],
    figures: dict[str, dict[str, float]],
    parameters: int,
    work: Path,
) -> None:
    """MODEL_CARD.md beside the model. work: its `history.json` says how training went."""
    history = json.loads((work / "history.json").read_text("utf-8")) if (work / "history.json").exists() else []
    rows = [
        f"| {len(names)} typefaces: {', '.join(names)} | npm registry, `@fontsource/…` | {licence} |"
        for licence in sorted({p.licence for p in packages})
        if (names := [f"{p.name.removeprefix('@fontsource/')} {p.version}" for p in packages if p.licence == licence])
    ]
    columns = ("slots", "right", "sure", "wrong among the sure", "taken for written", "taken for print surely")
    text = _TEXT.format(
        parameters=parameters,
        height=HEIGHT,
        digest=hashlib.sha256(MODEL.read_bytes()).hexdigest(),
        history="; then ".join(history) or "how it was trained isn't known",
        packages="\n".join(rows),
        unseen=", ".join(unseen),
        slots=round(sum(row["slots"] for row in figures.values())),
        figures="\n".join(
            f"| {kind} | {row['slots']:,} | " + " | ".join(f"{100 * row[c]:.2f} %" for c in columns[1:]) + " |"
            for kind, row in figures.items()
        ),
    )
    MODEL.with_name("MODEL_CARD.md").write_text(text, encoding="utf-8")
