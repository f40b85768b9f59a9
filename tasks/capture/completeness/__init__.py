"""Kiểm tra đầy đủ và kỹ thuật của hồ sơ đã sao chụp (Điều 8.2): Great Expectations suites with rule ids."""
