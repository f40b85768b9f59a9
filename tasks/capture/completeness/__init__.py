"""Kiểm tra đầy đủ và kỹ thuật của hồ sơ đã sao chụp (Điều 8.2): Great Expectations suites with rule ids.

Great Expectations itself is imported at the first check: it takes 11–15 s and 250 MB (prefect.md).
"""

from tasks.capture.completeness.check import CompletenessReport, check_completeness, check_dossier, insist_complete

__all__ = ["CompletenessReport", "check_completeness", "check_dossier", "insist_complete"]
