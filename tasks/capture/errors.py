"""What can be wrong with a scanned file or page (Điều 8.2; CA05–CA10): one class a code.

Each message is one Vietnamese sentence that says what to do and carries no personal data. Where it stands in the
dossier (component, file, page) travels beside it in `Problem`.
"""

from __future__ import annotations

from blocks.errors import Remedy, SohoaError
from tasks.capture.facts import MAX_PAGES, MIN_DPI


class ScanError(SohoaError):
    """Base of everything that a new scan heals."""

    code, rule = "SCAN", "CA05"
    message = "Bản quét không dùng được; vui lòng quét lại."
    remedy = Remedy.RESCAN

    def __init__(self, message: str | None = None, /, **details: object) -> None:
        """page: of the file, where only one of its pages is at fault; the sentence then begins with it."""
        super().__init__(message, **details)
        page = details.get("page")
        if page is not None and "{page}" not in self.message:
            self.text = f"Trang {page} của tệp: {self.text[:1].lower()}{self.text[1:]}"
            self.args = (f"[{self.code}] {self.text}",)

    def on_page(self, page: int) -> ScanError:
        """The same of one page of the file (1-based)."""
        return type(self)(**{**self.details, "page": page})


class FileMissing(ScanError):
    code, rule = "FILE_MISSING", "CA06"
    message = "Chưa nhận được tệp quét đã khai báo; vui lòng gửi lại tệp này."


class FileEmpty(ScanError):
    code, rule = "FILE_EMPTY", "CA05"
    message = "Tệp quét rỗng (0 byte); vui lòng quét và gửi lại."


class FileTooLarge(ScanError):
    code, rule = "FILE_TOO_LARGE", "CA09"
    message = (
        f"Tệp vượt quá dung lượng cho phép ({{limit_mb}} MB); vui lòng quét lại ở {MIN_DPI}–300 dpi hoặc tách tệp."
    )


class FileType(ScanError):
    code, rule = "FILE_TYPE", "CA09"
    message = "Loại tệp không được chấp nhận; vui lòng quét lại thành JPEG, TIFF, PNG hoặc PDF."


class FileTruncated(ScanError):
    code, rule = "FILE_TRUNCATED", "CA05"
    message = "Ảnh quét bị hỏng hoặc bị cắt cụt dữ liệu; vui lòng quét và gửi lại tệp này."


class ImageBomb(ScanError):
    code, rule = "IMAGE_BOMB", "CA09"
    message = (
        f"Ảnh có kích thước hoặc số trang bất thường nên không được mở; vui lòng quét lại trang ở {MIN_DPI}–600 dpi."
    )


class PdfEncrypted(ScanError):
    code, rule = "PDF_ENCRYPTED", "CA09"
    message = (
        "Tệp PDF đặt mật khẩu hoặc bị khóa quyền; vui lòng tắt mục mật khẩu, bảo mật PDF ở máy quét hoặc phần mềm quét "
        "rồi quét lại."
    )


class PdfZeroPages(ScanError):
    code, rule = "PDF_ZERO_PAGES", "CA06"
    message = "Tệp PDF không có trang nào; vui lòng quét lại."


class PdfActiveContent(ScanError):
    code, rule = "PDF_ACTIVE_CONTENT", "CA09"
    message = "Tệp PDF chứa mã lệnh hoặc biểu mẫu động; vui lòng quét lại bản giấy thành PDF thường."


class PdfAttachments(ScanError):
    code, rule = "PDF_ATTACHMENTS", "CA10"
    message = "Tệp PDF có tệp đính kèm bên trong; vui lòng tách tệp đính kèm hoặc quét lại bản giấy."


class PdfSigned(ScanError):
    code, rule = "PDF_SIGNED", "CA01"
    message = (
        "Tệp PDF đã có chữ ký số nên không được dùng làm bản quét; vui lòng quét bản giấy, hoặc nộp bản điện tử "
        "thành một thành phần riêng chỉ gồm tệp này."
    )


