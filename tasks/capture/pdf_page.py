"""One page of a PDF, taken out as a PDF of its own, and what lies on it. qpdf reads the file; nothing is decoded here.

Readers hide annotations by flags, print others than they show, and have layers that can be switched. Whatever could be
seen one way or the other must not be lost: flags are taken away, so that all of it is drawn.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import Any

import pikepdf
from pikepdf import Dictionary, Name, Stream

from tasks.capture import errors
from tasks.capture.facts import MAX_PIXELS

MAX_CONTENT = 4_000_000  # bytes of one page's decoded drawing commands (invisible text included)
MAX_STREAMS = 1000  # of one page's drawing commands
UNSEEN = (Name.Thumb, Name.PieceInfo, Name.Metadata, Name.B, Name.Tabs, Name.StructParents)
FORM_DEPTH = 8
NAMES = re.compile(rb"/([^\x00\t\n\f\r /\[\]()<>{}%]+)")


def images_of(resources: Any, depth: int = 0) -> list[Any]:
    """The images that a page or a form can draw, those inside its forms included."""
    found: list[Any] = []
    if not isinstance(resources, Dictionary) or depth > FORM_DEPTH:
        return found
    objects = resources.get(Name.XObject)
    for _, each in objects.items() if isinstance(objects, Dictionary) else ():
        if not isinstance(each, Stream):
            continue
        if each.get(Name.Subtype) == Name.Image:
            found.append(each)
        elif len(found) < MAX_STREAMS:
            found += images_of(each.get(Name.Resources), depth + 1)
    return found


def pixels_of(page: pikepdf.Page) -> int:
    """How many pixels the page can draw, as its images declare. At most those of the largest page."""
    total = 0
    for image in images_of(page.resources):
        total += max(0, int(image.get(Name.Width, 0))) * max(0, int(image.get(Name.Height, 0)))
    return min(total, MAX_PIXELS)


def is_marked(page: pikepdf.Page) -> bool:
    """Whether annotations or filled fields lie over the page, shown or hidden. Empty fields and bare links are none."""
    annotations = page.obj.get(Name.Annots)
    if annotations is None:
        return False
    for each in annotations:
        if not isinstance(each, Dictionary):
            raise errors.PdfDamaged()
        kind = each.get(Name.Subtype)
        if kind == Name.Widget:
            if _filled(each):
                return True
        elif kind == Name.Link:
            if _framed(each):
                return True
        elif kind != Name.Popup:
            return True
    return False


def _filled(field: Any) -> bool:
    """A value of its own or of the field that it belongs to. What a field draws beside is for the drawing to tell."""
    for _ in range(FORM_DEPTH):
        value = field.get(Name.V)
        if value is not None and str(value) not in {"", "/Off"}:
            return True
        field = field.get(Name.Parent)
        if not isinstance(field, Dictionary):
            return False
    return True


def _framed(link: Any) -> bool:
    """Readers draw a frame of one point round a link that says nothing else."""
    style = link.get(Name.BS)
    if isinstance(style, Dictionary):
        return float(style.get(Name.W, 1)) > 0
    border = link.get(Name.Border)
    return not (isinstance(border, pikepdf.Array) and len(border) > 2 and float(border[2]) == 0)


def taken_out(pdf: pikepdf.Pdf, page: pikepdf.Page, *, layers: bool) -> bytes:
    """A PDF of this page alone. layers: as the file shows them first; False: all of them."""
    with pikepdf.new() as single:
        single.pages.append(page)
        copy = single.pages[0]
        _check_turn(copy)
        for name in UNSEEN:
            if name in copy.obj:
                del copy.obj[name]
        for each in copy.obj.get(Name.Annots, []):
            if Name.F in each:
                del each.F
        _prune(copy)
        if layers:
            single.Root.OCProperties = single.copy_foreign(pdf.make_indirect(pdf.Root.OCProperties))
        data = io.BytesIO()
        single.save(
            data,
            compress_streams=False,
            stream_decode_level=pikepdf.StreamDecodeLevel.none,
            object_stream_mode=pikepdf.ObjectStreamMode.disable,
        )
        return data.getvalue()


def _check_turn(page: pikepdf.Page) -> None:
    if int(page.obj.get(Name.Rotate, 0) or 0) % 90:
        raise errors.PdfDamaged()


def _prune(page: pikepdf.Page) -> None:
    """Leave out images whose names its drawing commands don't hold: some makers list all images at each page."""
    objects = page.obj.get(Name.Resources, Dictionary()).get(Name.XObject)
    commands = _commands(page.obj.get(Name.Contents))
    if not isinstance(objects, Dictionary):
        return
    for _, each in objects.items():
        if isinstance(each, Stream) and each.get(Name.Subtype) == Name.Form:
            commands += _commands(each)  # it may use the page's names
    names = set(NAMES.findall(commands))
    if any(b"#" in name for name in names):
        return
    unused = [
        name
        for name, each in objects.items()
        if isinstance(each, Stream) and each.get(Name.Subtype) == Name.Image and name[1:].encode() not in names
    ]
    for name in unused:
        del objects[name]


def _commands(contents: Any) -> bytes:
    streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents] if contents is not None else []
    if len(streams) > MAX_STREAMS:
        raise errors.ImageBomb()
    data = b"\n".join(_bounded(stream) for stream in streams)
    if len(data) > MAX_CONTENT:
        raise errors.ImageBomb()
    return data


def _bounded(stream: Any) -> bytes:
    """Decoded drawing commands, never more than the limit: a few bytes can unfold to terabytes.

    Of a coding that isn't known here a name with a "#", after which nothing is left out.
    """
    filters = stream.get(Name.Filter)
    if isinstance(filters, pikepdf.Array):
        filters = filters[0] if len(filters) == 1 else (None if len(filters) == 0 else Name.Unknown)
    raw = bytes(stream.read_raw_bytes())
    if filters is None:
        return raw[: MAX_CONTENT + 1]
    if filters != Name.FlateDecode or Name.DecodeParms in stream:
        return b"/#"
    decoder = zlib.decompressobj()
    try:
        data = decoder.decompress(raw, MAX_CONTENT + 1)
    except zlib.error:
        return b"/#"  # a reader draws what it can decode, and so is it compared
    if decoder.unconsumed_tail and len(data) > MAX_CONTENT:
        raise errors.ImageBomb()
    return data
