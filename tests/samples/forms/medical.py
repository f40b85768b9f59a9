"""Papers of hospitals: discharge paper, C65-HD, birth notice, medical assessment, invoice."""

# ruff: noqa: E501 - the wording of a form stays on one line
from __future__ import annotations

from datetime import timedelta

from tests.samples import people as pp
from tests.samples.forms.base import (
    Case,
    Paper,
    bare,
    blank,
    money,
    national,
    person_fields,
    place_date,
    signed,
    truth,
)
from tests.samples.look import Look

ILLNESS = [
    ("Viêm phổi thùy, tăng huyết áp độ I (J18.1; I10)", "Kháng sinh, hạ sốt, nghỉ ngơi tại giường"),
    ("Viêm ruột thừa cấp (K35.8)", "Phẫu thuật nội soi cắt ruột thừa"),
    ("Gãy kín đầu dưới xương quay tay phải (S52.5)", "Nắn bó bột, giảm đau"),
    ("Sốt xuất huyết Dengue có dấu hiệu cảnh báo (A97.1)", "Truyền dịch, hạ sốt, theo dõi tiểu cầu"),
    ("Thoát vị đĩa đệm cột sống thắt lưng L4-L5 (M51.2)", "Giảm đau, giãn cơ, vật lý trị liệu"),
    ("Viêm dạ dày cấp, mất nước nhẹ (K29.1)", "Truyền dịch, ức chế tiết a-xít"),
    ("Rối loạn chức năng tiền đình (H81.9)", "Thuốc tăng tuần hoàn não, nghỉ ngơi"),
]
DOCTORS = ("BS. CKI. ", "ThS. BS. ", "BS. CKII. ")


def _moment(case: Case, day: object) -> str:
    return f"{case.rng.randrange(6, 18):02d} giờ {case.rng.randrange(0, 60):02d} phút, {pp.spelled(day)}"  # type: ignore[arg-type]


def discharge(case: Case, look: Look) -> Paper:
    """Giấy ra viện (Thông tư 56/2017/TT-BYT, Phụ lục 3, as amended by Thông tư 18/2022/TT-BYT)."""
    rng, who, hospital = case.rng, case.person, case.hospital
    sheet = blank(look)
    archive = f"{rng.randrange(1000, 60000)}/{case.event.year % 100}"
    out = case.event + timedelta(days=rng.randrange(4, 12))
    sheet.put(52, 20, hospital.parent.upper(), 11.5, align="c")
    sheet.fitted(52, 25.5, hospital.name.upper(), 11.5, 62, bold=True, align="c", underline=0.4)
    faculty = rng.choice(pp.FACULTIES)
    sheet.put(52, 32.5, f"Khoa: {faculty}", 11.5, align="c")
    national(sheet, 126, 20, 11)
    sheet.put(190, 20, "MS: 01/BV-01", 10, align="r")
    sheet.put(140, 38.5, f"Số lưu trữ: {archive}", 11)
    sheet.put(
        140,
        43.5,
        f"Mã Y tế: {hospital.code[:2]}/{hospital.code[2:]}/{case.event.year % 100}/{rng.randrange(1000, 99999):06d}",
        11,
    )
    sheet.put(105, 58, "GIẤY RA VIỆN", 18, bold=True, align="c")
    illness, cure = rng.choice(ILLNESS)
    x, w, y = 24.0, 166.0, 72.0
    y = sheet.row(x, y, w, ("- Họ tên người bệnh:", who.name.upper() if rng.random() < 0.5 else who.name))
    y = sheet.row(x, y, w, ("- Ngày/tháng/năm sinh:", pp.dotted(who.born)), ("Nam/Nữ:", who.sex))
    y = sheet.row(x, y, w, ("- Dân tộc:", who.ethnic), ("Nghề nghiệp:", who.job))
    y = sheet.row(x, y, w, ("- Mã số BHXH/Thẻ BHYT số:", who.card))
    if case.with_id:
        y = sheet.row(x, y, w, ("- Số CCCD/Định danh cá nhân/Hộ chiếu:", who.id))
    y = sheet.row(x, y, w, ("- Địa chỉ:", who.address.at(case.event)))
    y = sheet.row(x, y, w, ("- Vào viện lúc:", _moment(case, case.event)))
    y = sheet.row(x, y, w, ("- Ra viện lúc:", _moment(case, out)))
    y = sheet.row(x, y, w, ("- Chẩn đoán:", illness))
    y = sheet.row(x, y, w, ("- Phương pháp điều trị:", cure))
    rest = rng.randrange(3, 16)
    y = sheet.row(
        x, y, w, ("- Ghi chú:", f"Nghỉ {rest:02d} ngày sau khi ra viện, tái khám khi có dấu hiệu bất thường.")
    )
    y += 6
    sheet.put(150, y, place_date(bare(hospital.place), out), 12.5, italic=True, align="c")
    doctor = rng.choice(DOCTORS) + pp.make_name(rng, True)
    signed(sheet, rng, 150, y + 7, office=["TRƯỞNG KHOA ĐIỀU TRỊ"], note="(Ký, ghi rõ họ tên)", name=doctor, size=12)
    signed(
        sheet,
        rng,
        60,
        y + 7,
        office=["THỦ TRƯỞNG ĐƠN VỊ"],
        note="(Ký, đóng dấu)",
        name=rng.choice(DOCTORS) + pp.make_name(rng, True),
        stamp=(hospital.parent + " ★ " + hospital.name, "BỆNH VIỆN"),
        size=12,
    )
    return Paper(
        "LOCAL:GIAY-RA-VIEN",
        [sheet],
        truth(
            "LOCAL:GIAY-RA-VIEN",
            **person_fields(case),
            title="GIẤY RA VIỆN",
            number_symbol=archive,
            issue_date=out,
            issuer=hospital.name.upper(),
            special_health_card=who.card,
            special_sex=who.sex,
            special_admitted_on=case.event,
            special_discharged_on=out,
            special_diagnosis=illness,
        ),
    )


