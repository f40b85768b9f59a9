"""Forms of the agency that a person fills in or gets: 14-HSB, 09-HSB, 04-HSB, TK1-TS, book and card."""

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
    person_fields,
    place_date,
    signed,
    table_rows,
    truth,
)
from tests.samples.look import Look
from tests.samples.sheet import Sheet

AGENCY = "BẢO HIỂM XÃ HỘI VIỆT NAM"


def agency_of(case: Case) -> str:
    """The provincial agency: BẢO HIỂM XÃ HỘI TỈNH …"""
    return f"BẢO HIỂM XÃ HỘI {case.person.address.place.province.upper()}"


def _form_mark(sheet: Sheet, code: str, x: float = 188) -> None:
    sheet.put(x, 15, f"Mẫu số {code}", 10, bold=True, align="r")
    sheet.put(x, 19, "(Ban hành kèm theo Quyết định của Bảo hiểm xã hội Việt Nam)", 8, italic=True, align="r")


def _tick(sheet: Sheet, x: float, y: float, ticked: bool, text: str, size: float = 12) -> float:
    """An empty or crossed box with its text; returns the right edge."""
    sheet.box(x, y - 3.2, 3.6, 3.6, 0.25)
    if ticked:
        sheet.rule(x + 0.5, y - 2.7, x + 3.1, y - 0.1, 0.4)
        sheet.rule(x + 3.1, y - 2.7, x + 0.5, y - 0.1, 0.4)
    return sheet.put(x + 5.5, y, text, size)


def application(case: Case, look: Look) -> Paper:
    """Đơn đề nghị, mẫu 14-HSB (Quyết định 166/QĐ-BHXH)."""
    rng, who, day = case.rng, case.person, case.day
    sheet = blank(look)
    _form_mark(sheet, "14-HSB")
    national(sheet, 105, 28)
    sheet.put(105, 48, "ĐƠN ĐỀ NGHỊ", 15, bold=True, align="c")
    agency = f"Bảo hiểm xã hội {who.address.place.province}"
    sheet.put(105, 58, f"Kính gửi: {agency}", 13, align="c")
    x, w, y = 24.0, 166.0, 70.0
    y = sheet.row(x, y, w, ("1. Họ và tên:", who.name), ("Giới tính:", who.sex))
    y = sheet.row(x, y, w, ("2. Ngày, tháng, năm sinh:", pp.dotted(who.born)), ("Dân tộc:", who.ethnic))
    y = sheet.row(x, y, w, ("3. Mã số BHXH:", who.bhxh))
    y = sheet.row(x, y, w, ("4. Số CCCD/Số định danh cá nhân:", who.id if case.with_id else None))
    y = sheet.row(x, y, w, ("5. Địa chỉ nơi cư trú:", who.address.at(day)))
    y = sheet.row(x, y, w, ("6. Số điện thoại:", who.phone))
    y = sheet.row(x, y, w, ("7. Nội dung yêu cầu giải quyết:", ""))
    choices = ("Hưởng bảo hiểm xã hội một lần", "Hưởng lương hưu", "Chuyển nơi hưởng", "Điều chỉnh, hủy quyết định")
    for n, choice in enumerate(choices):
        _tick(sheet, x + 8, y, n == 0, choice, 13)
        y += 7
    until = f"{rng.randrange(1, 13):02d}/{day.year - 1}"
    y = sheet.row(x, y, w, ("8. Thời gian nghỉ việc, dừng đóng BHXH từ tháng:", until))
    y = sheet.row(x, y, w, ("9. Hình thức nhận trợ cấp:", f"Qua tài khoản ATM số {rng.randrange(10**11, 10**12)}"))
    y = sheet.row(
        x, y, w, ("10. Ngân hàng nơi mở tài khoản:", f"{rng.choice(pp.BANKS)} chi nhánh {bare(who.address.place)}")
    )
    y = sheet.row(x, y, w, ("11. Lý do nộp chậm (nếu có):", None))
    y = sheet.para(
        x,
        y + 2,
        w,
        "Tôi xin cam đoan những nội dung kê khai trên đây là đúng sự thật và chịu trách nhiệm trước pháp luật về những nội dung đã kê khai./.",
    )
    sheet.put(145, y + 6, place_date(bare(who.address.place), day), 12.5, italic=True, align="c")
    signed(sheet, rng, 145, y + 13, office=["Người đề nghị"], note="(Ký, ghi rõ họ tên)", name=who.name)
    return Paper(
        "LOCAL:14-HSB",
        [sheet],
        truth(
            "LOCAL:14-HSB",
            **person_fields(case),
            title="ĐƠN ĐỀ NGHỊ",
            issue_date=day,
            special_bhxh_number=who.bhxh,
            special_sex=who.sex,
            special_phone=who.phone,
        ),
    )


