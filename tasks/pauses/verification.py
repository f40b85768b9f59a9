"""Viên chức giải quyết TTHC xác nhận dữ liệu bóc tách, từng trường theo bản giấy (QĐ 1333, Điều 9.1, 9.3; WH03)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from blocks import fonts
from blocks.catalog import Catalog, DocumentType, TypeUnknown
from blocks.catalog.staff import Role, four_eyes
from blocks.errors import Problem
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier
from blocks.records.queries import fields as field_rows
from blocks.records.regions import parts_of
from blocks.records.states import DocumentState, ElectronicOriginal, FieldSource, OwnerKind
from blocks.records.tables import Document, Dossier, FieldValue
from tasks.extraction.fields import LABELS, REQUIRED, substitutes
from tasks.extraction.normalise import normalise_field
from tasks.extraction.profiles import ROWS, field_label
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.pauses.form import Answer, Text, as_markdown
from tasks.pauses.registry import Pause
from tasks.scope.decide import case_date, decide, facts_of

SETTABLE = frozenset(LABELS) - {"type_code", "extracted_at"}  # the type is chosen from the catalogue
Article = Annotated[Text, Field(min_length=1, max_length=4000)]


class VerificationDecision(StrEnum):
    DUYET = "DUYET"
    QUET_LAI = "QUET_LAI"
    XIN_Y_KIEN = "XIN_Y_KIEN"
    TACH_ANH = "TACH_ANH"
    TRA_LAI = "TRA_LAI"


class Side(StrEnum):
    """Where the declared paper lies on an image that shows two, as the page is shown."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    TOP = "TOP"
    BOTTOM = "BOTTOM"


class CorrectionReason(StrEnum):
    NHAN_DANG_SAI = "NHAN_DANG_SAI"
    CHU_MO = "CHU_MO"
    CHU_VIET_TAY = "CHU_VIET_TAY"
    BO_SOT = "BO_SOT"
    KHAC = "KHAC"


class Correction(BaseModel):
    """One field typed by the officer against the paper (EX02)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    field: Text = Field(title="Trường dữ liệu", description="Ví dụ: number_symbol", max_length=64)
    value: Text = Field(title="Giá trị đúng trên giấy tờ", min_length=1, max_length=2000)
    reason: CorrectionReason = Field(CorrectionReason.NHAN_DANG_SAI, title="Lý do sửa")


class Absence(BaseModel):
    """The officer attests that the paper does not carry this field (never guessed)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    field: Text = Field(title="Trường dữ liệu không có trên giấy tờ", max_length=64)


