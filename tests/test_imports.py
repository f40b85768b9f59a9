"""What is heavy is loaded only where it runs: by the warm worker, and by the check and the reading themselves."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("great_expectations", "pandas", "paddleocr", "paddle")
# `sohoa doctor` and the desk import their parts only when they start: here all of them at once.
LOAD = """
import importlib, pkgutil, sys
count = 0
for name in sys.argv[1].split(","):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            count += 1
print(count, *(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_importing_loads_neither_great_expectations_nor_paddle() -> None:
    packages = "deployments,tasks.pauses,tasks.capture,flows"
    ran = subprocess.run([sys.executable, "-c", LOAD, packages, *HEAVY], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    count, *loaded = ran.stdout.split()
    assert int(count) > 90 and loaded == []