def relatives(case: Case, look: Look) -> Paper:
    """Tờ khai của thân nhân, mẫu 09-HSB: who applies for the survivors' benefit. Two pages."""
    rng, day, who = case.rng, case.day, case.spouse
    dead = case.person
    sheet = blank(look)
    _form_mark(sheet, "09-HSB")
    national(sheet, 105, 28)
    sheet.put(105, 46, "TỜ KHAI CỦA THÂN NHÂN", 15, bold=True, align="c")
    x, w, y = 24.0, 166.0, 60.0
    sheet.put(x, y, "I. Thông tin về người khai", 13, bold=True)
    y = sheet.row(x, y + 8, w, ("1. Họ và tên:", who.name), ("Giới tính:", who.sex))
    y = sheet.row(x, y, w, ("2. Ngày, tháng, năm sinh:", pp.dotted(who.born)))
    y = sheet.row(x, y, w, ("3. Số CCCD/Số định danh cá nhân:", who.id if case.with_id else None))
    y = sheet.row(x, y, w, ("4. Nơi cư trú:", who.address.at(day)))
    y = sheet.row(x, y, w, ("5. Quan hệ với người chết:", "Vợ" if dead.male else "Chồng"), ("Điện thoại:", who.phone))
    sheet.put(x, y + 2, "II. Thông tin về người tham gia BHXH đã chết", 13, bold=True)
    y = sheet.row(x, y + 10, w, ("1. Họ và tên:", dead.name), ("Mã số BHXH:", dead.bhxh))
    y = sheet.row(x, y, w, ("2. Chết ngày:", pp.dotted(case.event)))
    sheet.put(x, y + 2, "III. Danh sách thân nhân", 13, bold=True)
    rows = [["STT", "Họ và tên", "Ngày sinh", "Quan hệ", "Nơi cư trú", "Loại trợ cấp"]]
    rows.append(["1", who.name, pp.dotted(who.born), "Vợ" if dead.male else "Chồng", who.address.area(day), "Một lần"])
    for n in range(2, 5):
        kin = pp.make_person(rng, born=(date(2008, 1, 1), date(2020, 12, 31)), family=dead.name.split()[0])
        rows.append([str(n), kin.name, pp.dotted(kin.born), "Con", who.address.area(day), "Hằng tháng"])
    sheet.table(x, y + 7, [11, 40, 24, 18, 48, 25], rows, size=10.5, centre=(0, 2, 3, 5))
    second = blank(look)
    second.put(105, 18, "2", 12, align="c")
    y = second.para(
        x,
        32,
        w,
        "Tôi cùng các thân nhân nêu trên đã thống nhất cử người khai đứng tên nhận trợ cấp. Các thân nhân không có thu nhập hoặc có thu nhập thấp hơn mức lương cơ sở theo quy định.",
    )
    y = second.para(
        x,
        y + 1,
        w,
        "Tôi xin cam đoan nội dung kê khai là đầy đủ, đúng sự thật và chịu trách nhiệm trước pháp luật về nội dung kê khai; nếu sai tôi xin hoàn trả toàn bộ số tiền đã nhận.",
    )
    second.put(145, y + 5, place_date(bare(who.address.place), day), 12.5, italic=True, align="c")
    ward = who.address.ward_at(day)
    signed(
        second,
        rng,
        60,
        y + 13,
        office=["XÁC NHẬN CỦA UBND CẤP XÃ"],
        note="(Ký, đóng dấu)",
        name=pp.make_name(rng, True),
        stamp=(f"UBND {ward} ★ {bare(who.address.place)}", "ỦY BAN NHÂN DÂN"),
        size=12,
    )
    signed(second, rng, 145, y + 13, office=["NGƯỜI KHAI"], note="(Ký, ghi rõ họ tên)", name=who.name, size=12)
    return Paper(
        "LOCAL:09-HSB",
        [sheet, second],
        truth(
            "LOCAL:09-HSB",
            **person_fields(case, who),
            title="TỜ KHAI CỦA THÂN NHÂN",
            issue_date=day,
            special_deceased_name=dead.name,
            special_deceased_bhxh_number=dead.bhxh,
            special_died_on=case.event,
        )
        | table_rows(rows[1:], ("", "full_name", "birth_date", "relation", "address", "benefit")),
    )


