"""Lists and letters of employers: 01B-HSB, D01-TS, D02-TS, D03-TS, 05A-HSB. Their owner is the organisation."""

# ruff: noqa: E501 - the wording of a form stays on one line
from __future__ import annotations

from datetime import date, timedelta

from tests.samples import people as pp
from tests.samples.forms.base import (
    Case,
    Paper,
    bare,
    blank,
    issuer_head,
    money,
    national,
    place_date,
    signed,
    table_rows,
    truth,
)
from tests.samples.look import Look
from tests.samples.sheet import Sheet


def _head(sheet: Sheet, case: Case, form: str) -> None:
    """Landscape head: employer left, form mark right."""
    firm = case.employer
    sheet.fitted(22, 16, f"Tên đơn vị: {firm.name}", 12, 130, bold=True)
    sheet.put(22, 22, f"Mã đơn vị: {firm.unit_code}", 12)
    if case.with_id:
        sheet.put(22, 28, f"Mã số thuế: {firm.tax}", 12)
    sheet.put(275, 16, f"Mẫu {form}", 11, bold=True, align="r")
    sheet.put(275, 21, "(Ban hành kèm theo Quyết định của Bảo hiểm xã hội Việt Nam)", 8.5, italic=True, align="r")


def _organisation(case: Case) -> dict[str, str | None]:
    """EXb for an organisation: its tax code is its e-identifier and stands on the paper."""
    return {
        "owner_id": case.employer.tax if case.with_id else None,
        "organisation_name": case.employer.name,
        "founding_year": None,
    }


def _staff(case: Case, count: int) -> list[pp.Person]:
    return [case.person] + [pp.make_person(case.rng, place=case.employer.address.place) for _ in range(count - 1)]


def _close(sheet: Sheet, case: Case, y: float, day: date, left: str = "NGƯỜI LẬP BIỂU") -> None:
    rng, firm = case.rng, case.employer
    sheet.put(222, y, place_date(bare(firm.address.place), day), 12, italic=True, align="c")
    signed(sheet, rng, 75, y + 6, office=[left], note="(Ký, ghi rõ họ tên)", name=pp.make_name(rng, False), size=12)
    signed(
        sheet,
        rng,
        222,
        y + 6,
        office=["THỦ TRƯỞNG ĐƠN VỊ"],
        note="(Ký tên, đóng dấu)",
        name=firm.director.name,
        stamp=(firm.name, f"MST {firm.tax}"),
        size=12,
    )


def benefits(case: Case, look: Look, part: str = "ỐM ĐAU", count: int | None = None) -> Paper:
    """Danh sách đề nghị giải quyết hưởng chế độ, mẫu 01B-HSB (Quyết định 166/QĐ-BHXH). Long lists run over two pages."""
    rng, firm, day = case.rng, case.employer, case.day
    count = count or rng.choice([3, 4, 6, 14])
    sheet = blank(look, landscape=True)
    _head(sheet, case, "01B-HSB")
    sheet.put(148, 38, "DANH SÁCH", 14, bold=True, align="c")
    sheet.put(
        148,
        44.5,
        "ĐỀ NGHỊ GIẢI QUYẾT HƯỞNG CHẾ ĐỘ ỐM ĐAU, THAI SẢN, DƯỠNG SỨC, PHỤC HỒI SỨC KHỎE",
        13,
        bold=True,
        align="c",
    )
    batch = rng.randrange(1, 6)
    sheet.put(148, 51, f"Đợt {batch} tháng {day.month:02d} năm {day.year}", 12.5, align="c")
    sheet.put(
        148,
        57,
        f"Số hiệu tài khoản: {firm.account}, mở tại: {firm.bank} chi nhánh {bare(firm.address.place)}",
        12,
        align="c",
    )
    sheet.put(22, 65, "PHẦN 1: DANH SÁCH HƯỞNG CHẾ ĐỘ MỚI PHÁT SINH", 12, bold=True)
    head = [
        [
            "STT",
            "Họ và tên",
            "Mã số BHXH",
            "Số CCCD/ĐDCN",
            "Từ ngày",
            "Đến ngày",
            "Tổng số ngày",
            "Thông tin tài khoản nhận trợ cấp",
            "Chỉ tiêu xác định điều kiện, mức hưởng",
            "Ghi chú",
        ]
    ]
    head.append(["A", "B", "1", "2", "3", "4", "5", "C", "D", "E"])
    widths = [11.0, 43.0, 25.0, 30.0, 23.0, 23.0, 16.0, 38.0, 32.0, 14.0]
    rows = [[f"CHẾ ĐỘ {part}"]]
    for n, who in enumerate(_staff(case, count), 1):
        start = case.event + timedelta(days=0 if n == 1 else rng.randrange(0, 5))
        days = 180 if part == "THAI SẢN" else rng.randrange(1, 9)
        rows.append(
            [
                str(n),
                who.name,
                who.bhxh,
                who.id if case.with_id else "",
                pp.dotted(start),
                pp.dotted(start + timedelta(days=days - 1)),
                str(days),
                f"{rng.randrange(10**11, 10**12)} {rng.choice(pp.BANKS)}",
                "Con chung" if part == "THAI SẢN" else "",
                "",
            ]
        )
    columns = (0, 2, 3, 4, 5, 6)
    sheets = [sheet]
    if count <= 6:
        y = sheet.table(18, 69, widths, head + rows, size=10, head=2, centre=columns)
    else:
        sheet.table(18, 69, widths, head + rows[:9], size=10, head=2, centre=columns)
        sheets.append(blank(look, landscape=True))
        sheets[1].put(148, 14, "2", 12, align="c")
        y = sheets[1].table(18, 20, widths, head + rows[9:], size=10, head=2, centre=columns)
    _close(sheets[-1], case, y + 9, day)
    return Paper(
        "LOCAL:01B-HSB",
        sheets,
        truth(
            "LOCAL:01B-HSB",
            "ORGANISATION",
            **_organisation(case),
            title="DANH SÁCH ĐỀ NGHỊ GIẢI QUYẾT HƯỞNG CHẾ ĐỘ ỐM ĐAU, THAI SẢN, DƯỠNG SỨC, PHỤC HỒI SỨC KHỎE",
            issue_date=day,
            issuer=firm.name,
            special_unit_code=firm.unit_code,
            special_batch=str(batch),
            special_people=str(count),
        )
        | table_rows(
            rows, ("", "full_name", "bhxh_number", "person_id", "leave_from", "leave_to", "leave_days", "", "", "")
        ),
        owner="ORGANISATION",
    )


