"""`make bench-pipeline`: what the machinery round a dossier costs, beside its reading and beside OCRmyPDF.

The demo's dossiers go through all their pauses on a stack of their own; seconds are processor seconds as the kernel
accounts for them (`tests.bench.cpu`), so other work on the machine matters little. In the same run the same pages are
read by the engine alone, and made into searchable PDF/A by OCRmyPDF with Tesseract `vie` (deskewed). With --against the
same dossiers are played once more by the code of that commit. Last, on the idle stack, what a person waits for.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}

import cv2
import img2pdf
import numpy as np
import pymupdf
import yaml
from rich.console import Console
from rich.table import Table
from sqlmodel import select

from blocks.objects import ObjectStore
from blocks.ocr.engine import OcrEngine
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.records.tables import Waiting
from blocks.settings import load_stack_env, settings
from infra.local.process import free_port
from infra.local.stack_status import read_status
from tests.bench.cpu import by_part, difference
from tests.faults.stack import free_base, until
from tests.players.officers import RESOLVING, Officers, Sample
from tests.samples.__main__ import generate

ROOT = Path(__file__).resolve().parents[2]
GOALS = {"OCRmyPDF + Tesseract": 0.75, "against": 0.25, "resume": 1.0}
IDLE_SECONDS = 60
RESUMES = 3  # of each of the two pauses
console = Console(width=120)


@dataclass(frozen=True)
class Paper:
    """One component of a dossier as it was scanned."""

    files: tuple[Path, ...]
    dpi: int

    def as_pdf(self, folder: Path) -> Path:
        """One PDF of its images; a PDF as it is."""
        if self.files[0].suffix == ".pdf":
            return self.files[0]
        target = folder / "paper.pdf"
        layout = img2pdf.get_fixed_dpi_layout_fun((self.dpi, self.dpi))
        target.write_bytes(img2pdf.convert([str(file) for file in self.files], layout_fun=layout))
        return target

    def pages(self) -> Iterator[np.ndarray]:
        """(H, W, 3) RGB."""
        for file in self.files:
            if file.suffix == ".pdf":
                with pymupdf.open(file) as pdf:
                    for page in pdf:
                        pixels = page.get_pixmap(dpi=self.dpi, alpha=False, colorspace=pymupdf.csRGB)
                        yield np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3)
            else:
                image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
                assert image is not None
                yield image[..., ::-1]


@dataclass
class Played:
    """The stack's processor seconds by part, and by the clock."""

    seconds: dict[str, float]
    wall: float
    dossiers: int
    pages: int

    @property
    def whole(self) -> float:
        return sum(self.seconds.values())


def papers(samples: list[Path]) -> list[Paper]:
    """All that is scanned, once."""
    found = []
    for sample in samples:
        declared = yaml.safe_load((sample / "dossier.yaml").read_text(encoding="utf-8"))
        for component in declared["components"]:
            files = tuple(sample / name for name in component["files"])
            if files:
                found.append(Paper(files, int(component.get("dpi") or 300)))
    return found


@contextmanager
def stack(checkout: Path, home: Path) -> Iterator[dict[str, str]]:
    """A fresh stack of that code. Yields its environment."""
    home.mkdir(parents=True)
    env = os.environ | {
        "SOHOA_HOME": str(home),
        "SOHOA_PORT_BASE": str(free_base()),
        "SOHOA_PORT_PREFECT": str(free_port()),
        "PYTHONPATH": str(checkout),
        "PREFECT_LOGGING_LEVEL": "INFO",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "infra.local"]
    try:
        subprocess.run([*command, "up"], cwd=checkout, env=env, check=True, stdout=subprocess.DEVNULL, timeout=600)
        yield env
    finally:
        subprocess.run([*command, "down"], cwd=checkout, env=env, stdout=subprocess.DEVNULL, timeout=300)


def supervisor(env: dict[str, str]) -> int:
    return int(read_status(Path(env["SOHOA_HOME"]) / "run" / "stack.json")["pid"])


