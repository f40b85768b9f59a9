"""P02–P04: what anyone may look up, and the slip that only the system makes."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

import cv2
import numpy as np
import pymupdf
import pytest
from sqlmodel import col, select

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.records import RecordsDatabase
from blocks.records.machine import PublicStatus, move_dossier
from blocks.records.queries import DossierUnknown
from blocks.records.states import DossierState
from blocks.records.tables import AuditEntry, Dossier
from tasks.intake.public_status import DossierWithdrawn, status_of
from tasks.intake.receipt import SlipNotAvailable, receipt_pdf
from tasks.intake.reception import receive, refuse
from tests.tasks.lawcase import NAME, OWNER_ID, RECEIVED, get_case, make_dossier

H = DossierState
CATALOG = Catalog()
LABELS = [
    "Cơ quan BHXH giải quyết",
    "Phòng ban giải quyết",
    "Ngày tiếp nhận",
    "Ngày trả kết quả",
    "Tình trạng xử lý hồ sơ",
]


def received(records: RecordsDatabase) -> tuple[str, Dossier]:
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD", "LOCAL:01B-HSB"])
    code = receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED).code
    assert code
    return code, get_case(records, dossier_id)


def test_P03_P04_the_five_values_and_nothing_personal(records: RecordsDatabase) -> None:
    code, dossier = received(records)
    way = [
        (H.SO_HOA, PublicStatus.RECEIVED),
        (H.DA_CHUYEN, PublicStatus.IN_PROGRESS),
        (H.THAM_DINH, PublicStatus.IN_PROGRESS),
        (H.TRINH_KY, PublicStatus.IN_PROGRESS),
        (H.KY_CO_QUAN, PublicStatus.IN_PROGRESS),
        (H.CO_KET_QUA, PublicStatus.RESULT_READY),
        (H.DA_TRA, PublicStatus.RETURNED),
        (H.LUU_TRU, PublicStatus.RETURNED),
    ]
    view = status_of(records, code)
    assert list(view) == LABELS
    assert view["Ngày tiếp nhận"] == "20/11/2026" and view["Ngày trả kết quả"] == "01/12/2026"
    assert view["Tình trạng xử lý hồ sơ"] == "Bảo hiểm xã hội đã tiếp nhận hồ sơ"
    for state, status in way:
        with records.session() as session:
            move_dossier(session, session.get_one(Dossier, dossier.id), state, actor="test")
        view = status_of(records, code)
        assert view["Tình trạng xử lý hồ sơ"] == status
        text = " ".join(value or "" for value in view.values())
        assert NAME not in text and OWNER_ID not in text
    result = get_case(records, dossier.id).result_at
    assert result and view["Ngày trả kết quả"] == f"{vietnam_day(result):%d/%m/%Y}"


def test_P03_refused_and_withdrawn(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    code = refuse(records, dossier_id, "tnhs.01", "Thiếu giấy tờ.").code
    assert code
    view = status_of(records, code)
    assert view["Tình trạng xử lý hồ sơ"] == "Bảo hiểm xã hội đã từ chối hồ sơ"
    assert view["Ngày tiếp nhận"] is None and view["Ngày trả kết quả"] is None
    withdrawn, dossier = received(records)
    with records.session() as session:
        move_dossier(session, session.get_one(Dossier, dossier.id), H.RUT, actor="tnhs.01")
    with pytest.raises(DossierWithdrawn):
        status_of(records, withdrawn)


@pytest.mark.parametrize("code", ["", "BHXH-TEST-261120-9999", "' OR 1=1 --", "x" * 100, OWNER_ID])
def test_P03_unknown_codes(records: RecordsDatabase, code: str) -> None:
    with pytest.raises(DossierUnknown) as unknown:
        status_of(records, code)
    assert not code or code not in unknown.value.text


def test_P02_slip_with_code_qr_and_vietnamese_text(records: RecordsDatabase) -> None:
    code, dossier = received(records)
    data = receipt_pdf(records, CATALOG, dossier.id)
    with pymupdf.open(stream=data) as pdf:
        assert len(pdf) == 1
        text = " ".join(pdf[0].get_text().split())
        fonts = {name for _, _, _, name, *_ in pdf[0].get_fonts()}
        pixels = pdf[0].get_pixmap(dpi=200)
    image = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3)
    assert cv2.QRCodeDetector().detectAndDecode(image)[0] == code  # the code alone: no personal data
    assert unicodedata.is_normalized("NFC", text)
    assert "Độc lập - Tự do - Hạnh phúc" in text and "\xad" not in text
    for line in (
        "PHIẾU TIẾP NHẬN HỒ SƠ VÀ HẸN TRẢ KẾT QUẢ",
        f"Mã hồ sơ: {code}",
        f"Tiếp nhận hồ sơ của: {NAME}",
        "Giải quyết hưởng chế độ ốm đau (mã thủ tục 1.001667)",
        "1. Giấy chứng nhận nghỉ việc hưởng bảo hiểm xã hội (C65-HD)",
        "Thời gian giải quyết theo quy định: 6 ngày làm việc",
        "10 giờ 00 phút, ngày 20/11/2026",
        "Ngày hẹn trả kết quả: 01/12/2026",
    ):
        assert line in text
    assert OWNER_ID not in text
    assert fonts and all("Tinos" in name for name in fonts)
    assert len(data) < 150_000
    with records.session() as session:
        assert session.exec(select(AuditEntry).where(col(AuditEntry.rule) == "P02")).one().action == "export_receipt"


def test_P02_no_slip_before_reception(records: RecordsDatabase) -> None:
    dossier_id, _ = make_dossier(records, ["LOCAL:C65-HD"])
    with pytest.raises(SlipNotAvailable):
        receipt_pdf(records, CATALOG, dossier_id)


def test_P02_a_long_list_goes_on_a_second_sheet_and_odd_letters_stay_visible(records: RecordsDatabase) -> None:
    types = ["LOCAL:C65-HD", "LOCAL:01B-HSB", *["LOCAL:HOA-DON"] * 60]
    dossier_id, _ = make_dossier(records, types, owner_name="Trần 陳 Văn B", owner_birth_date=date(1990, 1, 1))
    receive(records, CATALOG, dossier_id, "tnhs.01", at=RECEIVED)
    with pymupdf.open(stream=receipt_pdf(records, CATALOG, dossier_id)) as pdf:
        text = " ".join(" ".join(page.get_text() for page in pdf).split())
        assert len(pdf) == 2
    assert "Trần ? Văn B" in text and re.search(r"62\. Hóa đơn", text)
