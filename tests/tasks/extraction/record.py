"""`python -m tests.tasks.extraction.record TYPE SCAN…`: how the engine reads a paper, for the tests of its profile.

Prints JSON as in `pages/`: the pages' text and the fields that the profile finds. The fields are the truth of the test,
so compare each with the paper and correct it before you keep the file. Only papers of made-up people.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from blocks.ocr.engine import OcrEngine
from tasks.extraction.extract import extract

DPI = 200


def _rgb(scan: Path) -> np.ndarray:
    image = cv2.imread(str(scan))
    if image is None:
        raise SystemExit(f"{scan} is no picture")
    return np.ascontiguousarray(image[..., ::-1])


def record(type_code: str, scans: list[Path]) -> str:
    """One paper, its pages in order, scanned at 200 dpi."""
    engine = OcrEngine()
    texts = [engine.read(_rgb(scan), DPI) for scan in scans]
    found = extract(list(enumerate(texts, 1)), type_code).fields
    fields = {"type_code": type_code} | {name: field.value for name, field in found.items()}
    pages = [json.loads(text.to_json()) for text in texts]
    kept = {"type_code": type_code, "fields": fields, "pages": pages}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    print(record(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