def c65(case: Case, look: Look) -> Paper:
    """Giấy chứng nhận nghỉ việc hưởng BHXH, mẫu C65-HD (Thông tư 56/2017/TT-BYT, Phụ lục 7)."""
    rng, who, hospital = case.rng, case.person, case.hospital
    sheet = blank(look)
    number = f"{rng.randrange(1, 3000):04d}/KCB"
    serial = f"{hospital.code}{case.event.year % 100}{rng.randrange(1, 99999):06d}"
    sheet.put(22, 20, "Tên cơ sở khám bệnh, chữa bệnh:", 11)
    sheet.fitted(22, 25.5, hospital.name.upper(), 11.5, 88, bold=True)
    sheet.put(22, 31, f"Số: {number}", 12)
    sheet.put(188, 20, "Mẫu C65-HD", 12, bold=True, align="r")
    sheet.put(188, 25.5, f"Số seri: {serial}", 11, align="r")
    sheet.put(105, 46, "GIẤY CHỨNG NHẬN", 16, bold=True, align="c")
    sheet.put(105, 53, "NGHỈ VIỆC HƯỞNG BẢO HIỂM XÃ HỘI", 14, bold=True, align="c")
    days = rng.randrange(1, 10)
    last = case.event + timedelta(days=days - 1)
    illness, cure = rng.choice(ILLNESS)
    x, w, y = 24.0, 166.0, 66.0
    sheet.put(x, y, "I. Thông tin người bệnh", 13, bold=True)
    y = sheet.row(x, y + 7.5, w, ("Họ và tên:", who.name), ("Ngày sinh:", pp.dotted(who.born)))
    y = sheet.row(x, y, w, ("Mã số BHXH/Số thẻ BHYT:", who.bhxh), ("Giới tính:", who.sex))
    if case.with_id:
        y = sheet.row(x, y, w, ("Số CCCD/Mã định danh:", who.id))
    y = sheet.row(x, y, w, ("Đơn vị làm việc:", case.employer.name))
    sheet.put(x, y + 2, "II. Chẩn đoán và phương pháp điều trị", 13, bold=True)
    y = sheet.para(x, y + 9.5, w, f"{illness}. {cure}.", 13, indent=0)
    y = sheet.row(x, y + 1.5, w, ("Số ngày nghỉ:", f"{days:02d} ngày"))
    y = sheet.row(x, y, w, ("(Từ ngày", pp.dotted(case.event)), ("đến hết ngày", f"{pp.dotted(last)})"))
    sheet.put(
        x,
        y + 2,
        "III. Thông tin cha, mẹ (chỉ áp dụng đối với trường hợp người bệnh là trẻ em dưới 7 tuổi)",
        11.5,
        bold=True,
    )
    y = sheet.row(x, y + 9.5, w, ("- Họ và tên cha:", None))
    y = sheet.row(x, y, w, ("- Họ và tên mẹ:", None))
    y += 5
    sheet.put(148, y, place_date(bare(hospital.place), case.event), 12, italic=True, align="c")
    stamp = (hospital.parent + " ★ " + hospital.name, "BỆNH VIỆN")
    signed(
        sheet,
        rng,
        56,
        y + 7,
        office=["XÁC NHẬN CỦA", "THỦ TRƯỞNG ĐƠN VỊ"],
        note="(Ký tên, đóng dấu)",
        name=pp.make_name(rng, True),
        stamp=stamp,
        size=11.5,
    )
    signed(
        sheet,
        rng,
        148,
        y + 7,
        office=["NGƯỜI HÀNH NGHỀ KB, CB"],
        note="(Ký, ghi rõ họ tên)",
        name=pp.make_name(rng, False),
        size=11.5,
    )
    return Paper(
        "LOCAL:C65-HD",
        [sheet],
        truth(
            "LOCAL:C65-HD",
            **person_fields(case),
            title="GIẤY CHỨNG NHẬN NGHỈ VIỆC HƯỞNG BẢO HIỂM XÃ HỘI",
            number_symbol=number,
            issue_date=case.event,
            issuer=hospital.name.upper(),
            special_serial=serial,
            special_bhxh_number=who.bhxh,
            special_sex=who.sex,
            special_workplace=case.employer.name,
            special_leave_days=str(days),
            special_leave_from=case.event,
            special_leave_to=last,
        ),
    )