def employees(case: Case, look: Look) -> Paper:
    """Danh sách lao động tham gia BHXH, BHYT, BHTN, BHTNLĐ, BNN, mẫu D02-TS (Quyết định 490/QĐ-BHXH)."""
    rng, firm, day = case.rng, case.employer, case.day
    count = rng.choice([5, 7, 16])
    number = f"{rng.randrange(1, 60):02d}/D02-TS"
    sheet = blank(look, landscape=True)
    _head(sheet, case, "D02-TS")
    sheet.put(148, 38, "DANH SÁCH LAO ĐỘNG THAM GIA BHXH, BHYT, BHTN, BHTNLĐ, BNN", 14, bold=True, align="c")
    sheet.put(148, 45, f"Số: {number} tháng {day.month:02d} năm {day.year}", 12.5, align="c")
    head = [
        [
            "STT",
            "Họ và tên",
            "Mã số BHXH",
            "Ngày sinh",
            "Nữ",
            "Số CCCD/ĐDCN",
            "Cấp bậc, chức vụ, chức danh nghề, nơi làm việc",
            "Tiền lương (đồng)",
            "Từ tháng, năm",
            "Ghi chú",
        ]
    ]
    widths = [11.0, 43.0, 26.0, 23.0, 10.0, 31.0, 50.0, 26.0, 19.0, 16.0]
    rows = [["I. TĂNG LAO ĐỘNG"]]
    for n, who in enumerate(_staff(case, count), 1):
        rows.append(
            [
                str(n),
                who.name,
                who.bhxh,
                pp.dotted(who.born),
                "" if who.male else "x",
                who.id if case.with_id else "",
                f"{who.job}, {bare(firm.address.place)}",
                money(rng.randrange(48, 160) * 100000),
                f"{day:%m/%Y}",
                "",
            ]
        )
    columns = (0, 2, 3, 4, 5, 7, 8)
    sheets = [sheet]
    if count <= 8:
        y = sheet.table(18, 52, widths, head + rows, size=10, centre=columns)
    else:
        sheet.table(18, 52, widths, head + rows[:11], size=10, centre=columns)
        sheets.append(blank(look, landscape=True))
        sheets[1].put(148, 14, "2", 12, align="c")
        y = sheets[1].table(18, 20, widths, head + rows[11:], size=10, centre=columns)
    last = sheets[-1]
    last.put(22, y + 7, f"Tổng số sổ BHXH đề nghị cấp: {count}", 12)
    last.put(22, y + 12.5, f"Tổng số thẻ BHYT đề nghị cấp: {count}", 12)
    _close(last, case, y + 19, day)
    return Paper(
        "LOCAL:D02-TS",
        sheets,
        truth(
            "LOCAL:D02-TS",
            "ORGANISATION",
            **_organisation(case),
            title="DANH SÁCH LAO ĐỘNG THAM GIA BHXH, BHYT, BHTN, BHTNLĐ, BNN",
            number_symbol=number,
            issue_date=day,
            issuer=firm.name,
            special_unit_code=firm.unit_code,
            special_people=str(count),
        )
        | table_rows(
            rows,
            ("", "full_name", "bhxh_number", "birth_date", "sex", "person_id", "position", "salary", "from_month", ""),
        ),
        owner="ORGANISATION",
    )


