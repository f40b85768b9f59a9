"""PDF files from a scanner: structure checks, and the one image of each page.

Only captures of paper are taken (Điều 8.1: the paper is copied by an officer): every page must be ONE image over the
page, with nothing visible beside it (an invisible text layer of the scanner is dropped). A born-digital page is
refused, not kept: it isn't a copy of a paper made at the counter, its electronic data are reused (13.3b), its fonts
may make PDF/A impossible, and rasterising it here would make a copy that no officer has seen.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pikepdf
from pikepdf import Name
from PIL import Image

from tasks.capture import errors
from tasks.capture.facts import DPI_TOLERANCE, MAX_PAGES, MAX_PIXELS, MIN_DPI

MAX_OBJECTS = 60_000  # of one file: a scanner needs about five a page
MAX_CONTENT = 4_000_000  # bytes of one page's decoded drawing commands (invisible text included)
MAX_DEPTH = 40
ACTIONS = {"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/ResetForm", "/Rendition", "/Movie", "/Sound"}
ACTIONS |= {"/RichMediaExecute", "/GoTo3DView", "/GoToE", "/GoToR", "/Hide", "/SetOCGState"}
ACTIVE_ANNOTATIONS = {"/RichMedia", "/3D", "/Movie", "/Screen", "/Sound"}
DAMAGE = (pikepdf.PdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError)
SILENT = {"q", "Q", "gs", "BT", "ET", "Tf", "Tm", "Td", "TD", "T*", "Tc", "Tw", "Tz", "TL", "Ts"}
SILENT |= {"BMC", "BDC", "EMC", "MP", "DP", "BX", "EX", "d", "i", "j", "J", "M", "w", "ri"}
SHOWING = {"Tj", "TJ", "'", '"'}
CLIPPING = {"re", "W", "W*", "n"}


@dataclass(frozen=True)
class PdfImagePage:
    """The image of one page. dpi: pixels by printed size; jpeg: its stream as it stands, None for other codings."""

    number: int
    rotate: int
    dpi: tuple[float, float]
    jpeg: bytes | None
    image: pikepdf.PdfImage

    def decode(self) -> Image.Image:
        try:
            return self.image.as_pil_image()
        except (*DAMAGE, OSError, zlib.error, SyntaxError, pikepdf.UnsupportedImageTypeError) as error:
            raise errors.FileTruncated() from error


def pdf_pages(source: Path | bytes | BinaryIO, *, any_dpi: bool = False) -> Iterator[PdfImagePage]:
    """The pages of a PDF as images, one after the other, or the `ScanError` of the first check that fails.

    any_dpi: also too coarse ones, which are only to be looked at.
    """
    with _opened(source) as pdf:
        for number, page in enumerate(pdf.pages, 1):
            try:
                found = _image_page(page, number, any_dpi=any_dpi)
            except DAMAGE as error:
                raise errors.PdfDamaged() from error
            yield found


def electronic_pages(source: Path | bytes | BinaryIO) -> int:
    """Pages of a signed PDF that is kept as it is (SC05), or the `ScanError` of the first check that fails.

    What a scan may not hold it may not hold either, signatures aside: no password, code or attachments.
    """
    with _opened(source, signed=True) as pdf:
        return len(pdf.pages)


@contextmanager
def _opened(source: Path | bytes | BinaryIO, *, signed: bool = False) -> Iterator[pikepdf.Pdf]:
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        pdf = pikepdf.open(stream, attempt_recovery=False, suppress_warnings=True)
    except pikepdf.PasswordError as error:
        raise errors.PdfEncrypted() from error
    except DAMAGE as error:
        raise errors.PdfDamaged() from error
    with pdf:
        try:
            _check_structure(pdf, signed=signed)
        except DAMAGE as error:
            raise errors.PdfDamaged() from error
        yield pdf


def _check_structure(pdf: pikepdf.Pdf, *, signed: bool) -> None:
    if len(pdf.objects) > MAX_OBJECTS or len(pdf.pages) > MAX_PAGES:
        raise errors.ImageBomb()
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
    if tuple(int(part) for part in pdf.pdf_version.split(".")) < (1, 4):
        raise errors.PdfVersion()


def _scan(item: Any, findings: set[str], depth: int) -> None:
    """Look at one object and the direct objects inside it; indirect ones come by themselves."""
    if depth > MAX_DEPTH:
        raise errors.ImageBomb()
    if isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
        _scan_keys(item, findings)
        values: list[Any] = [value for _, value in item.items()]
    elif isinstance(item, pikepdf.Array):
        values = list(item)
    else:
        return
    for value in values:
        if isinstance(value, (pikepdf.Dictionary, pikepdf.Array)) and not getattr(value, "is_indirect", False):
            _scan(value, findings, depth + 1)


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


def _image_page(page: pikepdf.Page, number: int, *, any_dpi: bool) -> PdfImagePage:
    """The single image of a page and how large it is printed."""
    name, matrix = _drawn_image(page)
    resources = page.obj.get(Name.Resources) or page.resources
    stream = resources.XObject.get(name)
    if not isinstance(stream, pikepdf.Stream) or stream.get(Name.Subtype) != Name.Image:
        raise errors.PdfNotScan()
    if stream.get(Name.ImageMask) or Name.SMask in stream or Name.Mask in stream or Name.Decode in stream:
        raise errors.PdfNotScan()
    width, height = int(stream.Width), int(stream.Height)
    unit = float(page.obj.get(Name.UserUnit, 1)) / 72
    a, b, c, d = matrix
    printed = (abs(a) * unit, abs(d) * unit)
    if min(a, d) <= 0 or abs(b) + abs(c) > 0.01 * (a + d) or min(printed) <= 0:
        raise errors.PdfNotScan()  # mirrored or turned inside the page: not what a scanner writes
    _check_covers(page, printed, unit)
    dpi = (width / printed[0], height / printed[1])
    if min(dpi) < MIN_DPI * (1 - DPI_TOLERANCE) and not any_dpi:
        raise errors.DpiLow(dpi=round(min(dpi)))
    rotate = int(page.obj.get(Name.Rotate, page.get(Name.Rotate, 0)) or 0) % 360
    if rotate % 90:
        raise errors.PdfDamaged()
    return PdfImagePage(number, rotate, dpi, _jpeg(stream), pikepdf.PdfImage(stream))


def _check_covers(page: pikepdf.Page, printed: tuple[float, float], unit: float) -> None:
    """The image is the page: within 2 % of its visible box, so that nothing is hidden or shrunk."""
    box = [float(value) for value in page.cropbox]
    visible = (abs(box[2] - box[0]) * unit, abs(box[3] - box[1]) * unit)
    if any(abs(p - v) > 0.02 * v for p, v in zip(printed, visible, strict=True)):
        raise errors.PdfNotScan()


def _jpeg(stream: pikepdf.Stream) -> bytes | None:
    filters = stream.get(Name.Filter)
    if isinstance(filters, pikepdf.Array):
        filters = filters[0] if len(filters) == 1 else None
    if filters != Name.DCTDecode:
        return None
    return bytes(stream.read_raw_bytes())


def _drawn_image(page: pikepdf.Page) -> tuple[str, tuple[float, float, float, float]]:
    """Name and matrix (a b c d) of the only thing that the page draws."""
    current, saved = (1.0, 0.0, 0.0, 1.0), []
    found: list[tuple[str, tuple[float, float, float, float]]] = []
    visible_text = True
    for operands, operator in _commands(page):
        name = str(operator)
        if name == "q":
            saved.append(current)
        elif name == "Q":
            current = saved.pop() if saved else current
        elif name == "cm":
            current = _multiply(tuple(float(v) for v in operands[:4]), current)
        elif name == "Do":
            found.append((str(operands[0]), current))
        elif name == "Tr":
            visible_text = int(operands[0]) != 3
        elif (name in SHOWING and visible_text) or name not in SILENT | SHOWING | CLIPPING:
            raise errors.PdfNotScan()
    if len(found) != 1:
        raise errors.PdfNotScan()
    return found[0]


def _multiply(m: tuple[float, ...], n: tuple[float, ...]) -> tuple[float, float, float, float]:
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
    )


def _commands(page: pikepdf.Page) -> list[Any]:
    contents = page.obj.get(Name.Contents)
    streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents] if contents is not None else []
    data = b"\n".join(_bounded(stream) for stream in streams[:1000])
    if len(data) > MAX_CONTENT:
        raise errors.ImageBomb()
    holder = pikepdf.new()
    return list(pikepdf.parse_content_stream(holder.make_stream(data)))


def _bounded(stream: Any) -> bytes:
    """Decoded drawing commands, never more than the limit: a few bytes can unfold to terabytes."""
    filters = stream.get(Name.Filter)
    if isinstance(filters, pikepdf.Array):
        filters = filters[0] if len(filters) == 1 else (None if len(filters) == 0 else Name.Unknown)
    raw = bytes(stream.read_raw_bytes())
    if filters is None:
        return raw[: MAX_CONTENT + 1]
    if filters != Name.FlateDecode or Name.DecodeParms in stream:
        raise errors.PdfNotScan()  # no scanner codes its drawing commands so
    try:
        decoder = zlib.decompressobj()
        data = decoder.decompress(raw, MAX_CONTENT + 1)
    except zlib.error as error:
        raise errors.PdfDamaged() from error
    if decoder.unconsumed_tail and len(data) > MAX_CONTENT:
        raise errors.ImageBomb()
    return data