class PdfVersion(ScanError):
    code, rule = "PDF_VERSION", "CA09"
    message = "Phiên bản PDF thấp hơn 1.4; vui lòng đặt máy quét xuất PDF từ 1.4 trở lên rồi quét lại."


class PdfDamaged(ScanError):
    code, rule = "PDF_DAMAGED", "CA05"
    message = (
        "Tệp PDF bị hỏng cấu trúc hoặc thiếu trang; vui lòng quét và gửi lại, nếu vẫn bị thì chọn JPEG hoặc TIFF ở máy "
        "quét."
    )


class PdfTooLarge(ScanError):
    """More pages or objects than a file may have."""

    code, rule = "PDF_TOO_LARGE", "CA09"
    message = (
        f"Tệp PDF có hơn {MAX_PAGES} trang hoặc quá nhiều đối tượng bên trong; vui lòng đặt máy quét tách tệp (mục số "
        "trang mỗi tệp) rồi quét lại thành nhiều tệp."
    )


class PdfNotScan(FileType):
    """A born-digital page: not a capture of paper (Điều 8.1), so nothing proves whole and true copying.

    page: which one of the file; who knows it says so by `on_page`.
    """

    rule = "CA01"
    message = (
        "Trang {page} của tệp PDF không phải một ảnh quét nguyên trang; vui lòng quét bản giấy ở chế độ màu, mỗi trang "
        "một ảnh phủ kín trang, không chèn ảnh vào văn bản."
    )

    def __init__(self, message: str | None = None, /, *, page: int = 1, **details: object) -> None:
        super().__init__(message, page=page, **details)


class PdfLayers(PdfNotScan):
    """A page that is put together from several images, or has layers that a reader can switch."""

    code = "PDF_LAYERS"
    message = (
        "Trang {page} của tệp PDF ghép từ nhiều ảnh hoặc nhiều lớp; vui lòng tắt chế độ PDF nén cao (High compression, "
        "Compact PDF, MRC) ở mục loại tệp của máy quét, hoặc chọn JPEG hay TIFF, rồi quét lại."
    )


class PdfMarked(PdfNotScan):
    """Annotations or filled fields over the scan: they would be lost in the copy."""

    code = "PDF_MARKED"
    message = (
        "Trang {page} của tệp PDF có ghi chú, dấu, nét tô hoặc ô nhập thêm bằng phần mềm trên ảnh quét; vui lòng nộp "
        "tệp gốc của máy quét khi chưa thêm gì, hoặc quét lại bản giấy."
    )


class PdfCovered(PdfNotScan):
    """Something that a reader shows is not in the scan, or something of the scan is hidden."""

    code = "PDF_COVERED"
    message = (
        "Trang {page} của tệp PDF hiện chữ, hình hoặc vùng che không có trong ảnh quét; vui lòng tắt đóng dấu, "
        "chữ chìm, số trang ở máy quét hoặc ứng dụng quét, không sửa tệp bằng phần mềm PDF, rồi quét lại."
    )


class PdfClipped(PdfNotScan):
    """The page shows a part of its image only."""

    code = "PDF_CLIPPED"
    message = (
        "Trang {page} của tệp PDF chỉ hiện một phần ảnh quét vì ảnh bị cắt hoặc nằm lệch ra ngoài trang; vui lòng tắt "
        "mục cắt mép, chọn đúng khổ giấy ở máy quét rồi quét lại trọn trang."
    )


class DpiLow(ScanError):
    code, rule = "DPI_LOW", "CA09"
    message = f"Độ phân giải {{dpi}} dpi thấp hơn {MIN_DPI} dpi; vui lòng quét lại ở {MIN_DPI} dpi trở lên."


class DpiMetadata(ScanError):
    code, rule = "DPI_METADATA", "CA09"
    message = (
        "Độ phân giải ghi trong tệp hoặc khổ giấy không khớp cấu hình máy quét ({dpi} dpi); vui lòng kiểm tra cấu hình "
        "rồi quét lại."
    )


