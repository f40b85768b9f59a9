"""Papers of civil status and identity: birth certificate and its extract, death certificate, citizen card."""

# ruff: noqa: E501 - the wording of a form stays on one line
from __future__ import annotations

import io
from datetime import date, timedelta

import segno
from PIL import Image

from tests.samples import people as pp
from tests.samples.forms.base import (
    MOTTO,
    NATION,
    Case,
    Paper,
    bare,
    blank,
    issuer_head,
    national,
    place_date,
    signed,
    truth,
)
from tests.samples.forms.medical import UNITS, _percent_words
from tests.samples.look import Look


def _words(value: int) -> str:
    return UNITS[value] if value < 10 else _percent_words(value)


def in_words(day: date) -> str:
    """Ngày mười hai tháng ba năm hai nghìn không trăm hai mươi tư: how birth certificates write the date."""
    thousand, rest = divmod(day.year, 1000)
    hundred, tens = divmod(rest, 100)
    year = f"{UNITS[thousand]} nghìn {UNITS[hundred]} trăm"
    if tens:
        year += f" linh {UNITS[tens]}" if tens < 10 else f" {_percent_words(tens)}"
    return f"Ngày {_words(day.day)} tháng {_words(day.month)} năm {year}"


def _committee(case: Case, day: date) -> str:
    """Name of the registering People's Committee, as the certificate writes it."""
    a = case.person.address
    if day >= pp.REFORM:
        return f"Ủy ban nhân dân {a.ward_at(day)}, {a.place.new_province}"
    return f"Ủy ban nhân dân {a.ward}, {a.district}, {a.place.province}"


def _parents(case: Case) -> tuple[pp.Person, pp.Person]:
    """(mother, father)"""
    return (case.spouse, case.person) if case.person.male else (case.person, case.spouse)


def birth_certificate(case: Case, look: Look) -> Paper:
    """Giấy khai sinh (Thông tư 04/2020/TT-BTP); its owner is the child."""
    rng, child = case.rng, case.child
    sheet = blank(look)
    day = case.event + timedelta(days=rng.randrange(5, 40))
    number = f"{rng.randrange(1, 500)}/{day.year}"
    mother, father = _parents(case)
    committee = _committee(case, day)
    sheet.box(12, 12, 186, 273, 0.5)
    sheet.put(105, 28, NATION, 13, bold=True, align="c")
    sheet.put(105, 34, MOTTO, 13, bold=True, align="c", underline=1.0)
    sheet.put(105, 54, "GIẤY KHAI SINH", 20, bold=True, align="c")
    sheet.put(105, 61, "(BẢN CHÍNH)", 12, align="c")
    sheet.put(180, 61, f"Số: {number}", 12, align="r")
    x, w, y = 24.0, 162.0, 75.0
    lead = 1.75
    y = sheet.row(x, y, w, ("Họ, chữ đệm, tên:", child.name.upper()), lead=lead)
    y = sheet.row(x, y, w, ("Ngày, tháng, năm sinh:", pp.dotted(child.born)), lead=lead)
    y = sheet.row(x, y, w, ("ghi bằng chữ:", in_words(child.born)), lead=lead)
    y = sheet.row(
        x, y, w, ("Giới tính:", child.sex), ("Dân tộc:", father.ethnic), ("Quốc tịch:", "Việt Nam"), lead=lead
    )
    y = sheet.row(x, y, w, ("Nơi sinh:", f"{case.hospital.name}"), lead=lead)
    y = sheet.row(x, y, w, ("Quê quán:", case.spouse.address.area(day)), lead=lead)
    if case.with_id:
        y = sheet.row(x, y, w, ("Số định danh cá nhân:", child.id), lead=lead)
    for label, parent in (("mẹ", mother), ("cha", father)):
        y = sheet.row(x, y + 1.5, w, (f"Họ, chữ đệm, tên người {label}:", parent.name.upper()), lead=lead)
        y = sheet.row(
            x,
            y,
            w,
            ("Năm sinh:", str(parent.born.year)),
            ("Dân tộc:", parent.ethnic),
            ("Quốc tịch:", "Việt Nam"),
            lead=lead,
        )
        y = sheet.row(x, y, w, ("Nơi cư trú:", case.person.address.at(day)), lead=lead)
    y = sheet.row(x, y + 1.5, w, ("Họ, chữ đệm, tên người đi khai sinh:", father.name), lead=lead)
    y = sheet.row(x, y, w, ("Nơi đăng ký khai sinh:", committee), lead=lead)
    y = sheet.row(x, y, w, ("Ngày, tháng, năm đăng ký:", pp.dotted(day)), lead=lead)
    stamp = (
        committee.split(", ")[0].replace("Ủy ban nhân dân", "UBND") + " ★ " + bare(case.person.address.place),
        "ỦY BAN NHÂN DÂN",
    )
    signed(
        sheet,
        rng,
        145,
        y + 5,
        office=["NGƯỜI KÝ GIẤY KHAI SINH", "CHỦ TỊCH"],
        name=pp.make_name(rng, True),
        stamp=stamp,
        size=12,
    )
    return Paper(
        "LOCAL:GIAY-KHAI-SINH",
        [sheet],
        truth(
            "LOCAL:GIAY-KHAI-SINH",
            owner_id=child.id if case.with_id else None,
            full_name=child.name,
            birth_date=child.born,
            title="GIẤY KHAI SINH",
            number_symbol=number,
            issue_date=day,
            issuer=committee,
            special_sex=child.sex,
            special_mother_name=mother.name,
            special_father_name=father.name,
        ),
    )


