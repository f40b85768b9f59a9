"""PDF files from a scanner: structure checks, and the one image of each page.

Only captures of paper are taken (Điều 8.1: the paper is copied by an officer): every page must look like ONE image, see
`page_image`. A born-digital page is refused, not kept: it isn't a copy of a paper made at the counter, its electronic
data are reused (13.3b), its fonts may make PDF/A impossible, and rasterising it here would make a copy that no officer
has seen.

A table of objects that doesn't fit is made anew, as every reader does. Each page is taken out as a small PDF of its
own before it is drawn: what was checked here and what is drawn there is one and the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pikepdf
from pikepdf import Name

from tasks.capture import errors
from tasks.capture.facts import MAX_PAGES, MAX_PIXELS
from tasks.capture.page_image import PageImage, image_of_page
from tasks.capture.pdf_page import images_of, is_marked, pixels_of, taken_out

MAX_OBJECTS = 60_000  # of one file: a scanner needs about five a page
MAX_DEPTH = 40
LISTS = {"/Contents", "/Annots", "/Kids", "/Fields"}  # of references
ACTIONS = {"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/ResetForm", "/Rendition", "/Movie", "/Sound"}
ACTIONS |= {"/RichMediaExecute", "/GoTo3DView", "/GoToE", "/GoToR", "/Hide", "/SetOCGState"}
ACTIVE_ANNOTATIONS = {"/RichMedia", "/3D", "/Movie", "/Screen", "/Sound"}
DAMAGE = (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError)
Source = Path | bytes | BinaryIO


@dataclass(frozen=True)
class PdfOutline:
    """What is told of a file that may be opened. pixels: of the images of each page; repaired: of damage like a

    table of objects that points beside them, which every reader mends in silence.
    """

    pixels: tuple[int, ...]
    repaired: bool


def pdf_outline(source: Source) -> PdfOutline:
    """The file's structure, or the `ScanError` of the first check that fails. No page is looked at."""
    with _opened(source) as pdf:
        return PdfOutline(tuple(pixels_of(page) for page in pdf.pages), bool(pdf.get_warnings()))


def pdf_pages(source: Source, first: int = 1, count: int | None = None) -> Iterator[tuple[int, PageImage]]:
    """The image of each page with its number, one after the other, or the `ScanError` of the first check that fails.

    first, count: from which page on (1-based), and how many at most, of a file whose outline was looked at before.
    """
    with _opened(source, checked=count is not None) as pdf:
        for number, page in _from(pdf, first, count):
            with _of_page(number):
                if is_marked(page):
                    raise errors.PdfMarked()
                if any(Name.Alternates in image for image in images_of(page.resources)):
                    raise errors.PdfLayers()
                layers = Name.OCProperties in pdf.Root
                found = image_of_page(taken_out(pdf, page, layers=layers))
                if layers:
                    image_of_page(taken_out(pdf, page, layers=False), layered=True)
            yield number, found


def pdf_shown(source: Source, first: int, count: int) -> Iterator[bytes]:
    """Pages as PDFs of their own, whatever lies on them, to be drawn for those who scan again."""
    with _opened(source) as pdf:
        for number, page in _from(pdf, first, count):
            with _of_page(number):
                yield taken_out(pdf, page, layers=Name.OCProperties in pdf.Root)


def electronic_pages(source: Source) -> int:
    """Pages of a signed PDF that is kept as it is (SC05), or the `ScanError` of the first check that fails.

    What a scan may not hold it may not hold either, signatures aside: no password, code or attachments.
    """
    with _opened(source, signed=True) as pdf:
        return len(pdf.pages)


def _from(pdf: pikepdf.Pdf, first: int, count: int | None) -> Iterator[tuple[int, pikepdf.Page]]:
    last = len(pdf.pages) if count is None else min(len(pdf.pages), first + count - 1)
    for number in range(first, last + 1):
        yield number, pdf.pages[number - 1]


@contextmanager
def _of_page(number: int) -> Iterator[None]:
    """What goes wrong with a page is told with its number. Want of memory is no fault of the page's structure."""
    try:
        yield
    except errors.ScanError as error:
        raise error.on_page(number) from error
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # two libraries meet a foreign file: what they raise is the file's fault
        if "alloc" in str(error):
            raise MemoryError from error
        raise errors.PdfDamaged(page=number) from error


@contextmanager
def _opened(source: Source, *, signed: bool = False, checked: bool = False) -> Iterator[pikepdf.Pdf]:
    """checked: its structure was looked at before."""
    try:
        pdf = _read(source, recover=not signed)
    except pikepdf.PasswordError as error:
        raise errors.PdfEncrypted() from error
    except DAMAGE as error:
        raise errors.PdfDamaged() from error
    with pdf:
        try:
            if not checked:
                _check_structure(pdf, signed=signed)
        except DAMAGE as error:
            raise errors.PdfDamaged() from error
        yield pdf