def birth_notice(case: Case, look: Look) -> Paper:
    """Giấy chứng sinh (Thông tư 17/2012/TT-BYT, as amended by Thông tư 27/2019/TT-BYT); its owner is the mother."""
    rng, mother, hospital = case.rng, case.person, case.hospital
    sheet = blank(look)
    number, book = str(rng.randrange(1, 900)), str(rng.randrange(1, 40))
    sheet.fitted(52, 20, hospital.parent.upper(), 11.5, 70, align="c")
    sheet.fitted(52, 25.5, hospital.name.upper(), 11.5, 70, bold=True, align="c", underline=0.4)
    national(sheet, 145, 20, 11.5)
    sheet.put(188, 38, f"Số: {number}", 11.5, align="r")
    sheet.put(188, 43.5, f"Quyển số: {book}", 11.5, align="r")
    sheet.put(105, 54, "GIẤY CHỨNG SINH", 18, bold=True, align="c")
    x, w, y = 24.0, 166.0, 67.0
    y = sheet.row(x, y, w, ("Họ và tên mẹ/Người nuôi dưỡng:", mother.name))
    y = sheet.row(x, y, w, ("Ngày, tháng, năm sinh:", pp.dotted(mother.born)), ("Dân tộc:", mother.ethnic))
    if case.with_id:
        y = sheet.row(x, y, w, ("Số CMND/Căn cước công dân/Hộ chiếu:", mother.id))
    y = sheet.row(x, y, w, ("Mã số BHXH/Thẻ BHYT số:", mother.bhxh))
    y = sheet.row(x, y, w, ("Nơi đăng ký thường trú, tạm trú:", mother.address.at(case.event)))
    y = sheet.row(x, y, w, ("Họ và tên cha:", case.spouse.name))
    y = sheet.row(x, y, w, ("Đã sinh con vào lúc:", _moment(case, case.event)))
    y = sheet.row(x, y, w, ("Tại:", hospital.name))
    y = sheet.row(
        x,
        y,
        w,
        ("Số lần sinh:", f"{rng.randrange(1, 4):02d}"),
        ("Số con hiện sống:", "01"),
        ("Số con trong lần sinh này:", "01"),
    )
    weight = rng.randrange(26, 40) * 100
    y = sheet.row(x, y, w, ("Giới tính của con:", case.child.sex), ("Cân nặng:", f"{money(weight)} gam"))
    y = sheet.row(x, y, w, ("Hiện trạng của con:", "Khỏe mạnh"))
    y = sheet.row(x, y, w, ("Dự định đặt tên con là:", case.child.name))
    y = sheet.row(x, y, w, ("Người đỡ đẻ:", pp.make_name(rng, False)))
    y = sheet.para(
        x,
        y + 2,
        w,
        "(Giấy chứng sinh này không có giá trị thay thế Giấy khai sinh. Dự định đặt tên con có thể khác với tên khi đăng ký khai sinh.)",
        11,
        indent=0,
        italic=True,
    )
    out = case.event + timedelta(days=rng.randrange(1, 4))
    sheet.put(148, y + 5, place_date(bare(hospital.place), out), 12, italic=True, align="c")
    signed(sheet, rng, 45, y + 12, office=["CHA, MẸ HOẶC NGƯỜI", "THÂN THÍCH"], name=case.spouse.name, size=11)
    signed(sheet, rng, 103, y + 12, office=["NGƯỜI ĐỠ ĐẺ", ""], name=pp.make_name(rng, False), size=11)
    stamp = (hospital.parent + " ★ " + hospital.name, "BỆNH VIỆN")
    signed(
        sheet,
        rng,
        164,
        y + 12,
        office=["THỦ TRƯỞNG CƠ SỞ Y TẾ", ""],
        name=pp.make_name(rng, True),
        stamp=stamp,
        size=11,
    )
    return Paper(
        "LOCAL:GIAY-CHUNG-SINH",
        [sheet],
        truth(
            "LOCAL:GIAY-CHUNG-SINH",
            **person_fields(case),
            title="GIẤY CHỨNG SINH",
            number_symbol=number,
            issue_date=out,
            issuer=hospital.name.upper(),
            special_book=book,
            special_bhxh_number=mother.bhxh,
            special_child_birth_date=case.event,
            special_child_sex=case.child.sex,
            special_child_name=case.child.name,
        ),
    )


