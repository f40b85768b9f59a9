"""The real engine on real pages (EX01) and on pages that can't be read (EX02)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError
from rapidfuzz import fuzz

from blocks.ocr.engine import MODELS, OcrEngine, OcrModelMissing, _is_handwriting
from blocks.ocr.geometry import upright
from blocks.ocr.isolated_digits import read_lone_numbers
from blocks.ocr.line_crops import cut
from blocks.ocr.readers import RawLine
from blocks.ocr.types import PageText
from tasks.reading.secrecy import secrecy_level
from tests.bench.pages import drawn_pages
from tests.blocks.ocr.scoring import error_rate
from tests.samples.look import font

PAGES = Path(__file__).with_name("pages")
SCAN, BORN = "s_05CT_p1", "w_05_p1"


def pixels(name: str) -> np.ndarray:
    with Image.open(PAGES / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))


def truth(name: str) -> str:
    return (PAGES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


@pytest.fixture(scope="module")
def scan(engine: OcrEngine) -> PageText:
    return engine.read(pixels(SCAN), 100)


def blank_page(text: str = "", ink: tuple[int, int, int] = (20, 20, 20)) -> Image.Image:
    page = Image.new("RGB", (1654, 2339), (250, 250, 247))
    ImageDraw.Draw(page).multiline_text((180, 200), text, font=font("Tinos", False, False, 44), fill=ink, spacing=26)
    return page


def test_EX01_genuine_scan(scan: PageText) -> None:
    assert scan.readable
    assert error_rate(truth(SCAN), scan.text) < 0.03
    assert scan.text.index("UỶ BAN") < scan.text.index("/CT-UBND") < scan.text.index("CỘNG HÒA")  # the head by columns


def test_EX01_page_born_in_word(engine: OcrEngine) -> None:
    page = engine.read(pixels(BORN), 200)
    assert error_rate(truth(BORN), page.text) < 0.03


def test_words_stand_in_their_lines(scan: PageText) -> None:
    for line in scan.lines:
        assert " ".join(word.text for word in line.words) == line.text
        x0, y0, x1, y1 = line.box
        starts = [word.box[0] for word in line.words]
        assert starts == sorted(starts)
        for word in line.words:
            assert x0 - 1 <= word.box[0] <= word.box[2] <= x1 + 1
            assert y0 - 1 <= word.box[1] <= word.box[3] <= y1 + 1
    assert PageText.from_json(scan.to_json()) == scan


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_orientation_and_way_back(engine: OcrEngine, scan: PageText, turns: int) -> None:
    page = engine.read(np.ascontiguousarray(np.rot90(pixels(SCAN), turns)), 100)
    assert page.rotation == 90 * turns
    assert fuzz.ratio(page.text, scan.text) > 99
    # The box of a line, turned with the image, is where the line was found in the turned image.
    line, turned = scan.lines[5], page.lines[5]
    x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    for turn in range(turns):
        x, y = y, (scan.width if turn % 2 == 0 else scan.height) - x
    assert turned.text == line.text
    assert (turned.box[0] + turned.box[2]) / 2 == pytest.approx(x, abs=4)
    assert (turned.box[1] + turned.box[3]) / 2 == pytest.approx(y, abs=4)


def test_skewed_page_is_levelled(engine: OcrEngine) -> None:
    image = pixels(BORN)
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -4.0, 1.0)
    skewed = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    page = engine.read(np.asarray(skewed, dtype=np.uint8), 200)
    assert page.skew == pytest.approx(4.0 + engine.read(image, 200).skew, abs=0.4)
    assert error_rate(truth(BORN), page.text) < 0.04
    assert page.lines[0].polygon[1][1] - page.lines[0].polygon[0][1] > 10  # back on the skewed image


def test_EX02_blank_page(engine: OcrEngine) -> None:
    page = engine.read(np.asarray(blank_page()), 200)
    assert (page.readable, page.reason, page.lines) == (False, "BLANK", ())


def test_EX02_low_resolution(engine: OcrEngine) -> None:
    page = engine.read(pixels(SCAN), 72)
    assert (page.readable, page.reason, page.lines) == (False, "LOW_DPI", ())


def test_EX02_handwriting_is_not_read_into_words(engine: OcrEngine) -> None:
    page = blank_page()
    draw, rng = ImageDraw.Draw(page), np.random.default_rng(5)
    for row in range(14):
        at = np.array([180.0, 260.0 + row * 130])
        for _ in range(40):
            steps = rng.normal(0, 26, (6, 2)).cumsum(0)
            draw.line([tuple(p) for p in at + steps], fill=(40, 40, 120), width=5)
            at[0] += 32
    assert not engine.read(np.asarray(page), 200).readable


def test_SC13_red_stamp_over_text_hides_nothing(engine: OcrEngine) -> None:
    text = "Căn cứ Luật Bảo hiểm xã hội\nBảo hiểm xã hội tỉnh thông báo\nthời hạn nộp hồ sơ là sáu ngày"
    page = blank_page(text)
    layer = Image.new("RGB", page.size, (255, 255, 255))
    ImageDraw.Draw(layer).ellipse((250, 160, 620, 480), outline=(205, 30, 40), width=14)
    stamped = (np.asarray(page, np.uint16) * np.asarray(layer, np.uint16) // 255).astype(np.uint8)
    page = Image.fromarray(stamped)
    draw = ImageDraw.Draw(page)
    draw.text((1000, 900), "TỐI MẬT", font=font("Tinos", True, False, 60), fill=(205, 30, 40))
    read = engine.read(np.asarray(page), 200)
    assert error_rate(text + " TỐI MẬT", read.text) < 0.06
    assert secrecy_level([read]) == "TOI_MAT"


def test_engine_says_which_models_read() -> None:
    name = OcrEngine().name
    assert "PP-OCRv6_tiny_det@" in name and "paddleocr 3.7" in name and "onnxruntime" in name
    by_paddle = OcrEngine(engine="paddle").name
    assert by_paddle.endswith("paddlepaddle 3.3.1 f32") and by_paddle.split(" + ")[:4] == name.split(" + ")[:4]


def test_missing_model_names_what_to_do() -> None:
    with pytest.raises(OcrModelMissing, match="quản trị viên"):
        OcrEngine(recogniser="no-such-model").read(np.zeros((20, 20, 3), np.uint8), 200)


@pytest.mark.parametrize(
    ("engine", "other", "runner"),
    [("onnxruntime", "paddle", "ONNXRuntimeRunner"), ("paddle", "onnxruntime", "PaddleStaticRunner")],
)
def test_the_engine_is_a_setting_and_the_other_one_computes_digits_at_most(
    engine: str, other: str, runner: str
) -> None:
    code = f"""
