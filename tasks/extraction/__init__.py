"""Bóc tách dữ liệu (Điều 9.2): from read pages to the fields a–l, each with value, confidence, page, box and rule.

The steps below are loaded at first use, so that `fields` and `normalise` stay light to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.extraction.document import ExtractionReport, extract_document, extract_fields

__all__ = ["ExtractionReport", "extract_document", "extract_fields"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from tasks.extraction import document

        return getattr(document, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
