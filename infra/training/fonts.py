"""Fonts of the synthetic lines, each checked letter by letter for Vietnamese.

A face counts only if it has every Vietnamese letter in both cases and every ASCII sign, each leaves ink, and no two
letters look alike (some fonts map ế to the glyph of ê).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from infra.training import charset

CHECK_SIZE = 48  # px of the em
# File name → share of the lines. Serif like Times first: that is what Decree 30 papers are set in.
FAMILIES: tuple[tuple[str, str, float], ...] = (
    ("Tinos", r"^Tinos-", 26),
    ("TeX Gyre Termes", r"^texgyretermes-", 8),
    ("FreeSerif", r"^FreeSerif", 6),
    ("Doulos SIL", r"^DoulosSIL-", 3),
    ("Linux Libertine", r"^LinLibertine_R[BI]*\.|^LinLibertine_R[BI]+", 3),
    ("Noto Serif", r"^NotoSerif-", 3),
    ("Noto Serif condensed", r"^NotoSerif-(Semi)?Condensed", 1.5),
    ("DejaVu Serif", r"^DejaVuSerif-|^DejaVuSerif\.", 2),
    ("DejaVu Serif condensed", r"^DejaVuSerifCondensed", 1.5),
    ("Gentium Plus", r"^GentiumPlus-", 2),
    ("Charis SIL", r"^CharisSIL-", 2),
    ("EB Garamond", r"^EBGaramond12-", 1.5),
    ("Vollkorn", r"^Vollkorn-", 1),
    ("TeX Gyre Pagella", r"^texgyrepagella-", 1.5),
    ("TeX Gyre Bonum", r"^texgyrebonum-", 1),
    ("TeX Gyre Schola", r"^texgyreschola-", 1.5),
    ("Latin Modern Roman", r"^lmroman1[02]-", 1.5),
    ("Arimo", r"^Arimo-", 10),
    ("Carlito", r"^Carlito-", 5),
    ("FreeSans", r"^FreeSans", 2.5),
    ("Noto Sans", r"^NotoSans-", 3),
    ("Noto Sans condensed", r"^NotoSans-(Semi|Extra)?Condensed", 2),
    ("DejaVu Sans", r"^DejaVuSans-|^DejaVuSans\.", 2.5),
    ("DejaVu Sans condensed", r"^DejaVuSansCondensed", 1.5),
    ("Open Sans", r"^OpenSans-", 2),
    ("Roboto", r"^Roboto-", 2),
    ("Roboto condensed", r"^RobotoCondensed-", 2),
    ("Inter", r"^Inter-", 1),
    ("Lato", r"^Lato-", 1.5),
    ("Andika", r"^Andika-", 1),
    ("TeX Gyre Heros", r"^texgyreheros-", 2),
    ("TeX Gyre Heros condensed", r"^texgyreheroscn-", 1.5),
    ("TeX Gyre Adventor", r"^texgyreadventor-", 1),
    ("Liberation Sans", r"^LiberationSans-", 1),
    ("Liberation Serif", r"^LiberationSerif-", 1),
    ("Cousine", r"^Cousine-", 2),
    ("FreeMono", r"^FreeMono", 1.2),
    ("Noto Sans Mono", r"^NotoSansMono-|^NotoMono-", 1),
    ("TeX Gyre Cursor", r"^texgyrecursor-", 1.5),
    ("Latin Modern Mono", r"^lmmono1[02]-", 1),
    ("JetBrains Mono", r"^JetBrainsMono-", 0.5),
)
_STYLES: tuple[tuple[str, float], ...] = (
    (r"(?i)bold.?(italic|oblique)|bolditalic|_RBI", 1.0),
    (r"(?i)(?<!semi)(?<!demi)(?<!extra)bold|_RB", 2.5),
    (r"(?i)italic|oblique|_RI", 2.0),
)
_UNUSUAL = re.compile(
    r"(?i)thin|light|black|heavy|medium|semibold|extrabold|demi|hair|dunhill|math|display|slanted|caps"
)


@dataclass(frozen=True)
class Face:
    family: str
    path: str
    weight: float  # share of the lines among all faces

    @property
    def name(self) -> str:
        return Path(self.path).stem


@lru_cache(maxsize=4096)
def characters_of(path: str) -> frozenset[str]:
    with TTFont(path, lazy=True, fontNumber=0) as font:
        return frozenset(chr(c) for c in font.getBestCmap())


def missing_letters(path: str) -> list[str]:
    """Letters and ASCII signs that the font lacks, leaves without ink or draws like another letter."""
    try:
        has = characters_of(path)
    except Exception:  # fontTools raises many kinds for a damaged file
        return [*charset.LETTERS]
    missing = [c for c in (*charset.LETTERS, *charset.ASCII) if c not in has]
    if missing:
        return missing
    font = ImageFont.truetype(path, CHECK_SIZE)
    seen: dict[bytes, str] = {}
    for letter in dict.fromkeys((*charset.LETTERS, "d", "D")):
        image = Image.new("L", (CHECK_SIZE * 3, CHECK_SIZE * 3))
        ImageDraw.Draw(image).text((CHECK_SIZE, CHECK_SIZE // 2), letter, font=font, fill=255)
        drawn = image.tobytes()
        if not any(drawn) or drawn in seen:
            missing.append(letter)
        seen[drawn] = letter
    return missing


def _style_weight(name: str) -> float:
    for pattern, weight in _STYLES:
        if re.search(pattern, name):
            return weight
    return 5.0


def find_faces(folder: Path) -> list[Face]:
    """Faces of `folder` that pass the check, weighted: families as listed, regular before bold before italic."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf"))
    faces: list[Face] = []
    for family, pattern, share in FAMILIES:
        found = [p for p in files if re.search(pattern, p.name) and not _UNUSUAL.search(p.stem)]
        if "condensed" not in family:
            found = [p for p in found if "ondensed" not in p.stem]
        found = [p for p in found if not missing_letters(str(p))]
        total = sum(_style_weight(p.stem) for p in found)
        faces += [Face(family, str(p), share * _style_weight(p.stem) / total) for p in found]
    return faces


