"""What is heavy is loaded only where it runs: by the warm worker, and by the check and the reading themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("great_expectations", "pandas", "paddleocr", "paddle")
# `sohoa doctor` and the desk import their parts only when they start: here all of them at once.
LOAD = """
import importlib, pkgutil, sys
names = [sys.argv[1]]
package = importlib.import_module(names[0])
for found in pkgutil.walk_packages(getattr(package, "__path__", []), names[0] + "."):
    if not found.name.endswith("__main__"):
        names.append(importlib.import_module(found.name).__name__)
print(len(names), *(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize("name", ["deployments", "tasks.pauses", "tasks.capture", "flows"])
def test_importing_loads_neither_great_expectations_nor_paddle(name: str) -> None:
    ran = subprocess.run([sys.executable, "-c", LOAD, name, *HEAVY], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    count, *loaded = ran.stdout.split()
    assert int(count) > 5 and loaded == []
