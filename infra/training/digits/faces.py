"""Where the shapes come from: typefaces of the npm registry, fetched by name, and the digits in scikit-learn's wheel.

Each licence is read from the package itself and must be one of `OPEN`. Nothing of it enters the repository: the work
folder holds it, the model card names it.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont

from infra.training.digits.slots import Shapes, writers_of

OPEN = {"OFL-1.1", "Apache-2.0"}
HANDS = [
    "alex-brush",
    "allura",
    "amatic-sc",
    "annie-use-your-telescope",
    "architects-daughter",
    "bad-script",
    "beth-ellen",
    "caveat",
    "caveat-brush",
    "chilanka",
    "coming-soon",
    "corinthia",
    "crafty-girls",
    "damion",
    "dancing-script",
    "dawning-of-a-new-day",
    "dekko",
    "delicious-handrawn",
    "delius",
    "edu-vic-wa-nt-beginner",
    "ephesis",
    "fuzzy-bubbles",
    "gaegu",
    "gamja-flower",
    "give-you-glory",
    "gloria-hallelujah",
    "gochi-hand",
    "great-vibes",
    "handlee",
    "hi-melody",
    "indie-flower",
    "italianno",
    "just-me-again-down-here",
    "kaushan-script",
    "klee-one",
    "kristi",
    "la-belle-aurore",
    "licorice",
    "long-cang",
    "loved-by-the-king",
    "mali",
    "mansalva",
    "marck-script",
    "montecarlo",
    "mr-de-haviland",
    "ms-madi",
    "nanum-brush-script",
    "neucha",
    "nothing-you-could-do",
    "oooh-baby",
    "over-the-rainbow",
    "pangolin",
    "parisienne",
    "patrick-hand",
    "permanent-marker",
    "pinyon-script",
    "playpen-sans",
    "playwrite-es",
    "playwrite-fr-moderne",
    "playwrite-it-moderna",
    "playwrite-pl",
    "playwrite-us-trad",
    "playwrite-vn",
    "poor-story",
    "reenie-beanie",
    "rock-salt",
    "sacramento",
    "satisfy",
    "shadows-into-light",
    "shantell-sans",
    "short-stack",
    "smooch",
    "sriracha",
    "sue-ellen-francisco",
    "swanky-and-moo-moo",
    "tangerine",
    "whisper",
    "yellowtail",
    "yomogi",
    "zen-kurenaido",
    "zeyada",
    "zhi-mang-xing",
]
UNSEEN = [  # hands that training never sees: the reader is measured on them
    "kalam",
    "nanum-pen-script",
    "covered-by-your-grace",
    "cedarville-cursive",
    "the-girl-next-door",
    "homemade-apple",
    "liu-jian-mao-cao",
    "schoolbell",
    "edu-au-vic-wa-nt-hand",
    "mynerve",
    "playwrite-hr",
    "sedgwick-ave",
    "waiting-for-the-sunrise",
]
PRINTS = [
    "tinos",
    "arimo",
    "cousine",
    "roboto",
    "noto-serif",
    "noto-sans",
    "eb-garamond",
    "carlito",
    "courier-prime",
    "merriweather",
    "lora",
    "special-elite",
    "source-serif-4",
    "pt-serif",
    "open-sans",
    "libre-caslon-text",
    "crimson-text",
    "old-standard-tt",
]
WRITERS = "scikit-learn"  # its wheel carries 1,797 digits of the UCI repository's optdigits, CC BY 4.0
_STYLES = {"hands": ("400-normal", "300-normal"), "prints": ("400-normal", "400-italic", "700-normal")}


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    licence: str


def fetch(work: Path) -> list[Package]:
    """Everything that isn't in the work folder yet. Raises ValueError on a licence that isn't known to be open."""
    found = [
        _typeface(name, work, kind)
        for kind, names in (("hands", HANDS), ("unseen", UNSEEN), ("prints", PRINTS))
        for name in names
    ]
    table = work / "digits.csv.gz"
    if not table.exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), WRITERS]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(work.glob("scikit_learn-*.whl"))) as wheel:
            table.write_bytes(wheel.read("sklearn/datasets/data/digits.csv.gz"))
    (work / "packages.json").write_text(json.dumps([p.__dict__ for p in found], indent=1), "utf-8")
    return found


def _typeface(name: str, work: Path, kind: str) -> Package:
    folder = work / kind
    folder.mkdir(parents=True, exist_ok=True)
    package, archive = package_of(name, work)
    with tarfile.open(archive) as files:
        for style in _STYLES["prints" if kind == "prints" else "hands"]:
            target = folder / f"{name}-latin-{style}.ttf"
            font = None if target.exists() else face(files, name, "latin", style)
            if font and all(ord(digit) in font.getBestCmap() for digit in "0123456789"):
                font.save(target)
    return package


def package_of(name: str, work: Path) -> tuple[Package, Path]:
    """A typeface's package, fetched if it isn't there. Raises ValueError on a licence that isn't known to be open."""
    archives = sorted(work.glob(f"fontsource-{name}-[0-9]*.tgz"))
    if not archives:
        subprocess.run(["npm", "pack", "-s", f"@fontsource/{name}"], cwd=work, check=True, stdout=subprocess.DEVNULL)
        archives = sorted(work.glob(f"fontsource-{name}-[0-9]*.tgz"))
    with tarfile.open(archives[-1]) as archive:
        about = json.loads(_member(archive, "package/package.json"))
    if about.get("license") not in OPEN:
        raise ValueError(f"{name}: licence {about.get('license')}")
    return Package(f"@fontsource/{name}", about["version"], about["license"]), archives[-1]


def face(archive: tarfile.TarFile, name: str, letters: str, style: str) -> TTFont | None:
    """One face of a package, for a set of letters (latin, vietnamese); None: it has none."""
    file = f"package/files/{name}-{letters}-{style}.woff"
    if file not in archive.getnames():
        return None
    font = TTFont(io.BytesIO(_member(archive, file)))
    font.flavor = None
    return font


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def shapes(work: Path) -> tuple[Shapes, Shapes]:
    """What training draws from, and what only measuring does: other hands, other writers, every fourth print face."""
    seen, unseen = writers_of(work / "digits.csv.gz")
    prints = sorted((work / "prints").glob("*.ttf"))
    apart = [p for p in prints if re.match(r"(crimson-text|pt-serif|carlito)-", p.name)]
    known = [p for p in prints if p not in apart]
    hands, others = (sorted((work / name).glob("*.ttf")) for name in ("hands", "unseen"))
    return Shapes(known, hands, seen), Shapes(apart, others, unseen)