def contribution_history(case: Case, look: Look) -> Paper:
    """Bản quá trình đóng BHXH, mẫu 04-HSB, two pages of table."""
    rng, who, day = case.rng, case.person, case.day
    agency = agency_of(case)
    number = f"{rng.randrange(100, 9999)}/{day.year}/BQT-BHXH"
    sheet = blank(look)
    end = issuer_head(sheet, 58, 20, AGENCY, [agency], 12, 78)
    sheet.put(58, end + 7.5, f"Số: {number}", 12.5, align="c")
    sheet.put(188, 13, "Mẫu số 04-HSB", 10, bold=True, align="r")
    national(sheet, 148, 20, 12.5)
    sheet.put(148, 33.5, place_date(bare(who.address.place), day), 12.5, italic=True, align="c")
    sheet.put(105, 48, "BẢN QUÁ TRÌNH ĐÓNG BẢO HIỂM XÃ HỘI", 14.5, bold=True, align="c")
    x, w, y = 22.0, 168.0, 60.0
    y = sheet.row(x, y, w, ("Họ và tên:", who.name.upper()), ("Mã số BHXH:", who.bhxh))
    y = sheet.row(x, y, w, ("Ngày, tháng, năm sinh:", pp.dotted(who.born)), ("Giới tính:", who.sex))
    if case.with_id:
        y = sheet.row(x, y, w, ("Số CCCD/Số định danh cá nhân:", who.id))
    y = sheet.row(x, y, w, ("Nơi cư trú:", who.address.at(day)))
    head = [
        [
            "Từ tháng, năm",
            "Đến tháng, năm",
            "Diễn giải: cấp bậc, chức vụ, đơn vị, nơi làm việc",
            "Tiền lương đóng BHXH",
            "Tỷ lệ (%)",
        ]
    ]
    rows, months = _history(case, 22)
    widths = [22.0, 22.0, 78.0, 28.0, 18.0]
    sheet.table(x, y - 2, widths, head + rows[:12], size=10.5, centre=(0, 1, 3, 4))
    second = blank(look)
    second.put(105, 16, "2", 12, align="c")
    y = second.table(x, 22, widths, head + rows[12:], size=10.5, centre=(0, 1, 3, 4))
    y = second.row(x, y + 9, w, ("Tổng thời gian đóng BHXH:", f"{months // 12:02d} năm {months % 12:02d} tháng"))
    amount = months * rng.randrange(300, 900) * 1000
    y = second.row(x, y, w, ("Số tiền trợ cấp một lần:", f"{money(amount)} đồng"))
    signed(second, rng, 52, y + 8, office=["NGƯỜI LẬP"], name=pp.make_name(rng, False), size=12)
    signed(
        second,
        rng,
        148,
        y + 8,
        office=["GIÁM ĐỐC"],
        name=pp.make_name(rng, True),
        stamp=(agency + " ★ BHXH Việt Nam", "BẢO HIỂM XÃ HỘI"),
        size=12,
    )
    return Paper(
        "LOCAL:04-HSB",
        [sheet, second],
        truth(
            "LOCAL:04-HSB",
            **person_fields(case),
            title="BẢN QUÁ TRÌNH ĐÓNG BẢO HIỂM XÃ HỘI",
            number_symbol=number,
            issue_date=day,
            issuer=agency,
            special_bhxh_number=who.bhxh,
            special_months=str(months),
            special_amount=str(amount),
        )
        | table_rows(rows, ("from_month", "to_month", "work", "salary", "rate")),
    )


def _history(case: Case, count: int) -> tuple[list[list[str]], int]:
    """Rows of contribution periods and their months."""
    rng = case.rng
    rows, total = [], 0
    month = date(2006, 1, 1).replace(month=rng.randrange(1, 13))
    pay = rng.randrange(25, 38) * 100000
    firm = pp.make_employer(rng)
    for n in range(count):
        months = rng.randrange(4, 15)
        last = _add_months(month, months - 1)
        if n % 8 == 7:
            firm = pp.make_employer(rng)
        rows.append(
            [
                f"{month:%m/%Y}",
                f"{last:%m/%Y}",
                f"{case.person.job}, {firm.name}, {bare(firm.address.place)}",
                money(pay),
                rng.choice(["22", "25", "25,5"]),
            ]
        )
        total += months
        month = _add_months(last, 1)
        pay += rng.randrange(1, 5) * 100000
    return rows, total


