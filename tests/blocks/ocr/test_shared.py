"""Readers that runs share: the same texts as alone, and no page is lost with one that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = Path(__file__).with_name("pages") / "s_05CT_p1.jpg"

BEGIN = f"""
import os, signal, sys, threading, time
import numpy as np
from PIL import Image
from blocks.ocr import engine as engines, shared
from blocks.ocr.engine import OcrEngine

image = np.asarray(Image.open({str(PAGE)!r}).convert("RGB"))
readers = shared.fork(lambda: None)

def run(look):
    "A flow run: a fork. Its exit status tells whether what it looked at was so."
    if (pid := os.fork()) == 0:
        right = False
        try:
            right = bool(look())
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(pid, 0)[1] == 0

def read():
    text = OcrEngine.get().read(image, 300)
    return text if text.readable else None

def read_by_another():
    "Nothing was loaded here."
    return read() and engines._loaded.cache_info().currsize == 0
"""


def told(script: str) -> None:
    """Run it in a process of its own, without threads as the one that runs are forked from."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_EX01_a_shared_reader_reads_what_the_engine_alone_reads() -> None:
    told("""
assert run(read_by_another)
shared_text = OcrEngine.get().read(image, 300)
shared._channel.close()
shared._channel = None
assert OcrEngine.get().read(image, 300) == shared_text
assert run(lambda: not read_by_another())  # with nobody to ask it has loaded its own
""")


def test_EX01_one_reader_is_enough_and_none_is_needed() -> None:
    """Killed between pages, one after the other; the last run reads by itself."""
    told("""
assert len(readers) == shared.READERS
for pid in readers[1:]:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
assert run(read_by_another)
os.kill(readers[0], signal.SIGKILL)
os.waitpid(readers[0], 0)
assert run(read)
assert run(lambda: not read_by_another())
readers = shared.fork(lambda: None)
assert run(read_by_another)
""")


def test_EX01_a_page_in_the_hands_of_a_reader_that_is_killed_is_read() -> None:
    told("""
for pid in readers[1:]:
    os.kill(pid, signal.SIGKILL)
assert run(read_by_another)  # it has loaded
threading.Timer(0.15, os.kill, (readers[0], signal.SIGKILL)).start()
began = time.monotonic()
texts = [OcrEngine.get().read(image, 300) for _ in range(4)]
assert all(text == texts[0] and text.readable for text in texts)
assert os.waitpid(readers[0], 0)[1] == signal.SIGKILL
""")


def test_readers_end_with_the_last_who_could_ask() -> None:
    told("""
if (pid := os.fork()) == 0:
    time.sleep(1)
    os._exit(0)
shared._channel.close()
assert os.waitpid(readers[0], os.WNOHANG) == (0, 0)  # the run may still ask
os.waitpid(pid, 0)
for reader in readers:
    os.waitpid(reader, 0)
""")


def test_EX01_what_a_reader_cannot_read_is_told_by_the_run_itself() -> None:
    told("""
from blocks.ocr.engine import OcrModelMissing
try:
    OcrEngine(detector="no-such-model").read(image, 300)
except OcrModelMissing:
    pass
else:
    sys.exit("read without a model")
assert run(read_by_another)  # the reader lives
""")
