"""Scans from outside are opened in the sandbox (`blocks.sandbox`); here are the questions that are asked there.

What comes back was made by a process that a file may have taken over: hashes are taken here, sizes are checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from blocks import sandbox
from tasks.capture import errors
from tasks.capture.facts import MAX_FILE_BYTES, MAX_PAGES, MAX_PIXELS, FileFacts, PageLook

MEMORY = 500_000_000  # bytes of data
CPU_SECONDS = 9  # of one file …
CPU_SECONDS_A_MEGABYTE = 0.1  # … and more for large ones: 350 MB hold about 200 pages
LOOKS_AT_ONCE, CODE_LIMIT = 5, 100  # pages of one call; letters of a separator's text
PDF_MEMORY = 800_000_000  # bytes: a page of A3 at 600 dpi, its lossless copy and its drawings
CPU_SECONDS_A_PAGE = 1.0  # of a PDF …
CPU_SECONDS_A_PIXEL = 0.25e-6  # … and by what its images declare: a page of A4 at 300 dpi gets 3 s, at 600 dpi 10 s
PAGES_AT_ONCE, PIXELS_AT_ONCE = 20, 180_000_000
Pixels = npt.NDArray[np.uint8]


def inspect_guarded(path: Path, scan_dpi: int, out_dir: Path | None = None) -> FileFacts:
    """`tasks.capture.file_checks.inspect_file` in the sandbox. A file that breaks the limits raises ImageBomb."""
    hashes: dict[str, str] = {}

    def keep(name: str, data: bytes) -> None:
        assert out_dir is not None
        hashes[name] = hashlib.sha256(data).hexdigest()
        (out_dir / name).write_bytes(data)

    told = _asked("inspect", path, {"dpi": scan_dpi, "keep": out_dir is not None}, keep if out_dir else None)
    if "pixels" in told:
        told = _pdf(path, told, scan_dpi, keep if out_dir else None)
    try:
        facts = FileFacts.model_validate(told)
        pages = [
            page.model_copy(update={"path": str(out_dir / page.path), "sha256": hashes[page.path]})
            if out_dir and page.path
            else page
            for page in facts.pages
        ]
    except (ValidationError, KeyError) as error:
        raise errors.ImageBomb() from error
    if len(pages) > MAX_PAGES or any(not 1 <= page.width * page.height <= MAX_PIXELS for page in pages):
        raise errors.ImageBomb()
    if out_dir and len({page.path for page in pages} - {None}) != len(pages):
        raise errors.ImageBomb()
    return facts.model_copy(update={"pages": tuple(pages)})


def _pdf(path: Path, outline: dict[str, Any], scan_dpi: int, keep: Any) -> dict[str, Any]:
    """Facts of a PDF, some pages at a time: a file of many pages gets what so many pages need, and no page more.

    Where several break the limits together each is tried alone, so that the one at fault is named.
    """
    try:
        pixels, facts = [min(max(int(each), 0), MAX_PIXELS) for each in outline["pixels"]], dict(outline["facts"])
    except (ValueError, TypeError, KeyError) as error:
        raise errors.ImageBomb() from error
    if len(pixels) > MAX_PAGES:
        raise errors.ImageBomb()
    pages: list[Any] = []
    for first, count in _parts(pixels, costly=bool(facts.get("repaired"))):
        try:
            pages += _pdf_part(path, scan_dpi, keep, first, count, sum(pixels[first - 1 : first - 1 + count]))
        except errors.ImageBomb as error:
            if count == 1 or "page" in error.details:
                raise error.on_page(int(str(error.details.get("page", first)))) from error
            for number in range(first, first + count):
                try:
                    pages += _pdf_part(path, scan_dpi, keep, number, 1, pixels[number - 1])
                except errors.ImageBomb as alone:
                    raise alone.on_page(number) from alone
    return {**facts, "pages": pages}


def _parts(pixels: list[int], *, costly: bool) -> list[tuple[int, int]]:
    """(first page, how many) of each request. costly: to open it takes long, so that it is opened once."""
    parts: list[tuple[int, int]] = []
    weight = 0
    for number, each in enumerate(pixels, 1):
        if parts and (costly or (parts[-1][1] < PAGES_AT_ONCE and weight + each <= PIXELS_AT_ONCE)):
            parts[-1] = (parts[-1][0], parts[-1][1] + 1)
            weight += each
        else:
            parts.append((number, 1))
            weight = each
    return parts


def _pdf_part(path: Path, dpi: int, keep: Any, first: int, count: int, pixels: int) -> list[Any]:
    arguments = {"dpi": dpi, "keep": keep is not None, "first": first, "count": count}
    more = count * CPU_SECONDS_A_PAGE + pixels * CPU_SECONDS_A_PIXEL
    found = _asked("pdf_pages", path, arguments, keep, more=more, memory=PDF_MEMORY)
    if not isinstance(found, list) or len(found) != count:
        raise errors.ImageBomb()
    return found


def inspect_electronic_guarded(path: Path) -> int:
    """`tasks.capture.file_checks.inspect_electronic` in the sandbox: number of pages."""
    found = int(_asked("electronic", path, {}, name="pdf"))
    if not 1 <= found <= MAX_PAGES:
        raise errors.ImageBomb()
    return found


def draw_guarded(path: Path, out_dir: Path, first: int, count: int, width: int) -> int:
    """`tasks.capture.look.draw_pages` in the sandbox: how many JPEGs lie in `out_dir` afterwards."""
    drawn: list[str] = []

    def keep(name: str, data: bytes) -> None:
        drawn.append(name)
        (out_dir / name).write_bytes(data)

    _asked("draw", path, {"first": first, "count": count, "width": width}, keep)
    return len(drawn)


def measure_guarded(image: Path, dpi: int) -> tuple[dict[str, Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Quality (as data), fingerprint and sketch of one page image, measured in the sandbox."""
    arrays: dict[str, bytes] = {}
    told = _asked("measure", image, {"dpi": dpi}, arrays.__setitem__, name="image")
    try:
        print_ = np.frombuffer(arrays["print"], np.float32).reshape(told["print"])
        sketch = np.frombuffer(arrays["sketch"], np.uint8).reshape(told["sketch"])
        return dict(told["quality"]), print_, sketch
    except (KeyError, ValueError, TypeError) as error:
        raise errors.ImageBomb() from error