def documents_list(case: Case, look: Look) -> Paper:
    """Bảng kê thông tin, mẫu D01-TS: proof behind a change of contributions."""
    rng, firm, day = case.rng, case.employer, case.day
    sheet = blank(look, landscape=True)
    _head(sheet, case, "D01-TS")
    sheet.put(148, 38, "BẢNG KÊ THÔNG TIN", 14, bold=True, align="c")
    sheet.put(148, 44.5, "(Kèm theo hồ sơ điều chỉnh đóng BHXH, BHYT, BHTN)", 12, italic=True, align="c")
    rows = [
        [
            "STT",
            "Họ và tên",
            "Mã số BHXH",
            "Tên, loại văn bản",
            "Số hiệu văn bản",
            "Ngày ban hành",
            "Ngày văn bản có hiệu lực",
            "Cơ quan ban hành",
            "Trích yếu văn bản",
        ]
    ]
    kinds = [
        ("Hợp đồng lao động", "HĐLĐ", "Tuyển dụng lao động"),
        ("Quyết định", "QĐ-TL", "Nâng mức lương"),
        ("Quyết định", "QĐ-ĐĐ", "Điều động lao động"),
    ]
    for n, who in enumerate(_staff(case, rng.randrange(3, 7)), 1):
        kind, mark, about = rng.choice(kinds)
        made = case.event - timedelta(days=rng.randrange(1, 30))
        rows.append(
            [
                str(n),
                who.name,
                who.bhxh,
                kind,
                f"{rng.randrange(1, 300)}/{mark}",
                pp.dotted(made),
                pp.dotted(made + timedelta(days=rng.randrange(0, 5))),
                firm.name,
                about,
            ]
        )
    y = sheet.table(18, 52, [11, 40, 25, 32, 26, 24, 25, 42, 32], rows, size=10, centre=(0, 2, 4, 5, 6))
    _close(sheet, case, y + 10, day)
    return Paper(
        "LOCAL:D01-TS",
        [sheet],
        truth(
            "LOCAL:D01-TS",
            "ORGANISATION",
            **_organisation(case),
            title="BẢNG KÊ THÔNG TIN",
            issue_date=day,
            issuer=firm.name,
            special_unit_code=firm.unit_code,
            special_people=str(len(rows) - 1),
        )
        | table_rows(
            rows[1:],
            (
                "",
                "full_name",
                "bhxh_number",
                "document",
                "number_symbol",
                "issued_on",
                "effective_on",
                "issuer",
                "about",
            ),
        ),
        owner="ORGANISATION",
    )


def health_only(case: Case, look: Look) -> Paper:
    """Danh sách người chỉ tham gia BHYT, mẫu D03-TS."""
    rng, firm, day = case.rng, case.employer, case.day
    number = f"{rng.randrange(1, 60):02d}/D03-TS"
    sheet = blank(look, landscape=True)
    _head(sheet, case, "D03-TS")
    sheet.put(148, 38, "DANH SÁCH NGƯỜI CHỈ THAM GIA BẢO HIỂM Y TẾ", 14, bold=True, align="c")
    sheet.put(148, 45, f"Số: {number} tháng {day.month:02d} năm {day.year}", 12.5, align="c")
    rows = [
        [
            "STT",
            "Họ và tên",
            "Mã số BHXH",
            "Ngày sinh",
            "Nữ",
            "Số CCCD/ĐDCN",
            "Địa chỉ",
            "Nơi đăng ký KCB ban đầu",
            "Từ ngày",
            "Số tháng",
        ]
    ]
    count = rng.randrange(3, 6)
    for n, who in enumerate(_staff(case, count), 1):
        rows.append(
            [
                str(n),
                who.name,
                who.bhxh,
                pp.dotted(who.born),
                "" if who.male else "x",
                who.id if case.with_id else "",
                who.address.area(day),
                case.hospital.name,
                pp.dotted(day.replace(day=1)),
                "12",
            ]
        )
    y = sheet.table(18, 52, [11, 38, 25, 23, 9, 31, 52, 38, 22, 13], rows, size=10, centre=(0, 2, 3, 4, 5, 8, 9))
    _close(sheet, case, y + 10, day)
    return Paper(
        "LOCAL:D03-TS",
        [sheet],
        truth(
            "LOCAL:D03-TS",
            "ORGANISATION",
            **_organisation(case),
            title="DANH SÁCH NGƯỜI CHỈ THAM GIA BẢO HIỂM Y TẾ",
            number_symbol=number,
            issue_date=day,
            issuer=firm.name,
            special_unit_code=firm.unit_code,
            special_people=str(count),
        )
        | table_rows(
            rows[1:],
            (
                "",
                "full_name",
                "bhxh_number",
                "birth_date",
                "sex",
                "person_id",
                "address",
                "facility",
                "from_date",
                "months",
            ),
        ),
        owner="ORGANISATION",
    )


