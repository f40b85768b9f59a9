"""Print the table of the attacks that just ran: `python -m tests.attack ROWS --at-least 80`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """0: at least so many attempts, all repelled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--at-least", type=int, default=80)
    asked = parser.parse_args(arguments)
    rows = [json.loads(line) for line in asked.rows.read_text(encoding="utf-8").splitlines()]
    print("| # | Attempt | Answer | Audit trail | Nothing changed |\n|---|---|---|---|---|")
    for number, row in enumerate(rows, 1):
        answer = row["answer"] if row["repelled"] else f"**NOT REPELLED** {row['answer']}"
        cells = [str(number), row["attempt"], answer, row["audit"], row["unchanged"]]
        print("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    repelled = sum(row["repelled"] for row in rows)
    print(f"\n{len(rows)} attempts, {repelled} repelled.")
    return 0 if repelled == len(rows) >= asked.at_least else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