def pixels_guarded(image: Path | bytes, width: int = 0, height: int = 0) -> Pixels:
    """(H, W, 3) RGB of an image, decoded in the sandbox. width, height: a JPEG need not come bigger; 0: whole size."""
    found: dict[str, bytes] = {}
    told = _asked("pixels", image, {"width": width, "height": height}, found.__setitem__, name="image")
    try:
        return np.frombuffer(found["rgb"], np.uint8).reshape((int(told[0]), int(told[1]), 3))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise errors.ImageBomb() from error


def looks_guarded(path: Path, thumbs: Path | None = None) -> Iterator[PageLook]:
    """What each page of a file is, in order, some at a time. thumbs: folder for a small JPEG of each, `0001.jpg` …"""
    found = 0

    def keep(name: str, data: bytes) -> None:
        assert thumbs is not None
        (thumbs / name).write_bytes(data)

    while found <= MAX_PAGES:
        arguments = {"first": found + 1, "count": LOOKS_AT_ONCE, "thumbs": thumbs is not None}
        more = LOOKS_AT_ONCE * CPU_SECONDS_A_PAGE  # pages of a PDF are drawn
        told = _asked("looks", path, arguments, keep if thumbs else None, more=more, memory=PDF_MEMORY)
        try:
            looks = [PageLook.model_validate(look) for look in told]
        except (ValidationError, TypeError) as error:
            raise errors.ImageBomb() from error
        if len(looks) > LOOKS_AT_ONCE or any(len(look.code) > CODE_LIMIT for look in looks):
            raise errors.ImageBomb()
        found += len(looks)
        yield from looks
        if len(looks) < LOOKS_AT_ONCE:
            return
    raise errors.ImageBomb()


def count_guarded(path: Path) -> int:
    """How many pages a file has."""
    found = int(_asked("count", path, {}))
    if not 1 <= found <= MAX_PAGES:
        raise errors.ImageBomb()
    return found


def pages_guarded(path: Path, numbers: Sequence[int], target: Path) -> None:
    """Pages of a file (1-based) as a file of their own; of a TIFF one page."""
    made: dict[str, bytes] = {}
    _asked("pages", path, {"numbers": list(numbers)}, made.__setitem__)
    if "part" not in made:
        raise errors.ImageBomb()
    target.write_bytes(made["part"])


def _asked(
    function: str,
    source: Path | bytes,
    arguments: dict[str, Any],
    take: Any = None,
    name: str = "scan",
    more: float = 0,
    memory: int = MEMORY,
) -> Any:
    """Raises the ScanError that the function raises; what breaks the limits is an ImageBomb. more: CPU seconds."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    seconds = CPU_SECONDS + int(min(size, MAX_FILE_BYTES) / 1_000_000 * CPU_SECONDS_A_MEGABYTE + more)
    try:
        return sandbox.run(
            f"tasks.capture.inside:{function}",
            arguments,
            {name: source},
            sandbox.Limits(memory=memory, seconds=seconds),
            take=take,
            raises=(errors.ScanError,),
        )
    except sandbox.LimitBroken as error:
        raise errors.ImageBomb() from error
