"""Closed lists of words that the layout of administrative papers is recognised by."""

from __future__ import annotations

from typing import Final

# Nghị định 30/2020/NĐ-CP, Điều 7, and the legal documents of Luật Ban hành văn bản quy phạm pháp luật.
TYPES: Final = (
    "NGHỊ QUYẾT", "QUYẾT ĐỊNH", "CHỈ THỊ", "QUY CHẾ", "QUY ĐỊNH", "THÔNG CÁO", "THÔNG BÁO", "HƯỚNG DẪN",
    "CHƯƠNG TRÌNH", "KẾ HOẠCH", "PHƯƠNG ÁN", "ĐỀ ÁN", "DỰ ÁN", "BÁO CÁO", "BIÊN BẢN", "TỜ TRÌNH", "HỢP ĐỒNG",
    "CÔNG ĐIỆN", "BẢN GHI NHỚ", "BẢN THỎA THUẬN", "GIẤY ỦY QUYỀN", "GIẤY MỜI", "GIẤY GIỚI THIỆU", "GIẤY NGHỈ PHÉP",
    "PHIẾU GỬI", "PHIẾU CHUYỂN", "PHIẾU BÁO", "KẾT LUẬN", "LUẬT", "PHÁP LỆNH", "LỆNH", "NGHỊ ĐỊNH", "THÔNG TƯ",
)  # fmt: skip
AGENCY_HEADS: Final = (
    "ỦY BAN", "UBND", "HỘI ĐỒNG", "HĐND", "BỘ", "SỞ", "BẢO HIỂM XÃ HỘI", "BHXH", "BẢO HIỂM", "CỤC", "TỔNG CỤC",
    "CHI CỤC", "VĂN PHÒNG", "PHÒNG", "BAN", "TỈNH ỦY", "THÀNH ỦY", "HUYỆN ỦY", "ĐẢNG ỦY", "ĐẢNG", "CÔNG TY",
    "TỔNG CÔNG TY", "TẬP ĐOÀN", "BỆNH VIỆN", "TRUNG TÂM", "TRẠM Y TẾ", "TRƯỜNG", "VIỆN", "THANH TRA", "KHO BẠC",
    "NGÂN HÀNG", "TÒA ÁN", "CHÍNH PHỦ", "THỦ TƯỚNG", "QUỐC HỘI", "HỢP TÁC XÃ", "LIÊN ĐOÀN", "CÔNG ĐOÀN", "HỘI",
    "PHÒNG KHÁM", "ĐẠI HỌC", "HỌC VIỆN", "DOANH NGHIỆP", "NHÀ MÁY", "CHI NHÁNH", "CÔNG AN", "TỔNG LIÊN ĐOÀN",
    "CHỦ TỊCH", "KIỂM TOÁN", "ĐOÀN", "MẶT TRẬN", "XÍ NGHIỆP", "NHÀ HỘ SINH", "ỦY BAN NHÂN DÂN",
)  # fmt: skip
NOT_ISSUER: Final = ("CONG HOA", "DOC LAP", "KY BOI", "TRUNG TAM CONG BAO")
SIGNING_FORMS: Final = (
    "KT.", "TM.", "TL.", "TUQ.", "Q.", "CHỦ TỊCH", "PHÓ CHỦ TỊCH", "GIÁM ĐỐC", "PHÓ GIÁM ĐỐC", "TỔNG GIÁM ĐỐC",
    "PHÓ TỔNG GIÁM ĐỐC", "BỘ TRƯỞNG", "THỨ TRƯỞNG", "CỤC TRƯỞNG", "TRƯỞNG", "PHÓ TRƯỞNG", "CHÁNH", "PHÓ CHÁNH",
    "HIỆU TRƯỞNG", "THỦ TƯỚNG", "VIỆN TRƯỞNG", "THỦ TRƯỞNG",
)  # fmt: skip
