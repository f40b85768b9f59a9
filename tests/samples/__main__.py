"""`python -m tests.samples OUT [--seed 2026] [--set demo|defects|all] [--bench PATH]`"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.samples.bench import write_bench
from tests.samples.defects import defective
from tests.samples.dossiers import good
from tests.samples.writer import write_dossier


def generate(
    out: Path, seed: int = 2026, group: str = "all", bench: Path | None = None, only: tuple[str, ...] = ("",)
) -> list[Path]:
    """Write the sample dossiers of a set whose names begin with one of `only`; returns their folders."""
    out.mkdir(parents=True, exist_ok=True)
    folders = []
    if group in ("demo", "all"):
        folders += [write_dossier(out, dossier) for dossier in good(seed) if dossier.name.startswith(only)]
        if bench is not None:
            folders.append(write_bench(out, bench))
    folders += [
        write(out)
        for write_group, name, write in defective(seed)
        if group in (write_group, "all") and name.startswith(only)
    ]
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.samples", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--set", dest="group", choices=["demo", "defects", "all"], default="all")
    parser.add_argument("--bench", type=Path, help="folder of genuine scans (ocr-bench): adds one dossier made of them")
    args = parser.parse_args()
    folders = generate(args.out, args.seed, args.group, args.bench)
    print(f"{len(folders)} dossiers in {args.out}")


if __name__ == "__main__":
    main()
