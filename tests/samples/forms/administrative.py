"""Papers in the layout of Decree 30/2020/NĐ-CP, appendix I: decisions on benefits and administrative papers."""

# ruff: noqa: E501 - the wording of a form stays on one line
from __future__ import annotations

from datetime import timedelta

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
    truth,
)
from tests.samples.forms.medical import words_of
from tests.samples.forms.personal import AGENCY, agency_of
from tests.samples.ink import secrecy
from tests.samples.look import Look
from tests.samples.sheet import Sheet

BENEFITS = {
    "thai sản": "Về việc hưởng chế độ thai sản",
    "ốm đau": "Về việc hưởng chế độ ốm đau",
    "một lần": "Về việc hưởng bảo hiểm xã hội một lần",
    "tai nạn": "Về việc hưởng trợ cấp tai nạn lao động một lần",
    "tử tuất": "Về việc hưởng trợ cấp tuất một lần",
    "chuyển": "Về việc chuyển nơi hưởng lương hưu, trợ cấp bảo hiểm xã hội hằng tháng",
}
PROSE = (
    "Thực hiện chương trình công tác năm, đơn vị đã tổ chức rà soát toàn bộ hồ sơ đang quản lý, đối chiếu với cơ sở dữ liệu và báo cáo kết quả về cơ quan cấp trên theo đúng thời hạn quy định.",
    "Các phòng nghiệp vụ có trách nhiệm phân công viên chức tiếp nhận, kiểm tra, số hóa hồ sơ, giấy tờ ngay khi tiếp nhận, bảo đảm đầy đủ, chính xác, toàn vẹn nội dung theo bản giấy.",
    "Việc lưu trữ dữ liệu điện tử được thực hiện đồng bộ với hồ sơ giấy, có biện pháp sao lưu, bảo vệ và phân quyền truy cập phù hợp với chức năng, nhiệm vụ được giao.",
    "Trong quá trình thực hiện, nếu có khó khăn, vướng mắc, đề nghị các đơn vị phản ánh kịp thời bằng văn bản để được hướng dẫn, giải quyết theo thẩm quyền.",
    "Qua kiểm tra, tỷ lệ hồ sơ giải quyết đúng hạn và trước hạn đạt trên 99%, không có hồ sơ tồn đọng kéo dài; người dân và doanh nghiệp cơ bản hài lòng với thái độ phục vụ của viên chức.",
    "Tăng cường tuyên truyền, hướng dẫn người tham gia sử dụng dịch vụ công trực tuyến, cài đặt và sử dụng ứng dụng trên thiết bị di động để tra cứu thông tin đóng, hưởng.",
    "Phối hợp với Sở Y tế, Sở Lao động - Thương binh và Xã hội, Công an tỉnh trong việc xác thực thông tin, làm sạch dữ liệu người tham gia với Cơ sở dữ liệu quốc gia về dân cư.",
    "Bố trí kinh phí mua sắm, nâng cấp máy quét, máy tính, đường truyền bảo đảm yêu cầu kỹ thuật; độ phân giải tối thiểu 200 dpi, ảnh màu, tỷ lệ số hóa 100%.",
    "Định kỳ trước ngày 25 hằng tháng, các đơn vị tổng hợp kết quả thực hiện, những tồn tại, nguyên nhân và đề xuất giải pháp gửi về Văn phòng để tổng hợp chung.",
    "Thủ trưởng các đơn vị chịu trách nhiệm trước Giám đốc về tiến độ, chất lượng thực hiện nhiệm vụ và việc chấp hành kỷ luật, kỷ cương hành chính của viên chức thuộc quyền quản lý.",
)
SUBJECTS = (
    "tăng cường số hóa hồ sơ, kết quả giải quyết thủ tục hành chính",
    "triển khai xác thực thông tin người tham gia bảo hiểm y tế",
    "chấn chỉnh công tác tiếp nhận và trả kết quả giải quyết thủ tục hành chính",
    "rà soát, chuẩn hóa dữ liệu sổ bảo hiểm xã hội trên địa bàn",
    "bảo đảm an toàn thông tin trong giao dịch điện tử",
)
KINDS = {"CÔNG VĂN": "", "BÁO CÁO": "BC", "TỜ TRÌNH": "TTr", "THÔNG BÁO": "TB", "KẾ HOẠCH": "KH", "QUYẾT ĐỊNH": "QĐ"}


RECIPIENTS = ("- Như trên;", "- Giám đốc, các Phó Giám đốc;", "- Lưu: VT, VP.")


