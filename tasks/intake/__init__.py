"""Tiếp nhận (QĐ 1333, Điều 13.1–13.3): what is handed in, by whom, and what need not be handed in again."""
