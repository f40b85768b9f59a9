"""PDFs that carry scans: what a reader shows of them is archived, or they are refused with what to do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import img2pdf
import numpy as np
import pikepdf
import pymupdf
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from tasks.capture import errors
from tasks.capture.build import build_pdf
from tasks.capture.facts import FileFacts
from tasks.capture.guard import inspect_guarded
from tests.cases import Case, Otherwise
from tests.cases import pdf_makers as make
from tests.cases.pdf_makers import HEIGHT, PLAIN, WIDTH, above, annotated, contents, edited, layered
from tests.tasks.capture.pages_for_tests import DPI, encoded, jpeg, pdf_of

Make = Callable[[], bytes]
LOOKED_AT = 40  # dpi
ALIKE = 4.0  # of 255, on the average: a page turned or in other colours is above 10


def _seen(data: bytes | Path, page: int = 0, inside: float = 0) -> Image.Image:
    """A page as a reader shows it. inside: without margins of so many points."""
    with pymupdf.open(data) if isinstance(data, Path) else pymupdf.open(stream=data, filetype="pdf") as document:
        rect = document[page].rect
        clip = pymupdf.Rect(inside, inside, rect.width - inside, rect.height - inside)
        drawn = document[page].get_pixmap(dpi=LOOKED_AT, alpha=False, clip=clip)
        return Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)


def _kept(folder: Path, data: bytes, *, repaired: bool = False, inside: float = 0, shown: bytes | None = None) -> str:
    """Handed in, checked and built; every page of the archival file looks as it did.

    inside: points of margin; shown: the same pages, where the file itself leads some readers astray.
    """
    (folder / "scan.pdf").write_bytes(data)
    pages = folder / "pages"
    pages.mkdir()
    try:
        facts = inspect_guarded(folder / "scan.pdf", DPI, pages)
    except errors.ScanError as error:
        raise Otherwise(f"refused: {error.code}, {error.text}") from error
    if facts.repaired != repaired:
        raise Otherwise(f"repaired: {facts.repaired}")
    build_pdf(facts.pages, DPI, "Bản sao", folder / "built.pdf")
    for page in facts.pages:
        before = _seen(shown or data, page.number - 1, inside)
        after = _seen(folder / "built.pdf", page.number - 1).resize(before.size)
        apart = float(np.abs(np.asarray(before, np.int16) - np.asarray(after, np.int16)).mean())
        if apart > ALIKE:
            raise Otherwise(f"archived otherwise than shown: {apart:.1f}")
    return f"kept, {len(facts.pages)} page(s) as {_kinds(facts)}{', repaired' if facts.repaired else ''}"


def _kinds(facts: FileFacts) -> str:
    return "/".join(sorted({page.media_type.removeprefix("image/") for page in facts.pages}))


def _refused(folder: Path, data: bytes, *codes: str, page: int | None = 1) -> str:
    (folder / "scan.pdf").write_bytes(data)
    try:
        inspect_guarded(folder / "scan.pdf", DPI)
    except errors.ScanError as error:
        if error.code not in codes:
            raise Otherwise(f"refused: {error.code}, {error.text}") from error
        if (page is not None and f"Trang {page} của tệp" not in error.text) or "vui lòng" not in error.text:
            raise Otherwise(f"says: {error.text}") from error
        return f"refused: {error.code}"
    raise Otherwise("accepted")


def _scan_in_form(pdf: pikepdf.Pdf) -> None:
    page = pdf.pages[0].obj
    page.Resources.XObject.Fm = make.form(pdf, PLAIN, Resources=Dictionary(XObject=page.Resources.XObject))
    page.Contents = pdf.make_stream(b"/Fm Do")


def _text_in_form(pdf: pikepdf.Pdf) -> None:
    page = pdf.pages[0].obj
    text = "BT 3 Tr /F1 12 Tf 0 0 1 rg 50 500 Td (So 12) Tj ET"
    page.Resources.XObject.OCR = make.form(pdf, text, Resources=Dictionary(Font=make.FONTS))
    page.Contents = pdf.make_stream(f"q /OCR Do Q {PLAIN}".encode())


def _turn(degrees: int) -> make.Edit:
    def edit(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Rotate = degrees

    return edit


def _units(pdf: pikepdf.Pdf) -> None:
    page = pdf.pages[0].obj
    page.UserUnit, page.MediaBox = 2, Array([0, 0, WIDTH / 2, HEIGHT / 2])
    page.Contents = pdf.make_stream(f"q {WIDTH / 2} 0 0 {HEIGHT / 2} 0 0 cm /Im0 Do Q".encode())


def _margins(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.MediaBox = Array([-9, -9, WIDTH + 9, HEIGHT + 9])


def _empty_field(pdf: pikepdf.Pdf) -> None:
    annotated("Widget", look=False, FT=Name.Tx, T=String("so"))(pdf)
    pdf.Root.AcroForm = Dictionary(Fields=Array([pdf.pages[0].obj.Annots[0]]))


def _with_icc(swapped: bool) -> Make:
    def edit(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.XObject.Im0.ColorSpace = make.profile(pdf, swapped=swapped)

    return lambda: edited(edit)


def _packed_jpeg(pdf: pikepdf.Pdf) -> None:
    import zlib

    image = pdf.pages[0].obj.Resources.XObject.Im0
    image.write(zlib.compress(make.scan()), filter=Array([Name.FlateDecode, Name.DCTDecode]))


def _exif_inside() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return pdf_of([jpeg(make.sheet(), exif=exif.tobytes())])


def _img2pdf() -> bytes:
    made = img2pdf.convert([io.BytesIO(make.scan()), io.BytesIO(encoded(make.sheet(), "PNG", dpi=(DPI, DPI)))])
    return bytes(made or b"").replace(b"%PDF-1.3", b"%PDF-1.4", 1)


KEPT: dict[str, Make] = {
    "colour set before the image": lambda: edited(contents(f"0 g 1 0 0 RG {PLAIN}")),
    "invisible text with colours": lambda: edited(above("BT 3 Tr 1 0 0 rg /F1 9 Tf 50 50 Td (abc) Tj ET")),
    "text that is clear, not invisible": lambda: edited(above("/None_ gs BT /F1 30 Tf 50 50 Td (abc) Tj ET")),
    "visible text beneath the scan": lambda: edited(contents(f"BT /F1 30 Tf 50 50 Td (abc) Tj ET {PLAIN}")),
    "text layer grafted as a form": lambda: edited(_text_in_form),
    "the scan inside a form": lambda: edited(_scan_in_form),
    "white ground beneath": lambda: edited(contents(f"1 g 0 0 600 850 re f {PLAIN}")),
    "the scan drawn twice at one place": lambda: edited(contents(f"{PLAIN} {PLAIN}")),
    "clip at the page": lambda: edited(contents(f"q 0 0 {WIDTH} {HEIGHT} re W n {PLAIN} Q")),
    "a page in units of its own": lambda: edited(_units),
    "an empty field, a bare link": lambda: edited(_empty_field),
    "EXIF orientation inside a PDF": _exif_inside,
    "JPEG in a second coding": lambda: edited(_packed_jpeg, compress_streams=False),
    "packed pixels": lambda: make.recoded(make.sheet(), Name.DeviceRGB),
    "sRGB as a profile": _with_icc(False),
    "a profile of the scanner's own": _with_icc(True),
    "JPEG 2000": make.jpeg2000,
    "colours of a palette": lambda: make.indexed(make.sheet()),
    "Lab colours": lambda: make.recoded(make.lab_pixels(), make.lab, Decode=[0, 100, -128, 127, -128, 127]),
    "made by img2pdf": _img2pdf,
    "made by MuPDF": make.by_mupdf,
    "all images listed at each page": lambda: make.shared(3),
    "linearised": lambda: edited(lambda pdf: None, linearize=True),
    "object streams": lambda: pdf_of(
        [make.scan()], version="1.5", object_stream_mode=pikepdf.ObjectStreamMode.generate
    ),
    **{f"stored in way {n} of 8": (lambda n=n: make.turned(n)) for n in range(1, 9)},  # type: ignore[misc]
    **{f"Rotate {n}": (lambda n=n: edited(_turn(n))) for n in (90, 180, 270, -90, 450)},  # type: ignore[misc]
}


def _startxref(by: int) -> bytes:
    whole = pdf_of([make.scan()])
    head, _, tail = whole.rpartition(b"startxref\n")
    number, _, rest = tail.partition(b"\n")
    return head + b"startxref\n%d\n" % (int(number) + by) + rest


REPAIRED: dict[str, Make] = {
    "startxref off by two": lambda: _startxref(2),
    "startxref beyond the end": lambda: _startxref(10**7),
    "objects counted from 1": lambda: pdf_of([make.scan()], version="1.4").replace(b"xref\n0 ", b"xref\n1 ", 1),
    "3000 zero bytes after the end": lambda: pdf_of([make.scan()]) + bytes(3000),
}


def _shifted(x: float, y: float) -> Make:
    return lambda: edited(contents(f"q 1 0 0 1 {x} {y} cm {PLAIN} Q"))


def _softly_masked(pdf: pikepdf.Pdf) -> None:
    image = pdf.pages[0].obj.Resources.XObject.Im0
    mask = np.full((100, 70), 255, np.uint8)
    mask[40:44, 20:40] = 0  # one number is left out
    stream = pdf.make_stream(mask.tobytes())
    for key, value in {"Type": Name.XObject, "Subtype": Name.Image, "Width": 70, "Height": 100}.items():
        stream[Name("/" + key)] = value
    stream.ColorSpace, stream.BitsPerComponent = Name.DeviceGray, 8
    image.SMask = pdf.make_indirect(stream)


def _colour_masked(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.Resources.XObject.Im0.Mask = Array([0, 60, 0, 60, 0, 60])


def _alternate(pdf: pikepdf.Pdf) -> None:
    image = pdf.pages[0].obj.Resources.XObject.Im0
    other = pdf.copy_foreign(pdf.make_indirect(image)) if False else image
    image.Alternates = Array([Dictionary(Image=other, DefaultForPrinting=True)])


def _in_pattern(pdf: pikepdf.Pdf) -> None:
    above("/Pattern cs /P0 scn 200 300 40 12 re f")(pdf)
    page = pdf.pages[0].obj
    cell = pdf.make_stream(b"0.9 g 0 0 5 5 re f")
    for key, value in {"PatternType": 1, "PaintType": 1, "TilingType": 1, "XStep": 5, "YStep": 5}.items():
        cell[Name("/" + key)] = value
    cell.BBox, cell.Resources = Array([0, 0, 5, 5]), Dictionary()
    page.Resources.Pattern = Dictionary(P0=pdf.make_indirect(cell))


def _second_stream(pdf: pikepdf.Pdf) -> None:
    page = pdf.pages[0].obj
    more = pdf.make_stream(b"0 0 1 RG 0.4 w 120 333 m 180 351 l S")
    page.Contents = Array([page.Contents, pdf.make_indirect(more)])


def _field_of_parent(pdf: pikepdf.Pdf) -> None:
    annotated("Widget", look=False)(pdf)
    parent = pdf.make_indirect(Dictionary(FT=Name.Tx, T=String("so"), V=String("123")))
    pdf.pages[0].obj.Annots[0].Parent = parent
    pdf.Root.AcroForm = Dictionary(Fields=Array([parent]), NeedAppearances=True)


def _cropped(pdf: pikepdf.Pdf) -> None:
    pdf.pages[0].obj.CropBox = Array([0, 60, WIDTH, HEIGHT])


def _third(edit: make.Edit) -> bytes:
    """Three pages, the last one changed."""
    pdf = pikepdf.open(io.BytesIO(pdf_of([make.scan(), make.scan()])))
    with pikepdf.open(io.BytesIO(edited(edit))) as other:
        pdf.pages.append(other.pages[0])
        made = io.BytesIO()
        pdf.save(made)
    return made.getvalue()


def _grey(pdf: pikepdf.Pdf) -> None:
    image = pdf.pages[0].obj.Resources.XObject.Im0
    image.write(jpeg(make.sheet().convert("L")), filter=Name.DCTDecode)
    image.ColorSpace = Name.DeviceGray


def _many(one: bytes, pages: int) -> bytes:
    """The same page again and again."""
    pdf = pikepdf.open(io.BytesIO(one))
    while len(pdf.pages) < pages:
        pdf.pages.append(pdf.pages[0])
    made = io.BytesIO()
    pdf.save(made)
    return made.getvalue()


def _locked() -> bytes:
    return pdf_of([make.scan()], version="2.0", encryption=pikepdf.Encryption(user="", owner="o", R=6))


# Whoever made it changed what a reader shows by little: what is archived would be another page.
CHANGED: dict[str, tuple[Make, str]] = {
    "a thin stroke of a pen": (lambda: edited(above("0 0 1 RG 0.3 w 100 400 m 130 420 l S")), "PDF_COVERED"),
    "a stroke of no width": (lambda: edited(above("0 G 0 w 100 400 m 130 420 l S")), "PDF_COVERED"),
    "a rectangle thinner than a hair": (lambda: edited(above("0 g 100 400 90 0.004 re f")), "PDF_COVERED"),
    "a white rectangle over a number": (lambda: edited(above("1 g 250 700 30 12 re f")), "PDF_COVERED"),
    "paper's colour over a number": (lambda: edited(above(".98 .98 .97 rg 250 700 30 12 re f")), "PDF_COVERED"),
    "a digit in the print's colour": (
        lambda: edited(above("BT /F1 11 Tf .08 .08 .1 rg 250 690 Td (8) Tj ET")),
        "PDF_COVERED",
    ),
    "pale text": (lambda: edited(above("/Half gs BT /F1 11 Tf 0 g 250 690 Td (8) Tj ET")), "PDF_COVERED"),
    "text as outlines": (lambda: edited(above("BT 1 Tr .2 w /F1 9 Tf 250 690 Td (8) Tj ET")), "PDF_COVERED"),
    "multiplied text": (lambda: edited(above("/Dark gs BT /F1 11 Tf .5 g 250 690 Td (8) Tj ET")), "PDF_COVERED"),
    "a pattern": (lambda: edited(_in_pattern), "PDF_COVERED"),
    "an inline image": (
        lambda: edited(above("q 6 0 0 6 250 690 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \x20 EI Q")),
        "PDF_LAYERS",
    ),
    "a second stream of commands": (lambda: edited(_second_stream), "PDF_COVERED"),
    "a soft mask with a hole": (lambda: edited(_softly_masked), "PDF_CLIPPED"),
    "dark colours masked out": (lambda: edited(_colour_masked), "PDF_COVERED"),
    "another image for printing": (lambda: edited(_alternate), "PDF_LAYERS"),
    "half of the scan's strength": (lambda: edited(contents(f"/Half gs {PLAIN}")), "PDF_COVERED"),
    "clipped": (lambda: edited(contents(f"q 0 90 600 760 re W n {PLAIN} Q")), "PDF_CLIPPED"),
    "cropped": (lambda: edited(_cropped), "PDF_CLIPPED"),
    "shifted off the page": (_shifted(0, 15), "PDF_CLIPPED"),
    "a layer with a note": (lambda: edited(layered(True, "BT /F1 20 Tf 99 400 Td (x) Tj ET")), "PDF_COVERED"),
    "a hidden layer with a note": (lambda: edited(layered(False, "BT /F1 20 Tf 99 400 Td (x) Tj ET")), "PDF_LAYERS"),
    "the scan in a hidden layer": (lambda: edited(layered(False, "", image_inside=True)), "FILE_TYPE"),
    "strips": (make.strips, "PDF_LAYERS"),
    "high compression": (lambda: edited(make.masked), "PDF_LAYERS"),
    "a filled field": (lambda: edited(annotated("Widget", FT=Name.Tx, T=String("s"), V=String("9"))), "PDF_MARKED"),
    "a field filled by its parent": (lambda: edited(_field_of_parent), "PDF_MARKED"),
    "a field that draws though it is empty": (
        lambda: edited(annotated("Widget", FT=Name.Tx, T=String("s"))),
        "PDF_COVERED",
    ),
    "a link in a frame": (lambda: edited(annotated("Link", look=False)), "PDF_MARKED"),
    **{
        f"{kind} annotation": (lambda kind=kind: edited(annotated(kind, F=4)), "PDF_MARKED")  # type: ignore[misc]
        for kind in ("Stamp", "FreeText", "Ink", "Highlight", "Redact", "Text", "Square", "Watermark")
    },
    **{
        f"stamp with flags {flags}": (lambda flags=flags: edited(annotated("Stamp", F=flags)), "PDF_MARKED")  # type: ignore[misc]
        for flags in (0, 2, 32, 36)
    },
    "stamp without flags": (lambda: edited(annotated("Stamp")), "PDF_MARKED"),
    "note without a look": (
        lambda: edited(annotated("FreeText", look=False, Contents=String("x"), DA=String("/Helv 9 Tf"))),
        "PDF_MARKED",
    ),
    "line art in JBIG2": (lambda: make.coded(Name.JBIG2Decode, bytes(30), ColorSpace=Name.DeviceGray), "NOT_COLOUR"),
    "line art in CCITT": (
        lambda: make.coded(
            Name.CCITTFaxDecode,
            b"\x00\x10\x01" * 30,
            ColorSpace=Name.DeviceGray,
            BitsPerComponent=1,
            DecodeParms=Dictionary(K=-1, Columns=1654, Rows=2339),
        ),
        "NOT_COLOUR",
    ),
    "a mask alone": (
        lambda: make.recoded(make.sheet().convert("1"), None, ImageMask=True),
        "NOT_COLOUR",
    ),
    "grey JPEG 2000": (
        lambda: make.coded(Name.JPXDecode, encoded(make.sheet().convert("L"), "JPEG2000"), ColorSpace=Name.DeviceGray),
        "NOT_COLOUR",
    ),
    "grey palette": (lambda: make.indexed(make.sheet().convert("L").convert("RGB")), "NOT_COLOUR"),
    "CMYK": (lambda: make.recoded(make.sheet().convert("CMYK"), Name.DeviceCMYK), "NOT_COLOUR"),
    "pixels cut short": (
        lambda: make.recoded(make.sheet().crop((0, 0, 1654, 2000)), Name.DeviceRGB, Height=2339),
        "FILE_TRUNCATED",
    ),
}


def _play_kept(built: Make, *, inside: float = 0) -> Callable[[Path], str]:
    return lambda folder: _kept(folder, built(), inside=inside)


def _play_repaired(built: Make) -> Callable[[Path], str]:
    return lambda folder: _kept(folder, built(), repaired=True, shown=pdf_of([make.scan()]))


def _play_refused(built: Make, code: str) -> Callable[[Path], str]:
    return lambda folder: _refused(folder, built(), code)


CASES = [
    *(Case(f"PDF scan: {name}", "archived as a reader shows it", _play_kept(built)) for name, built in KEPT.items()),
    Case("PDF scan: white margin of 3 mm", "archived", _play_kept(lambda: edited(_margins), inside=9)),
    Case(
        "PDF scan: bytes before the header",
        "archived, header found as readers find it",
        _play_kept(lambda: b"\r\nHTTP/1.1 200 OK\r\n\r\n" + pdf_of([make.scan()])),
    ),
    *(
        Case(f"PDF scan: {name}", "repaired as readers do, and told", _play_repaired(built))
        for name, built in REPAIRED.items()
    ),
    Case(
        "PDF scan: a stamp on the third page",
        "refused, the third page named",
        lambda folder: _refused(folder, _third(annotated("Stamp")), "PDF_MARKED", page=3),
    ),
    Case(
        "PDF scan: the third page grey",
        "refused, the third page named",
        lambda folder: _refused(folder, _third(_grey), "NOT_COLOUR", page=3),
    ),
    Case(
        "PDF scan: owner's password alone",
        "refused with the setting",
        lambda folder: _refused(folder, _locked(), "PDF_ENCRYPTED", page=None),
    ),
    Case(
        "PDF scan: ten pages in JPEG 2000",
        "archived: limits hold for a page",
        lambda folder: _kept(folder, _many(make.jpeg2000(), 10)),
    ),
    Case(
        "PDF scan: more than 500 pages",
        "refused with the setting",
        lambda folder: _refused(folder, _many(pdf_of([make.scan()]), 501), "PDF_TOO_LARGE", page=None),
    ),
    *(
        Case(f"PDF scan: {name}", "refused with page and setting", _play_refused(*wanted))
        for name, wanted in CHANGED.items()
    ),
]
