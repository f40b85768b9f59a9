"""One scan of a whole dossier: parted by sheets, by types, by numbers of pages; backs between fronts; what is kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
import pytest
import yaml
from PIL import Image
from sqlmodel import select

from blocks.catalog import Catalog
from blocks.objects import Bucket, ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.machine import move_document
from blocks.records.queries import documents
from blocks.records.states import DocumentState
from blocks.records.tables import AuditEntry, Dossier, Scan
from tasks.archive.reconcile import compare
from tasks.capture import again
from tasks.capture.document import capture
from tasks.capture.guard import inspect_guarded
from tasks.desk_views.history import history
from tasks.intake.batch import BatchUnfit
from tasks.intake.hand_in import hand_in
from tasks.intake.manifest import ManifestInvalid
from tasks.intake.origin import by_command
from tasks.intake.separators import separators_pdf
from tasks.intake.submission import register
from tasks.scope.quarantine import isolate
from tests.tasks.capture.pages_for_tests import DPI, SIZE, jpeg, paper, pdf_of, scanned

TYPES = ["LOCAL:GIAY-RA-VIEN", "LOCAL:01B-HSB", "LOCAL:CCCD"]


def sheet(kind: str = "", *, back: bool = False, seed: int = 90) -> bytes:
    """A separator as the product prints it, scanned."""
    procedure = {"": None, "LOCAL:GIAY-RA-VIEN": "1.001667"}[kind]
    page = pymupdf.open("pdf", separators_pdf(Catalog(), procedure))[1 if back else 0]
    drawn = page.get_pixmap(dpi=DPI)
    return jpeg(scanned(Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples), seed, skew=1.2))


def pages(*seeds: int) -> list[bytes]:
    return [jpeg(scanned(paper(seed), seed)) for seed in seeds]


def folder(
    place: Path, counts: list[int], batch: dict[str, Any] | None, files: dict[str, bytes], more: Any = None
) -> Path:
    place.mkdir()
    shared = {"dpi": DPI} | (more or {})
    declared = {
        "version": 1,
        "unit": "BHXH-TEST",
        "procedure": "1.001667",
        "captured_by": "tnhs.01",
        "originals": len(counts),
        "owner": {"kind": "PERSON", "id": "001170234567", "name": "Trần Văn Bình"},
        "components": [{"type": kind, "pages": count} | shared for kind, count in zip(TYPES, counts, strict=False)],
    }
    declared |= {"batch": batch} if batch else {}
    (place / "dossier.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    for name, data in files.items():
        (place / name).write_bytes(data)
    return place


def images_of(records: RecordsDatabase, objects: ObjectStore, path: Path, work: Path) -> list[list[str]]:
    """Hand in and register; for each paper the hashes of its images in order, as capture will find them."""
    registered = register(records, objects, hand_in(records, objects, path, by_command()))
    found = []
    for number, document in enumerate(registered.documents):
        with records.session() as session:
            query = select(Scan).where(Scan.document_id == document).order_by(Scan.ordinal)  # type: ignore[arg-type]
            scans = [(s.object_key, s.sha256) for s in session.exec(query)]
        hashes = []
        for place, (key, sha256) in enumerate(scans):
            out = work / f"{number}-{place}"
            out.mkdir()
            (out / "scan").write_bytes(objects.read(Bucket.INTAKE, key, sha256=sha256))
            hashes += [page.sha256 for page in inspect_guarded(out / "scan", DPI, out).pages]
        found.append(hashes)
    return found


def hashes(files: list[bytes], work: Path) -> list[str]:
    found = []
    for data in files:
        (work / "one").write_bytes(data)
        (work / "kept").mkdir(exist_ok=True)
        found.append(inspect_guarded(work / "one", DPI, work / "kept").pages[0].sha256)
    return found


def test_CA06_CA08_separators_part_a_pdf_and_the_images_stay_the_scanners(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    """A sheet before each paper, with its back; none of it gets into a paper; what came is kept as it came."""
    first, second = pages(1, 2), pages(3)
    unknown = compare(records, objects).unknown  # of other tests
    whole = pdf_of([sheet(), sheet(back=True), *first, sheet(seed=91), *second, sheet(back=True, seed=92)])
    path = folder(tmp_path / "d", [2, 1], {"files": ["all.pdf"]}, {"all.pdf": whole})
    assert images_of(records, objects, path, tmp_path) == [hashes(first, tmp_path), hashes(second, tmp_path)]
    with records.session() as session:
        dossier = session.exec(select(Dossier)).one()
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "part")).one()
        papers = [document.id for document in documents(session, dossier.id)]
        assert entry.details["cut"] == ["0/1/1", "0/1/2", "0/1/5", "0/1/7", "1/1/3", "1/1/4", "2/1/6"]
    (kept,) = objects.list(Bucket.INTAKE, f"{dossier.id}/batch/")
    assert objects.read(Bucket.INTAKE, kept, sha256=entry.details["files"][0]) == whole
    seen = compare(records, objects)
    assert seen.whole and seen.unknown == unknown
    # The same folder again: one dossier, parted once.
    hand_in(records, objects, path, by_command())
    # A secret paper leaves nothing behind, nor does the scan in which it lies; the other one stays.
    isolate(records, objects, papers[0], "MAT", "ld.01")
    places = ((Bucket.INBOX, f"{dossier.submission}/"), (Bucket.INTAKE, f"{dossier.id}/"))
    left = [key for bucket, place in places for key in objects.list(bucket, place) if ".yaml" not in key]
    assert len(left) == 2 and all(str(papers[1]) in key or "/c2/" in key for key in left)


def test_CA06_a_parted_paper_is_captured_without_the_sheet(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    whole = pdf_of([*pages(1), sheet(), *pages(3, 4)])
    path = folder(tmp_path / "d", [1, 2], {"files": ["all.pdf"]}, {"all.pdf": whole})
    registered = register(records, objects, hand_in(records, objects, path, by_command()))
    with records.session() as session:
        for document in documents(session, registered.dossier_id):
            for state in (DocumentState.PHAN_LOAI, DocumentState.CHO_SAO_CHUP):
                move_document(session, document, state, actor="system", rule="B3c")
    reports = [capture(records, objects, document) for document in registered.documents]
    assert [(report.ok, report.pages, report.problems) for report in reports] == [(True, 1, []), (True, 2, [])]


def test_CA06_sheets_that_name_a_type_part_in_any_order(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    first, second = pages(1), pages(2, 3)
    whole = pdf_of([*second, sheet("LOCAL:GIAY-RA-VIEN"), *first])
    # Declared: discharge paper, then list; scanned: list, then the sheet of the discharge paper.
    path = folder(tmp_path / "d", [1, 2], {"files": ["all.pdf"]}, {"all.pdf": whole})
    assert images_of(records, objects, path, tmp_path) == [hashes(first, tmp_path), hashes(second, tmp_path)]


def test_CA06_a_tiff_and_single_images_are_parted_and_keep_their_pixels(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    frames = [Image.open(io.BytesIO(data)).convert("RGB") for data in (*pages(1), sheet(), *pages(2))]
    made = io.BytesIO()
    frames[0].save(made, "TIFF", save_all=True, append_images=frames[1:], compression="jpeg", dpi=(DPI, DPI))
    path = folder(tmp_path / "d", [1, 1], {"files": ["all.tif"]}, {"all.tif": made.getvalue()})
    (tmp_path / "whole").mkdir()
    (tmp_path / "all.tif").write_bytes(made.getvalue())
    came = [page.sha256 for page in inspect_guarded(tmp_path / "all.tif", DPI, tmp_path / "whole").pages]
    assert images_of(records, objects, path, tmp_path) == [[came[0]], [came[2]]]


def test_CA06_without_sheets_the_declared_numbers_of_pages_part(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    files = {f"quet/{n}.jpg": data for n, data in enumerate(pages(1, 2, 3), 9)}  # 9, 10, 11
    path = folder(tmp_path / "d", [2, 1], {"files": ["quet/"]}, {})
    (path / "quet").mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    came = hashes(list(files.values()), tmp_path)
    assert images_of(records, objects, path, tmp_path) == [came[:2], came[2:]]


@pytest.mark.parametrize(
    ("duplex", "order"), [("BACKS_REVERSED", (1, 6, 2, 5, 3, 4)), ("BACKS_IN_ORDER", (1, 4, 2, 5, 3, 6))]
)
@pytest.mark.parametrize("as_batch", [True, False])
def test_CA06_backs_come_between_their_fronts(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore, duplex: str, order: tuple[int, ...], as_batch: bool
) -> None:
    """order: places in the scan of the pages in their order."""
    came = pages(1, 2, 3, 4, 5, 6)
    batch = {"files": ["all.pdf"], "duplex": duplex} if as_batch else None
    more = {} if as_batch else {"files": ["all.pdf"], "duplex": duplex}
    path = folder(tmp_path / "d", [6], batch, {"all.pdf": pdf_of(came)}, more)
    wanted = hashes(came, tmp_path)
    assert images_of(records, objects, path, tmp_path) == [[wanted[place - 1] for place in order]]


@pytest.mark.parametrize(
    ("counts", "scan", "batch", "told"),
    [
        ([1, 1, 1], lambda: [*pages(1), sheet(), *pages(2)], {}, "2 phần nhưng tờ khai có 3"),
        ([2, 2], lambda: pages(1, 2, 3), {}, "3 ảnh trong khi tờ khai cần 4"),
        ([3], lambda: pages(1, 2, 3), {"duplex": "BACKS_REVERSED"}, "số ảnh chẵn nhưng có 3"),
    ],
)
def test_CA06_what_doesn_t_fit_is_refused_with_what_to_do(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore, counts: list[int], scan: Any, batch: Any, told: str
) -> None:
    path = folder(tmp_path / "d", counts, {"files": ["all.pdf"]} | batch, {"all.pdf": pdf_of(scan())})
    before = list(objects.list(Bucket.INBOX, ""))
    with pytest.raises(BatchUnfit) as caught:
        hand_in(records, objects, path, by_command())
    assert told in caught.value.text and "vui lòng" in caught.value.text
    assert list(objects.list(Bucket.INBOX, "")) == before


def test_a_file_that_can_t_be_opened_is_named(tmp_path: Path, records: RecordsDatabase, objects: ObjectStore) -> None:
    locked = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf_of(pages(1)))) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(owner="x", user="y"))
    files = {"1.pdf": pdf_of(pages(1)), "2.pdf": locked.getvalue()}
    path = folder(tmp_path / "d", [2], {"files": ["1.pdf", "2.pdf"]}, files)
    with pytest.raises(BatchUnfit, match="tệp 2: Tệp PDF đặt mật khẩu"):
        hand_in(records, objects, path, by_command())


def test_nobody_declares_what_became_of_a_scan(tmp_path: Path, records: RecordsDatabase, objects: ObjectStore) -> None:
    path = folder(tmp_path / "d", [1], None, {})
    declared = yaml.safe_load((path / "dossier.yaml").read_text(encoding="utf-8"))
    declared["whole"] = {"files": ["batch/0001-0.pdf"], "cut": ["1/1/1"]}
    (path / "dossier.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ManifestInvalid):
        hand_in(records, objects, path, by_command())


BLANK = jpeg(scanned(Image.new("RGB", SIZE, (250, 250, 247)), 5))


def test_CA08_a_scan_that_a_person_parted_is_captured_so_and_the_record_says_how(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore
) -> None:
    """Moved, turned, left out: the images are the scanner's own, only how a page is shown is new."""
    whole = pdf_of([*pages(1, 2), BLANK, *pages(3)])
    parted = {
        "cut": ["1/1/4", "1/1/1", "2/1/2"],
        "left_out": ["1/3/BLANK"],
        "turned": ["1/1/180", "1/2/90"],
        "blank": ["1/3"],
    }
    path = folder(tmp_path / "d", [2, 1], {"files": ["all.pdf"], "parted": parted}, {"all.pdf": whole})
    wanted = hashes([*pages(3, 1), *pages(2)], tmp_path)
    assert images_of(records, objects, path, tmp_path) == [wanted[:2], wanted[2:]]
    with records.session() as session:
        dossier = session.exec(select(Dossier)).one()
        papers = [document.id for document in documents(session, dossier.id)]
        for document in documents(session, dossier.id):
            for state in (DocumentState.PHAN_LOAI, DocumentState.CHO_SAO_CHUP):
                move_document(session, document, state, actor="system", rule="B3c")
    reports = [capture(records, objects, paper) for paper in papers]
    assert [(report.ok, report.problems) for report in reports] == [(True, []), (True, [])]
    for report, turns in zip(reports, ([0, 180], [90]), strict=True):
        built = objects.read(Bucket.WORKING, str(report.file_key), sha256=str(report.file_sha256))
        with pikepdf.open(io.BytesIO(built)) as pdf:
            assert [int(page.obj.get("/Rotate", 0)) for page in pdf.pages] == turns
    with records.session() as session:
        document = documents(session, dossier.id)[0]
        scans = list(session.exec(select(Scan).where(Scan.document_id == document.id).order_by(Scan.ordinal)))  # type: ignore[arg-type]
        again._lately.clear()  # another process looks at what is signed
        assert again.rebuilt_sha256(objects, document, scans) == reports[0].file_sha256
        told = [event.sentence for event in history(session, dossier.id)]
    assert (
        "Tách bản quét chung thành từng giấy tờ, giữ nguyên tệp gốc; người sao chụp xem và tách; "
        "bỏ ra ảnh 3 (trang trắng); xoay ảnh 1, ảnh 2." in told
    )
    (kept,) = objects.list(Bucket.INTAKE, f"{dossier.id}/batch/")
    assert objects.unproven(Bucket.INTAKE, kept)[0] == whole


