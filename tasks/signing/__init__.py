"""Ký số (QĐ 1333, Điều 8.1, 9.4): the officer signs the capture, the agency the result; both can be verified."""
