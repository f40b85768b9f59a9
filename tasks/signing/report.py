"""What a verification found, for officers (one Vietnamese page) and by the standard (ETSI TS 119 102-2, XML)."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.report.tools import generate_report

from blocks.clock import vietnam_time
from blocks.trust import Believed, clock, run
from tasks.sheet import MARGIN, WIDTH, Sheet
from tasks.signing.verify_model import SignatureVerdict, Verdict
from tasks.signing.verify_reader import TolerantReader, collected, field_name

REPORT_TYPES = {  # kept with each record
    "verification.json": "application/json",
    "etsi-officer.xml": "application/xml",
    "etsi-agency.xml": "application/xml",
}
ROLES = {
    "OFFICER": "Chữ ký số cá nhân (người sao chụp)",
    "SIGNER": "Chữ ký số của người có thẩm quyền (ban hành)",
    "AGENCY": "Chữ ký số cơ quan",
    "MANIFEST": "Chữ ký số trên dữ liệu đặc tả",
    "OTHER": "Chữ ký số (không phải của cơ quan này)",
}
LEVELS = {
    "B-B": "không có dấu thời gian",
    "B-T": "có dấu thời gian",
    "B-LT": "có dấu thời gian và dữ liệu kiểm tra lâu dài",
    "B-LTA": "có dấu thời gian lưu trữ, kiểm tra được lâu dài",
}


def lines(verdict: Verdict) -> list[str]:
    """The verdict in Vietnamese, a sentence a line."""
    found = [verdict.sentence]
    for item in verdict.signatures:
        found.append(f"– {item.sentence}")
        found.append(f"   Chứng thư số: {item.serial}, cấp bởi {item.issuer or 'không rõ'}; mức {_level(item)}.")
    if verdict.renew_before:
        found.append(f"Cần gia hạn dấu thời gian lưu trữ trước ngày {vietnam_time(verdict.renew_before)[:10]}.")
    found.append(f"SHA-256 của tệp: {verdict.sha256}")
    return found


def page_pdf(verdict: Verdict, at: datetime | None = None) -> bytes:
    """One A4 page for the officer (PDF). at: time of the check (None: now)."""
    sheet = Sheet()
    sheet.text("KẾT QUẢ KIỂM TRA CHỮ KÝ SỐ", WIDTH / 2, 14, bold=True, centre=True)
    sheet.y += 26
    told = "HỢP LỆ" if verdict.whole else "CHƯA ĐỦ CHỮ KÝ" if verdict.valid else "KHÔNG HỢP LỆ"
    sheet.text(told, WIDTH / 2, 16, bold=True, centre=True)
    sheet.y += 30
    sheet.paragraph(verdict.sentence, bold=True)
    for number, item in enumerate(verdict.signatures, 1):
        sheet.y += 8
        sheet.paragraph(f"{number}. {ROLES[item.role]}: {'hợp lệ' if item.valid else 'KHÔNG hợp lệ'}", bold=True)
        sheet.paragraph(item.sentence, indent=18)
        if item.signer:
            sheet.paragraph(f"Người ký: {item.signer}", indent=18)
            sheet.paragraph(f"Chứng thư số: {item.serial}; đơn vị cấp: {item.issuer}", indent=18)
        sheet.paragraph(f"Mức chữ ký: {_level(item)}", indent=18)
        if item.signed_at:
            sheet.paragraph(f"Thời điểm ký theo dấu thời gian: {vietnam_time(item.signed_at)}", indent=18)
        if item.revision:
            sheet.paragraph(f"Phiên bản {item.revision}/{item.revisions} của tệp", indent=18)
    sheet.y += 12
    if verdict.renew_before:
        sheet.paragraph(f"Gia hạn dấu thời gian lưu trữ trước ngày {vietnam_time(verdict.renew_before)[:10]}.")
    sheet.paragraph(f"Dung lượng: {verdict.size} byte. SHA-256:", size=10)
    sheet.text(verdict.sha256, MARGIN, 9)
    sheet.y += 20
    sheet.paragraph(f"Kiểm tra lúc {vietnam_time(at or clock())} theo ETSI EN 319 102-1.", size=10)
    return sheet.data()


def _level(item: SignatureVerdict) -> str:
    return f"{item.level} ({LEVELS[item.level]})"


def etsi_reports(source: Path | BinaryIO, trust: Believed) -> dict[str, str]:
    """Field name → validation report (XML) of each signature of a PDF."""

    async def each() -> dict[str, str]:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
            found = {}
            reader = _reader(stream)
            # pyHanko looks for the time-stamps there
            reader._embedded_signatures = collected(reader)[0]  # type: ignore[assignment]
            for item in reader.embedded_regular_signatures:
                known = [c.chosen for c in item.signed_data["certificates"] if c.name == "certificate"]
                status = await ades.ades_lta_validation(item, trust.specification(known))
                found[field_name(item.field_name)] = str(generate_report(item, status))
            return found

    return run(each())


def _reader(stream: BinaryIO) -> PdfFileReader:
    """Strict, or tolerant where the file needs it: the report says what a signature is worth, not what came after."""
    try:
        reader = PdfFileReader(stream)
        if not reader.xrefs.hybrid_xrefs_present:
            return reader
    except PdfReadError:
        pass
    return TolerantReader(stream)
