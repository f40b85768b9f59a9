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
AGENCY_WORDS: Final = (
    "VIỆT NAM", "TỈNH", "THÀNH PHỐ", "HUYỆN", "QUẬN", "THỊ XÃ", "THỊ TRẤN", "PHƯỜNG", "XÃ", "NHÂN DÂN", "Y TẾ",
    "ĐA KHOA", "SẢN - NHI", "QUÂN DÂN Y", "KHU VỰC", "GIÁM ĐỊNH Y KHOA", "HỘI ĐỒNG GIÁM ĐỊNH Y KHOA", "NỘI VỤ",
    "LAO ĐỘNG - THƯƠNG BINH VÀ XÃ HỘI", "TÀI CHÍNH", "KẾ HOẠCH VÀ ĐẦU TƯ", "TƯ PHÁP", "GIÁO DỤC VÀ ĐÀO TẠO",
    "CÔNG THƯƠNG", "XÂY DỰNG", "GIAO THÔNG VẬN TẢI", "NÔNG NGHIỆP VÀ PHÁT TRIỂN NÔNG THÔN", "KHOA HỌC VÀ CÔNG NGHỆ",
    "THÔNG TIN VÀ TRUYỀN THÔNG", "VĂN HÓA, THỂ THAO VÀ DU LỊCH", "TÀI NGUYÊN VÀ MÔI TRƯỜNG", "CÔNG TY CỔ PHẦN",
    "CỔ PHẦN", "TNHH", "MTV", "MỘT THÀNH VIÊN", "TRÁCH NHIỆM HỮU HẠN", "THƯƠNG MẠI VÀ DỊCH VỤ", "THƯƠNG MẠI",
    "DỊCH VỤ", "SẢN XUẤT", "BAO BÌ", "NỘI THẤT", "ĐIỆN TỬ", "VẬN TẢI", "MAY MẶC", "CƠ KHÍ", "CHẾ BIẾN", "THỰC PHẨM",
)  # fmt: skip
PROVINCES: Final = (
    "AN GIANG", "BÀ RỊA - VŨNG TÀU", "BẮC GIANG", "BẮC KẠN", "BẠC LIÊU", "BẮC NINH", "BẾN TRE", "BÌNH ĐỊNH",
    "BÌNH DƯƠNG", "BÌNH PHƯỚC", "BÌNH THUẬN", "CÀ MAU", "CẦN THƠ", "CAO BẰNG", "ĐÀ NẴNG", "ĐẮK LẮK", "ĐẮK NÔNG",
    "ĐIỆN BIÊN", "ĐỒNG NAI", "ĐỒNG THÁP", "GIA LAI", "HÀ GIANG", "HÀ NAM", "HÀ NỘI", "HÀ TĨNH", "HẢI DƯƠNG",
    "HẢI PHÒNG", "HẬU GIANG", "HÒA BÌNH", "HƯNG YÊN", "KHÁNH HÒA", "KIÊN GIANG", "KON TUM", "LAI CHÂU", "LÂM ĐỒNG",
    "LẠNG SƠN", "LÀO CAI", "LONG AN", "NAM ĐỊNH", "NGHỆ AN", "NINH BÌNH", "NINH THUẬN", "PHÚ THỌ", "PHÚ YÊN",
    "QUẢNG BÌNH", "QUẢNG NAM", "QUẢNG NGÃI", "QUẢNG NINH", "QUẢNG TRỊ", "SÓC TRĂNG", "SƠN LA", "TÂY NINH",
    "THÁI BÌNH", "THÁI NGUYÊN", "THANH HÓA", "HUẾ", "THỪA THIÊN HUẾ", "TIỀN GIANG", "HỒ CHÍ MINH", "TRÀ VINH",
    "TUYÊN QUANG", "VĨNH LONG", "VĨNH PHÚC", "YÊN BÁI",
)  # fmt: skip
