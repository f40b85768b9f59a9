"""Lịch sử hồ sơ: the audit trail of a dossier as sentences that an officer reads (P14). No personal data in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.ids import DocumentId, DossierId
from blocks.records.queries import documents
from blocks.records.state_names import STATES
from blocks.records.tables import AuditEntry
from blocks.rules import Rule
from tasks.monitoring.incidents import KINDS
from tasks.pauses.registry import decision_labels, pause_label

DETAILS = {  # keys of an entry's details → as auditors read them
    "actor": "người làm", "attempt": "lần", "code": "mã", "codes": "các mã", "component": "thành phần",
    "components": "các thành phần", "count": "số lượng", "decision": "quyết định", "delegation": "ủy quyền",
    "differing": "trường khác nhau", "digest": "mã băm", "error": "lỗi", "fault": "lỗi", "files": "số tệp",
    "form": "hình thức", "found": "tìm thấy", "has_number": "có số hiệu", "has_owner": "có chủ hồ sơ",
    "kept": "số bản giữ lại", "kind": "loại", "left_days": "số ngày còn lại", "level": "mức chữ ký",
    "number": "số", "number_symbol": "số, ký hiệu", "object": "tệp lưu", "objects": "số tệp lưu",
    "objects_removed": "số tệp đã xóa", "officer": "viên chức", "originals": "số bản giấy", "owner_id_source":
    "nguồn mã định danh", "page": "trang", "pages": "các trang", "partner": "đối tác", "reason": "lý do",
    "reason_sha256": "mã băm của lý do", "restored_from": "khôi phục từ", "result": "kết quả", "results": "các kết quả",
    "retention": "thời hạn lưu trữ", "revision": "lần sửa", "roles": "vai trò", "sha256": "mã băm", "stage": "bước",
    "trace": "mã truy vết", "verified": "đã kiểm tra", "working_copy_kept": "còn giữ bản làm việc",
}  # fmt: skip
ACTIONS = {
    "register": "Ghi nhận hồ sơ đã nộp",
    "supplement": "Ghi nhận hồ sơ bổ sung",
    "part": "Tách bản quét chung thành từng giấy tờ, giữ nguyên tệp gốc",
    "split": "Tách hai giấy tờ trên một ảnh: ảnh giữ nguyên, mỗi giấy tờ chỉ đọc phần của mình",
    "code": "Cấp mã hồ sơ",
    "number": "Cấp số, ký hiệu văn bản kết quả",
    "issue": "Lập văn bản kết quả điện tử",
    "check_account": "Kiểm tra tài khoản số của chủ hồ sơ",
    "reuse": "Dùng lại dữ liệu đã có",
    "differ": "Bản giấy và dữ liệu đã có khác nhau",
    "custody": "Giao nhận bản giấy",
    "examine_original": "Kiểm tra chữ ký số của bản điện tử được nộp",
    "store_original": "Lưu nguyên trạng bản điện tử",
    "capture": "Sao chụp",
    "rescan": "Nhận bản quét lại",
    "sign": "Ký số",
    "sign-asked": "Gửi yêu cầu xác nhận ký số",
    "sign-dropped": "Hủy yêu cầu xác nhận ký số do đổi chứng thư số",
    "extract": "Bóc tách dữ liệu",
    "claim": "Nhận việc",
    "report-person": "Lập báo cáo dữ liệu đang lưu về chủ hồ sơ",
    "drop-copies": "Bỏ bản sao làm việc, đã có bản lưu khóa",
    "drop-abandoned": "Bỏ lần nộp không được xử lý",
    "dispose-proposed": "Đề nghị tiêu hủy bản lưu hết thời hạn",
    "dispose-confirmed": "Xác nhận tiêu hủy bản lưu hết thời hạn",
    "dispose-rejected": "Bác đề nghị tiêu hủy",
    "dispose": "Tiêu hủy bản lưu hết thời hạn",
    "dispose-certified": "Lập biên bản tiêu hủy, ký số và khóa",
    "release": "Thôi nhận việc",
    "confirm_fields": "Xác nhận dữ liệu với bản giấy",
    "assign_code": "Cấp mã kết quả số hóa",
    "attach_owner": "Gắn mã định danh của chủ hồ sơ",
    "export_receipt": "Xuất phiếu tiếp nhận",
    "incident": "Ghi nhận sự cố",
    "incident-closed": "Đóng sự cố",
    "refuse": "Từ chối truy cập",
    "refuse SC12": "Xóa ảnh quét của giấy tờ chỉ để xuất trình",
    "suspect": "Tạm cách ly giấy tờ nghi có dấu chỉ độ mật",
    "quarantine": "Cách ly giấy tờ có dấu chỉ độ mật, xóa ảnh quét",
    "export": "Xuất hồ sơ lưu trữ",
    "view": "Xem dữ liệu hồ sơ",
    "renew": "Gia hạn dấu thời gian lưu trữ",
    "deadline-near": "Sắp đến hạn trả kết quả",
    "deadline-missed": "Quá hạn trả kết quả",
    "sign-in": "Đăng nhập",
    "sign-out": "Đăng xuất",
    "step-up": "Xác thực lại trước quyết định",
    "end-session": "Kết thúc phiên làm việc",
    "bind-account": "Gắn tài khoản với viên chức",
    "unbind-account": "Gỡ tài khoản khỏi viên chức",
    "preservation": "Bảo quản bản lưu điện tử",
    "trust_list": "Rà soát danh sách tin cậy",
    "check_trail": "Kiểm tra chuỗi băm của nhật ký",
    "anchor": "Lập mốc neo của nhật ký, ký số và khóa",
    "view-trail": "Xem nhật ký",
    "check_rows": "Đối chiếu sổ giao nhận, kho, tin gửi đi, sự cố, tiêu hủy với nhật ký",
    "notify": "Ghi thư báo sự cố cho người vận hành",
    "notify-partner": "Ghi tin báo cho hệ thống của đối tác",
    "export-trail": "Tải nhật ký",
}
ACTION_NAMES = {
    **{action: name for action, name in ACTIONS.items() if " " not in action},
    "transition": "Chuyển trạng thái",
    "decide": "Quyết định của viên chức",
    "remind": "Nhắc viên chức",
    "escalate": "Báo lãnh đạo đơn vị",
}
INCIDENT = {"incident", "incident-closed"}
REMINDERS = {"remind": "đã nhắc viên chức", "escalate": "đã báo lãnh đạo đơn vị"}


# What the law calls each rule: ids are for code and tests, officers know articles.
ARTICLES = {rule.value: rule.citation for rule in Rule if rule.heading}


class Event(BaseModel):
    """One entry: when, who (officer id or "system"), what happened, by which article of the law."""

    at: datetime
    actor: str
    sentence: str
    article: str = ""


def history(session: Session, dossier_id: DossierId) -> list[Event]:
    """All that happened with the dossier, oldest first."""
    ordinals = {document.id: document.ordinal for document in documents(session, dossier_id)}
    query = select(AuditEntry).where(AuditEntry.dossier_id == dossier_id).order_by(col(AuditEntry.seq))
    return [
        Event(at=entry.at, actor=entry.actor, sentence=sentence(entry, ordinals), article=ARTICLES.get(entry.rule, ""))
        for entry in session.exec(query)
    ]


def sentence(entry: AuditEntry, ordinals: Mapping[DocumentId, int]) -> str:
    """What an entry says, in Vietnamese; an action without a wording of its own is named as it is stored."""
    ordinal = ordinals.get(entry.document_id) if entry.document_id else None
    about = f"Thành phần {ordinal}: " if ordinal else ""
    if entry.action == "transition" and entry.target_state:
        return f"{about or 'Hồ sơ '}{STATES.get(entry.target_state, entry.target_state)}."
    if entry.action == "decide":
        name = str(entry.details.get("stage", ""))
        verdict = str(entry.details.get("decision", ""))
        delegation = entry.details.get("delegation") or {}
        by = f" (theo ủy quyền: văn bản {delegation['document']})" if delegation else ""
        return f"{pause_label(name)}: {decision_labels().get(verdict, verdict)}{by}."
    if entry.action in REMINDERS:
        return f"{pause_label(str(entry.details.get('stage', '')))}: {REMINDERS[entry.action]}."
    pages = entry.details.get("pages") if entry.action == "rescan" else None
    only = f", trang {', '.join(map(str, pages))}" if pages else ""
    kind = KINDS.get(str(entry.details.get("code", ""))) if entry.action in INCIDENT else None
    named = f" ({kind.name[:1].lower()}{kind.name[1:]})" if kind else ""
    wording = ACTIONS.get(f"{entry.action} {entry.rule}") or ACTIONS.get(entry.action, entry.action)
    how = _parted(entry.details) if entry.action == "part" else ""
    return f"{about}{wording[:1].lower() + wording[1:] if about else wording}{named}{only}{how}."


PARTED_BY = {"OFFICER": "người sao chụp xem và tách", "SHEETS": "theo tờ ngăn", "NUMBERS": "theo số trang đã khai"}
LEFT_OUT = {"BLANK": "trang trắng", "TWICE": "quét trùng", "FOREIGN": "không thuộc hồ sơ"}  # sheets need no word


def _parted(details: Mapping[str, Any]) -> str:
    """How a scan of several papers was parted, and what a person has left out or wants turned."""
    told = [PARTED_BY.get(str(details.get("by")), "")]
    several = len(details.get("files", ())) > 1
    left = [entry.rpartition("/") for entry in details.get("left_out", ())]
    for reason, name in LEFT_OUT.items():
        if places := [_image(place, several) for place, _, why in left if why == reason]:
            told.append(f"bỏ ra {', '.join(places)} ({name})")
    if turned := [_image(entry.rpartition("/")[0], several) for entry in details.get("turned", ())]:
        told.append(f"xoay {', '.join(turned)}")
    gone = {place for place, _, _ in left}
    if blank := [_image(place, several) for place in details.get("blank", ()) if place not in gone]:
        told.append(f"{', '.join(blank)} có vẻ trắng, vẫn giữ")
    return "; ".join(["", *filter(None, told)])


def _image(place: str, several: bool) -> str:
    """A page of the scan, as file/page, in words."""
    file, _, page = place.partition("/")
    return f"ảnh {page} của tệp {file}" if several else f"ảnh {page}"
