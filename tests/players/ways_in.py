"""How the players of the demo hand dossiers in: most at the desk in a session, some by inbox folder and by command.

Uses the same forms and folders as people do. Used by the demo and by the journeys.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from blocks.errors import SohoaError
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.orchestrator import ResumeRefused
from blocks.records import RecordsDatabase
from blocks.settings import settings
from deployments.desk.counter import typed_values
from deployments.desk.guard import SESSION
from deployments.desk.uploads import SUFFIXES
from tasks.intake.hand_in import hand_in
from tasks.intake.inbox import REFUSED, TAKEN
from tasks.intake.manifest import MANIFEST, Manifest, parse_manifest
from tasks.intake.origin import by_command

INBOX, COMMAND = ("12-",), ("02-",)  # samples that come so; all others at the desk, if its form can express them
OFFICER = "tnhs.01"


class AtGateway(Protocol):
    """An officer's session."""

    http: httpx.Client


class HandInRefused(SohoaError):
    """The desk or the inbox didn't take the folder; the reason is what it told the officer."""

    code = "HAND_IN_REFUSED"
    message = "Hồ sơ không được nhận: {why}"


def declaration(folder: Path) -> Manifest | None:
    """What the folder declares; None when it is refused anyway."""
    try:
        return parse_manifest((folder / MANIFEST).read_bytes())
    except SohoaError:
        return None


def capturer(folder: Path) -> str:
    """Who scanned: hands it in and signs it."""
    declared = declaration(folder)
    return (declared.captured_by if declared else None) or OFFICER


def way_of(folder: Path) -> str:
    """desk, inbox or command. The desk's form declares no file that isn't there, and takes scans only."""
    if folder.name.startswith(INBOX):
        return "inbox"
    declared = declaration(folder)
    if declared is None or folder.name.startswith(COMMAND):
        return "command"
    names = [folder / name for component in declared.components for name in component.files]
    fits = all(path.is_file() and path.suffix.lower() in SUFFIXES for path in names)
    return "desk" if fits and all(component.files for component in declared.components) else "command"


def by_folder(records: RecordsDatabase, objects: ObjectStore, folder: Path) -> str:
    """As `sohoa submit` does. Returns the submission's id."""
    return hand_in(records, objects, folder, by_command())


def at_desk(client: AtGateway, folder: Path) -> str:
    """The form of a new dossier, with the permission to sign. Returns the submission's id. Raises HandInRefused."""
    declared = declaration(folder)
    assert declared is not None
    form = {name: str(value) for name, value in typed_values(declared).items() if value not in ("", None)}
    form |= {"procedure": declared.procedure, "sign_now": "1"}
    files = {n: [folder / name for name in c.files] for n, c in enumerate(declared.components, 1)}
    answer = _post(client, "/nop", form, {f"scan.{number}": paths for number, paths in files.items()})
    found = [re.search(r"/nop/([0-9a-z-]{8,64})$", str(seen.headers.get("location", ""))) for seen in answer.history]
    if not any(found):
        raise HandInRefused(why=_told(answer))
    return next(match[1] for match in found if match)


def rescan_at_desk(client: AtGateway, dossier_id: DossierId, pause: str, scans: dict[int, list[Path]]) -> None:
    """New scans of components, with the permission to sign, and the decision that they are there.

    Raises ResumeRefused with ABORT when the desk doesn't take it (now).
    """
    page = client.http.get(f"/ho-so/{dossier_id}").text
    seen = re.search(r'name="seen" value="([0-9a-f]*)"', page)  # what the page shows is part of the decision
    form = {"pause": pause, "decision": "DA_QUET_LAI", "sign_now": "1", "seen": seen[1] if seen else ""}
    files = {f"scan.{ordinal}": paths for ordinal, paths in scans.items()}
    answer = _post(client, f"/ho-so/{dossier_id}/quyet-dinh", form, files)
    if not answer.history or answer.status_code >= 400:
        raise ResumeRefused(status="ABORT", why=_told(answer))


def into_inbox(folder: Path, officer: str) -> Path:
    """Put a copy into the officer's part of the inbox. Returns where it lies; what lies there already stays."""
    place = settings().inbox_dir / officer
    place.mkdir(exist_ok=True)
    target = place / folder.name
    if not target.exists():
        # The declaration last: without one nothing is taken.
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(MANIFEST))
        shutil.copy2(folder / MANIFEST, target / MANIFEST)
    return target


def taken(target: Path) -> str | None:
    """The submission that a folder of the inbox became; None: nobody has come yet. Raises HandInRefused."""
    if (target / REFUSED).exists():
        raise HandInRefused(why=(target / REFUSED).read_text(encoding="utf-8").strip())
    return (target / TAKEN).read_text().strip() if (target / TAKEN).exists() else None


def _post(client: AtGateway, path: str, form: dict[str, str], files: dict[str, list[Path]]) -> httpx.Response:
    csrf = client.http.get(SESSION).json()["csrf"]
    with _opened(files) as parts:
        return client.http.post(path, data=form | {"csrf": csrf}, files=parts)


@contextmanager
def _opened(files: dict[str, list[Path]]) -> Iterator[list[tuple[str, tuple[str, Any]]]]:
    with ExitStack() as stack:
        yield [
            (name, (path.name, stack.enter_context(path.open("rb")))) for name, paths in files.items() for path in paths
        ]


def _told(answer: httpx.Response) -> str:
    """The reasons that the page gives."""
    alert = re.search(r'role="alert".*?</section>', answer.text, re.S)
    text = re.sub(r"<[^>]+>", " ", alert[0] if alert else answer.text[:500])
    return f"{answer.status_code} {' '.join(text.split())[:300]}"
