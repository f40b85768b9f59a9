"""PDFs as scanners, office programs and vandals write them: one drawn page, changed in many ways."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pikepdf
import pymupdf
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, ImageCms, ImageOps

from tests.tasks.capture.pages_for_tests import DPI, encoded, jpeg, paper, pdf_of, scanned

Edit = Callable[[pikepdf.Pdf], None]
WIDTH, HEIGHT = 595.44, 842.04  # points of the page
PLAIN = f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Im0 Do Q"
FONTS = Dictionary(F1=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))


@lru_cache
def sheet() -> Image.Image:
    """The page: print, a round red stamp on the right below, nothing alike when turned or mirrored."""
    return scanned(paper(7, table=True))


@lru_cache
def scan() -> bytes:
    return jpeg(sheet())


def edited(edit: Edit, data: bytes | None = None, **save: Any) -> bytes:
    return pdf_of([data or scan()], edit=edit, **save)


def contents(commands: str) -> Edit:
    """Other drawing commands; /F1 is a font, /Half paints with half of its colour, /Dark multiplies."""

    def edit(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        page.Contents = pdf.make_stream(commands.encode())
        page.Resources.Font = FONTS
        half, dark = Dictionary(ca=0.05, CA=0.05), Dictionary(BM=Name.Multiply)
        page.Resources.ExtGState = Dictionary(Half=half, Dark=dark, None_=Dictionary(ca=0))

    return edit


def above(commands: str) -> Edit:
    return contents(f"{PLAIN} {commands}")


def form(pdf: pikepdf.Pdf, commands: str, **keys: Any) -> Any:
    stream = pdf.make_stream(commands.encode())
    for key, value in {"Type": Name.XObject, "Subtype": Name.Form, "BBox": [0, 0, 600, 850], **keys}.items():
        stream[Name("/" + key)] = value
    return stream


def annotated(kind: str, *, look: bool = True, **keys: Any) -> Edit:
    """An annotation over the scan. look: with an appearance of its own."""

    def edit(pdf: pikepdf.Pdf) -> None:
        each = Dictionary(Type=Name.Annot, Subtype=Name("/" + kind), Rect=[100, 400, 300, 470], **keys)
        if look:
            text = "BT /F1 24 Tf 0 0 1 rg 5 20 Td (DA THU TIEN) Tj ET"
            shown = form(pdf, text, BBox=[0, 0, 200, 70], Resources=Dictionary(Font=FONTS))
            each.AP = Dictionary(N=pdf.make_indirect(shown))
        pdf.pages[0].obj.Annots = Array([pdf.make_indirect(each)])

    return edit


def turned(orientation: int) -> bytes:
    """The page upright to a reader, its image stored in one of the eight ways of EXIF."""
    stored = {
        1: lambda image: image,
        2: ImageOps.mirror,
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: ImageOps.flip,
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](sheet())
    w, h = WIDTH, HEIGHT
    matrix = {
        1: (w, 0, 0, h, 0, 0),
        2: (-w, 0, 0, h, w, 0),
        3: (-w, 0, 0, -h, w, h),
        4: (w, 0, 0, -h, 0, h),
        5: (0, -h, -w, 0, w, h),
        6: (0, -h, w, 0, 0, h),
        7: (0, h, w, 0, 0, 0),
        8: (0, h, -w, 0, w, 0),
    }[orientation]

    def edit(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        page.MediaBox = Array([0, 0, w, h])
        page.Contents = pdf.make_stream(f"q {' '.join(map(str, matrix))} cm /Im0 Do Q".encode())

    return edited(edit, jpeg(stored))


def recoded(image: Image.Image, space: Any, **keys: Any) -> bytes:
    """The pixels not as a JPEG but packed, in another colour space."""

    def edit(pdf: pikepdf.Pdf) -> None:
        stream = pdf.pages[0].obj.Resources.XObject.Im0
        stream.write(image.tobytes())
        stream.Width, stream.Height = image.width, image.height
        if space is None:
            del stream.ColorSpace
        else:
            stream.ColorSpace = space(pdf) if callable(space) else space
        stream.BitsPerComponent = 1 if image.mode == "1" else 8
        for key, value in keys.items():
            stream[Name("/" + key)] = value

    return edited(edit)


def coded(kind: Name, data: bytes, **keys: Any) -> bytes:
    """The image in a coding of its own, as its bytes stand."""

    def edit(pdf: pikepdf.Pdf) -> None:
        stream = pdf.pages[0].obj.Resources.XObject.Im0
        stream.write(data, filter=kind)
        for key, value in keys.items():
            stream[Name("/" + key)] = value

    return edited(edit)


def profile(pdf: pikepdf.Pdf, *, swapped: bool = False) -> Array:
    """sRGB as a profile. swapped: one that takes blue for red, so that who drops it is found out."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if swapped:
        data = data.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
    stream = pdf.make_stream(data)
    stream.N = 3
    return Array([Name.ICCBased, pdf.make_indirect(stream)])