def assessment(case: Case, look: Look) -> Paper:
    """Biên bản giám định y khoa (Thông tư 56/2017/TT-BYT, Phụ lục), two pages."""
    rng, who = case.rng, case.person
    place = bare(case.hospital.place)
    number, percent = f"{rng.randrange(10, 900)}/GĐYK-TNLĐ", rng.randrange(11, 61)
    day = case.event + timedelta(days=rng.randrange(60, 120))
    sheet = blank(look)
    sheet.fitted(56, 20, case.hospital.parent.upper(), 12, 76, align="c")
    sheet.put(56, 25.5, "HỘI ĐỒNG GIÁM ĐỊNH Y KHOA", 12, bold=True, align="c", underline=0.4)
    sheet.put(56, 33, f"Số: {number}", 12.5, align="c")
    national(sheet, 147, 20, 12.5)
    sheet.put(147, 33.5, place_date(place, day), 12.5, italic=True, align="c")
    sheet.put(105, 48, "BIÊN BẢN GIÁM ĐỊNH Y KHOA", 15, bold=True, align="c")
    x, w = 25.0, 165.0
    y = sheet.para(
        x, 58, w, f"Hội đồng Giám định y khoa {place} đã họp ngày {pp.dotted(day)} để khám giám định đối với:"
    )
    y = sheet.row(x, y + 1, w, ("Ông/Bà:", who.name.upper()), ("Giới tính:", who.sex))
    y = sheet.row(x, y, w, ("Sinh ngày:", pp.dotted(who.born)))
    if case.with_id:
        y = sheet.row(x, y, w, ("Số CCCD/Mã định danh:", who.id))
    y = sheet.row(x, y, w, ("Chỗ ở hiện tại:", who.address.at(day)))
    y = sheet.row(x, y, w, ("Mã số BHXH:", who.bhxh), ("Nghề nghiệp:", who.job))
    y = sheet.row(x, y, w, ("Cơ quan giới thiệu:", case.employer.name))
    y = sheet.row(x, y, w, ("Đối tượng giám định:", "Tai nạn lao động"), ("Loại hình:", "Giám định lần đầu"))
    sheet.put(x, y + 2, "KẾT QUẢ KHÁM HIỆN TẠI", 13, bold=True)
    y += 9.5
    for text in (
        "Tiền sử: Khỏe mạnh, không có bệnh mạn tính.",
        f"Bệnh sử: Ngày {pp.dotted(case.event)} bị tai nạn trong khi vận hành máy tại nơi làm việc, được đưa vào {case.hospital.name} cấp cứu và điều trị.",
        "Khám lâm sàng: Thể trạng trung bình, da niêm mạc hồng, tim phổi bình thường. Sẹo mổ mặt ngoài cẳng tay dài 08 cm, liền tốt; hạn chế vận động khớp cổ tay bên tổn thương, sức cơ 4/5.",
        "Cận lâm sàng: X-quang cho thấy xương đã can, còn nẹp vít; điện cơ có tổn thương nhẹ thần kinh quay.",
        "Hội đồng đã thảo luận, đối chiếu hồ sơ với kết quả khám và thống nhất kết luận như sau.",
    ):
        y = sheet.para(x, y, w, text) + 1
    second = blank(look)
    second.put(105, 18, "2", 12, align="c")
    second.put(105, 32, "KẾT LUẬN", 14, bold=True, align="c")
    y = second.para(
        x,
        44,
        w,
        "Căn cứ Thông tư số 22/2019/TT-BYT ngày 28/8/2019 của Bộ trưởng Bộ Y tế quy định tỷ lệ phần trăm tổn thương cơ thể sử dụng trong giám định pháp y, giám định pháp y tâm thần, Hội đồng Giám định y khoa kết luận:",
    )
    y = second.para(
        x,
        y + 1,
        w,
        f"Ông/Bà {who.name} được xác định tỷ lệ tổn thương cơ thể do tai nạn lao động là {percent}% (viết bằng chữ: {_percent_words(percent)} phần trăm).",
        bold=True,
    )
    y = second.para(
        x, y + 1, w, "Đề nghị: Cơ quan bảo hiểm xã hội giải quyết chế độ theo quy định của pháp luật hiện hành."
    )
    y += 8
    signed(second, rng, 45, y, office=["ỦY VIÊN THƯỜNG TRỰC"], name=pp.make_name(rng, False), size=12)
    signed(
        second,
        rng,
        150,
        y,
        office=["CHỦ TỊCH HỘI ĐỒNG"],
        name=pp.make_name(rng, True),
        stamp=("Hội đồng Giám định y khoa ★ " + place, "HỘI ĐỒNG"),
        size=12,
    )
    return Paper(
        "LOCAL:BIEN-BAN-GIAM-DINH",
        [sheet, second],
        truth(
            "LOCAL:BIEN-BAN-GIAM-DINH",
            **person_fields(case),
            title="BIÊN BẢN GIÁM ĐỊNH Y KHOA",
            number_symbol=number,
            issue_date=day,
            issuer="HỘI ĐỒNG GIÁM ĐỊNH Y KHOA",
            special_bhxh_number=who.bhxh,
            special_injury_percent=str(percent),
        ),
    )


