"""The fields of Điều 9.2 by their English names, with the law's letter and the label that officers see."""

from __future__ import annotations

from dataclasses import dataclass

from blocks.catalog.models import PaperOwner
from blocks.ocr.types import Box
from blocks.records.states import FieldSource, OwnerKind

# name -> (letter of Điều 9.2, label)
LABELS: dict[str, tuple[str, str]] = {
    "type_code": ("a", "Mã loại giấy tờ"),
    "owner_id": ("b", "Mã định danh của cá nhân, tổ chức"),
    "full_name": ("b", "Họ và tên"),
    "birth_date": ("b", "Ngày, tháng, năm sinh"),
    "organisation_name": ("b", "Tên tổ chức"),
    "founding_year": ("b", "Năm thành lập"),
    "title": ("c", "Tên giấy tờ"),
    "number_symbol": ("d", "Số, ký hiệu giấy tờ"),
    "issue_date": ("đ", "Ngày, tháng, năm cấp"),
    "issuer": ("e", "Cơ quan cấp giấy tờ"),
    "abstract": ("g", "Trích yếu nội dung chính của giấy tờ"),
    "valid_until": ("h", "Thời hạn có hiệu lực"),
    "scope": ("i", "Phạm vi có hiệu lực"),
    "extracted_at": ("l", "Thời gian thực hiện bóc tách dữ liệu"),
}
# Fields of specialised law (letter k) are named "special.<name>" and labelled by their profile.
# What describes an owner whose code does not stand on the paper (Điều 9.2b).
SUBSTITUTES = {
    OwnerKind.PERSON: ("full_name", "birth_date"),
    OwnerKind.ORGANISATION: ("organisation_name", "founding_year"),
}


def substitutes(owner: PaperOwner, declared: OwnerKind) -> tuple[str, str]:
    """What stands for the code of a paper's owner (Điều 9.2b). declared: whose dossier it is, for a paper of either."""
    return SUBSTITUTES[declared if owner is PaperOwner.EITHER else OwnerKind(owner.value)]


IF_ANY = ("valid_until", "scope")  # Điều 9.2h, i: "nếu có"; each has its input, none must be filled
# In the rule of a field that is never sure: a hand wrote it, two readers differ, or it is hardly what the paper says.
PROPOSAL = "!hand"
REQUIRED = ("type_code", "title", "number_symbol", "issue_date", "issuer", "abstract")


@dataclass(frozen=True)
class Extracted:
    """One field as extraction found it. value None: not found, left empty, never guessed.

    printed: as printed (NFC); value: normalised (dates ISO, number and symbol CO06, ids digits only);
    confidence 0..1; page 1-based in the PDF; box in pixels of that page's image; rule: what found it.
    kind and reading: what the confidence was calibrated from (`calibration.py`), before other fields proved it.
    """

    name: str
    value: str | None
    printed: str | None = None
    confidence: float = 0.0
    page: int | None = None
    box: Box | None = None
    rule: str = ""
    source: FieldSource = FieldSource.OCR
    engine: str = ""
    kind: str = ""
    reading: float = 0.0
