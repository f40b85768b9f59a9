"""How far a reading can be trusted, as measured: confidences of recognisers are no probabilities.

Values of a checkable form (dates, numbers, identifiers) are right nearly always once they have that form. Free text
has no such check, so what a recogniser may claim for it is written in `calibration.yaml`, measured by model.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml


@lru_cache
def _ceilings() -> dict[str, dict[str, float]]:
    loaded: dict[str, dict[str, float]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return loaded


@lru_cache
def _of(engine: str) -> dict[str, float]:
    """Ceilings of the models that the engine string names (`det@hash + rec@hash + …`)."""
    for model in re.findall(r"[\w.\-]+@[0-9a-f]+", engine):
        for known in (model, model.partition("@")[0]):
            if known in _ceilings():
                return _ceilings()[known]
    return _ceilings()["default"]


def calibrated(confidence: float, kind: str, engine: str) -> float:
    """The confidence of a value of this kind (`normalise.KINDS`) read by this engine."""
    return min(confidence, _of(engine).get(kind, 1.0))
