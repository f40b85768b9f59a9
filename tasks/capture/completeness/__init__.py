"""Kiểm tra đầy đủ và kỹ thuật của hồ sơ đã sao chụp (Điều 8.2): one Great Expectations suite over its facts."""
