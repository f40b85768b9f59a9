"""What extraction has to say of a whole paper: kept in the rule of its field `type_code`, told to the officer.

`declared;likely:<type>;several:<pages>`; no schema of its own, because each is said anew with each capture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DECLARED = "declared"


@dataclass(frozen=True)
class Notes:
    """likely: a type that the paper looks clearly more like than the declared one. several: pages (1-based) that seem
    to hold more than one paper."""

    likely: str | None = None
    several: tuple[int, ...] = ()

    @property
    def rule(self) -> str:
        parts = [DECLARED]
        parts += [f"likely:{self.likely}"] if self.likely else []
        parts += [f"several:{','.join(map(str, self.several))}"] if self.several else []
        return ";".join(parts)


def notes_of(rule: str) -> Notes:
    """What `Notes.rule` wrote."""
    likely = re.search(r"(?:^|;)likely:([^;]+)", rule)
    several = re.search(r"(?:^|;)several:([\d,]+)", rule)
    return Notes(likely[1] if likely else None, tuple(map(int, several[1].split(","))) if several else ())
