"""The reader of digits on hands that it never saw (own strokes, seeds of their own), on print, and on nothing."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.ocr.digits import (
    CHARACTERS,
    MODEL,
    OTHER,
    STEP,
    DigitReader,
    Look,
    best_path,
    each,
    likeliest,
    prepare,
    probabilities,
    together,
)
from infra.training.digits.slots import EM, Sample, Shapes, sample
from tasks.extraction.written import PRINT
from tests.samples.look import FOLDERS

TINOS = Shapes(sorted(FOLDERS[0].glob("Tinos-[BIR]*.ttf")))
SEED = 4_700_001  # training counts up from small ones


@pytest.fixture(scope="module")
def reader() -> DigitReader:
    return DigitReader()


def samples(count: int, *, handwritten: bool, text: str | None = None) -> list[Sample]:
    r = random.Random(SEED + handwritten)
    return [sample(r, TINOS, handwritten=handwritten, text=text or _number(r)) for _ in range(count)]


def _number(r: random.Random) -> str:
    return "".join(r.choice("0123456789") for _ in range(r.choice((1, 2, 2, 3, 4))))


def test_EX01_digits_that_a_hand_wrote(reader: DigitReader) -> None:
    found = [(one.text, reader.read(one.slot)) for one in samples(200, handwritten=True)]
    right = [read.text == text for text, read in found]
    assert np.mean(right) >= 0.85
    sure = [good for good, (_, read) in zip(right, found, strict=True) if read.probability >= 0.9]
    assert len(sure) > 80 and np.mean(sure) >= 0.93  # a proposal all the same
    assert np.mean([read.handwritten >= PRINT for _, read in found]) >= 0.97  # hands are hardly ever taken for print


def test_EX01_print_is_told_from_hands(reader: DigitReader) -> None:
    found = [(one.text, reader.read(one.slot)) for one in samples(150, handwritten=False)]
    assert np.mean([read.text == text for text, read in found]) >= 0.9
    assert np.mean([read.handwritten < PRINT for _, read in found]) >= 0.8


@pytest.mark.parametrize("digits", ["11", "17", "71", "44", "00"])
def test_EX01_digits_that_stand_twice_or_look_alike(reader: DigitReader, digits: str) -> None:
    found = [reader.read(one.slot).text for one in samples(40, handwritten=True, text=digits)]
    assert found.count(digits) >= 28


def test_EX02_where_nothing_stands_nothing_is_read(reader: DigitReader) -> None:
    paper = np.full((70, 120), 236, np.uint8)
    rule = paper.copy()
    rule[50:52] = 40
    dots = paper.copy()
    for x in range(4, 120, 9):
        dots[50:53, x : x + 3] = 40
    foot = paper.copy()  # of the line above
    foot[:9, 20:60] = 30
    noisy = (paper + np.random.default_rng(1).normal(0, 5, paper.shape)).clip(0, 255).astype(np.uint8)
    for slot in (paper, rule, dots, foot, noisy, paper[:5], paper[:, :2]):
        assert prepare(slot) is None
        assert reader.read(slot).text == ""


def test_a_slot_is_cut_to_its_digits_whatever_stands_round_them(reader: DigitReader) -> None:
    """The same ink on a page of its own, and between a rule, dots and the line above."""
    alone = sample(random.Random(SEED), TINOS, handwritten=False, text="25").slot
    lone = np.full((EM * 2, EM * 2), 240, np.uint8)
    lone[28:58, 12:18], lone[28:58, 40:46] = 20, 20
    among = lone.copy()
    among[:6, 10:70], among[70:72] = 20, 20
    for x in range(2, EM * 2, 9):
        among[62:64, x : x + 2] = 60
    first, second = prepare(lone), prepare(among)
    assert first is not None and second is not None and prepare(alone) is not None
    assert first.shape == second.shape and np.abs(first - second).mean() < 0.02
    assert first.shape[1] % STEP == 0


def test_what_may_stand_there_is_read(reader: DigitReader) -> None:
    """A day is one of 31, however a slot looks."""
    days = [f"{n:02d}" for n in range(1, 32)] + [str(n) for n in range(1, 10)]
    for one in samples(60, handwritten=True, text="45"):
        read = reader.read(one.slot, among=days)
        assert read.text in days or read.text == ""
        assert len(read.each) == len(read.text)


def test_a_slot_cut_in_several_ways_is_read_once(reader: DigitReader) -> None:
    for one in samples(30, handwritten=True):
        single, several = reader.read(one.slot), reader.read(one.slot, one.slot, one.slot)
        assert (several.text, several.each) == (single.text, single.each)
        assert several.probability == pytest.approx(single.probability)
    blank = np.full((70, 90), 240, np.uint8)
    one = samples(1, handwritten=True)[0]
    assert reader.read(one.slot, blank).text == ""  # half of the cuts show nothing


steps_of_chance = st.integers(0, 10_000).map(
    lambda seed: np.log(np.random.default_rng(seed).dirichlet(np.ones(11) * 0.4, size=4) + 1e-12)
)


@given(steps_of_chance)
def test_the_probability_of_a_text_is_that_of_all_its_paths(steps: np.ndarray) -> None:
    """Against every path, written out."""
    classes = sorted({*steps.argmax(-1).tolist(), 0, 1, 2})[:4]
    texts: dict[str, float] = {}
    for path in product(range(11), repeat=4):
        if not set(path) <= set(classes):
            continue
        text = "".join(str(b - 1) for a, b in zip((0, *path), path, strict=False) if b and b != a)
        texts[text] = texts.get(text, 0.0) + float(np.exp(sum(steps[i, c] for i, c in enumerate(path))))
    only = [text for text in texts if all(int(digit) + 1 in classes for digit in text)]
    for text, got in zip(only, probabilities(steps, only), strict=True):
        assert got == pytest.approx(texts[text], rel=1e-6, abs=1e-12)


@settings(max_examples=12, deadline=None)
@given(steps_of_chance)
def test_the_likeliest_texts_are_those_of_all_paths(steps: np.ndarray) -> None:
    """Against every path, written out; what is hardly possible isn't followed."""
    texts: dict[str, float] = {}
    for path in product(range(11), repeat=4):
        chance = float(sum(steps[i, c] for i, c in enumerate(path)))
        text = "".join(CHARACTERS[b - 1] for a, b in zip((0, *path), path, strict=False) if b and b != a)
        texts[text] = texts.get(text, 0.0) + float(np.exp(chance))
    best = max(texts, key=lambda text: texts[text])
    found = likeliest(steps)
    assert len(found) == len(set(found))
    assert texts[best] < 0.05 or best in found  # where nothing is likely, the beam may lose it


