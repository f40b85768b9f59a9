"""Counts which syllable follows which, in the same texts that the recogniser learns from (`sources.py`).

The result (`blocks/ocr/models/vi-bigram/bigram.npz`) holds numbers and single syllables, no text that anybody wrote.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from blocks.ocr.language import START, tokens
from infra.training import wording
from infra.training.texts import Texts

PHRASES = 150_000
LEAST_SYLLABLE, LEAST_PAIR = 3, 2  # seen less often: left out
MOST_SYLLABLES = 20_000


def build(texts: Texts, target: Path, seed: int = 1) -> tuple[int, int]:
    """Write the counts; returns how many syllables and pairs were kept."""
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    r = random.Random(seed)  # noqa: S311
    phrases = (wording.phrase(r) for _ in range(PHRASES))
    for line in chain(_lines(texts), phrases):
        for run in tokens(line):
            single.update(run)
            pairs.update(pairwise([START, *run]))
    listed = {syllable.lower() for syllable in texts.syllables}
    single.update({syllable: 1 for syllable in sorted(listed)})
    kept = [w for w, n in single.most_common(MOST_SYLLABLES) if n >= LEAST_SYLLABLE or w in listed]
    index = {w: i + 1 for i, w in enumerate(kept)}  # 0: START
    found = sorted((index.get(a, 0) << 16 | index[b], n) for (a, b), n in pairs.items() if _fits(a, b, n, index))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        syllables=np.array("\n".join(kept)),
        counts=np.array([single[w] for w in kept], np.uint32),
        pairs=np.array([key for key, _ in found], np.uint32),
        pair_counts=np.array([n for _, n in found], np.uint32),
    )
    return len(kept), len(found)


def _lines(texts: Texts) -> Iterable[str]:
    return chain.from_iterable(lines for _, lines in texts.groups)


def _fits(a: str, b: str, count: int, index: dict[str, int]) -> bool:
    return count >= LEAST_PAIR and (a == START or a in index) and b in index
