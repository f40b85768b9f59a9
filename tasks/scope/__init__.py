"""Phạm vi số hóa (QĐ 1333, Điều 4, 5): which papers are digitised, which are fragile, which are secret."""
