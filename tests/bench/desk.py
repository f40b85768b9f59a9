"""``make bench-desk``: how soon the review page is ready in Chromium, on the running stack (`make up`).

A dossier of ten images made of three samples waits for its officer; "ready" is when every field stands in the page and
every image in view is drawn. The first row has the images drawn for the first time, the others have them in memory;
last, the same after which the officer has scrolled through all ten.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator, pause_key
from blocks.records import RecordsDatabase
from blocks.settings import load_stack_env
from tests.players.officers import Officers, Sample
from tests.samples.__main__ import generate

PARTS = ("05-", "10-", "15-")  # 2+1, 2 and 2+3 pages
ROUNDS = 7
IN_VIEW = """() => [...document.images].filter(i => i.getBoundingClientRect().top < innerHeight)
    .every(i => i.complete && i.naturalWidth > 0)"""
ALL = "() => [...document.images].every(i => i.complete && i.naturalWidth > 0)"


def merged(folder: Path) -> Path:
    """One dossier of the components of three samples."""
    samples = sorted(generate(folder / "samples", only=PARTS))
    target = folder / "ten-images"
    target.mkdir()
    whole: dict[str, Any] = {}
    for number, sample in enumerate(samples):
        declared = yaml.safe_load((sample / "dossier.yaml").read_text(encoding="utf-8"))
        for component in declared["components"]:
            names = []
            for name in component["files"]:
                copy = f"{number}-{name.replace('/', '-')}"
                shutil.copy(sample / name, target / copy)
                names.append(copy)
            component["files"] = names
        if not whole:
            whole = declared
        else:
            whole["components"] += declared["components"]
            whole["originals"] += declared["originals"]
    (target / "dossier.yaml").write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    (target / "truth.json").write_text("{}")
    return target


def prepare(officers: Officers, folder: Path) -> str:
    """The path of the dossier's page, once it waits for verification."""
    sample = Sample(merged(folder))
    officers.hand_in(sample)
    deadline = time.monotonic() + 300
    while not pause_key(officers.prefect.run(sample.run_id)).startswith("verification-"):
        if time.monotonic() > deadline:
            raise SystemExit(f"the dossier doesn't come to its officer: {officers.prefect.run(sample.run_id)['state']}")
        time.sleep(1)
    dossier = officers.dossier(sample)
    assert dossier is not None
    return f"/ho-so/{dossier.id}"


def load(page: Page, url: str) -> tuple[float, float]:
    """(seconds until ready, until all images are drawn after scrolling)."""
    began = time.monotonic()
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_function(IN_VIEW, polling=20)
    ready = time.monotonic() - began
    page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    page.wait_for_function(ALL, polling=20)
    return ready, time.monotonic() - began


def main() -> int:
    load_stack_env()
    officers = Officers(RecordsDatabase(), ObjectStore(), Orchestrator())
    base, chromium = officers.at_gateway("gq.01").base, shutil.which("chromium")
    if not chromium:
        print("Chromium is missing: apt-get install chromium")
        return 1
    with TemporaryDirectory(prefix="sohoa-bench-") as folder:
        path = prepare(officers, Path(folder))  # before Playwright, whose event loop keeps others from having one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.route(lambda url: not url.startswith("http://127.0.0.1"), lambda route: route.abort())
        page.goto(base + "/viec")
        page.get_by_role("button", name="gq.01", exact=True).click()
        page.wait_for_url("**/viec")
        times = [load(page, base + path) for _ in range(ROUNDS)]
        fields, images = page.locator(".field").count(), page.locator("figure").count()
        browser.close()
    table = Table("Load", "ready (s)", "all images (s)", title=f"Review page: {fields} fields, {images} images")
    table.add_row("first", f"{times[0][0]:.2f}", f"{times[0][1]:.2f}")
    later = list(zip(*times[1:], strict=True))
    table.add_row(f"median of {ROUNDS - 1}", *(f"{statistics.median(column):.2f}" for column in later))
    table.add_row("slowest", *(f"{max(column):.2f}" for column in later))
    table.add_row("goal", "1.50", "")
    Console(width=100).print(table)
    return 0 if max(times[0][0], *later[0]) < 1.5 else 1


if __name__ == "__main__":
    sys.exit(main())
