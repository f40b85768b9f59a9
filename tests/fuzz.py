"""`make fuzz`: damaged real files against what reads files from outside: the intake's guard and the verifier.

Whatever is done to a file, the answer is an acceptance, or a refusal with a code and a sentence: no other error, no
hang, no greed. Seeded: `python -m tests.fuzz --seed 7 --minutes 5` finds the same again; a file that breaks a promise
is kept. The tests run a few rounds of it.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from blocks import sandbox
from blocks.errors import SohoaError
from blocks.trust import Trust
from tasks.capture import guard
from tasks.signing.sandbox import verify_untrusted
from tasks.signing.verify import verify_pdf

SECONDS, MEMORY = 10.0, 500.0  # of the processor, MiB
WORDS = (
    b"obj", b"endobj", b"stream\n", b"endstream", b"xref", b"startxref", b"/Length 999999999", b"/Filter /FlateDecode",
    b"/Kids [1 0 R]", b"/ByteRange [0 0 0 0]", b"<<" * 400, b"[" * 4000, b"%%EOF", b"/Count -1",
    b"\xff\xd8", b"\xff\xc0",
    b"\x00" * 64, b"65535 65535", b"4294967295", b"/W [1 99 1]", b"/Contents <" + b"00" * 64 + b">", b"/Type /Page",
)  # fmt: skip
Bytes = Callable[[random.Random, bytes, bytes], bytes]


def flip(r: random.Random, data: bytes, _: bytes) -> bytes:
    out = bytearray(data)
    for _n in range(r.choice([1, 2, 8, 64, 512])):
        out[r.randrange(len(out))] ^= 1 << r.randrange(8)
    return bytes(out)


def cut(r: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: r.randrange(1, len(data))]


def drop(r: random.Random, data: bytes, _: bytes) -> bytes:
    at = r.randrange(len(data))
    return data[:at] + data[at + r.choice([1, 16, 1024, 65536]) :]


def repeat(r: random.Random, data: bytes, _: bytes) -> bytes:
    at, length = r.randrange(len(data)), r.choice([16, 512, 16384])
    return data[:at] + data[at : at + length] * r.choice([2, 5, 50]) + data[at:]


def plant(r: random.Random, data: bytes, _: bytes) -> bytes:
    at = r.randrange(len(data))
    word = r.choice(WORDS)
    return data[:at] + word + data[at + (len(word) if r.random() < 0.5 else 0) :]


def number(r: random.Random, data: bytes, _: bytes) -> bytes:
    """Another number where one stands: lengths, offsets, sizes, ranges."""
    places = list(re.finditer(rb"\d+", data[:200_000] + data[-20_000:]))
    if not places:
        return flip(r, data, b"")
    old = r.choice(places)[0]
    new = str(r.choice([0, 1, -1, 7, 2**31 - 1, 2**31, 2**63, 10**30, int(old[:15]) + 1])).encode()
    return data.replace(old, new, r.choice([1, 1, 3]))


def splice(r: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: r.randrange(1, len(data))] + other[r.randrange(len(other)) :]


MUTATIONS: tuple[Bytes, ...] = (flip, flip, cut, drop, repeat, plant, plant, number, number, splice)


def mutated(r: random.Random, seeds: list[bytes]) -> bytes:
    data = r.choice(seeds)
    for _ in range(r.choice([1, 1, 1, 2, 4])):
        data = r.choice(MUTATIONS)(r, data, r.choice(seeds)) or b"\x00"
    return data


@dataclass
class Report:
    """answers: code → how often; broken: what promise a file broke."""

    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    greediest: float = 0.0
    broken: list[str] = field(default_factory=list)

    def note(self, answer: str, seconds: float) -> None:
        self.answers[answer] += 1
        self.slowest = max(self.slowest, seconds)


def peak_of(pid: int) -> float:
    """MiB that a process has held at most."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)  # none when the process is just ending
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def watched(report: Report) -> Iterator[None]:
    """Notes what the processes of the sandbox hold, also of one that is killed."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            for keeper in list(sandbox._keepers.values()):
                place = Path(f"/proc/{keeper.process.pid}/task/{keeper.process.pid}/children")
                with suppress(OSError):
                    for pid in place.read_text().split():
                        report.greediest = max(report.greediest, peak_of(int(pid)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def intake(path: Path, report: Report) -> None:
    """One file through the guarded checks of the intake."""
    began = time.monotonic()
    try:
        with watched(report):
            guard.inspect_guarded(path, 300)
        answer = "accepted"
    except SohoaError as error:
        answer = error.code
        if not error.text.strip():
            report.broken.append(f"{error.code} has no sentence")
    except Exception as error:
        answer = "CRASH"
        report.broken.append(f"intake: {type(error).__name__} {error}")
    report.note(f"intake {answer}", time.monotonic() - began)


def verifier(path: Path, report: Report, known: set[str | None]) -> None:
    """One file through `sohoa verify`. known: hashes of the revisions that were really signed."""
    began = time.monotonic()
    try:
        with watched(report):
            verdict = verify_untrusted(path)
        answer = verdict.code
        if verdict.valid and not {item.revision_sha256 for item in verdict.signatures} <= known:
            report.broken.append("what nobody signed is called valid")
        if not verdict.sentence.strip():
            report.broken.append(f"{verdict.code} has no sentence")
    except Exception as error:
        answer = "CRASH"
        report.broken.append(f"verifier: {type(error).__name__} {error}")
    report.note(f"verify {answer}", time.monotonic() - began)


def campaign(
    seeds: list[bytes], folder: Path, seed: int, most: int, minutes: float, read: Callable[[Path, Report], None]
) -> Report:
    """Mutated files one after the other, at most so many and so long; what breaks a promise is kept in the folder."""
    report, end, path = Report(), time.monotonic() + 60 * minutes, folder / "file.pdf"
    for n in range(most):
        if time.monotonic() > end:
            break
        path.write_bytes(mutated(random.Random(f"{seed} {n}"), seeds))
        before = len(report.broken)
        read(path, report)
        if len(report.broken) > before:
            (folder / f"broken-{seed}-{n}").write_bytes(path.read_bytes())
    return report


def fuzz_intake(seeds: list[bytes], folder: Path, seed: int, most: int, minutes: float = 60) -> Report:
    return campaign(seeds, folder, seed, most, minutes, intake)


def fuzz_verifier(signed: list[bytes], folder: Path, seed: int, most: int, minutes: float = 60) -> Report:
    known = {item.revision_sha256 for data in signed for item in verify_pdf(data, Trust()).signatures}
    return campaign(signed, folder, seed, most, minutes, lambda path, report: verifier(path, report, known))


def main() -> None:
    from tests.bench.sign import services
    from tests.tasks.test_fuzz import intake_seeds, signed_files

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "sohoa-fuzz")
    arguments, console = parser.parse_args(), Console()
    arguments.keep.mkdir(exist_ok=True)
    half = arguments.minutes / 2
    with tempfile.TemporaryDirectory(prefix="sohoa-fuzz-") as name, services(Path(name)):
        console.print(f"seed {arguments.seed}")
        reports = [
            fuzz_intake(intake_seeds(), arguments.keep, arguments.seed, 10**9, half),
            fuzz_verifier(signed_files(Path(name)), arguments.keep, arguments.seed, 10**9, half),
        ]
    for report in reports:
        console.print(dict(report.answers.most_common()))
        console.print(f"slowest {report.slowest:.1f} s, most memory {report.greediest:.0f} MiB", *report.broken[:20])
    sys.exit(any(report.broken for report in reports))


if __name__ == "__main__":
    main()
