"""Thư mục hộp nhận: folders that scanners or other programs put down become submissions (Điều 13.1).

Each lies in the part of the inbox that belongs to the officer who captured (tasks/intake/inbox_owners.py).
A folder is ready when its dossier.yaml is there and nothing in it has changed for some seconds. Listing is the
truth; a folder taken is remembered by its content, so that listing it again adds nothing.

Anybody may have filled a folder, with anything: it is read through `blocks.folder`, and what is wrong with one folder
is written into it and never stands in the way of the next.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from blocks.errors import Remedy, SohoaError
from blocks.folder import Folder, FolderUnfit
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from tasks.intake.begin import Ended, begin
from tasks.intake.hand_in import hand_in
from tasks.intake.inbox_owners import FolderNotBound, FolderNotGuarded, origin_of
from tasks.intake.manifest import MANIFEST
from tasks.prefect_task import one_by_one

SETTLED_SECONDS = 5.0
TAKEN = ".sohoa-submission"  # left in the folder: the submission's id
KNOWN = "DA_NOP_TRUOC_DAY.txt"  # left in the folder: what became of a dossier that has ended
REFUSED = "KHONG_TIEP_NHAN.txt"  # left in the folder: code and sentence for the officer
# The machine's own faults, not the folder's: tried again a minute later.
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EROFS}
logger = logging.getLogger(__name__)


class FolderUnreadable(SohoaError):
    """Reading the folder failed in a way that nobody has foreseen."""

    code, rule = "FOLDER_UNREADABLE", "B1"
    message = (
        "Không đọc được thư mục hồ sơ này; vui lòng kiểm tra quyền truy cập, chép lại các tệp gốc vào một thư mục "
        "mới rồi nộp lại, hoặc nộp tại trang Tiếp nhận hồ sơ."
    )
    remedy = Remedy.OFFICER


def ready_folders(inbox: Path, *, now: float | None = None) -> list[Path]:
    """Folders to take, oldest first: with a manifest, settled, neither taken nor refused as they stand.

    One that can't be looked over is among them: it is refused when it is taken.
    """
    moment = time.time() if now is None else now
    found = []
    places = _folders(inbox)
    # One level for officers' and scanners' folders; what lies beside them is found too, to be told so.
    for path in (*places, *(folder for place in places for folder in _folders(place))):
        try:
            with Folder(path) as folder:
                changed = _changed(folder)
        except FileNotFoundError:
            continue
        except Exception:
            changed = 0.0
        if changed is not None and moment - changed >= SETTLED_SECONDS:
            found.append((changed, path))
    return [path for _, path in sorted(found)]


def _folders(inbox: Path) -> list[Path]:
    """Real folders only: what a link in the inbox points to was not put down here."""
    try:
        with os.scandir(inbox) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _changed(folder: Folder) -> float | None:
    """When something in it changed last, by the kernel's own time of change; None: nothing to take."""
    if folder.look(MANIFEST) is None or folder.look(TAKEN) is not None:
        return None
    refused = folder.look(REFUSED)
    try:
        changed = max((at.st_ctime for place, at in folder.files() if str(place) != REFUSED), default=0.0)
    except FolderUnfit:
        changed = 0.0
    return None if refused and stat.S_ISREG(refused.st_mode) and refused.st_ctime >= changed else changed


def take_folder(
    records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator, inbox: Path, path: Path
) -> str | None:
    """Hand in one folder and start its flow run, or leave there what became of a dossier that has ended.

    None when it is refused (the reason is left there), or gone.

    Raises what is not the folder's fault: SohoaError with the remedy RETRY or ADMINISTRATOR, OSError of the machine.
    """
    try:
        submission = hand_in(records, objects, path, origin_of(inbox, path))
        begun = begin(records, prefect, submission, tags=["inbox"])
    except FileNotFoundError:
        return None  # somebody takes it away just now
    except (FolderNotBound, FolderNotGuarded) as error:
        refuse(path, error)
        return None
    except SohoaError as error:
        if error.remedy in (Remedy.RETRY, Remedy.ADMINISTRATOR):
            raise
        refuse(path, error)
        return None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in MACHINE:
            raise
        logger.warning("A folder of the inbox can't be read: %s", type(error).__name__)  # its text may name persons
        refuse(path, FolderUnreadable())
        return None
    with Folder(path) as folder:
        if isinstance(begun, Ended):
            folder.write(KNOWN, begun.text + "\n")
        folder.write(TAKEN, submission + "\n")
        folder.remove(REFUSED)
    return submission


def refuse(path: Path, error: SohoaError) -> None:
    """Leave code and sentence in the folder."""
    with suppress(FileNotFoundError), Folder(path) as folder:
        folder.write(REFUSED, f"{error.code}: {error.text}\n")


def take_ready_folders(records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator, inbox: Path) -> int:
    """Every ready folder of the inbox becomes a flow run. Returns how many were handed in.

    Raises RowsFailed after the last when some could not be taken for a fault of ours; they are tried again.
    """
    taken = one_by_one(ready_folders(inbox), lambda path: take_folder(records, objects, prefect, inbox, path))
    return sum(submission is not None for submission in taken)
