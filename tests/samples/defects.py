"""One small dossier for each capture rule and each problem code that a folder can express.

Capture defects bring good scans in rescan/<ordinal>/ and then end LUU_TRU; a wrong declaration is refused.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.samples import badfiles
from tests.samples.dossiers import LUU, REFUSED, TU_CHOI, Component, Dossier, Maker
from tests.samples.forms import FORMS, Case, make_case
from tests.samples.forms.base import blank
from tests.samples.scan import Pixels, jpeg_bytes, scan, write_pdf
from tests.samples.writer import component_entry, images, manifest, with_note, write_manifest, write_scans, write_truth

Spoil = Callable[[Path, Component], list[str]]
Edit = Callable[[dict[str, Any]], None]
NOTE = {1: "Chờ bổ sung chữ ký."}


@dataclass
class Defect:
    """spoil writes the bad files of component 1 and returns their names; edit spoils the declaration."""

    name: str
    code: str
    story: str
    spoil: Spoil | None = None
    edit: Edit | None = None
    pages: int = 1  # 1: mẫu 14-HSB; 2: TK1-TS
    notes: dict[int, str] = field(default_factory=dict)
    second: str = ""  # type of a second component
    state: str = LUU
    group: str = "defects"


def _jpegs(folder: Path, component: Component, pixels: list[Pixels], numbers: list[int] | None = None) -> list[str]:
    """One JPEG each; numbers: the scanner's sequence numbers (1, 2, …)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{n:04d}.jpg" for n in numbers or range(1, len(pixels) + 1)]
    for name, page in zip(names, pixels, strict=True):
        (folder / name).write_bytes(jpeg_bytes(page, component.look.dpi, component.look.quality))
    return names


def _page(component: Component, index: int = 0, run: int = 1, **faults: float) -> Pixels:
    assert component.paper is not None
    return scan(component.paper.sheets[index].image, component.look, run, **faults)


def _jpeg(component: Component) -> bytes:
    return jpeg_bytes(_page(component), component.look.dpi, component.look.quality)


def _file(folder: Path, name: str, data: bytes) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return [name]


def _shifted(folder: Path, component: Component) -> list[str]:
    """The paper lay 32 mm too far left: the first letters of all lines are outside."""
    page = _page(component)
    cut = round(32 * component.look.dpi / 25.4)
    bare = np.full_like(page[:, :cut], np.array(component.look.tint, dtype=np.uint8))
    return _jpegs(folder, component, [np.concatenate([page[:, cut:], bare], axis=1)])


