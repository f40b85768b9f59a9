"""The OCR engine as a block: one long-lived reader a process, page images in, `PageText` out."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field

from blocks.errors import Remedy, SohoaError
from blocks.ocr import digits, geometry, language, runtime, shared
from blocks.ocr.codes import read_codes
from blocks.ocr.hand_numbers import with_numbers
from blocks.ocr.isolated_digits import read_lone_numbers
from blocks.ocr.order import reading_order
from blocks.ocr.orientation import Orientation
from blocks.ocr.pens import by_hand
from blocks.ocr.readers import DETECTION_SIDE, DETECTION_STEP, Models, PageReader, RawLine, WordSpan, words
from blocks.ocr.slots import on_line, read_slots
from blocks.ocr.types import Box, Line, PageText, Word
from blocks.service import Service
from blocks.settings import load_stack_env
from blocks.settings.sections import ReadingSettings

MODELS = Path(__file__).with_name("models")
_SECRECY = re.compile(r"M[AÂẬĂẠÀẤẦẨẪ]T")
_NUMBER = re.compile(r"\d[\d.,/]*\d")
PRINT_CONFIDENCE = 0.7  # confidence of a short line that looks like print
BLANK, HANDWRITING, LOW_DPI = "BLANK", "HANDWRITING", "LOW_DPI"


class OcrModelMissing(SohoaError):
    """A configured model folder isn't there."""

    code, rule = "OCR_MODEL_MISSING", "EX01"
    message = "Không tìm thấy mô hình nhận dạng chữ; vui lòng báo quản trị viên kiểm tra cài đặt."
    remedy = Remedy.ADMINISTRATOR


class OcrEngine(Service):
    """Đọc chữ tiếng Việt trên ảnh trang giấy (Điều 9.1)."""

    _block_type_name = "Sohoa OCR engine"
    _block_type_slug = "sohoa-ocr-engine"

    detector: str = Field(default="PP-OCRv6_tiny_det", description="Folder under blocks/ocr/models, or a path")
    recogniser: str = Field(default="sohoa-rec", description="Folder under blocks/ocr/models, or a path")
    orientation: str = Field(default="trueocr-vi-r01", description="Folder with orient.*; empty: not tried")
    engine: runtime.Engine = Field(default="onnxruntime", description="What computes the networks")
    threads: int = Field(default=1, ge=1, description="Threads of the engine in this process")
    second_opinion: bool = Field(
        default=True, description="Let a bigram of syllables choose among letters that look nearly alike"
    )
    min_dpi: int = Field(default=100, description="Below: manual entry (EX02)")
    min_confidence: float = Field(default=0.75, description="Mean of the page below: manual entry (EX02)")

    @classmethod
    def get(cls) -> Self:
        """The engine of this installation (SOHOA_OCR_ENGINE); no document of Prefect is asked."""
        load_stack_env()
        return cls(engine=ReadingSettings().ocr_engine)

    @property
    def name(self) -> str:
        """Names and content hashes of the models and versions of the engine; recorded with every field."""
        return _name(self._models())

    def warm_up(self) -> None:
        """Load the models now rather than at the first page."""
        self._loaded()

    def read(self, image: np.ndarray, dpi: int) -> PageText:
        """Read one page.

        image: (H, W, 3) RGB uint8 as stored in the PDF; dpi: its true resolution. Coordinates of the result are
        pixels of that image. A page that can't be read has `readable` False and a reason, and no invented text.
        """
        started = time.perf_counter()
        height, width = image.shape[:2]
        if dpi < self.min_dpi:
            return PageText(width, height, dpi, (), engine=self.name, readable=False, reason=LOW_DPI)
        if (found := shared.read({name: getattr(self, name) for name in _FIELDS}, image, dpi)) is not None:
            return found
        loaded = self._loaded()
        grey, has_red = geometry.grey(image), geometry.has_red(image)
        with loaded.lock:
            page, lines = self._best_turn(loaded, geometry.without_red(image) if has_red else grey)
            lines = read_lone_numbers(loaded.reader, page, lines)
            red_page = page.of(geometry.only_red(image)) if has_red else None
            red = _red_lines(loaded, red_page, lines) if red_page else []
            lines = read_slots(loaded.digits, page, lines, red_page)
            kept = [line for line in lines if line.slots or not _is_handwriting(line)]
            hands = by_hand(loaded.digits, page, image, kept)
            kept = [replace(line, by_hand=which) for line, which in zip(kept, hands, strict=True)]
            kept = with_numbers(loaded.digits, page, kept)
        ordered = _in_order(page, kept, red)
        readable, reason = self._verdict(grey, lines)
        return PageText(
            width,
            height,
            dpi,
            tuple(ordered),
            rotation=page.rotation,
            skew=page.skew,
            engine=self.name,
            readable=readable,
            reason=reason,
            codes=read_codes(grey),
            seconds=round(time.perf_counter() - started, 3),
        )

    def _models(self) -> Models:
        return Models(_folder(self.detector), _folder(self.recogniser), self.engine, self.second_opinion)

    def _loaded(self) -> _Loaded:
        return _loaded(self._models(), _folder(self.orientation) if self.orientation else None, self.threads)

    def _best_turn(self, loaded: _Loaded, image: np.ndarray) -> tuple[geometry.Upright, list[RawLine]]:
        """Upright page of an image (H, W) and its lines; when they come out badly, other quarter turns are tried."""
        page = geometry.upright(image)
        turn = loaded.orientation(page.overview) * 90 if loaded.orientation else 0
        if turn:
            page = geometry.upright(image, turn, small=page.small)
        lines = _read(loaded.reader, page)
        if lines and confidence(lines) < self.min_confidence + 0.1:
            for other in (180, 90, 270, 0):
                if other != page.rotation:
                    candidate = geometry.upright(image, other, small=page.small)
                    again = _read(loaded.reader, candidate)
                    if confidence(again) > confidence(lines) + 0.1:
                        page, lines = candidate, again
        return page, lines

    def _verdict(self, grey: np.ndarray, lines: list[RawLine]) -> tuple[bool, str]:
        letters = sum(len(line.text) for line in lines)
        if letters < 3:
            ink = geometry.ink_share(grey)
            return False, BLANK if ink < 0.004 else HANDWRITING
        if confidence(lines) < self.min_confidence:
            return False, HANDWRITING
        return True, ""


