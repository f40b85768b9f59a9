"""The sample dossiers: what each is about, its components, and what must become of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from tests.samples.forms import FORMS, Case, Paper, administrative, lists, make_case
from tests.samples.forms.base import blank
from tests.samples.ink import scribble
from tests.samples.look import Look, make_look

LUU, TRA_LAI, TU_CHOI, REFUSED = "LUU_TRU", "TRA_LAI", "TU_CHOI_TIEP_NHAN", "REFUSED"
PUBLIC = {
    LUU: "Bảo hiểm xã hội đã trả kết quả",
    TRA_LAI: "Bảo hiểm xã hội đã từ chối hồ sơ",
    TU_CHOI: "Bảo hiểm xã hội đã từ chối hồ sơ",
    REFUSED: None,  # refused at hand-in: there is no dossier
}


@dataclass
class Component:
    """One paper of a dossier and how it was scanned. container: jpg (a file a page), tif or pdf (one file)."""

    type_code: str
    draw: Callable[[], Paper] | None  # None: nothing is scanned
    look: Look
    container: str = "jpg"
    form: str = "ORIGINAL"
    notes: dict[int, str] = field(default_factory=dict)  # page -> text of its sticky note (CA07)
    flags: dict[str, object] = field(default_factory=dict)
    state: str = ""  # expected DocumentState; "": by the dossier

    @cached_property
    def paper(self) -> Paper | None:
        """Drawn when it is first looked at, from a seed of its own."""
        return self.draw() if self.draw else None


@dataclass
class Dossier:
    name: str  # folder
    story: str
    procedure: str
    case: Case
    components: list[Component]
    owner: str = "PERSON"
    owner_known: bool = True  # False: the owner's id is null in dossier.yaml
    group: str = "demo"
    defect: str | None = None
    problem_codes: list[str] = field(default_factory=list)
    state: str = LUU
    originals: int | None = None  # None: as many as are captured

    def owner_entry(self) -> dict[str, object]:
        case = self.case
        if self.owner == "ORGANISATION":
            firm = case.employer
            return {"kind": "ORGANISATION", "id": firm.tax, "name": firm.name, "founding_year": firm.founded}
        who = case.person
        return {"kind": "PERSON", "id": who.id if self.owner_known else None, "name": who.name, "birth_date": who.born}

    def expected(self, component: Component) -> str:
        if component.state:
            return component.state
        if self.state == TRA_LAI:
            return "DA_LUU_KHONG_GIA_TRI"
        if self.state != LUU:
            return "KHAI_BAO"
        return "HIEN_THI_KHO" if self.owner_known else "DA_LUU_CHUA_DINH_DANH"


def handwritten(case: Case, look: Look) -> Paper:
    """A 14-HSB written by hand on a blank sheet: nothing that OCR could read (EX02); the officer types the fields."""
    paper = FORMS["LOCAL:14-HSB"](case, look)
    sheet, y = blank(look), 35.0
    scribble(sheet, case.rng, 75, y, 60)
    y += 18
    while y < 215:
        scribble(sheet, case.rng, 25, y, case.rng.uniform(110, 160))
        y += 9.5
    scribble(sheet, case.rng, 120, 232, 60)
    return Paper(paper.type_code, [sheet], paper.fields)


class Maker:
    """Makes the components of one dossier, all about the same case."""

    def __init__(
        self, seed: int, name: str, *, with_id: bool = True, mother: bool = False, dpi: int | None = None
    ) -> None:
        self.rng = random.Random(f"dossier {seed} {name}")
        self.case = make_case(self.rng, with_id=with_id, mother=mother)
        self.dpi = dpi

    def add(
        self,
        kind: str,
        container: str = "jpg",
        *,
        dpi: int | None = None,
        form: Callable[[Case, Look], Paper] | None = None,
        notes: dict[int, str] | None = None,
        flags: dict[str, object] | None = None,
        state: str = "",
    ) -> Component:
        code = f"LOCAL:{kind}"
        look = make_look(self.rng, dpi or self.dpi or self.rng.choice([200, 200, 200, 240]))
        case = self.case.but(rng=random.Random(self.rng.randrange(2**63)))
        return Component(
            code,
            lambda: (form or FORMS[code])(case, look),
            look,
            container,
            notes=notes or {},
            flags=flags or {},
            state=state,
        )

    def absent(self, kind: str, *, form: str = "ORIGINAL", flags: dict[str, object] | None = None) -> Component:
        """A component that is declared but not captured."""
        return Component(f"LOCAL:{kind}", None, Look(), form=form, flags=flags or {}, state="NGOAI_PHAM_VI")


def _benefits(part: str, count: int) -> Callable[[Case, Look], Paper]:
    return lambda case, look: lists.benefits(case, look, part, count)


def _decision(benefit: str) -> Callable[[Case, Look], Paper]:
    return lambda case, look: administrative.decision(case, look, benefit)


def _letter(kind: str, pages: int, stamp: str | None = None) -> Callable[[Case, Look], Paper]:
    return lambda case, look: administrative.administrative(case, look, kind, pages, stamp)


def good(seed: int) -> list[Dossier]:
    """The dossiers that go all the way, and those that people refuse."""
    out: list[Dossier] = []

    def put(name: str, story: str, procedure: str, maker: Maker, *components: Component, **more: object) -> None:
        out.append(Dossier(name, story, procedure, maker.case, list(components), **more))  # type: ignore[arg-type]

    _sickness_and_birth(seed, put)
    _contributions(seed, put)
    _long_cases(seed, put)
    _refused(seed, put)
    return out


Put = Callable[..., None]


def _sickness_and_birth(seed: int, put: Put) -> None:
    name = "01-om-dau"
    m = Maker(seed, name)
    put(name, "Người lao động nằm viện, đơn vị đề nghị hưởng chế độ ốm đau.", "1.001667", m,
        m.add("GIAY-RA-VIEN"), m.add("01B-HSB", "pdf", form=_benefits("ỐM ĐAU", 4)))  # fmt: skip
    name = "02-om-dau-ghi-chu"
    m = Maker(seed, name)
    note = {1: "Đã đối chiếu bản chính, chờ bổ sung số tài khoản."}
    put(name, "Giấy tờ có dán giấy ghi chú: mỗi trang có ghi chú được sao chụp hai lần.", "1.001667", m,
        m.add("C65-HD", notes=note),
        m.add("01B-HSB", form=_benefits("ỐM ĐAU", 14), notes={2: "Kiểm tra lại số ngày nghỉ dòng cuối."}))  # fmt: skip
    name = "03-thai-san-khai-sinh"
    m = Maker(seed, name, mother=True)
    put(name, "Mẹ sinh con, nộp giấy khai sinh và giấy chứng sinh quét ở 300 dpi.", "2.000693", m,
        m.add("GIAY-KHAI-SINH", dpi=300), m.add("GIAY-CHUNG-SINH", "tif"),
        m.add("01B-HSB", "pdf", form=_benefits("THAI SẢN", 3)))  # fmt: skip
    name = "04-thai-san-trich-luc"
    m = Maker(seed, name, mother=True)
    put(name, "Hồ sơ thai sản dùng trích lục khai sinh thay giấy khai sinh.", "2.000693", m,
        m.add("TRICH-LUC-KHAI-SINH", "pdf"), m.add("01B-HSB", form=_benefits("THAI SẢN", 3)))  # fmt: skip
    name = "05-duong-suc"
    m = Maker(seed, name)
    put(name, "Nghỉ dưỡng sức sau ốm đau, danh sách hai trang kèm giấy chứng nhận nghỉ việc.", "1.001598", m,
        m.add("01B-HSB", "pdf", form=_benefits("DƯỠNG SỨC, PHỤC HỒI SỨC KHỎE", 14)), m.add("C65-HD"))  # fmt: skip


def _contributions(seed: int, put: Put) -> None:
    name = "06-bhxh-mot-lan"
    m = Maker(seed, name)
    put(name, "Đề nghị hưởng BHXH một lần; căn cước chỉ xuất trình nên không sao chụp.", "1.001613", m,
        m.add("SO-BHXH", "tif"), m.add("14-HSB"), m.add("04-HSB", "pdf"),
        m.absent("CCCD", flags={"show_only": True}))  # fmt: skip
    name = "07-dieu-chinh-so-the"
    m = Maker(seed, name)
    put(name, "Điều chỉnh thông tin trên sổ BHXH theo giấy tờ hộ tịch.", "1.002759", m,
        m.add("TK1-TS", "pdf"), m.add("TRICH-LUC-KHAI-SINH"), m.add("SO-BHXH"))  # fmt: skip
    name = "08-cap-the-bhyt"
    m = Maker(seed, name)
    put(name, "Đăng ký đóng và cấp thẻ bảo hiểm y tế.", "1.001939", m, m.add("TK1-TS"), m.add("D03-TS", "pdf"))
    name = "09-don-vi-tang-lao-dong"
    m = Maker(seed, name)
    put(name, "Đơn vị báo tăng lao động; chủ hồ sơ là tổ chức.", "1.002051", m,
        m.add("D02-TS", "pdf"), m.add("D01-TS"), m.add("TK1-TS", "tif"), owner="ORGANISATION")  # fmt: skip
    name = "10-bhxh-tu-nguyen"
    m = Maker(seed, name, with_id=False)
    put(name, "Trên giấy tờ không có số định danh: dùng họ tên và ngày sinh thay thế.", "1.002179", m,
        m.add("TK1-TS"), owner_known=False)  # fmt: skip


def _long_cases(seed: int, put: Put) -> None:
    name = "11-thanh-toan-truc-tiep"
    m = Maker(seed, name)
    put(name, "Thanh toán trực tiếp chi phí khám chữa bệnh; một bản sao chụp nằm ngoài phạm vi số hóa.", "1.001656", m,
        m.add("THE-BHYT"), m.add("GIAY-RA-VIEN", "pdf"), m.add("HOA-DON"),
        m.absent("XAC-NHAN-CU-TRU", form="PHOTOCOPY"))  # fmt: skip
    name = "12-tu-tuat-so-de-hong"
    m = Maker(seed, name)
    put(name, "Hồ sơ tử tuất có sổ BHXH cũ dễ hỏng: sao y bản giấy trước khi quét.", "2.000821", m,
        m.add("SO-BHXH", flags={"fragile": True}), m.add("GIAY-CHUNG-TU"), m.add("09-HSB", "tif"))  # fmt: skip
    name = "13-chuyen-noi-huong-viet-tay"
    m = Maker(seed, name)
    put(name, "Đơn viết tay không nhận dạng được: viên chức nhập tay các trường dữ liệu.", "1.001742", m,
        m.add("14-HSB", form=handwritten), m.add("QUYET-DINH-HUONG", "pdf", form=_decision("chuyển")))  # fmt: skip
    name = "14-tai-nan-lao-dong"
    m = Maker(seed, name)
    put(name, "Đề nghị giải quyết chế độ tai nạn lao động, có biên bản giám định y khoa hai trang.", "1.001632", m,
        m.add("05A-HSB"), m.add("GIAY-RA-VIEN"), m.add("BIEN-BAN-GIAM-DINH", "pdf"))  # fmt: skip
    name = "15-van-ban-hanh-chinh"
    m = Maker(seed, name)
    put(name, "Số hóa công văn và báo cáo nhiều trang.", "LOCAL:SO-HOA-VAN-BAN", m,
        m.add("VAN-BAN-HANH-CHINH", "tif", form=_letter("CÔNG VĂN", 2)),
        m.add("VAN-BAN-HANH-CHINH", "pdf", form=_letter("BÁO CÁO", 3)), owner="ORGANISATION")  # fmt: skip


def _refused(seed: int, put: Put) -> None:
    name = "16-om-dau-tra-lai"
    m = Maker(seed, name)
    put(name, "Viên chức giải quyết trả lại hồ sơ khi kiểm tra dữ liệu, có nêu lý do.", "1.001667", m,
        m.add("C65-HD"), m.add("01B-HSB", form=_benefits("ỐM ĐAU", 3)),
        defect="REFUSE_VERIFICATION", state=TRA_LAI)  # fmt: skip
    name = "17-thai-san-khong-ky"
    m = Maker(seed, name, mother=True)
    put(name, "Lãnh đạo không ký, trả lại hồ sơ bằng văn bản: không có chữ ký số cơ quan.", "2.000693", m,
        m.add("GIAY-CHUNG-SINH"), m.add("01B-HSB", form=_benefits("THAI SẢN", 3)),
        defect="REFUSE_SIGNOFF", state=TRA_LAI)  # fmt: skip
    name = "18-van-ban-mat"
    m = Maker(seed, name)
    put(name, "Một văn bản đóng dấu TỐI MẬT lẫn trong hồ sơ: cách ly, xóa ảnh.", "LOCAL:SO-HOA-VAN-BAN", m,
        m.add("VAN-BAN-HANH-CHINH", form=_letter("THÔNG BÁO", 1)),
        m.add("VAN-BAN-HANH-CHINH", form=_letter("BÁO CÁO", 1, "TỐI MẬT"), state="CACH_LY_MAT"),
        owner="ORGANISATION", defect="SECRET")  # fmt: skip


__all__ = ["Component", "Dossier", "Maker", "good"]
