"""The pauses of a dossier: who may decide at each, what is checked beyond the form, and what the officer reads.

Descriptions name counts, components and rules, never people or what stands on a paper (WH04). A refused answer is
asked again with its reasons. That the person is assigned is checked at each pause by `approvals.ask` (WH01/02).
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from sqlmodel import Session

from blocks.catalog import Catalog
from blocks.clock import vietnam_day, vietnam_time
from blocks.errors import Problem
from blocks.records import RecordsDatabase
from blocks.records.queries import attempt_entry, documents, get_dossier
from blocks.records.states import DocumentState, SignatureRole
from blocks.records.tables import Document, Dossier
from blocks.signer import SignerUnknown, signer_for
from tasks.capture.rescan import asked_again, not_yet, page_label
from tasks.capture.scan_time import DOUBTS, LABELS, TimeSource
from tasks.intake.electronic_originals import awaits_storage
from tasks.intake.submission import supplement_came
from tasks.pauses.upheld import unchanged_since, unlike_verified
from tasks.pauses.wait import (
    Confirmation,
    ConfirmDecision,
    Consultation,
    ConsultationDecision,
    Issue,
    LeaderOpinion,
    Rescan,
    RescanDecision,
    ScopeDecision,
    ScopeOpinion,
    Seal,
    SealDecision,
    Secrecy,
    SecrecyDecision,
    SignCapture,
    SignDecision,
    SignOff,
    SignOffDecision,
    Stage,
    Supplement,
    SupplementDecision,
    as_markdown,
)
from tasks.scope.decide import case_date
from tasks.signing.authorised import to_sign
from tasks.signing.confirmed import keyholder, unconfirmed


def _dossier(dossier_id: UUID) -> Dossier:
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        session.expunge(dossier)
        return dossier


def _ordinals(dossier_id: UUID, state: DocumentState) -> dict[int, int]:
    """Ordinal → capture attempt of the documents in a state."""
    with RecordsDatabase.get().session() as session:
        return {d.ordinal: d.attempt for d in documents(session, dossier_id, states=[state])}


def nothing_more(dossier_id: UUID, answer: Confirmation) -> list[str]:
    """The form is all that there is to check."""
    return []


def check_supplement(dossier_id: UUID, answer: Supplement) -> list[str]:
    dossier = _dossier(dossier_id)
    if answer.decision is SupplementDecision.DA_BO_SUNG and not supplement_came(RecordsDatabase.get(), dossier):
        return ["Chưa nhận được hồ sơ bổ sung; vui lòng nộp bổ sung (sohoa supplement) rồi xác nhận lại."]
    return []


def check_leader(dossier_id: UUID, answer: LeaderOpinion) -> list[str]:
    return [] if answer.reason.strip() else ["Vui lòng ghi ý kiến của lãnh đạo bằng văn bản."]


def check_secrecy(dossier_id: UUID, answer: Secrecy) -> list[str]:
    if not _ordinals(dossier_id, DocumentState.NGHI_MAT):
        return ["Không còn giấy tờ nào chờ xác định mức độ mật; vui lòng mở lại trang."]
    if answer.decision is SecrecyDecision.KHONG_PHAI_MAT and not answer.reason.strip():
        return ["Vui lòng ghi bằng văn bản vì sao giấy tờ không phải là giấy tờ mật."]
    return []


def check_scope(dossier_id: UUID, answer: ScopeOpinion) -> list[str]:
    faults: list[str] = []
    if answer.decision is ScopeDecision.TIEP_TUC:
        fragile = set(_ordinals(dossier_id, DocumentState.DE_HONG)) - set(answer.certified)
        faults += [f"Thành phần {n} dễ hỏng: vui lòng sao y bản giấy trước khi quét." for n in sorted(fragile)]
    unknown = set(answer.digitise) - set(_ordinals(dossier_id, DocumentState.PHAN_LOAI))
    faults += [f"Thành phần {n} không chờ quyết định số hóa." for n in sorted(unknown)]
    return faults


def check_rescan(dossier_id: UUID, answer: Rescan) -> list[str]:
    if answer.decision is not RescanDecision.DA_QUET_LAI:
        return []
    with RecordsDatabase.get().session() as session:
        return not_yet(session, dossier_id)


def check_sign(dossier_id: UUID, answer: SignCapture) -> list[str]:
    """Only who captured signs, and only what is still the same (Điều 8.1)."""
    with RecordsDatabase.get().session() as session:
        captured_by = get_dossier(session, dossier_id).captured_by
        papers = to_sign(session, dossier_id)
    if answer.officer != captured_by:
        return [f"Chữ ký số cá nhân là của {captured_by}; vui lòng để chính người đó kiểm tra và ký số."]
    if answer.decision is SignDecision.KY_SO_CA_NHAN and set(answer.papers) != set(papers):
        return ["Bản sao chụp đã thay đổi sau khi trang được mở; vui lòng xem lại các trang rồi ký số."]
    return []


def signatures_tell(role: SignatureRole, dossier_id: UUID, answer: Confirmation | Issue) -> bool:
    """The signatures themselves are the answer of who holds the key, also after a change of assignments."""
    holder = _keyholder(dossier_id, role)
    if not holder or not signer_for(holder).interrupted:
        return False  # nobody is asked on a phone, so no signature tells
    confirmed = answer.decision.value == ConfirmDecision.DA_XAC_NHAN and answer.officer == holder
    return confirmed and not unconfirmed(RecordsDatabase.get(), dossier_id, role)


def _keyholder(dossier_id: UUID, role: SignatureRole) -> str:
    with RecordsDatabase.get().session() as session:
        return keyholder(session, get_dossier(session, dossier_id), role)


capture_signatures_tell = partial(signatures_tell, SignatureRole.OFFICER)
result_signatures_tell = partial(signatures_tell, SignatureRole.SIGNER)


def check_consult(dossier_id: UUID, answer: Consultation) -> list[str]:
    if answer.decision is ConsultationDecision.DA_CO_Y_KIEN and not answer.reason.strip():
        return ["Vui lòng ghi nội dung ý kiến nhận được, của ai, văn bản nào."]
    return []


def check_issue(dossier_id: UUID, answer: Issue) -> list[str]:
    if result_signatures_tell(dossier_id, answer):
        return []
    if answer.officer != (leader := _keyholder(dossier_id, SignatureRole.SIGNER)):
        return [f"Văn bản do {leader} ký; vui lòng để người đó xác nhận trên điện thoại của mình."]
    return []


def check_signoff(dossier_id: UUID, answer: SignOff) -> list[str]:
    dossier = _dossier(dossier_id)
    issued = Catalog.get().issued_results(dossier.procedure_code, case_date(dossier))
    if answer.decision is SignOffDecision.KY:
        with RecordsDatabase.get().session() as session:
            changed = unlike_verified(session, dossier_id)
        if changed:
            numbers = ", ".join(map(str, changed))
            return [f"Dữ liệu của thành phần {numbers} khác dữ liệu đã được xác nhận; vui lòng trả lại hồ sơ."]
    if issued and answer.decision is SignOffDecision.KY:
        try:
            signer_for(answer.officer)
        except SignerUnknown:
            return ["Bạn chưa có chữ ký số để ký văn bản kết quả; vui lòng báo quản trị viên."]
    return []


def check_seal(dossier_id: UUID, answer: Seal) -> list[str]:
    if answer.decision is SealDecision.KY_SO:
        with RecordsDatabase.get().session() as session:
            same = unchanged_since(session, Catalog.get(), dossier_id, ["signoff"])
            if not same or unlike_verified(session, dossier_id):
                return ["Nội dung hồ sơ đã đổi sau khi lãnh đạo duyệt; vui lòng trình lại lãnh đạo."]
    return []


SUPPLEMENT = Stage("supplement", Supplement, check_supplement, "B3a")
LEADER = Stage("leader", LeaderOpinion, check_leader, "B3e")
SECRECY = Stage("secrecy", Secrecy, check_secrecy, "SC13")
SCOPE = Stage("scope", ScopeOpinion, check_scope, "SC03")
RESCAN = Stage("rescan", Rescan, check_rescan, "CA05")
SIGN = Stage("sign", SignCapture, check_sign, "CA01")
CONFIRM = Stage("confirm", Confirmation, nothing_more, "CA01", capture_signatures_tell)
CONSULT = Stage("consult", Consultation, check_consult, "B4a")
SIGNOFF = Stage("signoff", SignOff, check_signoff, "EX17")
SEAL = Stage("seal", Seal, check_seal, "EX17")
ISSUE = Stage("issue", Issue, check_issue, "B4e", result_signatures_tell)


def describe_supplement(problems: list[Problem]) -> str:
    return (
        "### Hồ sơ chưa đủ điều kiện tiếp nhận\n"
        f"{as_markdown(problems)}\n\n"
        "Bổ sung ngay trên trang xem hồ sơ, hoặc bằng `sohoa supplement <mã lần nộp> <thư mục>`, rồi chọn "
        "**DA_BO_SUNG**; hoặc chọn **TU_CHOI** và nêu lý do bằng văn bản."
    )


def describe_leader(ordinals: list[int]) -> str:
    numbers = ", ".join(map(str, ordinals))
    return (
        "### Xin ý kiến lãnh đạo (Điều 13.3b)\n"
        f"Thành phần {numbers}: giấy tờ quan trọng, dễ hỏng, có thể gặp rủi ro khi số hóa. "
        "Chọn **KHONG_SO_HOA** hoặc **SO_HOA** và ghi ý kiến."
    )


def describe_secrecy(dossier_id: UUID) -> str:
    """Which paper, never what was read on it: operations read this, too (WH04)."""
    numbers = ", ".join(map(str, _ordinals(dossier_id, DocumentState.NGHI_MAT)))
    return (
        "### Nghi có dấu chỉ mức độ mật (Điều 5.4)\n"
        f"Thành phần {numbers} đã được tạm cách ly: chỉ lãnh đạo đơn vị xem được ảnh, chưa có gì bị xóa. "
        "Xem ảnh, đối chiếu bản giấy rồi chọn **XAC_NHAN_MAT** (mọi bản quét bị xóa ngay, không khôi phục được) "
        "hoặc **KHONG_PHAI_MAT** và ghi lý do (hồ sơ đi tiếp như thường)."
    )


def describe_scope(problems: list[Problem], fragile: list[int]) -> str:
    lines = ["### Việc cần quyết định trước khi sao chụp", as_markdown(problems)]
    if fragile:
        numbers = ", ".join(map(str, fragile))
        lines.append(
            f"- Thành phần {numbers} dễ hỏng: sao y bản giấy trước, quét bản sao y, rồi ghi số vào “đã sao y”."
        )
    lines.append("\nChọn **TIEP_TUC** hoặc **TRA_LAI** (nêu lý do).")
    return "\n".join(lines)


def describe_rescan(problems: list[Problem], dossier_id: UUID) -> str:
    found = as_markdown(problems) or "- Viên chức giải quyết đề nghị quét lại."
    with RecordsDatabase.get().session() as session:
        waiting = documents(session, dossier_id, states=[DocumentState.CHUP_LAI])
        pages = [page_label(document, place) for document in waiting for place in asked_again(session, document).places]
    only = f"\n\nChỉ cần quét lại: {'; '.join(pages)}." if pages else ""
    return (
        f"### Cần quét lại\n{found}{only}\n\n"
        "Chọn tệp quét lại ngay trên trang xem hồ sơ, hoặc nộp bằng `sohoa rescan <mã hồ sơ> <thành phần> <tệp …>` "
        "(một trang: thêm `--page <số>`), rồi chọn **DA_QUET_LAI**; hoặc chọn **TRA_LAI** và nêu lý do bằng văn bản. "
        "Bản quét trước vẫn được lưu giữ."
    )


def describe_sign(again: bool, dossier_id: UUID) -> str:
    """Each paper with its hash, which stands in what the officer allows. again: it was asked before in this dossier."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        on = case_date(dossier)
        rows = documents(session, dossier_id, states=[DocumentState.DAT_KIEM_TRA])
        lines = [
            f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} | {d.page_count or 0} | "
            f"{_captured(session, d)} | `{(d.file_sha256 or '')[:16]}…` |"
            for d in rows
        ]
        captured_by = dossier.captured_by
    return "\n".join(
        [
            "### Người sao chụp kiểm tra và ký số (Điều 8.1)",
            f"Chữ ký số cá nhân của {captured_by} sẽ được đặt lên các bản sao chụp dưới đây; "
            "chỉ chính người đó được cho ký.",
            "",
            "| Số | Loại giấy tờ | Trang | Thời gian sao chụp | Mã băm SHA-256 |",
            "|---|---|---|---|---|",
            *lines,
            "",
            *_about_pin(captured_by, again),
            "Xem từng trang rồi chọn **KY_SO_CA_NHAN** (một lần cho tất cả), "
            "hoặc **TRA_LAI** và nêu lý do bằng văn bản.",
        ]
    )


