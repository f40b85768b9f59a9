"""What an officer reads about a signature: why it is not valid, and what to ask of whom. No codes."""

from __future__ import annotations

from collections.abc import Sequence

from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate

from blocks.clock import vietnam_time
from tasks.signing.verify_model import SignatureVerdict, Verdict

TITLES = {
    "OFFICER": "Chữ ký số cá nhân",
    "SIGNER": "Chữ ký số của người có thẩm quyền",
    "AGENCY": "Chữ ký số cơ quan",
    "MANIFEST": "Chữ ký số trên dữ liệu đặc tả",
    "OTHER": "Chữ ký số",
}
_CHANGED = "nội dung đã bị thay đổi sau khi ký"
_REVOKED = "chứng thư số đã bị thu hồi"
_WEAK = "chữ ký dùng thuật toán băm hoặc độ dài khóa không còn an toàn (như SHA-1); cần ký lại bằng SHA-256 trở lên"
_POLICY = "chữ ký nêu chính sách ký số mà hệ thống không kiểm tra được"
REASONS = {  # by code: every one that the verifier can give
    "CHANGED": _CHANGED,
    "UNREADABLE_AFTER": "phần ghi thêm vào tệp sau khi ký không đúng chuẩn PDF nên không xác định được đã thêm gì",
    "UNCOVERED": "chữ ký không bao trùm toàn bộ nội dung đã ký",
    "SIGNATURE_REMOVED": "tệp có dấu vết của chữ ký số đã bị gỡ bỏ khỏi ô ký",
    "ONLY_TIMESTAMP": "tệp chỉ có dấu thời gian, chưa có ai ký số",
    "NOT_SIGNED": "tệp chưa có chữ ký số",
    "INVALID": "có chữ ký số không hợp lệ",
    "INCOMPLETE": "tệp chưa đủ chữ ký số hoặc dấu thời gian",
    "PDF_DAMAGED": "tệp bị hỏng: không đọc được cấu trúc PDF hoặc chữ ký trong tệp",
    "CMS_DAMAGED": "không đọc được chữ ký rời kèm theo",
    "PDF_ENCRYPTED": "tệp đặt mật khẩu hoặc bị khóa quyền nên không kiểm tra được nội dung đã ký",
    "TOO_COMPLEX": "tệp quá lớn hoặc quá phức tạp nên không kiểm tra được chữ ký",
    "PDF_DIFFERS": "dữ liệu đặc tả này không mô tả tệp PDF kèm theo (của hồ sơ khác, hoặc đã cũ)",
    "MULTIPLE_SIGNERS": "một ô ký chứa chữ ký của nhiều người, trái chuẩn PAdES; mỗi người phải ký ở ô riêng",
    "SUBFILTER": "kiểu chữ ký quá cũ hoặc không theo chuẩn (không phải CMS/PAdES) nên không kiểm tra được",
    "NO_REVOCATION_ADDRESS": (
        "chứng thư số không ghi địa chỉ để kiểm tra thu hồi (CRL, OCSP) nên không ai biết còn hiệu lực hay không"
    ),
    AdESFailure.FORMAT_FAILURE.name: "dữ liệu của chữ ký không đúng định dạng",
    AdESFailure.HASH_FAILURE.name: _CHANGED,
    AdESFailure.SIG_CRYPTO_FAILURE.name: "chữ ký không khớp với chứng thư số",
    AdESFailure.REVOKED.name: _REVOKED,
    AdESFailure.NOT_YET_VALID.name: "chứng thư số chưa đến ngày có hiệu lực khi ký",
    AdESIndeterminate.SIG_CONSTRAINTS_FAILURE.name: "chữ ký không có dấu thời gian",
    AdESIndeterminate.CHAIN_CONSTRAINTS_FAILURE.name: (
        "chứng thư số không được cấp để ký văn bản, hoặc trái điều kiện của tổ chức chứng thực"
    ),
    AdESIndeterminate.CERTIFICATE_CHAIN_GENERAL_FAILURE.name: (
        "không xác nhận được chuỗi chứng thư số từ người ký đến tổ chức chứng thực được tin cậy"
    ),
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE.name: _WEAK,
    AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE.name: _WEAK,
    AdESIndeterminate.EXPIRED.name: "chứng thư số đã hết hạn khi ký",
    AdESIndeterminate.POLICY_PROCESSING_ERROR.name: _POLICY,
    AdESIndeterminate.SIGNATURE_POLICY_NOT_AVAILABLE.name: _POLICY,
    AdESIndeterminate.TIMESTAMP_ORDER_FAILURE.name: "các dấu thời gian của chữ ký mâu thuẫn với nhau",
    AdESIndeterminate.NO_SIGNING_CERTIFICATE_FOUND.name: "chữ ký không kèm chứng thư số của người ký",
    AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND.name: "chứng thư số không do tổ chức được tin cậy cấp",
    AdESIndeterminate.REVOKED_NO_POE.name: _REVOKED,
    AdESIndeterminate.REVOKED_CA_NO_POE.name: "chứng thư số của tổ chức chứng thực đã bị thu hồi",
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE.name: (
        "chứng thư số đã hết hạn hoặc chưa có hiệu lực, không có dấu thời gian chứng minh lúc ký còn hiệu lực"
    ),
    AdESIndeterminate.REVOCATION_OUT_OF_BOUNDS_NO_POE.name: (
        "dữ liệu kiểm tra thu hồi kèm theo nằm ngoài thời hạn của chứng thư số đã cấp ra nó"
    ),
    AdESIndeterminate.OUT_OF_BOUNDS_NOT_REVOKED.name: (
        "chứng thư số đã hết hạn, không có dấu thời gian chứng minh lúc ký"
    ),
    AdESIndeterminate.NO_POE.name: "không có bằng chứng về thời điểm ký trong khi chứng thư số còn hiệu lực",
    AdESIndeterminate.TRY_LATER.name: (
        "chưa kiểm tra được tình trạng thu hồi của chứng thư số; vui lòng kiểm tra lại sau"
    ),
    AdESIndeterminate.SIGNED_DATA_NOT_FOUND.name: "không tìm thấy dữ liệu đã được ký",
    AdESIndeterminate.GENERIC.name: "chữ ký không kiểm tra được theo chuẩn",
}
ASKS = {  # by code: what is asked of the sender, where "another file" would not say it
    "CHANGED": (
        "đề nghị bên gửi cung cấp tệp đúng như khi ký; nếu cần ghi số, ngày, đóng dấu, ghi chú thì thực hiện "
        "trước khi người đầu tiên ký, rồi các bên ký lại"
    ),
    "UNREADABLE_AFTER": "đề nghị bên gửi cung cấp tệp đúng như khi ký, không lưu lại bằng phần mềm khác",
    "PDF_ENCRYPTED": "đề nghị bên gửi bỏ mật khẩu, bỏ khóa quyền rồi ký lại",
    "TRY_LATER": "tệp chưa bị từ chối",
}
STAMPS = {  # why a time-stamp counts as none
    "UNTRUSTED": "do tổ chức ngoài danh sách tin cậy cấp",
    "TRY_LATER": "chưa kiểm tra được tình trạng thu hồi chứng thư số của tổ chức cấp dấu",
    "FUTURE": "ghi thời điểm sau lúc kiểm tra",
    "BEFORE_CERTIFICATE": "ghi thời điểm trước khi chứng thư số của người ký có hiệu lực",
    "NOT_VALID": "không hợp lệ",
}
MISSING = {
    "AGENCY": "tệp CHƯA CÓ chữ ký số cơ quan, hoặc phần đó đã bị cắt bỏ",
    "NOT_AGENCY": "chữ ký đặt tại vị trí chữ ký số cơ quan KHÔNG phải của cơ quan",
    "END": "phần cuối tệp bị cắt cụt hoặc bị ghi thêm dữ liệu ngoài phần đã ký",
    "ARCHIVE_STAMP": "tệp THIẾU dấu thời gian lưu trữ hợp lệ của chữ ký số cơ quan, hoặc phần đó đã bị cắt bỏ",
}


