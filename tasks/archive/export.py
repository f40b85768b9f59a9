"""Nộp lưu hồ sơ điện tử (QĐ 1333, Điều 11.4–11.5; NĐ 30/2020, phụ lục VI): a filed dossier as a package for an archive.

A folder with the stored bytes of every record (signed PDF, manifest with its signature, validation reports), the data
of appendix VI as XML and CSV, and ``SHA256SUMS`` for ``sha256sum -c``. Bytes are checked against the records database
while they are copied; nothing is drawn on a signed page (docs/decisions/0007).
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel
from sqlmodel import Session, col, select

from blocks.catalog import Catalog
from blocks.clock import vietnam_day
from blocks.errors import Remedy, SohoaError
from blocks.ids import DossierId
from blocks.objects import Bucket, ObjectStore, digest
from blocks.records import RecordsDatabase
from blocks.records.audit import audit
from blocks.records.queries import documents, fields, find_dossier
from blocks.records.states import DossierState
from blocks.records.tables import ArchivedObject, Document, Dossier
from tasks.archive.store import STORED
from tasks.scope.decide import case_date

SUMS = "SHA256SUMS"
# Lengths of NĐ 30/2020, appendix VI; the identifying ones may not be cut.
DOSSIER_LENGTHS = {"Title": 500, "Maintenance": 30, "Rights": 30, "Language": 50, "Description": 500}
DOCUMENT_LENGTHS = {
    "TypeName": 100, "CodeNumber": 11, "CodeNotation": 30, "OrganName": 200, "Subject": 500, "Language": 30,
    "Description": 500, "Position": 100, "FullName": 50,
}  # fmt: skip
IDENTIFYING = {"OrganId": 13, "FileCatalog": 4, "FileNotation": 20}
NUMBER = re.compile(r"(\d+)\s*[/-]\s*(.+)")
Row = dict[str, str]


class NotFiled(SohoaError):
    """Only a case that has ended in the archive is handed over (Điều 11.4)."""

    code, rule, remedy = "NOT_FILED", "LU04", Remedy.OFFICER
    message = "Hồ sơ chưa lưu trữ xong nên chưa xuất được gói nộp lưu; vui lòng hoàn tất việc trả kết quả và lưu trữ."


class ExportFolderExists(SohoaError):
    """The target is there already: a package is never mixed with other files."""

    code, remedy = "EXPORT_FOLDER_EXISTS", Remedy.OFFICER
    message = "Thư mục xuất đã tồn tại; vui lòng chọn tên thư mục khác."


class IdentifierTooLong(SohoaError):
    """A part of FileCode is longer than appendix VI allows; cutting it would name another file."""

    code, remedy = "ARCHIVE_IDENTIFIER_TOO_LONG", Remedy.ADMINISTRATOR
    message = "{field} dài hơn {length} ký tự theo Phụ lục VI Nghị định 30/2020; vui lòng báo quản trị viên."


class ExportReport(BaseModel):
    """What was written. shortened: `ordinal.field` of texts cut to the length of appendix VI; whole in the manifest."""

    dossier_id: DossierId
    documents: int
    files: int
    shortened: list[str]


def export_dossier(
    records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, code: str, folder: Path, actor: str
) -> ExportReport:
    """Write the package of a dossier in LUU_TRU to `folder`, which must not exist and appears only when it is whole.

    The copy is noted in the audit trail (P14). Raises DossierUnknown, NotFiled, ExportFolderExists, IdentifierTooLong,
    ObjectMissing, IntegrityError (stored bytes differ from what was noted: nothing is exported).
    """
    if folder.exists():
        raise ExportFolderExists()
    shortened: list[str] = []
    with records.session() as session:
        dossier = find_dossier(session, code)
        if dossier.state is not DossierState.LUU_TRU:
            raise NotFiled()
        stored = [d for d in documents(session, dossier.id) if d.state in STORED or d.record_key]
        described = [_document_row(session, catalog, dossier, document, shortened) for document in stored]
        described_file = _dossier_row(catalog, dossier, stored, shortened)
        wanted = [(document.ordinal, newest) for document in stored for newest in _newest(session, document)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # 0700: it holds personal data
    try:
        for ordinal, item in wanted:
            place = half / f"{ordinal:03d}"
            place.mkdir(exist_ok=True)
            objects.download(
                Bucket.RECORDS, item.object_key, place / item.kind, version=item.version, sha256=item.sha256
            )
        _write_csv(half / "dossier.csv", [described_file])
        _write_csv(half / "documents.csv", described)
        _write_xml(half / "metadata.xml", described_file, described)
        count = _write_sums(half)
        with records.session() as session:
            details = {"documents": len(stored), "files": count, "sums": digest(half / SUMS)[0]}
            audit(session, actor=actor, action="export", dossier_id=dossier.id, rule="P14", details=details)
        os.rename(half, folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    return ExportReport(dossier_id=dossier.id, documents=len(stored), files=count, shortened=shortened)


def _newest(session: Session, document: Document) -> Iterable[ArchivedObject]:
    """Each object of the record as its last renewal left it."""
    query = (
        select(ArchivedObject)
        .where(col(ArchivedObject.document_id) == document.id, col(ArchivedObject.attempt) == document.attempt)
        .order_by(col(ArchivedObject.number))
    )
    return {row.kind: row for row in session.exec(query)}.values()


def _dossier_row(catalog: Catalog, dossier: Dossier, stored: list[Document], shortened: list[str]) -> Row:
    on = case_date(dossier)
    identity = {
        "OrganId": dossier.unit_id,
        "FileCatalog": str(on.year),
        "FileNotation": (dossier.code or "").removeprefix(f"{dossier.unit_id}-"),
    }
    for name, length in IDENTIFYING.items():
        if len(identity[name]) > length:
            raise IdentifierTooLong(field=name, length=length)
    terms = [catalog.retention(document.retention_class, on) for document in stored]
    years = None if any(term.years is None for term in terms) else max((term.years or 0 for term in terms), default=0)
    row = {
        "FileCode": ".".join(identity.values()),
        **identity,
        "Title": f"Hồ sơ {catalog.procedure(dossier.procedure_code, on).name}",
        "Maintenance": "Vĩnh viễn" if years is None else f"{years} năm",
        "Rights": "Hạn chế",  # [R] personal data
        "Language": "Tiếng Việt",
        "StartDate": _day(on),
        "EndDate": _day(dossier.result_at or dossier.received_at),
        "DocTotal": str(len(stored)),
        "PageTotal": str(sum(document.page_count or document.declared_pages for document in stored)),
        "Description": "",
    }
    return _fitted(row, DOSSIER_LENGTHS, "0", shortened)


def _document_row(
    session: Session, catalog: Catalog, dossier: Dossier, document: Document, shortened: list[str]
) -> Row:
    value = {row.name: row.value or "" for row in fields(session, document.id)}
    number = value.get("number_symbol", "")
    parts = NUMBER.fullmatch(number)
    issued = value.get("issue_date", "")
    row = {
        "DocOrdinal": str(document.ordinal),
        "TypeName": catalog.document_type(document.type_code, case_date(dossier)).name,
        "CodeNumber": parts[1] if parts else "",
        "CodeNotation": parts[2] if parts else number,
        "IssuedDate": _day(date.fromisoformat(issued)) if re.fullmatch(r"\d{4}-\d\d-\d\d", issued) else "",
        "OrganName": value.get("issuer", ""),
        "Subject": value.get("abstract", "") or value.get("title", ""),
        "Language": "Tiếng Việt",
        "PageAmount": str(document.page_count or document.declared_pages),
        "Description": document.code or "",
        "Position": "",  # no form reads the office of the signer yet
        "FullName": value.get("special.signer", ""),
        "Priority": "",
    }
    return _fitted(row, DOCUMENT_LENGTHS, str(document.ordinal), shortened)


def _fitted(row: Row, lengths: dict[str, int], ordinal: str, shortened: list[str]) -> Row:
    """Texts at most as long as the appendix allows; what was cut ends with … and is reported."""
    for name, length in lengths.items():
        if len(row[name]) > length:
            row[name] = row[name][: length - 1] + "…"
            shortened.append(f"{ordinal}.{name}")
    return row


def _day(at: date | datetime | None) -> str:
    day = vietnam_day(at) if isinstance(at, datetime) else at
    return day.strftime("%d/%m/%Y") if day else ""


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # the mark tells Excel that it is UTF-8
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["DocOrdinal"])
        writer.writeheader()
        writer.writerows(rows)


def _write_xml(path: Path, described_file: Row, described: list[Row]) -> None:
    root = ET.Element("File")
    for name, value in described_file.items():
        ET.SubElement(root, name).text = value
    listed = ET.SubElement(root, "Documents")
    for row in described:
        element = ET.SubElement(listed, "Document")
        for name, value in row.items():
            ET.SubElement(element, name).text = value
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _write_sums(folder: Path) -> int:
    """In the format of sha256sum, paths from the package's folder. Returns how many files are listed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{digest(path)[0]}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines))
    return len(files)
