"""How one paper looks: fonts, leaders, paper, scanner. Drawn from the seed, so every document differs."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

ROOT = Path(__file__).resolve().parents[2]
FOLDERS: tuple[Path, ...] = (ROOT / "blocks/fonts", Path("/usr/share/fonts/truetype/croscore"))
STYLES = {(False, False): "Regular", (True, False): "Bold", (False, True): "Italic", (True, True): "BoldItalic"}


@lru_cache(maxsize=64)
def font_path(family: str, bold: bool, italic: bool) -> Path:
    """The file of a face: vendored first; a style or family that isn't there falls back to Tinos."""
    for name in (f"{family}-{STYLES[bold, italic]}", f"Tinos-{STYLES[bold, italic]}", "Tinos-Regular"):
        for folder in FOLDERS:
            for path in sorted(folder.rglob(f"{name}.*")):
                if path.suffix in (".ttf", ".otf"):
                    return path
    raise FileNotFoundError(f"font {family}: expected under blocks/fonts (apt: fonts-croscore)")


@lru_cache(maxsize=512)
def font(family: str, bold: bool, italic: bool, pixels: int) -> ImageFont.FreeTypeFont:
    path = font_path(family, bold, italic)
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True)
class Look:
    dpi: int = 200
    family: str = "Tinos"  # of the form
    fill: str = "Tinos"  # of what was filled in
    fill_bold: bool = False
    hand: bool = False  # filled in by hand: in the colour of a pen, larger, not quite on the line
    leader: str = "after"  # after | under | none: dotted lines of the form
    tint: tuple[int, int, int] = (252, 251, 247)  # colour of the paper
    ink: int = 30  # darkest value the scanner gives
    noise: float = 4.0  # standard deviation of the luminance
    skew: float = 0.4  # degrees
    blur: float = 0.5  # sigma in pixels at 200 dpi
    quality: int = 82  # JPEG
    shade: float = 0.03  # darkening towards one edge
    specks: int = 12
    seed: int = 0

    def but(self, **changes: object) -> Look:
        return replace(self, **changes)  # type: ignore[arg-type]


def make_look(rng: random.Random, dpi: int | None = None) -> Look:
    """A look within what CA05 and CA09 accept: 200–300 dpi, skew up to 1.2 degrees."""
    warm = rng.randrange(0, 14)
    base = rng.randrange(242, 256)
    return Look(
        dpi=dpi or rng.choice([200, 200, 200, 200, 240, 300]),
        family=rng.choices(["Tinos", "Arimo"], [9, 1])[0],
        fill=rng.choices(["Tinos", "Cousine", "Arimo"], [5, 3, 2])[0],
        fill_bold=rng.random() < 0.25,
        leader=rng.choices(["after", "none", "under"], [5, 4, 2])[0],
        tint=(base, base - warm // 4, base - warm),
        ink=rng.randrange(15, 60),
        noise=rng.uniform(1.5, 5.0),
        skew=rng.uniform(-1.0, 1.0) if rng.random() < 0.7 else rng.choice([-1, 1]) * rng.uniform(0.9, 1.2),
        blur=rng.uniform(0.3, 0.75),
        quality=rng.randrange(62, 93),
        shade=rng.uniform(0.0, 0.07),
        specks=rng.randrange(0, 40),
        seed=rng.randrange(2**31),
    )