class NotColour(ScanError):
    code, rule = "NOT_COLOUR", "CA09"
    message = "Ảnh không phải ảnh màu RGB; vui lòng quét lại ở chế độ màu."


class PageBlank(ScanError):
    code, rule = "PAGE_BLANK", "CA05"
    message = "Trang quét trắng; vui lòng kiểm tra mặt giấy rồi quét lại trang này."


class PageCropped(ScanError):
    code, rule = "PAGE_CROPPED", "CA05"
    message = "Trang quét bị cắt mất mép hoặc nội dung; vui lòng đặt giấy ngay ngắn và quét lại trọn trang."


class PageSkewed(ScanError):
    code, rule = "PAGE_SKEWED", "CA05"
    message = "Trang quét bị nghiêng {degrees:.1f} độ; vui lòng đặt giấy ngay ngắn và quét lại."


class PageBlurred(ScanError):
    code, rule = "PAGE_BLURRED", "CA05"
    message = "Trang quét bị mờ, nhòe; vui lòng lau kính máy quét và quét lại trang này."


class PagesMissing(ScanError):
    code, rule = "PAGES_MISSING", "CA06"
    message = "Thiếu trang: cần {expected} ảnh nhưng chỉ có {found}; vui lòng quét đủ các trang."


class PagesExtra(ScanError):
    code, rule = "PAGES_EXTRA", "CA06"
    message = "Thừa trang: cần {expected} ảnh nhưng có {found}; vui lòng bỏ ảnh thừa hoặc khai lại số trang."


class PagesSwapped(ScanError):
    code, rule = "PAGES_SWAPPED", "CA06"
    message = "Thứ tự trang không đúng; vui lòng sắp xếp và quét lại theo đúng thứ tự."


class PagesOrder(ScanError):
    """What the names of the files tell differs from the order that was declared: no fault, only worth a look."""

    code, rule = "PAGES_ORDER", "CA06"
    message = (
        "Tên các tệp quét cho thấy thứ tự khác với thứ tự đã nộp; vui lòng đối chiếu thứ tự trang với bản giấy, nếu "
        "sai thì đề nghị quét lại."
    )


class PagesDuplicate(ScanError):
    code, rule = "PAGES_DUPLICATE", "CA06"
    message = "Trang này trùng với trang {other}; vui lòng bỏ bản trùng và quét trang còn thiếu nếu có."


class OnePage(ScanError):
    code, rule = "ONE_PAGE", "CA06"
    message = "Tệp quét lại của một trang phải có đúng một trang nhưng có {found}; vui lòng quét lại riêng trang này."


class PageUnknown(ScanError):
    code, rule = "PAGE_UNKNOWN", "CA06"
    message = "Bản quét trước chỉ có {found} trang nên không có trang này để thay hoặc chèn; vui lòng ghi lại số trang."


class PageNotBlank(ScanError):
    code, rule = "PAGE_NOT_BLANK", "CA06"
    message = "Ảnh được đề nghị bỏ không phải trang trắng nên vẫn được giữ; vui lòng xem lại rồi quét lại giấy tờ này."


class NotePair(ScanError):
    code, rule = "NOTE_PAIR", "CA07"
    message = (
        "Trang có giấy ghi chú phải có hai ảnh của cùng trang: có ghi chú trước, đã bỏ ghi chú sau; vui lòng quét lại "
        "cả hai."
    )


class ComponentFiles(ScanError):
    code, rule = "COMPONENT_FILES", "CA10"
    message = "Tệp này đã dùng cho thành phần số {other}; mỗi thành phần phải có bản quét riêng, vui lòng quét lại."


class BuildFailed(SohoaError):
    """The PDF/A could not be written or didn't hold the images as they came: a fault of the software."""

    code, rule = "PDFA_BUILD", "CA09"
    message = "Không tạo được PDF/A đúng chuẩn từ bản quét; vui lòng báo quản trị viên."
