"""Lists of people as rows of fields (EXk): columns by headings, rows by numbers, nothing taken from elsewhere."""

from __future__ import annotations

import math
from typing import Any

from blocks.ocr.types import Line, PageText, Word
from tasks.extraction.checks import cross_check
from tasks.extraction.extract import extract
from tasks.extraction.fields import Extracted
from tasks.extraction.normalise import normalise_field
from tasks.extraction.profiles import field_label, row_field
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.tasks.extraction.test_extract import paper, read

ENGINE = "det@12345678 + rec@abcdef01"
STT, NAME, BHXH, BORN, SEX, ID, JOB, PAY, MONTH, NOTE = (40, 150, 320, 450, 540, 660, 880, 1080, 1200, 1300)
HEADS = (
    ("STT", STT, 200), ("Họ và tên", NAME, 200), ("Mã số BHXH", BHXH, 200), ("Ngày sinh", BORN, 200), ("Nữ", SEX, 200),
    ("Số CCCD/ĐDCN", ID, 200), ("Cấp bậc, chức vụ, chức danh", JOB, 190), ("nghề, nơi làm việc", JOB, 212),
    ("Tiền lương", PAY, 190), ("(đồng)", PAY, 212), ("Từ tháng,", MONTH, 190), ("năm", MONTH, 212),
    ("Ghi chú", NOTE, 200),
)  # fmt: skip


def line(text: str, x: float, y: float, skew: float = 0.0, left: bool = False) -> Line:
    """Text of 20 px height centred on x (or beginning there), on a page turned by `skew` degrees."""
    wide = 9.0 * len(text)
    x0 = x if left else x - wide / 2

    def turned(px: float, py: float) -> tuple[float, float]:
        return px - py * math.tan(math.radians(skew)), py + px * math.tan(math.radians(skew))

    polygon = (turned(x0, y - 10), turned(x0 + wide, y - 10), turned(x0 + wide, y + 10), turned(x0, y + 10))
    words, at = [], x0
    for word in text.split():
        (a, b), (c, d) = turned(at, y - 10), turned(at + 9 * len(word), y + 10)
        words.append(Word(word, (a, b, c, d)))
        at += 9 * (len(word) + 1)
    return Line(text, 0.99, polygon, tuple(words))


def page(*lines: Line) -> PageText:
    return PageText(1400, 1000, 150, lines, engine=ENGINE)


def person(n: int, y: float, skew: float = 0.0, **cells: str) -> list[Line]:
    values = {
        "name": f"Thử Văn {'ABCDE'[n]}n", "bhxh": f"791234567{n}", "born": "02/01/1990", "id": f"00109000000{n}",
        "job": "Thợ may", "pay": "7.800.000", "month": "09/2025", **cells,
    }  # fmt: skip
    centres = {"bhxh": BHXH, "born": BORN, "sex": SEX, "id": ID, "pay": PAY, "month": MONTH}
    out = [line(str(n), STT, y, skew), line(values.pop("name"), 75, y, skew, left=True)]
    jobs = values.pop("job").split("|")
    out += [line(job, 790, y + 22 * (k - (len(jobs) - 1) / 2), skew, left=True) for k, job in enumerate(jobs)]
    return out + [line(value, centres[name], y, skew) for name, value in values.items() if value]


def employees(*lines: Line, skew: float = 0.0) -> dict[str, Extracted]:
    heads = [line(text, x, y, skew) for text, x, y in HEADS]
    return extract([(1, page(*heads, *lines))], "LOCAL:D02-TS").fields


def row(fields: dict[str, Extracted], n: int) -> dict[str, Any]:
    prefix = row_field(n, "")
    return {name.removeprefix(prefix): item.value for name, item in fields.items() if name.startswith(prefix)}