def _short(folder: Path, component: Component) -> list[str]:
    """The scanner stopped after three quarters of the page."""
    page = _page(component)
    return _jpegs(folder, component, [page[: page.shape[0] * 3 // 4]])


def _blank(folder: Path, component: Component) -> list[str]:
    """The back of the paper instead of page 2."""
    return _jpegs(folder, component, [_page(component), scan(blank(component.look).image, component.look, 2)])


def _extra(folder: Path, component: Component) -> list[str]:
    other = FORMS["LOCAL:CCCD"](_case(component), component.look).sheets[0]
    pixels = [_page(component), _page(component, 1, 2), scan(other.image, component.look, 3)]
    return _jpegs(folder, component, pixels)


def _case(component: Component) -> Case:
    return make_case(random.Random(component.look.seed))


def _same_bytes(folder: Path, component: Component) -> list[str]:
    page = _page(component)
    return _jpegs(folder, component, [page, page])


def _low_dpi(folder: Path, component: Component) -> list[str]:
    page = _page(component)
    small = cv2.resize(page, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    return _file(folder, "0001.jpg", jpeg_bytes(small, 150, component.look.quality))


def _note_only(folder: Path, component: Component) -> list[str]:
    return _jpegs(folder, component, images(component)[:1])


def _note_other(folder: Path, component: Component) -> list[str]:
    """With-note image of page 1, then another paper instead of the clean page 1."""
    assert component.paper is not None
    noted = with_note(component.paper.sheets[0], component.notes[1], component.look.seed)
    other = FORMS["LOCAL:CCCD"](_case(component), component.look)
    return _jpegs(
        folder, component, [scan(noted.image, component.look, 101), scan(other.sheets[0].image, component.look, 1)]
    )


def _pdf(make: Callable[[Path, list[bytes]], None]) -> Spoil:
    def spoil(folder: Path, component: Component) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        make(folder / "0001.pdf", [_jpeg(component)])
        return ["0001.pdf"]

    return spoil


def _missing(folder: Path, component: Component) -> list[str]:
    return ["0001.jpg"]


def _set(**values: Any) -> Edit:
    return lambda body: body.update(values)


def _set_component(**values: Any) -> Edit:
    return lambda body: body["components"][0].update(values)


def _share_file(body: dict[str, Any]) -> None:
    body["components"][1]["files"] = list(body["components"][0]["files"])


def _decompose(body: dict[str, Any]) -> None:
    body["owner"]["name"] = unicodedata.normalize("NFD", body["owner"]["name"])


def _wrong_manifest(body: dict[str, Any]) -> None:
    del body["owner"]
    body["originals"] = "một"


DEFECTS = (
    Defect("d01-cat-mep", "PAGE_CROPPED", "CA05: giấy đặt lệch, mất mép trái.", _shifted, group="demo"),
    Defect("d02-trang-dao", "PAGES_ORDER", "CA06: hai trang nộp ngược với số trong tên tệp.",
           lambda f, c: _jpegs(f, c, [_page(c, 1, 2), _page(c)], [2, 1]), pages=2, group="demo"),
    Defect("d03-thieu-anh-ghi-chu", "NOTE_PAIR", "CA07: trang có giấy ghi chú chỉ được chụp một lần.", _note_only,
           notes=NOTE, group="demo"),
    Defect("d04-pdf-mat-khau", "PDF_ENCRYPTED", "Tệp PDF đặt mật khẩu.", _pdf(badfiles.encrypted), group="demo"),
    Defect("d05-dpi-thap", "DPI_LOW", "CA09: quét ở 150 dpi.", _low_dpi, group="demo"),
    Defect("d06-thieu-thanh-phan", "COMPONENT_MISSING", "B3a: hồ sơ thiếu danh sách 01B-HSB.",
           edit=_set(procedure="1.001598"), state=TU_CHOI, group="demo"),
    Defect("d07-dem-sai-ban-giay", "ORIGINALS_COUNT", "CA04: đếm ba bản giấy nhưng chỉ có một bản cần sao chụp.",
           edit=_set(originals=3), state=TU_CHOI),
    Defect("d08-cat-ngan", "PAGE_CROPPED", "CA05: máy quét dừng trước khi hết trang.", _short),
    Defect("d09-trang-trang", "PAGE_BLANK", "CA05: quét mặt sau thay cho trang 2.", _blank, pages=2),
    Defect("d10-nghieng", "PAGE_SKEWED", "CA05: trang nghiêng 8 độ.",
           lambda f, c: _jpegs(f, c, [_page(c, skew=8.0)])),
    Defect("d11-mo-nhoe", "PAGE_BLURRED", "CA05: trang bị mờ.", lambda f, c: _jpegs(f, c, [_page(c, blur=3.5)])),
    Defect("d12-thieu-trang", "PAGES_MISSING", "CA06: giấy hai trang nhưng chỉ có một ảnh.",
           lambda f, c: _jpegs(f, c, [_page(c)]), pages=2),
    Defect("d13-thua-trang", "PAGES_EXTRA", "CA06: ba ảnh cho giấy hai trang.", _extra, pages=2),
    Defect("d14-trung-tep", "PAGES_DUPLICATE", "CA06: một tệp được nộp hai lần thay cho hai trang.", _same_bytes,
           pages=2),
    Defect("d15-trung-trang", "PAGES_DUPLICATE", "CA06: trang 1 quét hai lần, thiếu trang 2.",
           lambda f, c: _jpegs(f, c, [_page(c), _page(c, 0, 9)]), pages=2),
    Defect("d16-ghi-chu-khac-trang", "NOTE_PAIR", "CA07: hai ảnh không phải của cùng một trang.", _note_other,
           notes=NOTE),
    Defect("d17-anh-xam", "NOT_COLOUR", "CA09: ảnh xám.",
           lambda f, c: _file(f, "0001.jpg", jpeg_bytes(_page(c), c.look.dpi, c.look.quality, grey=True))),
    Defect("d18-pdf-1-3", "PDF_VERSION", "CA09: PDF 1.3.", _pdf(lambda p, j: write_pdf(p, j, "1.3"))),
    Defect("d19-sai-dpi", "DPI_METADATA", "CA09: tệp ghi 300 dpi nhưng máy quét đặt 200 dpi.",
           lambda f, c: _file(f, "0001.jpg", jpeg_bytes(_page(c), 300, c.look.quality))),
    Defect("d20-dung-chung-tep", "COMPONENT_FILES", "CA10: một tệp dùng cho hai thành phần.", edit=_share_file,
           second="QUYET-DINH-HUONG"),
    Defect("d21-tep-rong", "FILE_EMPTY", "Tệp 0 byte.", lambda f, c: _file(f, "0001.jpg", b"")),
    Defect("d22-tep-cut", "FILE_TRUNCATED", "Ảnh bị cắt cụt dữ liệu.",
           lambda f, c: _file(f, "0001.jpg", badfiles.truncated(_jpeg(c)))),
    Defect("d23-sai-loai-tep", "FILE_TYPE", "Tệp văn bản đổi tên thành .jpg.",
           lambda f, c: _file(f, "0001.jpg", badfiles.office_file())),
    Defect("d24-anh-bom", "IMAGE_BOMB", "Ảnh khai 65.000 × 65.000 điểm ảnh.",
           lambda f, c: _file(f, "0001.jpg", badfiles.bomb(_jpeg(c)))),
    Defect("d25-pdf-da-ky", "PDF_SIGNED", "Bản chụp điện tử là PDF đã có chữ ký số.", _pdf(badfiles.signed),
           edit=_set_component(form="E_PHOTO_COMPARED")),
    Defect("d26-pdf-ma-lenh", "PDF_ACTIVE_CONTENT", "PDF chứa JavaScript.", _pdf(badfiles.active)),
    Defect("d27-pdf-dinh-kem", "PDF_ATTACHMENTS", "PDF có tệp đính kèm.", _pdf(badfiles.attachments)),
    Defect("d28-pdf-khong-trang", "PDF_ZERO_PAGES", "PDF không có trang nào.",
           _pdf(lambda p, j: badfiles.zero_pages(p))),
    Defect("d29-pdf-hong", "PDF_DAMAGED", "PDF hỏng cấu trúc.", _pdf(badfiles.damaged)),
    Defect("d30-thieu-tep", "FILE_MISSING", "Tệp khai báo nhưng không có trong thư mục.", _missing),
    Defect("d31-ten-nfd", "NAME_NFD", "Tên chủ hồ sơ dùng bảng mã tổ hợp (NFD).", edit=_decompose, state=REFUSED),
    Defect("d32-thu-tuc-la", "PROCEDURE_UNKNOWN", "Mã thủ tục chưa được công bố.", edit=_set(procedure="9.999999"),
           state=TU_CHOI),
    Defect("d33-loai-giay-la", "TYPE_UNKNOWN", "Mã loại giấy tờ không có trong danh mục.",
           edit=_set_component(type="LOCAL:KHONG-CO"), state=TU_CHOI),
    Defect("d34-to-khai-sai", "MANIFEST_INVALID", "Tờ khai dossier.yaml thiếu chủ hồ sơ.", edit=_wrong_manifest,
           state=REFUSED),
    Defect("d35-ban-dien-tu-sai", "ELECTRONIC_INVALID", "SC05: bản điện tử ký bằng chứng thư không được tin cậy.",
           _pdf(badfiles.signed), state=TU_CHOI),
)  # fmt: skip


def write_defect(out: Path, seed: int, defect: Defect) -> Path:
    m = Maker(seed, defect.name, dpi=200)
    first = m.add("14-HSB" if defect.pages == 1 else "TK1-TS", notes=defect.notes)
    # Faults are to be found one by one: nothing else may be near a limit.
    first.look = first.look.but(skew=0.4, noise=min(first.look.noise, 3.5), quality=85)
    components = [first, m.add(defect.second)] if defect.second else [first]
    procedure = "1.001742" if defect.pages == 1 else "1.002179"
    dossier = Dossier(defect.name, defect.story, procedure, m.case, components, group=defect.group,
                      defect=defect.code, problem_codes=[defect.code], state=defect.state)  # fmt: skip
    folder = out / defect.name
    entries = []
    for ordinal, component in enumerate(components, 1):
        target = folder / f"c{ordinal}"
        if ordinal == 1 and defect.spoil:
            names = defect.spoil(target, component)
        else:
            names = write_scans(target, component, images(component))
        entries.append(component_entry(component, [f"c{ordinal}/{name}" for name in names]))
        if defect.state == LUU:
            write_scans(folder / "rescan" / str(ordinal), component, images(component))
    body = manifest(dossier, entries)
    if defect.edit:
        defect.edit(body)
    write_manifest(folder / "dossier.yaml", body)
    write_truth(folder, dossier)
    return folder


def defective(seed: int) -> list[tuple[str, str, Callable[[Path], Path]]]:
    """(set, name, writer) of each defective dossier."""

    def writer(defect: Defect) -> Callable[[Path], Path]:
        return lambda out: write_defect(out, seed, defect)

    return [(defect.group, defect.name, writer(defect)) for defect in DEFECTS]
