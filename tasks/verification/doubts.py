"""What stands first when an officer compares a paper with its data: doubts about the whole paper, not about a field.

Two papers on one image, an owner other than the declared one, a type that the paper doesn't look like (Điều 9.2a, b).
"""

from __future__ import annotations

from collections.abc import Mapping

from blocks.catalog import DocumentType
from blocks.catalog.models import PaperOwner
from blocks.records.queries import declared_owner
from blocks.records.tables import Dossier, FieldValue
from tasks.extraction.letters import fold
from tasks.extraction.notes import notes_of
from tasks.extraction.profiles import field_label

OWNER = ("owner_id", "full_name", "birth_date", "organisation_name")


def doubts(dossier: Dossier, kind: DocumentType, rows: Mapping[str, FieldValue], names: Mapping[str, str]) -> list[str]:
    """Sentences for the officer, the gravest first. names: of the types, by code. No value stands in them (WH04)."""
    row = rows.get("type_code")
    notes = notes_of(row.rule if row else "")
    found = []
    if notes.several:
        where = ", ".join(map(str, notes.several))
        found.append(
            f"Trang {where}: ảnh này có vẻ chứa hai giấy tờ, hoặc hai trang, đặt cạnh nhau nên dữ liệu máy đọc có thể "
            "lẫn của giấy tờ khác. Vui lòng đề nghị quét lại, mỗi trang giấy một ảnh, hoặc tách ở phần “Hai giấy tờ "
            "trên một ảnh”; nếu vẫn duyệt thì đối chiếu từng trường với bản giấy."
        )
    if unlike := unlike_declared(dossier, kind, rows):
        which = ", ".join(f"“{field_label(name)}”" for name in unlike)
        found.append(f"Chủ giấy tờ khác chủ hồ sơ đã khai: {which} trên giấy tờ không khớp. Vui lòng xem có nhầm giấy.")
    if notes.likely and row and row.confirmed_by is None:
        name = names.get(notes.likely, notes.likely)
        found.append(
            f"Giấy tờ giống “{name}” hơn loại đã khai. Vui lòng kiểm tra, chọn lại “{field_label('type_code')}”."
        )
    return found


def unlike_declared(dossier: Dossier, kind: DocumentType, rows: Mapping[str, FieldValue]) -> list[str]:
    """Fields in which the owner on the paper differs from the declared one; [] where they needn't be the same.

    A paper about a relative (a child, the deceased) names another person, an employer's list another owner. A code
    that is the same on both says who it is: then only the code is compared.
    """
    mine = kind.owner in (PaperOwner.EITHER, PaperOwner(dossier.owner_kind.value)) and not kind.relative
    if not mine:
        return []
    declared = {**declared_owner(dossier), **({"owner_id": dossier.owner_id} if dossier.owner_id else {})}
    read = {name: row.value for name in OWNER if (row := rows.get(name)) and row.value}
    if declared.get("owner_id") and read.get("owner_id") == declared["owner_id"]:
        return []
    return [name for name, value in read.items() if name in declared and not _same(name, value, declared[name])]


def _same(name: str, value: str, declared: str) -> bool:
    """Names without regard to case and marks; a year alone agrees with a day of it."""
    if name == "birth_date":
        return value[:4] == declared[:4] if 4 in (len(value), len(declared)) else value == declared
    if name == "owner_id":
        return value == declared
    return " ".join(fold(value).split()) == " ".join(fold(declared).split())
