"""Confidences that mean something: what is measured, how it is fitted, and what an unmeasured recogniser gets."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tasks.extraction import calibration
from tasks.extraction.calibration import CELL, GROUPS, LISTED, calibrated, group
from tasks.extraction.fields import Extracted
from tasks.extraction.found import legible
from tasks.extraction.normalise import KINDS
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.bench.calibrate import SLACK, fitted, pooled, sure_from, wilson
from tests.bench.papers import aligned

NEW = "PP-OCRv6_tiny_det@193bab7a + brand-new@abcdef01 + paddleocr 3.7.0"


def test_the_kept_curves_rise_and_cover_every_kind() -> None:
    curves = calibration._curves()
    names = {group(kind) for kind in (*KINDS, LISTED, CELL)} - {"amount_words", "date_words", "owner_id"}
    assert names <= set(curves["default"])
    assert {kind for kinds in GROUPS.values() for kind in kinds} <= set(KINDS)
    for model, of in curves.items():
        for curve in of.values():
            assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(curve.steps))
            assert curve.steps[0][1] >= 0 and curve.steps[-1][1] < 1
            if model != "default":
                assert curve.n > 0 and 0 <= curve.wrong <= curve.n
                if curve.steps[-1][1] >= CONFIDENCE_THRESHOLD:
                    assert wilson(curve.n, curve.n) >= curve.steps[-1][1] - 0.02  # no more than so few values can tell


@pytest.mark.parametrize(("kind", "sure"), [("text", False), ("name", False), ("date", True), ("person_id", True)])
def test_a_recogniser_that_was_not_measured_starts_cautiously(kind: str, sure: bool) -> None:
    assert (calibrated(1.0, kind, NEW) >= CONFIDENCE_THRESHOLD) is sure
    assert calibrated(0.1, kind, NEW) < CONFIDENCE_THRESHOLD


def test_one_doubtful_letter_weighs_as_much_in_a_long_line_as_in_a_short_one() -> None:
    short, long = legible((1 - 0.95) * 10), legible((1 - 0.99) * 50)
    assert short == pytest.approx(long) and legible(0) == 1


def test_the_lower_bound_of_a_rate() -> None:
    assert wilson(0, 0) == 0 and 0.97 < wilson(100, 100) < 0.98 and wilson(50, 100) == pytest.approx(0.419, abs=0.001)


def test_neighbours_that_fall_are_pooled() -> None:
    assert pooled([(0.1, False), (0.2, True), (0.3, False), (0.4, True)]) == [(0.1, 0, 1), (0.2, 1, 2), (0.4, 1, 1)]


def test_only_readings_that_hold_count_as_sure() -> None:
    rng = random.Random(5)
    samples = [(reading, rng.random() < 0.6 + 0.5 * reading) for reading in (rng.random() for _ in range(4000))]
    cut = sure_from(samples)
    above = [right for reading, right in samples if reading >= cut]
    assert 0.6 < cut < 0.9 and above.count(False) <= SLACK * len(above)
    curve = fitted(samples)
    assert curve.at(cut) >= CONFIDENCE_THRESHOLD > curve.at(cut - 0.01) and curve.n == 4000
    for reading in (0.2, 0.4):  # below, the confidence is the measured rate, on the safe side
        assert reading * 0.5 + 0.6 - 0.15 < curve.at(reading) < reading * 0.5 + 0.6


def test_too_few_or_too_many_wrong_values_are_never_sure() -> None:
    assert fitted([(1.0, True)] * 45).steps[-1][1] < CONFIDENCE_THRESHOLD
    assert fitted([(1.0, n % 50 > 0) for n in range(1000)]).steps[-1][1] < CONFIDENCE_THRESHOLD
    assert fitted([(1.0, True)] * 200).steps[-1][1] >= CONFIDENCE_THRESHOLD


def test_the_best_do_not_hide_the_worst() -> None:
    assert sure_from([(1.0, True)] * 2000 + [(0.1, False)] * 3 + [(0.1, True)] * 3) == 1.0


def test_rows_are_compared_with_the_true_rows_they_agree_with() -> None:
    def item(name: str, value: str) -> Extracted:
        return Extracted(name, value)

    truth: dict[str, str | None] = {f"special.rows.00{n}.full_name": who for n, who in ((1, "A"), (2, "B"), (3, "C"))}
    found = {
        name: item(name, value)
        for name, value in (("special.rows.001.full_name", "A"), ("special.rows.002.full_name", "C"))
    }
    got = aligned(truth, found | {"title": item("title", "T")})
    assert {name: field.value for name, field in got.items()} == {
        "special.rows.001.full_name": "A",
        "special.rows.003.full_name": "C",
        "title": "T",
    }


def test_EX02_what_may_be_written_by_hand_must_be_read_well() -> None:
    """A handwritten 11 was read as 44 at 0.606: generated papers have no handwriting, so a group may need more."""
    samples = [(0.5, True)] * 300 + [(0.9, True)] * 300
    assert fitted(samples).at(0.606) >= CONFIDENCE_THRESHOLD
    held = fitted(samples, 0.8)
    assert held.at(0.606) < CONFIDENCE_THRESHOLD <= held.at(0.9)
    assert calibrated(0.606, "number_symbol", "sohoa-rec@0cf90cca") < CONFIDENCE_THRESHOLD
