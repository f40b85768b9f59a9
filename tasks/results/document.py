"""Văn bản kết quả điện tử theo thể thức Nghị định 30/2020/NĐ-CP, phụ lục I: from data to PDF/A-2b.

A4, margins 20 mm (top, bottom), 30 mm (left), 20 mm (right); Tinos, which has the metrics of Times New Roman; national
title and motto at the top right, issuing agency under the one above it at the top left, number and symbol, place and
date, type and abstract, bases, articles, recipients at the bottom left, office and name of the signer at the right.
"""

from __future__ import annotations

import io
import re
from datetime import date

import pikepdf
from pikepdf import pdfa
from pydantic import BaseModel, ConfigDict

from blocks import fonts
from blocks.errors import Remedy, SohoaError
from tasks.sheet import HEIGHT, LINE, MARGIN, WIDTH, Sheet
from tasks.signing.geometry import MM

LEFT, RIGHT = 30 * MM, 20 * MM
MIDDLE = (LEFT + WIDTH - RIGHT) / 2
LEFT_COLUMN, RIGHT_COLUMN = LEFT + 88.0, WIDTH - RIGHT - 128.0  # middles of the two columns of the head
BODY = 14.0  # points; 13 to 14
FIRST = 10 * MM  # lùi đầu dòng
SIGNATURE_ROOM = 84.0  # points between office and name …
SEAL_ROOM = 110.0  # … and where a seal stands there
SEAL = 36 * MM  # its real size
HAND = (120.0, 76.0)  # a picture of the signature
QR_SIDE = 64.0


class ResultNotDrawable(SohoaError):
    """A name or an article has a character that the font lacks: the document would not say what was decided."""

    code, rule, remedy = "RESULT_CHARACTER", "KQ01", Remedy.ADMINISTRATOR
    message = "Văn bản kết quả có ký tự không hiển thị được; vui lòng báo quản trị viên kiểm tra dữ liệu."


class ResultBuildFailed(SohoaError):
    """The document could not be made PDF/A-2b: a fault of the software."""

    code, rule = "RESULT_BUILD", "KQ01"
    message = "Không tạo được văn bản kết quả đúng chuẩn PDF/A; vui lòng báo quản trị viên."


class ResultContent(BaseModel):
    """What stands in the document. number: số, ký hiệu, None in a draft; office: lines over the signature."""

    model_config = ConfigDict(frozen=True)

    parent: str
    agency: str
    number: str | None
    symbol: str
    place: str
    day: date | None
    title: str
    abstract: str
    authority: str  # thẩm quyền ban hành
    bases: tuple[str, ...]
    articles: tuple[str, ...]
    recipients: tuple[str, ...]
    office: tuple[str, ...]
    signer: str
    qr: str
    pictures: bool = False  # of signature and seal: the seal covers a third of the signature, on its left


class Places(BaseModel):
    """Where the signatures go: page (0-based) and boxes (left, bottom, right, top) in points of user space."""

    model_config = ConfigDict(frozen=True)

    page: int
    signer: tuple[float, float, float, float]
    agency: tuple[float, float, float, float]


def result_pdf(content: ResultContent) -> tuple[bytes, Places]:
    """The document, PDF/A-2b, and the room for its signatures. Raises ResultNotDrawable, ResultBuildFailed."""
    words = " ".join(str(value) for value in content.model_dump().values())
    if fonts.missing(words, fonts.REGULAR):
        raise ResultNotDrawable()
    sheet = Sheet(left=LEFT, right=RIGHT)
    _head(sheet, content)
    _body(sheet, content)
    places = _foot(sheet, content)
    _number_pages(sheet)
    return _archival(sheet.data(), f"{content.title.capitalize()} {content.number or ''}".strip()), places


def _head(sheet: Sheet, content: ResultContent) -> None:
    top = sheet.y
    for line in _wrapped(sheet, content.parent, 176, 12):
        sheet.text(line, LEFT_COLUMN, 12, centre=True)
        sheet.y += 15
    for line in _wrapped(sheet, content.agency, 176, 12, bold=True):
        sheet.text(line, LEFT_COLUMN, 12, bold=True, centre=True)
        sheet.y += 15
    sheet.rule(LEFT_COLUMN, 70, 3)
    left_end = sheet.y + 8
    sheet.y = top
    sheet.text("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", RIGHT_COLUMN, 12, bold=True, centre=True)
    sheet.y += 15
    motto = "Độc lập - Tự do - Hạnh phúc"
    sheet.text(motto, RIGHT_COLUMN, 13, bold=True, centre=True)
    sheet.y += 16
    sheet.rule(RIGHT_COLUMN, sheet.length(motto, 13, bold=True), 3)
    sheet.y = max(left_end, sheet.y + 8) + 4
    number = content.number or f"      /{content.symbol}"
    sheet.text(f"Số: {number}", LEFT_COLUMN, 13, centre=True)
    day = content.day
    when = f"ngày {day:%d} tháng {day:%m} năm {day:%Y}" if day else "ngày      tháng      năm"
    sheet.text(f"{content.place}, {when}", RIGHT_COLUMN, 13, italic=True, centre=True)
    sheet.y += 34


