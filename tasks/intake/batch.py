"""One scan of a whole dossier becomes the files of its papers (Điều 13.3b: each paper a file; CA06, CA08).

An officer has parted it by hand (`parted`, the desk's page); or separator sheets do, with a code or a patch, in the
order of the declared papers or by the type that a sheet names; without any sheet the declared numbers of pages do.
Sheets belong to no paper; pages that seem blank are told, never left out but by a person. A feeder that scans one side
gives the fronts first, then the backs: `duplex` says in which order, and the pages are put side by side. What came from
the scanner is kept beside the papers, with the place of each page in it: the image of a page has one hash in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from blocks.errors import Remedy, SohoaError
from blocks.folder import Folder
from tasks.capture.errors import FileMissing, ScanError
from tasks.capture.facts import SEPARATOR
from tasks.capture.guard import count_guarded, looks_guarded, pages_guarded
from tasks.intake.folder_files import FolderFiles
from tasks.intake.parted import Batch, Duplex, Parted, PartedBy, Whole

PLACE = "batch"  # of the files as they came, beside the papers' c1, c2 …
P = TypeVar("P")
ALONE = {".jpg", ".jpeg", ".png"}  # one page a file: it stays the file that it is


class BatchUnfit(SohoaError):
    """The scan of the whole dossier can't be parted into the papers that were declared."""

    code, rule = "BATCH_UNFIT", "CA06"
    message = "Bản quét cả hồ sơ chưa tách được: {why}."
    remedy = Remedy.OFFICER


class Paper(Protocol):
    """What is asked of a declared paper. images: as many as it needs, pages with a note twice."""

    @property
    def type(self) -> str: ...

    @property
    def images(self) -> int: ...


@dataclass(frozen=True)
class Seen:
    """One page of the scan: file and page, 1-based; code: the separator's text, "" for a page of a paper.

    turn: degrees clockwise by which a person wants it turned.
    """

    file: int
    page: int
    code: str = ""
    turn: int = 0


@dataclass
class Cutting:
    """What came out. made: component → its files in order; came: names in the folder of what was parted.

    turned: component → wishes, by the place of the file among its files. whole: what becomes of `Whole`.
    """

    came: list[str] = field(default_factory=list)
    made: dict[int, list[Path]] = field(default_factory=dict)
    turned: dict[int, list[str]] = field(default_factory=dict)
    whole: Whole = field(default_factory=lambda: Whole(files=[], cut=[]))


def part_batch(
    cutting: Cutting, folder: Folder, there: FolderFiles, batch: Batch, papers: Mapping[int, Paper], work: Path
) -> None:
    """Files of the papers without files of their own. papers: by number of the component.

    Raises BatchUnfit, also for a file that can't be opened, with its number and why.
    """
    names = there.listed(batch.files)
    if batch.parted is not None:
        parts = _by_person(cutting, folder, there, names, batch.parted, papers)
    else:
        seen = _interleaved(_seen(cutting, folder, there, names), batch.duplex)
        parts = _parted(seen, papers)
        sheets = [page for page in seen if page.code]
        cutting.whole.by = PartedBy.SHEETS if sheets else PartedBy.NUMBERS
        cutting.whole.cut += [f"0/{page.file}/{page.page}" for page in sheets]
    _make(cutting, folder, there, names, parts, work)


def interleave(
    cutting: Cutting, folder: Folder, there: FolderFiles, names: Sequence[str], number: int, duplex: Duplex, work: Path
) -> None:
    """The files of one paper, whose backs came after its fronts. Raises BatchUnfit."""
    seen = _interleaved(_seen(cutting, folder, there, names), duplex)
    _make(cutting, folder, there, names, {number: seen}, work)


def _seen(cutting: Cutting, folder: Folder, there: FolderFiles, names: Sequence[str]) -> list[Seen]:
    pages = []
    for number, name in enumerate(names, len(cutting.came) + 1):
        with _opened(folder, there, name, number) as path:
            for page, look in enumerate(looks_guarded(path), 1):
                pages.append(Seen(number, page, look.code))
                if look.blank:
                    cutting.whole.blank.append(f"{number}/{page}")
    return pages


