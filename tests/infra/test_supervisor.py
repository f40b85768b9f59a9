"""What the supervisor tidies up while the stack runs for months."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from infra.local.process import spawn
from infra.local.rotate import rotate
from infra.local.supervisor import sweep


def test_folders_of_killed_steps_go_those_of_living_ones_and_of_others_stay(tmp_path: Path) -> None:
    """WH04: a step that is killed leaves the pages it worked on."""
    for name in ("sohoa-sign-a", "sohoa-renew-b", "sohoa-sign-now", "matplotlib-c"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "page.pdf").write_bytes(b"%PDF-")
    yesterday = time.time() - 25 * 3600
    for name in ("sohoa-sign-a", "sohoa-renew-b", "matplotlib-c"):
        os.utime(tmp_path / name, (yesterday, yesterday))
    assert sweep(tmp_path) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["matplotlib-c", "sohoa-sign-now"]
    assert sweep(tmp_path / "missing") == 0


WRITER = """
import sys, time
for number in range(4000):
    print(f"line {number:05d} " + "x" * 100, flush=True)
    if number % 10 == 0:
        time.sleep(0.001)
"""


def test_a_log_is_bounded_while_its_part_writes(tmp_path: Path) -> None:
    """A real child appends 450 kB; at no time is there more than the limit and what it writes between two looks."""
    process = spawn([sys.executable, "-c", WRITER], log=tmp_path / "part.log", env=os.environ)
    largest = rounds = 0
    while process.poll() is None:
        rounds += rotate(tmp_path, limit=50_000, kept=3)
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
        time.sleep(0.005)
    assert process.returncode == 0 and rounds >= 4
    assert {path.name for path in tmp_path.iterdir()} == {"part.log", "part.log.1", "part.log.2", "part.log.3"}
    assert largest < 5 * 50_000 + 200_000
    lines = "".join(
        (tmp_path / name).read_text() for name in ("part.log.3", "part.log.2", "part.log.1", "part.log")
    ).splitlines()
    numbers = [int(line.split()[1]) for line in lines if line.startswith("line ")]
    assert numbers[-1] == 3999 and numbers == sorted(numbers)  # in order, to the last one
    assert (tmp_path / "part.log.1").stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"x" * 100)
    (tmp_path / "part.log").symlink_to(victim)
    assert rotate(tmp_path, limit=10) == 0 and victim.stat().st_size == 100
