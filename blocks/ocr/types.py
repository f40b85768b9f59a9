"""What an OCR engine returns: lines with polygon, text, confidence and word boxes.

Coordinates are pixels of the page image AS STORED in the PDF (not rotated, not deskewed), origin top left.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

Box = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Word:
    text: str  # NFC, no spaces
    box: Box
    by_hand: bool = False  # a hand wrote it (`pens.py`)


@dataclass(frozen=True)
class Slot:
    """A place in a line where a hand may have written a number, as the reader of digits has it (`digits.py`).

    start, end: of the characters of the line's text that stand there. text: digits, "" for none; probability: of the
    text; weakest: of its least sure digit; handwritten: that a hand wrote it; stamped: red ink lies over it; split: it
    lies in several lines, and the first of them has all its digits. others: what it may be instead, with probabilities.
    """

    kind: str  # number, day, month
    start: int
    end: int
    box: Box
    text: str
    probability: float
    weakest: float
    handwritten: float
    stamped: bool = False
    split: bool = False
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Written:
    """A number in a form that a hand wrote, as the reader of digits has it (`hand_numbers.py`): never sure.

    texts: digits only, with probabilities, the likeliest first; a slash between those of a date is often a 1 there.
    """

    box: Box
    texts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Line:
    text: str  # NFC
    confidence: float  # 0..1
    polygon: tuple[tuple[float, float], ...]  # 4 corners, clockwise from top left of the text
    words: tuple[Word, ...] = ()
    red: bool = False  # printed or stamped in red ink (headings of certificates, seals, secrecy stamps)
    slots: tuple[Slot, ...] = ()
    written: tuple[Written, ...] = ()

    @property
    def box(self) -> Box:
        xs, ys = [p[0] for p in self.polygon], [p[1] for p in self.polygon]
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Code:
    """A barcode on the page, as decoded: `text` is exact, barcodes carry their own error correction."""

    text: str  # NFC
    kind: str  # symbology, as zxing-cpp names it: "QRCode"
    box: Box


@dataclass(frozen=True)
class PageText:
    """One page as read. lines are in reading order; rotation in degrees (0/90/180/270), skew in degrees."""

    width: int
    height: int
    dpi: int
    lines: tuple[Line, ...]
    rotation: int = 0
    skew: float = 0.0
    engine: str = ""  # name and version of detector and recogniser, recorded with every field
    readable: bool = True  # False: goes to manual entry (EX02), never to invented text
    reason: str = ""  # why it isn't readable: BLANK, HANDWRITING, LOW_DPI …
    codes: tuple[Code, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> PageText:
        raw = json.loads(data)
        lines = tuple(
            Line(
                text=item["text"],
                confidence=item["confidence"],
                polygon=tuple((p[0], p[1]) for p in item["polygon"]),
                words=tuple(
                    Word(w["text"], (w["box"][0], w["box"][1], w["box"][2], w["box"][3]), w.get("by_hand", False))
                    for w in item["words"]
                ),
                red=item.get("red", False),
                slots=tuple(
                    Slot(**(s | {"box": tuple(s["box"]), "others": tuple((t, p) for t, p in s.get("others", []))}))
                    for s in item.get("slots", [])
                ),
                written=tuple(
                    Written(tuple(w["box"]), tuple((t, p) for t, p in w["texts"])) for w in item.get("written", [])
                ),
            )
            for item in raw.pop("lines")
        )
        codes = tuple(
            Code(c["text"], c["kind"], (c["box"][0], c["box"][1], c["box"][2], c["box"][3]))
            for c in raw.pop("codes", [])
        )
        return cls(lines=lines, codes=codes, **raw)
