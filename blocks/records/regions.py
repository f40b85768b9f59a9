"""The part of an image that is one paper's, where two papers lie on it (Điều 8.2, 9.2).

The image itself stays whole, in the copy that is signed as in the scan; what is read of it is limited.
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from blocks.ids import DocumentId, DossierId
from blocks.records.tables import Document, Page, Scan

Part = tuple[float, float, float, float]  # x0, y0, x1, y1: shares of the image as stored, 0 to 1


def parts_of(session: Session, document_id: DocumentId, attempt: int) -> dict[int, Part]:
    """Number of a page in the PDF → its part; pages that are the paper's as a whole are missing."""
    query = select(Scan).where(Scan.document_id == document_id, Scan.attempt == attempt)
    parts = {scan.id: scan.parts for scan in session.exec(query) if scan.parts}
    if not parts:
        return {}
    found: dict[int, Part] = {}
    for number, (scan_id, place) in places_in_files(session, document_id, attempt).items():
        if part := parts.get(scan_id, {}).get(str(place)):
            found[number] = (part[0], part[1], part[2], part[3])
    return found


def split_off(session: Session, dossier_id: DossierId) -> set[DocumentId]:
    """Components that nobody declared at the counter: they were found on the image of another one."""
    query = select(Scan).join(Document, col(Scan.document_id) == Document.id)
    first = session.exec(query.where(Document.dossier_id == dossier_id, Scan.attempt == 1))
    return {scan.document_id for scan in first if scan.parts}


def places_in_files(session: Session, document_id: DocumentId, attempt: int) -> dict[int, tuple[UUID, int]]:
    """Number of a page in the PDF → its scan's id, and which page of that file it is, from 1."""
    query = select(Page).where(Page.document_id == document_id, Page.attempt == attempt)
    found: dict[int, tuple[UUID, int]] = {}
    seen: dict[UUID, int] = {}
    for page in session.exec(query.order_by(col(Page.number))):
        seen[page.scan_id] = seen.get(page.scan_id, 0) + 1
        found[page.number] = (page.scan_id, seen[page.scan_id])
    return found