def accident_letter(case: Case, look: Look) -> Paper:
    """Văn bản đề nghị giải quyết chế độ tai nạn lao động, bệnh nghề nghiệp, mẫu 05A-HSB."""
    rng, firm, who, day = case.rng, case.employer, case.person, case.day
    number = f"{rng.randrange(1, 200)}/CV-TNLĐ"
    sheet = blank(look)
    sheet.put(188, 13, "Mẫu số 05A-HSB", 10, bold=True, align="r")
    lines = sheet.wrap(firm.name.upper(), 12, 74, bold=True)
    end = issuer_head(sheet, 56, 21, "", lines, 12, 76)
    sheet.put(56, end + 8, f"Số: {number}", 12.5, align="c")
    national(sheet, 147, 21, 12.5)
    sheet.put(147, 35, place_date(bare(firm.address.place), day), 12.5, italic=True, align="c")
    sheet.put(105, 52, "VĂN BẢN ĐỀ NGHỊ", 14.5, bold=True, align="c")
    about = "Giải quyết chế độ tai nạn lao động, bệnh nghề nghiệp"
    sheet.put(105, 58.5, about, 13, bold=True, align="c", underline=0.3)
    sheet.put(105, 70, f"Kính gửi: Bảo hiểm xã hội {who.address.place.province}", 13, align="c")
    x, w, y = 25.0, 165.0, 81.0
    y = sheet.para(
        x,
        y,
        w,
        f"{firm.name}, mã đơn vị: {firm.unit_code}, mã số thuế: {firm.tax}, đề nghị cơ quan Bảo hiểm xã hội giải quyết chế độ tai nạn lao động đối với:",
    )
    y = sheet.row(x, y + 1, w, ("Ông/Bà:", who.name), ("Sinh ngày:", pp.dotted(who.born)))
    y = sheet.row(x, y, w, ("Mã số BHXH:", who.bhxh), ("Nghề nghiệp:", who.job))
    if case.with_id:
        y = sheet.row(x, y, w, ("Số CCCD/Số định danh cá nhân:", who.id))
    y = sheet.row(x, y, w, ("Bị tai nạn lao động ngày:", pp.dotted(case.event)))
    y = sheet.row(x, y, w, ("Nơi xảy ra tai nạn:", firm.address.at(day)))
    y = sheet.row(x, y, w, ("Đã điều trị tại:", case.hospital.name))
    y = sheet.para(
        x,
        y + 1,
        w,
        "Đơn vị đã lập biên bản điều tra tai nạn lao động theo quy định, giới thiệu người lao động đi giám định mức suy giảm khả năng lao động và gửi kèm hồ sơ gồm: giấy ra viện, biên bản giám định y khoa.",
    )
    y = sheet.para(x, y + 1, w, "Đề nghị Bảo hiểm xã hội xem xét, giải quyết theo quy định./.")
    sheet.put(25, y + 8, "Nơi nhận:", 11, bold=True, italic=True)
    sheet.put(25, y + 13, "- Như trên;", 10.5)
    sheet.put(25, y + 17.5, "- Lưu: VT, TCHC.", 10.5)
    signed(sheet, rng, 148, y + 8, office=["GIÁM ĐỐC"], name=firm.director.name, stamp=(firm.name, f"MST {firm.tax}"))
    return Paper(
        "LOCAL:05A-HSB",
        [sheet],
        truth(
            "LOCAL:05A-HSB",
            "ORGANISATION",
            owner_id=firm.tax,
            organisation_name=firm.name,
            founding_year=None,
            title="VĂN BẢN ĐỀ NGHỊ",
            number_symbol=number,
            issue_date=day,
            issuer=firm.name.upper(),
            abstract=about,
            special_unit_code=firm.unit_code,
            special_worker_name=who.name,
            special_worker_bhxh_number=who.bhxh,
            special_accident_on=case.event,
        ),
        owner="ORGANISATION",
    )
