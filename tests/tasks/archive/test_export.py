"""LU04, P14: the package of a filed dossier, from the real object store."""

from __future__ import annotations

import csv
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.errors import IntegrityError
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.codes import assign_dossier_code
from blocks.records.states import DossierState
from blocks.records.tables import ArchivedObject, AuditEntry, Dossier
from tasks.archive.export import ExportFolderExists, IdentifierTooLong, NotFiled, export_dossier
from tasks.archive.store import store_record
from tests.tasks.decided import close_as_returned
from tests.tasks.lawcase import NAME, OWNER_ID, RECEIVED, make_dossier, put_signed, set_fields, walk_dossier

CATALOG = Catalog()
CODE = "BHXH-TEST-261120-0001"


def filed(
    records: RecordsDatabase, objects: ObjectStore, *, close: bool = True, unit: str = "BHXH-TEST"
) -> dict[str, bytes]:
    """A stored dossier; returns the bytes of its record."""
    dossier_id, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"], unit_id=unit, received_at=RECEIVED)
    with records.session() as session:
        assign_dossier_code(session, session.get_one(Dossier, dossier_id), actor="test", at=RECEIVED)
    set_fields(records, ids[0], number_symbol="352/QĐ-BHXH", issue_date="2020-03-06", issuer="Bệnh viện Bạch Mai",
               abstract="Giấy ra viện " + "dài " * 200, full_name=NAME)  # fmt: skip
    walk_dossier(records, dossier_id, DossierState.KY_CO_QUAN)
    files = put_signed(records, objects, ids[0])
    store_record(records, objects, CATALOG, ids[0], "gq.01")
    if close:
        close_as_returned(records, dossier_id)
    return files


def test_LU04_the_package_holds_the_stored_bytes_their_data_and_sums(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    files = filed(records, objects)
    folder = tmp_path / "out" / "package"
    report = export_dossier(records, objects, CATALOG, CODE, folder, "luu.tru")
    assert (folder / "001/record.pdf").read_bytes() == files["agency.pdf"]
    assert (folder / "001/manifest.json").read_bytes() == files["manifest.json"]
    assert (folder / "001/manifest.p7s").read_bytes() == files["manifest.p7s"]
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert listed == present - {"SHA256SUMS"} and report.files == len(listed) == 6
    assert folder.stat().st_mode & 0o077 == 0

    root = ET.parse(folder / "metadata.xml").getroot()
    assert root.findtext("FileCode") == "BHXH-TEST.2026.261120-0001"
    assert (root.findtext("DocTotal"), root.findtext("Maintenance")) == ("1", "70 năm")
    assert root.findtext("StartDate") == "20/11/2026"
    with (folder / "documents.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["CodeNumber"], row["CodeNotation"], row["IssuedDate"]) == ("352", "QĐ-BHXH", "06/03/2020")
    assert row["OrganName"] == "Bệnh viện Bạch Mai" == root.findtext("Documents/Document/OrganName")
    assert len(row["Subject"]) == 500 and row["Subject"].endswith("…") and report.shortened == ["1.Subject"]

    with records.session() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "export")).one()
        assert (entry.actor, entry.rule) == ("luu.tru", "P14")
        assert OWNER_ID not in str(entry.details) and NAME not in str(entry.details)


def test_LU04_only_filed_cases_into_a_new_folder(
    records: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    filed(records, objects, close=False)
    with pytest.raises(NotFiled):
        export_dossier(records, objects, CATALOG, CODE, tmp_path / "package", "luu.tru")
    with pytest.raises(ExportFolderExists):
        export_dossier(records, objects, CATALOG, CODE, tmp_path, "luu.tru")
    assert list(tmp_path.iterdir()) == []


def test_CA08_bytes_that_differ_are_not_exported(
    records: RecordsDatabase, owner: RecordsDatabase, objects: ObjectStore, tmp_path: Path
) -> None:
    filed(records, objects)
    with owner.session() as session:
        row = session.exec(select(ArchivedObject).where(ArchivedObject.kind == "record.pdf")).one()
        row.sha256 = "0" * 64
        session.add(row)
    with pytest.raises(IntegrityError):
        export_dossier(records, objects, CATALOG, CODE, tmp_path / "package", "luu.tru")
    assert list(tmp_path.iterdir()) == []
    with records.session() as session:
        assert session.exec(select(AuditEntry).where(AuditEntry.action == "export")).all() == []


def test_an_identifier_is_never_cut(records: RecordsDatabase, objects: ObjectStore, tmp_path: Path) -> None:
    filed(records, objects, unit="BHXH-MOT-DON-VI")
    with pytest.raises(IdentifierTooLong):
        export_dossier(records, objects, CATALOG, "BHXH-MOT-DON-VI-261120-0001", tmp_path / "package", "luu.tru")
