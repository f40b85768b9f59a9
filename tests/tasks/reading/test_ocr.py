"""Reading the pages of a signed document (EX01, EX02, CA06, CA08, SC13) on real PostgreSQL, S3 and engine."""

from __future__ import annotations

import hashlib
import io
from uuid import UUID, uuid4

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sqlmodel import col, select

from blocks.errors import IntegrityError, InvalidTransition
from blocks.objects import Bucket, ObjectStore, document_key
from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import Line, PageText
from blocks.records import RecordsDatabase
from blocks.records.states import DocumentState
from blocks.records.tables import Document, Page, Scan
from tasks.reading.ocr import OcrReport, read_pages
from tasks.reading.secrecy import secrecy_level
from tests.samples.look import font
from tests.tasks.capture.pages_for_tests import jpeg, pdf_of
from tests.tasks.lawcase import get, make_dossier, walk_document

D = DocumentState
DPI = 150
ENGINE = OcrEngine()


class NoEngine(OcrEngine):
    """Proves that nothing is read: it fails when it is asked to."""

    _block_type_slug = "sohoa-no-engine"

    def read(self, image: object, dpi: int) -> PageText:
        raise AssertionError("a page was read again")


def page_image(text: str) -> bytes:
    image = Image.new("RGB", (827, 560), (250, 250, 247))
    ImageDraw.Draw(image).multiline_text((80, 90), text, font=font("Tinos", False, False, 26), fill=(20, 20, 20))
    return jpeg(image, DPI)


def signed_document(
    records: RecordsDatabase, objects: ObjectStore, images: list[bytes], notes: tuple[int, ...] = ()
) -> UUID:
    """A document in DA_KY_CA_NHAN with its PDF in WORKING and a row a page. notes: positions of with-note images."""
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    walk_document(records, ids[0], D.DA_KY_CA_NHAN)
    store_attempt(records, objects, ids[0], images, notes)
    return ids[0]


def store_attempt(
    records: RecordsDatabase, objects: ObjectStore, document_id: UUID, images: list[bytes], notes: tuple[int, ...] = ()
) -> None:
    pdf = pdf_of(images, dpi=DPI)
    with records.session() as session:
        document = session.get_one(Document, document_id)
        key = document_key(document.dossier_id, document.id, document.attempt, "officer.pdf")
        objects.put_once(Bucket.WORKING, key, pdf, content_type="application/pdf")
        document.file_key, document.file_sha256 = key, hashlib.sha256(pdf).hexdigest()
        scan = Scan(
            id=uuid4(), document_id=document.id, attempt=document.attempt, ordinal=1, object_key="k", sha256="", size=1
        )
        session.add(scan)
        session.flush()
        for number, data in enumerate(images, 1):
            session.add(
                Page(
                    document_id=document.id,
                    scan_id=scan.id,
                    attempt=document.attempt,
                    number=number,
                    paper_page=number,
                    with_note=number in notes,
                    width=827,
                    height=560,
                    dpi=DPI,
                    image_sha256=hashlib.sha256(data).hexdigest(),
                )
            )


def read(records: RecordsDatabase, objects: ObjectStore, engine: OcrEngine, document_id: UUID) -> OcrReport:
    return read_pages(records, objects, engine, document_id)[0]


def pages(records: RecordsDatabase, document_id: UUID) -> list[Page]:
    with records.session() as session:
        return list(session.exec(select(Page).where(Page.document_id == document_id).order_by(col(Page.number))))


def test_EX01_pages_are_read_once(records: RecordsDatabase, objects: ObjectStore) -> None:
    images = [page_image("GIẤY RA VIỆN\nHọ tên người bệnh: Trần Thị Thử"), page_image("Chẩn đoán: Viêm phổi")]
    document_id = signed_document(records, objects, images)
    report = read(records, objects, ENGINE, document_id)
    assert (report.pages, report.readable, report.reused) == (2, 2, 0)
    assert report.mean_confidence > 0.8 and report.secrecy is None and report.problems == []
    assert get(records, document_id).state is D.OCR
    for page in pages(records, document_id):
        assert page.readable and page.engine == ENGINE.name and page.text_key
        text = PageText.from_json(objects.unproven(Bucket.WORKING, page.text_key)[0])
        assert (text.width, text.height, text.dpi) == (827, 560, DPI)
    again = read(records, objects, NoEngine(), document_id)
    assert again.reused == 2 and again.mean_confidence == report.mean_confidence
    assert get(records, document_id).state is D.OCR


