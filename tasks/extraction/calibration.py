"""How far a reading can be trusted, as measured: confidences of recognisers are no probabilities.

Values of a checkable form (dates, numbers, identifiers) are right nearly always once they have that form. Free text
has no such check: with trueocr 46 of 100 texts and 76 of 100 names were right to the letter on generated papers
(`tests/bench`, 2026), whatever its own confidence said. So its free text never passes the threshold by itself.
"""

from __future__ import annotations

from typing import Final

# beginning of the recogniser's name in the engine string -> kind -> highest confidence
_CEILINGS: Final = {"trueocr": {"text": 0.5, "name": 0.75, "agency": 0.5}}


def calibrated(confidence: float, kind: str, engine: str) -> float:
    """The confidence of a value of this kind (`normalise.KINDS`) read by this engine."""
    for recogniser, ceilings in _CEILINGS.items():
        if f" {recogniser}" in f" {engine}":
            return min(confidence, ceilings.get(kind, 1.0))
    return confidence