def _agency_lines(sheet: Sheet, agency: str, size: float = 12.5) -> list[str]:
    return sheet.wrap(agency, size, 74, bold=True)


def decision(case: Case, look: Look, benefit: str | None = None) -> Paper:
    """Quyết định hưởng: one or two pages, for the person named in Điều 1."""
    rng, who = case.rng, case.person
    benefit = benefit or rng.choice(sorted(BENEFITS))
    agency, about, day = agency_of(case), BENEFITS[benefit], case.event + timedelta(days=rng.randrange(20, 40))
    number = f"{rng.randrange(20, 3000)}/QĐ-BHXH"
    sheet = blank(look)
    end = issuer_head(sheet, 58, 22, AGENCY, _agency_lines(sheet, agency), 12.5, 80)
    sheet.put(58, end + 8.5, f"Số: {number}", 13, align="c")
    national(sheet, 147, 22)
    sheet.put(147, 36, place_date(bare(who.address.place), day), 13, italic=True, align="c")
    sheet.put(105, 54, "QUYẾT ĐỊNH", 14, bold=True, align="c")
    x, w = 28.0, 164.0
    y = sheet.para(x + 12, 60.5, w - 24, about, 14, indent=0, align="c", bold=True)
    sheet.rule(92, y - 3.5, 118, y - 3.5)
    sheet.put(105, y + 6, f"GIÁM ĐỐC {agency}", 13, bold=True, align="c")
    y += 15
    for basis in (
        "Căn cứ Luật Bảo hiểm xã hội số 41/2024/QH15 ngày 29 tháng 6 năm 2024;"
        if day >= pp.REFORM
        else "Căn cứ Luật Bảo hiểm xã hội số 58/2014/QH13 ngày 20 tháng 11 năm 2014;",
        "Căn cứ quy định về chức năng, nhiệm vụ, quyền hạn và cơ cấu tổ chức của Bảo hiểm xã hội địa phương;",
        f"Căn cứ hồ sơ hưởng bảo hiểm xã hội của ông (bà) {who.name},",
    ):
        y = sheet.para(x, y, w, basis, italic=True) + 0.8
    sheet.put(105, y + 3, "QUYẾT ĐỊNH:", 13, bold=True, align="c")
    amount = rng.randrange(40, 900) * 97000
    y = sheet.para(x, y + 12, w, f"Điều 1. Ông (bà): {who.name.upper()}", bold=True) + 0.8
    y = sheet.row(x + 10, y, w - 10, ("Sinh ngày:", pp.dotted(who.born)), ("Giới tính:", who.sex))
    y = sheet.row(x + 10, y, w - 10, ("Mã số BHXH:", who.bhxh))
    if case.with_id:
        y = sheet.row(x + 10, y, w - 10, ("Số định danh cá nhân:", who.id))
    y = sheet.row(x + 10, y, w - 10, ("Nơi cư trú:", who.address.at(day)))
    y = (
        sheet.para(
            x,
            y,
            w,
            f"Được hưởng trợ cấp với số tiền là {money(amount)} đồng (viết bằng chữ: {words_of(amount)} đồng), nhận qua tài khoản cá nhân tại ngân hàng.",
        )
        + 1
    )
    sheets = [sheet]
    two = rng.random() < 0.5
    if two:
        sheet = blank(look)
        sheet.put(105, 16, "2", 13, align="c")
        sheets.append(sheet)
        y = 28.0
    y = (
        sheet.para(
            x,
            y,
            w,
            "Điều 2. Trưởng phòng Chế độ bảo hiểm xã hội, Trưởng phòng Kế hoạch - Tài chính và ông (bà) có tên tại Điều 1 chịu trách nhiệm thi hành Quyết định này.",
        )
        + 1
    )
    y = (
        sheet.para(
            x,
            y,
            w,
            "Điều 3. Quyết định này có hiệu lực kể từ ngày ký. Trường hợp không đồng ý với nội dung Quyết định, ông (bà) có quyền khiếu nại theo quy định của pháp luật./.",
        )
        + 4
    )
    sheet.put(x, y + 2, "Nơi nhận:", 12, bold=True, italic=True)
    for n, text in enumerate(("- Như Điều 2;", "- BHXH Việt Nam (để b/c);", "- Lưu: VT, CĐ BHXH.")):
        sheet.put(x, y + 7 + n * 4.5, text, 11)
    signer = pp.make_name(rng, True)
    signed(
        sheet,
        rng,
        148,
        y + 2,
        office=["GIÁM ĐỐC"],
        name=signer,
        stamp=(agency + " ★ BHXH Việt Nam", "BẢO HIỂM XÃ HỘI"),
    )
    return Paper(
        "LOCAL:QUYET-DINH-HUONG",
        sheets,
        truth(
            "LOCAL:QUYET-DINH-HUONG",
            **person_fields(case),
            title="QUYẾT ĐỊNH",
            number_symbol=number,
            issue_date=day,
            issuer=agency,
            abstract=about,
            special_bhxh_number=who.bhxh,
            special_amount=str(amount),
            special_signer=signer,
        ),
    )


