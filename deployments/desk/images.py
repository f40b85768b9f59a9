"""Page images for officers: through the gateway, for one person, for 15 minutes; never an open link (WH04)."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from cachetools import LRUCache
from itsdangerous import BadData, URLSafeTimedSerializer

from blocks.errors import Remedy, SohoaError
from blocks.ids import DocumentId
from blocks.objects import Bucket, ObjectMissing, ObjectStore, StoredObject
from blocks.records import RecordsDatabase
from blocks.records.queries import file_of, get_document, get_dossier
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Scan
from tasks.capture.drawn import PageUndrawable, sheet_drawn, sheet_sizes
from tasks.capture.errors import ScanError
from tasks.capture.guard import draw_guarded
from tasks.intake.electronic_originals import scan_of

SECONDS = 900  # that an address is good for
WIDTH = 1240  # pixels of a shown page: A4 at 150 dpi
A4_HEIGHT = round(WIDTH * 297 / 210)
LARGE = 2 * WIDTH  # of one that is enlarged
KEPT_FILES, KEPT_IMAGES, KEPT_DRAFTS = 4, 60, 30
DRAFT, SCAN, ORIGINAL = "draft:", "scan:", "original:"
AT_ONCE = 10  # images that are drawn of a refused file each time that it is opened
PATH, FIRST = "/anh/", "t"  # a compressed token begins with a dot, and the gateway refuses paths with "/."


class ImageGone(SohoaError):
    """The address of the image is too old, somebody else's or made up, or the paper has no images (any more)."""

    code, rule = "IMAGE_GONE", "WH04"
    message = "Ảnh không còn mở được; vui lòng tải lại trang hồ sơ."
    remedy = Remedy.RETRY


@dataclass(frozen=True)
class Shown:
    """One page image: where it is and how big."""

    url: str
    number: int
    width: int
    height: int


