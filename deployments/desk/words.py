"""What was read of a paper, for who may see the paper: its words with their places, its whole text (Điều 9.1, 9.3).

Nothing is read anew: the texts lie beside the stored file, and come by the hash that the records name (CA08). Of a
paper that may be secret there is no text (tasks/scope/quarantine.py).
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectMissing, ObjectStore
from blocks.ocr.types import Line, PageText
from blocks.records import RecordsDatabase
from blocks.records.queries import get_document, get_dossier
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Page
from deployments.desk.images import ImageGone, Images

PATH, WORDS = "/chu/", "words:"
UNSEEN = {DocumentState.NGHI_MAT, DocumentState.CACH_LY_MAT}


class PlacedWord(BaseModel):
    """A word where it stands: pixels of the page's image as stored; line: in reading order, from 0."""

    text: str
    line: int
    x: float
    y: float
    width: float
    height: float


class Words:
    """images: makes the addresses, for one person and a quarter of an hour, as of the images themselves."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, images: Images) -> None:
        self.records, self.objects, self.images = records, objects, images

    def address(self, officer: str, document: DocumentId, page: int) -> str:
        """For an officer who was let in to this dossier just now. page: 1-based in the PDF."""
        return PATH + self.images.token(officer, f"{WORDS}{document}", page)

    def at(self, token: str, officer: str, units: Collection[str]) -> list[PlacedWord]:
        """units: whose papers the officer may see at this moment. Raises ImageGone."""
        name, number = self.images.named(token, officer)
        if not name.startswith(WORDS):
            raise ImageGone()
        with self.records.session() as session:
            document = get_document(session, DocumentId(UUID(name.removeprefix(WORDS))))
            if get_dossier(session, document.dossier_id).unit_id not in units:
                raise ImageGone()
            pages = _read(session, document)
        text = self._text(pages[number - 1]) if 1 <= number <= len(pages) else None
        return [word for n, line in enumerate(text.lines if text else ()) for word in _placed(line, n)]

    def texts(self, document_id: DocumentId) -> list[str]:
        """The text of each page, for who has been let in just now; empty where nothing was read."""
        with self.records.session() as session:
            pages = _read(session, get_document(session, document_id))
        found = [self._text(page) for page in pages]
        return [text.text if text else "" for text in found]

    def readable(self, session: Session, document_id: DocumentId) -> bool:
        return any(page.text_key for page in _read(session, get_document(session, document_id)))

    def _text(self, page: Page) -> PageText | None:
        """Raises IntegrityError when other bytes lie there (CA08)."""
        if not page.text_key or not page.text_sha256:
            return None
        try:
            data = self.objects.read(Bucket.WORKING, page.text_key, version=page.text_version, sha256=page.text_sha256)
        except ObjectMissing:
            return None  # copies of a closed dossier go after a while (tasks/archive/copies.py)
        return PageText.from_json(data)


def _read(session: Session, document: Document) -> list[Page]:
    """The pages of the current attempt in their order; none of a paper that isn't to be seen."""
    if document.state in UNSEEN or document.secret:
        return []
    query = select(Page).where(Page.document_id == document.id, Page.attempt == document.attempt)
    found = list(session.exec(query.order_by(col(Page.number))))
    for page in found:
        session.expunge(page)
    return found


def _placed(line: Line, number: int) -> list[PlacedWord]:
    """Its words, or the whole line where the reader gave no words."""
    words = [(word.text, word.box) for word in line.words] or [(line.text, line.box)]
    return [
        PlacedWord(text=text, line=number, x=x0, y=y0, width=max(x1 - x0, 1), height=max(y1 - y0, 1))
        for text, (x0, y0, x1, y1) in words
        if text.strip()
    ]