def reason(code: str) -> str:
    """Why a signature or a file is not valid, as the officer reads it."""
    return REASONS.get(code, "chữ ký không kiểm tra được")


def sentence(verdict: SignatureVerdict) -> str:
    """One sentence about one signature."""
    title = f"{TITLES[verdict.role]} của {verdict.signer}" if verdict.signer else TITLES[verdict.role]
    ours = verdict.role != "OTHER"
    if not ours:
        title += " (không phải của cơ quan này)"
    stamp = f"; dấu thời gian kèm theo không được tính vì {STAMPS[verdict.stamp]}" if verdict.stamp else ""
    if not verdict.valid:
        why = reason(verdict.code) + told_changes(verdict.changes) + stamp
        if verdict.code == "TRY_LATER":
            return f"{title} CHƯA kết luận được: {why}."
        ask = ASKS.get(verdict.code, "đề nghị bên gửi cung cấp tệp khác")
        ask = "báo quản trị viên" if ours else ask
        return f"{title} KHÔNG hợp lệ: {why}; vui lòng không sử dụng tệp này và {ask}."
    when = f", ký lúc {vietnam_time(verdict.signed_at)} theo dấu thời gian" if verdict.signed_at else ""
    mark = "; đây là chữ ký THỬ NGHIỆM (TEST), không có giá trị pháp lý" if verdict.test else ""
    return f"{title} hợp lệ{when}, nội dung nguyên vẹn{stamp}{mark}."


def told_changes(changes: Sequence[str]) -> str:
    """What came after a signature, in brackets; nothing where nothing is known."""
    return f" ({'; '.join(changes)})" if changes else ""


def summary(
    kind: str, digest: str, size: int, signatures: list[SignatureVerdict], missing: Sequence[str] = ()
) -> Verdict:
    """The verdict on a file by those on its signatures. missing: names in `MISSING`."""
    if all(item.valid for item in signatures):
        text = f"Tất cả {len(signatures)} chữ ký số hợp lệ."
        if missing:
            text = f"Các chữ ký số đang có hợp lệ, nhưng {'; '.join(MISSING[name] for name in missing)}; "
            text += "vui lòng không sử dụng như bản sao y."
            found = verdict_of(kind, "OK", text, digest, size, signatures)
            return found.model_copy(update={"code": "INCOMPLETE", "missing": list(missing)})
        return verdict_of(kind, "OK", text, digest, size, signatures)
    wrong = [item.code for item in signatures if not item.valid]
    if set(wrong) == {"TRY_LATER"}:
        text = f"Chưa kết luận được về {len(wrong)} trong {len(signatures)} chữ ký số: {reason('TRY_LATER')}."
    else:
        text = f"Có {len(wrong)} trong {len(signatures)} chữ ký số không hợp lệ; vui lòng không sử dụng tệp này."
    return verdict_of(kind, "INVALID", text, digest, size, signatures)


def verdict_of(kind: str, code: str, text: str, digest: str, size: int, signatures: list[SignatureVerdict]) -> Verdict:
    """Of a file that has this code."""
    return Verdict(
        kind=kind, valid=code == "OK", code=code, sentence=text, sha256=digest, size=size, signatures=signatures
    )
