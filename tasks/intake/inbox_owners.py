"""Whose scans an inbox folder brings: each is bound to one officer beforehand, never by what lies in it (Điều 8.1).

``inbox/<name>/<dossier>/dossier.yaml``: <name> is an officer's id, or a scanner's name that ``inbox.yml`` of the state
folder gives to an officer (``may-quet-1: tnhs.01``). Who else could write there decides whether it is believed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from blocks.catalog.staff import Role, Staff, load_staff
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.foreign import read_yaml
from blocks.records.sources import SourceKind
from blocks.settings import home
from blocks.settings.sections import StaffSettings
from tasks.intake.origin import Origin


class FolderNotBound(SohoaError):
    """The folder lies in no officer's part of the inbox."""

    code, rule = "INBOX_NOT_BOUND", "CA01"
    message = (
        "Thư mục không nằm trong phần hộp nhận của viên chức nào; vui lòng đặt hồ sơ vào thư mục mang mã viên chức "
        "sao chụp (inbox/<mã viên chức>/…), hoặc báo quản trị viên khai báo máy quét trong inbox.yml."
    )
    remedy = Remedy.OFFICER


class FolderNotGuarded(SohoaError):
    """Others than the officer's scanner could have put the folder there."""

    code, rule = "INBOX_NOT_GUARDED", "CA01"
    message = (
        "Người khác cũng ghi được vào thư mục hộp nhận này nên không xác định được ai đã nộp; "
        "vui lòng báo quản trị viên đặt lại chủ sở hữu và quyền ghi của thư mục."
    )


def owners_file() -> Path:
    """Names of scanners' folders and the officers that they are bound to."""
    return StaffSettings().inbox_file or home() / "inbox.yml"


def origin_of(inbox: Path, folder: Path, staff: Staff | None = None) -> Origin:
    """Who answers for a folder of the inbox. Raises FolderNotBound, FolderNotGuarded."""
    place = folder.parent
    if place.parent != inbox or place.is_symlink() or folder.is_symlink():
        raise FolderNotBound()
    officer = _scanners().get(place.name, place.name)
    if officer not in (staff or load_staff()).holders(Role.RECEIVE, vietnam_day()):
        raise FolderNotBound()
    _require_guarded(inbox, place, folder)
    return Origin(SourceKind.INBOX, place.name, officer)


def _scanners() -> dict[str, str]:
    path = owners_file()
    if not path.exists():
        return {}
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise FolderNotGuarded()
        return {str(name): str(officer) for name, officer in dict(read_yaml(path.read_bytes()) or {}).items()}
    except (OSError, ValueError, TypeError) as error:
        raise FolderNotBound() from error


def _require_guarded(inbox: Path, place: Path, folder: Path) -> None:
    """Nobody else makes folders there, and this one is of the same owner, or of the group that may.

    What the administrator (root) or the stack itself has put there is theirs to answer for.
    """
    if any(path.stat().st_mode & stat.S_IWOTH for path in (inbox, place, folder)):
        raise FolderNotGuarded()
    of, here = place.stat(), folder.stat()
    by_group = of.st_mode & stat.S_IWGRP and here.st_gid == of.st_gid
    if here.st_uid not in {of.st_uid, 0, os.geteuid()} and not by_group:
        raise FolderNotGuarded()
