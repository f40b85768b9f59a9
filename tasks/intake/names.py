"""Names of what was handed in, in the INBOX bucket: none of them holds personal data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from tasks.intake.order import ranks

SUBMISSION_ID = r"^[0-9a-z][0-9a-z-]{7,63}$"


def inbox_key(submission: str, revision: int, name: str) -> str:
    """Where a file of a submission lies in INBOX; revision 1 is the first hand-in, later ones supplements."""
    return f"{submission}/r{revision}/{name}"


def part_of(revision: int) -> str:
    """The name of a hand-in among those of its submission."""
    return f"r{revision}"


def stored_names(component: int, originals: Sequence[str]) -> list[str]:
    """Names without personal data that keep what matters of the scanner's: declared order, order by name, type."""
    places = enumerate(zip(originals, ranks(originals), strict=True), 1)
    return [f"c{component}/{place:04d}-{rank}{suffix_of(name)}" for place, (name, rank) in places]


def suffix_of(name: str) -> str:
    """``.jpg`` of ``Scan 1.JPG``; empty for what is no usual suffix."""
    suffix = PurePosixPath(name).suffix
    return suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", suffix) else ""


def sequence_of(stored: str) -> int:
    """The order by name in a name made by `stored_names` (or in any file name that ends in a number); 0: none."""
    numbers = re.findall(r"\d+", PurePosixPath(stored).stem)
    return int(numbers[-1]) if numbers else 0
