"""What the supervisor tidies up while the stack runs for months."""

from __future__ import annotations

import os
import time
from pathlib import Path

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
