"""What was handed in: declaration, kept originals, one submission one dossier."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState, DossierState
from blocks.records.tables import AuditEntry, Document, Dossier, Scan
from tasks.intake.hand_in import hand_in, submission_id
from tasks.intake.manifest import ManifestInvalid, NameNotNormalised, parse_manifest
from tasks.intake.names import sequence_of, stored_names
from tasks.intake.origin import by_command
from tasks.intake.submission import SubmissionUnknown, register

NAME = "Nguyễn Thị Hồng Ánh"
COMMAND = by_command()


def manifest(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "version": 1,
        "unit": "BHXH-TEST",
        "procedure": "1.001667",
        "captured_by": "tnhs.01",
        "originals": 1,
        "owner": {"kind": "PERSON", "id": "001199012345", "name": NAME, "birth_date": "1999-01-02"},
        "components": [{"type": "LOCAL:GIAY-RA-VIEN", "pages": 2, "dpi": 200, "files": ["a/0001.jpg", "a/0002.jpg"]}],
    }
    return {**base, **changes}


def folder(tmp_path: Path, data: dict[str, object], files: dict[str, bytes]) -> Path:
    root = tmp_path / "ho-so"
    root.mkdir()
    (root / "dossier.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


PAGES = {"a/0001.jpg": b"first", "a/0002.jpg": b"second"}


def test_B1_folder_becomes_a_dossier_with_kept_originals(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    submission = hand_in(records, objects, folder(tmp_path, manifest(), PAGES), COMMAND)
    registered = register(records, objects, submission)
    with records.session() as session:
        dossier = session.get_one(Dossier, registered.dossier_id)
        scans = session.exec(select(Scan).order_by(Scan.ordinal)).all()
        document = session.get_one(Document, registered.documents[0])
        assert (dossier.state, document.state) == (DossierState.NHAP, DocumentState.KHAI_BAO)
        assert dossier.owner_name == NAME and dossier.code is None
        assert [s.sequence for s in scans] == [1, 2]
        assert [objects.read(Bucket.INTAKE, s.object_key, sha256=s.sha256) for s in scans] == [b"first", b"second"]


def test_CO06_the_same_submission_twice_is_one_dossier(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    root = folder(tmp_path, manifest(), PAGES)
    first = register(records, objects, hand_in(records, objects, root, COMMAND))
    second = register(records, objects, hand_in(records, objects, root, COMMAND))
    assert first == second
    with records.session() as session:
        assert len(session.exec(select(Dossier)).all()) == 1
        assert len(session.exec(select(Scan)).all()) == 2
        assert len(session.exec(select(AuditEntry).where(AuditEntry.action == "register")).all()) == 1


def test_WH04_object_keys_and_audit_carry_no_personal_data(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    data = manifest(components=[{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": ["Nguyễn Thị Hồng Ánh 0007.jpg"]}])
    root = folder(tmp_path, data, {"Nguyễn Thị Hồng Ánh 0007.jpg": b"x"})
    register(records, objects, hand_in(records, objects, root, COMMAND))
    keys = [key for bucket in (Bucket.INBOX, Bucket.INTAKE) for key in objects.list(bucket, "")]
    assert keys and all(key.isascii() and "Nguy" not in key for key in keys)
    with records.session() as session:
        assert session.exec(select(Scan)).one().sequence == 1
        assert all(NAME not in str(entry.details) for entry in session.exec(select(AuditEntry)))


def test_B1_names_in_nfd_are_found_and_the_same_papers_are_one_submission(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    """As a Mac or its ZIP file writes them."""
    name = "Giấy ra viện 0007.jpg"
    data = manifest(components=[{"type": "LOCAL:GIAY-RA-VIEN", "pages": 1, "files": [name]}])
    ids = []
    for number, form in enumerate(("NFD", "NFC")):
        (tmp_path / str(number)).mkdir()
        root = folder(tmp_path / str(number), data, {unicodedata.normalize(form, name): b"x"})
        ids.append(hand_in(records, objects, root, COMMAND))
    assert ids[0] == ids[1]
    register(records, objects, ids[0])
    with records.session() as session:
        assert [scan.refused_code for scan in session.exec(select(Scan))] == [None]


@pytest.mark.parametrize("declared", [{}, {"files": ["c1/"]}])
def test_CA06_of_a_folder_without_an_order_the_names_give_it(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore, declared: dict[str, object]
) -> None:
    names = ["31012027_105958.jpg", "01022027_080003.jpg"]
    data = manifest(components=[{"type": "LOCAL:GIAY-RA-VIEN", "pages": 2, **declared}])
    files = {f"c1/{name}": name.encode() for name in reversed(names)} | {"c1/Thumbs.db": b"", "c1/._1.jpg": b""}
    register(records, objects, hand_in(records, objects, folder(tmp_path, data, files), COMMAND))
    with records.session() as session:
        scans = session.exec(select(Scan).order_by(Scan.ordinal)).all()
        assert [objects.read(Bucket.INTAKE, s.object_key, sha256=s.sha256).decode() for s in scans] == names


def test_a_declared_file_that_is_missing_waits_for_its_scan(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    submission = hand_in(records, objects, folder(tmp_path, manifest(), {"a/0001.jpg": b"first"}), COMMAND)
    register(records, objects, submission)
    with records.session() as session:
        codes = {s.ordinal: s.refused_code for s in session.exec(select(Scan))}
    assert codes == {1: None, 2: "FILE_MISSING"}


def test_B3a_a_supplement_corrects_the_declaration_but_drops_nothing(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    submission = hand_in(records, objects, folder(tmp_path, manifest(), PAGES), COMMAND)
    first = register(records, objects, submission)
    component = {"type": "LOCAL:01B-HSB", "pages": 1, "files": ["b/0001.jpg"]}
    more = manifest(procedure="2.000693", originals=2, components=[*manifest()["components"], component])  # type: ignore[misc]
    (tmp_path / "two").mkdir()
    root = folder(tmp_path / "two", more, {**PAGES, "b/0001.jpg": b"third"})
    hand_in(records, objects, root, COMMAND, submission=submission, revision=2)
    second = register(records, objects, submission, 2)
    assert second.dossier_id == first.dossier_id and len(second.documents) == 2
    with records.session() as session:  # each paper at the attempt that the supplement is
        assert {d.attempt for d in session.exec(select(Document))} == {2}
    (tmp_path / "three").mkdir()
    less = folder(tmp_path / "three", manifest(), PAGES)
    hand_in(records, objects, less, COMMAND, submission=submission, revision=3)
    with pytest.raises(ManifestInvalid):
        register(records, objects, submission, 3)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "nội dung"),
        (b"\xff\xfe", "UTF-8"),
        (b"a: [", "YAML"),
        (yaml.safe_dump(manifest(unit="có dấu")).encode(), "unit"),
        (yaml.safe_dump(manifest(extra=1)).encode(), "mục không có trong mẫu"),
        (yaml.safe_dump(manifest(components=[])).encode(), "components"),
        (yaml.safe_dump(manifest(components=[{"type": "X", "pages": 0}])).encode(), "pages"),
        (
            yaml.safe_dump(manifest(components=[{"type": "X", "pages": 1, "files": ["../../etc/passwd"]}])).encode(),
            "1: đường",
        ),
        (yaml.safe_dump(manifest(components=[{"type": "X", "pages": 1, "note_pages": [2]}])).encode(), "1: trang"),
        (b"x" * 1_000_001, "dung"),
    ],
)
def test_an_invalid_manifest_names_the_place(data: bytes, place: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(data)
    assert place in caught.value.text and NAME not in caught.value.text


def test_names_in_nfd_are_refused_without_repeating_them() -> None:
    name = unicodedata.normalize("NFD", NAME)
    data = manifest(owner={"kind": "PERSON", "id": None, "name": name})
    with pytest.raises(NameNotNormalised) as caught:
        parse_manifest(yaml.safe_dump(data, allow_unicode=True).encode())
    assert "owner.name" in caught.value.text and name not in caught.value.text


@pytest.mark.parametrize("submission", ["chua-nop-lan-nao", "../../x", "A" * 40, ""])
def test_an_unknown_submission_is_refused(records: RecordsDatabase, objects: ObjectStore, submission: str) -> None:
    with pytest.raises(SubmissionUnknown):
        register(records, objects, submission)


@given(st.integers(1, 99), st.permutations(range(1, 10)), st.text(max_size=20))
def test_stored_names_keep_the_declared_order_and_the_one_by_name_only(
    component: int, numbers: list[int], name: str
) -> None:
    clean = "".join(c for c in name if c.isalpha() and c.isascii())
    stored = stored_names(component, [f"{clean}-{number}.JPG" for number in numbers])
    assert stored == [f"c{component}/{place:04d}-{number}.jpg" for place, number in enumerate(numbers, 1)]
    assert [sequence_of(one) for one in stored] == list(numbers)


def test_the_id_of_a_folder_is_its_content(tmp_path: Path) -> None:
    root = folder(tmp_path, manifest(), PAGES)
    before = submission_id(root)
    assert before == submission_id(root)
    (root / "a/0002.jpg").write_bytes(b"other")
    assert submission_id(root) != before
