"""The resolving officer confirms what was extracted, field by field against the paper (Điều 9.1, 9.3).

Checks say in Vietnamese what is still open; applying a decision fills, corrects and confirms the field values and
keeps what extraction had found.
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from blocks import fonts
from blocks.catalog import Catalog
from blocks.catalog.staff import four_eyes
from blocks.errors import Problem
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.machine import move_document
from blocks.records.queries import documents, get_dossier
from blocks.records.queries import fields as field_rows
from blocks.records.states import DocumentState, ElectronicOriginal, FieldSource, OwnerKind
from blocks.records.tables import Document, Dossier, FieldValue, now
from tasks.extraction.fields import LABELS, REQUIRED
from tasks.extraction.normalise import normalise_field
from tasks.extraction.profiles import ROWS, field_label
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.pauses.proofs import proven_decision
from tasks.pauses.wait import Absence, Correction, Stage, Verification, VerificationDecision, as_markdown
from tasks.prefect_task import step
from tasks.scope.decide import case_date

SETTABLE = frozenset(LABELS) - {"type_code", "extracted_at"}
SUBSTITUTES = {
    OwnerKind.PERSON: ("full_name", "birth_date"),
    OwnerKind.ORGANISATION: ("organisation_name", "founding_year"),
}


def awaiting(session: Session, dossier_id: UUID) -> list[Document]:
    """Documents whose extracted data an officer must confirm."""
    return documents(session, dossier_id, states=[DocumentState.CHO_XAC_NHAN])


def check_verification(dossier_id: UUID, answer: Verification) -> list[str]:
    """What keeps this answer from being carried out; empty when nothing does."""
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        waiting = {document.ordinal: document for document in awaiting(session, dossier_id)}
        faults: list[str] = []
        if answer.officer == dossier.captured_by and four_eyes():
            faults.append("Người xác nhận dữ liệu phải là viên chức giải quyết TTHC, không phải người đã sao chụp.")
        places = {c.component for c in answer.corrections} | {a.component for a in answer.absent}
        places |= {*answer.rescan, *(item.component for item in answer.rescan_pages)}
        faults += [f"Thành phần {n} không có trong hồ sơ chờ xác nhận." for n in sorted(places - set(waiting))]
        for item in answer.rescan_pages:
            if item.component in waiting and item.page > (waiting[item.component].page_count or 0):
                faults.append(f"Thành phần {item.component} không có trang {item.page}.")
        again = bool(answer.rescan or answer.rescan_pages)
        if answer.decision is VerificationDecision.QUET_LAI and not again:
            faults.append("Vui lòng đánh dấu trang hoặc thành phần cần quét lại.")
        if answer.decision is VerificationDecision.DUYET and again:
            faults.append("Có trang, thành phần được đánh dấu quét lại: vui lòng bỏ đánh dấu, hoặc chọn quét lại.")
        faults += _result_points(dossier, answer)
        if answer.decision is VerificationDecision.DUYET:
            if not answer.originals_seen:
                faults += _unseen_originals(session, dossier_id)
            for ordinal, document in waiting.items():
                faults += _open_points(session, dossier, document, ordinal, answer)
        return faults


def _unseen_originals(session: Session, dossier_id: UUID) -> list[str]:
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


def needed_fields(dossier: Dossier, present: set[str]) -> list[str]:
    """Fields that must have a value or be attested absent; without an owner id also its substitutes (EXa–EXg)."""
    needed = [name for name in REQUIRED if name != "type_code"]
    if "owner_id" not in present:
        needed += ["owner_id", *SUBSTITUTES[dossier.owner_kind]]
    return needed


def _open_points(
    session: Session, dossier: Dossier, document: Document, ordinal: int, answer: Verification
) -> list[str]:
    rows = {row.name: row for row in field_rows(session, document.id)}
    typed = {c.field: c for c in answer.corrections if c.component == ordinal}
    absent = {a.field for a in answer.absent if a.component == ordinal}
    faults = []
    for name, correction in typed.items():
        if name not in SETTABLE and not name.startswith("special."):
            faults.append(f"Thành phần {ordinal}: không có trường dữ liệu “{name}”.")
        elif normalise_field(name, correction.value) is None:
            faults.append(f"Thành phần {ordinal}: giá trị của “{field_label(name)}” chưa đúng định dạng.")
    for name in sorted(absent - SETTABLE - {name for name in rows if name.startswith("special.")}):
        faults.append(f"Thành phần {ordinal}: không có trường dữ liệu “{name}”.")
    present = {name for name, row in rows.items() if row.value} | set(typed)
    for name in needed_fields(dossier, present):
        if name not in present and name not in absent:
            faults.append(
                f"Thành phần {ordinal}: “{field_label(name)}” còn trống; nhập giá trị hoặc xác nhận giấy tờ không có."
            )
    flagged = [
        name
        for name, row in rows.items()
        if row.value and row.source is FieldSource.OCR and row.confidence < CONFIDENCE_THRESHOLD and name not in typed
    ]
    if flagged and not answer.flagged_checked:
        faults.append(
            f"Thành phần {ordinal}: còn {len(flagged)} trường có độ tin cậy thấp chưa xác nhận đã đối chiếu bản giấy."
        )
    return faults


def apply_verification(records: RecordsDatabase, dossier_id: UUID, stage: str) -> int:
    """Carry out the decision kept under `stage`: fields are set and confirmed, documents become DA_BOC_TACH.

    Idempotent: documents that are confirmed already are left alone. Returns how many were confirmed.
    Raises DecisionNotProven.
    """
    with records.session() as session:
        answer = Verification.model_validate(proven_decision(session, dossier_id, stage).payload)
        waiting = awaiting(session, dossier_id)
        for document in waiting:
            _confirm(session, document, answer)
            move_document(
                session,
                document,
                DocumentState.DA_BOC_TACH,
                actor=answer.officer,
                rule="WH03",
                details={"stage": stage},
            )
        return len(waiting)


def _confirm(session: Session, document: Document, answer: Verification) -> None:
    rows = {row.name: row for row in field_rows(session, document.id)}
    for correction in answer.corrections:
        if correction.component == document.ordinal:
            _set(session, document, rows, correction)
    for absence in answer.absent:
        if absence.component == document.ordinal:
            _attest_absent(session, document, rows, absence)
    for row in rows.values():
        row.confirmed_by, row.confirmed_at = answer.officer, now()
        session.add(row)
    if rows.get("owner_id") is not None and rows["owner_id"].value:
        document.owner_id_source = rows["owner_id"].source.value
    audit(
        session,
        actor=answer.officer,
        action="confirm_fields",
        dossier_id=document.dossier_id,
        document_id=document.id,
        rule="WH03",
        details={
            "fields": len(rows),
            "corrected": sorted({c.field for c in answer.corrections if c.component == document.ordinal}),
            "absent": sorted({a.field for a in answer.absent if a.component == document.ordinal}),
        },
    )


def _set(session: Session, document: Document, rows: dict[str, FieldValue], correction: Correction) -> None:
    row = rows.get(correction.field)
    value = normalise_field(correction.field, correction.value)
    if row is None:
        row = FieldValue(document_id=document.id, name=correction.field, source=FieldSource.MANUAL, rule="EX02")
        rows[correction.field] = row
    elif row.value != value:
        row.extracted_value = row.value
        row.correction_reason = correction.reason.value
        row.source = FieldSource.MANUAL
    row.printed, row.value, row.confidence, row.attested_absent = correction.value, value, 1.0, False
    session.add(row)


def _attest_absent(session: Session, document: Document, rows: dict[str, FieldValue], absence: Absence) -> None:
    row = rows.get(absence.field)
    if row is None:
        row = FieldValue(document_id=document.id, name=absence.field, source=FieldSource.MANUAL, rule="EXc-g")
        rows[absence.field] = row
    if row.value:
        row.extracted_value, row.value, row.printed = row.value, None, None
    row.attested_absent, row.confidence = True, 1.0
    session.add(row)


def describe_verification(doubts: list[Problem], dossier_id: UUID) -> str:
    """What the officer reads at the pause: counts and names of fields, never their values (WH04)."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        lines = [
            f"### Xác nhận dữ liệu bóc tách · hồ sơ {dossier.code}",
            "Đối chiếu từng trường với bản giấy, sửa trường sai, xác nhận trường không có trên giấy tờ, rồi chọn "
            "**DUYET** (duyệt), **QUET_LAI** (quét lại trang, thành phần) hoặc **TRA_LAI** (trả lại, nêu lý do).",
            f"Xem dữ liệu: `sohoa review {dossier.code} MÃ_VIÊN_CHỨC`",
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


VERIFICATION = Stage("verification", Verification, check_verification, "WH03")


@step("Ghi nhận dữ liệu đã xác nhận", rule="WH03")
def confirm_fields(dossier_id: UUID, stage: str) -> int:
    """Điều 9.3: what the resolving officer confirmed becomes the data of the paper."""
    return apply_verification(RecordsDatabase.get(), dossier_id, stage)