def test_EXk_rows_over_two_pages() -> None:
    fields = read("d02-ts").fields
    assert {name[:16] for name in fields if name.startswith("special.rows.")} == {
        f"special.rows.{n:03d}" for n in range(1, 17)
    }
    assert row(fields, 16)["full_name"] == "Trần Thanh Trường"
    assert row(fields, 16)["bhxh_number"] == "7412395162" and row(fields, 16)["person_id"] == "079081426161"
    first, last = fields["special.rows.001.bhxh_number"], fields["special.rows.016.bhxh_number"]
    pages = paper("d02-ts")[2]
    assert (first.page, last.page) == (1, 2)
    assert (
        last.box and 0 < last.box[0] < last.box[2] < pages[1].width and 0 < last.box[1] < last.box[3] < pages[1].height
    )
    assert "+id-birth" in fields["special.rows.016.person_id"].rule


def test_EXk_cells_of_several_lines_and_headings_of_sections() -> None:
    for skew in (0.0, 0.8, -0.8):
        fields = employees(
            line("I. TĂNG LAO ĐỘNG", 20, 245, skew, left=True),
            *person(1, 275, skew),
            *person(2, 310, skew, job="Tổ trưởng tổ may|số 2, Hà Nội", sex="x"),
            *person(3, 355, skew, born="", id="001190000003"),
            line("Tổng số sổ BHXH đề nghị cấp: 3", 40, 400, skew, left=True),
            line("Hà Nội, ngày 09 tháng 6 năm 2025", 1100, 400, skew),
            line("THỦ TRƯỞNG ĐƠN VỊ", 1100, 430, skew),
            skew=skew,
        )
        assert row(fields, 1) == {
            "full_name": "Thử Văn Bn", "bhxh_number": "7912345671", "birth_date": "1990-01-02",
            "person_id": "001090000001", "position": "Thợ may", "salary": "7800000", "from_month": "2025-09",
        }  # fmt: skip
        assert row(fields, 2)["position"] == "Tổ trưởng tổ may số 2, Hà Nội" and row(fields, 2)["sex"] == "Nữ"
        assert "birth_date" not in row(fields, 3) and not row(fields, 4)
        assert fields["special.people"].value == "3" and fields["issue_date"].value == "2025-06-09"


def test_EXb_in_a_row_the_id_is_checked_against_birth_and_sex() -> None:
    fields = employees(*person(1, 275), *person(2, 310, born="02/01/1991"), *person(3, 345, sex="x"))
    assert "+id-birth" in fields[row_field(1, "person_id")].rule
    for n, name in ((2, "birth_date"), (3, "sex")):
        for item in (fields[row_field(n, "person_id")], fields[row_field(n, name)]):
            assert "!id-" in item.rule and item.confidence < CONFIDENCE_THRESHOLD
    assert fields[row_field(1, "person_id")].confidence >= CONFIDENCE_THRESHOLD


def test_without_headings_there_are_no_rows() -> None:
    fields = extract([(1, page(*person(1, 275), *person(2, 310)))], "LOCAL:D02-TS").fields
    assert not any(name.startswith("special.rows.") for name in fields)


def test_officers_see_and_type_cells_like_other_fields() -> None:
    assert field_label("special.rows.003.full_name") == "Danh sách, dòng 3: Họ và tên"
    assert normalise_field("special.rows.003.birth_date", "2/1/1990") == "1990-01-02"
    assert normalise_field("special.rows.012.salary", "7.800.000") == "7800000"
    assert normalise_field("special.rows.012.bhxh_number", "12345") is None


def test_EXk_the_tax_code_in_a_stamp_is_no_person() -> None:
    lines = [*person(1, 250), *person(2, 290), line("0108737267", 1200, 600)]
    heads = [line(text, x, y) for text, x, y in HEADS]
    found = extract([(1, page(*heads, *lines))], "LOCAL:D02-TS").fields["special.people"]
    assert found.value == "2" and "+rows" in found.rule


def test_EXk_a_list_with_other_rows_than_people_goes_to_the_officer() -> None:
    def people(count: str) -> Extracted:
        found = {"special.people": count, "special.rows.001.sex": "Nữ", "special.rows.003.sex": "Nữ"}
        fields = {name: Extracted(name, value, confidence=0.99) for name, value in found.items()}
        return cross_check(fields)["special.people"]

    assert people("3").confidence > 0.99 and people("3").rule.endswith("+rows")
    assert people("4").confidence < CONFIDENCE_THRESHOLD and people("4").rule.endswith("!rows")
