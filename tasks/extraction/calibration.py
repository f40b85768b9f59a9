"""How far a reading can be trusted, as measured: confidences of recognisers are no probabilities.

`calibration.yaml` says for each recogniser (name@hash, as in the engine string) and group of kinds how often values
that were read so well were right. It is made by `tests/bench/calibrate.py` from generated papers; a recogniser that
isn't in it gets `default`, so that a new model starts cautiously: its free text goes to the officer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

LISTED = "listed"  # the whole value is on a closed list, or was decoded from a barcode
CELL = "cell"  # text in the row of a list
# Kinds (normalise.KINDS) that prove themselves in the same way; a kind that isn't here is its own group.
GROUPS = {
    "digits": (
        "person_id",
        "identity_paper",
        "bhxh_number",
        "health_card",
        "bhxh_or_card",
        "tax_code",
        "code",
        "phone",
    ),
    "dates": ("date", "birth", "compact_date", "year", "month", "months"),
    "amounts": ("money", "count", "rate"),
    "choices": ("sex", "tick"),
}
# Mean confidence of letters from which a page is like those of the calibration: the poorest of them, photos and
# 100 dpi, had 0.967. What was read on a poorer one (a fax, a carbon copy, the back showing through) wasn't measured.
LIKE = 0.965
# A hand writes numbers into printed forms, and nothing of the calibration's papers was written by hand. Of 23 numbers
# drawn by hand that were read wrong and counted as sure one was read better than this; of print four in five are.
BY_HAND = 0.8


class Curve(BaseModel):
    """steps: (reading from which, confidence), both rising; n, wrong: values behind it."""

    model_config = ConfigDict(extra="forbid")
    steps: list[tuple[float, float]]
    n: int = 0
    wrong: int = 0

    def at(self, reading: float) -> float:
        reached = [confidence for start, confidence in self.steps if start <= reading]
        return reached[-1] if reached else 0.5 * reading


def group(kind: str) -> str:
    """The group whose curve holds for a kind."""
    return next((name for name, kinds in GROUPS.items() if kind in kinds), kind)


@lru_cache
def _curves() -> dict[str, dict[str, Curve]]:
    loaded = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return {model: {name: Curve.model_validate(c) for name, c in curves.items()} for model, curves in loaded.items()}


def measured(legibility: float, engine: str) -> bool:
    """Whether the calibration holds for a page of this mean confidence of letters; a recogniser without one is doubted
    anyway."""
    return legibility >= LIKE or _of(engine) is _curves()["default"]


def maybe_by_hand(reading: float, kind: str) -> bool:
    """Whether a number was read so that a hand may have written it."""
    return group(kind) in ("digits", "dates", "amounts") and reading < BY_HAND


@lru_cache
def _of(engine: str) -> dict[str, Curve]:
    """Curves of the recogniser that the engine string names (`det@hash + rec@hash + …`)."""
    known = [model for model in re.findall(r"[\w.\-]+@[0-9a-f]+", engine) if model in _curves()]
    return _curves()[known[0]] if known else _curves()["default"]


def calibrated(reading: float, kind: str, engine: str) -> float:
    """The confidence of a value of this kind that was read so well (`found.legible`) by this engine."""
    curves = _of(engine)
    curve = curves.get(group(kind)) or _curves()["default"].get(group(kind)) or _curves()["default"]["text"]
    return round(min(curve.at(reading), 0.999), 4)
