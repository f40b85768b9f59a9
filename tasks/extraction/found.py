"""A value as a rule found it, before cross-checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blocks.ocr.types import Box
from tasks.extraction.layout import Row, union


@dataclass(frozen=True)
class Found:
    """printed: as on the paper; score: how sure the rule is (0..1) before the confidence of the reading."""

    printed: str
    reading: float  # 0..1: how well its lines were read, see `legible`; no probability before `calibration.py`
    page: int
    box: Box | None
    rule: str
    score: float = 1.0
    y: float = 0.0  # on the upright page
    canonical: str | None = None  # the value in the spelling of a known list
    listed: bool = False  # the whole value is on a known list: misread marks don't matter
    proposal: bool = False  # written by hand, or read in two ways: never sure, however well it was read

    @property
    def confidence(self) -> float:
        return self.reading * self.score


def legible(doubt: float) -> float:
    """doubt: letters of the value's lines that are expected to be wrong. 1: none."""
    return 1 / (1 + doubt)


def from_spans(spans: Sequence[tuple[Row, int, int]], rule: str, score: float = 1.0) -> Found:
    """spans: parts of rows, in reading order, joined by a space."""
    texts = [row.text[start:end].strip() for row, start, end in spans]
    evidence = [row.evidence(start, end) for row, start, end in spans]
    boxes = [box for box, _ in evidence if box is not None]
    first = spans[0][0]
    return Found(
        printed=" ".join(text for text in texts if text),
        reading=legible(sum(doubt for _, doubt in evidence)),
        page=first.page,
        box=union(boxes),
        rule=rule,
        score=score,
        y=first.box[1],
        proposal=any(row.proposal(start, end) for row, start, end in spans),
    )


def whole(rows: Sequence[Row], rule: str, score: float = 1.0) -> Found:
    return from_spans([(row, 0, len(row.text)) for row in rows], rule, score)
