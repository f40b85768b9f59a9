"""Kiểm tra, xác nhận dữ liệu và cấp mã (QĐ 1333, Điều 9.1, 9.3, 10)."""
