"""Which of two readings counts where a hand may have written a number into a line (`blocks/ocr/slots.py`).

The reader of lines knows print, the reader of digits knows hands. Where a hand wrote, where a stamp lies over the
place, or where the two differ, the value is a proposal: what was measured on print says nothing about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from blocks.ocr.slots import SURELY_PRINT
from blocks.ocr.types import Box, Line, Slot, Word

PRINT = SURELY_PRINT  # probability of handwriting below which a place counts as printed
HAND = 0.5  # from here on the reader of digits is believed where the two differ
PROPOSED = 0.3  # probability from which handwritten digits are proposed; below, the place stays empty
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
    if slot.split:  # the line was cut where something else stands than print
        return (slot.text if slot.probability >= PROPOSED else ""), True
    plain = _FILL.sub("", printed)
    if slot.text == plain:
        return printed, bool(plain) and (slot.handwritten >= PRINT or slot.stamped)
    if not slot.text:
        return printed, any(c.isdigit() for c in plain)
    if slot.handwritten < HAND and any(c.isdigit() for c in plain):
        return printed, True
    if slot.handwritten < HAND and not slot.stamped and slot.probability < 1 - PRINT:
        return printed, True  # neither of them sees a number that is one
    return (slot.text if slot.probability >= PROPOSED else ""), True


def settled(line: Line) -> Line:
    """The line with what counts in its slots, its doubtful words marked."""
    if not line.slots or " ".join(word.text for word in line.words) != line.text:
        return line
    boxes = [word.box for word in line.words for _ in f"{word.text} "]
    new: list[_Character] = []
    at = 0
    for slot in sorted(line.slots, key=lambda slot: slot.start):
        new += [_Character(c, boxes[i], False) for i, c in enumerate(line.text[at : slot.start], at)]
        printed = line.text[slot.start : slot.end]
        text, doubtful = chosen(slot, printed)
        if text == printed:
            new += [_Character(c, boxes[i], doubtful) for i, c in enumerate(printed, slot.start)]
        else:  # apart from the print, but for the slash behind a number
            apart = " " if slot.kind != "number" else ""
            new += [_Character(c, slot.box, doubtful) for c in f" {text}{apart}"]
        at = slot.end
    new += [_Character(c, boxes[i], False) for i, c in enumerate(line.text[at:], at)]
    words = tuple(_word(new[m.start() : m.end()]) for m in re.finditer(r"\S+", "".join(c.text for c in new)))
    return replace(line, text=" ".join(word.text for word in words), words=words, slots=())


def _word(characters: list[_Character]) -> Word:
    x0, y0, x1, y1 = zip(*(c.box for c in characters), strict=True)
    kind = Doubtful if any(c.doubtful for c in characters) else Word
    return kind("".join(c.text for c in characters), (min(x0), min(y0), max(x1), max(y1)))