def play(checkout: Path, env: dict[str, str], samples: Path) -> Played:
    """The demo: hands in, answers every pause; it fails unless each dossier ends as its truth says."""
    before, began = by_part(supervisor(env)), time.monotonic()
    command = [sys.executable, "-m", "tests.players.demo", str(samples), "--set", "all"]
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=3600)
    wall, spent = time.monotonic() - began, difference(by_part(supervisor(env)), before)
    if done.returncode:
        raise SystemExit(f"the dossiers didn't end as they should:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    folders = [folder for folder in samples.iterdir() if folder.is_dir()]
    return Played(spent, wall, len(folders), 0)


def reading(scans: list[Paper]) -> tuple[float, int]:
    """(seconds, pages) of the engine alone, its models loaded before."""
    engine = OcrEngine.get()
    seconds, count = 0.0, 0
    for paper in scans:
        try:
            for page in paper.pages():
                if not count:
                    engine.read(page, paper.dpi)
                began = time.process_time()
                engine.read(page, paper.dpi)
                seconds, count = seconds + time.process_time() - began, count + 1
        except (ValueError, RuntimeError):  # a file with a password, which the desk sends back
            continue
    return seconds, count


def peer(scans: list[Paper], folder: Path) -> tuple[float, int]:
    """(seconds, pages) of OCRmyPDF over all papers that it takes."""
    seconds, count = 0.0, 0
    for paper in scans:
        try:
            source = paper.as_pdf(folder)
            with pymupdf.open(source) as pdf:
                if pdf.needs_pass:
                    continue
                pages = len(pdf)
        except (ValueError, RuntimeError):
            continue
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        options = ["-l", "vie", "--deskew", "--output-type", "pdfa", "--jobs", "1", "--force-ocr", "-q"]
        done = subprocess.run(["ocrmypdf", *options, str(source), str(folder / "out.pdf")], capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode == 0:
            seconds += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            count += pages
    return seconds, count


def waits_at(officers: Officers, sample: Sample, stage: str, after: str = "") -> str:
    """The key of the pause of this kind at which the dossier waits now; empty: not yet."""
    dossier = officers.dossier(sample)
    if dossier is None:
        return ""
    with officers.records.session() as session:
        row = session.exec(select(Waiting.stage).where(Waiting.dossier_id == dossier.id)).first() or ""
    return row if row.startswith(stage) and row != after else ""


def patience(env: dict[str, str], folder: Path) -> list[tuple[str, float]]:
    """On the idle stack: (what, seconds): hand-in to first pause, a resume by the clock and in processor seconds."""
    os.environ["SOHOA_HOME"] = env["SOHOA_HOME"]
    load_stack_env()
    settings.cache_clear()
    officers = Officers(RecordsDatabase(), ObjectStore(), Orchestrator())
    pid = supervisor(env)
    (made,) = generate(folder, seed=77, only=("05-",))
    sample = Sample(made)
    officers.at_gateway(RESOLVING)
    before = by_part(pid)
    time.sleep(IDLE_SECONDS)
    idle = sum(difference(by_part(pid), before).values()) / IDLE_SECONDS
    began = time.monotonic()
    officers.hand_in(sample, "desk")
    until(lambda: waits_at(officers, sample, "verification"), 120)
    first = time.monotonic() - began
    # An opinion is asked for and given: two resumes that do nothing but go on.
    before, began, clicks, key = by_part(pid), time.monotonic(), 0.0, waits_at(officers, sample, "verification")
    given = {"decision": "DA_CO_Y_KIEN", "reason": "Công văn 12/BHXH ngày 01/12/2026: đồng ý."}
    for _ in range(RESUMES):
        asked = officers._verification(sample) | {"decision": "XIN_Y_KIEN", "reason": "Xin ý kiến."}
        for form, following in ((asked, "consult"), (given, "verification")):
            clicked = time.monotonic()
            officers.at_gateway(RESOLVING).resume(sample.run_id, form)
            while not (there := waits_at(officers, sample, following, key)):
                time.sleep(0.05)
            clicks, key = clicks + time.monotonic() - clicked, there
            time.sleep(2)  # the process leaves
    spent = sum(difference(by_part(pid), before).values()) - idle * (time.monotonic() - began)
    return [
        ("hand-in to first pause, 3 pages, by the clock", first),
        ("click to the next pause, by the clock", clicks / (2 * RESUMES)),
        ("a resume, all parts", spent / (2 * RESUMES)),
        ("stack with nothing to do, share of a core (%)", 100 * idle),
    ]


def parts_table(ours: Played, base: Played | None, commit: str) -> Table:
    out = Table(title=f"{ours.dossiers} dossiers, {ours.pages} pages: processor seconds")
    for column in ("part", "a dossier", "a page", *([f"a page at {commit[:7]}", "ratio"] if base else [])):
        out.add_column(column, justify="left" if column == "part" else "right")
    for part in sorted(ours.seconds, key=lambda name: -ours.seconds[name]):
        row = [part, f"{ours.seconds[part] / ours.dossiers:.2f}", f"{ours.seconds[part] / ours.pages:.2f}"]
        if base:
            theirs = base.seconds.get(part, 0.0)
            row += [f"{theirs / ours.pages:.2f}", f"{ours.seconds[part] / theirs:.2f}" if theirs else ""]
        out.add_row(*row)
    row = ["all", f"{ours.whole / ours.dossiers:.2f}", f"{ours.whole / ours.pages:.2f}"]
    if base:
        row += [f"{base.whole / ours.pages:.2f}", f"{ours.whole / base.whole:.2f}"]
    out.add_row(*row, style="bold")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="", help="a commit whose code plays the same dossiers, too")
    parser.add_argument("--only", nargs="*", default=[""], help="samples whose names begin so")
    parser.add_argument("--no-peer", action="store_true", help="without OCRmyPDF")
    arguments = parser.parse_args()
    base: Played | None = None
    with tempfile.TemporaryDirectory(prefix="sohoa-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        samples = generate(folder / "samples", group="demo", only=tuple(arguments.only))
        scans = papers(samples)
        read_seconds, pages = reading(scans)
        console.print(f"reading alone: {read_seconds / pages:.2f} s a page, {pages} pages")
        peer_seconds, peer_pages = (0.0, 0) if arguments.no_peer else peer(scans, folder)
        if arguments.against:
            checkout = folder / "checkout"
            subprocess.run(["git", "worktree", "add", "-f", str(checkout), arguments.against], cwd=ROOT, check=True)
            try:
                with stack(checkout, folder / "before") as env:
                    base = play(checkout, env, folder / "samples")
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], cwd=ROOT, check=True)
        with stack(ROOT, folder / "now") as env:
            ours = play(ROOT, env, folder / "samples")
            ours.pages = pages
            console.print(parts_table(ours, base, arguments.against))
            told = patience(env, folder / "more")
    a_page, alone = ours.whole / pages, read_seconds / pages
    resume = dict(told)["a resume, all parts"]
    out = Table("figure", "value", "ratio", "goal")
    out.add_row("reading alone, a page", f"{alone:.2f} s", f"{a_page / alone:.1f} × for the whole chain", "")
    if peer_pages:
        ratio = a_page / (peer_seconds / peer_pages)
        goal = GOALS["OCRmyPDF + Tesseract"]
        out.add_row(f"OCRmyPDF, a page ({peer_pages})", f"{peer_seconds / peer_pages:.2f} s", f"{ratio:.2f}", f"{goal}")
    if base:
        clock = f"{ours.wall:.0f} s, before {base.wall:.0f} s"
        out.add_row("play of all dossiers, by the clock", clock, f"{ours.wall / base.wall:.2f}", "")
        out.add_row("processor seconds", "", f"{ours.whole / base.whole:.2f}", f"{GOALS['against']}")
    for what, value in told:
        ratio_text = f"{resume / alone:.2f} of a page" if what.startswith("a resume") else ""
        out.add_row(what, f"{value:.2f}", ratio_text, f"{GOALS['resume']}" if ratio_text else "")
    console.print(out)
    return 0


if __name__ == "__main__":
    if shutil.which("ocrmypdf") is None and "--no-peer" not in sys.argv:
        raise SystemExit("OCRmyPDF is missing: apt-get install ocrmypdf tesseract-ocr-vie")
    sys.exit(main())
