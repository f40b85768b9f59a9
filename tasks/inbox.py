"""Thư mục hộp nhận: folders that scanners or other programs put down become submissions (Điều 13.1).

Each lies in the part of the inbox that belongs to the officer who captured (tasks/inbox_owners.py).
A folder is ready when its dossier.yaml is there and nothing in it has changed for some seconds. Listing is the
truth; a folder taken is remembered by its content, so that listing it again adds nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

from blocks.errors import SohoaError
from blocks.objects import ObjectStore
from blocks.orchestrator import Orchestrator
from blocks.records import RecordsDatabase
from blocks.settings import settings
from tasks.inbox_owners import origin_of
from tasks.shell import step
from tasks.submission import MANIFEST, hand_in

SETTLED_SECONDS = 5.0
TAKEN = ".sohoa-submission"  # left in the folder: the submission's id
REFUSED = "KHONG_TIEP_NHAN.txt"  # left in the folder: code and sentence for the officer


def ready_folders(inbox: Path, *, now: float | None = None) -> list[Path]:
    """Folders to take, oldest first: with a manifest, settled, neither taken nor refused as they stand."""
    moment = time.time() if now is None else now
    found = []
    # One level for officers' and scanners' folders; what lies beside them is found too, to be told so.
    for folder in (*inbox.glob("*"), *inbox.glob("*/*")) if inbox.is_dir() else ():
        manifest = folder / MANIFEST
        if not manifest.is_file() or (folder / TAKEN).exists():
            continue
        changed = max(p.stat().st_mtime for p in folder.rglob("*") if p.name != REFUSED)
        refused = folder / REFUSED
        if refused.exists() and refused.stat().st_mtime >= changed:
            continue
        if moment - changed >= SETTLED_SECONDS:
            found.append((changed, folder))
    return [folder for _, folder in sorted(found)]


def take_folder(
    records: RecordsDatabase, objects: ObjectStore, prefect: Orchestrator, inbox: Path, folder: Path
) -> str | None:
    """Hand in one folder and start its flow run; None when the declaration is refused (the reason is left there)."""
    try:
        submission = hand_in(records, objects, folder, origin_of(inbox, folder))
    except SohoaError as error:
        if error.remedy.value == "RETRY":
            raise
        (folder / REFUSED).write_text(f"{error.code}: {error.text}\n", encoding="utf-8")
        return None
    prefect.start(submission, tags=["inbox"])
    (folder / TAKEN).write_text(submission + "\n")
    (folder / REFUSED).unlink(missing_ok=True)
    return submission


@step("Quét hộp nhận hồ sơ", rule="B1", kept=False)
def take_ready_folders() -> int:
    """Every ready folder of the inbox becomes a flow run. Returns how many were handed in."""
    blocks, inbox = (RecordsDatabase.get(), ObjectStore.get(), Orchestrator()), settings().inbox_dir
    return sum(take_folder(*blocks, inbox, folder) is not None for folder in ready_folders(inbox))
