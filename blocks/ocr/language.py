"""Second opinion: which of two nearly equal readings of a syllable is Vietnamese, by the syllable before it.

On small or blurred print the marks of a letter (ể ế, ã ả, đ d) are a few grey pixels, and the network gives two
letters nearly the same probability. A bigram of syllables then decides, as a reader would. It only ever chooses among
letters that the network itself holds possible, one for one; digits, signs and what has no second reading are left
alone, and the confidence of a letter that was exchanged stays that of a doubtful one.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODEL = Path(__file__).with_name("models") / "vi-bigram" / "bigram.npz"
START = "<s>"
DISCOUNT = 0.75  # absolute discounting (Ney, Essen, Kneser 1994)
UNSEEN = 2e-8  # probability of a syllable that was never seen: names and foreign words are read as they stand
WEIGHT = 0.5  # of the language against the network
POSSIBLE = 0.006  # letters below this probability are no second reading
MOST_READINGS = 32  # of one syllable


def tokens(text: str) -> list[list[str]]:
    """Runs of syllables with nothing but one space between them, lower case."""
    runs: list[list[str]] = [[]]
    for part in unicodedata.normalize("NFC", text).split(" "):
        word = part.strip("\"'“”‘’()[]«»")
        bare = word.rstrip(".,;:?!/")
        if bare.isalpha():
            runs[-1].append(bare.lower())
        if not bare.isalpha() or bare != part:
            runs.append([])
    return [run for run in runs if run]


class Bigram:
    """Interpolated bigram of lower-case syllables."""

    def __init__(self, path: Path = MODEL) -> None:
        with np.load(path) as data:
            syllables = str(data["syllables"]).split("\n")
            counts = data["counts"].astype(np.float64)
            self._index = {w: i + 1 for i, w in enumerate(syllables)}
            self._single = np.concatenate([[0.0], counts / counts.sum()])
            pairs, pair_counts = data["pairs"], data["pair_counts"].astype(np.float64)
        first = (pairs >> 16).astype(np.int64)
        size = len(self._single)
        self._sum = np.bincount(first, pair_counts, size)
        self._kinds = np.bincount(first, minlength=size)
        self._pairs = dict(zip(pairs.tolist(), pair_counts.tolist(), strict=True))

    def __contains__(self, syllable: str) -> bool:
        """Whether a syllable, in lower case, was ever seen."""
        return syllable in self._index

    def log(self, before: str, syllable: str) -> float:
        """Natural logarithm of P(syllable | before); both lower case, `before` may be START."""
        return math.log(self._probability(before, syllable))

    def _probability(self, before: str, syllable: str) -> float:
        second = self._index.get(syllable)
        if second is None:
            return UNSEEN
        single = float(self._single[second]) + UNSEEN
        first = 0 if before == START else self._index.get(before, -1)
        if first < 0 or not self._sum[first]:
            return single
        seen = max(0.0, self._pairs.get(first << 16 | second, 0.0) - DISCOUNT)
        rest = DISCOUNT * self._kinds[first]
        return float((seen + rest * single) / self._sum[first])


@lru_cache
def bigram() -> Bigram:
    return Bigram()


def known(word: str) -> bool:
    """Whether a word is a syllable of the language, in upper or lower case."""
    return word.lower() in bigram()


@dataclass(frozen=True)
class Letter:
    """A run of columns that were read as one character, with its other readings: class → log probability."""

    start: int
    end: int
    best: int
    readings: tuple[tuple[int, float], ...]  # best first


@dataclass(frozen=True)
class Reading:
    text: str  # lower case
    log: float
    classes: tuple[int, ...]


def letters(
    path: NDArray[np.intp], sure: NDArray[np.float32], probabilities: NDArray[np.float32], characters: Sequence[str]
) -> list[Letter]:
    """The characters of one line's CTC output (columns, classes) on its best path; 0 is the blank.

    Empty when none of them has a second reading.
    """
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    starts, classes = edges[:-1], path[edges[:-1]]
    peaks = np.maximum.reduceat(sure, starts)
    doubtful = (peaks < 1 - POSSIBLE) & (classes != 0)
    if not doubtful.any():
        return []
    found = []
    runs = zip(starts.tolist(), edges[1:].tolist(), classes.tolist(), peaks.tolist(), doubtful.tolist(), strict=True)
    for start, end, best, peak, doubt in runs:
        if best == 0:
            continue
        readings = [(best, math.log(peak))]
        if doubt and characters[best].isalpha():
            column = probabilities[start + int(sure[start:end].argmax())]
            others = [c for c in np.flatnonzero(column >= POSSIBLE).tolist() if c not in (best, 0)]
            readings += [(c, math.log(float(column[c]))) for c in others if characters[c].isalpha()]
            readings.sort(key=lambda reading: -reading[1])
        found.append(Letter(start, end, best, tuple(readings)))
    return found


def exchanges(line: list[Letter], characters: Sequence[str], model: Bigram) -> Iterator[tuple[Letter, int]]:
    """Letters that should be read otherwise, and as which class."""
    for run in _runs(line, characters):
        if all(len(letter.readings) == 1 for syllable in run for letter in syllable):
            continue
        chosen = _best(run, characters, model)
        for syllable, reading in zip(run, chosen, strict=True):
            for letter, class_ in zip(syllable, reading.classes, strict=True):
                if class_ != letter.best:
                    yield letter, class_


def _runs(line: list[Letter], characters: Sequence[str]) -> Iterator[list[list[Letter]]]:
    """Runs of syllables, as `tokens` makes them; syllables with digits or signs inside are left out."""
    run: list[list[Letter]] = []
    word: list[Letter] = []
    for letter in [*line, None]:
        character = characters[letter.best] if letter else " "
        if letter and character.isalpha():
            word.append(letter)
            continue
        if word:
            run.append(word)
            word = []
        if character != " " or letter is None:
            if run:
                yield run
            run = []


def _readings(syllable: list[Letter], characters: Sequence[str]) -> list[Reading]:
    kept = [list(letter.readings) for letter in syllable]
    while math.prod(map(len, kept)) > MOST_READINGS:  # the least likely reading goes
        least = min((options for options in kept if len(options) > 1), key=lambda options: options[-1][1])
        least.pop()
    return [
        Reading("".join(characters[c] for c, _ in way).lower(), sum(log for _, log in way), tuple(c for c, _ in way))
        for way in product(*kept)
    ]


def _best(run: list[list[Letter]], characters: Sequence[str], model: Bigram) -> list[Reading]:
    """Viterbi over the readings of each syllable."""
    states: list[tuple[float, tuple[Reading, ...]]] = [(0.0, ())]
    for syllable in run:
        following = []
        for reading in _readings(syllable, characters):
            ways = ((s + WEIGHT * model.log(way[-1].text if way else START, reading.text), way) for s, way in states)
            score, way = max(ways, key=lambda scored: scored[0])
            following.append((score + reading.log, (*way, reading)))
        states = following
    return list(max(states, key=lambda scored: scored[0])[1])


def best_path(
    probabilities: NDArray[np.float32], characters: Sequence[str], model: Bigram | None
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Class of each column of one line's CTC output (columns, classes) and its confidence.

    With a model, letters are exchanged; they keep the confidence of what they were read as first.
    """
    path = probabilities.argmax(-1)
    sure = np.take_along_axis(probabilities, path[:, None], 1)[:, 0]
    if model is not None:
        for letter, class_ in exchanges(letters(path, sure, probabilities, characters), characters, model):
            path[letter.start : letter.end] = class_
    return path, sure
