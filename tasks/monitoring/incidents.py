"""Sự cố: what each means, what to do about it, and who closes it, with a written reason (LU05, SC13, WH01, CA08)."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog.staff import Role
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.records import RecordsDatabase
from blocks.records.incidents import close_incident
from blocks.records.queries import DossierUnknown, find_dossier
from blocks.records.tables import Dossier, Incident
from tasks.archive.custody import freeze_disposal
from tasks.pauses.outages import SERVICES

SHORTEST, LONGEST = 10, 500  # characters of a reason
CLOSED_SHOWN = 20


@dataclass(frozen=True)
class Kind:
    """closer: the role that closes it; None: it closes by itself as soon as the cause is gone."""

    name: str
    advice: str
    closer: Role | None


KINDS: dict[str, Kind] = {
    "RUN_FAILED": Kind(
        "Lượt xử lý dừng vì lỗi",
        "Một lượt xử lý dừng vì lỗi: mở lượt đó trong Prefect, sửa nguyên nhân rồi bấm Retry.",
        None,
    ),
    "SERVICE_FAILED": Kind(
        "Việc định kỳ bị lỗi",
        "Việc định kỳ (hộp nhận, bảo quản …) lần gần nhất bị lỗi: xem nhật ký lượt đó trong Prefect.",
        None,
    ),
    "QUEUE_TOO_LONG": Kind(
        "Hàng đợi quá dài",
        "Nhiều hồ sơ chờ chỗ trống: xem máy có bị treo không; thường xuyên thì tăng SOHOA_WORKER_LIMIT.",
        None,
    ),
    "DEADLINE_NEAR": Kind(
        "Sắp đến hạn mà không chạy",
        "Hồ sơ sắp đến hạn hoặc quá hạn mà lượt xử lý không chạy: lọc theo nhãn deadline:near, "
        "deadline:missed; lượt lỗi thì sửa nguyên nhân rồi bấm Retry, lượt Late thì xem máy có bị treo không.",
        None,
    ),
    "MAIL_STUCK": Kind(
        "Thư nhắc việc bị kẹt",
        "Thư nhắc việc chưa gửi được: kiểm tra máy chủ thư (SOHOA_SMTP_URL).",
        None,
    ),
    "CALLBACK_DEAD": Kind(
        "Đối tác không nhận thông báo",
        "Hệ thống của đối tác không nhận thông báo sau nhiều lần thử: `sohoa partner list` cho biết đối tác nào; "
        "báo họ, rồi gửi lại bằng `sohoa partner resend <mã>`.",
        None,
    ),
    "CHECK_BAD": Kind(
        "Có bộ phận không làm việc được",
        "Một hay nhiều bộ phận không làm việc được: trang /van-hanh hoặc `sohoa doctor` cho biết bộ phận nào và cách "
        "khắc phục.",
        None,
    ),
    "SECRET": Kind(
        "Giấy tờ có dấu chỉ độ mật",
        "Ảnh đã bị xóa. Xử lý bản giấy theo quy định về bí mật nhà nước rồi đóng sự cố.",
        Role.LEAD,
    ),
    "SECRET_STORED": Kind(
        "Giấy tờ mật nằm trong kho có khóa",
        "Bản lưu còn khóa nên chưa xóa được: báo người phụ trách bảo vệ bí mật nhà nước, hạn chế truy cập máy chủ.",
        Role.LEAD,
    ),
    "OFFICER_NOT_ASSIGNED": Kind(
        "Người chưa được phân công",
        "Xem trong nhật ký ai đã làm gì; phân công bằng văn bản và sửa danh sách viên chức, hoặc nhắc nhở người đó.",
        Role.LEAD,
    ),
    "RUN_REFUSED": Kind(
        "Lượt xử lý lạ bị từ chối",
        "Có người tạo hoặc sửa lượt xử lý, cấu hình triển khai trong Prefect; máy đã từ chối và không chạy gì. "
        "Tìm xem ai dùng mật khẩu của Prefect, đổi mật khẩu, rồi chạy `make up` để khôi phục cấu hình.",
        Role.OPERATE,
    ),
    "DECISION_NOT_PROVEN": Kind(
        "Quyết định không qua cổng viên chức",
        "Quyết định đã bị từ chối và hệ thống hỏi lại. Tìm xem ai đã ghi thẳng vào Prefect hoặc cơ sở dữ liệu hồ sơ; "
        "đổi mật khẩu nếu cần.",
        Role.LEAD,
    ),
    "SHOWN_CHANGED": Kind(
        "Nội dung đổi sau khi duyệt",
        "Ảnh, dữ liệu hoặc dự thảo khác với lúc viên chức xem nên hệ thống không ký và hỏi lại. "
        "Xem trong nhật ký ai đã sửa; báo quản trị viên kiểm tra cơ sở dữ liệu và kho tệp.",
        Role.LEAD,
    ),
    "DISPUTE": Kind(
        "Khiếu nại, tranh chấp",
        "Chưa giải quyết xong thì không được hủy bản giấy. Đóng sự cố là cho phép hủy khi hết thời hạn lưu trữ.",
        Role.LEAD,
    ),
    "INTEGRITY": Kind(
        "Tệp không khớp mã băm",
        "Không dùng tệp này: khôi phục từ bản sao lưu hoặc quét lại, và tìm nguyên nhân trên đĩa.",
        Role.OPERATE,
    ),
    "ARCHIVED_OBJECT_DAMAGED": Kind(
        "Bản lưu bị hỏng",
        "Khôi phục từ bản sao lưu; lần bảo quản kế tiếp đọc lại và tự đóng sự cố khi khôi phục được.",
        Role.OPERATE,
    ),
    "RENEWAL_FAILED": Kind(
        "Không gia hạn được dấu thời gian",
        "Kiểm tra máy chủ dấu thời gian và danh sách tin cậy, rồi chạy lại việc bảo quản.",
        Role.OPERATE,
    ),
    "TRUST_LIST_CHANGED": Kind(
        "Danh sách tin cậy thay đổi",
        "Đối chiếu chứng thư số mới với công bố của cơ quan cấp rồi đóng sự cố.",
        Role.OPERATE,
    ),
    "TRAIL_BROKEN": Kind(
        "Nhật ký bị sửa",
        "Không sửa gì; giữ nguyên máy, báo người phụ trách an toàn thông tin và đối chiếu bản sao lưu.",
        Role.LEAD,
    ),
    "ROWS_UNPROVEN": Kind(
        "Sổ sách không khớp nhật ký",
        "Sổ giao nhận, kho, tin gửi đi, việc đóng sự cố hoặc tiêu hủy bị ghi, xóa thẳng trong cơ sở dữ liệu: không sửa "
        "gì, báo người phụ trách an toàn thông tin, đổi mật khẩu cơ sở dữ liệu.",
        Role.LEAD,
    ),
}


AWAY = "AWAY_"  # then the code of the error: one incident a service that dossiers wait for, however many they are
KINDS |= {
    f"{AWAY}{code}": Kind(
        f"Đang chờ {name}",
        f"Hồ sơ đang chờ {name} và tự thử lại, không cần bấm Retry: khôi phục dịch vụ đó. Sự cố tự đóng khi hết hồ sơ "
        "chờ.",
        None,
    )
    for code, name in SERVICES.items()
}


class IncidentGone(SohoaError):
    """There is no such open incident, or it isn't this officer's to see."""

    code, rule = "INCIDENT_GONE", "P14"
    message = "Sự cố này không còn mở hoặc không thuộc đơn vị của bạn; vui lòng mở lại trang sự cố."
    remedy = Remedy.OFFICER


class IncidentNotYours(SohoaError):
    """Another role closes incidents of this kind, or nobody does: it closes when its cause is gone."""

    code, rule = "INCIDENT_NOT_YOURS", "WH04"
    message = "Bạn không đóng được sự cố này: {why}."
    remedy = Remedy.OFFICER


class ReasonMissing(SohoaError):
    """Closing needs a written reason."""

    code, rule = "REASON_MISSING", "P14"
    message = f"Vui lòng ghi nội dung, kết quả xử lý, từ {SHORTEST} đến {LONGEST} ký tự, rồi đóng sự cố."
    remedy = Remedy.OFFICER


class Shown(BaseModel):
    """One incident as people see it. dossier: its code or submission; empty: of the whole machine."""

    id: UUID
    code: str
    name: str
    advice: str
    closer: Role | None
    at: datetime
    dossier_id: DossierId | None
    dossier: str = ""
    unit: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    reason: str = ""

    def closable(self, roles: Collection[tuple[str, Role]]) -> bool:
        """Whether one of these (unit, role) pairs closes it; what belongs to the machine is of each unit."""
        return any(role is self.closer and self.unit in ("", unit) for unit, role in roles)


def kind_of(code: str) -> Kind:
    """An incident of a version to come is shown by its code, and operations close it."""
    return KINDS.get(code) or Kind(code, "", Role.OPERATE)


def incidents(records: RecordsDatabase, units: Collection[str]) -> tuple[list[Shown], list[Shown]]:
    """(open ones, oldest first; the last closed ones) of these units and of the machine."""
    query = select(Incident, Dossier).join(Dossier, isouter=True)
    query = query.where(col(Incident.dossier_id).is_(None) | col(Dossier.unit_id).in_(units))
    ended = col(Incident.closed_at)
    with records.session() as session:
        still = session.exec(query.where(ended.is_(None)).order_by(col(Incident.at))).all()
        over = session.exec(query.where(ended.is_not(None)).order_by(ended.desc()).limit(CLOSED_SHOWN)).all()
        return [_shown(*row) for row in still], [_shown(*row) for row in over]


def _shown(incident: Incident, dossier: Dossier | None) -> Shown:
    kind = kind_of(incident.code)
    return Shown(
        id=incident.id,
        code=incident.code,
        name=kind.name,
        advice=kind.advice,
        closer=kind.closer,
        at=incident.at,
        dossier_id=incident.dossier_id,
        dossier=(dossier.code or dossier.submission) if dossier else "",
        unit=dossier.unit_id if dossier else "",
        closed_at=incident.closed_at,
        closed_by=incident.closed_by,
        reason=incident.reason,
    )


def open_dispute(records: RecordsDatabase, code: str, officer: str, roles: Collection[tuple[str, Role]]) -> None:
    """Somebody complains: nothing of this dossier is disposed of until a leader closes it (LU05). Idempotent.

    roles: as below. Raises DossierUnknown, also for a dossier of another unit.
    """
    with records.session() as session:
        dossier = find_dossier(session, code.strip().upper())
        if (dossier.unit_id, Role.LEAD) not in roles:
            raise DossierUnknown()
    freeze_disposal(records, dossier.id, officer)


def settle_incident(
    records: RecordsDatabase, incident: UUID, officer: str, roles: Collection[tuple[str, Role]], reason: str
) -> Shown:
    """Close an open incident, once, with a written reason. roles: (unit, role) pairs that the officer holds today.

    Raises IncidentGone, IncidentNotYours, ReasonMissing.
    """
    written = unicodedata.normalize("NFC", " ".join(reason.split()))
    with records.session() as session:
        row, dossier = _found(session, incident, {unit for unit, _ in roles})
        shown = _shown(row, dossier)
        if shown.closer is None:
            raise IncidentNotYours(why="sự cố tự đóng khi nguyên nhân đã hết")
        if not shown.closable(roles):
            raise IncidentNotYours(why="việc này dành cho vai trò khác")
        if not SHORTEST <= len(written) <= LONGEST:
            raise ReasonMissing()
        if not close_incident(session, row, actor=officer, reason=written):
            raise IncidentGone()
        return _shown(row, dossier)


def _found(session: Session, incident: UUID, units: Collection[str]) -> tuple[Incident, Dossier | None]:
    row = session.get(Incident, incident)
    dossier = session.get(Dossier, row.dossier_id) if row and row.dossier_id else None
    if row is None or row.closed_at is not None or (dossier and dossier.unit_id not in units):
        raise IncidentGone()
    return row, dossier