def _about_pin(officer: str, again: bool) -> list[str]:
    """For who signs with a token of one's own."""
    if not signer_for(officer).asks_pin:
        return []
    before = ["Mã PIN lần trước chưa được chấp nhận, chưa nhập hoặc đã hết hạn.", ""] if again else []
    return [*before, "Nhập mã PIN của chữ ký số; mã chỉ dùng một lần, trong 10 phút, và không được lưu lại.", ""]


def _captured(session: Session, document: Document) -> str:
    """When a paper was scanned and how that is known, as it will stand in the signature."""
    if document.captured_at is None:
        return "–"
    entry = attempt_entry(session, document.id, "capture", document.attempt)
    taken = entry.details.get("taken") if entry else None
    doubt = DOUBTS.get(taken["doubt"]) if taken else None
    known = LABELS[TimeSource(document.captured_at_source)]
    return f"{vietnam_time(document.captured_at)} ({known}{f'; {doubt}' if doubt else ''})"


def _unconfirmed(dossier_id: UUID, role: SignatureRole, what: str) -> list[str]:
    return [
        f"- {what} {ordinal}: {'đã bị từ chối hoặc hết hạn' if declined else 'chờ xác nhận'}."
        for ordinal, declined in unconfirmed(RecordsDatabase.get(), dossier_id, role)
    ]


