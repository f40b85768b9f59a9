"""Papers that the cases of reading draw beside the samples' own: several on one image, lists, stamps of secrecy."""

from __future__ import annotations

import random

import cv2
import numpy as np
from PIL import Image, ImageDraw

from tests.bench.heads import _Pen as Pen
from tests.samples.documents import make_document, page_pixels
from tests.samples.forms import FORMS, make_case
from tests.samples.forms.base import issuer_head, national
from tests.samples.look import Look, font
from tests.samples.scan import Pixels, scan
from tests.samples.sheet import Sheet

DPI = 200
LOOK = Look(dpi=DPI, skew=0.3, seed=5)


def pages(type_code: str, number: int, seed: int = 5, dpi: int = DPI) -> list[Pixels]:
    """The pages of one paper of the samples' generator; another number is another person."""
    return page_pixels(*make_document(seed, number, type_code, dpi=dpi))


def paper(type_code: str, number: int, **look: object) -> tuple[dict[str, str | None], list[Pixels]]:
    """True fields and pages of one paper. look: what of its look is other than the generator would draw."""
    drawn, usual = make_document(77, number, type_code, dpi=DPI)
    if look:
        drawn = FORMS[type_code](make_case(random.Random(f"paper {number}")), usual.but(**look))
    return drawn.fields, page_pixels(drawn, usual)


def beside(*images: Pixels) -> Pixels:
    """Side by side on the glass, their upper edges level."""
    high = max(image.shape[0] for image in images)
    return np.hstack([_filled(image, high, image.shape[1]) for image in images])


def above(*images: Pixels) -> Pixels:
    """One under the other."""
    wide = max(image.shape[1] for image in images)
    return np.vstack([_filled(image, image.shape[0], wide) for image in images])


def top(image: Pixels, share: float) -> Pixels:
    """Its upper part, as of a paper that is so much lower than A4."""
    return image[: round(share * image.shape[0])]


def _filled(image: Pixels, high: int, wide: int) -> Pixels:
    out = np.full((high, wide, 3), 250, np.uint8)
    out[: image.shape[0], : image.shape[1]] = image
    return out


def list_of_people(heads: list[str], widths: list[float], rows: list[list[str]], look: Look = LOOK) -> Pixels:
    """A ruled list under the head of an agency's paper, all in capitals as offices print it."""
    sheet = Sheet(look)
    issuer_head(sheet, 52, 18, "", ["CÔNG TY CỔ PHẦN MAY MẶC", "AN BÌNH"], 12)
    national(sheet, 145, 18, 11.5)
    sheet.put(105, 44, "DANH SÁCH NGƯỜI LAO ĐỘNG", 14, bold=True, align="c")
    sheet.put(105, 51, "Tháng 6 năm 2025", 12, italic=True, align="c")
    sheet.table(16, 60, widths, [heads, *rows], size=11, centre=(0,))
    return scan(sheet.image, look, 1)


def report(mark: str, colour: tuple[int, int, int], place: tuple[float, float], look: Look = LOOK) -> Pixels:
    """A report of an office with a framed mark, its letters 4 mm high (Thông tư 24/2020/TT-BCA), at place (mm)."""
    sheet = Sheet(look)
    issuer_head(sheet, 55, 18, "ỦY BAN NHÂN DÂN", ["TỈNH NINH BÌNH"], 12.5)
    national(sheet, 145, 18, 12)
    sheet.put(55, 31, "Số: 218/BC-UBND", 12.5, align="c")
    sheet.put(145, 31, "Ninh Bình, ngày 14 tháng 5 năm 2025", 12.5, italic=True, align="c")
    sheet.put(105, 60, "BÁO CÁO", 14, bold=True, align="c")
    sheet.put(105, 67, "Tình hình chi trả các chế độ bảo hiểm xã hội", 13, bold=True, align="c")
    text = "Thực hiện chỉ đạo của cấp trên, đơn vị báo cáo tình hình chi trả trong sáu tháng đầu năm như sau. "
    sheet.para(28, 80, 160, text * 6, 13)
    x, y = place
    wide = sheet.measure(mark, 16, True)
    sheet.put(x, y, mark, 16, bold=True, colour=colour, align="c")
    frame = [sheet.px(v) for v in (x - wide / 2 - 2.5, y - 6.2, x + wide / 2 + 2.5, y + 2.4)]
    sheet.draw.rectangle(frame, outline=colour, width=sheet.px(0.4))
    return scan(sheet.image, look, 1)


def turned(image: Pixels, quarter: int) -> Pixels:
    """Turned by so many quarters of a circle, anticlockwise."""
    return np.ascontiguousarray(np.rot90(image, quarter))


