"""Fields of papers as the engine read them (EXa–EXl). Pages: synthetic people, and public documents ("public-")."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from blocks.ocr.types import Code, Line, PageText, Word
from tasks.extraction.extract import POOR, Extraction, extract
from tasks.extraction.fields import LABELS, Extracted
from tasks.extraction.normalise import KINDS, unlikely
from tasks.extraction.profiles import field_label, profile_of, profiles
from tasks.extraction.settings import CONFIDENCE_THRESHOLD

PAGES = Path(__file__).with_name("pages")
SYNTHETIC = sorted(p.stem for p in PAGES.glob("*.json") if not p.stem.startswith("public-"))
# Printed in capitals on some papers; the truth names the person or agency.
CASELESS = {"full_name", "issuer", "title", "special.mother_name", "special.father_name"}


@lru_cache
def paper(name: str) -> tuple[str, dict[str, str | None], list[PageText]]:
    raw: dict[str, Any] = json.loads((PAGES / f"{name}.json").read_text(encoding="utf-8"))
    texts = [PageText.from_json(json.dumps(page).encode()) for page in raw["pages"]]
    return raw["type_code"], raw["fields"], texts


def read(name: str, type_code: str | None = None) -> Extraction:
    declared, _, pages = paper(name)
    return extract(list(enumerate(pages, 1)), type_code or declared)


def plain(name: str, value: str | None) -> str | None:
    return value.casefold() if value and name in CASELESS else value


def test_every_type_has_a_profile_and_a_paper() -> None:
    assert {paper(name)[0] for name in SYNTHETIC} == set(profiles())


@pytest.mark.parametrize("name", SYNTHETIC)
def test_EXa_to_EXk_all_fields_of_a_paper(name: str) -> None:
    _, truth, pages = paper(name)
    found = read(name).fields
    for field, value in truth.items():
        if field != "type_code":
            got = found[field].value if field in found else None
            assert plain(field, got) == plain(field, value), field
    for item in found.values():
        if item.value is not None:
            assert 0 < item.confidence <= 1 and item.rule and item.engine and item.printed
            assert item.page is not None and item.box is not None
            page = pages[item.page - 1]
            assert 0 <= item.box[0] < item.box[2] <= page.width and 0 <= item.box[1] < item.box[3] <= page.height


@pytest.mark.parametrize("name", SYNTHETIC)
def test_EXa_the_paper_looks_like_its_type(name: str) -> None:
    found = read(name)
    assert found.likely[0].type_code == paper(name)[0]
    assert not found.type_doubted


def test_EXa_a_wrong_declaration_is_doubted_and_nothing_invented() -> None:
    found = read("giay-khai-sinh", "LOCAL:GIAY-RA-VIEN")
    assert found.type_doubted and found.likely[0].type_code == "LOCAL:GIAY-KHAI-SINH"
    assert found.fields["special.diagnosis"].value is None


def test_EXb_identifiers_confirm_each_other() -> None:
    fields = read("giay-ra-vien").fields
    assert "+id-birth" in fields["birth_date"].rule and "+id-sex" in fields["special.sex"].rule


def test_EXb_a_birth_date_that_does_not_fit_the_id_goes_to_the_officer() -> None:
    declared, _, pages = paper("giay-ra-vien")
    born = read("giay-ra-vien").fields["birth_date"].printed or ""
    wrong = born[:-2] + ("11" if born[-2:] != "11" else "22")
    lines = tuple(replace(line, text=line.text.replace(born, wrong), words=()) for line in pages[0].lines)
    fields = extract([(1, replace(pages[0], lines=lines))], declared).fields
    assert fields["birth_date"].value is not None and "!id-birth" in fields["birth_date"].rule
    assert fields["birth_date"].confidence < CONFIDENCE_THRESHOLD > fields["owner_id"].confidence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("public-s_05CT_p1", {"title": "CHỈ THỊ", "number_symbol": "05/CT-UBND"}),
        # The number and the day were written in by hand: they can't be read, so they stay empty (EX02).
        ("public-s_11_CT_p1", {"title": "CHỈ THỊ", "number_symbol": None, "issue_date": None}),
        ("public-extra_239_TTr_p1", {"title": "TỜ TRÌNH", "number_symbol": "239/TTr-UBND"}),
        # Not yet numbered and dated: "Số:      /TB-UBND", "ngày     tháng 01 năm 2025".
        ("public-w_05_p1", {"title": "THÔNG BÁO", "number_symbol": None, "issue_date": None}),
    ],
)
def test_EXd_EXe_public_documents(name: str, expected: dict[str, str | None]) -> None:
    fields = read(name).fields
    for field, value in expected.items():
        assert fields[field].value == value
    assert fields["issuer"].value == "ỦY BAN NHÂN DÂN TỈNH QUẢNG NGÃI"


def test_EXg_abstract_ends_where_the_body_begins() -> None:
    abstract = read("public-w_05_p1").fields["abstract"].value or ""
    assert abstract.startswith("Kết luận của Phó Chủ tịch") and abstract.endswith("trọng tâm trong thời gian đến")
    abstract = read("public-s_11_CT_p1").fields["abstract"].value or ""
    assert abstract.endswith("trên địa bàn tỉnh Quảng Ngãi")


def changed(name: str, old: str, new: str) -> Extraction:
    """The paper with one line misread."""
    declared, _, pages = paper(name)
    new_pages = [
        replace(
            page,
            lines=tuple(
                replace(line, text=line.text.replace(old, new), words=()) if old in line.text else line
                for line in page.lines
            ),
        )
        for page in pages
    ]
    assert new_pages != pages
    return extract(list(enumerate(new_pages, 1)), declared)


def test_EXk_an_amount_is_proved_by_its_words() -> None:
    item = read("hoa-don").fields["special.amount"]
    assert item.value and "+words" in item.rule and item.confidence >= CONFIDENCE_THRESHOLD
    printed = f"{int(item.value):,}".replace(",", ".")
    other = changed("hoa-don", printed, printed.replace(printed[0], "1" if printed[0] != "1" else "2", 1))
    item = other.fields["special.amount"]
    assert "!words" in item.rule and item.confidence < CONFIDENCE_THRESHOLD


def test_EXb_a_tax_code_whose_check_digit_fails_is_kept_and_shown() -> None:
    item = read("d02-ts").fields["owner_id"]
    assert item.value and "+check-digit" in item.rule and item.confidence >= CONFIDENCE_THRESHOLD
    wrong = item.value[:-1] + str((int(item.value[-1]) + 1) % 10)
    item = changed("d02-ts", item.value, wrong).fields["owner_id"]
    assert item.value == wrong and "!check-digit" in item.rule and item.confidence < CONFIDENCE_THRESHOLD


def test_EXk_pieces_of_a_stamp_are_no_signer() -> None:
    item = read("quyet-dinh-huong").fields["special.signer"]
    assert item.value and not item.value.isupper()
    signed = changed("quyet-dinh-huong", item.printed or "", "XÃ HỘ").fields["special.signer"]
    assert signed.value is None


def test_unreadable_pages_give_nothing() -> None:
    _, _, pages = paper("c65-hd")
    hidden = replace(pages[0], readable=False, reason="HANDWRITING")
    assert all(item.value is None for item in extract([(1, hidden)], "LOCAL:C65-HD").fields.values())
    assert all(item.value is None for item in extract([], "LOCAL:C65-HD").fields.values())


def test_rotated_pages_give_the_same_fields() -> None:
    """A page that was scanned upside down: coordinates are those of the stored image, fields the same."""
    declared, _, pages = paper("giay-ra-vien")
    page = pages[0]
    width, height = page.width, page.height

    def flip(line: Any) -> Any:
        corners = tuple((width - x, height - y) for x, y in line.polygon)
        words = tuple(
            replace(w, box=(width - w.box[2], height - w.box[3], width - w.box[0], height - w.box[1]))
            for w in line.words
        )
        return replace(line, polygon=corners, words=words)

    turned = replace(page, rotation=(page.rotation + 180) % 360, lines=tuple(map(flip, page.lines)))
    before, after = read("giay-ra-vien").fields, extract([(1, turned)], declared).fields
    assert {k: v.value for k, v in before.items()} == {k: v.value for k, v in after.items()}


def test_a_new_recogniser_starts_cautiously() -> None:
    declared, _, pages = paper("van-ban-hanh-chinh")
    pages = [replace(p, engine="det@12345678 + brand-new@abcdef01 + paddleocr 3.7.0") for p in pages]
    fields = extract(list(enumerate(pages, 1)), declared).fields
    assert fields["abstract"].value and fields["abstract"].confidence < CONFIDENCE_THRESHOLD
    assert fields["issue_date"].confidence >= CONFIDENCE_THRESHOLD


def test_profiles_are_whole() -> None:
    for profile in profiles().values():
        names = [spec.name for spec in profile.fields]
        assert len(names) == len(set(names)) and "title" in names and "issue_date" in names
        for spec in profile.fields:
            assert field_label(spec.name) and spec.kind in KINDS
            assert spec.name in LABELS or spec.name.startswith("special.")
    assert profile_of("LOCAL:NO-SUCH-TYPE").type == "LOCAL:VAN-BAN-HANH-CHINH"


def with_code(**changes: str) -> Extraction:
    """The identity card with a QR code that says what is printed, but for the changes."""
    declared, truth, pages = paper("cccd")
    data = {
        name: truth.get(name) or "" for name in ("owner_id", "full_name", "birth_date", "special.sex", "issue_date")
    }
    data |= {"old_id": "123456789", "special.address": str(truth["special.address"])} | changes
    day = {name: "".join(reversed(data[name].split("-"))) for name in ("birth_date", "issue_date")}
    text = "|".join(
        [
            data["owner_id"], data["old_id"], data["full_name"], day["birth_date"], data["special.sex"],
            data["special.address"], day["issue_date"],
        ]
    )  # fmt: skip
    page = replace(pages[0], codes=(Code(text, "QRCode", (10.0, 10.0, 150.0, 150.0)),))
    return extract([(1, page), *enumerate(pages[1:], 2)], declared)


def test_EXb_the_code_of_an_identity_card_gives_what_it_holds() -> None:
    fields, truth = with_code().fields, paper("cccd")[1]
    assert fields["special.old_id"].value == "123456789"
    for name in ("owner_id", "full_name", "birth_date", "issue_date", "special.sex", "special.address"):
        item = fields[name]
        assert plain(name, item.value) == plain(name, truth[name]) and item.rule.startswith("code")
        assert item.confidence > CONFIDENCE_THRESHOLD and item.box == (10.0, 10.0, 150.0, 150.0)


def test_EXb_where_code_and_print_differ_the_officer_must_look() -> None:
    fields = with_code(full_name="Trương Quốc Khánh", birth_date="1931-12-30").fields
    for name in ("full_name", "birth_date"):
        assert fields[name].rule.startswith("code;!print") and fields[name].confidence < CONFIDENCE_THRESHOLD
    assert "!print" not in fields["owner_id"].rule


def test_a_new_type_needs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile is a YAML file: the type is told from others, and its fields are found."""
    from tasks.extraction import profiles as module

    shutil.copytree(module.FORMS, tmp_path / "forms")
    (tmp_path / "forms" / "giay-moi.yaml").write_text(
        """
type: LOCAL:GIAY-MOI
name: Giấy mời
source: mẫu của kiểm thử
title: [GIẤY MỜI HỌP]
phrases: [Kính mời ông, Phòng họp số]
fields:
  - {name: title, rules: [{find: title}]}
  - {name: full_name, rules: [{label: [Kính mời ông/bà]}]}
  - {name: special.room, vi: Phòng họp, kind: code, rules: [{label: [Phòng họp số]}]}
""",
        encoding="utf-8",
    )
    monkeypatch.setattr(module, "FORMS", tmp_path / "forms")
    module.profiles.cache_clear()
    try:
        texts = ["GIẤY MỜI HỌP", "Kính mời ông/bà: Nguyễn Văn Bình", "Phòng họp số: A12"]
        lines = tuple(
            Line(text, 0.99, ((200, y), (900, y), (900, y + 40), (200, y + 40)))
            for text, y in zip(texts, (300, 500, 600), strict=True)
        )
        found = extract([(1, PageText(1654, 2339, 200, lines, engine="test"))], "LOCAL:GIAY-MOI")
        assert found.likely[0].type_code == "LOCAL:GIAY-MOI"
        values = {name: item.value for name, item in found.fields.items()}
        anyhow = {"valid_until": None, "scope": None}  # any paper may have them
        assert values == {"title": "GIẤY MỜI HỌP", "full_name": "Nguyễn Văn Bình", "special.room": "A12", **anyhow}
    finally:
        monkeypatch.undo()
        module.profiles.cache_clear()


