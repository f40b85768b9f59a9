"""What the interface of partners refuses: codes that stay, HTTP statuses, sentences that say what to do."""

from __future__ import annotations

from blocks.errors import Remedy, SohoaError


class CaseUnknown(SohoaError):
    code, status = "CASE_UNKNOWN", 404
    message = "Không có hồ sơ nào của đối tác mang mã này; vui lòng kiểm tra lại mã."
    remedy = Remedy.OFFICER


class CaseConflict(SohoaError):
    """The partner's id of a case was used for another one."""

    code, rule, status = "IDEMPOTENCY_CONFLICT", "CO06", 409
    message = "Mã hồ sơ này đã dùng với nội dung khác; vui lòng dùng mã mới cho hồ sơ mới."
    remedy = Remedy.OFFICER


class ReferencePersonal(SohoaError):
    code, rule, status = "REFERENCE_PERSONAL", "WH04", 422
    message = "Mã hồ sơ không được chứa số định danh của người dân; vui lòng dùng mã do hệ thống của đối tác cấp."
    remedy = Remedy.OFFICER


class OutOfScope(SohoaError):
    code, rule, status = "OUT_OF_SCOPE", "WH04", 403
    message = "Đối tác không được phép với {what} này; vui lòng liên hệ quản trị viên."
    remedy = Remedy.OFFICER


class QuotaReached(SohoaError):
    code, status = "QUOTA_REACHED", 429
    message = "Đối tác đang có {limit} hồ sơ chưa kết thúc, là số nhiều nhất; vui lòng chờ rồi gửi lại."
    remedy = Remedy.OFFICER


class FileNameRefused(SohoaError):
    code, status = "FILE_NAME", 422
    message = (
        "Tên tệp phải là số thứ tự và đuôi jpg, jpeg, png, tif, tiff hoặc pdf (chữ thường); "
        "vui lòng đặt lại tên, ví dụ 0001.jpg, rồi gửi lại."
    )
    remedy = Remedy.OFFICER


class FileNotDeclared(SohoaError):
    """It would be stored and then be part of nothing."""

    code, rule, status = "FILE_NOT_DECLARED", "B3a", 409
    message = (
        "Tờ khai đã gửi không có tệp {name}; vui lòng kiểm tra số thành phần và tên tệp. "
        "Giấy tờ chưa khai thì khai trong lần bổ sung khi hồ sơ được yêu cầu bổ sung, hoặc trong hồ sơ mới."
    )
    remedy = Remedy.OFFICER


class DigestWrong(SohoaError):
    code, rule, status = "DIGEST_WRONG", "CA08", 422
    message = "Nội dung nhận được không khớp mã băm SHA-256 đã khai; vui lòng gửi lại tệp."
    remedy = Remedy.OFFICER


class AlreadyOther(SohoaError):
    code, rule, status = "ALREADY_OTHER", "CA08", 409
    message = "Đã nhận nội dung khác dưới tên này; vui lòng dùng tên khác hoặc mã hồ sơ mới."
    remedy = Remedy.OFFICER


class Closed(SohoaError):
    code, rule, status = "HANDED_IN_ALREADY", "CO06", 409
    message = "Phần này của hồ sơ đã nộp nên không nhận thêm tệp; vui lòng xem mục waiting_for của tình trạng hồ sơ."
    remedy = Remedy.OFFICER


class NotAsked(SohoaError):
    code, status = "NOT_ASKED", 409
    message = "Hồ sơ không chờ phần bổ sung hoặc bản quét lại này; vui lòng xem mục waiting_for của tình trạng hồ sơ."
    remedy = Remedy.OFFICER


class NotDeclared(SohoaError):
    code, rule, status = "NOT_DECLARED", "B3a", 409
    message = "Chưa có tờ khai hoặc tệp nào của phần này; vui lòng gửi trước khi nộp."
    remedy = Remedy.OFFICER


class DeclarationInvalid(SohoaError):
    """fields: place and reason of each fault, without values."""

    code, rule, status = "MANIFEST_INVALID", "B3a", 422
    message = "Tờ khai không hợp lệ; vui lòng sửa các mục được nêu rồi gửi lại."
    remedy = Remedy.OFFICER

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__()
        self.fields = fields
