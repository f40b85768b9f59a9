"""Names of files as scanners, phones and people write them, and declarations as people type them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from blocks.folder import Folder
from tasks.capture.pages import check_names
from tasks.intake.folder_files import FolderFiles
from tasks.intake.manifest import Manifest, ManifestInvalid, parse_manifest
from tasks.intake.names import sequence_of, stored_names
from tasks.intake.order import ranks
from tasks.partner_cases.declaration import checked
from tasks.partner_cases.errors import DeclarationInvalid
from tests.cases import Case, Otherwise

HASHES = ["f1e2d3c4b5a697887766554433221100.jpg", "0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg"]
RIGHT = {
    "Windows' scanner: the second of a day bears (2)": ["Scan_20270104.jpg", "Scan_20270104 (2).jpg"],
    "times with dashes, across the full hour": ["Hồ sơ 2027-01-04 09-59-58.jpg", "Hồ sơ 2027-01-04 10-00-04.jpg"],
    "day first, across the end of a month": ["31012027_105958.jpg", "01022027_080003.jpg"],
    "day first with dots, across the end of a year": ["31.12.2026 16h59.jpg", "01.01.2027 07h30.jpg"],
    "hashes of a messenger": HASHES,
    "a camera's counter that begins anew": ["DSC_9998.jpg", "DSC_9999.jpg", "DSC_0001.jpg"],
    "by content, with a year": ["CMND 2019.jpg", "Sổ hộ khẩu 2007.jpg", "Giấy ra viện.jpg"],
    "one of how many": ["Scan 1 of 12.jpg", "Scan 2 of 12.jpg", "Scan 10 of 12.jpg"],
    "numbers without zeros in front": ["trang 9.jpg", "trang 10.jpg", "trang 11.jpg"],
    "copies of one name": ["Image.jpg", "Image (2).jpg", "Image (3).jpg"],
    "milliseconds of a phone": ["Screenshot_2027-01-04-10-59-58-900.jpg", "Screenshot_2027-01-04-10-59-59-001.jpg"],
}
SWAPPED = {
    "a counter that falls": ["Scan0002.jpg", "Scan0001.jpg"],
    "of three the second first": ["Scan 2 of 3.jpg", "Scan 1 of 3.jpg", "Scan 3 of 3.jpg"],
}


def _told(names: Sequence[str]) -> list[str]:
    """What a component of these files is told, by the names under which they are kept."""
    kept = stored_names(1, names)
    return [problem.code for problem in check_names([(n, sequence_of(name)) for n, name in enumerate(kept, 1)])]


def _in_order(names: list[str]) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        if told := _told(names):
            raise Otherwise(f"{told} for a right order")
        for age, name in enumerate(reversed(names)):  # written in another order than the times say
            (folder / name).write_bytes(name.encode())
            os.utime(folder / name, (1_800_000_000 - age, 1_800_000_000 - age))
        with Folder(folder) as opened:
            listed = FolderFiles(opened).within(".")
        if listed != names and any(ranks(names)):
            raise Otherwise(f"folder without an order is taken as {listed}")
        if names == HASHES and listed != names:
            raise Otherwise(f"hashes are taken as {listed}, not by their times")
        return "accepted in the given order, also from a folder"

    return play


def _noticed(names: list[str]) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        if _told(names) != ["PAGES_ORDER"]:
            raise Otherwise(f"told {_told(names)}")
        return "accepted in the given order, with a notice"

    return play


DECLARED = """version: 1
unit: 00790
procedure: 1.001667
originals: 01
owner:
  kind: PERSON
  id: {id}
  name: {name}
  birth_date: {born}
components:
  - type: LOCAL:GIAY-RA-VIEN
    pages: 1
    flags: {{fragile: {fragile}}}
    files: [{file}]