UNITS = ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"]


def _percent_words(value: int) -> str:
    tens, unit = divmod(value, 10)
    head = "mười" if tens == 1 else f"{UNITS[tens]} mươi"
    if unit == 0:
        return head
    last = "lăm" if unit == 5 else "mốt" if unit == 1 and tens > 1 else UNITS[unit]
    return f"{head} {last}"


SERVICES = [
    ("Khám bệnh chuyên khoa", "lần", 42100),
    ("Ngày giường điều trị nội khoa", "ngày", 187100),
    ("Xét nghiệm tổng phân tích máu", "lần", 40400),
    ("Chụp X-quang số hóa 1 phim", "lần", 65400),
    ("Siêu âm ổ bụng", "lần", 43900),
    ("Thuốc, dịch truyền", "đợt", 1250000),
    ("Phẫu thuật nội soi", "lần", 2564000),
]


def invoice(case: Case, look: Look) -> Paper:
    """Hóa đơn bán hàng of a hospital (Nghị định 123/2020/NĐ-CP: mẫu số, ký hiệu, số)."""
    rng, who, hospital = case.rng, case.person, case.hospital
    sheet = blank(look)
    day = case.event + timedelta(days=rng.randrange(4, 12))
    symbol, number, tax = f"2K{day.year % 100}TBV", f"{rng.randrange(1, 99999):08d}", pp.tax_code(rng)
    sheet.put(105, 24, "HÓA ĐƠN BÁN HÀNG", 17, bold=True, align="c")
    sheet.put(105, 31, "(Bản thể hiện của hóa đơn điện tử)", 11, italic=True, align="c")
    spelled = pp.spelled(day)
    sheet.put(105, 37.5, spelled[0].upper() + spelled[1:], 12, italic=True, align="c")
    sheet.put(188, 24, f"Ký hiệu: {symbol}", 11.5, align="r")
    sheet.put(188, 30, f"Số: {number}", 12, align="r", bold=True)
    x, w, y = 22.0, 168.0, 48.0
    y = sheet.row(x, y, w, ("Tên người bán:", hospital.name.upper()), size=12)
    y = sheet.row(
        x,
        y,
        w,
        ("Mã số thuế:", tax),
        ("Điện thoại:", f"0{rng.randrange(200, 300)}3{rng.randrange(100000, 999999)}"),
        size=12,
    )
    y = sheet.row(x, y, w, ("Địa chỉ:", pp.make_address(rng, hospital.place).at(day)), size=12)
    sheet.rule(x, y - 2, x + w, y - 2)
    y = sheet.row(x, y + 4, w, ("Họ tên người mua hàng:", who.name), size=12)
    pairs = [("Ngày sinh:", pp.dotted(who.born))]
    if case.with_id:
        pairs.append(("Số định danh cá nhân:", who.id))
    y = sheet.row(x, y, w, *pairs, size=12)
    y = sheet.row(x, y, w, ("Địa chỉ:", who.address.at(day)), size=12)
    y = sheet.row(x, y, w, ("Hình thức thanh toán:", rng.choice(["Tiền mặt", "Chuyển khoản"])), size=12)
    rows, total = [["STT", "Tên hàng hóa, dịch vụ", "Đơn vị tính", "Số lượng", "Đơn giá", "Thành tiền"]], 0
    for n, (name, unit, price) in enumerate(rng.sample(SERVICES, 5), 1):
        count = rng.randrange(2, 8) if unit == "ngày" else 1
        total += price * count
        rows.append([str(n), name, unit, str(count), money(price), money(price * count)])
    y = sheet.table(x, y - 2, [12, 66, 22, 18, 24, 26], rows, size=11, centre=(0, 2, 3, 4, 5))
    y = sheet.row(x, y + 7, w, ("Tổng cộng tiền thanh toán:", f"{money(total)} đồng"), size=12)
    y = sheet.row(x, y, w, ("Số tiền viết bằng chữ:", words_of(total) + " đồng."), size=12)
    signed(sheet, rng, 55, y + 8, office=["Người mua hàng"], note="(Ký, ghi rõ họ tên)", name=who.name, size=12)
    signed(
        sheet,
        rng,
        150,
        y + 8,
        office=["Người bán hàng"],
        note="(Ký, đóng dấu, ghi rõ họ tên)",
        name=pp.make_name(rng, False),
        stamp=(hospital.name, "PHÒNG TÀI CHÍNH"),
        size=12,
    )
    return Paper(
        "LOCAL:HOA-DON",
        [sheet],
        truth(
            "LOCAL:HOA-DON",
            **person_fields(case),
            title="HÓA ĐƠN BÁN HÀNG",
            number_symbol=number,
            issue_date=day,
            issuer=hospital.name.upper(),
            special_invoice_symbol=symbol,
            special_tax_code=tax,
            special_amount=str(total),
        ),
    )


def words_of(value: int) -> str:
    """A number in Vietnamese words, first letter in upper case."""
    names, parts, group = ["", " nghìn", " triệu", " tỷ"], [], 0
    while value:
        value, three = divmod(value, 1000)
        if three:
            parts.insert(0, _three(three, bool(value)) + names[group])
        group += 1
    text = " ".join(parts) or "không"
    return text[0].upper() + text[1:]


def _three(value: int, full: bool) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{UNITS[hundreds]} trăm"] if hundreds or full else []
    if rest and rest < 10:
        words += (["linh"] if words else []) + [UNITS[rest]]
    elif rest:
        words.append(_percent_words(rest))
    return " ".join(words)