def printed(*lines: tuple[str, float, float, float]) -> list[tuple[int, PageText]]:
    """A page of 300 dpi with these lines: text, left, top, right (pixels)."""
    made = []
    for text, left, top, right in lines:
        at, words = left, []
        for word in text.split():
            wide = (right - left) * (len(word) + 1) / (len(text) + 1)
            words.append(Word(word, (at, top, at + wide * 0.9, top + 45)))
            at += wide
        corners = ((left, top), (right, top), (right, top + 45), (left, top + 45))
        made.append(Line(text, 0.99, corners, tuple(words)))
    return [(1, PageText(2480, 1754, 300, tuple(made), engine="test"))]


LIST = (
    ("Tên đơn vị: Công ty TNHH Thủy sản Phú Thọ", 180.0, 130.0, 990.0),
    ("(Ban hành kèm theo Quyết định của Bảo hiểm xã hội Việt Nam)", 1860.0, 140.0, 2480.0),
    ("DANH SÁCH LAO ĐỘNG THAM GIA BHXH, BHYT, BHTN, BHTNLĐ, BNN", 563.0, 330.0, 2196.0),
    ("Tổng số thẻ BHYT đề nghị cấp: 7", 195.0, 1180.0, 747.0),
    ("Hải Phòng, ngày 09 tháng 6 năm 2025", 1772.0, 1190.0, 2407.0),
)