_FIELDS = ("detector", "recogniser", "orientation", "engine", "threads", "second_opinion", "min_dpi", "min_confidence")


@dataclass
class _Loaded:
    """What stays in memory for one configuration."""

    reader: PageReader
    orientation: Orientation | None
    digits: digits.DigitReader
    lock: threading.Lock


def _folder(name: str) -> Path:
    path = Path(name) if "/" in name else MODELS / name
    if not path.is_dir():
        raise OcrModelMissing(folder=path.name)
    return path


def _stamp(folder: Path, file: str) -> str:
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return f"{folder.name}@{digest[:8]}"


@lru_cache
def _name(models: Models) -> str:
    """A network is known by its ONNX file, from which its Paddle form is made: what is measured holds for both."""
    parts = [_stamp(folder, "inference.onnx") for folder in (models.detector, models.recogniser)]
    if models.second_opinion:
        parts.append(_stamp(language.MODEL.parent, language.MODEL.name))
    parts.append(_stamp(digits.MODEL.parent, digits.MODEL.name))
    return " + ".join([*parts, f"paddleocr {version('paddleocr')}", runtime.name(models.engine)])


@lru_cache
def _loaded(models: Models, orientation: Path | None, threads: int) -> _Loaded:
    """Load the models: about a second, once a process and configuration."""
    turn = Orientation(orientation, models.engine, threads) if orientation else None
    return _Loaded(PageReader(models, threads), turn, digits.DigitReader(threads=threads), threading.Lock())


def confidence(lines: list[RawLine]) -> float:
    """Mean of the lines, weighted by their length; 0 without lines."""
    letters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) / letters if letters else 0.0


def _read(reader: PageReader, page: geometry.Upright) -> list[RawLine]:
    """The lines of an upright page. Only its inked part is read: margins cost time and hold nothing."""
    scale = min(1.0, DETECTION_SIDE / max(page.width, page.height))
    found = reader.read(page.view(geometry.ink_box(page), scale, DETECTION_STEP))
    return [line for line in found if line.text.strip() and not _noise_boxes(line)]


