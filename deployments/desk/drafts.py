"""Scans of whole dossiers that officers are parting: kept here until they are handed in, for at most some hours.

Nothing of them is handed in yet, so they are in no bucket: files and small pictures lie in a folder of this process and
go with it. Looking at the pages takes seconds to minutes; a thread does it, the request doesn't wait.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from blocks.errors import Remedy, SohoaError
from deployments.desk.limits import UploadsBusy
from tasks.capture.errors import ScanError
from tasks.capture.guard import draw_guarded, looks_guarded
from tasks.intake.batch import interleaved
from tasks.intake.parted import Duplex
from tasks.intake.parting import Leaf, proposed

KEPT_SECONDS = 4 * 3600.0  # since the officer last did something with it
AN_OFFICER = 3  # drafts: the oldest goes
log = logging.getLogger(__name__)


class DraftGone(SohoaError):
    """The scan was handed in, is too old, another officer's, or the gateway has started anew since."""

    code, rule = "DRAFT_GONE", "CA06"
    message = "Bản quét này không còn ở cổng; vui lòng chọn lại tệp ở trang Tiếp nhận hồ sơ."
    remedy = Remedy.OFFICER


@dataclass
class Draft:
    """typed: the form with which it came; leaves: as marked, in their order; fault: why it can't be parted."""

    id: str
    officer: str
    procedure: str
    types: list[str]
    typed: dict[str, Any]
    folder: TemporaryDirectory[str]
    size: int
    names: list[str] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    seen: int = 0
    ready: bool = False
    fault: str = ""
    notice: str = ""
    touched: float = field(default_factory=time.monotonic)

    @property
    def place(self) -> Path:
        return Path(self.folder.name)

    @property
    def files(self) -> list[Path]:
        return [self.place / "files" / name for name in self.names]

    def thumb(self, leaf: Leaf) -> Path:
        return self.place / "thumbs" / str(leaf.file) / f"{leaf.page:04d}.jpg"

    def leaf(self, number: int) -> Leaf:
        """Raises DraftGone."""
        found = next((leaf for leaf in self.leaves if leaf.number == number), None)
        if found is None:
            raise DraftGone()
        return found


class Drafts:
    """room: bytes of all drafts together."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._drafts: dict[str, Draft] = {}
        self._lock, self._drawing = threading.Lock(), threading.Lock()
        self._looking = ThreadPoolExecutor(1, "looks")  # one scan at a time: the sandbox uses a processor

    def begin(
        self,
        officer: str,
        procedure: str,
        types: list[str],
        typed: Mapping[str, Any],
        size: int,
        keep: Callable[[Path], list[str]],
    ) -> Draft:
        """Take a scan and look at its pages meanwhile. keep: writes the files into a folder, returns their names.

        Raises UploadsBusy, and what `keep` raises; then nothing is kept.
        """
        self._sweep(officer)
        with self._lock:
            if size + sum(draft.size for draft in self._drafts.values()) > self.room:
                raise UploadsBusy("SPOOL")
        folder = TemporaryDirectory(prefix="sohoa-parting-")
        made = Draft(secrets.token_hex(16), officer, procedure, types, dict(typed), folder, size)
        try:
            made.names = keep(made.place / "files")
        except BaseException:
            folder.cleanup()
            raise
        with self._lock:
            self._drafts[made.id] = made
        self._looking.submit(self._look, made)
        return made

    def of(self, officer: str, ident: str) -> Draft:
        """This officer's draft. Raises DraftGone."""
        with self._lock:
            found = self._drafts.get(ident)
        if found is None or found.officer != officer:
            raise DraftGone()
        found.touched = time.monotonic()
        return found

    def drop(self, draft: Draft) -> None:
        with self._lock:
            self._drafts.pop(draft.id, None)
        draft.folder.cleanup()

    def picture(self, draft: Draft, number: int, width: int) -> bytes:
        """A page as a JPEG, drawn in the sandbox; width 0: the small one. Raises DraftGone, ScanError."""
        leaf = draft.leaf(number)
        try:
            if not width:
                return draft.thumb(leaf).read_bytes()
            with self._drawing, TemporaryDirectory(prefix="sohoa-look-") as out:
                draw_guarded(draft.files[leaf.file - 1], Path(out), leaf.page, 1, width)
                return next(Path(out).iterdir()).read_bytes()
        except (OSError, StopIteration) as error:
            raise DraftGone() from error

    def _sweep(self, officer: str) -> None:
        """What is too old, and the oldest of an officer who begins one too many."""
        with self._lock:
            old = [one for one in self._drafts.values() if time.monotonic() - one.touched > KEPT_SECONDS]
            own = sorted((one for one in self._drafts.values() if one.officer == officer), key=lambda one: one.touched)
        for draft in [*old, *own[: max(0, len(own) - AN_OFFICER + 1)]]:
            self.drop(draft)

    def _look(self, draft: Draft) -> None:
        try:
            leaves: list[Leaf] = []
            for file, path in enumerate(draft.files, 1):
                thumbs = draft.place / "thumbs" / str(file)
                thumbs.mkdir(parents=True)
                try:
                    for page, look in enumerate(looks_guarded(path, thumbs), 1):
                        leaves.append(Leaf(len(leaves) + 1, file, page, look))
                        draft.seen = len(leaves)
                except ScanError as error:
                    draft.fault = f"Tệp {file}: {error.text}"
                    return
            draft.leaves = proposed(self._in_order(draft, leaves), draft.types)
        except FileNotFoundError:  # dropped meanwhile
            draft.fault = DraftGone.message
        except Exception as error:
            log.error("A scan can't be looked at: %s", type(error).__name__)  # its text may name persons
            draft.fault = "Không xem được bản quét này; vui lòng chọn lại tệp, hoặc nộp từng giấy tờ một."
        finally:
            draft.ready = True

    @staticmethod
    def _in_order(draft: Draft, leaves: list[Leaf]) -> list[Leaf]:
        """Backs between their fronts, where the officer has said that they came after."""
        told = str(draft.typed.get("duplex", ""))
        if told not in set(Duplex):
            return leaves
        if len(leaves) % 2:
            draft.notice = (
                f"Quét hai lượt mặt trước, mặt sau phải có số ảnh chẵn nhưng có {len(leaves)} ảnh; các ảnh giữ thứ tự "
                "như đã quét, vui lòng xếp lại hoặc quét lại đủ hai lượt."
            )
            return leaves
        return interleaved(leaves, Duplex(told))
