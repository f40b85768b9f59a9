"""One scan of a whole dossier becomes the files of its papers (Điều 13.3b: each paper a file; CA06, CA08).

Separator sheets with a code part it, in the order of the declared papers or by the type that a sheet names; without any
sheet the declared numbers of pages do. Sheets belong to no paper. A feeder that scans one side gives the fronts first,
then the backs: `duplex` says in which order, and the pages are put side by side. What came from the scanner is kept
beside the papers, with the place of each page in it: the image of a page has one hash in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from blocks.errors import Remedy, SohoaError
from blocks.folder import Folder
from tasks.capture.errors import FileMissing, ScanError
from tasks.capture.facts import SEPARATOR
from tasks.capture.guard import codes_guarded, pages_guarded
from tasks.intake.folder_files import FolderFiles, inside

PLACE = "batch"  # of the files as they came, beside the papers' c1, c2 …
ALONE = {".jpg", ".jpeg", ".png"}  # one page a file: it stays the file that it is


class Duplex(StrEnum):
    """How a feeder that scans one side gives the backs, after all fronts."""

    BACKS_REVERSED = "BACKS_REVERSED"  # the stack was turned over: last page first
    BACKS_IN_ORDER = "BACKS_IN_ORDER"


class BatchUnfit(SohoaError):
    """The scan of the whole dossier can't be parted into the papers that were declared."""

    code, rule = "BATCH_UNFIT", "CA06"
    message = "Bản quét cả hồ sơ chưa tách được: {why}."
    remedy = Remedy.OFFICER


class Batch(BaseModel):
    """Bản quét cả hồ sơ, as declared."""

    model_config = ConfigDict(extra="forbid")
    files: Annotated[list[Annotated[str, AfterValidator(inside)]], Field(min_length=1, max_length=2000)]
    duplex: Duplex | None = None


class Whole(BaseModel):
    """What was parted, written at hand-in: the files as they came, and where each page went.

    cut: ``component/file/page`` of each image in the order of the papers; component 0: a separator sheet.
    """

    model_config = ConfigDict(extra="forbid")
    files: list[str]
    cut: list[Annotated[str, Field(pattern=r"^\d{1,4}/\d{1,4}/\d{1,4}$")]]


class Paper(Protocol):
    """What is asked of a declared paper. images: as many as it needs, pages with a note twice."""

    @property
    def type(self) -> str: ...

    @property
    def images(self) -> int: ...


@dataclass(frozen=True)
class Seen:
    """One page of the scan: file and page, 1-based; code: the separator's text, "" for a page of a paper."""

    file: int
    page: int
    code: str = ""


@dataclass
class Cutting:
    """What came out. made: component → its files in order; came: names in the folder of what was parted."""

    came: list[str] = field(default_factory=list)
    made: dict[int, list[Path]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)


def part_batch(
    cutting: Cutting, folder: Folder, there: FolderFiles, batch: Batch, papers: Mapping[int, Paper], work: Path
) -> None:
    """Files of the papers without files of their own. papers: by number of the component.

    Raises BatchUnfit, also for a file that can't be opened, with its number and why.
    """
    names = there.listed(batch.files)
    seen = _turned(_seen(folder, there, names, len(cutting.came)), batch.duplex)
    parts = _parted(seen, papers)
    cutting.cut += [f"0/{page.file}/{page.page}" for page in seen if page.code]
    _make(cutting, folder, there, names, parts, work)


def interleave(
    cutting: Cutting, folder: Folder, there: FolderFiles, names: Sequence[str], number: int, duplex: Duplex, work: Path
) -> None:
    """The files of one paper, whose backs came after its fronts. Raises BatchUnfit."""
    seen = _turned(_seen(folder, there, names, len(cutting.came)), duplex)
    _make(cutting, folder, there, names, {number: seen}, work)


def _seen(folder: Folder, there: FolderFiles, names: Sequence[str], before: int) -> list[Seen]:
    pages = []
    for number, name in enumerate(names, before + 1):
        with folder.file(there.place_of(name)) as path:
            try:
                if path is None:
                    raise FileMissing()
                pages += [Seen(number, page, code) for page, code in enumerate(codes_guarded(path), 1)]
            except ScanError as error:
                raise BatchUnfit(why=f"tệp {number}: {error.text.rstrip('.')}") from error
    return pages