@contextmanager
def _opened(folder: Folder, there: FolderFiles, name: str, number: int) -> Iterator[Path]:
    """A file of the scan. Raises BatchUnfit for what is wrong with it, with its number."""
    with folder.file(there.place_of(name)) as path:
        try:
            if path is None:
                raise FileMissing()
            yield path
        except ScanError as error:
            raise BatchUnfit(why=f"tệp {number}: {error.text.rstrip('.')}") from error


def _by_person(
    cutting: Cutting,
    folder: Folder,
    there: FolderFiles,
    names: Sequence[str],
    parted: Parted,
    papers: Mapping[int, Paper],
) -> dict[int, list[Seen]]:
    """As a person has said; each page of each file must have been dealt with. Raises BatchUnfit."""
    there_are = set()
    for number, name in enumerate(names, 1):
        with _opened(folder, there, name, number) as path:
            there_are |= {(number, page) for page in range(1, count_guarded(path) + 1)}
    turns = {_page(entry): int(entry.rpartition("/")[2]) for entry in parted.turned}
    found: dict[int, list[Seen]] = {number: [] for number in papers}
    before = len(cutting.came)
    for entry in parted.cut:
        number, place = int(entry.partition("/")[0]), _page(entry.partition("/")[2])
        if number not in found:
            raise BatchUnfit(
                why=f"ảnh {place[1]} của tệp {place[0]} được xếp vào giấy tờ {number}, mà giấy tờ này không lấy từ "
                "bản quét chung (không khai, có tệp riêng, là giấy tờ mật, chỉ xuất trình hoặc đã có dữ liệu)"
            )
        found[number].append(Seen(before + place[0], place[1], turn=turns.get(place, 0)))
    told = {_page(entry.partition("/")[2]) for entry in parted.cut} | {_page(entry) for entry in parted.left_out}
    if told != there_are or not all(found.values()):
        raise BatchUnfit(why="có ảnh chưa được xếp hoặc có giấy tờ chưa có ảnh; vui lòng mở lại trang tách và xếp đủ")
    cutting.whole.by = PartedBy.OFFICER
    cutting.whole.left_out += [f"{before + int(file)}/{rest}" for file, rest in _split(parted.left_out)]
    cutting.whole.turned += [f"{before + int(file)}/{rest}" for file, rest in _split(parted.turned)]
    cutting.whole.blank += [f"{before + int(file)}/{rest}" for file, rest in _split(parted.blank)]
    return found


def _page(entry: str) -> tuple[int, int]:
    file, page = entry.split("/")[:2]
    return int(file), int(page)


def _split(entries: Sequence[str]) -> list[tuple[str, str]]:
    """Each as (file, rest)."""
    return [(file, rest) for file, _, rest in (entry.partition("/") for entry in entries)]


def _interleaved(pages: list[Seen], duplex: Duplex | None) -> list[Seen]:
    if duplex is None:
        return pages
    if len(pages) % 2:
        raise BatchUnfit(
            why=f"quét hai lượt mặt trước, mặt sau phải có số ảnh chẵn nhưng có {len(pages)}; "
            "vui lòng quét lại đủ hai lượt"
        )
    return interleaved(pages, duplex)


def interleaved(pages: list[P], duplex: Duplex) -> list[P]:
    """Front, back, front, back … of an even number of pages."""
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
        cutting.whole.cut += [f"{number}/{page.file}/{page.page}" for page in pages]
        turns = {(page.file, page.page): page.turn for page in pages if page.turn}
        made, turned = cutting.made.setdefault(number, []), cutting.turned.setdefault(number, [])
        for file, numbers in _runs(pages, names, before):
            wanted = [(place, turns.get((file, page))) for place, page in enumerate(numbers, 1)]
            turned += [f"{len(made) + 1}/{place}/{turn}" for place, turn in wanted if turn]
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