def administrative(
    case: Case, look: Look, kind: str | None = None, pages: int | None = None, stamp: str | None = None
) -> Paper:
    """Any administrative paper: letter with V/v under the number, others with type and abstract in the middle."""
    rng = case.rng
    kind = kind or rng.choice(sorted(KINDS))
    pages = pages or rng.choice([1, 1, 2, 3])
    agency, day = agency_of(case), case.day
    mark = f"{KINDS[kind]}-BHXH" if KINDS[kind] else "BHXH-CST"
    number = f"{rng.randrange(3, 3000)}/{mark}"
    subject = rng.choice(SUBJECTS)
    sheet = blank(look)
    end = issuer_head(sheet, 58, 22, AGENCY, _agency_lines(sheet, agency), 12.5, 80)
    sheet.put(58, end + 8.5, f"Số: {number}", 13, align="c")
    national(sheet, 147, 22)
    sheet.put(147, 36, place_date(bare(case.person.address.place), day), 13, italic=True, align="c")
    x, w, y = 28.0, 164.0, end + 14.5
    if kind == "CÔNG VĂN":
        abstract, title = f"V/v {subject}", None
        y = sheet.para(26, y, 64, abstract, 12, indent=0, align="c", lead=1.2)
        sheet.put(105, max(y + 8, 66), "Kính gửi: Bảo hiểm xã hội các huyện, thị xã, thành phố", 13.5, align="c")
        y = max(y + 8, 66) + 12
    else:
        abstract, title = (
            f"Về việc {subject}"
            if kind in ("TỜ TRÌNH", "QUYẾT ĐỊNH", "THÔNG BÁO")
            else subject[0].upper() + subject[1:],
            kind,
        )
        sheet.put(105, 66, kind, 14, bold=True, align="c")
        y = sheet.para(x + 10, 72.5, w - 20, abstract, 14, indent=0, align="c", bold=True)
        sheet.rule(92, y - 3.5, 118, y - 3.5)
        y += 8
    if stamp:
        secrecy(sheet, 58, max(y - 14, 58) if kind == "CÔNG VĂN" else 54, stamp)
    sheets, signer = _body(case, look, sheet, y, pages)
    return Paper(
        "LOCAL:VAN-BAN-HANH-CHINH",
        sheets,
        truth(
            "LOCAL:VAN-BAN-HANH-CHINH",
            "ORGANISATION",
            title=title or "CÔNG VĂN",  # a letter prints no name of its type
            number_symbol=number,
            issue_date=day,
            issuer=agency,
            abstract=abstract,
            special_signer=signer,
            special_recipients=" ".join(RECIPIENTS).rstrip("."),
        ),
        owner="ORGANISATION",
    )


def _body(case: Case, look: Look, sheet: Sheet, y: float, pages: int) -> tuple[list[Sheet], str]:
    """Prose over the pages and the signature block; returns the sheets and who signed."""
    rng, x, w = case.rng, 28.0, 164.0
    sheets, agency = [sheet], agency_of(case)
    for page in range(1, pages + 1):
        limit = 265.0 if page < pages else 190.0
        texts = rng.sample(PROSE, len(PROSE))
        for n, text in enumerate(texts, 1):
            if y + 30 > limit:
                break
            y = sheet.para(x, y, w, f"{n}. {text}" if n > 1 or page > 1 else text, 13.5) + 1.5
        if page < pages:
            sheet = blank(look)
            sheet.put(105, 16, str(page + 1), 13, align="c")
            sheets.append(sheet)
            y = 28.0
    sheet.put(x, y + 8, "Nơi nhận:", 12, bold=True, italic=True)
    for n, text in enumerate(RECIPIENTS):
        sheet.put(x, y + 13 + n * 4.5, text, 11)
    office = rng.choice([["GIÁM ĐỐC"], ["KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC"]])
    signer = pp.make_name(rng, True)
    signed(
        sheet,
        rng,
        148,
        y + 8,
        office=office,
        name=signer,
        stamp=(agency + " ★ BHXH Việt Nam", "BẢO HIỂM XÃ HỘI"),
    )
    return sheets, signer