def describe_confirm(dossier_id: UUID) -> str:
    lines = ["### Chờ người sao chụp xác nhận ký số trên điện thoại (Điều 8.1)"]
    lines += _unconfirmed(dossier_id, SignatureRole.OFFICER, "Thành phần")
    lines.append(
        "\nNgười sao chụp xác nhận trên ứng dụng ký số; hồ sơ tự đi tiếp trong vòng một phút sau đó. "
        "Yêu cầu đã bị từ chối hoặc hết hạn: chọn **DA_XAC_NHAN** để gửi lại. "
        "Không ký: chọn **TRA_LAI** và nêu lý do bằng văn bản."
    )
    return "\n".join(lines)


def describe_issue(dossier_id: UUID) -> str:
    if about_pin := _about_pin(_keyholder(dossier_id, SignatureRole.SIGNER), False):
        return "\n".join(
            ["### Lãnh đạo ký số ban hành (Điều 13.4b)", "Văn bản kết quả đã có số và ngày.", "", *about_pin]
        )
    lines = ["### Chờ lãnh đạo xác nhận ký số trên điện thoại (Điều 13.4b)"]
    lines += _unconfirmed(dossier_id, SignatureRole.SIGNER, "Văn bản kết quả")
    lines.append(
        "\nVăn bản kết quả đã có số và ngày. Người đã cho ký xác nhận trên ứng dụng ký số; hồ sơ tự đi tiếp trong vòng "
        "một phút sau đó. Yêu cầu đã bị từ chối hoặc hết hạn: chọn **DA_XAC_NHAN** để gửi lại."
    )
    return "\n".join(lines)