def _read(source: Source, *, recover: bool) -> pikepdf.Pdf:
    """recover: where the table of objects leads nowhere, too, of which qpdf doesn't think by itself."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return pikepdf.open(stream, attempt_recovery=recover, suppress_warnings=True)
    except pikepdf.PasswordError:
        raise
    except pikepdf.PdfError:
        if not recover:
            raise
    if isinstance(stream, Path):
        stream = io.BytesIO(stream.read_bytes())
    # qpdf passes over a table that isn't where the file's last words say.
    return pikepdf.open(cast(BinaryIO, _Longer(stream, b"\nstartxref\n0\n%%EOF\n")), suppress_warnings=True)


class _Longer(io.RawIOBase):
    """A stream with some bytes after its end."""

    def __init__(self, stream: BinaryIO, more: bytes) -> None:
        self._stream, self._more, self._at = stream, more, 0
        self._end = stream.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end + len(self._more)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._end:
            self._stream.seek(self._at)
            data = self._stream.read(min(len(buffer), self._end - self._at))
        else:
            data = self._more[self._at - self._end :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _check_structure(pdf: pikepdf.Pdf, *, signed: bool) -> None:
    leaves = _leaves(pdf.Root.Pages, 0)
    if len(pdf.objects) > MAX_OBJECTS or leaves > MAX_PAGES or len(pdf.pages) > MAX_PAGES:
        raise errors.PdfTooLarge()
    if not signed and leaves != len(pdf.pages):
        raise errors.PdfDamaged()  # readers pass over a page that they don't find
    if len(pdf.pages) == 0:
        raise errors.PdfZeroPages()
    findings: set[str] = set()
    for item in pdf.objects:
        _scan(item, findings, 0)
    if "bomb" in findings:
        raise errors.ImageBomb()
    if pdf.is_encrypted:  # an owner password alone opens, and would be saved decrypted
        raise errors.PdfEncrypted()
    if "signed" in findings and not signed:
        raise errors.PdfSigned()
    if "active" in findings or Name.AA in pdf.Root:
        raise errors.PdfActiveContent()
    if "attached" in findings or len(pdf.attachments) > 0:
        raise errors.PdfAttachments()
    if "absent" in findings and not signed and pdf.get_warnings():
        raise errors.PdfDamaged()  # made anew from what is left of the file, and something is gone
    if tuple(int(part) for part in pdf.pdf_version.split(".")) < (1, 4):
        raise errors.PdfVersion()


def _leaves(node: Any, depth: int) -> int:
    """Pages that the tree lists, those included that aren't there. More than the limit needn't be counted."""
    if depth > MAX_DEPTH:
        raise errors.ImageBomb()
    if not isinstance(node, pikepdf.Dictionary) or Name.Kids not in node:
        return 1
    found = 0
    for kid in node.Kids:
        found += _leaves(kid, depth + 1)
        if found > MAX_PAGES:
            break
    return found


def _scan(item: Any, findings: set[str], depth: int) -> None:
    """Look at one object and the direct objects inside it; indirect ones come by themselves."""
    if depth > MAX_DEPTH:
        raise errors.ImageBomb()
    if isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
        _scan_keys(item, findings)
        values: list[Any] = []
        for key, value in item.items():
            values.append(value)
            if value is None or (key in LISTS and isinstance(value, pikepdf.Array) and _has_absent(value)):
                findings.add("absent")
    elif isinstance(item, pikepdf.Array):
        values = list(item)
    else:
        return
    for value in values:
        if isinstance(value, (pikepdf.Dictionary, pikepdf.Array)) and not getattr(value, "is_indirect", False):
            _scan(value, findings, depth + 1)


def _has_absent(values: pikepdf.Array) -> bool:
    return any(value is None for value in values)


def _scan_keys(item: Any, findings: set[str]) -> None:
    kind, subtype = str(item.get(Name.Type, "")), str(item.get(Name.Subtype, ""))
    if subtype == "/Image" and int(item.get(Name.Width, 0)) * int(item.get(Name.Height, 0)) > MAX_PIXELS:
        findings.add("bomb")
    if kind in {"/Sig", "/DocTimeStamp"} or Name.ByteRange in item or Name.DocMDP in item:
        findings.add("signed")
    if item.get(Name.FT) == Name.Sig and Name.V in item:
        findings.add("signed")
    if str(item.get(Name.S, "")) in ACTIONS or Name.JS in item or Name.XFA in item or Name.JavaScript in item:
        findings.add("active")
    if subtype in ACTIVE_ANNOTATIONS:
        findings.add("active")
    if Name.EF in item or Name.EmbeddedFiles in item or kind == "/EmbeddedFile" or subtype == "/FileAttachment":
        findings.add("attached")
