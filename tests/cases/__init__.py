"""Kinds of files that offices really hand in, gathered from public bug reports of scanners, archives and signers.

Each case makes its input itself (drawn papers, invented people) and plays it through the product's own code. The same
cases are the tests (`tests/cases/test_cases.py`) and the table of `make bench-files`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class Otherwise(AssertionError):
    """The product did something else than the case expects. Its text says what it did."""


@dataclass(frozen=True)
class Case:
    """name: what the file is. expected: what a user of an archive expects, in one sentence.

    play: makes the input in an empty folder, hands it to the product and returns what became of it in a few words;
    raises Otherwise when that isn't what is expected.
    """

    name: str
    expected: str
    play: Callable[[Path], str]


def all_cases() -> dict[str, list[Case]]:
    """The `CASES` of each module beside this one that has them, by the module's name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("test_"):
            cases = getattr(importlib.import_module(f"{__name__}.{info.name}"), "CASES", None)
            if cases:
                found[info.name] = list(cases)
    return found
