"""Bad input: each fault is refused with its own code, quickly and within bounds of memory (CA05, CA09)."""

from __future__ import annotations

import io
import struct
import time
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from blocks.errors import Remedy, SohoaError
from tasks.capture import errors, facts
from tasks.capture.file_checks import inspect_file
from tasks.capture.guard import inspect_guarded
from tests.samples import badfiles
from tests.tasks.capture.pages_for_tests import DPI, encoded, jpeg, paper, pdf_of, scanned


@lru_cache
def page_jpeg() -> bytes:
    return jpeg(scanned(paper(1)))


def refused(data: bytes, dpi: int = DPI) -> SohoaError:
    started = time.process_time()  # not the clock: the machine may be busy
    with pytest.raises(SohoaError) as caught:
        inspect_file(data, dpi)
    assert time.process_time() - started < 10
    assert caught.value.text and "{" not in caught.value.text
    return caught.value


def code(data: bytes, dpi: int = DPI) -> str:
    return refused(data, dpi).code


# -- what is accepted ---------------------------------------------------------------------------------------------
def test_CA09_jpeg_keeps_its_bytes(tmp_path: Path) -> None:
    found = inspect_file(page_jpeg(), DPI, tmp_path)
    page = found.pages[0]
    assert (found.media_type, page.width, page.height, page.dpi) == ("image/jpeg", 1654, 2339, (200, 200))
    assert Path(page.path or "").read_bytes() == page_jpeg()


def test_CA09_tiff_of_several_pages_is_lossless(tmp_path: Path) -> None:
    first, second = paper(1).resize((827, 1170)), paper(2).resize((827, 1170))
    data = encoded(first, "TIFF", save_all=True, append_images=[second], compression="tiff_lzw", dpi=(DPI, DPI))
    found = inspect_file(data, DPI, tmp_path)
    assert [page.media_type for page in found.pages] == ["image/png"] * 2
    for page, image in zip(found.pages, (first, second), strict=True):
        with Image.open(page.path or "") as kept:
            assert kept.tobytes() == image.tobytes()


def test_CA09_png_and_absent_metadata_are_accepted() -> None:
    assert inspect_file(encoded(paper(1), "PNG"), DPI).pages[0].dpi is None
    assert inspect_file(jpeg(paper(1), None), DPI).pages[0].dpi is None


def test_CA09_exif_orientation_without_resolution_is_no_claim() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    page = inspect_file(jpeg(paper(1), None, exif=exif.tobytes()), DPI).pages[0]
    assert (page.orientation, page.dpi) == (6, None)


def test_CA09_pdf_of_images_keeps_jpeg_bytes_and_rotation(tmp_path: Path) -> None:
    def turn(pdf: pikepdf.Pdf) -> None:
        pdf.pages[1].obj.Rotate = 90

    found = inspect_file(pdf_of([page_jpeg(), page_jpeg()], edit=turn), DPI, tmp_path)
    assert [page.orientation for page in found.pages] == [1, 6]
    assert Path(found.pages[0].path or "").read_bytes() == page_jpeg()


def test_CA09_invisible_text_of_the_scanner_is_no_objection() -> None:
    def text(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        page.Contents = pdf.make_stream(page.Contents.read_bytes() + b" BT 3 Tr /F1 9 Tf (abc) Tj ET")

    assert len(inspect_file(pdf_of([page_jpeg()], edit=text), DPI).pages) == 1


# -- size, type, bombs ----------------------------------------------------------------------------------------------
def test_FILE_EMPTY() -> None:
    assert code(b"") == "FILE_EMPTY"


def test_CA09_FILE_TOO_LARGE(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(facts.MAX_FILE_BYTES + 1)
    with pytest.raises(errors.FileTooLarge):
        inspect_file(path, DPI)


@pytest.mark.parametrize("data", [badfiles.office_file(), b"GIF89a" + b"0" * 99, b"HTTP/1.1 200 OK\r\n", b"\0"])
def test_CA09_FILE_TYPE(data: bytes) -> None:
    assert code(data) == "FILE_TYPE"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_CA05_FILE_TRUNCATED(share: float) -> None:
    for data in (page_jpeg(), encoded(paper(1), "PNG"), encoded(paper(1), "TIFF", compression="tiff_lzw")):
        assert code(data[: int(len(data) * share)]) == "FILE_TRUNCATED"


def test_CA09_IMAGE_BOMB_jpeg_png_tiff_frames() -> None:
    assert code(badfiles.bomb(page_jpeg())) == "IMAGE_BOMB"
    head = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert code(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))) == "IMAGE_BOMB"
    tiny = Image.new("RGB", (8, 8))
    frames = encoded(tiny, "TIFF", save_all=True, append_images=[tiny] * facts.MAX_PAGES)
    assert code(frames) == "IMAGE_BOMB"


