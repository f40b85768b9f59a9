"""Reads the digits of a slot: a place in print where a hand may have written, `Số: 574/UBND`, `ngày 04 tháng 01`.

The recogniser of lines learned on print: it reads a written 11 as 44, or as 01 with full confidence. A small network of
its own (`models/sohoa-digits`) reads such places a second time. It knows ten digits and no letter, and says whether a
hand wrote what it sees. What stands round the digits (rules, dots, pieces of other lines) is taken away before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from blocks.ocr.runtime import small_network

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

MODEL = Path(__file__).with_name("models") / "sohoa-digits" / "digits.onnx"
HEIGHT, NARROWEST, WIDEST = 32, 16, 320  # px of the network's input
OTHER = "?"  # what a hand wrote there is no digit: a letter as in 12a, a digit that was struck out
CHARACTERS = "0123456789" + OTHER  # class 1 and so on of the network
STEP = 2  # px of it to one step of its output
TWO_READERS = 8.0  # so much likelier is what another reader sees, too
ELSE = 0.01  # probability of anything else than what may stand there: what is less likely isn't made likely by it
FOLLOWED = -6.0  # log probability of a step's class from which it is followed
BEAM, KEPT, LEAST = 10, 6, 0.005  # texts that are followed, and kept; probability of the least that is
SHARES = (0.4, 0.2)  # of the way from paper to the darkest: from here on it is ink
LOW = 0.25  # of a slot's height: what is lower is no number
FAINT = 24  # shades: less between ink and paper is nothing written
_FLAT, _SPECK, _LONG = 0.12, 0.1, 0.5  # shares of a slot's height: rules are flat and long, dots small both ways
_FOOT, _NARROW = 0.3, 0.14
_BAND = 0.24  # what lies wholly in this outer part and touches the edge is another line's


@dataclass(frozen=True)
class Digits:
    """What the network makes of a slot.

    each: probability of each digit; probability: of the whole text, over all ways to write it down (CTC), among those
    that may stand there; handwritten: probability that a hand wrote it. Without digits the text is empty. others: what
    it may be instead, with probabilities, the likeliest first.
    """

    text: str
    each: tuple[float, ...]
    probability: float
    handwritten: float
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Look:
    """steps: log probabilities [steps, 12], class 0 the blank, then `CHARACTERS`; handwritten: probability of it."""

    steps: npt.NDArray[np.float64]
    handwritten: float


NOTHING = Digits("", (), 1.0, 0.0)


def prepare(slot: Grey) -> Floats | None:
    """The network's input, float32 [HEIGHT, W] with ink at -1 and paper at 1; None: nothing is written in the slot.

    slot: grey, the line that frames it and some room above and below. Cut to what is neither rule nor dot nor the
    foot or head of another line, so that digits come out equally large whoever wrote them.
    """
    height, width = slot.shape
    if height < 8 or width < 4:
        return None
    paper, dark = (float(shade) for shade in np.percentile(slot, (75, 1)))
    found = None
    for share in SHARES:  # a pale pen beside black print is seen only below
        if paper - dark >= FAINT and share * (paper - dark) >= 0.4 * FAINT:
            found = _without_rest(slot, paper, paper - share * (paper - dark)) or found
        if found and found[1][3] - found[1][1] >= LOW * height:
            break
    if found is None:
        return None
    clean, (x0, y0, x1, y1) = found
    clean = clean[y0:y1, x0:x1]
    dark = min(paper - FAINT, float(np.percentile(clean, 1)))
    edge = max(1, round(0.14 * (y1 - y0)))
    clean = cv2.copyMakeBorder(clean, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=[paper])
    wide = min(WIDEST, max(NARROWEST, round(HEIGHT * clean.shape[1] / clean.shape[0])))
    wide += wide % STEP
    kind = cv2.INTER_AREA if clean.shape[0] > HEIGHT else cv2.INTER_LINEAR
    small = cv2.resize(clean, (wide, HEIGHT), interpolation=kind).astype(np.float32)
    return np.asarray(((small - dark) / (paper - dark) * 2 - 1).clip(-1.2, 1.2), np.float32)


def _without_rest(slot: Grey, paper: float, below: float) -> tuple[Any, tuple[int, int, int, int]] | None:
    """The slot with paper in place of what is no digit, and the box of what is left; None: nothing is.

    below: the shade that ink is darker than.
    """
    height, width = slot.shape
    ink = (slot < below).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    kept = np.array([False, *(_digit_like(part, height, width) for part in stats[1:])])
    if not kept.any():
        return None
    x0, y0 = stats[kept, :2].min(0).tolist()
    x1, y1 = (stats[kept, :2] + stats[kept, 2:4]).max(0).tolist()
    own = kept[labels]
    away = cv2.dilate(((labels > 0) & ~own).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.where((away > 0) & ~own, np.uint8(paper), slot), (x0, y0, x1, y1)


def _digit_like(part: npt.NDArray[np.int32], height: int, width: int) -> bool:
    """Whether a piece of ink (x, y, width, height, area) may belong to a digit."""
    left, top, wide, high, area = (int(v) for v in part)
    if area < 4 or (high < _SPECK * height and wide < _SPECK * height):
        return False
    if high < _FLAT * height and wide > min(_LONG * height, 0.8 * width):
        return False
    if left * (left + wide - width) == 0 and high < _FOOT * height and wide < _NARROW * height:
        return False  # the foot of a letter that the cut ran through
    bottom = top + high
    return not (top == 0 and bottom < _BAND * height) and not (bottom == height and top > (1 - _BAND) * height)


class DigitReader:
    """The network in memory."""

    def __init__(self, model: Path = MODEL, threads: int = 1) -> None:
        self.network = small_network(model.with_suffix(""), threads)

    def look(self, slot: Grey) -> Look | None:
        """What the network makes of a slot (h, w); None: nothing is written there."""
        image = prepare(slot)
        if image is None:
            return None
        logits, hand = self.network(image[None, None])
        return Look(_log_softmax(np.asarray(logits[0], np.float64)), float(1 / (1 + np.exp(-float(hand[0])))))

    def read(self, *slots: Grey, among: Sequence[str] = ()) -> Digits:
        """The digits of one slot, cut out in one way or several. among: all that may stand there, if that is known."""
        return together([look for slot in slots if (look := self.look(slot)) is not None], len(slots), among)


def together(looks: Sequence[Look], cuts: int, among: Sequence[str] = (), hint: str = "") -> Digits:
    """The text that is likeliest over all looks at a slot; where most cuts show nothing, nothing.

    hint: what another reader sees there. It is often wrong, but hardly ever wrong in the same way.
    """
    if 2 * len(looks) <= cuts:
        return NOTHING
    texts = list(dict.fromkeys(text for look in looks for text in likeliest(look.steps)))
    if among:
        empty = "" in map(best_path, (look.steps for look in looks))
        texts = [*([""] if empty else []), *among]
    elif hint.isdecimal():
        texts = list(dict.fromkeys([*texts, hint]))
    chances = np.mean([probabilities(look.steps, texts) for look in looks], 0)
    chances = chances * [TWO_READERS if text == hint and text.isdecimal() else 1 for text in texts]
    chances /= max(1.0, chances.sum()) if not among else chances.sum() + ELSE
    order = np.argsort(-chances, kind="stable").tolist()
    best, *rest = [(texts[at], float(chances[at])) for at in order]
    clearest = max(looks, key=lambda look: probabilities(look.steps, [best[0]])[0])
    handwritten = max(look.handwritten for look in looks)
    others = tuple((text, round(chance, 4)) for text, chance in rest[:KEPT] if chance >= LEAST)
    return Digits(best[0], each(clearest.steps, best[0]), best[1], handwritten, others)


def _log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    moved = logits - logits.max(-1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(-1, keepdims=True)))


def best_path(steps: npt.NDArray[np.float64]) -> str:
    """The digits of the likeliest class of each step."""
    path = [0, *steps.argmax(-1).tolist()]
    return "".join(CHARACTERS[b - 1] for a, b in pairwise(path) if b and b != a)


def likeliest(steps: npt.NDArray[np.float64]) -> list[str]:
    """The likeliest texts, over all ways to write each down: a beam search over prefixes (Graves et al. 2006)."""
    never = float("-inf")
    beam = {"": (0.0, never)}  # log probabilities of ending with a blank, and without
    for row in steps:
        new: dict[str, tuple[float, float]] = {}
        for text, (blank, digit) in beam.items():
            whole = float(np.logaddexp(blank, digit))
            again = digit + float(row[CHARACTERS.index(text[-1]) + 1]) if text else never
            _add(new, text, whole + float(row[0]), again)
            for at in np.flatnonzero(row[1:] > FOLLOWED).tolist():
                before = blank if text[-1:] == CHARACTERS[at] else whole
                _add(new, text + CHARACTERS[at], never, before + float(row[at + 1]))
        best = sorted(new, key=lambda text: -float(np.logaddexp(*new[text])))[:BEAM]
        beam = {text: new[text] for text in best}
    return list(beam)


def _add(beam: dict[str, tuple[float, float]], text: str, blank: float, digit: float) -> None:
    old = beam.get(text, (float("-inf"), float("-inf")))
    beam[text] = float(np.logaddexp(old[0], blank)), float(np.logaddexp(old[1], digit))


def each(steps: npt.NDArray[np.float64], text: str) -> tuple[float, ...]:
    """How sure each digit of a text is: its probability where the likeliest way to write the text down has its peak."""
    labels = _labels(text)
    score = np.full(len(labels), -np.inf)
    score[:2] = steps[0, labels[:2]]
    came = []
    for row in steps[1:]:
        ways = np.stack(_ways(score, labels))
        came.append(ways.argmax(0))
        score = ways.max(0) + row[labels]
    at = len(labels) - 1 if len(labels) == 1 or score[-1] >= score[-2] else len(labels) - 2
    peaks = np.zeros(len(text))
    for row, back in zip(steps[::-1], [*reversed(came), None], strict=True):
        if at % 2:
            peaks[at // 2] = max(peaks[at // 2], float(np.exp(row[labels[at]])))
        at -= int(back[at]) if back is not None else 0
    return tuple(peaks.tolist())


def probabilities(steps: npt.NDArray[np.float64], texts: Sequence[str]) -> list[float]:
    """Probability of each text over all its paths (Graves et al. 2006, equation 6)."""
    found = []
    for text in texts:
        labels = _labels(text)
        alpha = np.full(len(labels), -np.inf)
        alpha[:2] = steps[0, labels[:2]]
        for row in steps[1:]:
            alpha = np.logaddexp.reduce(_ways(alpha, labels)) + row[labels]
        found.append(float(np.exp(np.logaddexp.reduce(alpha[-2:]))))
    return found


def _labels(text: str) -> npt.NDArray[np.int64]:
    """The classes of a text with blanks round each digit."""
    return np.array([0, *(label for digit in text for label in (CHARACTERS.index(digit) + 1, 0))])


def _ways(
    score: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scores of the places that each place can be reached from: itself, the one before, the one before that blank."""
    one, two = np.full(len(labels), -np.inf), np.full(len(labels), -np.inf)
    one[1:] = score[:-1]
    two[2:] = np.where((labels[2:] != 0) & (labels[2:] != labels[:-2]), score[:-2], -np.inf)
    return score, one, two
