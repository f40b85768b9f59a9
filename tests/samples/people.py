"""Synthetic people, employers, hospitals and places with the structure of real ones (docs/formats.md).

Places are real administrative units; names, ids and numbers are drawn at random. Before 1 July 2025 an address has
three levels, after it two (Resolution 202/2025/QH15).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

FAMILY = [
    "Nguyễn",
    "Nguyễn",
    "Nguyễn",
    "Nguyễn",
    "Trần",
    "Trần",
    "Lê",
    "Lê",
    "Phạm",
    "Phạm",
    "Hoàng",
    "Huỳnh",
    "Phan",
    "Vũ",
    "Võ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
    "Dương",
    "Lý",
    "Đinh",
    "Trịnh",
    "Mai",
    "Tạ",
    "Cao",
    "Lương",
    "Châu",
    "Tô",
    "Hà",
    "Đoàn",
    "Quách",
    "Từ",
]
MALE_MIDDLE = [
    "Văn",
    "Đức",
    "Hữu",
    "Quang",
    "Minh",
    "Thanh",
    "Ngọc",
    "Công",
    "Xuân",
    "Đình",
    "Bá",
    "Quốc",
    "Gia",
    "Anh",
    "Trọng",
    "Tuấn",
]
MALE_GIVEN = [
    "An",
    "Bình",
    "Cường",
    "Dũng",
    "Đạt",
    "Hải",
    "Hùng",
    "Khánh",
    "Khoa",
    "Lâm",
    "Long",
    "Mạnh",
    "Nam",
    "Nghĩa",
    "Phong",
    "Phúc",
    "Quân",
    "Sơn",
    "Thắng",
    "Thành",
    "Tùng",
    "Trường",
    "Tuấn",
    "Vinh",
    "Việt",
    "Hưng",
    "Kiên",
    "Hiếu",
    "Đăng",
    "Thịnh",
]
FEMALE_MIDDLE = [
    "Thị",
    "Thị",
    "Thị",
    "Ngọc",
    "Thanh",
    "Thu",
    "Kim",
    "Mỹ",
    "Hồng",
    "Phương",
    "Thùy",
    "Bích",
    "Như",
    "Diệu",
    "Khánh",
    "Minh",
]
FEMALE_GIVEN = [
    "Anh",
    "Chi",
    "Dung",
    "Giang",
    "Hà",
    "Hạnh",
    "Hiền",
    "Hoa",
    "Hương",
    "Huyền",
    "Lan",
    "Linh",
    "Loan",
    "Mai",
    "Nga",
    "Ngân",
    "Ngọc",
    "Nhung",
    "Oanh",
    "Phượng",
    "Quỳnh",
    "Thảo",
    "Thủy",
    "Trang",
    "Tuyết",
    "Uyên",
    "Vân",
    "Xuân",
    "Yến",
    "Hằng",
    "Thơ",
]
ETHNIC = ["Kinh"] * 9 + ["Tày", "Mường", "Hrê", "Khmer", "Thái"]
JOBS = ["Công nhân", "Giáo viên", "Kế toán", "Nhân viên văn phòng", "Kỹ sư", "Lao động tự do", "Nông dân", "Lái xe"]


@dataclass(frozen=True)
class Place:
    code: str  # 3 digits of the personal id: province of birth registration
    province: str  # with its kind: "tỉnh Quảng Ngãi"
    wards: tuple[tuple[str, str], ...]  # (ward, district) until 30/6/2025
    new_province: str
    new_wards: tuple[str, ...]  # since 1/7/2025

    @property
    def short(self) -> str:
        return self.province.replace("tỉnh ", "").replace("thành phố ", "TP. ").replace("TP. Hà Nội", "Hà Nội")

    @property
    def is_city(self) -> bool:
        return self.province.startswith("thành phố")


PLACES = (
    Place(
        "001",
        "thành phố Hà Nội",
        (
            ("phường Cửa Nam", "quận Hoàn Kiếm"),
            ("phường Dịch Vọng", "quận Cầu Giấy"),
            ("xã Kim Chung", "huyện Đông Anh"),
            ("phường Văn Quán", "quận Hà Đông"),
        ),
        "thành phố Hà Nội",
        ("phường Cửa Nam", "phường Cầu Giấy", "xã Đông Anh", "phường Hà Đông"),
    ),
    Place(
        "031",
        "thành phố Hải Phòng",
        (
            ("phường Đông Khê", "quận Ngô Quyền"),
            ("xã An Hồng", "huyện An Dương"),
            ("phường Niệm Nghĩa", "quận Lê Chân"),
        ),
        "thành phố Hải Phòng",
        ("phường Gia Viên", "phường Hồng Bàng", "phường Lê Chân"),
    ),
    Place(
        "048",
        "thành phố Đà Nẵng",
        (
            ("phường Hòa Khánh Bắc", "quận Liên Chiểu"),
            ("phường An Hải Bắc", "quận Sơn Trà"),
            ("xã Hòa Phong", "huyện Hòa Vang"),
        ),
        "thành phố Đà Nẵng",
        ("phường Hòa Khánh", "phường An Hải", "xã Hòa Vang"),
    ),
    Place(
        "051",
        "tỉnh Quảng Ngãi",
        (
            ("phường Nghĩa Lộ", "thành phố Quảng Ngãi"),
            ("xã Bình Thuận", "huyện Bình Sơn"),
            ("thị trấn Sơn Tịnh", "huyện Sơn Tịnh"),
            ("phường Phổ Ninh", "thị xã Đức Phổ"),
        ),
        "tỉnh Quảng Ngãi",
        ("phường Nghĩa Lộ", "xã Bình Sơn", "xã Sơn Tịnh", "phường Đức Phổ"),
    ),
    Place(
        "079",
        "thành phố Hồ Chí Minh",
        (
            ("phường Bến Thành", "quận 1"),
            ("phường Linh Trung", "thành phố Thủ Đức"),
            ("phường Tân Sơn Nhì", "quận Tân Phú"),
        ),
        "thành phố Hồ Chí Minh",
        ("phường Bến Thành", "phường Thủ Đức", "phường Tân Sơn Nhì"),
    ),
    Place(
        "038",
        "tỉnh Thanh Hóa",
        (
            ("phường Điện Biên", "thành phố Thanh Hóa"),
            ("xã Quảng Lưu", "huyện Quảng Xương"),
            ("phường Bắc Sơn", "thị xã Bỉm Sơn"),
        ),
        "tỉnh Thanh Hóa",
        ("phường Hạc Thành", "xã Quảng Yên", "phường Bỉm Sơn"),
    ),
    Place(
        "040",
        "tỉnh Nghệ An",
        (
            ("phường Hưng Bình", "thành phố Vinh"),
            ("xã Diễn Hồng", "huyện Diễn Châu"),
            ("xã Nghi Thạch", "huyện Nghi Lộc"),
        ),
        "tỉnh Nghệ An",
        ("phường Thành Vinh", "xã Diễn Châu", "xã Nghi Lộc"),
    ),
    Place(
        "092",
        "thành phố Cần Thơ",
        (
            ("phường An Khánh", "quận Ninh Kiều"),
            ("phường Hưng Phú", "quận Cái Răng"),
            ("xã Mỹ Khánh", "huyện Phong Điền"),
        ),
        "thành phố Cần Thơ",
        ("phường Ninh Kiều", "phường Cái Răng", "xã Phong Điền"),
    ),
    Place(
        "075",
        "tỉnh Đồng Nai",
        (
            ("phường Long Bình", "thành phố Biên Hòa"),
            ("xã Hố Nai 3", "huyện Trảng Bom"),
            ("thị trấn Long Thành", "huyện Long Thành"),
        ),
        "tỉnh Đồng Nai",
        ("phường Long Bình", "xã Trảng Bom", "xã Long Thành"),
    ),
    Place(
        "027",
        "tỉnh Bắc Ninh",
        (
            ("phường Võ Cường", "thành phố Bắc Ninh"),
            ("phường Đình Bảng", "thành phố Từ Sơn"),
            ("xã Yên Trung", "huyện Yên Phong"),
        ),
        "tỉnh Bắc Ninh",
        ("phường Võ Cường", "phường Từ Sơn", "xã Yên Trung"),
    ),
)
STREETS = ["Lê Lợi", "Trần Hưng Đạo", "Nguyễn Trãi", "Quang Trung", "Hùng Vương", "Phan Bội Châu", "Lý Thường Kiệt"]
REFORM = date(2025, 7, 1)


@dataclass(frozen=True)
class Address:
    place: Place
    street: str
    index: int

    def at(self, day: date) -> str:
        """The address as a paper of that day prints it."""
        if day >= REFORM:
            ward = self.place.new_wards[self.index % len(self.place.new_wards)]
            return f"{self.street}, {ward}, {self.place.new_province}"
        return f"{self.street}, {self.ward}, {self.district}, {self.place.province}"

    @property
    def ward(self) -> str:
        return self.place.wards[self.index][0]

    @property
    def district(self) -> str:
        return self.place.wards[self.index][1]

    def ward_at(self, day: date) -> str:
        return self.place.new_wards[self.index % len(self.place.new_wards)] if day >= REFORM else self.ward

    def area(self, day: date) -> str:
        """Without the street: ward to province."""
        return self.at(day).split(", ", 1)[1]


@dataclass(frozen=True)
class Person:
    name: str
    male: bool
    born: date
    id: str  # personal id, 12 digits
    bhxh: str  # BHXH number, 10 digits
    card: str  # health card, 15 characters
    address: Address
    ethnic: str
    job: str
    phone: str

    @property
    def sex(self) -> str:
        return "Nam" if self.male else "Nữ"


@dataclass(frozen=True)
class Employer:
    name: str
    tax: str
    unit_code: str
    address: Address
    founded: int
    director: Person
    account: str
    bank: str


@dataclass(frozen=True)
class Hospital:
    name: str
    parent: str
    place: Place
    code: str


def dotted(day: date) -> str:
    return day.strftime("%d/%m/%Y")


def spelled(day: date) -> str:
    """ngày 05 tháng 3 năm 2024: two digits for days under 10 and for January, February (Decree 30, appendix I)."""
    month = f"{day.month:02d}" if day.month < 3 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def personal_id(rng: random.Random, place: Place, male: bool, born: date) -> str:
    """12 digits: 3 province, 1 century and sex, 2 year, 6 random."""
    century = (born.year // 100 - 19) * 2 + (0 if male else 1)
    return f"{place.code}{century}{born.year % 100:02d}{rng.randrange(1000, 999999):06d}"


def tax_code(rng: random.Random) -> str:
    """10 digits with the check digit of Vietnamese tax codes."""
    while True:
        digits = [0, *(rng.randrange(10) for _ in range(8))]
        digits[1] = rng.randrange(1, 10)
        check = 10 - sum(w * d for w, d in zip((31, 29, 23, 19, 17, 13, 7, 5, 3), digits, strict=True)) % 11
        if check < 10:
            return "".join(map(str, digits)) + str(check)


def tax_code_valid(code: str) -> bool:
    weights = (31, 29, 23, 19, 17, 13, 7, 5, 3)
    return len(code) == 10 and 10 - sum(w * int(d) for w, d in zip(weights, code[:9], strict=True)) % 11 == int(code[9])


def day_between(rng: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=rng.randrange((last - first).days + 1))


def make_name(rng: random.Random, male: bool, family: str | None = None) -> str:
    family = family or rng.choice(FAMILY)
    while True:
        middle = rng.choice(MALE_MIDDLE if male else FEMALE_MIDDLE)
        given = rng.choice(MALE_GIVEN if male else FEMALE_GIVEN)
        if len({family, middle, given}) == 3:
            return f"{family} {middle} {given}"


def make_address(rng: random.Random, place: Place | None = None) -> Address:
    place = place or rng.choice(PLACES)
    index = rng.randrange(len(place.wards))
    rural = place.wards[index][0].startswith("xã")
    street = f"thôn {rng.randrange(1, 12)}" if rural else f"số {rng.randrange(2, 250)} {rng.choice(STREETS)}"
    return Address(place, street, index)


def make_person(
    rng: random.Random,
    male: bool | None = None,
    born: tuple[date, date] = (date(1966, 1, 1), date(2003, 12, 31)),
    family: str | None = None,
    place: Place | None = None,
) -> Person:
    sex = rng.random() < 0.5 if male is None else male
    address = make_address(rng, place)
    day = day_between(rng, *born)
    number = f"{rng.randrange(1, 97):02d}{rng.randrange(8, 25):02d}{rng.randrange(100000, 999999)}"
    group = rng.choice(["DN4", "GD4", "HC4", "CH4", "HT3", "TE1" if day.year > 2018 else "XK4"])
    return Person(
        name=make_name(rng, sex, family),
        male=sex,
        born=day,
        id=personal_id(rng, address.place, sex, day),
        bhxh=number,
        card=f"{group}{rng.randrange(1, 97):02d}{number}",
        address=address,
        ethnic=rng.choice(ETHNIC),
        job=rng.choice(JOBS),
        phone=f"09{rng.randrange(10**7, 10**8)}",
    )


FIRMS = [
    "May mặc",
    "Thủy sản",
    "Xây dựng",
    "Thương mại và Dịch vụ",
    "Cơ khí",
    "Điện tử",
    "Bao bì",
    "Vận tải",
    "Nội thất",
]
FIRM_NAMES = ["Hòa Bình", "Đại Phát", "Minh Khang", "Việt Tiến", "Trường Thịnh", "Hoàng Gia", "Phú Thọ", "Tân Thành"]
BANKS = ["Vietcombank", "Agribank", "BIDV", "VietinBank", "MB Bank"]
FACULTIES = ["Nội tổng hợp", "Ngoại chấn thương", "Phụ sản", "Nhi", "Tim mạch", "Tai mũi họng", "Hồi sức cấp cứu"]


def make_employer(rng: random.Random, place: Place | None = None) -> Employer:
    kind = rng.choice(["Công ty TNHH", "Công ty Cổ phần", "Công ty TNHH MTV"])
    address = make_address(rng, place)
    return Employer(
        name=f"{kind} {rng.choice(FIRMS)} {rng.choice(FIRM_NAMES)}",
        tax=tax_code(rng),
        unit_code=f"T{rng.choice('ABCDEG')}{rng.randrange(1, 9999):04d}{rng.choice('ABCDZ')}",
        address=address,
        founded=rng.randrange(1995, 2020),
        director=make_person(rng, place=address.place),
        account=str(rng.randrange(10**11, 10**12)),
        bank=rng.choice(BANKS),
    )


def make_hospital(rng: random.Random, place: Place | None = None) -> Hospital:
    place = place or rng.choice(PLACES)
    bare = place.province.replace("tỉnh ", "").replace("thành phố ", "")
    kind = "thành phố" if place.is_city else "tỉnh"
    name = rng.choice(
        [f"Bệnh viện Đa khoa {kind} {bare}", f"Bệnh viện Sản - Nhi {kind} {bare}", "Bệnh viện Quân dân y"]
    )
    parent = f"Sở Y tế {bare}" if place.code != "079" else "Sở Y tế Thành phố Hồ Chí Minh"
    return Hospital(name, parent, place, f"{int(place.code) % 100:02d}{rng.randrange(1, 999):03d}")