def test_CA09_IMAGE_BOMB_inside_a_pdf() -> None:
    def huge(pdf: pikepdf.Pdf) -> None:
        image = pdf.pages[0].obj.Resources.XObject.Im0
        image.Width, image.Height = 30000, 30000

    def unfolding(pdf: pikepdf.Pdf) -> None:
        stream = pikepdf.Stream(pdf, b"")
        stream.write(zlib.compress(b" " * 100_000_000, 9), filter=Name.FlateDecode)
        pdf.pages[0].obj.Contents = stream

    assert code(pdf_of([page_jpeg()], edit=huge)) == "IMAGE_BOMB"
    assert code(pdf_of([page_jpeg()], edit=unfolding, compress_streams=False)) == "IMAGE_BOMB"


def test_CA09_IMAGE_BOMB_ends_in_the_guarded_process(tmp_path: Path) -> None:
    """A cross-reference stream that unfolds to 600 MB breaks the worker's limit; the next file is served again."""
    deep = zlib.compress(zlib.compress(bytes(600_000_000), 1), 9)
    head = b"1 0 obj<</Type/XRef/Size 9/W[1 4 2]/Root 2 0 R/Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n"
    body = b"%PDF-1.5\n" + head % len(deep) + deep + b"\nendstream endobj\nstartxref\n9\n%%EOF"
    path, good = tmp_path / "bomb.pdf", tmp_path / "good.jpg"
    path.write_bytes(body)
    good.write_bytes(page_jpeg())
    with pytest.raises(SohoaError) as caught:
        inspect_guarded(path, DPI)
    assert caught.value.code in {"IMAGE_BOMB", "PDF_DAMAGED"}
    assert inspect_guarded(good, DPI).pages[0].width == 1654


# -- PDF structure --------------------------------------------------------------------------------------------------
def test_PDF_ENCRYPTED_with_user_and_with_owner_password_only() -> None:
    for user in ("u", ""):
        locked = pdf_of([page_jpeg()], version="2.0", encryption=pikepdf.Encryption(user=user, owner="o", R=6))
        assert code(locked) == "PDF_ENCRYPTED"


def test_CA06_PDF_ZERO_PAGES() -> None:
    assert code(pdf_of([])) == "PDF_ZERO_PAGES"


def _root(**keys: object) -> bytes:
    def edit(pdf: pikepdf.Pdf) -> None:
        for key, value in keys.items():
            pdf.Root[Name("/" + key)] = value

    return pdf_of([page_jpeg()], edit=edit)


def test_PDF_ACTIVE_CONTENT_javascript_launch_xfa_annotation() -> None:
    action = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
    assert code(_root(OpenAction=action)) == "PDF_ACTIVE_CONTENT"
    assert code(_root(OpenAction=Dictionary(S=Name.Launch, F=String("cmd.exe")))) == "PDF_ACTIVE_CONTENT"
    assert code(_root(AcroForm=Dictionary(Fields=Array([]), XFA=String("<xdp/>")))) == "PDF_ACTIVE_CONTENT"
    assert code(_root(Names=Dictionary(JavaScript=Dictionary(Names=Array([]))))) == "PDF_ACTIVE_CONTENT"

    def annotation(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Annots = Array([Dictionary(Type=Name.Annot, Subtype=Name.Link, A=action, Rect=[0, 0, 9, 9])])

    assert code(pdf_of([page_jpeg()], edit=annotation)) == "PDF_ACTIVE_CONTENT"


def test_CA10_PDF_ATTACHMENTS() -> None:
    def attach(pdf: pikepdf.Pdf) -> None:
        pdf.attachments["x.exe"] = pikepdf.AttachedFileSpec(pdf, b"MZ", filename="x.exe")

    assert code(pdf_of([page_jpeg()], edit=attach)) == "PDF_ATTACHMENTS"


def test_CA01_PDF_SIGNED_by_pyhanko(tmp_path: Path) -> None:
    path = tmp_path / "signed.pdf"
    badfiles.signed(path, [page_jpeg()])
    assert code(path.read_bytes()) == "PDF_SIGNED"


def test_CA09_PDF_VERSION() -> None:
    assert code(pdf_of([page_jpeg()], version="1.3")) == "PDF_VERSION"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.995])
def test_CA05_PDF_DAMAGED_what_is_cut_off_is_not_made_anew(share: float) -> None:
    whole = pdf_of([page_jpeg()])
    assert code(whole[: int(len(whole) * share)]) in {"PDF_DAMAGED", "FILE_TRUNCATED"}