def birth_extract(case: Case, look: Look) -> Paper:
    """Trích lục khai sinh (bản sao), as issued from the register; its owner is the child."""
    rng, child = case.rng, case.child
    sheet = blank(look)
    day = case.event + timedelta(days=rng.randrange(45, 120))
    register = case.event + timedelta(days=rng.randrange(5, 40))
    number = f"{rng.randrange(1, 900)}/TLKS-BS"
    mother, father = _parents(case)
    committee = _committee(case, day)
    short = committee.split(", ")[0]
    kind = short.replace("Ủy ban nhân dân ", "").upper()
    end = issuer_head(sheet, 55, 20, "", ["ỦY BAN NHÂN DÂN", kind], 12.5, 72)
    sheet.put(55, end + 8, f"Số: {number}", 12.5, align="c")
    national(sheet, 147, 20, 12.5)
    sheet.put(147, 34, place_date(_ward_name(kind), day), 12.5, italic=True, align="c")
    sheet.put(105, 54, "TRÍCH LỤC KHAI SINH", 17, bold=True, align="c")
    sheet.put(105, 61, "(BẢN SAO)", 13, bold=True, align="c")
    x, w, y = 24.0, 165.0, 75.0
    lead = 1.75
    y = sheet.row(x, y, w, ("Họ, chữ đệm, tên:", child.name.upper()), lead=lead)
    y = sheet.row(x, y, w, ("Ngày, tháng, năm sinh:", pp.dotted(child.born)), lead=lead)
    y = sheet.row(x, y, w, ("Ghi bằng chữ:", in_words(child.born)), lead=lead)
    y = sheet.row(
        x, y, w, ("Giới tính:", child.sex), ("Dân tộc:", father.ethnic), ("Quốc tịch:", "Việt Nam"), lead=lead
    )
    if case.with_id:
        y = sheet.row(x, y, w, ("Số định danh cá nhân:", child.id), lead=lead)
    y = sheet.row(x, y, w, ("Nơi sinh:", case.hospital.name), lead=lead)
    y = sheet.row(x, y, w, ("Quê quán:", case.spouse.address.area(day)), lead=lead)
    for label, parent in (("cha", father), ("mẹ", mother)):
        y = sheet.row(x, y, w, (f"Họ, chữ đệm, tên {label}:", parent.name.upper()), lead=lead)
        y = sheet.row(
            x,
            y,
            w,
            ("Năm sinh:", str(parent.born.year)),
            ("Dân tộc:", parent.ethnic),
            ("Quốc tịch:", "Việt Nam"),
            lead=lead,
        )
        y = sheet.row(x, y, w, ("Nơi cư trú:", case.person.address.at(day)), lead=lead)
    y = sheet.row(x, y, w, ("Đăng ký khai sinh tại:", committee), lead=lead)
    y = sheet.row(x, y, w, ("Số:", str(rng.randrange(1, 500))), ("ngày đăng ký:", pp.dotted(register)), lead=lead)
    stamp = (short.replace("Ủy ban nhân dân", "UBND") + " ★ " + bare(case.person.address.place), "ỦY BAN NHÂN DÂN")
    signed(
        sheet,
        rng,
        145,
        y + 5,
        office=["NGƯỜI KÝ TRÍCH LỤC", "PHÓ CHỦ TỊCH"],
        name=pp.make_name(rng, False),
        stamp=stamp,
        size=12,
    )
    return Paper(
        "LOCAL:TRICH-LUC-KHAI-SINH",
        [sheet],
        truth(
            "LOCAL:TRICH-LUC-KHAI-SINH",
            owner_id=child.id if case.with_id else None,
            full_name=child.name,
            birth_date=child.born,
            title="TRÍCH LỤC KHAI SINH",
            number_symbol=number,
            issue_date=day,
            issuer=f"ỦY BAN NHÂN DÂN {kind}",
            special_sex=child.sex,
            special_mother_name=mother.name,
            special_father_name=father.name,
        ),
    )


