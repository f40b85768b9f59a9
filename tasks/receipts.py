"""Phiếu tiếp nhận hồ sơ và hẹn trả kết quả (QĐ 352, Điều 5.6, 10; P02): made by the system only, with code and QR.

The slip is handed to the person who brought the dossier, so it names them; it is not kept and goes into no log. The QR
holds the dossier's code alone: who finds a slip learns from it what P03 shows to anyone.
"""

from __future__ import annotations

import io
import unicodedata
from typing import Any
from uuid import UUID

import pikepdf
import pymupdf
import segno

from blocks import fonts
from blocks.catalog import Catalog
from blocks.errors import Remedy, SohoaError
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.codes import VIET_NAM, vietnam_day
from blocks.records.queries import documents, get_dossier
from blocks.records.tables import Dossier
from tasks.scope import verdict_of
from tasks.status import agency_name

mu: Any = pymupdf  # it has no types
MARGIN, WIDTH = 57.0, 595.0  # points; A4, 2 cm
LINE = 1.35  # of the font size


class SlipNotAvailable(SohoaError):
    """There is a slip only for a dossier that was received (P02)."""

    code, rule = "SLIP_NOT_AVAILABLE", "P02"
    message = "Hồ sơ chưa được tiếp nhận nên chưa có phiếu tiếp nhận; vui lòng hoàn tất tiếp nhận trước."
    remedy = Remedy.OFFICER