def _add_months(day: date, count: int) -> date:
    index = day.year * 12 + day.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def declaration(case: Case, look: Look) -> Paper:
    """Tờ khai tham gia, điều chỉnh thông tin BHXH, BHYT, mẫu TK1-TS (Quyết định 490/QĐ-BHXH), two pages."""
    rng, who, day = case.rng, case.person, case.day
    sheet = blank(look)
    sheet.put(188, 14, "Mẫu TK1-TS", 10, bold=True, align="r")
    sheet.put(
        188,
        18,
        "(Ban hành kèm theo Quyết định số 490/QĐ-BHXH ngày 28/3/2023 của BHXH Việt Nam)",
        7.5,
        italic=True,
        align="r",
    )
    national(sheet, 105, 27)
    sheet.put(105, 43, "TỜ KHAI", 14, bold=True, align="c")
    sheet.put(105, 49, "THAM GIA, ĐIỀU CHỈNH THÔNG TIN BẢO HIỂM XÃ HỘI, BẢO HIỂM Y TẾ", 12.5, bold=True, align="c")
    agency = f"Bảo hiểm xã hội {who.address.place.province}"
    sheet.put(105, 58, f"Kính gửi: {agency}", 13, align="c")
    x, w, s = 22.0, 168.0, 12.5
    y = sheet.para(
        x,
        67,
        w,
        "I. Áp dụng đối với người tham gia tra cứu không thấy mã số BHXH do cơ quan BHXH cấp",
        12.5,
        indent=0,
        bold=True,
    )
    y = sheet.row(
        x, y + 2, w, ("[01]. Họ và tên (viết chữ in hoa):", who.name.upper()), ("[02]. Giới tính:", who.sex), size=s
    )
    y = sheet.row(
        x, y, w, ("[03]. Ngày, tháng, năm sinh:", pp.dotted(who.born)), ("[04]. Quốc tịch:", "Việt Nam"), size=s
    )
    y = sheet.row(
        x, y, w, ("[05]. Dân tộc:", who.ethnic), ("[06]. Số CCCD/ĐDCN:", who.id if case.with_id else None), size=s
    )
    y = sheet.row(x, y, w, ("[07]. Điện thoại:", who.phone), ("[08]. Email (nếu có):", None), size=s)
    home = who.address
    if day >= pp.REFORM:
        y = sheet.row(
            x,
            y,
            w,
            ("[09]. Nơi đăng ký khai sinh: [09.1]. Xã:", home.ward_at(day)),
            ("[09.2]. Tỉnh:", home.place.new_province),
            size=s,
        )
    else:
        y = sheet.row(
            x,
            y,
            w,
            ("[09]. Nơi đăng ký khai sinh: [09.1]. Xã:", home.ward),
            ("[09.2]. Huyện:", home.district),
            ("[09.3]. Tỉnh:", home.place.province),
            size=s,
        )
    y = sheet.row(x, y, w, ("[10]. Họ và tên cha/mẹ/giám hộ (đối với trẻ em dưới 6 tuổi):", None), size=s)
    y = sheet.row(x, y, w, ("[11]. Địa chỉ nhận kết quả:", home.at(day)), size=s)
    y = sheet.para(
        x,
        y + 1,
        w,
        "[12]. Kê khai Phụ lục Thành viên hộ gia đình (phụ lục kèm theo) đối với người tham gia tra cứu không thấy mã số BHXH và người tham gia BHYT theo hộ gia đình để giảm trừ mức đóng.",
        s,
        indent=0,
    )
    y = sheet.para(
        x,
        y + 2,
        w,
        "II. Áp dụng đối với người tham gia đã có mã số BHXH đề nghị đăng ký, điều chỉnh thông tin ghi trên sổ BHXH, thẻ BHYT",
        12.5,
        indent=0,
        bold=True,
    )
    y = sheet.row(x, y + 2, w, ("[13]. Mã số BHXH:", who.bhxh), size=s)
    y = sheet.row(x, y, w, ("[14]. Điều chỉnh thông tin cá nhân:", "Ngày, tháng, năm sinh"), size=s)
    y = sheet.row(
        x,
        y,
        w,
        ("[15]. Mức tiền đóng:", money(rng.randrange(15, 60) * 100000)),
        ("[16]. Phương thức đóng:", rng.choice(["03 tháng", "06 tháng", "12 tháng"])),
        size=s,
    )
    y = sheet.row(x, y, w, ("[17]. Nơi đăng ký khám bệnh, chữa bệnh ban đầu:", case.hospital.name), size=s)
    reason = rng.choice(
        ["Cấp lại thẻ BHYT do hỏng", "Điều chỉnh ngày sinh trên sổ BHXH", "Đăng ký tham gia BHXH tự nguyện"]
    )
    y = sheet.row(x, y, w, ("[18]. Nội dung thay đổi, yêu cầu:", reason), size=s)
    y = sheet.row(x, y, w, ("[19]. Hồ sơ kèm theo (nếu có):", "Giấy khai sinh bản chính"), size=s)
    y = sheet.para(
        x,
        y + 1,
        w,
        "Tôi cam đoan những nội dung kê khai là đúng và chịu trách nhiệm trước pháp luật về những nội dung đã kê khai.",
        s,
    )
    sheet.put(145, y + 3, place_date(bare(home.place), day), 12, italic=True, align="c")
    signed(sheet, rng, 145, y + 9, office=["Người kê khai"], note="(Ký, ghi rõ họ tên)", name=who.name, size=12)
    appendix, members = _household(case, look, day)
    return Paper(
        "LOCAL:TK1-TS",
        [sheet, appendix],
        truth(
            "LOCAL:TK1-TS",
            **person_fields(case),
            title="TỜ KHAI THAM GIA, ĐIỀU CHỈNH THÔNG TIN BẢO HIỂM XÃ HỘI, BẢO HIỂM Y TẾ",
            issue_date=day,
            special_bhxh_number=who.bhxh,
            special_sex=who.sex,
            special_phone=who.phone,
            special_request=reason,
        )
        | table_rows(members, ("", "full_name", "bhxh_number", "birth_date", "sex", "relation", "person_id")),
    )


