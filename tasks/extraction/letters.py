"""Letters without their marks: what OCR gets right most often."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Upper case without marks, of the same length."""
    return "".join(_fold(c) for c in text)


def _fold(character: str) -> str:
    upper = character.upper().replace("Đ", "D").replace("Ð", "D")
    base = unicodedata.normalize("NFD", upper)[:1]
    return base or character
