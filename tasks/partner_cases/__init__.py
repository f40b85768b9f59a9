"""Hồ sơ do hệ thống của đối tác chuyển đến: their cases, declarations, states and call-backs."""