def _household(case: Case, look: Look, day: date) -> tuple[Sheet, list[list[str]]]:
    """Appendix of TK1-TS: members of the household."""
    rng, who = case.rng, case.person
    sheet = blank(look)
    sheet.put(105, 24, "PHỤ LỤC THÀNH VIÊN HỘ GIA ĐÌNH", 13.5, bold=True, align="c")
    x, w = 18.0, 176.0
    y = sheet.row(x, 36, w, ("Họ và tên chủ hộ:", who.name), ("Điện thoại:", who.phone), size=12)
    y = sheet.row(x, y, w, ("Địa chỉ:", who.address.at(day)), size=12)
    rows = [
        [
            "STT",
            "Họ và tên",
            "Mã số BHXH",
            "Ngày, tháng, năm sinh",
            "Giới tính",
            "Mối quan hệ với chủ hộ",
            "Số định danh cá nhân",
        ]
    ]
    members = [(who, "Chủ hộ"), (case.spouse, "Chồng" if case.spouse.male else "Vợ"), (case.child, "Con")]
    members += [
        (
            pp.make_person(
                rng, born=(date(2009, 1, 1), date(2021, 12, 31)), family=who.name.split()[0], place=who.address.place
            ),
            "Con",
        )
    ]
    for n, (kin, tie) in enumerate(members, 1):
        rows.append([str(n), kin.name, kin.bhxh, pp.dotted(kin.born), kin.sex, tie, kin.id if case.with_id else ""])
    y = sheet.table(x, y, [11, 40, 25, 26, 15, 25, 34], rows, size=10.5, centre=(0, 2, 3, 4, 5, 6))
    y = sheet.para(
        x,
        y + 10,
        w,
        "Ghi chú: Chủ hộ kê khai đầy đủ, chính xác thông tin của toàn bộ thành viên hộ gia đình và chịu trách nhiệm trước pháp luật về nội dung đã kê khai.",
        12,
        italic=True,
    )
    signed(sheet, rng, 145, y + 8, office=["Người kê khai"], note="(Ký, ghi rõ họ tên)", name=who.name, size=12)
    return sheet, rows[1:]