@pytest.mark.parametrize(
    ("parted", "told"),
    [
        ({"cut": ["1/1/1", "1/1/2"]}, "chưa được xếp"),  # a page that nobody speaks of
        ({"cut": ["1/1/1", "1/1/2", "3/1/3"]}, "giấy tờ 3"),  # not declared
        ({"cut": ["1/1/1", "1/1/2"], "left_out": ["1/3/FOREIGN"]}, "giấy tờ chưa có ảnh"),
    ],
)
def test_CA06_a_person_must_deal_with_each_page_and_each_paper(
    tmp_path: Path, records: RecordsDatabase, objects: ObjectStore, parted: Any, told: str
) -> None:
    whole = {"all.pdf": pdf_of(pages(1, 2, 3))}
    path = folder(tmp_path / "d", [2, 1], {"files": ["all.pdf"], "parted": parted}, whole)
    with pytest.raises(BatchUnfit, match=told):
        hand_in(records, objects, path, by_command())


def test_CA06_a_page_goes_to_one_paper_only(tmp_path: Path, records: RecordsDatabase, objects: ObjectStore) -> None:
    parted = {"cut": ["1/1/1", "2/1/1"]}
    whole = {"all.pdf": pdf_of(pages(1))}
    path = folder(tmp_path / "d", [1, 1], {"files": ["all.pdf"], "parted": parted}, whole)
    with pytest.raises(ManifestInvalid):
        hand_in(records, objects, path, by_command())


def test_CA06_blank_pages_are_told_and_stay(tmp_path: Path, records: RecordsDatabase, objects: ObjectStore) -> None:
    whole = pdf_of([*pages(1), BLANK, sheet(), *pages(2)])
    path = folder(tmp_path / "d", [2, 1], {"files": ["all.pdf"]}, {"all.pdf": whole})
    assert [len(images) for images in images_of(records, objects, path, tmp_path)] == [2, 1]
    with records.session() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.action == "part")).one()
        told = [event.sentence for event in history(session, session.exec(select(Dossier.id)).one())]
    assert entry.details["blank"] == ["1/2"] and any("ảnh 2 có vẻ trắng, vẫn giữ" in sentence for sentence in told)
