"""Where the text and the fonts come from: Debian packages, fetched by name, and the law on disk.

Only `apt-get download` is used (signed by Debian); nothing is installed. The packages are unpacked below the work
folder and never enter the repository.
"""

from __future__ import annotations

import gettext
import html
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.training import charset

FONT_PACKAGES = (
    "fonts-croscore",
    "fonts-crosextra-carlito",
    "fonts-freefont-ttf",
    "fonts-dejavu-core",
    "fonts-dejavu-extra",
    "fonts-noto-core",
    "fonts-noto-extra",
    "fonts-noto-mono",
    "fonts-linuxlibertine",
    "fonts-sil-gentiumplus",
    "fonts-sil-charis",
    "fonts-ebgaramond",
    "fonts-texgyre",
    "fonts-open-sans",
    "fonts-roboto-unhinted",
    "fonts-sil-andika",
    "fonts-inter",
    "fonts-sil-doulos",
    "fonts-lmodern",
    "fonts-jetbrains-mono",
    "fonts-vollkorn",
    "fonts-lato",
    "fonts-liberation2",
)


@dataclass(frozen=True)
class TextSource:
    """A Debian package that text is read from; licence as its copyright file names it for the program."""

    package: str
    licence: str
    note: str


TEXT_SOURCES = (
    TextSource("hunspell-vi", "GPL-2.0-only", "word list of Vietnamese syllables"),
    TextSource("libreoffice-help-vi", "MPL-2.0", "help pages"),
    TextSource("apt", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("aptitude-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("bash", "GPL-3.0-or-later", "translation catalogue"),
    TextSource("coreutils", "GPL-3.0-or-later", "translation catalogue"),
    TextSource("debconf-i18n", "BSD-2-Clause", "translation catalogue"),
    TextSource("dpkg", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("epiphany-browser-data", "GPL-3.0-or-later", "translation catalogue"),
    TextSource("evolution-common", "LGPL-2.0-only or LGPL-3.0-only", "translation catalogue"),
    TextSource("evolution-data-server-common", "LGPL-2.0-or-later", "translation catalogue"),
    TextSource("gedit-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gimp-data", "GPL-3.0-or-later", "translation catalogue"),
    TextSource("glom", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gnome-control-center-data", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gnome-shell-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gnucash-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gnumeric-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("gramps", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("inkscape", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("iso-codes", "LGPL-2.1-or-later", "translation catalogue"),
    TextSource("libglib2.0-data", "LGPL-2.1-or-later", "translation catalogue"),
    TextSource("libgtk-3-common", "LGPL-2.0-or-later", "translation catalogue"),
    TextSource("libgtk-4-common", "LGPL-2.1-or-later", "translation catalogue"),
    TextSource("libreoffice-l10n-vi", "MPL-2.0", "translation catalogue"),
    TextSource("nautilus-data", "GPL-3.0-or-later", "translation catalogue"),
    TextSource("planner-data", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("shared-mime-info", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("totem-common", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("vlc-l10n", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("wesnoth-1.16-data", "GPL-2.0-or-later", "translation catalogue"),
    TextSource("xkb-data", "MIT", "translation catalogue"),
)


def fetch(root: Path) -> None:
    """Download and unpack the packages below `root` (about 1 GB); done once, marked by a file."""
    mark = root / "complete"
    if mark.exists():
        return
    store, tree = root / "deb", root / "root"
    store.mkdir(parents=True, exist_ok=True)
    tree.mkdir(exist_ok=True)
    names = [*FONT_PACKAGES, *(s.package for s in TEXT_SOURCES)]
    for name in names:
        if not list(store.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "-q", "download", name], cwd=store, check=True)
        archive = next(store.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(tree)], check=True)
    mark.touch()


def versions(root: Path) -> dict[str, str]:
    """Package → version of what was fetched, for the model card."""
    return {p.name.split("_")[0]: p.name.split("_")[1] for p in sorted((root / "deb").glob("*.deb"))}


_MARKUP = re.compile(r"<[^>]*>|%[-+# 0-9.*]*(?:\([a-z_]+\))?[a-zA-Z]|[_&~](?=\w)|\\[nt]|\{[^}]*\}|\$\(?\w+\)?")
_SCRIPT = re.compile(r"(?s)<(script|style|head)\b.*?</\1>")
_VIETNAMESE = re.compile(f"[{''.join(c for c in charset.LETTERS if not c.isascii())}]")


def _clean(text: str) -> str:
    """Printable text of the character set, without markup, accelerators and place holders."""
    text = charset.normalise(_MARKUP.sub(" ", html.unescape(text)))
    return " ".join("".join(c if c in charset.INDEX else " " for c in text).split())


def catalogue_lines(root: Path) -> Iterator[str]:
    """Vietnamese messages of the translation catalogues, with at least three words."""
    for path in sorted((root / "root").rglob("vi/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            messages = gettext.GNUTranslations(file)._catalog.values()  # type: ignore[attr-defined]
        for message in messages:
            for line in str(message).splitlines():
                text = _clean(line)
                if text.count(" ") >= 2 and _VIETNAMESE.search(text):
                    yield text


def help_lines(root: Path) -> Iterator[str]:
    """Sentences of LibreOffice's Vietnamese help."""
    for path in sorted((root / "root/usr/share/libreoffice/help/vi/text").rglob("*.html")):
        page = _SCRIPT.sub(" ", path.read_text(encoding="utf-8", errors="ignore"))
        for paragraph in re.split(r"</?(?:p|h\d|td|li|div)\b[^>]*>", page):
            text = _clean(paragraph)
            if text.count(" ") >= 4 and _VIETNAMESE.search(text):
                yield text


def law_lines(folder: Path) -> Iterator[str]:
    """Paragraphs of the laws and decisions kept as text (official documents: no copyright, Điều 15 Luật SHTT)."""
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = _clean(line.replace("**", "").lstrip("# "))
            if len(text) > 8:
                yield text


def syllables(root: Path) -> list[str]:
    """Syllables of Debian's word list."""
    lines = (root / "root/usr/share/hunspell/vi_VN.dic").read_text(encoding="utf-8", errors="ignore").splitlines()[1:]
    words = {charset.normalise(line.split("/")[0].strip()) for line in lines}
    return sorted(w for w in words if w and charset.known(w) and " " not in w)