def book(case: Case, look: Look) -> Paper:
    """Sổ bảo hiểm xã hội: cover page and one detached leaf (tờ rời)."""
    rng, who = case.rng, case.person
    agency = agency_of(case)
    day = date(2015 + rng.randrange(0, 8), rng.randrange(1, 13), rng.randrange(1, 28))
    cover = blank(look)
    cover.box(45, 40, 120, 180, 0.4)
    cover.put(105, 56, NATION_SHORT[0], 10.5, bold=True, align="c")
    cover.put(105, 61.5, NATION_SHORT[1], 11, bold=True, align="c", underline=0.9)
    cover.put(105, 96, "SỔ", 20, bold=True, align="c")
    cover.put(105, 106, "BẢO HIỂM XÃ HỘI", 20, bold=True, align="c")
    y = cover.row(54, 136, 104, ("Họ và tên:", who.name.upper()))
    y = cover.row(54, y, 104, ("Ngày sinh:", pp.dotted(who.born)), ("Giới tính:", who.sex))
    y = cover.row(54, y, 104, ("Mã số BHXH:", who.bhxh))
    if case.with_id:
        cover.row(54, y, 104, ("Số ĐDCN/CCCD:", who.id))
    cover.put(105, 178, place_date(bare(who.address.place), day), 11, italic=True, align="c")
    signed(
        cover,
        rng,
        115,
        184,
        office=["GIÁM ĐỐC"],
        name=pp.make_name(rng, True),
        stamp=(agency + " ★ BHXH Việt Nam", "BẢO HIỂM XÃ HỘI"),
        size=11.5,
    )
    leaf = blank(look)
    leaf.put(105, 24, "TỜ RỜI SỔ BẢO HIỂM XÃ HỘI", 14, bold=True, align="c")
    y = leaf.row(20, 38, 172, ("Họ và tên:", who.name.upper()), ("Mã số BHXH:", who.bhxh))
    head = [
        [
            "Từ tháng, năm",
            "Đến tháng, năm",
            "Cấp bậc, chức vụ, chức danh nghề, nơi làm việc",
            "Căn cứ đóng BHXH",
            "Tỷ lệ đóng (%)",
        ]
    ]
    rows, months = _history(case, 14)
    y = leaf.table(20, y - 1, [22, 22, 78, 30, 20], head + rows, size=10.5, centre=(0, 1, 3, 4))
    leaf.row(20, y + 9, 172, ("Tổng cộng thời gian đóng BHXH:", f"{months // 12:02d} năm {months % 12:02d} tháng"))
    return Paper(
        "LOCAL:SO-BHXH",
        [cover, leaf],
        truth(
            "LOCAL:SO-BHXH",
            **person_fields(case),
            title="SỔ BẢO HIỂM XÃ HỘI",
            number_symbol=who.bhxh,
            issue_date=day,
            special_bhxh_number=who.bhxh,
            special_sex=who.sex,
        )
        | table_rows(rows, ("from_month", "to_month", "work", "salary", "rate")),
    )


NATION_SHORT = ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc")


def health_card(case: Case, look: Look) -> Paper:
    """Thẻ bảo hiểm y tế (Quyết định 1666/QĐ-BHXH), copied on a sheet."""
    rng, who = case.rng, case.person
    sheet = blank(look)
    day = pp.day_between(rng, date(2021, 4, 1), case.event - timedelta(days=30))
    x, y = 52.0, 42.0
    sheet.box(x, y, 106, 72, 0.3)
    sheet.put(x + 53, y + 8, AGENCY, 10, bold=True, align="c")
    sheet.put(x + 53, y + 15, "THẺ BẢO HIỂM Y TẾ", 13, bold=True, align="c", colour=(20, 60, 150))
    ty = sheet.row(x + 6, y + 23, 96, ("Mã số:", who.card), size=11, lead=1.45)
    ty = sheet.row(x + 6, ty, 96, ("Họ và tên:", who.name.upper()), size=10.5, lead=1.45)
    ty = sheet.row(x + 6, ty, 96, ("Ngày sinh:", pp.dotted(who.born)), ("Giới tính:", who.sex), size=10.5, lead=1.45)
    ty = sheet.row(x + 6, ty, 96, ("Nơi ĐK KCB BĐ:", case.hospital.name), size=10, lead=1.45)
    ty = sheet.row(x + 6, ty, 96, ("Giá trị sử dụng: từ ngày", pp.dotted(day)), size=10.5, lead=1.45)
    sheet.row(x + 6, ty, 96, ("Nơi cấp, đổi thẻ BHYT:", f"BHXH {bare(who.address.place)}"), size=10.5, lead=1.45)
    sheet.put(x + 99, y + 68, place_date(bare(who.address.place), day), 9.5, italic=True, align="r")
    return Paper(
        "LOCAL:THE-BHYT",
        [sheet],
        truth(
            "LOCAL:THE-BHYT",
            owner_id=None,
            full_name=who.name,
            birth_date=who.born,
            title="THẺ BẢO HIỂM Y TẾ",
            number_symbol=who.card,
            issue_date=day,
            issuer=AGENCY,
            special_health_card=who.card,
            special_sex=who.sex,
            special_valid_from=day,
        ),
    )
