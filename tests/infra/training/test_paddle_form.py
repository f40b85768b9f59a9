"""Where Paddle is there (the `train` extra): the Paddle form is the ONNX file's network; PaddleOCR reads with it."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("paddle", reason="the train extra isn't installed")
pytest.importorskip("onnx", reason="the train extra isn't installed")

import onnx
from onnx import helper

from infra.training import paddle_form
from tests.infra.training.test_model import LINES, MODEL, STYLES, draw

PAGES = Path(__file__).parents[2] / "blocks" / "ocr" / "pages"
DETECTOR = MODEL.with_name("PP-OCRv6_tiny_det")
os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
CPU = {
    "device": "cpu",
    "engine_config": {"onnxruntime": {"intra_op_num_threads": 1}, "paddle_static": {"cpu_threads": 1}},
}


def page(name: str) -> np.ndarray:
    with Image.open(PAGES / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))[..., ::-1].copy()


def pipeline(engine: str, found: list[np.ndarray] | None = None) -> Any:
    """PaddleOCR's own pipeline: the detector by onnxruntime, the recogniser by `engine`; `found`: takes the crops."""
    from paddleocr import PaddleOCR

    config = {
        "pipeline_name": "OCR",
        "text_type": "general",
        "use_doc_preprocessor": False,
        "use_textline_orientation": False,
        "SubModules": {
            "TextDetection": {"module_name": "text_detection", "engine": "onnxruntime"},
            "TextRecognition": {"module_name": "text_recognition", "batch_size": 6, "engine": engine},
        },
    }
    made = PaddleOCR(
        paddlex_config=config,
        text_detection_model_name="PP-OCRv6_tiny_det",
        text_detection_model_dir=str(DETECTOR),
        text_recognition_model_name="PP-OCRv6_tiny_rec",
        text_recognition_model_dir=str(MODEL),
        text_det_limit_side_len=1536,
        text_det_limit_type="max",
        text_det_unclip_ratio=1.6,
        **CPU,
    )
    if found is not None:
        steps = made.paddlex_pipeline._pipeline
        crop = steps._crop_by_polys

        def keep(*arguments: Any) -> list[np.ndarray]:
            crops = list(crop(*arguments))
            found.extend(crops)
            return crops

        steps._crop_by_polys = keep
    return made


def runner_of(reader: Any) -> str:
    return type(reader.paddlex_pipeline._pipeline.text_rec_model.runner).__name__


@pytest.mark.parametrize(("folder", "name"), paddle_form.FORMS.items())
def test_the_committed_files_are_the_translation_of_the_committed_onnx(tmp_path: Path, folder: str, name: str) -> None:
    committed = MODEL.with_name(folder)
    shutil.copy(committed / f"{name}.onnx", tmp_path)
    paddle_form.write_paddle(tmp_path, name)
    for suffix in paddle_form.SUFFIXES:
        assert (tmp_path / f"{name}{suffix}").read_bytes() == (committed / f"{name}{suffix}").read_bytes()


def grey(name: str, size: tuple[int, int]) -> np.ndarray:
    with Image.open(PAGES / f"{name}.jpg") as image:
        return np.asarray(image.convert("L").resize(size), np.float32) / 255


def test_the_detector_s_map_of_a_page_is_alike_in_both_forms() -> None:
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    pages = [(grey("w_05_p1", size) - mean[:, None, None]) / std[:, None, None] for size in ((704, 960), (768, 1088))]
    found = paddle_form.difference(DETECTOR, [page[None] for page in pages], most=paddle_form.ALIKE)
    assert 0 < found < paddle_form.ALIKE


def test_the_page_s_turn_is_the_same_in_both_forms() -> None:
    page = 1 - grey("w_05_p1", (768, 768))
    turned = [np.ascontiguousarray(np.rot90(page, turn))[None, None] for turn in range(4)]
    assert paddle_form.difference(MODEL.with_name("trueocr-vi-r01"), turned, "orient") < 1e-5


@pytest.mark.parametrize("name", ["s_05CT_p1", "w_05_p1"])
def test_a_page_is_read_alike_by_both_forms_through_paddleocr(name: str) -> None:
    crops: list[np.ndarray] = []
    ours, theirs = pipeline("paddle", crops), pipeline("onnxruntime")
    assert (runner_of(ours), runner_of(theirs)) == ("PaddleStaticRunner", "ONNXRuntimeRunner")
    (by_paddle,), (by_onnx,) = ours.predict(page(name)), theirs.predict(page(name))
    assert len(by_onnx["rec_texts"]) > 20
    assert by_paddle["rec_texts"] == by_onnx["rec_texts"]
    assert by_paddle["rec_scores"] == pytest.approx(by_onnx["rec_scores"], abs=1e-3)

    inputs = sorted((scaled(crop) for crop in crops), key=lambda x: x.shape[-1])
    batches = [stacked(inputs[a:b]) for size in (1, 6) for a, b in pairwise([*range(0, len(inputs), size), None])]
    assert len({batch.shape for batch in batches}) > 15
    assert paddle_form.difference(MODEL, batches) < paddle_form.SAME


def scaled(crop: np.ndarray) -> np.ndarray:
    """(3, 48, w), not padded: widths as they come."""
    width = max(16, round(crop.shape[1] * 48 / crop.shape[0]))
    image = np.asarray(Image.fromarray(crop).resize((width, 48), Image.Resampling.BILINEAR), np.float32)
    return image.transpose(2, 0, 1) / 127.5 - 1


def stacked(lines: list[np.ndarray]) -> np.ndarray:
    out = np.zeros((len(lines), 3, 48, max(line.shape[-1] for line in lines)), np.float32)
    for row, line in zip(out, lines, strict=True):
        row[:, :, : line.shape[-1]] = line
    return out


@pytest.mark.parametrize(("style", "em"), [*((style, 36) for style in STYLES), ("Regular", 25), ("Regular", 50)])
def test_reads_the_fixed_lines_exactly_by_paddle_s_engine(style: str, em: int) -> None:
    from paddleocr import TextRecognition

    reader = TextRecognition(model_name="PP-OCRv6_tiny_rec", model_dir=str(MODEL), engine="paddle", **CPU)
    results = reader.predict([draw(line, style, em) for line in LINES], batch_size=6)
    assert [r["rec_text"] for r in results] == list(LINES)


def test_an_unknown_operation_is_named() -> None:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Sinh", ["x"], ["y"])], "g", [value], [value])
    with pytest.raises(ValueError, match="Sinh"):
        paddle_form.Translated(graph)
