"""Danh mục (P10/11): dated YAML with sources behind one block."""

from blocks.catalog.block import Catalog
from blocks.catalog.models import (
    FOREVER,
    CalendarUnknown,
    CatalogueInvalid,
    DigitiseList,
    DocumentType,
    Procedure,
    ProcedureUnknown,
    Result,
    ResultUnknown,
    Retention,
    TypeUnknown,
)

__all__ = [
    "FOREVER",
    "CalendarUnknown",
    "Catalog",
    "CatalogueInvalid",
    "DigitiseList",
    "DocumentType",
    "Procedure",
    "ProcedureUnknown",
    "Result",
    "ResultUnknown",
    "Retention",
    "TypeUnknown",
]