def _body(sheet: Sheet, content: ResultContent) -> None:
    sheet.text(content.title, MIDDLE, BODY, bold=True, centre=True)
    sheet.y += 19
    for line in _wrapped(sheet, content.abstract, WIDTH - LEFT - RIGHT - 60, BODY, bold=True):
        sheet.text(line, MIDDLE, BODY, bold=True, centre=True)
        sheet.y += 18
    sheet.rule(MIDDLE, 90, 3)
    sheet.y += 20
    if content.authority:
        sheet.text(content.authority, MIDDLE, BODY, bold=True, centre=True)
        sheet.y += 26
    for number, basis in enumerate(content.bases, 1):
        end = "." if number == len(content.bases) else ";"
        sheet.paragraph(basis.rstrip(" .;") + end, italic=True, first=FIRST, size=BODY, justify=True)
        sheet.y += 4
    if content.authority:
        sheet.y += 8
        sheet.text(f"{content.title}:", MIDDLE, BODY, bold=True, centre=True)
        sheet.y += 26
    for number, article in enumerate(content.articles, 1):
        end = "./." if number == len(content.articles) else "."
        head = f"Điều {number}. "
        sheet.room(BODY * LINE)
        sheet.text(head, LEFT + FIRST, BODY, bold=True)
        into = FIRST + sheet.length(head, BODY, bold=True)
        sheet.paragraph(f"{article.rstrip(' ./;')}{end}", first=into, size=BODY, justify=True)
        sheet.y += 6


def _foot(sheet: Sheet, content: ResultContent) -> Places:
    """Recipients, QR and signer stand on one sheet."""
    between = SEAL_ROOM if content.pictures else SIGNATURE_ROOM
    sheet.room(max(len(content.office) * 18 + between + 30, 20 + 15 * len(content.recipients) + QR_SIDE + 30))
    sheet.y += 12
    top = sheet.y
    sheet.text("Nơi nhận:", LEFT, 12, bold=True, italic=True)
    sheet.y += 16
    for number, recipient in enumerate(content.recipients, 1):
        end = "." if number == len(content.recipients) else ";"
        sheet.text(f"- {recipient.rstrip(' .;')}{end}", LEFT, 11)
        sheet.y += 14
    sheet.y += 6
    sheet.qr(content.qr, LEFT, QR_SIDE)
    sheet.y = top
    for line in content.office:
        sheet.text(line, RIGHT_COLUMN, BODY, bold=True, centre=True)
        sheet.y += 18
    above = sheet.y
    sheet.y += between
    sheet.text(content.signer, RIGHT_COLUMN, BODY, bold=True, centre=True)
    low, high = HEIGHT - sheet.y + 2, HEIGHT - above - 4
    if content.pictures:
        middle, left = (low + high) / 2, RIGHT_COLUMN - HAND[0] / 2
        edge = left + HAND[0] / 3
        return Places(
            page=len(sheet.pdf) - 1,
            signer=(left, middle - HAND[1] / 2, left + HAND[0], middle + HAND[1] / 2),
            agency=(edge - SEAL, middle - SEAL / 2, edge, middle + SEAL / 2),
        )
    # The signer's in the middle between office and name, the agency's to its left.
    return Places(
        page=len(sheet.pdf) - 1,
        signer=(RIGHT_COLUMN - 50, low, WIDTH - RIGHT, high),
        agency=(RIGHT_COLUMN - 178, low, RIGHT_COLUMN - 54, high),
    )


def _number_pages(sheet: Sheet) -> None:
    """Arabic numbers, centred at the top, not on the first page."""
    for number in range(2, len(sheet.pdf) + 1):
        sheet.page, sheet.y = sheet.pdf[number - 1], MARGIN / 2
        sheet.text(str(number), MIDDLE, 13, centre=True)


def _wrapped(sheet: Sheet, text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and sheet.length(longer, size, bold=bold) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# When a PDF was made, in its metadata.
_MADE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:\d\d|Z)")


def same_but_for_times(one: bytes, other: bytes) -> bool:
    """Whether two unsigned results are the same, object by object, made at two moments. Raises ResultBuildFailed."""
    try:
        with pikepdf.open(io.BytesIO(one)) as left, pikepdf.open(io.BytesIO(other)) as right:
            return left.Root.unparse() == right.Root.unparse() and _objects(left) == _objects(right)
    except pikepdf.PdfError as error:
        raise ResultBuildFailed() from error


def _objects(pdf: pikepdf.Pdf) -> list[tuple[bytes, bytes]]:
    """Each object with its bytes; tables of contents of the file itself say nothing."""
    found = []
    for item in pdf.objects:
        if isinstance(item, pikepdf.Stream):
            if item.get("/Type") != "/XRef":
                raw = _MADE.sub(b"", item.read_raw_bytes())
                named = sorted((name, _written(value)) for name, value in item.items() if name != "/Length")
                found.append((repr(named).encode(), raw))
        else:
            found.append((item.unparse(resolved=True), b""))
    return found


def _written(value: object) -> bytes:
    return value.unparse() if isinstance(value, pikepdf.Object) else repr(value).encode()


def _archival(data: bytes, title: str) -> bytes:
    out = io.BytesIO()
    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            if "/Info" in pdf.Root:  # MuPDF's, in the wrong place
                del pdf.Root["/Info"]
            pdfa.prepare(pdf, "2b")
            pdf.Root.Lang = pikepdf.String("vi")
            with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=True) as metadata:
                metadata["dc:title"] = title
                metadata["xmp:CreatorTool"] = "Sohoa"
            pdfa.save(pdf, out, "2b", deterministic_id=True)
    except (pdfa.PdfaError, pikepdf.PdfError) as error:
        raise ResultBuildFailed() from error
    return out.getvalue()
