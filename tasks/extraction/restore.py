"""Marks of names that come from closed lists: agencies, kinds of places, provinces.

OCR mixes up marks (Ố and Ổ, Ề and Ễ) more than letters. Where the letters of a phrase are those of ONE phrase of the
lists, its marks are those of the list; what the paper showed is kept beside as `printed`. Other words stay as read.
"""

from __future__ import annotations

from functools import lru_cache

from tasks.extraction.labels import squeeze
from tasks.extraction.letters import fold
from tasks.extraction.words import AGENCY_HEADS, AGENCY_WORDS, PROVINCES

_LONGEST = 9  # words of a phrase
# Single syllables are names of people and places as well; only these are taken, and only after a known phrase.
_SINGLE = {"TỈNH", "HUYỆN", "QUẬN", "PHƯỜNG", "XÃ", "TNHH", "MTV"}
_FIRST = {"SỞ", "BỘ", "CỤC", "PHÒNG", "BAN"}  # or these, at the beginning
_PLACES = tuple(f" {kind}" for kind in ("TINH", "THANH PHO", "HUYEN", "QUAN", "THI XA", "THI TRAN", "PHUONG", "XA"))
_BEFORE_PROVINCE = {"TỈNH", "THÀNH PHỐ", "TP."}


@lru_cache
def _phrases() -> dict[str, str]:
    return {squeeze(p)[0]: p for p in (*AGENCY_HEADS, *AGENCY_WORDS)}


@lru_cache
def _provinces() -> dict[str, str]:
    return {squeeze(p)[0]: p for p in PROVINCES}


def restore(text: str) -> tuple[str, bool]:
    """The text with the marks of known phrases, and whether every word belonged to one."""
    words = text.split()
    out: list[str] = []
    before = ""
    complete = True
    i = 0
    while i < len(words):
        found = _known(words[i:], before, i == 0)
        if found is None:
            out.append(words[i])
            complete = complete and not any(c.isalpha() for c in words[i])
            before = ""
            i += 1
        else:
            phrase, count = found
            out.append(_as_printed(phrase, words[i : i + count]))
            before, i = phrase, i + count
    return " ".join(out), complete


def company(text: str) -> bool:
    """Whether it begins like the name of a company."""
    return fold(text).startswith(("CONG TY", "TONG CONG TY", "DOANH NGHIEP", "HOP TAC XA", "TAP DOAN", "CHI NHANH"))


def unfinished(text: str) -> bool:
    """Whether the name of the place is missing or broken off: `… THÀNH PHỐ`, `… tỉnh Nghệ`."""
    words = fold(text).rstrip(" .,;").split()
    if " ".join(words).endswith(_PLACES):
        return True
    last = max((i for i, word in enumerate(words) if word == "TINH"), default=None)
    name = squeeze(" ".join(words[last + 1 :]))[0] if last is not None else ""
    return bool(name) and name not in _provinces() and any(province.startswith(name) for province in _provinces())


def _known(words: list[str], before: str, first: bool) -> tuple[str, int] | None:
    """The longest known phrase that the words begin with, and how many words it takes."""
    for count in range(min(_LONGEST, len(words)), 0, -1):
        joined = squeeze(" ".join(words[:count]))[0]
        if before in _BEFORE_PROVINCE and joined in _provinces():
            return _provinces()[joined], count
        phrase = _phrases().get(joined)
        if phrase and (" " in phrase or (phrase in _SINGLE and before) or (phrase in _FIRST and first)):
            return phrase, count
    return None


def _as_printed(phrase: str, words: list[str]) -> str:
    """The phrase in upper and lower case as printed, with the comma that followed."""
    printed = " ".join(words)
    tail = printed[-1] if printed[-1] in ",;" else ""
    bare = printed.rstrip(",;")
    if len(bare) == len(phrase):
        return "".join(p if b.isupper() else p.lower() for p, b in zip(phrase, bare, strict=True)) + tail
    upper = sum(c.isupper() for c in bare) * 2 > sum(c.isalpha() for c in bare)
    return (phrase if upper else phrase[:1] + phrase[1:].lower()) + tail