import sys, numpy as np
from PIL import Image
from blocks.ocr.engine import OcrEngine
engine = OcrEngine.get()
with Image.open({str(PAGES / f"{SCAN}.jpg")!r}) as image:
    page = engine.read(np.asarray(image.convert("RGB")), 100)
assert page.readable and len(page.lines) > 20
pipeline = engine._loaded().reader._pipeline.paddlex_pipeline._pipeline
assert type(pipeline.text_det_model.runner).__name__ == {runner!r}, pipeline.text_det_model.runner
assert type(engine._loaded().reader._lines._run).__name__ == {runner!r}
assert {engine!r} in sys.modules
assert ({other!r} in sys.modules) is ({other!r} == "onnxruntime")  # for the digits
"""
    environment = os.environ | {"SOHOA_OCR_ENGINE": engine, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOHOA_OCR_ENGINE", "tesseract")
    with pytest.raises(ValidationError, match="'onnxruntime' or 'paddle'"):
        OcrEngine.get()


def test_EX01_both_engines_read_the_same(scan: PageText) -> None:
    """Nearly: onnxruntime may compute in bfloat16."""
    by_paddle = OcrEngine(engine="paddle")
    for name, dpi, by_onnx in ((SCAN, 100, scan), (BORN, 200, OcrEngine().read(pixels(BORN), 200))):
        read = by_paddle.read(pixels(name), dpi)
        assert len(read.lines) == len(by_onnx.lines)
        assert fuzz.ratio(read.text, by_onnx.text) > 99.5
        assert error_rate(truth(name), read.text) < 0.03
    turned = by_paddle.read(np.ascontiguousarray(np.rot90(pixels(SCAN), 1)), 100)
    assert turned.rotation == 90 and fuzz.ratio(turned.text, scan.text) > 99


def test_each_network_but_that_of_digits_is_there_for_both_engines() -> None:
    forms = [file for folder in MODELS.iterdir() for file in folder.glob("*.onnx") if folder.name != "sohoa-digits"]
    assert len(forms) == 3
    assert all(file.with_suffix(suffix).exists() for file in forms for suffix in (".json", ".pdiparams"))


def test_one_letter_is_not_read_twice_with_other_marks(engine: OcrEngine) -> None:
    """Where two readings of a letter peak in neighbouring columns: `Nẵng`, not `Nẵằng`; `hươu` keeps its vowels."""
    lines = engine._loaded().reader._lines  # type: ignore[attr-defined]

    def decoded(*columns: tuple[str, float]) -> str:
        probabilities = np.zeros((len(columns), len(lines._characters)), np.float32)
        for column, (character, sure) in zip(probabilities, columns, strict=True):
            column[lines._characters.index(character) if character else 0] = sure
        return str(lines._decode(probabilities, len(columns))[0])

    assert decoded(("N", 0.9), ("ẵ", 0.6), ("ằ", 0.5), ("n", 0.9), ("g", 0.9)) == "Nẵng"
    assert decoded(("N", 0.9), ("ẵ", 0.5), ("ằ", 0.6), ("n", 0.9), ("g", 0.9)) == "Nằng"
    assert decoded(("h", 0.9), ("ư", 0.9), ("ơ", 0.9), ("u", 0.9)) == "hươu"
    assert decoded(("l", 0.9), ("ư", 0.9), ("u", 0.9)) == "lưu"
    assert decoded(("a", 0.9), ("", 0.9), ("á", 0.9)) == "aá"


@pytest.mark.parametrize("shape", [(0, 0), (0, 40), (40, 0)])
def test_pieces_without_pixels_hold_no_text(engine: OcrEngine, shape: tuple[int, int]) -> None:
    assert engine._loaded().reader.recognise([np.zeros(shape, np.uint8)]) == [("", 0.0)]


@pytest.mark.parametrize("size", [(0, 0), (90, 0), (0, 90), (1, 1)])
def test_degenerate_polygons_are_cut_and_read_without_failing(engine: OcrEngine, size: tuple[int, int]) -> None:
    view = upright(np.full((300, 400), 250, np.uint8), skew=0.0).view((0, 0, 400, 300))
    (x, y), (width, height) = (100, 100), size
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    text, _ = engine._loaded().reader.recognise([cut(view, [corners])[0][0]])[0]
    assert not text.strip()


@pytest.mark.long
def test_memory_stays_below_a_gigabyte() -> None:
    code = (
        "import numpy as np; from PIL import Image; from blocks.ocr.engine import OcrEngine;"
        f"image = Image.open({str(PAGES / (BORN + '.jpg'))!r}).convert('RGB').resize((2480, 3508));"
        "OcrEngine().read(np.asarray(image), 300);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )  # not ru_maxrss: it begins with the peak of the process that started this one, here pytest's
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 1_000_000  # KiB


@pytest.mark.parametrize(
    ("text", "confidence", "kept"),
    [
        ("Dân tộc: Kinh", 0.75, True),
        ("Họ và tên cha", 0.55, False),
        ("CVV", 0.84, False),  # a signature
        ("Nam", 0.95, True),
        ("Nẵng", 0.84, True),  # the end of a cell
        ("25,5", 0.84, True),
        ("X", 0.55, True),  # a tick
        ("X", 0.45, False),
        ("MINH", 0.85, False),  # of a stamp
        ("HI", 0.85, False),
        ("Y", 0.85, False),
        ("6", 0.85, False),
        ("Nẵng", 0.65, False),
        ("MẬT", 0.45, True),  # SC13
        ("TUYỆT MAT", 0.41, True),
    ],
)
def test_SC13_short_scrawls_are_dropped_but_never_a_secrecy_stamp(text: str, confidence: float, kept: bool) -> None:
    assert _is_handwriting(RawLine(text, confidence, np.zeros((4, 2)), ())) is not kept


def test_EX01_a_filled_line_with_leaders_is_not_lost(engine: OcrEngine) -> None:
    """The detector scores the whole line, and dots draw it down: the text before them was dropped with them."""
    page = next(drawn_pages(1, 424242))  # a phone photo of a giấy chứng sinh
    text = engine.read(page.pixels, page.dpi).text.replace("\n", " ")
    lines = [line for line in page.text.splitlines() if ": " in line]
    assert len(lines) >= 12
    assert not [line for line in lines if fuzz.partial_ratio(line, text) < 80]


def test_EX01_numbers_that_stand_alone_are_read(engine: OcrEngine) -> None:
    """The serial numbers of a table: a tight box round one digit is no line of text to the recogniser."""
    page = Image.new("RGB", (1654, 2339), (250, 250, 247))
    draw, face, grey = ImageDraw.Draw(page), font("Tinos", False, False, 33), (50, 50, 50)
    for row in range(2, 10):
        y = 300 + 60 * row
        for x, text in ((172, str(row)), (240, "Nguyễn Thị Minh Hằng"), (632, "Kế toán trưởng")):
            draw.text((x, y), text, font=face, fill=grey)
        draw.rectangle((160, y - 12, 1500, y + 48), outline=grey, width=2)
        draw.line((232, y - 12, 232, y + 48), fill=grey, width=2)
    found = [line.text for line in engine.read(np.asarray(page), 200).lines]
    assert sorted(text for text in found if text in "23456789") == list("23456789")
    assert found.count("Nguyễn Thị Minh Hằng") == 8


def test_EX02_what_is_no_number_stays_doubtful(engine: OcrEngine) -> None:
    """A narrow box is read again only as a number: a sign or a scrawl doesn't become one."""
    scrawl = RawLine("Đề", 0.2, np.array([[100, 100], [140, 100], [140, 150], [100, 150]], np.float64))
    other = [RawLine("Bảo hiểm xã hội", 0.99, np.array([[100, 300], [500, 300], [500, 350], [100, 350]], np.float64))]

    class Reader:
        def __init__(self, text: str, score: float) -> None:
            self.answer = (text, score)

        def recognise(self, crops: list[np.ndarray]) -> list[tuple[str, float]]:
            return [self.answer for _ in crops]

    page = np.full((600, 800), 250, np.uint8)
    page[110:140, 115:125] = 20
    sheet = upright(page, skew=0.0)
    for text, score, wanted in (("7", 0.99, "7"), ("7", 0.9, "Đề"), ("T", 0.99, "Đề"), ("1234", 0.99, "Đề")):
        read = read_lone_numbers(Reader(text, score), sheet, [scrawl, *other])  # type: ignore[arg-type]
        assert read[0].text == wanted and read[1:] == other