class Stopping(OcrEngine):
    """Reads one page, then the process dies."""

    def read(self, image: object, dpi: int) -> PageText:
        if self.__dict__.setdefault("read_before", False):
            raise KeyboardInterrupt
        self.__dict__["read_before"] = True
        return ENGINE.read(image, dpi)  # type: ignore[arg-type]


def test_EX01_reading_goes_on_where_it_was(records: RecordsDatabase, objects: ObjectStore) -> None:
    images = [page_image("Điều 1. Ban hành quy trình số hóa hồ sơ"), page_image("Điều 2. Hiệu lực thi hành")]
    document_id = signed_document(records, objects, images)
    with pytest.raises(KeyboardInterrupt):
        read(records, objects, Stopping(), document_id)
    assert read(records, objects, ENGINE, document_id).reused == 1


def test_CA08_a_text_that_somebody_laid_there_is_not_taken(records: RecordsDatabase, objects: ObjectStore) -> None:
    """Neither one under the page's key before it was read, nor one over the text that was read."""
    document_id = signed_document(records, objects, [page_image("Mức hưởng 1.000.000 đồng")])
    document = get(records, document_id)
    forged = ENGINE.read(np.asarray(Image.open(io.BytesIO(page_image("Mức hưởng 9.000.000 đồng"))).convert("RGB")), DPI)
    for name in ("page-0001.json", "page-0001-0123456789abcdef.json"):
        key = document_key(document.dossier_id, document.id, 1, name)
        objects.put_once(Bucket.WORKING, key, forged.to_json(), content_type="application/json")
    report, texts = read_pages(records, objects, ENGINE, document_id)
    assert report.reused == 0 and "1.000.000" in " ".join(line.text for line in texts[1].lines)
    [page] = pages(records, document_id)
    objects.client.put_object(Bucket=objects.bucket_name(Bucket.WORKING), Key=str(page.text_key), Body=forged.to_json())
    _, texts = read_pages(records, objects, NoEngine(), document_id)
    assert "1.000.000" in " ".join(line.text for line in texts[1].lines)


def test_EX01_a_rescan_reads_only_what_is_new(records: RecordsDatabase, objects: ObjectStore) -> None:
    same, other = page_image("Trang thứ nhất giữ nguyên"), page_image("Trang thứ hai quét lại")
    document_id = signed_document(records, objects, [same])
    read(records, objects, ENGINE, document_id)
    with records.session() as session:
        document = session.get_one(Document, document_id)
        document.attempt = 2
    store_attempt(records, objects, document_id, [same, other])
    report = read(records, objects, ENGINE, document_id)
    assert (report.pages, report.reused) == (2, 1)


def test_EX02_nothing_readable_goes_to_manual_entry(records: RecordsDatabase, objects: ObjectStore) -> None:
    document_id = signed_document(records, objects, [page_image("")])
    report = read(records, objects, ENGINE, document_id)
    assert (report.pages, report.readable, report.mean_confidence) == (1, 0, 0.0)
    assert get(records, document_id).state is D.NHAP_TAY
    assert pages(records, document_id)[0].readable is False


def test_CA01_unsigned_pages_are_not_read(records: RecordsDatabase, objects: ObjectStore) -> None:
    _, ids = make_dossier(records, ["LOCAL:GIAY-RA-VIEN"])
    walk_document(records, ids[0], D.DAT_KIEM_TRA)
    with pytest.raises(InvalidTransition):
        read(records, objects, NoEngine(), ids[0])


def test_CA08_altered_file_and_altered_image(
    records: RecordsDatabase, objects: ObjectStore, owner: RecordsDatabase
) -> None:
    document_id = signed_document(records, objects, [page_image("Một")])
    with records.session() as session:
        session.get_one(Document, document_id).file_sha256 = "0" * 64
    with pytest.raises(IntegrityError):
        read(records, objects, NoEngine(), document_id)
    other = signed_document(records, objects, [page_image("Hai")])
    with owner.session() as session:  # the app's role can't
        session.exec(select(Page).where(Page.document_id == other)).one().image_sha256 = "1" * 64
    with pytest.raises(IntegrityError):
        read(records, objects, NoEngine(), other)