def _noise_boxes(line: RawLine) -> bool:
    """Dots and dashes of fill-in lines and dirt: no letter or digit, and little confidence."""
    return line.confidence < 0.5 and not any(c.isalnum() for c in line.text)


def _is_handwriting(line: RawLine) -> bool:
    """What the detector takes for text in signatures, stamps and stains: short, or hardly read at all.

    The verdict on the page still counts it: a page of nothing else is handwriting. A secrecy stamp is never taken for
    it, however badly it is read (SC13). Short lines of usual words (the end of a cell: `Nẵng`), numbers and ticks need
    less: scrawls don't look like those. A tick is read as x or X, each with half the confidence.
    """
    if _SECRECY.search(line.text.upper()):
        return False
    letters = sum(character.isalnum() for character in line.text)
    if line.text in ("x", "X"):
        return line.confidence < 0.5
    return line.confidence < (0.6 if letters >= 6 else PRINT_CONFIDENCE if _usual(line.text) else 0.9)


def _usual(text: str) -> bool:
    """Whether a short line is a number of two digits or more or made of Vietnamese syllables, not in capitals."""
    words = [word.strip(".,;:()") for word in text.split()]
    if not all(words):
        return False
    if _NUMBER.fullmatch(text):
        return True
    return all((word.islower() or word.istitle()) and len(word) > 1 and language.known(word) for word in words)


def _red_lines(loaded: _Loaded, page: geometry.Upright, lines: list[RawLine]) -> list[RawLine]:
    """What is written in red: headings of certificates, seals, secrecy stamps (SC13). page: of red ink."""
    ys, xs = (np.flatnonzero((page.overview < 255 - geometry.RED / 2).sum(axis) > 1) for axis in (1, 0))
    if not len(ys) or not len(xs):
        return []
    step = max(page.width, page.height) / max(page.overview.shape)
    x0, x1, y0, y1 = xs[0] * step - 20, (xs[-1] + 1) * step + 20, ys[0] * step - 20, (ys[-1] + 1) * step + 20
    box = max(0.0, x0), max(0.0, y0), min(page.width, x1), min(page.height, y1)
    scale = min(1.0, DETECTION_SIDE / max(box[2] - box[0], box[3] - box[1]))
    found = [
        line
        for line in loaded.reader.read(page.view(box, scale, DETECTION_STEP))
        if line.confidence >= 0.8 and sum(c.isalpha() for c in line.text) >= 2
    ]
    return [line for line in found if not any(_same_place(line, other) for other in lines)]


def _same_place(a: RawLine, b: RawLine) -> bool:
    low = np.maximum(a.polygon.min(0), b.polygon.min(0))
    high = np.minimum(a.polygon.max(0), b.polygon.max(0))
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared > 0.5 * float(np.prod(np.ptp(a.polygon, axis=0)))


def _in_order(page: geometry.Upright, lines: list[RawLine], red: list[RawLine]) -> list[Line]:
    everything = [(line, False) for line in lines] + [(line, True) for line in red]
    boxes = [(*line.polygon.min(0), *line.polygon.max(0)) for line, _ in everything]
    order = reading_order(boxes, [line.text for line, _ in everything], page.width, page.height)
    return [_line(page, *everything[i]) for i in order]


def _line(page: geometry.Upright, raw: RawLine, red: bool) -> Line:
    """A line in pixels of the stored image, with its words."""
    corners = page.back(raw.polygon)
    parts = words(raw)
    return Line(
        text=" ".join(part.text for part in parts),
        confidence=round(min(1.0, raw.confidence), 4),
        polygon=tuple((round(float(x), 1), round(float(y), 1)) for x, y in corners),
        words=tuple(
            Word(part.text, box, hand)
            for part, box, hand in zip(parts, _boxes(corners, parts), raw.by_hand or [False] * len(parts), strict=True)
        ),
        red=red,
        slots=on_line(raw),
        written=raw.written,
    )


def _boxes(corners: geometry.Points, parts: list[WordSpan]) -> list[Box]:
    """The upright box round each word of a line."""
    a, b, c, d = corners
    ends = np.array([(part.start, part.end) for part in parts]).reshape(-1, 2, 1)
    quads = np.concatenate([a + (b - a) * ends, d + (c - d) * ends], 1).round(1)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.concatenate([quads.min(1), quads.max(1)], 1).tolist()]
