"""Tờ ngăn: sheets that are laid between the papers of a dossier before it is scanned at one go.

Each holds a code on both sides, so that its back parts nothing anew in a duplex scanner. No personal data, nothing of
one dossier: they are used again.
"""

from __future__ import annotations

from collections.abc import Sequence

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from tasks.capture.facts import SEPARATOR
from tasks.sheet import HEIGHT, MARGIN, WIDTH, Sheet

QR = 240  # points: a scanner at 200 dpi sees 25 dots for each module
MOST = 100  # sheets of one file


def separators_pdf(catalog: Catalog, procedure: str | None = None, count: int = 1) -> bytes:
    """A PDF of A4 pages, front and back of each sheet: `count` sheets for any paper, or one for each of a procedure.

    A sheet of a procedure names the type of the paper that follows it. Raises ProcedureUnknown.
    """
    sheets = _of_procedure(catalog, procedure) if procedure else [("", "")] * max(1, min(count, MOST))
    made = Sheet()
    for number, (code, name) in enumerate(sheets):
        for back in (False, True):
            if number or back:
                made.room(HEIGHT)
            _side(made, code, name, back=back)
    return made.data()


def _of_procedure(catalog: Catalog, procedure: str) -> Sequence[tuple[str, str]]:
    today = vietnam_day()
    groups = catalog.procedure(procedure, today).components
    return [(code, catalog.document_type(code, today).name) for group in groups for code in group.any_of[:1]]


def _side(sheet: Sheet, code: str, name: str, *, back: bool) -> None:
    sheet.text("TỜ NGĂN", WIDTH / 2, 34, bold=True, centre=True)
    sheet.y += 60
    sheet.paragraph(f"Giấy tờ sau tờ này: {name}" if name else "Giấy tờ tiếp theo của cùng hồ sơ", bold=True, size=16)
    sheet.y = 250.0
    sheet.qr(f"{SEPARATOR}:{code}" if code else SEPARATOR, WIDTH / 2 - QR / 2, QR)
    sheet.y = HEIGHT - MARGIN - 110
    sheet.paragraph(
        "Đặt tờ này trước mỗi giấy tờ rồi quét cả hồ sơ một lần, ảnh màu. Tờ ngăn không thuộc hồ sơ, không được lưu; "
        "lấy ra dùng lại. In hai mặt; không tô, viết lên mã.",
        size=12,
    )
    sheet.text("mặt sau" if back else "mặt trước", WIDTH / 2, 11, centre=True)