def test_SC13_stamp_on_a_note_image_is_seen(records: RecordsDatabase, objects: ObjectStore) -> None:
    images = [page_image("THÔNG BÁO\n\n\n        TUYỆT MẬT"), page_image("THÔNG BÁO về việc triển khai")]
    document_id = signed_document(records, objects, images, notes=(1,))
    assert read(records, objects, ENGINE, document_id).secrecy == "TUYET_MAT"
    assert get(records, document_id).state is D.NGHI_MAT  # hidden at once, and nothing destroyed


def text_page(*lines: str, red: bool = False, confidence: float = 0.95) -> PageText:
    box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    return PageText(100, 100, 200, tuple(Line(text, confidence, box, red=red) for text in lines))


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("MẬT", "MAT"),
        ("TỐI MẬT", "TOI_MAT"),
        ("TUYỆT MẬT", "TUYET_MAT"),
        ("TUYET MAT", "TUYET_MAT"),
        ("|TỐI MẬT|", "TOI_MAT"),
        ("TỐI MẬTJ", "TOI_MAT"),  # the side of the frame
        ("Mật", None),
        ("BẢO MẬT", None),
        ("bí mật nhà nước", None),
        ("TRẦN THỊ MẬT", None),
        ("MẤT", None),
        ("MẶT TRƯỚC", None),
        ("Bảo vệ tài liệu TUYỆT MẬT", None),
    ],
)
def test_SC13_stamps_and_other_words(line: str, level: str | None) -> None:
    assert secrecy_level([text_page("Số: 12/BC-BHXH", line)]) == level


def placed(*lines: tuple[str, float, float]) -> PageText:
    """Lines of 40 px height at (x, y)."""
    made = [Line(words, 0.99, ((x, y), (x + 90, y), (x + 90, y + 40), (x, y + 40))) for words, x, y in lines]
    return PageText(1000, 1000, 300, tuple(made))


@pytest.mark.parametrize(
    ("page", "level"),
    [
        (placed(("SỐ TIỀN", 0, 0), ("TIỀN", 200, 0), ("MẶT", 200, 42)), None),  # the head of a column
        (placed(("TIỀN", 200, 0), ("MẬT", 200, 42)), None),  # read with the other mark
        (placed(("VẮNG", 0, 0), ("MẶT", 95, 0)), None),
        (placed(("KÝ NHẬN", 200, 0), ("MẶT", 200, 42)), None),  # a breve, and no stamp stands so near
        (placed(("Số: 12/BC", 0, 0), ("MẶT", 200, 400)), "MAT"),  # alone: a stamp whose mark was misread
        (placed(("Số: 12/BC", 200, 0), ("MẬT", 200, 42)), "MAT"),
        (placed(("TIỀN", 200, 0), ("TỐI MẬT", 200, 42)), "TOI_MAT"),
    ],
)
def test_SC13_a_word_of_a_table_is_no_stamp(page: PageText, level: str | None) -> None:
    assert secrecy_level([page]) == level


def test_SC13_a_list_with_a_column_for_cash_is_read_as_any_other(
    records: RecordsDatabase, objects: ObjectStore
) -> None:
    image = Image.new("RGB", (827, 560), (250, 250, 247))
    pen, head = ImageDraw.Draw(image), font("Tinos", True, False, 22)
    pen.text((414, 60), "DANH SÁCH NGƯỜI LAO ĐỘNG HƯỞNG TRỢ CẤP", font=head, fill=(20, 20, 20), anchor="mm")
    for place, words in enumerate(("HỌ VÀ TÊN", "SỐ TIỀN", "TIỀN\nMẶT", "KÝ\nNHẬN")):
        left = 60 + place * 180
        pen.rectangle((left, 120, left + 180, 190), outline=(20, 20, 20), width=2)
        pen.multiline_text((left + 90, 155), words, font=head, fill=(20, 20, 20), anchor="mm", align="center")
        pen.rectangle((left, 190, left + 180, 240), outline=(20, 20, 20), width=2)
    pen.text((70, 205), "Thử Văn An", font=font("Tinos", False, False, 22), fill=(20, 20, 20))
    document_id = signed_document(records, objects, [jpeg(image, DPI)])
    assert read(records, objects, ENGINE, document_id).secrecy is None
    assert get(records, document_id).state is D.OCR


def test_SC13_the_highest_of_several() -> None:
    assert secrecy_level([text_page("MẬT"), text_page("TỐI MẬT", red=True)]) == "TOI_MAT"
    assert secrecy_level([]) is None
