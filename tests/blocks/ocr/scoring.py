"""Order-free character and diacritic errors: words are matched in any order, the rest by the cheapest assignment."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

_ALIKE = {
    "“": '"',
    "”": '"',
    "„": '"',
    "’": "'",
    "‘": "'",
    "`": "'",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "…": "...",
}
_ALIKE |= {"\u00a0": " ", "ﬁ": "fi", "ﬂ": "fl", "•": "-", "·": ".", "\u00ad": "-", "×": "x"}
_MARKED = set("aeiouyd")  # letters that may bear a Vietnamese mark


@dataclass(frozen=True)
class Score:
    """edits over letters; marks: right letter, wrong mark, over those that may bear one; pairs: (truth, read)."""

    edits: int
    letters: int
    marks: int
    markable: int
    pairs: tuple[tuple[str, str], ...]


def words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFC", text).translate(str.maketrans(_ALIKE))
    return re.sub(r"[_|]+", " ", re.sub(r"\.{4,}", "...", plain)).split()


def score(truth: str, read: str) -> Score:
    """What was read against what stands on the page."""
    wanted, got = Counter(words(truth)), Counter(words(read))
    common = wanted & got
    left, right = list((wanted - common).elements()), list((got - common).elements())
    size = max(len(left), len(right))
    left += [""] * (size - len(left))
    right += [""] * (size - len(right))
    cost = np.array([[Levenshtein.distance(a, b) for b in right] for a in left]).reshape(size, size)
    rows, columns = linear_sum_assignment(cost)
    pairs = tuple((left[i], right[j]) for i, j in zip(rows, columns, strict=True))
    letters = [letter for word in words(truth) for letter in word]
    return Score(
        edits=int(cost[rows, columns].sum()),
        letters=len(letters),
        marks=sum(_wrong_marks(a, b) for a, b in pairs),
        markable=sum(_base(letter) in _MARKED for letter in letters),
        pairs=pairs,
    )


def error_rate(truth: str, read: str) -> float:
    """Edits over the characters of the truth, 0..1."""
    told = score(truth, read)
    return told.edits / max(1, told.letters)


def _base(letter: str) -> str:
    return "d" if letter in "đĐ" else unicodedata.normalize("NFD", letter)[0].lower()


def _wrong_marks(truth: str, read: str) -> int:
    swaps = [(truth[i], read[j]) for what, i, j in Levenshtein.editops(truth, read) if what == "replace"]
    return sum(_base(a) == _base(b) and a.lower() != b.lower() and _base(a) in _MARKED for a, b in swaps)
