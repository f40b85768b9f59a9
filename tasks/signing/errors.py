"""What can go wrong when signing, as the officer reads it."""

from __future__ import annotations

from blocks.errors import Remedy, SohoaError


class AlreadySigned(SohoaError):
    """The PDF carries a signature or a signature field already: what Sohoa builds never does."""

    code, rule = "PDF_SIGNED", "CA01"
    message = "Tệp PDF đã có chữ ký số hoặc ô ký; vui lòng báo quản trị viên kiểm tra nguồn gốc của tệp."


class FieldMissing(SohoaError):
    """The agency's empty field is not there, or filled: the file is not what the officer signed."""

    code, rule = "SIGNATURE_FIELD", "EX17"
    message = "Tệp PDF không có ô ký trống của cơ quan; vui lòng báo quản trị viên kiểm tra tệp."


class CharacterMissing(SohoaError):
    """A name has a character that the signature font lacks; it would vanish silently."""

    code, rule = "SIGNATURE_CHARACTER", "CA02"
    message = "Tên trên chứng thư số có ký tự không hiển thị được; vui lòng báo quản trị viên kiểm tra chứng thư."


class AppearanceDoesNotFit(SohoaError):
    """The agency's name no longer fits into the field that was made when the officer signed."""

    code, rule = "SIGNATURE_APPEARANCE", "EX17"
    message = "Thông tin chữ ký số cơ quan không vừa khung đã tạo; vui lòng báo quản trị viên kiểm tra tên cơ quan."


class NotCaptured(SohoaError):
    """The audit trail has no capture of this attempt, so the time of capture is not known (CA02)."""

    code, rule, remedy = "NOT_CAPTURED", "CA02", Remedy.OFFICER
    message = "Chưa ghi nhận thời gian sao chụp của thành phần này; vui lòng sao chụp lại."


class AgencyNotAllowed(SohoaError):
    """The case has not succeeded (yet): the agency signs in state KY_CO_QUAN only, a failed case never."""

    code, rule, remedy = "AGENCY_NOT_ALLOWED", "EX17", Remedy.OFFICER
    message = "Hồ sơ {state} nên chưa được ký số cơ quan; vui lòng chỉ ký khi hồ sơ được giải quyết thành công."


class SignerMissing(SohoaError):
    """The agency signs an issued result only after who may sign it (NĐ 30/2020, Điều 13, 26)."""

    code, rule, remedy = "SIGNER_MISSING", "B4e", Remedy.OFFICER
    message = "Văn bản kết quả chưa có chữ ký số của người có thẩm quyền nên chưa được ký số cơ quan."


class FieldsUnconfirmed(SohoaError):
    """Extracted values that no officer confirmed can't be signed by the agency (WH03)."""

    code, rule, remedy = "FIELDS_UNCONFIRMED", "WH03", Remedy.OFFICER
    message = "Còn {count} trường dữ liệu chưa được viên chức xác nhận; vui lòng xác nhận trước khi ký số cơ quan."


class SignatureInvalid(SohoaError):
    """What was signed, or what is stored as signed, does not verify; nothing was stored in this step."""

    code, rule = "SIGNATURE_INVALID", "CA08"
    message = "Chữ ký số vừa tạo hoặc đã lưu không hợp lệ; vui lòng báo quản trị viên và không sử dụng tệp này."


class ForeignFile(SohoaError):
    """Under the key of the signed file lies a file that was not made from this document's PDF."""

    code, rule = "FOREIGN_FILE", "CA08"
    message = "Tệp đã lưu không được tạo từ bản sao chụp này; vui lòng báo quản trị viên kiểm tra sự cố dữ liệu."


class DiskFull(SohoaError):
    """No room for the copy that is being signed. Nothing was stored; what is stored stays as it was."""

    code, remedy = "DISK_FULL", Remedy.RETRY
    message = (
        "Ổ đĩa của máy chủ đã đầy nên chưa ký được; hệ thống sẽ tự thử lại, "
        "vui lòng báo quản trị viên giải phóng dung lượng."
    )


class Unsignable(SohoaError):
    """pyHanko can't read or extend the PDF."""

    code, rule, remedy = "PDF_DAMAGED", "CA09", Remedy.RESCAN
    message = "Không thể ký số lên tệp PDF này; vui lòng sao chụp lại thành phần hồ sơ."
