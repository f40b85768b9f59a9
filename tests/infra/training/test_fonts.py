from pathlib import Path

from fontTools.ttLib import TTFont

from infra.training.fonts import Face, find_faces, missing_letters
from tests.infra.training.conftest import FONTS

TINOS = FONTS / "Tinos-Regular.ttf"


def test_tinos_has_every_letter(faces: list[Face]) -> None:
    assert missing_letters(str(TINOS)) == []
    assert {"Tinos-Regular", "Tinos-Bold", "Tinos-Italic", "Tinos-BoldItalic"} <= {f.name for f in faces}


def _changed(target: Path, letter: str, like: str | None) -> str:
    """Tinos with a letter taken away, or drawn like another one."""
    font = TTFont(TINOS)
    for table in font["cmap"].tables:
        if table.isUnicode() and ord(letter) in table.cmap:
            if like is None:
                del table.cmap[ord(letter)]
            else:
                table.cmap[ord(letter)] = table.cmap[ord(like)]
    font.save(target)
    return str(target)


def test_a_font_without_a_letter_is_refused(tmp_path: Path) -> None:
    path = _changed(tmp_path / "Tinos-Lacking.ttf", "ẵ", None)
    assert missing_letters(path) == ["ẵ"]
    assert find_faces(tmp_path) == []


def test_a_font_that_draws_two_letters_alike_is_refused(tmp_path: Path) -> None:
    assert missing_letters(_changed(tmp_path / "Tinos-Alike.ttf", "ế", "ê"))


def test_a_damaged_font_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "Tinos-Damaged.ttf"
    damaged.write_bytes(b"\x00\x01\x00\x00 no font")
    assert missing_letters(str(damaged))
