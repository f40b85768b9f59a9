"""Nhận dạng chữ (QĐ 1333, Điều 9.1): the pages are read once, and a picture shows operations where."""