class _Slip:
    """One A4 sheet, written from top to bottom; a second one follows when the list of papers is long."""

    def __init__(self) -> None:
        self.pdf = mu.open()
        self.plain = mu.Font(fontfile=str(fonts.REGULAR))
        self.bold = mu.Font(fontfile=str(fonts.BOLD))
        self.letters: dict[str, set[str]] = {"bold": set(), "plain": set()}  # what was written, for the text layer
        self._sheet()

    def _sheet(self) -> None:
        self.page = self.pdf.new_page(width=WIDTH, height=842)
        self.y = MARGIN

    def text(self, text: str, x: float, size: float = 12, *, bold: bool = False, centre: bool = False) -> None:
        """One line whose top is at the current height; `x` is its left end, or its middle."""
        font = self.bold if bold else self.plain
        text = _drawable(text)
        left = x - font.text_length(text, size) / 2 if centre else x
        writer = mu.TextWriter(self.page.rect)
        writer.append((left, self.y + size), text, font=font, fontsize=size)
        writer.write_text(self.page)
        self.letters["bold" if bold else "plain"] |= set(text)

    def paragraph(self, text: str, *, bold: bool = False, indent: float = 0, size: float = 12) -> None:
        """Words wrapped to the width of the sheet."""
        font = self.bold if bold else self.plain
        line = ""
        for word in [*text.split(), ""]:
            longer = f"{line} {word}".strip()
            if word and font.text_length(longer, size) <= WIDTH - 2 * MARGIN - indent:
                line = longer
                continue
            if self.y + size * LINE > 842 - MARGIN:
                self._sheet()
            self.text(line, MARGIN + indent, size, bold=bold)
            self.y += size * LINE
            line = word

    def data(self) -> bytes:
        """The finished PDF, fonts subset, its text as it was written."""
        self.pdf.subset_fonts()
        out = io.BytesIO()
        with pikepdf.open(io.BytesIO(self.pdf.tobytes(garbage=3))) as pdf:
            for item in pdf.objects:
                if isinstance(item, pikepdf.Dictionary) and item.get("/Subtype") == "/Type0":
                    bold = "Bold" in str(item.get("/BaseFont"))
                    cmap = _to_unicode(self.bold if bold else self.plain, self.letters["bold" if bold else "plain"])
                    item["/ToUnicode"] = pdf.make_stream(cmap)
            pdf.save(out, compress_streams=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        return out.getvalue()


def _to_unicode(font: Any, letters: set[str]) -> bytes:
    """Glyph → letter for copying and search. MuPDF's own table gives a space as U+00A0 and a hyphen as U+00AD."""
    pairs = sorted((font.has_glyph(ord(letter)), letter) for letter in letters)
    parts = []
    for start in range(0, len(pairs), 100):  # at most 100 entries a block
        block = pairs[start : start + 100]
        rows = "\n".join(f"<{glyph:04x}> <{letter.encode('utf-16-be').hex()}>" for glyph, letter in block)
        parts.append(f"{len(block)} beginbfchar\n{rows}\nendbfchar")
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo <</Registry(Adobe)/Ordering(UCS)/Supplement 0>> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        + "\n".join(parts)
        + "\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


def _drawable(text: str) -> str:
    """NFC, and a visible ? for what Tinos can't draw: such letters would vanish without a word."""
    text = unicodedata.normalize("NFC", text)
    for letter in fonts.missing(text, fonts.REGULAR):
        text = text.replace(letter, "?")
    return text


def receipt_pdf(records: RecordsDatabase, catalog: Catalog, dossier_id: UUID, actor: str = "system") -> bytes:
    """The slip as PDF (A4, embedded Tinos). Each export is noted in the audit trail. Raises SlipNotAvailable."""
    with records.session() as session:
        dossier = get_dossier(session, dossier_id)
        if dossier.code is None or dossier.received_at is None:
            raise SlipNotAvailable()
        on = vietnam_day(dossier.received_at)
        procedure = catalog.procedure(dossier.procedure_code, on)
        papers = [
            (
                catalog.document_type(document.type_code, on).name,
                verdict_of(catalog, document, on).in_scope is not False,
            )
            for document in documents(session, dossier_id)
        ]
        audit(session, actor=actor, action="export_receipt", dossier_id=dossier_id, rule="P02")
        slip = _Slip()
        _head(slip, dossier)
        _body(slip, dossier, procedure.name, procedure.working_days, papers)
    return slip.data()


def _head(slip: _Slip, dossier: Dossier) -> None:
    left, right = MARGIN + 115, WIDTH - MARGIN - 125
    slip.text(agency_name(), left, 10.5, bold=True, centre=True)
    slip.text("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", right, 10.5, bold=True, centre=True)
    slip.y += 15
    slip.text("Bộ phận Tiếp nhận và Trả kết quả", left, 11, centre=True)
    slip.text("Độc lập - Tự do - Hạnh phúc", right, 11.5, bold=True, centre=True)
    slip.y += 45
    slip.text("PHIẾU TIẾP NHẬN HỒ SƠ VÀ HẸN TRẢ KẾT QUẢ", WIDTH / 2, 14, bold=True, centre=True)
    slip.y += 24
    slip.text(f"Mã hồ sơ: {dossier.code}", WIDTH / 2, 13, bold=True, centre=True)
    slip.y += 26
    image = io.BytesIO()
    segno.make(dossier.code or "", error="m", micro=False).save(image, kind="png", scale=8, border=4)
    box = mu.Rect(WIDTH / 2 - 55, slip.y, WIDTH / 2 + 55, slip.y + 110)
    slip.page.insert_image(box, stream=image.getvalue())
    slip.y += 122


def _body(slip: _Slip, dossier: Dossier, procedure: str, days: int, papers: list[tuple[str, bool]]) -> None:
    assert dossier.received_at is not None
    received = dossier.received_at.astimezone(VIET_NAM)
    slip.paragraph(f"Tiếp nhận hồ sơ của: {dossier.owner_name}")
    slip.paragraph(f"Nội dung yêu cầu giải quyết: {procedure} (mã thủ tục {dossier.procedure_code})")
    slip.paragraph("Thành phần hồ sơ nộp gồm:", bold=True)
    for number, (name, kept) in enumerate(papers, 1):
        slip.paragraph(f"{number}. {name}{'' if kept else ' (không số hóa)'}", indent=18)
    slip.paragraph(f"Số lượng bản giấy tiếp nhận: {dossier.originals_declared}")
    slip.paragraph(f"Thời gian giải quyết theo quy định: {days} ngày làm việc")
    slip.paragraph(f"Thời gian nhận hồ sơ: {received:%H} giờ {received:%M} phút, ngày {received:%d/%m/%Y}")
    if dossier.due_date is not None:
        slip.paragraph(f"Ngày hẹn trả kết quả: {dossier.due_date:%d/%m/%Y}", bold=True)
    slip.y += 10
    slip.paragraph(
        "Tra cứu tình trạng giải quyết bằng mã hồ sơ hoặc mã QR trên phiếu. "
        "Phiếu do Hệ thống thông tin một cửa điện tử kết xuất; phiếu lập ngoài hệ thống không có giá trị.",
        size=10.5,
    )
