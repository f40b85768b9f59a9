"""Sao chụp giấy tờ (Điều 8): quality of pages, count and order, sticky notes, one PDF/A a component.

The names below are loaded at first use, so that the guarded process (`tasks.capture.guard`) stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.capture.document import CaptureReport, capture, capture_document
    from tasks.capture.numbers import check_printed_numbers

__all__ = ["CaptureReport", "capture", "capture_document", "check_printed_numbers"]


def __getattr__(name: str) -> Any:
    if name == "check_printed_numbers":
        from tasks.capture import numbers

        return numbers.check_printed_numbers
    if name in __all__:
        from tasks.capture import document

        return getattr(document, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