class PageAgain(BaseModel):
    """One page image that must be scanned again (CA05)."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    page: int = Field(title="Ảnh số, như trên trang xem hồ sơ", ge=1)


class SplitPage(BaseModel):
    """One image with two papers on it: the declared one at `side`, another of `type` beyond the line between them."""

    model_config = ConfigDict(extra="forbid")
    component: int = Field(title="Thành phần số", ge=1)
    page: int = Field(title="Ảnh số, như trên trang xem hồ sơ", ge=1)
    side: Side = Field(title="Giấy tờ đã khai nằm ở")
    at: int = Field(50, title="Đường chia, % từ trái hoặc từ trên", ge=10, le=90)
    type: Text = Field("", title="Loại của giấy tờ kia", max_length=64)

    @property
    def key(self) -> tuple[int, int]:
        return self.component, self.page


class Verification(Answer):
    """Viên chức giải quyết TTHC xác nhận dữ liệu bóc tách (Điều 9.3)."""

    decision: VerificationDecision = Field(title="Quyết định")
    flagged_checked: bool = Field(False, title="Đã đối chiếu với bản giấy mọi trường có độ tin cậy thấp")
    originals_seen: bool = Field(False, title="Đã xem các bản điện tử gốc và người ký")
    corrections: list[Correction] = Field([], title="Sửa, nhập dữ liệu", max_length=2000)
    absent: list[Absence] = Field([], title="Trường không có trên giấy tờ", max_length=2000)
    rescan: list[int] = Field([], title="Thành phần cần quét lại toàn bộ (số thứ tự)", max_length=500)
    rescan_pages: list[PageAgain] = Field([], title="Trang cần quét lại", max_length=2000)
    split: list[SplitPage] = Field([], title="Ảnh có hai giấy tờ", max_length=50)
    result: list[Article] = Field([], title="Nội dung kết quả giải quyết, mỗi điều một đoạn", max_length=50)


def awaiting(session: Session, dossier_id: DossierId) -> list[Document]:
    """Documents whose extracted data an officer must confirm."""
    return documents(session, dossier_id, states=[DocumentState.CHO_XAC_NHAN])


def check(dossier_id: DossierId, answer: Verification) -> list[str]:
    """What keeps this answer from being carried out; empty when nothing does."""
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        waiting = {document.ordinal: document for document in awaiting(session, dossier_id)}
        faults: list[str] = []
        if answer.officer == dossier.captured_by and four_eyes():
            faults.append("Người xác nhận dữ liệu phải là viên chức giải quyết TTHC, không phải người đã sao chụp.")
        places = {c.component for c in answer.corrections} | {a.component for a in answer.absent}
        places |= {
            *answer.rescan,
            *(item.component for item in answer.rescan_pages),
            *(i.component for i in answer.split),
        }
        faults += [f"Thành phần {n} không có trong hồ sơ chờ xác nhận." for n in sorted(places - set(waiting))]
        for item in answer.rescan_pages:
            if item.component in waiting and item.page > (waiting[item.component].page_count or 0):
                faults.append(f"Thành phần {item.component} không có trang {item.page}.")
        again = bool(answer.rescan or answer.rescan_pages)
        if answer.decision is VerificationDecision.QUET_LAI and not again:
            faults.append("Vui lòng đánh dấu trang hoặc thành phần cần quét lại.")
        if answer.decision is VerificationDecision.DUYET and again:
            faults.append("Có trang, thành phần được đánh dấu quét lại: vui lòng bỏ đánh dấu, hoặc chọn quét lại.")
        faults += _split_points(session, dossier, waiting, answer)
        faults += _result_points(dossier, answer)
        if answer.decision is VerificationDecision.DUYET:
            if not answer.originals_seen:
                faults += _unseen_originals(session, dossier_id)
            for ordinal, document in waiting.items():
                faults += _open_points(session, dossier, document, ordinal, answer)
        return faults


def _split_points(
    session: Session, dossier: Dossier, waiting: Mapping[int, Document], answer: Verification
) -> list[str]:
    """An image that shows two papers is parted once, between papers that are both to be digitised."""
    if answer.decision is not VerificationDecision.TACH_ANH:
        told = "Có ảnh được ghi là có hai giấy tờ: vui lòng chọn tách, hoặc bỏ ghi ở phần “Hai giấy tờ trên một ảnh”."
        return [told] if answer.split else []
    faults = []
    if not answer.split:
        faults.append("Vui lòng ghi ảnh nào có hai giấy tờ, giấy tờ đã khai nằm ở bên nào và giấy tờ kia là loại gì.")
    if answer.rescan or answer.rescan_pages:
        faults.append("Có trang được đánh dấu quét lại: vui lòng bỏ đánh dấu, hoặc chọn quét lại thay vì tách.")
    if len({item.key for item in answer.split}) != len(answer.split):
        faults.append("Mỗi ảnh chỉ tách một lần; ảnh có ba giấy tờ trở lên thì vui lòng đề nghị quét lại.")
    for item in answer.split:
        if (document := waiting.get(item.component)) is None:
            continue
        if item.page > (document.page_count or 0):
            faults.append(f"Thành phần {item.component} không có trang {item.page}.")
        elif document.note_pages:
            faults.append(f"Thành phần {item.component} có trang dán giấy ghi chú: vui lòng đề nghị quét lại.")
        elif item.page in parts_of(session, document.id, document.attempt):
            faults.append(f"Ảnh {item.page} của thành phần {item.component} đã được tách; vui lòng đề nghị quét lại.")
        if not item.type:
            faults.append(f"Vui lòng chọn loại của giấy tờ kia trên ảnh {item.page} của thành phần {item.component}.")
        else:
            faults += _kind(dossier, document, item.type, other=True)[1]
    return faults


def _unseen_originals(session: Session, dossier_id: DossierId) -> list[str]:
    """An electronic original is no scan that an officer made: somebody looks at it and at who signed it (Điều 4.1)."""
    found = [d.ordinal for d in documents(session, dossier_id) if d.electronic_original == ElectronicOriginal.VALID]
    named = ", ".join(map(str, found))
    return [f"Vui lòng xem bản điện tử gốc và người ký (thành phần {named}), rồi đánh dấu đã xem."] if found else []


def _result_points(dossier: Dossier, answer: Verification) -> list[str]:
    """The result's own content is the resolving officer's, never the program's; only where it is such a document."""
    issued = Catalog.get().issued_results(dossier.procedure_code, case_date(dossier))
    written = [article for article in answer.result if article.strip()]
    if written and not issued:
        return ["Thủ tục này không có văn bản kết quả do hệ thống phát hành; vui lòng để trống nội dung kết quả."]
    if fonts.missing(" ".join(written), fonts.REGULAR):
        return ["Nội dung kết quả giải quyết có ký tự không hiển thị được; vui lòng nhập lại."]
    if issued and not written and answer.decision is VerificationDecision.DUYET:
        return ["Vui lòng ghi nội dung kết quả giải quyết (mức hưởng, thời gian hưởng …), mỗi điều một đoạn."]
    return []


