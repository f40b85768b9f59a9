"""Lưu trữ (QĐ 1333, Điều 11): locked records, paper, preservation, disposal, export."""