def load_faces(folder: Path, cache: Path) -> list[Face]:
    """As `find_faces`, remembered in a file (the check of all faces takes about a minute)."""
    if not cache.exists():
        faces = find_faces(folder)
        cache.write_text(json.dumps([asdict(f) for f in faces], ensure_ascii=False, indent=1), encoding="utf-8")
    return [Face(**f) for f in json.loads(cache.read_text(encoding="utf-8"))]


SIZES = (34, 40, 47, 55, 64)
"""Drawing sizes, px an em; few, so that the cache of glyphs is hit. Lines are scaled to their resolution afterwards."""


@dataclass(frozen=True)
class Glyph:
    """ink uint8 [h, w]; left and top: where it stands from the pen, top counted from the baseline down; advance px."""

    ink: npt.NDArray[np.uint8]
    left: int
    top: int
    advance: float


@lru_cache(maxsize=1024)
def sized(path: str, size: int) -> ImageFont.FreeTypeFont:
    """The face at `size` px an em. Basic layout: all letters are precomposed (NFC), shaping would cost time only."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=200_000)
def glyph(path: str, size: int, letter: str) -> Glyph:
    """FreeType draws a letter in about 50 µs; a line's worth of them, twice for its neighbours, is most of its cost."""
    font = sized(path, size)
    mask, (left, top) = font.getmask2(letter, mode="L", anchor="ls")
    width, height = mask.size
    ink = (
        np.frombuffer(bytes(mask), np.uint8).reshape(height, width) if width and height else np.zeros((0, 0), np.uint8)
    )
    return Glyph(ink, left, top, font.getlength(letter))
