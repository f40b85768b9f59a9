"""The characters that the recogniser knows, and the CTC code of a text.

Class 0 is CTC's blank, the last class is the space, as PaddleOCR's `CTCLabelDecode` has it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

_TONES = ("", "\u0300", "\u0301", "\u0309", "\u0303", "\u0323")
VOWELS = "aăâeêioôơuưy"
_VOWELS = tuple(unicodedata.normalize("NFC", v + t) for v in VOWELS for t in _TONES)
LOWER = (*_VOWELS, "đ")
LETTERS = LOWER + tuple(c.upper() for c in LOWER)
"""Vietnamese letters that carry vowels or đ, both cases, NFC (the consonants are ASCII)."""
ASCII = "".join(chr(c) for c in range(33, 127))
FORM_SIGNS = "…–—“”‘’«»•·°§№½¼¾×÷±≤≥²³€→←☐☑☒□✓"
CHARACTERS: tuple[str, ...] = tuple(dict.fromkeys((*ASCII, *LETTERS, *FORM_SIGNS)))
BLANK = 0
SPACE = len(CHARACTERS) + 1
CLASSES = len(CHARACTERS) + 2
INDEX: dict[str, int] = {c: i + 1 for i, c in enumerate(CHARACTERS)} | {" ": SPACE}
_CHARACTER = {i: c for c, i in INDEX.items()}

_SAME = str.maketrans(
    {"\u00a0": " ", "\u2009": " ", "\u2011": "-", "\u2010": "-", "\u2212": "-", "„": "“", "‚": "‘", "Ð": "Đ", "ð": "đ",
     "ﬁ": "fi", "ﬂ": "fl", "\u00ad": None, "\u200b": None, "\ufeff": None, "…": "...", "▪": "•", "●": "•",
     "\uf0b7": "•", "\uf0a7": "•", "\uf02d": "-"}
)  # fmt: skip
_LEADER = re.compile(r"\.{4,}")
_RULE = re.compile(r"_{3,}")


def normalise(text: str) -> str:
    """Text as the recogniser shall print it: NFC, single spaces, dotted leaders as three dots, fill-in rules dropped.

    The number of dots of a leader can't be counted at 8 px a CTC step; `…` and `...` look alike in print.
    """
    text = unicodedata.normalize("NFC", text).translate(_SAME)
    return " ".join(_RULE.sub(" ", _LEADER.sub("...", text)).split())


def known(text: str) -> bool:
    return all(c in INDEX for c in text)


def encode(text: str) -> list[int]:
    """Classes of a text; KeyError for a character outside the set."""
    return [INDEX[c] for c in text]


def steps_needed(codes: list[int]) -> int:
    """CTC steps that a code needs: one a character and one blank between equal neighbours."""
    return len(codes) + sum(a == b for a, b in pairwise(codes))


def decode(path: Iterable[int]) -> str:
    """Best path → text: repeats merged, blanks dropped."""
    out: list[str] = []
    previous = BLANK
    for i in path:
        if i not in (previous, BLANK):
            out.append(_CHARACTER[int(i)])
        previous = i
    return "".join(out).strip()
