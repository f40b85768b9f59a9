"""A folder that somebody else fills, read without being led elsewhere.

Only regular files inside it are opened, and only through it: no link is followed, not even one that is put in the
place of a folder meanwhile; a pipe or a device is never waited for. What is written into it never goes through a link.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from blocks.errors import Remedy, SohoaError

MOST_FILES, DEEPEST = 20_000, 8


class FolderUnfit(SohoaError):
    """A name in the folder is a link, a pipe, a device, or can't be read; or there are too many of them."""

    code, rule = "FOLDER_UNFIT", "B1"
    message = "Thư mục hồ sơ có {what}; vui lòng chép lại các tệp gốc vào một thư mục mới rồi nộp lại."
    remedy = Remedy.OFFICER


class Folder:
    """One such folder, open. Raises FileNotFoundError, and FolderUnfit when it is itself a link or no folder."""

    def __init__(self, path: Path, *, own: bool = False) -> None:
        """own: the caller's own choice, e.g. typed at the command line; then `path` itself may be a link."""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if own else os.O_NOFOLLOW))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise FolderUnfit(what="liên kết hoặc không mở được") from error

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def files(self) -> Iterator[tuple[PurePosixPath, os.stat_result]]:
        """Regular files in it, in no order. Raises FolderUnfit for too many names or folders too deep."""
        seen = 0
        waiting = [(PurePosixPath(), 0)]
        while waiting:
            place, depth = waiting.pop()
            for name in self._names(place):
                seen += 1
                if seen > MOST_FILES or depth > DEEPEST:
                    raise FolderUnfit(what="quá nhiều tệp")
                found = self._look(place / name)
                if found is None:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    waiting.append((place / name, depth + 1))
                elif stat.S_ISREG(found.st_mode):
                    yield place / name, found

    @contextmanager
    def file(self, name: str | PurePosixPath) -> Iterator[Path | None]:
        """A way to read one file of it, valid inside the context; None: there is none. Raises FolderUnfit."""
        with self._within(PurePosixPath(name)) as (parent, last):
            if parent is None:
                yield None
                return
            try:
                fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                raise FolderUnfit(what="liên kết hoặc tệp không đọc được") from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FolderUnfit(what="tên không phải là tệp thường")
            yield Path(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def read(self, name: str, limit: int) -> bytes | None:
        """At most limit + 1 bytes of a file: more than `limit` means that it is longer. None: there is none."""
        with self.file(name) as path:
            if path is None:
                return None
            with path.open("rb") as stream:
                return stream.read(limit + 1)

    def look(self, name: str) -> os.stat_result | None:
        """What the name is, itself, without following it."""
        return self._look(PurePosixPath(name))

    def write(self, name: str, text: str) -> None:
        """A small file in place of whatever had that name: a link goes, its target stays."""
        half = f".sohoa-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(half, flags, 0o644, dir_fd=self._fd)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(half, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError:
            os.unlink(half, dir_fd=self._fd)
            raise

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def _names(self, place: PurePosixPath) -> list[str]:
        with self._within(place / "x") as (parent, _):
            if parent is None:
                return []
            with os.scandir(parent) as entries:
                return [entry.name for entry in islice(entries, MOST_FILES + 1)]

    def _look(self, name: PurePosixPath) -> os.stat_result | None:
        with self._within(name) as (parent, last):
            if parent is None:
                return None
            try:
                return os.stat(last, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                return None

    @contextmanager
    def _within(self, name: PurePosixPath) -> Iterator[tuple[int | None, str]]:
        """(the folder in which the name stands, opened folder by folder; None: there is none, its last part)."""
        *parts, last = name.parts
        opened: list[int] = []
        try:
            here: int | None = self._fd
            for part in parts:
                try:
                    here = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                except FileNotFoundError:
                    here = None
                    break
                except OSError as error:
                    raise FolderUnfit(what="liên kết hoặc thư mục không mở được") from error
                opened.append(here)
            yield here, last
        finally:
            for fd in opened:
                os.close(fd)