def test_EXđ_place_and_date_beside_another_line_of_the_form() -> None:
    assert extract(printed(*LIST), "LOCAL:D02-TS").fields["issue_date"].value == "2025-06-09"


def test_EXc_the_bracket_of_the_next_label_is_no_part_of_a_name() -> None:
    found = extract(printed(*LIST), "LOCAL:D02-TS").fields
    assert found["organisation_name"].value == "Công ty TNHH Thủy sản Phú Thọ"


def test_a_piece_of_the_stamp_is_no_signer() -> None:
    below = (
        ("QUYẾT ĐỊNH", 1070.0, 300.0, 1450.0),
        ("GIÁM ĐỐC", 1594.0, 1100.0, 1890.0),
        ("XÃ HỘ", 1500.0, 1250.0, 1650.0),
    )
    found = extract(printed(*below), "LOCAL:QUYET-DINH-HUONG").fields
    assert found["special.signer"].value is None
    named = extract(printed(*below, ("Đặng Đình Nam", 1544.0, 1400.0, 1930.0)), "LOCAL:QUYET-DINH-HUONG").fields
    assert named["special.signer"].value == "Đặng Đình Nam"


def test_EXe_a_company_without_its_own_name_is_not_taken_for_a_listed_agency() -> None:
    half = (("Tên đơn vị: Công ty Cổ phần", 180.0, 130.0, 700.0), *LIST[1:])
    item = extract(printed(*half), "LOCAL:D02-TS").fields["issuer"]
    assert item.value == "Công ty Cổ phần" and item.kind != "listed" and item.confidence < CONFIDENCE_THRESHOLD
    agency = (("Tên đơn vị: Bảo hiểm xã hội tỉnh Nghệ An", 180.0, 130.0, 800.0), *LIST[1:])
    assert extract(printed(*agency), "LOCAL:D02-TS").fields["issuer"].kind == "listed"


