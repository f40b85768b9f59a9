"""Pages for people: links lead somewhere, what they name exists, each alert and incident has its remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks.monitoring.incidents import AWAY, KINDS
from tests.reference.site import MERMAID, ROOT, picture_of

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")})
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
NAMED = re.compile(r"`((?:tests|tasks|blocks|flows|deployments|infra|docs|requirements)/[\w./*-]*[\w*])/?`")
BARE = re.compile(r"`(test_\w+\.py)`")
HOSTS = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", re.I)


def text_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as the site and forges make them."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", title)).strip().lower().replace(" ", "-") for title in titles}


def sections(page: str) -> dict[str, str]:
    """Text below each heading of the third level."""
    parts = re.split(r"^### (.+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_readme_fits_on_a_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(text_of(page)):
        if ":" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in headings(file)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_files_that_pages_name_exist() -> None:
    missing = []
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # tells what was
            continue
        text = text_of(page)
        missing += [f"{page.name}: {name}" for name in NAMED.findall(text) if not any(ROOT.glob(name))]
        missing += [f"{page.name}: {name}" for name in BARE.findall(text) if not any((ROOT / "tests").rglob(name))]
    assert missing == []


def test_each_alert_has_its_section_in_the_runbook() -> None:
    told = sections("docs/runbook.md")
    rules = yaml.safe_load((ROOT / "infra/monitoring/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert len(rules) > 10
    for rule in rules:
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert all(f"**{part}:**" in told[name] for part in ("Means", "Look", "Do", "Over")), name
    assert {name for name in told if name.startswith("Sohoa")} == {rule["alert"] for rule in rules}


def test_each_kind_of_incident_has_its_section_in_the_runbook() -> None:
    told = sections("docs/runbook.md")
    kinds = {code for code in KINDS if not code.startswith(AWAY)} | {f"{AWAY}…"}
    assert {name for name in told if not name.startswith("Sohoa")} == kinds
    assert all("**Means" in told[name] for name in kinds)
    for code, kind in KINDS.items():
        section = told[f"{AWAY}…" if code.startswith(AWAY) else code]
        closer = {None: "closes itself", "LEAD": "leader closes", "OPERATE": "operations"}[kind.closer]
        assert closer in section, f"{code}: who closes it"


def test_worked_diffs_of_the_recipes_apply() -> None:
    """What CONTRIBUTING shows fits the code of today; shortened ones, without lines' numbers, are left out."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    whole = [diff for diff in re.findall(r"^```diff\n(.*?)^```$", page, re.M | re.S) if diff.startswith("diff --git")]
    assert len(whole) == 2
    for diff in whole:
        check = ["git", "apply", "--check", "-C1"]
        tries = [
            subprocess.run([*check, *way], cwd=ROOT, input=diff, capture_output=True, text=True, check=False)
            for way in ([], ["--reverse"])  # or somebody has just followed the recipe
        ]
        assert 0 in [done.returncode for done in tries], tries[0].stderr


def test_each_diagram_has_its_picture() -> None:
    drawn = [picture_of(text) for page in PAGES for text in MERMAID.findall(page.read_text(encoding="utf-8"))]
    assert len(drawn) >= 3 and [picture for picture in drawn if not picture.is_file()] == []


def test_the_site_is_built_strictly_and_asks_no_other_host(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 25 and (tmp_path / "runbook.html").read_text(encoding="utf-8").count("<h3") > 30
    assert [page.name for page in pages if HOSTS.search(page.read_text(encoding="utf-8"))] == []