def _ward_name(kind: str) -> str:
    """PHƯỜNG NGHĨA LỘ -> Nghĩa Lộ"""
    words = kind.title().split()
    return " ".join(words[2:] if kind.startswith("THỊ TRẤN") else words[1:])


def death_certificate(case: Case, look: Look) -> Paper:
    """Trích lục khai tử (Giấy chứng tử); its owner is the deceased."""
    rng, who = case.rng, case.person
    sheet = blank(look)
    day = case.event + timedelta(days=rng.randrange(2, 12))
    number = f"{rng.randrange(1, 300)}/TLKT"
    committee = _committee(case, day)
    short = committee.split(", ")[0]
    kind = short.replace("Ủy ban nhân dân ", "").upper()
    end = issuer_head(sheet, 55, 20, "", ["ỦY BAN NHÂN DÂN", kind], 12.5, 72)
    sheet.put(55, end + 8, f"Số: {number}", 12.5, align="c")
    national(sheet, 147, 20, 12.5)
    sheet.put(147, 34, place_date(_ward_name(kind), day), 12.5, italic=True, align="c")
    sheet.put(105, 54, "TRÍCH LỤC KHAI TỬ", 17, bold=True, align="c")
    x, w, y = 24.0, 165.0, 70.0
    lead = 1.8
    y = sheet.row(x, y, w, ("Họ, chữ đệm, tên:", who.name.upper()), lead=lead)
    y = sheet.row(x, y, w, ("Ngày, tháng, năm sinh:", pp.dotted(who.born)), ("Giới tính:", who.sex), lead=lead)
    y = sheet.row(x, y, w, ("Dân tộc:", who.ethnic), ("Quốc tịch:", "Việt Nam"), lead=lead)
    if case.with_id:
        y = sheet.row(x, y, w, ("Số định danh cá nhân:", who.id), lead=lead)
    y = sheet.row(x, y, w, ("Nơi cư trú cuối cùng:", who.address.at(day)), lead=lead)
    y = sheet.row(
        x,
        y,
        w,
        ("Đã chết vào lúc:", f"{rng.randrange(0, 24):02d} giờ {rng.randrange(60):02d} phút, {pp.spelled(case.event)}"),
        lead=lead,
    )
    y = sheet.row(x, y, w, ("Nơi chết:", case.hospital.name), lead=lead)
    y = sheet.row(
        x, y, w, ("Nguyên nhân chết:", rng.choice(["Bệnh tim mạch", "Tai nạn lao động", "Bệnh hiểm nghèo"])), lead=lead
    )
    y = sheet.row(x, y, w, ("Đăng ký khai tử tại:", committee), lead=lead)
    stamp = (short.replace("Ủy ban nhân dân", "UBND") + " ★ " + bare(who.address.place), "ỦY BAN NHÂN DÂN")
    signed(
        sheet,
        rng,
        145,
        y + 6,
        office=["NGƯỜI KÝ TRÍCH LỤC", "CHỦ TỊCH"],
        name=pp.make_name(rng, True),
        stamp=stamp,
        size=12,
    )
    return Paper(
        "LOCAL:GIAY-CHUNG-TU",
        [sheet],
        truth(
            "LOCAL:GIAY-CHUNG-TU",
            owner_id=who.id if case.with_id else None,
            full_name=who.name,
            birth_date=who.born,
            title="TRÍCH LỤC KHAI TỬ",
            number_symbol=number,
            issue_date=day,
            issuer=f"ỦY BAN NHÂN DÂN {kind}",
            special_sex=who.sex,
            special_died_on=case.event,
        ),
    )


