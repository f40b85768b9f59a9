"""Phiếu tiếp nhận hồ sơ và hẹn trả kết quả (QĐ 352, Điều 5.6, 10; P02): made by the system only, with code and QR.

The slip is handed to the person who brought the dossier, so it names them; it is not kept and goes into no log. The QR
holds the dossier's code alone: who finds a slip learns from it what P03 shows to anyone.
"""

from __future__ import annotations

from blocks.catalog import Catalog
from blocks.clock import VIET_NAM, vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents, get_dossier
from blocks.records.tables import Dossier
from tasks.intake.public_status import agency_name
from tasks.scope.decide import verdict_of
from tasks.sheet import MARGIN, WIDTH, Sheet


class SlipNotAvailable(SohoaError):
    """There is a slip only for a dossier that was received (P02)."""

    code, rule = "SLIP_NOT_AVAILABLE", "P02"
    message = "Hồ sơ chưa được tiếp nhận nên chưa có phiếu tiếp nhận; vui lòng hoàn tất tiếp nhận trước."
    remedy = Remedy.OFFICER


def receipt_pdf(records: RecordsDatabase, catalog: Catalog, dossier_id: DossierId, actor: str = "system") -> bytes:
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
        slip = Sheet()
        _head(slip, dossier)
        _body(slip, dossier, procedure.name, procedure.working_days, papers)
    return slip.data()


def _head(slip: Sheet, dossier: Dossier) -> None:
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
    slip.qr(dossier.code or "", WIDTH / 2 - 55, 110)
    slip.y += 122


def _body(slip: Sheet, dossier: Dossier, procedure: str, days: int, papers: list[tuple[str, bool]]) -> None:
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
