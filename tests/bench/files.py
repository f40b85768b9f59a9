"""`make bench-files`: the kinds of files of `tests/cases`, what is expected of each and what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.cases import Case, Otherwise, all_cases


def play(case: Case) -> tuple[bool, str]:
    """Whether the case came out as expected, and what became of the file."""
    with TemporaryDirectory(prefix="sohoa-case-") as folder:
        try:
            return True, case.play(Path(folder))
        except Otherwise as otherwise:
            return False, str(otherwise)
        except Exception as error:  # a file that breaks the program is one line of the table, not its end
            return False, f"{type(error).__name__}: {error}"


def main() -> int:
    """Prints one table a kind; 1 when any case came out otherwise."""
    console = Console(width=160)
    wrong = total = 0
    for kind, cases in all_cases().items():
        table = Table("file", "expected", "became", "", title=kind, show_lines=False)
        for case in cases:
            right, became = play(case)
            total, wrong = total + 1, wrong + (not right)
            table.add_row(case.name, case.expected, became, "right" if right else "[red]WRONG")
        console.print(table)
    console.print(f"{total - wrong} of {total} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
