"""Which type a paper looks like: its title and the phrases that only its form prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from tasks.extraction.decree30 import title_row
from tasks.extraction.labels import squeeze
from tasks.extraction.layout import Page
from tasks.extraction.profiles import GENERAL, Profile, profiles


@dataclass(frozen=True)
class Likeness:
    type_code: str
    score: float  # 0..1


def likeness(pages: Sequence[Page], profile: Profile, text: str | None = None) -> float:
    """How much the paper looks like the type. text: squeezed text of the pages, if known."""
    squeezed = text if text is not None else squeezed_text(pages)
    title = title_row(pages, profile.title)
    found = sum(_holds(squeezed, phrase) for phrase in profile.phrases)
    share = found / len(profile.phrases) if profile.phrases else 0.0
    score = 0.55 * (title[2] if title else 0.0) + 0.45 * min(1.0, 1.25 * share)
    return score * (0.85 if profile.type == GENERAL else 1.0)  # every special decision is an administrative paper too


def classify(pages: Sequence[Page]) -> list[Likeness]:
    """All types, the likeliest first."""
    text = squeezed_text(pages)
    scores = [Likeness(code, round(likeness(pages, p, text), 3)) for code, p in profiles().items()]
    return sorted(scores, key=lambda item: -item.score)


def squeezed_text(pages: Sequence[Page]) -> str:
    return "".join(squeeze(row.text)[0] for page in pages for row in page.rows)


def _holds(text: str, phrase: str) -> bool:
    wanted = squeeze(phrase)[0]
    return wanted in text or (len(wanted) >= 10 and fuzz.partial_ratio(wanted, text, score_cutoff=88) > 0)
