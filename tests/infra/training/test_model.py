"""The committed recogniser reads a fixed set of drawn lines without a fault, by onnxruntime and through PaddleOCR."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from infra.training import charset
from tests.infra.training.conftest import FONTS

MODEL = Path(__file__).parents[3] / "blocks/ocr/models/sohoa-rec"
LINES = (
    "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
    "Độc lập - Tự do - Hạnh phúc",
    "BẢO HIỂM XÃ HỘI TỈNH QUẢNG NGÃI",
    "Số: 1333/QĐ-BHXH",
    "Hà Nội, ngày 27 tháng 9 năm 2023",
    "QUYẾT ĐỊNH",
    "Về việc ban hành Quy chế số hóa hồ sơ, giấy tờ trong giải quyết thủ tục hành chính",
    "Điều 9. Bóc tách dữ liệu",
    "Họ và tên: NGUYỄN THỊ ÁNH NGUYỆT",
    "Ngày sinh: 02/01/1999; Giới tính: Nữ; Dân tộc: Kinh",
    "Số định danh cá nhân: 051199012345",
    "Mã số BHXH: 5120034567 - Thẻ BHYT: GD4515120034567",
    "Nơi cư trú: thôn Ỷ La, xã Phước Hữu, huyện Ẳng Tở, tỉnh Ninh Thuận",
    "Chẩn đoán: Viêm phế quản cấp (J20.9), tăng huyết áp vô căn",
    "Số tiền: 12.345.678 đồng",
    "Bằng chữ: Mười hai triệu ba trăm bốn mươi lăm nghìn sáu trăm bảy mươi tám đồng",
    "KT. GIÁM ĐỐC",
    "- Lưu: VT, CĐBHXH.",
)
STYLES = ("Regular", "Bold", "Italic")


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(MODEL / "inference.onnx"), options, providers=["CPUExecutionProvider"])


def draw(text: str, style: str, em: int = 36) -> np.ndarray:
    """Line as a detector cuts it out at 200 dpi: grey levels of print, soft edges, some noise; (H, W, 3) BGR."""
    font = ImageFont.truetype(str(FONTS / f"Tinos-{style}.ttf"), em)
    size = (int(font.getlength(text)) + em // 2, round(em * 1.28))
    image = Image.new("L", size, 245)
    ImageDraw.Draw(image).text((em // 4, em), text, font=font, fill=30, anchor="ls")
    soft = cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), 0.6)
    noisy = soft + np.random.default_rng(len(text)).normal(0, 4, soft.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, 2)


def read(image: np.ndarray) -> str:
    width = round(image.shape[1] * 48 / image.shape[0])
    scaled = cv2.resize(image, (width, 48)).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    padded = np.zeros((1, 3, 48, max(320, width)), np.float32)
    padded[0, :, :, :width] = scaled
    (found,) = _session().run(None, {"x": padded})
    return charset.decode(found[0].argmax(-1).tolist())


@pytest.mark.parametrize("style", STYLES)
def test_reads_the_fixed_lines_exactly(style: str) -> None:
    wrong = {line: got for line in LINES if (got := read(draw(line, style))) != line}
    assert not wrong


@pytest.mark.parametrize("em", [25, 50])
def test_reads_them_exactly_at_150_and_300_dpi(em: int) -> None:
    wrong = {line: got for line in LINES if (got := read(draw(line, "Regular", em))) != line}
    assert not wrong


def test_reads_them_at_100_dpi_but_for_one_letter_at_most() -> None:
    """17 px an em is the least that the engine takes; J of an ICD-10 code may still be read as 1 there."""
    wrong = [Levenshtein.distance(line, read(draw(line, "Regular", 17))) for line in LINES]
    assert sum(wrong) <= 1


def test_reads_through_paddleocr() -> None:
    os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
    from paddleocr import TextRecognition

    recogniser = TextRecognition(
        model_name="PP-OCRv6_tiny_rec", model_dir=str(MODEL), engine="onnxruntime", device="cpu",
        engine_config={"intra_op_num_threads": 1},
    )  # fmt: skip
    results = recogniser.predict([draw(line, "Regular") for line in LINES], batch_size=6)
    assert [r["rec_text"] for r in results] == list(LINES)


def test_an_empty_line_reads_as_nothing() -> None:
    assert read(np.full((48, 400, 3), 250, np.uint8)) == ""


def test_folder_is_small_and_its_card_is_of_this_model() -> None:
    forms = "inference.onnx", "inference.json", "inference.pdiparams"
    assert sum(path.stat().st_size for path in MODEL.glob("inference.*")) <= 5_000_000
    assert (MODEL / "checkpoint.pt").stat().st_size <= 6_000_000
    card = (MODEL / "MODEL_CARD.md").read_text(encoding="utf-8")
    for name in forms:
        digest = hashlib.sha256((MODEL / name).read_bytes()).hexdigest()
        assert f"- SHA-256 of `{name}`: `{digest}`" in card.splitlines()
    points = (MODEL / "curve.csv").read_text(encoding="utf-8").splitlines()
    assert len(points) > 5 and points[0].startswith("lines,")