def describe_consult(dossier_id: UUID) -> str:
    """The question itself stays in the records: it may name people."""
    return (
        "### Chờ ý kiến\n"
        "Hồ sơ đã gửi xin ý kiến; câu hỏi nằm trong quyết định đã lưu. "
        "Khi có ý kiến, chọn **DA_CO_Y_KIEN** và ghi nội dung; hồ sơ trở lại bước xác nhận dữ liệu. "
        "Hoặc chọn **TRA_LAI** và nêu lý do bằng văn bản."
    )


def describe_signoff(dossier_id: UUID) -> str:
    """Counts and codes of types for the leader; codes of results are not shown: they carry the owner's id."""
    catalog = Catalog.get()
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        rows = documents(session, dossier_id, states=[DocumentState.CHO_KET_QUA])
        on = vietnam_day(dossier.received_at)
        kept = [d for d in documents(session, dossier_id) if awaits_storage(d)]
        issued = [result.name for result, _ in catalog.issued_results(dossier.procedure_code, on)]
        lines = [
            f"### Trình ký số cơ quan · hồ sơ {dossier.code}",
            f"Thủ tục {dossier.procedure_code}: {catalog.procedure(dossier.procedure_code, on).name}.",
            f"Hạn trả kết quả: {dossier.due_date:%d/%m/%Y}." if dossier.due_date else "",
            "",
            "| Số | Loại giấy tờ | Trang |",
            "|---|---|---|",
            *(f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} | {d.page_count or 0} |" for d in rows),
            *(
                f"| {d.ordinal} | {catalog.document_type(d.type_code, on).name} (bản điện tử) | {d.page_count or 0} |"
                for d in kept
            ),
            "",
            *(f"Văn bản kết quả do bạn ký: {name}; dự thảo ở trang hồ sơ, chưa có số và ngày." for name in issued),
            "",
            "Chọn **KY** để cho ký số cơ quan từng thành phần và dữ liệu đặc tả (Điều 9.4), "
            "hoặc **TRA_LAI** và nêu lý do bằng văn bản.",
        ]
        return "\n".join(lines)


def describe_seal(dossier_id: UUID) -> str:
    """For the clerk, who keeps the agency's key: how many papers the leader has allowed to be signed."""
    with RecordsDatabase.get().session() as session:
        dossier = get_dossier(session, dossier_id)
        count = len(documents(session, dossier_id, states=[DocumentState.CHO_KET_QUA]))
        issued = Catalog.get().issued_results(dossier.procedure_code, case_date(dossier))
        also = "".join(f" và văn bản {result.name}, được cấp số và ngày khi ký số" for result, _ in issued)
        return (
            f"### Ký số cơ quan · hồ sơ {dossier.code}\n"
            f"Lãnh đạo đã cho ký {count} thành phần{also}. Kiểm tra thể thức rồi chọn **KY_SO** để ký số cơ quan, "
            "hoặc **TRINH_LAI** (trình lại lãnh đạo, nêu lý do)."
        )
