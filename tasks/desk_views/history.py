"""Lịch sử hồ sơ: the audit trail of a dossier as sentences that an officer reads (P14). No personal data in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.ids import DocumentId, DossierId
from blocks.records.queries import documents
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import AuditEntry
from blocks.rules import Rule
from tasks.monitoring.incidents import KINDS
from tasks.pauses.registry import decision_labels, pause_label

STATES: dict[str, str] = {
    DossierState.NHAP: "mới nộp",
    DossierState.KIEM_TRA: "đang kiểm tra thành phần hồ sơ",
    DossierState.BO_SUNG_TRUOC: "chờ bổ sung trước khi tiếp nhận",
    DossierState.TU_CHOI_TIEP_NHAN: "bị từ chối tiếp nhận",
    DossierState.DA_TIEP_NHAN: "đã tiếp nhận",
    DossierState.SO_HOA: "đang số hóa",
    DossierState.CHO_LANH_DAO_SO_HOA: "chờ ý kiến lãnh đạo về việc số hóa",
    DossierState.DA_CHUYEN: "đã chuyển bộ phận giải quyết",
    DossierState.THAM_DINH: "đang thẩm định",
    DossierState.CHO_Y_KIEN: "chờ ý kiến cơ quan khác",
    DossierState.BO_SUNG: "chờ bổ sung",
    DossierState.TRINH_KY: "trình ký",
    DossierState.KY_CO_QUAN: "đang ký số cơ quan",
    DossierState.CO_KET_QUA: "đã có kết quả",
    DossierState.DA_TRA: "đã trả kết quả",
    DossierState.LUU_TRU: "đã lưu trữ",
    DossierState.TRA_LAI: "đã trả lại kèm lý do",
    DossierState.RUT: "đã rút",
    DocumentState.KHAI_BAO: "đã khai báo",
    DocumentState.PHAN_LOAI: "đang phân loại",
    DocumentState.NGOAI_PHAM_VI: "ngoài phạm vi số hóa",
    DocumentState.TAI_SU_DUNG: "dùng lại dữ liệu đã có",
    DocumentState.DE_HONG: "dễ hỏng, sao y trước khi sao chụp",
    DocumentState.XIN_Y_KIEN: "xin ý kiến lãnh đạo",
    DocumentState.KHONG_SO_HOA: "không số hóa theo ý kiến lãnh đạo",
    DocumentState.NGHI_MAT: "tạm cách ly, chờ lãnh đạo xem có phải giấy tờ mật không",
    DocumentState.CACH_LY_MAT: "bị cách ly do có dấu chỉ mức độ mật",
    DocumentState.CHO_SAO_CHUP: "chờ sao chụp",
    DocumentState.DA_SAO_CHUP: "đã sao chụp",
    DocumentState.CHUP_LAI: "phải sao chụp lại",
    DocumentState.DAT_KIEM_TRA: "đạt kiểm tra kỹ thuật",
    DocumentState.DA_KY_CA_NHAN: "đã ký số cá nhân",
    DocumentState.OCR: "đã nhận dạng chữ",
    DocumentState.NHAP_TAY: "phải nhập tay",
    DocumentState.CHO_XAC_NHAN: "chờ viên chức xác nhận dữ liệu",
    DocumentState.DA_BOC_TACH: "đã bóc tách dữ liệu",
    DocumentState.DA_CAP_MA: "đã cấp mã",
    DocumentState.CHO_KET_QUA: "chờ kết quả giải quyết",
    DocumentState.DA_KY_CO_QUAN: "đã ký số cơ quan",
    DocumentState.DA_LUU: "đã lưu",
    DocumentState.HIEN_THI_KHO: "hiển thị trong kho của chủ hồ sơ",
    DocumentState.DA_LUU_CHUA_DINH_DANH: "đã lưu, chưa có mã định danh",
    DocumentState.DA_LUU_KHONG_GIA_TRI: "lưu không có giá trị pháp lý",
}
ACTIONS = {
    "register": "Ghi nhận hồ sơ đã nộp",
    "supplement": "Ghi nhận hồ sơ bổ sung",
    "part": "Tách bản quét chung thành từng giấy tờ, giữ nguyên tệp gốc",
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
    "release": "Trả lại việc đã nhận",
    "confirm_fields": "Xác nhận dữ liệu với bản giấy",
    "assign_code": "Cấp mã kết quả số hóa",
    "attach_owner": "Gắn mã định danh của chủ hồ sơ",
    "export_receipt": "Xuất phiếu tiếp nhận",
    "incident": "Ghi nhận sự cố",
    "incident-closed": "Đóng sự cố",
    "refuse": "Từ chối truy cập",
    "refuse SC12": "Xóa ảnh quét của giấy tờ chỉ để xuất trình",
    "suspect": "Tạm cách ly giấy tờ nghi có dấu chỉ mức độ mật",
    "quarantine": "Cách ly giấy tờ có dấu chỉ mức độ mật, xóa ảnh quét",
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
    about = f"Thành phần {ordinal}: " if ordinal else "Hồ sơ: " if entry.dossier_id else ""
    if entry.action == "transition" and entry.target_state:
        return f"{about}{STATES.get(entry.target_state, entry.target_state)}."
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
    return f"{about}{wording}{named}{only}."
