"""The counter's part of the pause `rescan`: which images are asked for, and new scans that come with the form."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, select
from starlette.datastructures import UploadFile

from blocks.catalog import Catalog
from blocks.errors import SohoaError
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import documents, get_dossier
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Dossier, Scan
from deployments.desk.images import A4_HEIGHT, WIDTH, Images
from deployments.desk.uploads import INPUT, saved
from tasks.capture.document import CaptureReport, outcome, places
from tasks.capture.errors import DpiLow, DpiMetadata, NotColour
from tasks.capture.rescan import blank_places, hand_in_rescan, page_label, requested_rescan
from tasks.intake.origin import Origin
from tasks.scope.decide import case_date

OFFERED = 40  # images of a component that each have an input of their own; the others by `sohoa rescan --page`
# Of a file that isn't taken: it opened, and what it shows can be looked at. Others are damaged, locked or hostile.
SEEN = {error.code for error in (DpiLow, DpiMetadata, NotColour)}


class PlaceMissing(SohoaError):
    """A page that was forgotten, without the place at which it belongs."""

    code, rule = "PLACE_MISSING", "CA06"
    message = "Vui lòng ghi số trang mà các ảnh chèn thêm của thành phần {component} bắt đầu."


@dataclass(frozen=True)
class RequestedScan:
    """A component that must be scanned again. asked, others: place of an image → how an officer calls it."""

    ordinal: int
    kind: str
    asked: dict[int, str]
    others: dict[int, str]
    blank: dict[int, str]  # images that were found blank, and may go
    short: bool  # some pages are missing: they can be put in


class Rescans:
    def __init__(self, records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, images: Images) -> None:
        self.records, self.objects, self.catalog, self.images = records, objects, catalog, images

    def asked(self, dossier_id: DossierId) -> list[RequestedScan]:
        with self.records.session() as session:
            on = case_date(get_dossier(session, dossier_id))
            found = []
            for document in documents(session, dossier_id, states=[DocumentState.CHUP_LAI]):
                again = requested_rescan(session, document)
                others = [place for place in places(document) if place not in again.places][:OFFERED]
                found.append(
                    RequestedScan(
                        document.ordinal,
                        self.catalog.document_type(document.type_code, on).name,
                        {place: page_label(document, place) for place in again.places},
                        {place: page_label(document, place) for place in others},
                        {place: f"ảnh {place}" for place in blank_places(session, document)},
                        again.short,
                    )
                )
            return found

    def refused(self, officer: str, dossier_id: DossierId) -> dict[int, list[dict[str, Any]]]:
        """The images that capture refused, by component, each with what is wrong with it.

        Only for who scans them again: nobody has read them yet, so a secrecy stamp on them isn't known (Điều 5.4).
        """
        found = {}
        with self.records.session() as session:
            for document in documents(session, dossier_id, states=[DocumentState.CHUP_LAI]):
                report = outcome(session, document.id, document.attempt)
                if report is not None and not report.ok and not document.secret:
                    found[document.ordinal] = self._pictures(session, document, report, officer)
        return found

    def _pictures(
        self, session: Session, document: Document, report: CaptureReport, officer: str
    ) -> list[dict[str, Any]]:
        query = select(Scan).where(Scan.document_id == document.id, Scan.attempt == document.attempt)
        scans = {scan.ordinal: scan for scan in session.exec(query)}
        files = report.files or sorted(scans)  # of reports that don't say: each file has one image
        known = report.pages == len(files) == len(places(document))  # else which page an image shows isn't known
        expected = places(document) if known else {}
        pictures = []
        for place, file in enumerate(files, 1):
            scan = scans[file]
            page = expected[place].paper_page if place in expected else None
            alone = files.count(file) == 1  # what is said of a file with several pages is said of none of them
            faults = [p for p in report.problems if p.file == file and (p.page == page if page and p.page else alone)]
            opened = scan.object_key and (scan.refused_code in SEEN or scan.media_type)
            number = files[: place - 1].count(file) + 1
            pictures.append(
                {
                    "url": self.images.of_scan(officer, scan.id, number) if opened else "",
                    "number": place,
                    "name": page_label(document, place) if expected else f"thành phần {document.ordinal}, ảnh {place}",
                    "faults": [fault.text for fault in faults],
                    "width": WIDTH,
                    "height": A4_HEIGHT,
                    "boxes": [],
                }
            )
        return sorted(pictures, key=lambda picture: not picture["faults"])  # what is wrong first

    def receive(
        self, origin: Origin, dossier: Dossier, form: Mapping[str, Any], files: Mapping[str, Sequence[UploadFile]]
    ) -> None:
        """Put the scans of the form into INBOX, as `sohoa rescan` does. Raises UploadRefused, PlaceMissing."""
        with self.records.session() as session:
            waiting = documents(session, dossier.id, states=[DocumentState.CHUP_LAI])
            attempts = {d.ordinal: d.attempt for d in waiting}
            blank = {
                d.ordinal: [n for n in blank_places(session, d) if form.get(f"drop.{d.ordinal}.{n}")] for d in waiting
            }
        with tempfile.TemporaryDirectory(prefix="sohoa-upload-") as folder:
            for ordinal, attempt in attempts.items():
                whole: list[Path] = []
                replaced: dict[int, Path] = {}
                inserted: dict[int, Path] = {}
                for name, uploads in files.items():
                    match = INPUT.fullmatch(name)
                    if match is None or int(match[1]) != ordinal:
                        continue
                    paths = [saved(upload, Path(folder) / f"{name}.{n:04d}", n) for n, upload in enumerate(uploads, 1)]
                    if match[2] is None:
                        whole = paths
                    elif match[2] == "insert":
                        inserted = dict(enumerate(paths, _first(form, ordinal)))
                    else:
                        replaced[int(match[2])] = paths[-1]
                removed = [] if whole else [place for place in blank[ordinal] if place not in replaced]
                if whole or replaced or inserted or removed:
                    hand_in_rescan(
                        self.records,
                        self.objects,
                        origin,
                        dossier.submission,
                        ordinal,
                        attempt + 1,
                        whole,
                        replaced=replaced,
                        inserted=inserted,
                        removed=removed,
                    )


def _first(form: Mapping[str, Any], ordinal: int) -> int:
    typed = str(form.get(f"insert-at.{ordinal}", "")).strip()
    if not re.fullmatch(r"\d{1,4}", typed) or int(typed) < 1:
        raise PlaceMissing(component=ordinal)
    return int(typed)
