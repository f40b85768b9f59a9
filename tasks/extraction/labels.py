"""Finding the printed labels of a form in a row, tolerant of what OCR does to marks, spaces and punctuation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from tasks.extraction.layout import Row
from tasks.extraction.letters import fold

FUZZY_FROM = 8  # letters: shorter labels must match letter by letter (marks aside)
FUZZY_SCORE = 86.0
FUZZY_ALONE = 14  # letters: shorter ones that aren't exact need their colon


@dataclass(frozen=True)
class Hit:
    """A label in a row; `value` is where what stands after it begins."""

    label: str
    start: int
    end: int
    value: int
    score: float  # 0..1
    colon: bool = False  # a colon follows, as it does after nearly every printed label

    @property
    def length(self) -> int:
        return self.end - self.start


@lru_cache(maxsize=4096)
def squeeze(text: str) -> tuple[str, tuple[int, ...]]:
    """Letters and digits only, folded, and where each stood."""
    folded = fold(text)
    at = tuple(i for i, c in enumerate(folded) if c.isalnum())
    return "".join(folded[i] for i in at), at


def find_labels(row: Row, labels: Iterable[str]) -> list[Hit]:
    """The labels in the row, left to right. Of two that overlap, the one before a colon stays, else the longer."""
    hits = [hit for label in labels for hit in _occurrences(row.text, label)]
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (not h.colon, -h.length * h.score, h.start)):
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda h: h.start)


def _occurrences(text: str, label: str) -> list[Hit]:
    wanted, _ = squeeze(label)
    row, at = squeeze(text)
    if not wanted or len(row) < len(wanted) - 2:
        return []
    hits = []
    start = row.find(wanted)
    while start >= 0:
        hit = _hit(text, label, at, start, start + len(wanted), 1.0)
        if hit:
            hits.append(hit)
        start = row.find(wanted, start + 1)
    if hits or len(wanted) < FUZZY_FROM:
        return hits
    best = fuzz.partial_ratio_alignment(wanted, row, score_cutoff=FUZZY_SCORE)
    if best is None or best.dest_end - best.dest_start < len(wanted) - 2:
        return []
    hit = _hit(text, label, at, best.dest_start, best.dest_end, best.score / 100)
    return [hit] if hit else []


def _hit(text: str, label: str, at: tuple[int, ...], first: int, last: int, score: float) -> Hit | None:
    start, end = at[first], at[last - 1] + 1
    if start and text[start - 1].isalnum():
        return None  # inside a word
    if label[0].isupper() and text[start].islower():
        return None  # the same words in running text
    if score < 1.0:
        colon = text.find(":", end, end + 3)  # the alignment may miss the last letters
        end = colon if colon >= 0 else end
        if colon < 0 and last - first < FUZZY_ALONE:
            return None  # `Điện tử Hòa Bình` is no `Điện thoại`
    if end < len(text) and (text[end].isalpha() or (text[end].isdigit() and text[end - 1].isdigit())):
        return None
    value = end
    while value < len(text) and text[value] in " :;.,…_-–·)":
        value += 1
    if label.rstrip().endswith(":") and not set(":;") & set(text[end:value]):
        return None  # a short label counts only with its colon (or what was read for it)
    return Hit(label, start, end, value, score, ":" in text[end : end + 3] or label.endswith(":"))