def test_EXk_recipients_beside_the_signer() -> None:
    below = (
        ("BÁO CÁO", 1070.0, 300.0, 1450.0),
        ("Nơi nhận:", 200.0, 1100.0, 400.0),
        ("GIÁM ĐỐC", 1594.0, 1105.0, 1890.0),
        ("- Như trên;", 200.0, 1160.0, 420.0),
        ("- Lưu: VT.", 200.0, 1210.0, 420.0),
        ("Đặng Đình Nam", 1544.0, 1400.0, 1930.0),
    )
    fields = extract(printed(*below), "LOCAL:VAN-BAN-HANH-CHINH").fields
    assert fields["special.recipients"].value == "- Như trên; - Lưu: VT"
    assert fields["special.signer"].value == "Đặng Đình Nam"


def test_EXk_a_signer_whose_office_a_stamp_hides_is_found_and_doubted() -> None:
    below = (
        ("QUYẾT ĐỊNH", 1070.0, 300.0, 1450.0),  # no office that begins with `Q.`
        ("Nơi nhận:", 200.0, 1100.0, 400.0),
        ("- Lưu: VT.", 200.0, 1160.0, 420.0),
        ("BẢO HIỆN", 1550.0, 1200.0, 1700.0),
        ("Đặng Đình Nam", 1544.0, 1400.0, 1930.0),
    )
    item = extract(printed(*below), "LOCAL:QUYET-DINH-HUONG").fields["special.signer"]
    assert item.value == "Đặng Đình Nam" and item.confidence < CONFIDENCE_THRESHOLD
    two = (*below, ("Lê Thị Hoa", 1544.0, 1480.0, 1930.0))
    assert extract(printed(*two), "LOCAL:QUYET-DINH-HUONG").fields["special.signer"].value is None