def framed(image: Pixels, share: float = 0.04) -> Pixels:
    """With the black borders of a scanner whose lid stood open."""
    edge = round(share * image.shape[1])
    return np.asarray(cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(12, 12, 14)))


def on_coloured_ground(image: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """As if printed on paper of that colour."""
    return (image.astype(np.uint16) * np.array(colour, np.uint16) // 255).astype(np.uint8)


def faxed(image: Pixels, share: float) -> Pixels:
    """Sent with `share` of its resolution in black and white, then scanned."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    _, small = cv2.threshold(small, 165, 255, cv2.THRESH_BINARY)
    large = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB))


def stamped(image: Pixels, places: tuple[tuple[float, float], ...] = ((0.35, 0.33), (0.6, 0.45))) -> Pixels:
    """With round red stamps over its print, their centres at shares of width and height."""
    out = image
    high, wide = image.shape[:2]
    for x, y in places:
        layer = Image.new("L", (wide, high))
        pen, radius, middle = ImageDraw.Draw(layer), 0.09 * wide, (x * wide, y * high)
        for share, width in ((1.0, 7), (0.72, 4)):
            pen.circle(middle, share * radius, outline=255, width=width)
        for line, text in ((-0.15, "BẢO HIỂM"), (0.2, "XÃ HỘI")):
            face = font("Tinos", True, False, round(0.28 * radius))
            pen.text((middle[0], middle[1] + line * radius), text, font=face, fill=255, anchor="mm")
        ink = np.asarray(layer)[..., None] / 255 * 0.85
        out = (out * (1 - ink) + np.minimum(out, (205, 35, 45)) * ink).astype(np.uint8)
    return out


def glared(image: Pixels, places: tuple[tuple[float, float], ...] = ((0.4, 0.3), (0.65, 0.45))) -> Pixels:
    """A photo of a glossy paper under a lamp: print pales and vanishes in patches."""
    high, wide = image.shape[:2]
    rows, columns = np.mgrid[:high, :wide]
    out = image.astype(np.float32)
    for x, y in places:
        far = ((columns - x * wide) / (0.16 * wide)) ** 2 + ((rows - y * high) / (0.1 * wide)) ** 2
        light = np.exp(-(far**2))[..., None] * 0.9
        out = out * (1 - light) + 255 * light
    return out.astype(np.uint8)


def showing_through(image: Pixels, back: Pixels) -> Pixels:
    """Thin paper: the print of its back, mirrored and soft."""
    behind = cv2.GaussianBlur(back[:, ::-1].astype(np.float32), (0, 0), 2.2)
    return np.clip(image.astype(np.float32) - (250 - behind) * 0.28, 0, 255).astype(np.uint8)


def blurred(image: Pixels) -> Pixels:
    """Out of focus, or a carbon copy."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2.4))


def filled_by_hand(seed: int) -> tuple[dict[str, str], Pixels]:
    """A certificate of sick leave with numbers in pen on its printed labels; what the pen wrote."""
    rng = random.Random(f"by hand {seed}")
    sheet = Sheet(LOOK)
    pen = Pen(rng, sheet)
    person, insured = (f"{rng.randrange(10**n):0{n}d}" for n in (12, 10))
    day, month = rng.randint(1, 28), rng.randint(1, 12)
    sheet.put(105, 50, "GIẤY CHỨNG NHẬN", 15, bold=True, align="c")
    sheet.put(105, 57, "NGHỈ VIỆC HƯỞNG BẢO HIỂM XÃ HỘI", 13, bold=True, align="c")
    sheet.put(24, 75, "Họ và tên: Nguyễn Thị Lan", 13)
    labels = (("Số CCCD/Mã định danh:", person), ("Mã số BHXH/Số thẻ BHYT:", insured), ("Số ngày nghỉ:", "05"))
    for row, (label, value) in enumerate(labels):
        sheet.put(24, 85 + 11 * row, label, 13)
        pen.write(27 + sheet.measure(label, 13), 85 + 11 * row, value)
    sheet.put(24, 118, "Từ ngày", 13)
    end = pen.write(45, 118, f"{day:02d}") + 1
    sheet.put(end, 118, "/", 13)
    sheet.put(pen.write(end + 3, 118, f"{month:02d}") + 1, 118, "/2025", 13)
    text = "Căn cứ Luật Bảo hiểm xã hội ngày 29 tháng 6 năm 2024, các đơn vị liên quan phối hợp triển khai đồng bộ. "
    sheet.para(24, 150, 165, text * 9, 12)
    wrote = {"owner_id": person, "special.bhxh_number": insured, "special.leave_days": "5"}
    return wrote | {"special.leave_from": f"2025-{month:02d}-{day:02d}"}, scan(sheet.image, LOOK, 1)