def test_CA05_a_table_of_objects_that_points_beside_them_is_made_anew(tmp_path: Path) -> None:
    whole = pdf_of([page_jpeg()])
    at = whole.rfind(b"startxref")
    for data in (whole[:at] + b"startxref\n99999999\n%%EOF\n", b"HTTP/1.1 200 OK\r\n\r\n" + whole, whole + bytes(3000)):
        found = inspect_file(data, DPI, tmp_path)
        assert Path(found.pages[0].path or "").read_bytes() == page_jpeg()


def test_CA01_born_digital_layered_and_partial_pages_are_no_captures() -> None:
    def born(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Contents = pdf.make_stream(b"BT /F1 12 Tf (Quyet dinh) Tj ET")

    def beside(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        half = page.Contents.read_bytes().replace(b"q ", b"q .5 0 0 .5 0 0 cm ")
        page.Contents = pdf.make_stream(half + b" 1 0 0 1 200 300 cm " + half)

    def part(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        page.MediaBox = Array([0, 0, float(page.MediaBox[2]) * 1.2, float(page.MediaBox[3])])

    for edit, wanted in ((born, "FILE_TYPE"), (beside, "PDF_LAYERS"), (part, "FILE_TYPE")):
        error = refused(pdf_of([page_jpeg()], edit=edit))
        assert (error.code, error.rule) == (wanted, "CA01")
        assert "Trang 1" in error.text


# -- dpi and colour -------------------------------------------------------------------------------------------------
def test_CA09_DPI_LOW_profile_metadata_and_inside_a_pdf() -> None:
    assert code(page_jpeg(), 150) == "DPI_LOW"
    assert code(jpeg(paper(1).resize((1240, 1754)), 150)) == "DPI_LOW"
    assert code(pdf_of([jpeg(paper(1).resize((1240, 1754)), None)], dpi=150)) == "DPI_LOW"


@pytest.mark.parametrize("claimed", [1, 72, 300, 211])
def test_CA09_DPI_METADATA_contradicts_the_profile(claimed: int) -> None:
    assert code(jpeg(paper(1), claimed)) == "DPI_METADATA"


def test_CA09_DPI_METADATA_five_percent_are_tolerated() -> None:
    assert inspect_file(jpeg(paper(1), 205), DPI)
    assert code(encoded(paper(1), "TIFF", dpi=(200, 100))) == "DPI_METADATA"


def test_CA09_DPI_METADATA_paper_that_does_not_exist() -> None:
    assert code(jpeg(Image.new("RGB", (300, 3000)), None)) == "DPI_METADATA"
    assert code(jpeg(paper(1), None), 300) == "DPI_METADATA"  # exactly A4 at 200 dpi, scanner said 300
    assert code(pdf_of([page_jpeg()], dpi=300), DPI) == "DPI_METADATA"


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_CA09_NOT_COLOUR(mode: str) -> None:
    data = encoded(paper(1).convert(mode), "TIFF", dpi=(DPI, DPI))
    assert code(data) == "NOT_COLOUR"


def test_CA09_NOT_COLOUR_inside_pdf_grey_palette_and_transparency() -> None:
    def grey(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.Resources.XObject.Im0.ColorSpace = Name.DeviceGray

    assert code(pdf_of([jpeg(paper(1).convert("L"))], edit=grey)) == "NOT_COLOUR"
    assert code(encoded(paper(1).convert("L").convert("P"), "PNG")) == "NOT_COLOUR"
    clear = Image.fromarray(np.full((2339, 1654, 4), 100, np.uint8), "RGBA")
    assert code(encoded(clear, "PNG")) == "NOT_COLOUR"


# -- whatever comes -------------------------------------------------------------------------------------------------
SMALL = jpeg(Image.effect_noise((400, 560), 40).convert("RGB"), 200)
SEEDS = (
    SMALL,
    encoded(Image.open(io.BytesIO(SMALL)), "PNG", dpi=(200, 200)),
    encoded(Image.open(io.BytesIO(SMALL)), "TIFF", compression="tiff_lzw", dpi=(200, 200)),
    pdf_of([SMALL, SMALL]),
)


@settings(max_examples=120, deadline=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(range(len(SEEDS))),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.floats(0.05, 1),
)
def test_CA08_mutated_files_end_in_facts_or_a_sentence(
    seed: int, edits: list[tuple[float, bytes]], keep: float
) -> None:
    data = bytearray(SEEDS[seed])
    for where, what in edits:
        at = int(where * (len(data) - len(what)))
        data[at : at + len(what)] = what
    try:
        found = inspect_file(bytes(data[: int(len(data) * keep)]), DPI)
        assert found.pages
    except errors.ScanError as error:
        assert error.text and error.remedy is Remedy.RESCAN


def test_every_error_has_a_sentence_and_a_rule() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SohoaError)]
    assert len({kind.code for kind in kinds}) >= 25
    assert all(kind.message.endswith(".") and kind.rule for kind in kinds if kind is not SohoaError)
