"""The files of a dossier's folder by their names, however Unicode is composed in them, and in what order they stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from blocks.errors import Remedy, SohoaError
from blocks.folder import Folder
from tasks.intake.order import sorted_by_name

SCANS = {".pdf", ".jpg", ".jpeg", ".png", ".tif", ".tiff"}


class NamesCollide(SohoaError):
    """Two files whose names look the same: one is composed (NFC), one decomposed (NFD)."""

    code, rule = "NAMES_COLLIDE", "B1"
    message = (
        "Thư mục hồ sơ có hai tệp trùng tên (tên viết bằng hai bảng mã Unicode khác nhau); vui lòng đổi tên hoặc bỏ "
        "một tệp rồi nộp lại."
    )
    remedy = Remedy.OFFICER


def composed(name: str) -> str:
    """NFC: a Mac and the ZIP files that it makes write names in NFD, and nobody can see the difference."""
    return unicodedata.normalize("NFC", name)


def inside(name: str) -> str:
    """The name as it is. Raises ValueError for one that leads out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError("đường dẫn tệp phải nằm trong thư mục hồ sơ")
    return name


class FolderFiles:
    """Raises NamesCollide, FolderUnfit. Names are relative to the folder, in NFC."""

    def __init__(self, folder: Folder) -> None:
        self._there: dict[str, PurePosixPath] = {}
        self._times: dict[str, float] = {}
        for place, found in folder.files():
            name = composed(place.as_posix())
            if name in self._there:
                raise NamesCollide()
            self._there[name], self._times[name] = place, found.st_mtime

    def place_of(self, name: str) -> PurePosixPath:
        """As it is written in the folder; of a file that isn't there, as it was declared."""
        return self._there.get(composed(name), PurePosixPath(name))

    def listed(self, names: Sequence[str]) -> list[str]:
        """Declared names; instead of one that is a folder the scans in it, in the order that their names tell."""
        return [
            name for entry in names for name in ([entry] if entry in self._there else self.within(entry) or [entry])
        ]

    def within(self, place: str) -> list[str]:
        """The scans right in a folder, without what file managers leave there."""
        folder = PurePosixPath(composed(place))
        found = [
            (name, time)
            for name, time in self._times.items()
            if (path := PurePosixPath(name)).parent == folder
            and path.suffix.lower() in SCANS
            and not path.name.startswith(".")
        ]
        return sorted_by_name(found)