def _turned(pages: list[Seen], duplex: Duplex | None) -> list[Seen]:
    """Front, back, front, back …"""
    if duplex is None:
        return pages
    if len(pages) % 2:
        raise BatchUnfit(
            why=f"quét hai lượt mặt trước, mặt sau phải có số ảnh chẵn nhưng có {len(pages)}; "
            "vui lòng quét lại đủ hai lượt"
        )
    half = len(pages) // 2
    backs = pages[half:] if duplex is Duplex.BACKS_IN_ORDER else pages[half:][::-1]
    return [page for pair in zip(pages[:half], backs, strict=True) for page in pair]


def _parted(pages: Sequence[Seen], papers: Mapping[int, Paper]) -> dict[int, list[Seen]]:
    if not any(page.code for page in pages):
        return _by_numbers(pages, papers)
    parts: list[tuple[str, list[Seen]]] = [("", [])]
    for page in pages:
        if page.code:
            parts.append((page.code.removeprefix(SEPARATOR).removeprefix(":"), []))
        else:
            parts[-1][1].append(page)
    parts = [part for part in parts if part[1]]  # a sheet at the end, its back, or two of them
    if len(parts) != len(papers):
        raise BatchUnfit(
            why=f"tờ ngăn chia bản quét thành {len(parts)} phần nhưng tờ khai có {len(papers)} giấy tờ quét chung; "
            "vui lòng đặt một tờ ngăn giữa hai giấy tờ rồi quét lại, hoặc khai lại số giấy tờ"
        )
    left, found = dict(papers), {}
    for position, (kind, images) in sorted(enumerate(parts, 1), key=lambda item: not item[1][0]):  # named types first
        number = next((n for n, paper in left.items() if kind in ("", paper.type)), None)
        if number is None:
            raise BatchUnfit(
                why=f"tờ ngăn trước phần {position} ghi loại giấy tờ không có trong tờ khai; "
                "vui lòng khai thêm giấy tờ này hoặc dùng tờ ngăn chung"
            )
        del left[number]
        found[number] = images
    return found


def _by_numbers(pages: Sequence[Seen], papers: Mapping[int, Paper]) -> dict[int, list[Seen]]:
    wanted = sum(paper.images for paper in papers.values())
    if len(pages) != wanted:
        raise BatchUnfit(
            why=f"không thấy tờ ngăn nào, mà bản quét có {len(pages)} ảnh trong khi tờ khai cần {wanted}; "
            "vui lòng đặt tờ ngăn giữa các giấy tờ rồi quét lại, hoặc khai đúng số trang"
        )
    found, at = {}, 0
    for number, paper in papers.items():
        found[number], at = list(pages[at : at + paper.images]), at + paper.images
    return found


def _make(
    cutting: Cutting, folder: Folder, there: FolderFiles, names: Sequence[str], parts: dict[int, list[Seen]], work: Path
) -> None:
    before = len(cutting.came)
    cutting.came += names
    for number, pages in sorted(parts.items()):
        place = work / f"c{number}"
        place.mkdir()
        cutting.cut += [f"{number}/{page.file}/{page.page}" for page in pages]
        made = cutting.made[number] = []
        for file, numbers in _runs(pages, names, before):
            name = names[file - before - 1]
            target = place / f"{len(made) + 1:04d}{PurePosixPath(name).suffix.lower()}"
            with folder.file(there.place_of(name)) as path:
                if path is None:
                    raise BatchUnfit(why=f"tệp {file}: {FileMissing.message.rstrip('.')}")
                if target.suffix in ALONE:
                    target.write_bytes(path.read_bytes())
                else:
                    pages_guarded(path, numbers, target)
            made.append(target)


def _runs(pages: Sequence[Seen], names: Sequence[str], before: int) -> list[tuple[int, list[int]]]:
    """Pages of one PDF that follow each other make one file; any other page one of its own."""
    runs: list[tuple[int, list[int]]] = []
    for page in pages:
        whole = PurePosixPath(names[page.file - before - 1]).suffix.lower() == ".pdf"
        if whole and runs and runs[-1][0] == page.file:
            runs[-1][1].append(page.page)
        else:
            runs.append((page.file, [page.page]))
    return runs
