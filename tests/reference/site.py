"""Hooks of MkDocs (mkdocs.yml): pages that lie above docs/, links to code, and diagrams without a script.

A diagram is written as Mermaid in its page, where forges draw it. The site would need a script of three megabytes from
another host for that, so it shows a picture that `make diagrams` drew once; its name is the hash of the text, so a
changed diagram without a new picture stops the build.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PICTURES = DOCS / "images/diagrams"
ABOVE = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md")  # on the site below project/
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def picture_of(diagram: str) -> Path:
    """Where the picture of a diagram's text lies."""
    return PICTURES / f"{hashlib.sha256(diagram.encode()).hexdigest()[:12]}.svg"


def on_files(files: Any, *, config: Any) -> Any:
    """The pages above docs/ belong to the site."""
    from mkdocs.structure.files import File

    for name in ABOVE:
        files.append(File.generated(config, f"project/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Diagrams become pictures; links that leave docs/ lead to a page of the site, or name the file."""
    source = Path(page.file.abs_src_path)
    here = (DOCS / page.file.src_uri).parent

    def drawn(match: re.Match[str]) -> str:
        picture = picture_of(match[1])
        if not picture.is_file():
            raise FileNotFoundError(f"a diagram of {page.file.src_uri} has no picture: run `make diagrams`")
        return f"![Diagram]({os.path.relpath(picture, here)})"

    def linked(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if ":" in target:
            return match[0]
        path = (source.parent / target).resolve()
        if path.parent == ROOT and path.name in ABOVE:
            path = DOCS / "project" / path.name
        elif not path.is_relative_to(DOCS):
            name = f"`{path.relative_to(ROOT)}`" if path.is_relative_to(ROOT) else f"`{target}`"
            return name if words.strip("`") == name.strip("`") else f"{words} ({name})"
        elif path.is_dir():
            path = path / "index.md"
        return f"[{words}]({os.path.relpath(path, here)}{anchor})"

    return _LINK.sub(linked, MERMAID.sub(drawn, markdown))
