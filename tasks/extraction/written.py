"""Which of two readings counts where a hand may have written a number into a line (`blocks/ocr/slots.py`).

The reader of lines knows print, the reader of digits knows hands. Where a hand wrote, where a stamp lies over the
place, or where the two differ, the value is a proposal: what was measured on print says nothing about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from blocks.ocr.digits import OTHER
from blocks.ocr.slots import SURELY_PRINT
from blocks.ocr.types import Box, Line, Slot, Word
from tasks.extraction.letters import fold

PRINT = SURELY_PRINT  # probability of handwriting below which a place counts as printed
HAND = 0.5  # from here on the reader of digits is believed where the two differ
PROPOSED = 0.3  # probability from which handwritten digits are proposed; below, the place stays empty
_SO = re.compile(r"\W{0,2}S[O06]\s*[:.;,]")
_THANG = re.compile(r"\s*\W?\s*T?H?ANG(?:\s*\(MONTH\))?\s*")
_NAM = re.compile(r"^\W*[^\W\d]{2,4}\W{0,3}([12][\doOQ]{3})(?![\doOQ])")
_SYMBOL = re.compile(r"\s*[A-Z]{1,5}\s?[\-:]\s?[A-Z]{2,6}\W*$")  # its slash hidden
_FILL = re.compile(r"[\s.:…_]")  # between digits: dots and rules of a fill-in line


class Doubtful(Word):
    """A word in which a hand wrote, or which the two readers read differently."""


@dataclass(frozen=True)
class _Character:
    text: str
    box: Box  # of the word or the slot that it stands in
    doubtful: bool


def chosen(slot: Slot, printed: str) -> tuple[str, bool]:
    """What counts in a slot, and whether it is only a proposal. printed: what the reader of lines read there."""
    if OTHER in slot.text:  # a letter as in 12a, or a digit that was struck out: the reader of lines knows letters
        fits = re.fullmatch(slot.text.replace(OTHER, "[A-Za-zĐđ]"), _FILL.sub("", printed))
        return (printed if fits else ""), True
    if slot.split:  # the line was cut where something else stands than print
        return (slot.text if slot.probability >= PROPOSED else ""), True
    plain = _FILL.sub("", printed)
    if slot.text == plain:
        return (printed if slot.handwritten < PRINT else plain), bool(plain) and (
            slot.handwritten >= PRINT or slot.stamped
        )
    if not slot.text:
        return printed, any(c.isdigit() for c in plain)
    if slot.handwritten < HAND and any(c.isdigit() for c in plain):
        return (printed if plain.isdecimal() or slot.probability < 1 - PRINT else slot.text), True
    if slot.handwritten < HAND and not slot.stamped and slot.probability < 1 - PRINT:
        return printed, True  # neither of them sees a number that is one
    return (slot.text if slot.probability >= PROPOSED else ""), True


def settled(line: Line) -> Line:
    """The line with what counts in its slots, its doubtful words marked."""
    if not line.slots or " ".join(word.text for word in line.words) != line.text:
        return _marked(line)
    boxes = [word.box for word in line.words for _ in f"{word.text} "]
    hands = [word.by_hand for word in line.words for _ in f"{word.text} "]
    new: list[_Character] = []
    at, before = 0, None
    for slot in sorted(line.slots, key=lambda slot: slot.start):
        new += _print(line.text, at, slot.start, boxes, hands, before, slot)
        printed = line.text[slot.start : slot.end]
        text, doubtful = chosen(slot, printed)
        if text == printed:
            new += [_Character(c, boxes[i], doubtful) for i, c in enumerate(printed, slot.start)]
        else:  # apart from the print, but for the slash behind a number
            apart = " " if slot.kind != "number" else ""
            new += [_Character(c, slot.box, doubtful) for c in f" {text}{apart}"]
        at, before = slot.end, slot
    new += _print(line.text, at, len(line.text), boxes, hands, before, None)
    words = tuple(_word(new[m.start() : m.end()]) for m in re.finditer(r"\S+", "".join(c.text for c in new)))
    return replace(line, text=" ".join(word.text for word in words), words=words, slots=())


def _marked(line: Line) -> Line:
    """Words that a hand wrote are proposals."""
    if not any(word.by_hand for word in line.words):
        return line
    return replace(line, words=tuple(Doubtful(w.text, w.box) if w.by_hand else w for w in line.words))


def _print(
    text: str, start: int, end: int, boxes: list[Box], hands: list[bool], before: Slot | None, after: Slot | None
) -> list[_Character]:
    """The print between two slots of a line, as the form has it: a hand that runs over it makes it read otherwise."""
    own = text[start:end]
    kinds = (before.kind if before else "", after.kind if after else "")
    known = own
    if not before and after and after.kind == "number" and after.handwritten >= PRINT and not _SO.match(fold(own)):
        known = "Số: "
    if before and before.handwritten >= PRINT:
        if kinds == ("day", "month") and not _THANG.fullmatch(fold(own)):
            known = " tháng "
        elif kinds[0] == "month":
            known = _NAM.sub(lambda m: f" năm {_year(m[1])}", own, count=1)
        elif kinds[0] == "number" and _SYMBOL.match(fold(own)):
            known = "/" + own.lstrip()
    if known == own:
        return [_Character(c, boxes[i], hands[i] and c.isalnum()) for i, c in enumerate(own, start)]
    at = boxes[start : max(end, start + 1)] or boxes[-1:]
    return [_Character(c, at[min(len(at) - 1, i * len(at) // len(known))], False) for i, c in enumerate(known)]


def _year(read: str) -> str:
    return re.sub("[oOQ]", "0", read)


def _word(characters: list[_Character]) -> Word:
    x0, y0, x1, y1 = zip(*(c.box for c in characters), strict=True)
    kind = Doubtful if any(c.doubtful for c in characters) else Word
    return kind("".join(c.text for c in characters), (min(x0), min(y0), max(x1), max(y1)))
