"""What is wrong with a declaration, as its writer needs it: the line, the item, what to write there (B3a).

Never the value: it may be personal data, and so may a name that the form doesn't have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydantic import ValidationError

from blocks.foreign import Place

MOST = 5  # faults of one declaration that are told at once
WHOLE = "true hoặc false"
MOMENT = "năm-tháng-ngày giờ:phút, ví dụ captured_at: 2026-11-30 08:15"
# What is to be written, by the item's names without positions.
WRITE = {
    "version": "version: 1",
    "unit": "mã đơn vị, chỉ gồm chữ không dấu, chữ số, dấu chấm, dấu gạch nối",
    "procedure": "mã thủ tục, ví dụ procedure: 1.001667",
    "captured_by": "mã viên chức sao chụp, ví dụ captured_by: tnhs.01",
    "originals": "số bản giấy, chỉ gồm chữ số",
    "transitional": WHOLE,
    "captured_at": MOMENT,
    "owner": "chủ hồ sơ, gồm kind, id, name",
    "owner.kind": "PERSON (cá nhân) hoặc ORGANISATION (tổ chức)",
    "owner.id": "mã định danh hoặc mã số, chỉ gồm chữ số và chữ in hoa, đủ cả số 0 ở đầu, không dấu cách; "
    "để trống nếu không có",
    "owner.name": "họ tên hoặc tên tổ chức, tối đa 200 chữ; có dấu hai chấm thì đặt trong dấu ngoặc kép",
    "owner.birth_date": "năm-tháng-ngày, ví dụ birth_date: 1955-02-28; không rõ thì để trống",
    "owner.founding_year": "năm, bốn chữ số",
    "components": "danh sách giấy tờ, mỗi giấy tờ một mục bắt đầu bằng dấu gạch ngang",
    "components.type": "mã loại giấy tờ, ví dụ type: LOCAL:GIAY-RA-VIEN",
    "components.form": "ORIGINAL, CERTIFIED_COPY, PHOTOCOPY, E_COPY_REGISTER, E_COPY_CERTIFIED hoặc E_PHOTO_COMPARED",
    "components.pages": "số trang của giấy tờ, chỉ gồm chữ số, từ 1",
    "components.note_pages": "số của các trang có giấy ghi chú, ví dụ note_pages: [2, 5]; không lớn hơn số trang",
    "components.dpi": "độ phân giải đã đặt ở máy quét, ví dụ dpi: 300",
    "components.captured_at": MOMENT,
    "components.files": "danh sách tên tệp trong thư mục hồ sơ, ví dụ files: [c1/0001.jpg, c1/0002.jpg]",
    "components.flags": "các đặc điểm, ví dụ flags: {fragile: true}",
    "components.flags.shared_as_data": "nơi đã có dữ liệu dùng chung",
}


def faults(error: ValidationError, lines: Mapping[Place, int], known: Collection[str]) -> str:
    """The first faults as one text for the officer. known: names that the form has."""
    told = dict.fromkeys(_fault(item["loc"], item["type"], item["msg"], lines, known) for item in error.errors())
    return "; ".join(list(told)[:MOST])


def named(parts: Sequence[int | str], known: Collection[str]) -> str:
    """Names of the form only: what else stands there as a name may be anything, also personal data."""
    names = [str(part + 1) if isinstance(part, int) else part if part in known else UNKNOWN for part in parts]
    return ".".join(names) or "nội dung"


UNKNOWN = "mục không có trong mẫu"


def _fault(loc: Place, kind: str, message: str, lines: Mapping[Place, int], known: Collection[str]) -> str:
    at = next((lines[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in lines), None)
    line = f"dòng {at}, " if at else ""
    item = named(loc, known)
    if kind == "extra_forbidden":
        return f"{line}{item}: vui lòng bỏ mục này"
    names = [part for part in loc if isinstance(part, str)]
    if names and names[0] not in known:
        return f"{line}{item}"
    write = WRITE.get(".".join(names), WHOLE if "flags" in names else "")
    if kind == "value_error" and len(loc) and isinstance(loc[-1], int):  # of a component as a whole; our own words
        return f"{line}{item}: {message.removeprefix('Value error, ')}"
    missing = "thiếu mục này, " if kind == "missing" else ""
    return f"{line}{item}: {missing}ghi {write}" if write else f"{line}{item}"