def test_EXd_a_letter_behind_digits_is_told(reader: DigitReader) -> None:
    """`12a` is no 126: mostly it is told that no digit stands there. Without that class, two of three became digits."""
    hands = Shapes(TINOS.prints, [next(p for p in TINOS.prints if "Italic" in p.name)])
    r = random.Random("letters")
    read = [reader.read(sample(r, hands, handwritten=True, text=f"12{OTHER}").slot).text for _ in range(60)]
    assert np.mean([text.isdecimal() and len(text) > 2 for text in read]) < 0.5


@given(steps_of_chance)
def test_each_digit_has_a_probability(steps: np.ndarray) -> None:
    text = best_path(steps)
    sure = each(steps, text)
    assert len(sure) == len(text) and all(0 <= p <= 1 for p in sure)
    read = together([Look(steps, 0.3)], 1)
    assert read.each == each(steps, read.text) and read.handwritten == 0.3
    assert read.probability >= probabilities(steps, [text])[0] - 1e-9
    assert read.probability <= 1 + 1e-9


def test_the_model_is_small_and_has_its_card() -> None:
    assert MODEL.stat().st_size < 2_000_000
    card = MODEL.with_name("MODEL_CARD.md").read_text("utf-8")
    for told in ("OFL-1.1", "CC BY 4.0", "optdigits", "held out"):
        assert told in card
