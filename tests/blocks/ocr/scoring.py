"""Order-free character error rate: words are matched in any order, the rest by the cheapest assignment."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

_ALIKE = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "…": "..."})


def words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFC", text).translate(_ALIKE)
    return re.sub(r"\.{4,}", "...", re.sub(r"[_|]+", " ", plain)).split()


def error_rate(truth: str, read: str) -> float:
    """Edits over the characters of the truth, 0..1."""
    wanted, got = Counter(words(truth)), Counter(words(read))
    common = wanted & got
    left, right = list((wanted - common).elements()), list((got - common).elements())
    size = max(len(left), len(right))
    if not size:
        return 0.0
    left += [""] * (size - len(left))
    right += [""] * (size - len(right))
    cost = np.array([[Levenshtein.distance(a, b) for b in right] for a in left])
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum()) / sum(map(len, words(truth)))