def test_EXb_a_name_that_the_signature_spells_otherwise_goes_to_the_officer() -> None:
    def named(confidence: float) -> Extracted:
        ((number, page),) = printed(
            ("ĐƠN ĐỀ NGHỊ", 1070.0, 300.0, 1450.0),
            ("1. Họ và tên: PHẠM PHƯỢNG QUỲNH", 200.0, 400.0, 900.0),
            ("Phạm Phương Quỳnh", 1600.0, 1200.0, 2000.0),
        )
        lines = (*page.lines[:-1], replace(page.lines[-1], confidence=confidence))
        return extract([(number, replace(page, lines=lines))], "LOCAL:14-HSB").fields["full_name"]

    assert named(1.0).value == "PHẠM PHƯƠNG QUỲNH"  # read better there; capitals as printed
    assert named(0.95).value == "PHẠM PHƯỢNG QUỲNH"
    assert all("!namesake" in item.rule and item.confidence < CONFIDENCE_THRESHOLD for item in (named(1), named(0.95)))


def test_EXk_an_amount_without_a_dot_is_known_by_its_words() -> None:
    whole = read("hoa-don").fields["special.amount"]
    assert whole.value
    dots = f"{int(whole.value):,}".replace(",", ".")
    item = changed("hoa-don", f"toán: {dots}", f"toán: {dots[::-1].replace('.', '', 1)[::-1]}").fields["special.amount"]
    assert item.value == whole.value and "+words" in item.rule
    lost = changed("hoa-don", f"toán: {dots}", f"toán: {dots[:-1]}").fields["special.amount"]
    assert lost.value is None  # a digit is missing