def needed_fields(kind: DocumentType, declared: OwnerKind, present: set[str]) -> list[str]:
    """Fields that must have a value or be attested absent (EXa–EXg); none that a paper of its type can't have.

    Without an owner id also its substitutes. declared: whose dossier it is.
    """
    needed = [name for name in REQUIRED if name != "type_code"]
    if "owner_id" not in present:
        needed += ["owner_id", *substitutes(kind.owner, declared)]
    return [name for name in needed if name not in kind.absent]


def _open_points(
    session: Session, dossier: Dossier, document: Document, ordinal: int, answer: Verification
) -> list[str]:
    rows = {row.name: row for row in field_rows(session, document.id)}
    typed = {c.field: c for c in answer.corrections if c.component == ordinal}
    absent = {a.field for a in answer.absent if a.component == ordinal}
    chosen = typed.pop("type_code", None)
    kind, faults = _kind(dossier, document, chosen.value if chosen else document.type_code)
    for name, correction in typed.items():
        if name not in SETTABLE and not name.startswith("special."):
            faults.append(_not_asked(ordinal, name))
        elif normalise_field(name, correction.value) is None:
            faults.append(f"Thành phần {ordinal}: giá trị của “{field_label(name)}” chưa đúng định dạng.")
    for name in sorted(absent - SETTABLE - {name for name in rows if name.startswith("special.")}):
        faults.append(_not_asked(ordinal, name))
    # What was attested absent stays so when the paper is sent back to be corrected.
    present = {name for name, row in rows.items() if row.value or row.attested_absent} | set(typed)
    for name in needed_fields(kind, dossier.owner_kind, present) if kind else ():
        if name not in present and name not in absent:
            faults.append(
                f"Thành phần {ordinal}: “{field_label(name)}” còn trống; nhập giá trị hoặc xác nhận giấy tờ không có."
            )
    flagged = [
        name
        for name, row in rows.items()
        if row.value and unsure(row) and name not in typed and not (chosen and name == "type_code")
    ]
    if flagged and not answer.flagged_checked:
        faults.append(
            f"Thành phần {ordinal}: còn {len(flagged)} trường có độ tin cậy thấp chưa xác nhận đã đối chiếu bản giấy."
        )
    return faults


def _not_asked(ordinal: int, name: str) -> str:
    return f"Thành phần {ordinal}: trang này không nhận giá trị cho “{field_label(name)}”; vui lòng mở lại trang."


