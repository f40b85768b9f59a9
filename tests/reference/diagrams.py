"""`make diagrams MERMAID=…/mermaid.min.js`: draws each Mermaid diagram of the pages as a picture, and drops old ones.

Mermaid itself is no part of the repository: `npm pack mermaid` gives the file (dist/mermaid.min.js).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.reference.site import DOCS, MERMAID, PICTURES, ROOT, picture_of

LONG = re.compile(r"(-?\d+\.\d)\d+(?=[\s,\"A-Za-z])")  # coordinates to a tenth of a pixel
DRAW = """async text => {
  mermaid.initialize({startOnLoad: false, theme: "neutral", fontFamily: "sans-serif", htmlLabels: false,
    flowchart: {htmlLabels: false, useMaxWidth: false}, sequence: {useMaxWidth: false}});
  return (await mermaid.render("diagram", text)).svg;
}"""


def main(script: Path) -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    wanted = {picture_of(text): text for page in pages for text in MERMAID.findall(page.read_text(encoding="utf-8"))}
    PICTURES.mkdir(exist_ok=True)
    for old in set(PICTURES.glob("*.svg")) - set(wanted):
        old.unlink()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<html><body></body></html>")
        page.add_script_tag(path=str(script))
        for picture, text in wanted.items():
            if not picture.exists():
                svg = page.evaluate(DRAW, text)
                white = svg.replace("<svg ", '<svg style="background: white" ', 1)  # readable on the dark page, too
                picture.write_text(LONG.sub(r"\1", white) + "\n", encoding="utf-8")
            print(picture.relative_to(ROOT))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