def line(text: str, y: float, confidence: float = 0.99) -> Line:
    polygon = ((100.0, y), (1500.0, y), (1500.0, y + 40), (100.0, y + 40))
    return Line(text, confidence, polygon, (Word(text, (100.0, y, 1500.0, y + 40)),))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("Giấy này có giá trị đến hết ngày 31/12/2027.", "valid_until", "2027-12-31"),
        ("Quyết định có hiệu lực từ ngày ký đến ngày 30 tháng 6 năm 2026", "valid_until", "2026-06-30"),
        ("Giấy xác nhận có giá trị trên phạm vi toàn quốc", "scope", "trên phạm vi toàn quốc"),
        ("Phạm vi áp dụng: các cơ quan thuộc tỉnh Hà Giang", "scope", "các cơ quan thuộc tỉnh Hà Giang"),
        ("Nghỉ từ ngày 01/12/2025 đến ngày 05/12/2025", "valid_until", None),
    ],
)
def test_EXh_EXi_validity_is_read_wherever_it_stands_and_proposed(text: str, field: str, value: str | None) -> None:
    item = extract([(1, PageText(1654, 2339, 200, (line(text, 900),)))], "LOCAL:C65-HD").fields[field]
    assert item.value == value and item.confidence < CONFIDENCE_THRESHOLD


def test_EXc_a_letter_has_the_name_of_its_type_although_it_prints_none() -> None:
    lines = (line("Số: 12/BHXH-CST", 200), line("V/v trả lời kiến nghị của người lao động", 260))
    item = extract([(1, PageText(1654, 2339, 200, lines))], "LOCAL:VAN-BAN-HANH-CHINH").fields["title"]
    assert item.value == "CÔNG VĂN" and item.confidence < CONFIDENCE_THRESHOLD


@pytest.mark.parametrize(
    ("kind", "value", "doubted"),
    [
        ("phone", "0912345678", False), ("phone", "091234567", True), ("money", "5800000", False), ("money", "5", True),
        ("name", "Ngô Gia Việt", False), ("name", "hàng Người bán hàng", True), ("name", "N NAM", True),
        ("name", "Y Bảo", False),
        ("name", "Trần Văn Tháng", True), ("name", "Trần Văn Thắng", False), ("text", "Gãy tay (S52.5)", False),
        ("text", "Gãy tay (S52", True),
    ],
)  # fmt: skip
def test_what_is_hardly_a_whole_value_is_doubted(kind: str, value: str, doubted: bool) -> None:
    assert unlikely(kind, value) is doubted


def test_what_a_form_prints_itself_is_nobodys_name() -> None:
    """Two signatures side by side: what follows the label `Người mua` is the other signature's heading."""
    lines = (line("Người mua hàng Người bán hàng", 900), line("HÓA ĐƠN BÁN HÀNG", 200))
    item = extract([(1, PageText(1654, 2339, 200, lines))], "LOCAL:HOA-DON").fields["full_name"]
    assert item.value is None
    lines = (line("[01]. Họ và tên: Hồ Công Thành", 900),)
    item = extract([(1, PageText(1654, 2339, 200, lines))], "LOCAL:TK1-TS").fields["full_name"]
    assert item.value == "Hồ Công Thành"


def test_nothing_is_sure_on_a_page_read_worse_than_those_of_the_calibration() -> None:
    declared, _, pages = paper("giay-ra-vien")
    measured = "det@12345678 + sohoa-rec@0cf90cca"
    good = replace(pages[0], engine=measured)
    poor = replace(good, lines=tuple(replace(one, confidence=min(one.confidence, 0.95)) for one in good.lines))
    sure = [item for item in extract([(1, good)], declared).fields.values() if item.confidence >= CONFIDENCE_THRESHOLD]
    assert sure
    values = [item for item in extract([(1, poor)], declared).fields.values() if item.value]
    assert values and not [item for item in values if item.confidence >= CONFIDENCE_THRESHOLD]
    assert all(POOR in item.rule.split(";") for item in values)
