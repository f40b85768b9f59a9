"""The order of pages by what is printed on them (CA06), once they are read.

Decree 30/2020, appendix I: the page number stands in the middle of the top margin, from page 2 on; forms print
"Trang 2/3" at the top or the bottom. OCR errs: only numbers that were read surely count, and a lone number that fits
nothing is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from blocks.errors import Problem
from blocks.ocr.types import Line, PageText
from tasks.capture import errors

MARGIN = 0.12  # share of the height in which numbers stand
CENTRED = 0.08  # share of the width that the number may be off the middle
MIN_CONFIDENCE = 0.85
ALONE = re.compile(r"^[-–—\s]*(\d{1,3})[-–—\s.]*$")
TITLED = re.compile(
    r"^[-–—(\s]*Trang(?:\s+số)?\s*:?\s*(\d{1,3})(?:\s*(?:/|trên|trong)\s*(\d{1,3}))?[)\s.]*$", re.IGNORECASE
)


@dataclass(frozen=True)
class PrintedNumber:
    """A number as printed; total: of "2/3", None when not given."""

    number: int
    total: int | None = None


def printed_number(page: PageText) -> PrintedNumber | None:
    """The page number that is printed on a page, or None."""
    found: list[PrintedNumber] = []
    for line in page.lines:
        if line.confidence < MIN_CONFIDENCE or not _in_margin(line, page):
            continue
        text = line.text.strip()
        if match := TITLED.match(text):
            total = int(match[2]) if match[2] else None
            return PrintedNumber(int(match[1]), total)
        if (match := ALONE.match(text)) and _centred(line, page):
            found.append(PrintedNumber(int(match[1])))
    return found[0] if len(found) == 1 else None


def _in_margin(line: Line, page: PageText) -> bool:
    _, top, _, bottom = line.box
    return bottom <= MARGIN * page.height or top >= (1 - MARGIN) * page.height


def _centred(line: Line, page: PageText) -> bool:
    left, _, right, _ = line.box
    return abs((left + right) / 2 - page.width / 2) <= CENTRED * page.width


def check_printed_numbers(pages: Sequence[PageText]) -> list[Problem]:
    """Problems of order, duplicates and gaps by the printed numbers.

    pages: one PageText a page of the paper, in order; of a page with a sticky note the clean image only. Problems
    name the page by its position (1-based). Raises nothing; no text of the page gets into a problem.
    """
    numbers = [printed_number(page) for page in pages]
    problems: list[Problem] = []
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or _restarts(numbers, end):
            problems += _check_run(numbers[start:end], start)
            start = end
    return problems


def _restarts(numbers: Sequence[PrintedNumber | None], index: int) -> bool:
    """A new paper begins here: page 1, printed or followed by page 2, after a page with a number."""
    here = numbers[index]
    if not any(numbers[:index]):
        return False
    if here is None:
        after = numbers[index + 1] if index + 1 < len(numbers) else None
        return after is not None and after.number == 2
    return False


def _check_run(run: Sequence[PrintedNumber | None], offset: int) -> list[Problem]:
    """One paper. offset: pages before it."""
    read = [(position, printed) for position, printed in enumerate(run, 1) if printed is not None]
    if not read:
        return []
    problems = _order(read, offset)
    if problems:
        return problems
    return _gaps(read, len(run), offset)


def _order(read: Sequence[tuple[int, PrintedNumber]], offset: int) -> list[Problem]:
    problems = []
    for (before, one), (position, other) in pairwise(read):
        if other.number == one.number:
            problems.append(errors.PagesDuplicate(other=before + offset).problem(page=position + offset))
        elif other.number < one.number and _believable(read, one.number, other.number):
            problems.append(errors.PagesSwapped().problem(page=position + offset))
    return problems


def _believable(read: Sequence[tuple[int, PrintedNumber]], *numbers: int) -> bool:
    """Both numbers lie in the range of pages that there can be: a misread 7 for 1 in three pages does not."""
    highest = max(position for position, _ in read) + 1
    return all(1 <= number <= highest for number in numbers)


def _gaps(read: Sequence[tuple[int, PrintedNumber]], count: int, offset: int) -> list[Problem]:
    """Pages that are printed and not there. The shift must hold to the end, or be told by a total."""
    totals = {printed.total for _, printed in read if printed.total is not None}
    if len(totals) == 1:
        total = totals.pop()
        if total > count:
            return [errors.PagesMissing(expected=total, found=count).problem()]
        if total < count:
            return [errors.PagesExtra(expected=total, found=count).problem()]
    # An extract may begin at any number, when its first page bears one.
    shift = read[0][1].number - 1 if read[0][0] == 1 else 0
    for position, printed in read:
        new = printed.number - position
        if new > shift and all(p.number - n >= new for n, p in read if n >= position) and new - shift <= count:
            missing = errors.PagesMissing(expected=count + new - shift, found=count)
            return [missing.problem(page=position + offset)]
        shift = max(shift, new)
    return []
