"""What is known of a captured dossier, as rows: one a component, one a page image. Ids, counts and hashes only.

Nothing is judged here: each column is a count, a hash, a measure as capture took it, or YES/NO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from blocks.ids import DossierId
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Page, Scan
from tasks.capture.facts import MM_PER_INCH
from tasks.capture.pages import layout

# Not (yet) to be captured: out of scope, reused, undecided, isolated (Điều 4, 5, 13.3).
NOT_CAPTURED = {
    DocumentState.KHAI_BAO,
    DocumentState.PHAN_LOAI,
    DocumentState.NGOAI_PHAM_VI,
    DocumentState.TAI_SU_DUNG,
    DocumentState.DE_HONG,
    DocumentState.XIN_Y_KIEN,
    DocumentState.KHONG_SO_HOA,
    DocumentState.NGHI_MAT,
    DocumentState.CACH_LY_MAT,
}
Row = dict[str, Any]


def dossier_facts(session: Session, dossier_id: DossierId) -> tuple[list[Row], list[Row]]:
    """(components, pages) of a dossier's papers that are to be captured, each at its current attempt."""
    query = select(Document).where(Document.dossier_id == dossier_id).order_by(col(Document.ordinal))
    components: list[Row] = []
    pages: list[Row] = []
    for document in session.exec(query):
        if document.state in NOT_CAPTURED or document.is_issued:
            continue
        scans = _of_attempt(session, Scan, document)
        images = sorted(_of_attempt(session, Page, document), key=lambda page: page.number)
        components.append(_component(document, scans, images))
        pages += _pages(document, images)
    return components, pages


def _of_attempt(session: Session, table: Any, document: Document) -> list[Any]:
    query = select(table).where(table.document_id == document.id, table.attempt == document.attempt)
    return list(session.exec(query))


def _component(document: Document, scans: Sequence[Scan], images: Sequence[Page]) -> Row:
    waiting = document.state in {DocumentState.CHO_SAO_CHUP, DocumentState.CHUP_LAI, DocumentState.DA_SAO_CHUP}
    return {
        "component": document.ordinal,
        "captured": _yes(not waiting),
        "typed": _yes(bool(document.type_code)),
        "files": len(scans),
        "refused_files": sum(1 for scan in scans if scan.refused_code),
        "expected": len(layout(document.declared_pages, document.note_pages)),
        "found": len(images),
        "dpi": document.scan_dpi,
        "built": _yes(document.file_sha256 is not None),
        "file_sha256": document.file_sha256,
    }


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def _pages(document: Document, images: Sequence[Page]) -> list[Row]:
    slots = layout(document.declared_pages, document.note_pages)
    rows = []
    for index, image in enumerate(images):
        slot = slots[index] if index < len(slots) else None
        quality = image.quality
        rows.append(
            {
                "component": document.ordinal,
                "page": image.paper_page,
                "dpi": image.dpi,
                "in_order": _yes(
                    image.number == index + 1 and slot is not None and slot.paper_page == image.paper_page
                ),
                "note_pair": _yes(slot is not None and slot.with_note == image.with_note),
                "short_mm": min(image.width, image.height) / image.dpi * MM_PER_INCH,
                "long_mm": max(image.width, image.height) / image.dpi * MM_PER_INCH,
                "image_sha256": image.image_sha256,
                "degrees": abs(quality["skew"]) if quality.get("skew") is not None else None,
                "cut_paper": int(quality.get("cut_paper", False)),
                **{name: quality.get(name) for name in ("ink_mm2", "edge_mm", "cut_letters", "cut_rules")},
            }
        )
    return rows