def citizen_card(case: Case, look: Look) -> Paper:
    """Căn cước công dân with chip, both sides on one sheet; the QR holds id|old id|name|ddmmyyyy|sex|address|issued."""
    rng, who = case.rng, case.person
    sheet = blank(look)
    issued = date(2021 + rng.randrange(0, 3), rng.randrange(1, 13), rng.randrange(1, 28))
    until = date(
        who.born.year + (40 if issued.year - who.born.year < 38 else 60), who.born.month, min(who.born.day, 28)
    )
    home = who.address.at(issued)
    x, y, w, h = 55.0, 40.0, 100.0, 63.0
    sheet.box(x, y, w, h, 0.3)
    sheet.put(x + 45, y + 7, NATION, 6.5, bold=True, align="c")
    sheet.put(x + 45, y + 10.5, MOTTO, 7, bold=True, align="c")
    sheet.put(x + 50, y + 17.5, "CĂN CƯỚC CÔNG DÂN", 12, bold=True, align="c", colour=(190, 30, 30))
    sheet.put(x + 50, y + 21, "Citizen Identity Card", 7.5, align="c")
    sheet.box(x + 4, y + 24, 22, 30, 0.2)
    tx, ty = x + 30, y + 28.5
    sheet.put(tx, ty, f"Số / No.: {who.id}", 11, bold=True)
    for label, value in (
        ("Họ và tên / Full name:", who.name.upper()),
        ("Ngày sinh / Date of birth:", pp.dotted(who.born)),
        ("Giới tính / Sex:", f"{who.sex}    Quốc tịch / Nationality: Việt Nam"),
        ("Quê quán / Place of origin:", who.address.area(issued).split(", ", 1)[1]),
    ):
        ty += 4.8
        sheet.fitted(tx, ty, f"{label} {value}", 8.5, x + w - tx - 2)
    sheet.put(tx, ty + 5, "Nơi thường trú / Place of residence:", 8.5)
    for n, line in enumerate(sheet.wrap(home, 8, x + w - tx - 2)):
        sheet.put(tx, ty + 8.7 + n * 3.6, line, 8)
    sheet.fitted(x + 4, y + 58, f"Có giá trị đến: {pp.dotted(until)}", 7, 26)
    old_id = f"{rng.randrange(10**8, 10**9)}"
    code = "|".join(
        [
            who.id,
            old_id,
            who.name,
            who.born.strftime("%d%m%Y"),
            who.sex,
            home,
            issued.strftime("%d%m%Y"),
        ]
    )
    png = io.BytesIO()
    segno.make(code, error="m").save(png, kind="png", scale=6, border=2)
    with Image.open(png) as qr:
        side = sheet.px(20)
        sheet.image.paste(
            qr.convert("RGB").resize((side, side), Image.Resampling.BOX), (sheet.px(x + w - 21), sheet.px(y + 1))
        )
    y2 = y + h + 12
    sheet.box(x, y2, w, h, 0.3)
    sheet.put(x + 5, y2 + 8, "Đặc điểm nhân dạng / Personal identification:", 8)
    sheet.put(x + 5, y2 + 12.5, f"Nốt ruồi C: {rng.randrange(1, 4)} cm dưới mép trái", 8)
    sheet.put(x + 5, y2 + 19, f"Ngày, tháng, năm / Date, month, year: {pp.dotted(issued)}", 8.5)
    sheet.put(x + 55, y2 + 25, "CỤC TRƯỞNG CỤC CẢNH SÁT", 7.5, bold=True, align="c")
    sheet.put(x + 55, y2 + 28.5, "QUẢN LÝ HÀNH CHÍNH VỀ TRẬT TỰ XÃ HỘI", 7.5, bold=True, align="c")
    machine = f"IDVNM{who.id[3:]}8{who.id}<<{rng.randrange(10)}"
    for n, text in enumerate(
        (
            machine,
            f"{who.born:%y%m%d}{rng.randrange(10)}{'M' if who.male else 'F'}{until:%y%m%d}{rng.randrange(10)}VNM<<<<<<<<<<<{rng.randrange(10)}",
        )
    ):
        sheet.put(x + 5, y2 + 50 + n * 5.5, text.ljust(30, "<")[:30], 9.5, family="Cousine")
    return Paper(
        "LOCAL:CCCD",
        [sheet],
        truth(
            "LOCAL:CCCD",
            owner_id=who.id,
            full_name=who.name,
            birth_date=who.born,
            title="CĂN CƯỚC CÔNG DÂN",
            number_symbol=who.id,
            issue_date=issued,
            issuer="CỤC TRƯỞNG CỤC CẢNH SÁT QUẢN LÝ HÀNH CHÍNH VỀ TRẬT TỰ XÃ HỘI",
            valid_until=until,
            special_old_id=old_id,
            special_sex=who.sex,
            special_address=home,
        ),
    )