def unsure(row: FieldValue) -> bool:
    """Whether an officer must look: what was read and may be wrong, and a type that the paper doesn't look like."""
    read = row.source in (FieldSource.OCR, FieldSource.SYSTEM)
    return read and row.confidence < CONFIDENCE_THRESHOLD


def _kind(
    dossier: Dossier, document: Document, code: str, *, other: bool = False
) -> tuple[DocumentType | None, list[str]]:
    """The type of this code, and why the paper can't be of it: unknown, or not to be captured (Điều 4, 5).

    other: of the paper beside it on the same image.
    """
    catalog, on, ordinal = Catalog.get(), case_date(dossier), document.ordinal
    try:
        kind = catalog.document_type(code, on)
    except TypeUnknown:
        return None, [f"Thành phần {ordinal}: loại giấy tờ đã chọn không có trong danh mục; vui lòng chọn lại."]
    if (other or code != document.type_code) and not decide(
        facts_of(document), kind, catalog.listed(code, on)
    ).in_scope:
        why = f"Thành phần {ordinal}: “{kind.name}” không thuộc loại được số hóa trong hồ sơ này"
        return kind, [f"{why}; vui lòng chọn loại khác, hoặc trả lại hồ sơ và nêu lý do."]
    return kind, []


def describe(doubts: list[Problem], dossier_id: DossierId) -> str:
    """What the officer reads at the pause: counts and names of fields, never their values (WH04)."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        lines = [
            f"### Thẩm định hồ sơ, xác nhận dữ liệu bóc tách · hồ sơ {dossier.code}",
            "Đối chiếu từng trường với bản giấy, sửa trường sai, xác nhận trường không có trên giấy tờ, rồi chọn "
            "**Duyệt**, **Đề nghị quét lại** (trang, thành phần), **Tách hai giấy tờ trên một ảnh** hoặc **Không giải "
            "quyết, trả hồ sơ cho người nộp** (nêu lý do).",
            "",
            "| Số | Loại giấy tờ | Trang | Trường | Tin cậy thấp | Còn trống |",
            "|---|---|---|---|---|---|",
        ]
        for document in awaiting(session, dossier_id):
            rows = field_rows(session, document.id)
            doubted = [r.name for r in rows if r.value and r.confidence < CONFIDENCE_THRESHOLD]
            low = [field_label(name) for name in doubted if not name.startswith(ROWS)]
            if cells := sum(name.startswith(ROWS) for name in doubted):
                low.append(f"{cells} ô trong danh sách")
            have = {r.name for r in rows if r.value}
            empty = [field_label(name) for name in (*REQUIRED, "owner_id") if name not in have]
            kind = catalog.document_type(document.type_code, dossier.created_at.date()).name
            lines.append(
                f"| {document.ordinal} | {kind} | {document.page_count or 0} | {len(have)} | "
                f"{', '.join(low) or '–'} | {', '.join(empty) or '–'} |"
            )
        if issued := catalog.issued_results(dossier.procedure_code, case_date(dossier)):
            names = ", ".join(result.name for result, _ in issued)
            lines += ["", f"Khi duyệt, ghi nội dung của văn bản kết quả ({names}), mỗi điều một đoạn."]
        if doubts:
            lines += ["", "**Cần kiểm tra trên bản giấy:**", as_markdown(doubts)]
        return "\n".join(lines)


VERIFICATION = Pause(
    name="verification",
    form=Verification,
    role=Role.RESOLVE,
    label="Thẩm định hồ sơ, xác nhận dữ liệu bóc tách",
    choices={
        VerificationDecision.DUYET: "duyệt",
        VerificationDecision.QUET_LAI: "đề nghị quét lại",
        VerificationDecision.TACH_ANH: "tách hai giấy tờ trên một ảnh",
        VerificationDecision.XIN_Y_KIEN: "xin ý kiến",
        VerificationDecision.TRA_LAI: "không giải quyết, trả hồ sơ cho người nộp",
    },
    rule="WH03",
    describe=describe,
    check=check,
    words_of=("consult", "signoff", "seal"),
)
