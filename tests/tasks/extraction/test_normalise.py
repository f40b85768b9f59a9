"""Normal forms (docs/formats.md): EXd number and symbol, EXđ dates, identifiers, names, amounts."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.extraction.checks import century_and_sex, id_fits_birth, tax_code_holds
from tasks.extraction.dates import find_dates, normalise_date
from tasks.extraction.labels import find_labels, squeeze
from tasks.extraction.layout import BODY, Row
from tasks.extraction.letters import fold
from tasks.extraction.normalise import KINDS, normalise_field
from tasks.extraction.restore import restore, unfinished

DAYS = st.dates(date(1900, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("Số: 352 /QĐ-BHXH", "352/QĐ-BHXH"),
        ("Số:1333/QĐ-BHXH", "1333/QĐ-BHXH"),
        ("45/2020/NĐ-CP", "45/2020/NĐ-CP"),
        ("24/BC-VP", "24/BC-VP"),
        ("6191/BVT-TCKT", "6191/BVT-TCKT"),
        ("52-NQ/TW", "52-NQ/TW"),
        ("Số: 0 5 /CT-UBND", "05/CT-UBND"),
        ("Số: 12 / QĐ - BHXH", "12/QĐ-BHXH"),
        ("Số: 12/QÐ–BHXH", "12/QĐ-BHXH"),  # Eth for Đ, en dash
        ("421/GĐỴK-TNLĐ", "421/GĐYK-TNLĐ"),  # initials have no tones
        ("07/TTr-VPĐKĐĐ", "07/TTr-VPĐKĐĐ"),
        ("93/TTr-sTC", "93/TTr-STC"),  # letters that look alike in both cases
        ("5/CĐ-TTg", "5/CĐ-TTg"),
        ("Số: /KH-BHXH", None),
        ("Số:        /KH-BHXH", None),
        ("Số: ....../QĐ-BHXH", None),
        ("Số: 4Ạ/CT-UBND", None),
        ("", None),
    ],
)
def test_EXd_number_and_symbol(printed: str, value: str | None) -> None:
    assert normalise_field("number_symbol", printed) == value
    assert normalise_field("number_symbol", unicodedata.normalize("NFD", printed)) == value


@given(st.integers(1, 99999), st.sampled_from(["QĐ", "TB", "KH", "TTr"]), st.sampled_from(["BHXH", "UBND", "VPCP"]))
def test_EXd_spaces_and_prefix_change_nothing(number: int, kind: str, agency: str) -> None:
    value = f"{number}/{kind}-{agency}"
    for printed in (value, f"Số: {value}", f"Số {number} / {kind} - {agency}", f"  Số:{value} ."):
        assert normalise_field("number_symbol", printed) == value
    assert normalise_field("number_symbol", value) == value


@given(DAYS)
def test_EXe_all_printed_forms_of_a_date(day: date) -> None:
    words = f"ngày {day.day:02d} tháng {day.month} năm {day.year}"
    forms = (
        words,
        f"Hà Nội, {words}",
        f"ngày {day.day}tháng{day.month:02d} năm {day.year}.",
        f"Ngày {day.day:02d} tháng {day.month:02d} nãm {day.year}",
        f"{day.day:02d}/{day.month:02d}/{day.year}",
        f"{day.day}-{day.month}-{day.year}",
        f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"10 giờ 30 phút, {words}",
        day.isoformat(),
    )
    for form in forms:
        assert normalise_date(form) == day.isoformat(), form


@pytest.mark.parametrize(
    "printed",
    [
        "ngày     tháng 01 năm 2025",
        "ngày ... tháng ... năm 2024",
        "ngàyq 5 tháng 4 năm 2020",
        "ngày 31 tháng 2 năm 2024",
        "tháng 5 năm 2024",
        "32/01/2024",
        "01/2024",
        "từ 01/02/2024 đến 03/02/2024",
    ],
)
def test_EXe_what_is_no_date_stays_empty(printed: str) -> None:
    assert normalise_date(printed) is None


@given(st.text(max_size=60))
def test_normal_forms_never_fail_and_are_stable(text: str) -> None:
    for kind in KINDS.values():
        once = kind(text)
        assert once is None or once.strip()
        if once is not None and kind is not KINDS["months"]:
            assert kind(once) == once


@given(st.text(max_size=80))
def test_folding_keeps_positions(text: str) -> None:
    assert len(fold(text)) == len(text)
    squeezed, at = squeeze(text)
    assert len(squeezed) == len(at)
    for found in find_dates(text):
        assert text[found.start : found.end] == found.printed


@pytest.mark.parametrize(
    ("kind", "printed", "value"),
    [
        ("person_id", "038 181 575 040", "038181575040"),
        ("person_id", "0381815750", None),
        ("person_id", "O38181575040", None),
        ("person_id", "0381815750401", None),
        ("bhxh_number", "0214463325.", "0214463325"),
        ("health_card", "DN 4 79 7912345678", "DN4797912345678"),
        ("health_card", "DN9797912345678", None),
        ("bhxh_or_card", "CH4621917904281", "CH4621917904281"),
        ("tax_code", "0858320373-001", "0858320373-001"),
        ("owner_id", "000.00.12.H01", "000.00.12.H01"),
        ("name", "NGUYỄN  THỊ   BÌNH ......", "NGUYỄN THỊ BÌNH"),
        ("name", "Lương Đình.Tùng", "Lương Đình Tùng"),
        ("name", "Tổ 5", None),
        ("birth", "1985", "1985"),
        ("birth", "22/Q1/1981", None),
        ("money", "1.234.000 đồng", "1234000"),
        ("money", "109.823.00", None),
        ("money", "69.300:000 đồng", "69300000"),
        ("money", "1234.000", None),
        ("month", "9/2025", "2025-09"),
        ("month", "13/2025", None),
        ("rate", "25,5 %", "25,5"),
        ("tick", "x", "Nữ"),
        ("tick", "Nam", "Nam"),
        ("tick", "?", None),
        ("amount_words", "Sáu mươi chín triệu ba trăm linh năm nghìn đồng.", "69305000"),
        ("amount_words", "Sáu mươi chín", None),
        ("date_words", "Ngày năm tháng năm năm hai nghìn không trăm hai mươi lăm", "2025-05-05"),
        ("date_words", "Ngày ba mươi tháng hai năm hai nghìn không trăm hai mươi lăm", None),
        ("agency", "Công ty TNHH Thủy sản Thử Nghiệm (", "Công ty TNHH Thủy sản Thử Nghiệm"),
        ("tax_code", "0462112879 (", "0462112879"),
        ("months", "12 năm 03 tháng", "147"),
        ("sex", "Nạm", "Nam"),
        ("sex", "Nữ.", "Nữ"),
        ("sex", "Không rõ", None),
        ("count", "05 ngày", "5"),
        ("phone", "0936.579.461", "0936579461"),
        ("text", ".....", None),
        ("text", "tỉnh . Bắc Ninh", "tỉnh Bắc Ninh"),
        ("month", "03/2007 •", "2007-03"),
        ("person_id", "048316973629 ‘", "048316973629"),
        ("person_id", "05109804Ì957", "051098041957"),
    ],
)
def test_other_forms(kind: str, printed: str, value: str | None) -> None:
    assert KINDS[kind](printed) == value


def test_EXb_what_a_personal_id_tells() -> None:
    assert century_and_sex("001099012345") == (1900, "Nam")
    assert century_and_sex("001301012345") == (2000, "Nữ")
    assert id_fits_birth("001099012345", "1999-01-02") and not id_fits_birth("001099012345", "1998-01-02")


def test_the_check_digit_of_a_tax_code() -> None:
    assert tax_code_holds("0462112879") and tax_code_holds("0543738505-001")
    assert not tax_code_holds("0462112878") and not tax_code_holds("0543738506")


def row(text: str) -> Row:
    return Row(1, text, (), (0, 0, 100, 10), BODY)


def test_labels_tolerate_marks_spaces_and_case_of_running_text() -> None:
    labels = ["Họ và tên", "Họ và tên mẹ/Người nuôi dưỡng", "Ngày sinh", "Số:", "Chẩn đoán"]
    hits = find_labels(row("1.Họ vàtên: Trần Văn Thử Ngay sinh: 01/02/1990"), labels)
    assert [hit.label for hit in hits] == ["Họ và tên", "Ngày sinh"]
    assert [h.label for h in find_labels(row("Ho và tên me/Nguời nuôi dưỡng: Lê Thị Thử"), labels)] == [labels[1]]
    assert find_labels(row("Điều chỉnh ngày sinh trên sổ BHXH"), labels) == []
    assert find_labels(row("Công ty Cổ phần Điện tử Hòa Bình"), ["Điện thoại"]) == []
    assert find_labels(row("Điên thọai: 0912"), ["Điện thoại"])
    assert find_labels(row("Số lượng 12"), labels) == []  # "Số:" counts only with its colon


def test_closed_lists_restore_marks_and_leave_other_words() -> None:
    assert restore("BÁO HIẼM XÃ HỘI THÀNH PHỐ HÁI PHÒNG") == ("BẢO HIỂM XÃ HỘI THÀNH PHỐ HẢI PHÒNG", True)
    assert restore("BẢO HIỂM XÃ HỘI TỈNH NGHỆ AN") == ("BẢO HIỂM XÃ HỘI TỈNH NGHỆ AN", True)
    assert restore("ỦY BAN NHÂN DÂN XÃ HÒA PHONG") == ("ỦY BAN NHÂN DÂN XÃ HÒA PHONG", False)
    assert restore("Công ty Cố phãn Thử Nghiệm")[0] == "Công ty Cổ phần Thử Nghiệm"
    assert restore("SỞ Y TẼ THÀNH PHỔ HÕ CHÍMINH")[0].startswith("SỞ Y TẾ THÀNH PHỐ H")


@pytest.mark.parametrize(
    ("agency", "lost"),
    [
        ("BẢO HIỂM XÃ HỘI THÀNH PHỐ", True),
        ("Ủy ban nhân dân xã Nghi Thạch, huyện Nghi Lộc, tỉnh Nghệ", True),
        ("Ủy ban nhân dân xã", True),
        ("BẢO HIỂM XÃ HỘI THÀNH PHỐ HÀ NỘI", False),
        ("Ủy ban nhân dân thành phố Vinh, tỉnh Nghệ An", False),
        ("BẢO HIỂM XÃ HỘI TỈNH (TEST)", False),
        ("BỆNH VIỆN ĐA KHOA THÀNH PHỐ VINH", False),
        ("Công ty TNHH Tỉnh Hà", True),  # as far as can be told: the officer looks
        ("BẢO HIỂM XÃ HỘI VIỆT NAM", False),
    ],
)
def test_EXe_agencies_whose_place_is_missing_are_told(agency: str, lost: bool) -> None:
    assert unfinished(agency) is lost