"""


def _written(**values: str) -> bytes:
    usual = {"id": "001170234567", "name": "Trần Văn Bình", "born": "1970-02-28", "fragile": "no", "file": "1.jpg"}
    return DECLARED.format(**(usual | values)).encode()


def _as_text(number: str) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        owner = parse_manifest(_written(id=number)).owner
        if owner.id != number:
            raise Otherwise(f"taken as {owner.id}")
        return "taken as typed"

    return play


def _words(_: Path) -> str:
    """Names and codes that YAML 1.1 takes for truth values and numbers."""
    for name in ("No", "Yes", "On", "1_000", "12:30:45", "0x1F", "1e5", "2027-01-04"):
        read = parse_manifest(_written(name=name))
        if (read.owner.name, read.unit, read.procedure, read.originals) != (name, "00790", "1.001667", 1):
            raise Otherwise(f"{name} was taken as {read.owner.name}, {read.unit}, {read.originals}")
    for said, meant in {"yes": True, "on": True, "No": False, "off": False, "true": True}.items():
        if parse_manifest(_written(fragile=said)).components[0].flags.fragile is not meant:
            raise Otherwise(f"{said} isn't {meant}")
    return "text is text, yes and no are flags"


def _refused(line: int, write: str, **values: str) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        try:
            parse_manifest(_written(**values))
        except ManifestInvalid as error:
            if f"dòng {line}" not in error.text or write not in error.text:
                raise Otherwise(error.text) from None
            if any(value in error.text for value in values.values()):
                raise Otherwise(f"repeats what was typed: {error.text}") from None
            return f"refused: line {line} and what to write"
        raise Otherwise("accepted")

    return play


def _decomposed(in_folder: str, in_declaration: str) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        name = "Giấy ra viện của bố.jpg"
        (folder / unicodedata.normalize(in_folder, name)).write_bytes(b"scan")
        declared = parse_manifest(_written(file=unicodedata.normalize(in_declaration, name)))
        with Folder(folder) as opened:
            place = FolderFiles(opened).place_of(declared.components[0].files[0])
            if opened.read(place.as_posix(), 10) != b"scan":
                raise Otherwise("the file isn't found")
        return "found"

    return play


def _as_json(number: object) -> Callable[[Path], str]:
    def play(_: Path) -> str:
        body = {
            "version": 1,
            "unit": "BHXH-TEST",
            "procedure": "1.001667",
            "originals": 1,
            "owner": {"kind": "PERSON", "id": number, "name": "Trần Văn Bình"},
            "components": [{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1}],
        }
        try:
            read: Manifest = checked(body)
        except DeclarationInvalid as error:
            if isinstance(number, str) or "owner.id" not in str(error.fields):
                raise Otherwise(str(error.fields)) from None
            return "refused: text, with its zeros"
        if read.owner.id != number:
            raise Otherwise(f"taken as {read.owner.id}")
        return "taken as given"

    return play


def _batch_as_json(_: Path) -> str:
    body = {
        "version": 1,
        "unit": "BHXH-TEST",
        "procedure": "1.001667",
        "originals": 1,
        "owner": {"kind": "PERSON", "name": "Trần Văn Bình"},
        "whole": {"files": ["batch/0001-0.pdf"], "cut": ["1/1/1"]},
        "components": [{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "duplex": "BACKS_REVERSED"}],
    }
    try:
        checked(body)
    except DeclarationInvalid as error:
        if [fault["field"] for fault in error.fields] != ["whole", "components.0.duplex"]:
            raise Otherwise(str(error.fields)) from None
        return "refused: only of folders"
    raise Otherwise("accepted, and nobody would part it")


CASES = [
    *(
        Case(f"names: {kind}", "the order is the given one, no notice", _in_order(names))
        for kind, names in RIGHT.items()
    ),
    *(Case(f"names: {kind}", "accepted, and the officer is told", _noticed(names)) for kind, names in SWAPPED.items()),
    *(
        Case(f"declared number {kind}, without quotes", "taken as text", _as_text(number))
        for kind, number in {
            "of digits below 8": "001170234567",
            "with an 8 and a 9": "048068917294",
            "of the old kind, ten digits below 8": "0123456701",
            "of zeros in front": "0000000007",
            "with a dot": "0101234567.001",
        }.items()
    ),
    Case("words that YAML takes for something else", "text stays text", _words),
    Case("colon in a name", "line, and to put quotes", _refused(8, "ngoặc kép", name="Trần Văn Bình: con")),
    Case("day of birth as one writes it", "line, and how it is written", _refused(9, "1955-02-28", born="28/02/1970")),
    Case(
        "a day that isn't in the calendar", "line, and how it is written", _refused(9, "1955-02-28", born="1970-02-30")
    ),
    Case("spaces in an identity number", "line, and without them", _refused(7, "không dấu cách", id="001 170 234 567")),
    Case("underscores in an identity number", "line, and digits only", _refused(7, "chỉ gồm chữ số", id="001_170_234")),
    Case("a number as 12:30:45", "line, and digits only", _refused(7, "chỉ gồm chữ số", id="12:30:45")),
    Case("a flag in words", "line, and true or false", _refused(13, "true hoặc false", fragile="chưa rõ")),
    *(
        Case(f"file name {there} in the folder, {declared} in the declaration", "found", _decomposed(there, declared))
        for there, declared in (("NFD", "NFD"), ("NFD", "NFC"), ("NFC", "NFD"))
    ),
    Case("identity number as text in JSON", "taken", _as_json("001170234567")),
    Case("one scan of all papers declared by another program", "refused by name", _batch_as_json),
    Case("identity number as a number in JSON", "refused, its zeros are lost", _as_json(1170234567)),
]