def lab(pdf: pikepdf.Pdf) -> Array:
    return Array([Name.Lab, Dictionary(WhitePoint=[0.9642, 1, 0.8249], Range=[-128, 127, -128, 127])])


def lab_pixels() -> Image.Image:
    """As a scanner has them: a and b from 0 to 255, none at 128."""
    made = ImageCms.profileToProfile(
        sheet(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert made is not None
    signed = np.asarray(made).copy()
    signed[..., 1:] = signed[..., 1:] + np.uint8(128)
    return Image.frombytes("RGB", made.size, signed.tobytes())


def indexed(image: Image.Image) -> bytes:
    few = image.quantize(200)
    return recoded(few, Array([Name.Indexed, Name.DeviceRGB, 199, String(bytes(few.getpalette() or [])[:600])]))


def strips() -> bytes:
    """The page in three images, one below the other."""

    def edit(pdf: pikepdf.Pdf) -> None:
        page, third, commands = pdf.pages[0].obj, sheet().height // 3 + 1, []
        for number in range(3):
            part = sheet().crop((0, number * third, sheet().width, min(sheet().height, (number + 1) * third)))
            stream = pdf.make_stream(jpeg(part))
            stream.stream_dict = Dictionary(page.Resources.XObject.Im0.stream_dict)
            stream.Height = part.height
            page.Resources.XObject[f"/S{number}"] = pdf.make_indirect(stream)
            low, tall = HEIGHT - (number * third + part.height) / DPI * 72, part.height / DPI * 72
            commands.append(f"q {WIDTH} 0 0 {tall} 0 {low} cm /S{number} Do Q")
        del page.Resources.XObject.Im0
        page.Contents = pdf.make_stream(" ".join(commands).encode())

    return edited(edit)


def masked(pdf: pikepdf.Pdf) -> None:
    """High compression: paper as a coarse picture, the print as a mask of one colour over it."""
    page = pdf.pages[0].obj
    ink = sheet().convert("L").point(lambda value: 255 if value > 128 else 0).convert("1")
    stream = pdf.make_stream(ink.tobytes())
    for key, value in {"Type": Name.XObject, "Subtype": Name.Image, "Width": ink.width, "Height": ink.height}.items():
        stream[Name("/" + key)] = value
    stream.ImageMask, stream.BitsPerComponent = True, 1
    page.Resources.XObject.Mask = pdf.make_indirect(stream)
    page.Contents = pdf.make_stream(f"{PLAIN} 0 g q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Mask Do Q".encode())


def layered(on: bool, commands: str, *, image_inside: bool = False) -> Edit:
    """A layer that a reader can switch: with these commands in it, or with the scan itself."""

    def edit(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        layer = pdf.make_indirect(Dictionary(Type=Name.OCG, Name=String("L")))
        states = Dictionary(ON=Array([layer] if on else []), OFF=Array([] if on else [layer]), Order=Array([layer]))
        pdf.Root.OCProperties = Dictionary(OCGs=Array([layer]), D=states)
        page.Resources.Properties, page.Resources.Font = Dictionary(L0=layer), FONTS
        inside, outside = (PLAIN, "") if image_inside else (commands, PLAIN)
        page.Contents = pdf.make_stream(f"{outside} /OC /L0 BDC {inside} EMC".encode())

    return edit


def shared(pages: int) -> bytes:
    """Each page lists the images of all, as programs for phones and browsers write it."""
    pdf = pikepdf.open(io.BytesIO(pdf_of([jpeg(scanned(paper(n))) for n in range(1, pages + 1)])))
    images = {f"/Im{n}": page.obj.Resources.XObject.Im0 for n, page in enumerate(pdf.pages)}
    common = pdf.make_indirect(Dictionary(XObject=Dictionary(**{k[1:]: v for k, v in images.items()})))
    for number, page in enumerate(pdf.pages):
        page.obj.Resources = common
        page.obj.Contents = pdf.make_stream(PLAIN.replace("Im0", f"Im{number}").encode())
    made = io.BytesIO()
    pdf.save(made)
    return made.getvalue()


def by_mupdf() -> bytes:
    with pymupdf.open() as document:
        page = document.new_page(width=WIDTH, height=HEIGHT)
        page.insert_image(page.rect, stream=scan())
        page.insert_text((72, 100), "xin chao", render_mode=3)
        return bytes(document.tobytes(deflate=True))


def jpeg2000() -> bytes:
    return coded(Name.JPXDecode, encoded(sheet(), "JPEG2000", quality_mode="rates", quality_layers=[20]))
