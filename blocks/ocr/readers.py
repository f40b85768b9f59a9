"""From an upright page image to raw lines: the PaddleOCR pipeline with steps for one core (`steps.py`).

It takes any PP-OCR-style recogniser folder whose dictionary holds the Vietnamese letters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from blocks.ocr import geometry, language, runtime
from blocks.ocr.steps import Cut, Normalise, Read
from blocks.ocr.types import Slot, Written

DETECTION_SIDE = 1536  # without this limit and its type the pipeline detects at full resolution
DETECTION_STEP = 64  # sides of what it is shown: OpenVINO prepares its kernels anew for each size
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the detector's input
UNCLIP = 1.6  # the model's own 1.4 cuts the marks above and below Vietnamese letters
# The model's own; the pipeline's default is 0.6, at which whole lines of forms are lost: the dots of a fill-in line
# draw the score of the text before them down. What comes in besides is told by its confidence (`_is_handwriting`).
BOX_SCORE = 0.4


@dataclass(frozen=True)
class Models:
    """The files of one configuration, and what computes them."""

    detector: Path
    recogniser: Path
    engine: runtime.Engine
    second_opinion: bool


@dataclass(frozen=True)
class RawLine:
    """A line in pixels of the image that was read; positions: centre of each character along it, 0..1, or empty."""

    text: str
    confidence: float
    polygon: geometry.Points  # (4, 2) clockwise from top left
    positions: tuple[float, ...] = ()
    slots: tuple[Slot, ...] = ()  # start and end in its text as it stands here
    by_hand: tuple[bool, ...] = ()  # for each word whether a hand wrote it; nothing: none
    written: tuple[Written, ...] = ()  # its numbers by hand, on the stored image


def model_name(folder: Path) -> str:
    """`Global.model_name` of a model folder."""
    config = yaml.safe_load((folder / "inference.yml").read_text(encoding="utf-8"))
    return str(config["Global"]["model_name"])


class PageReader:
    """The PaddleOCR pipeline with the steps of `steps.py`; with `second_opinion` the language chooses among letters."""

    def __init__(self, models: Models, threads: int) -> None:
        from paddleocr import PaddleOCR

        self._pipeline = PaddleOCR(
            text_detection_model_name=model_name(models.detector),
            text_detection_model_dir=str(models.detector),
            text_recognition_model_name=model_name(models.recogniser),
            text_recognition_model_dir=str(models.recogniser),
            use_doc_orientation_classify=False,
            use_doc_unwarping=False,
            use_textline_orientation=False,
            text_det_limit_side_len=DETECTION_SIDE,
            text_det_limit_type="max",
            text_det_unclip_ratio=UNCLIP,
            text_det_box_thresh=BOX_SCORE,
            **runtime.pipeline_options(models.engine, threads),
        )
        steps = self._pipeline.paddlex_pipeline._pipeline
        self._cut = steps._crop_by_polys = Cut()
        bigram = language.bigram() if models.second_opinion else None
        self._lines = steps.text_rec_model = Read(steps.text_rec_model, bigram)
        detection = steps.text_det_model.pre_tfs
        detection["Normalize"] = Normalise(MEAN, STD)
        detection["ToCHW"] = lambda imgs: imgs  # done already

    def read(self, view: geometry.View) -> list[RawLine]:
        """The lines in a view, at most `DETECTION_SIDE` pixels of it long; polygons on the upright page."""
        lines = []
        self._cut.view = view
        side = max(view.pixels.shape)
        for page in self._pipeline.predict(view.pixels[..., None], text_det_limit_side_len=side):
            for text, score, polygon in zip(page["rec_texts"], page["rec_scores"], page["rec_polys"], strict=True):
                if text.strip():
                    lines.append(RawLine(str(text), score, view.on_page(self._cut.whole(polygon)), text.positions))
        return lines

    def recognise(self, crops: list[geometry.Image]) -> list[tuple[str, float]]:
        """Text and confidence of pieces (h, w) of one line each, without detection."""
        return [self._lines.line(crop) for crop in crops]


@dataclass(frozen=True)
class WordSpan:
    text: str
    start: float  # 0..1 along the line
    end: float


def words(line: RawLine) -> list[WordSpan]:
    """The words of a line with where they start and end; without decoded positions, by the letters' usual widths."""
    text, at = line.text, positions_of(line)
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(at)), 1.0]
    spans: list[WordSpan] = []
    start = 0
    for i in range(len(text) + 1):
        if i == len(text) or text[i].isspace():
            if i > start:
                word = unicodedata.normalize("NFC", text[start:i])
                spans.append(WordSpan(word, max(0.0, edges[start]), min(1.0, edges[i])))
            start = i + 1
    return spans


def positions_of(line: RawLine) -> tuple[float, ...]:
    """The middle of each character along the line, 0..1; without decoded positions, by the letters' usual widths."""
    return line.positions if len(line.positions) == len(line.text) else _usual_positions(line.text)


def _usual_positions(text: str) -> tuple[float, ...]:
    widths = np.array([_width(c) for c in text])
    ends = widths.cumsum()
    return tuple(float(p) for p in (ends - widths / 2) / ends[-1])


def _width(character: str) -> float:
    base = unicodedata.normalize("NFD", character)[0]
    if base in " .,:;'il|!()/tfjrI1":
        return 0.5
    if base in "mwMW@%—":
        return 1.5
    return 1.25 if base.isupper() else 1.0