class Images:
    """Makes addresses and the images behind them; what was drawn last is kept in memory, nowhere else."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore) -> None:
        self.records, self.objects = records, objects
        self._addresses = URLSafeTimedSerializer(secrets.token_bytes(32), salt="page-image")
        self._lock, self._guarded = threading.Lock(), threading.Lock()
        self._files: LRUCache[str, bytes] = LRUCache(KEPT_FILES)
        self._images: LRUCache[tuple[str, int, int], bytes] = LRUCache(KEPT_IMAGES)
        self._drafts: LRUCache[str, bytes] = LRUCache(KEPT_DRAFTS)

    def address(self, officer: str, document: DocumentId, page: int) -> str:
        """For an officer who was let in to this dossier just now. page: 1-based in the PDF."""
        return self._address(officer, str(document), page)

    def of_scan(self, officer: str, scan: UUID, number: int) -> str:
        """Address of an image of a file that capture refused, for who scans it again. number: 1-based in the file."""
        return self._address(officer, f"{SCAN}{scan}", number)

    def of_original(self, officer: str, document: DocumentId, page: int) -> str:
        """Address of a page of an electronic original, with what its signers put on it. page: 1-based."""
        return self._address(officer, f"{ORIGINAL}{document}", page)

    def _address(self, officer: str, name: str, page: int) -> str:
        return PATH + self.token(officer, name, page)

    def token(self, officer: str, name: str, page: int) -> str:
        """Names a page of something, for this officer, for a quarter of an hour."""
        return FIRST + str(self._addresses.dumps([officer, name, page]))

    def named(self, token: str, officer: str) -> tuple[str, int]:
        """What a token names, and the page. Raises ImageGone: too old, somebody else's, or made up."""
        try:
            whose, name, page = self._addresses.loads(token.removeprefix(FIRST), max_age=SECONDS)
        except (BadData, ValueError) as error:
            raise ImageGone() from error
        if whose != officer:
            raise ImageGone()
        return str(name), int(page)

    def of_draft(self, officer: str, pdf: bytes, unit: str) -> list[Shown]:
        """The pages of a unit's document that is stored nowhere yet, kept here until newer ones push it out."""
        name = f"{DRAFT}{hashlib.sha256(pdf).hexdigest()}:{unit}"
        with self._lock:
            self._drafts[name] = pdf
        return [
            Shown(self._address(officer, name, number), number, WIDTH, round(height * WIDTH / width))
            for number, (width, height) in enumerate(sheet_sizes(pdf), 1)
        ]

    def open(self, token: str, officer: str, width: int, units: Collection[str], leads: Collection[str] = ()) -> bytes:
        """JPEG. units: whose papers the officer may see at this moment; leads: where as a leader. Raises ImageGone."""
        document, page = self.named(token, officer)
        if document.startswith(DRAFT):
            if document.rpartition(":")[2] not in units:
                raise ImageGone()
            return self._draw(lambda: self._draft(document), document, page, width)
        if document.startswith(SCAN):
            return self._refused(UUID(document.removeprefix(SCAN)), page, width, units)
        if document.startswith(ORIGINAL):
            return self._original(DocumentId(UUID(document.removeprefix(ORIGINAL))), page, width, units)
        if ":" in document:  # of something else than an image
            raise ImageGone()
        with self.records.session() as session:
            row = get_document(session, DocumentId(UUID(document)))
            suspected = row.state is DocumentState.NGHI_MAT  # nobody else sees it, and it isn't kept (Điều 5.4)
            if get_dossier(session, row.dossier_id).unit_id not in (leads if suspected else units):
                raise ImageGone()
            stored, issued = file_of(row), row.is_issued
        if stored is None:
            raise ImageGone()
        # On an issued result the signatures belong to what is read; on a copy they would hide the paper's print.
        return self._draw(lambda: self._read(stored), stored.sha256, page, width, annotated=issued, keep=not suspected)

    def _read(self, stored: StoredObject) -> bytes:
        """Raises IntegrityError: no officer sees other bytes than the records name (CA08)."""
        return self.objects.read(stored.bucket, stored.key, version=stored.version, sha256=stored.sha256)

    def _draft(self, name: str) -> bytes:
        with self._lock:
            if (pdf := self._drafts.get(name)) is None:
                raise ImageGone()
        return pdf

    def _original(self, document: DocumentId, page: int, width: int, units: Collection[str]) -> bytes:
        """A page of an electronic original, from the file as it was handed in."""
        with self.records.session() as session:
            row = get_document(session, document)
            scan = scan_of(session, row)
            if scan is None or row.secret or get_dossier(session, row.dossier_id).unit_id not in units:
                raise ImageGone()
            key, sha256 = scan.object_key, scan.sha256
        return self._draw(
            lambda: self.objects.read(Bucket.INTAKE, key, sha256=sha256), ORIGINAL + sha256, page, width, annotated=True
        )

    def _refused(self, scan_id: UUID, number: int, width: int, units: Collection[str]) -> bytes:
        """Only while it is asked for again: not of a paper that was found secret meanwhile (SC13), nor an old scan."""
        with self.records.session() as session:
            scan = session.get_one(Scan, scan_id)
            document = session.get_one(Document, scan.document_id)
            if document.state is not DocumentState.CHUP_LAI or document.secret or scan.attempt != document.attempt:
                raise ImageGone()
            if get_dossier(session, document.dossier_id).unit_id not in units:
                raise ImageGone()
            stored = StoredObject(Bucket.INTAKE, scan.object_key, scan.version, scan.sha256, scan.size)
            version = SCAN + scan.sha256
        with self._guarded:  # one file at a time; the images of accepted papers come meanwhile
            with self._lock:
                if (known := self._images.get((version, number, width))) is not None:
                    return known
            first = (number - 1) // AT_ONCE * AT_ONCE + 1
            drawn = self._drawn_guarded(stored, first, width)
            with self._lock:
                self._images.update({(version, n, width): image for n, image in enumerate(drawn, first)})
        if number - first >= len(drawn):
            raise ImageGone()
        return drawn[number - first]

    def _drawn_guarded(self, stored: StoredObject, first: int, width: int) -> list[bytes]:
        """Images of a file that was never accepted: drawn in the guarded process. Raises ImageGone."""
        with TemporaryDirectory(prefix="sohoa-look-") as folder:
            original, out = Path(folder, "original"), Path(folder, "out")
            out.mkdir()
            try:
                self.objects.download(stored.bucket, stored.key, original, version=stored.version, sha256=stored.sha256)
                draw_guarded(original, out, first, AT_ONCE, width)
            except (ObjectMissing, ScanError) as error:
                raise ImageGone() from error
            return [path.read_bytes() for path in sorted(out.iterdir())]

    def _draw(
        self,
        read: Callable[[], bytes],
        version: str,
        page: int,
        width: int,
        *,
        annotated: bool = False,
        keep: bool = True,
    ) -> bytes:
        with self._lock:
            known, data = self._images.get((version, page, width)), self._files.get(version)
        if known is None:
            data = data if data is not None else read()
            try:
                known = sheet_drawn(data, page, width, annotated=annotated)
            except PageUndrawable as error:
                raise ImageGone() from error
        with self._lock:
            if not keep:
                self._files.pop(version, None)
                for key in [key for key in self._images if key[0] == version]:
                    del self._images[key]
                return known
            if data is not None:
                self._files[version] = data
            self._images[(version, page, width)] = known
            return known
