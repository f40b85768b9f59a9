"""Reading order: rows from top to bottom, but the two-column head and foot of a paper column by column.

Works on boxes of an upright page. Texts help: the head's right column begins with the national title, the foot's
left column with "Nơi nhận" (Decree 30/2020, appendix I).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rapidfuzz import fuzz

from blocks.ocr.types import Box

NATIONAL_TITLE = "CONG HOA XA HOI CHU NGHIA VIET NAM"


def plain(text: str) -> str:
    """Upper case without marks: what OCR gets right most often."""
    decomposed = unicodedata.normalize("NFD", text.upper().replace("Đ", "D"))
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def rows(boxes: Sequence[Box]) -> list[list[int]]:
    """Indices grouped into printed rows, top to bottom, each from left to right."""
    result: list[list[int]] = []
    centres: list[float] = []
    heights: list[float] = []
    for i in sorted(range(len(boxes)), key=lambda k: boxes[k][1] + boxes[k][3]):
        _, y0, _, y1 = boxes[i]
        centre, height = (y0 + y1) / 2, y1 - y0
        for r in range(len(result) - 1, max(-1, len(result) - 4), -1):
            near = abs(centre - centres[r]) < 0.45 * min(height, heights[r])
            if near and not any(_side_overlap(boxes[i], boxes[j]) for j in result[r]):
                n = len(result[r])
                centres[r] = (centres[r] * n + centre) / (n + 1)
                heights[r] = (heights[r] * n + height) / (n + 1)
                result[r].append(i)
                break
        else:
            result.append([i])
            centres.append(centre)
            heights.append(height)
    order = sorted(range(len(result)), key=lambda r: centres[r])
    return [sorted(result[r], key=lambda i: boxes[i][0]) for r in order]


def _side_overlap(a: Box, b: Box) -> bool:
    shared = min(a[2], b[2]) - max(a[0], b[0])
    return shared > 0.3 * min(a[2] - a[0], b[2] - b[0])


def _by_rows(indices: Sequence[int], boxes: Sequence[Box]) -> list[int]:
    return [indices[k] for row in rows([boxes[i] for i in indices]) for k in row]


def reading_order(boxes: Sequence[Box], texts: Sequence[str], width: float, height: float) -> list[int]:
    """Indices of the lines in reading order."""
    everything = list(range(len(boxes)))
    head_left, head_right = _head(boxes, texts, width, height)
    rest = [i for i in everything if i not in {*head_left, *head_right}]
    foot_left, foot_right = _foot(rest, boxes, texts, width)
    body = [i for i in rest if i not in {*foot_left, *foot_right}]
    last = max((boxes[i][1] for i in (*foot_left, *foot_right)), default=0.0)
    below = [i for i in body if foot_left and boxes[i][1] > last]  # page number under the foot
    body = [i for i in body if i not in set(below)]
    parts = (head_left, head_right, body, foot_left, foot_right, below)
    return [i for part in parts for i in _by_rows(part, boxes)]


def head_columns(boxes: Sequence[Box], texts: Sequence[str], width: float, height: float) -> tuple[float, float] | None:
    """(x of the gutter, y where the two-column head ends); None without a national title, or when it is centred."""
    titles = [
        i for i, t in enumerate(texts) if boxes[i][1] < 0.4 * height and fuzz.ratio(plain(t), NATIONAL_TITLE) >= 75
    ]
    if not titles:
        return None
    title = boxes[titles[0]]
    if abs((title[0] + title[2]) / 2 - width / 2) < 0.06 * width:
        return None
    gutter = title[0] - 0.3 * (title[3] - title[1])
    slack = title[3] - title[1]
    crossing = [b[1] for b in boxes if b[1] > title[1] and b[0] < gutter - slack and b[2] > gutter + slack]
    bottom = min(crossing, default=height)
    reached = title[3]
    for box in sorted((b for b in boxes if b[1] > title[1]), key=lambda b: b[1]):
        if box[1] - reached > 2.5 * slack:  # the head's rows stand close together
            return gutter, min(bottom, reached + slack)
        reached = max(reached, box[3]) if box[1] < bottom else reached
    return gutter, bottom


def _head(boxes: Sequence[Box], texts: Sequence[str], width: float, height: float) -> tuple[list[int], list[int]]:
    found = head_columns(boxes, texts, width, height)
    if found is None:
        return [], []
    gutter, bottom = found
    upper = [i for i, b in enumerate(boxes) if (b[1] + b[3]) / 2 < bottom]
    left = [i for i in upper if (boxes[i][0] + boxes[i][2]) / 2 < gutter]
    return left, [i for i in upper if i not in set(left)]


def _foot(
    indices: Sequence[int], boxes: Sequence[Box], texts: Sequence[str], width: float
) -> tuple[list[int], list[int]]:
    starts = [
        i for i in indices if boxes[i][2] < 0.55 * width and fuzz.ratio(plain(texts[i]).strip(":. "), "NOI NHAN") >= 80
    ]
    if not starts:
        return [], []
    top = boxes[starts[-1]]
    from_y = top[1] - 1.8 * (top[3] - top[1])
    lower = [i for i in indices if boxes[i][1] >= from_y]
    middle = 0.5 * width
    left = [i for i in lower if boxes[i][2] <= middle + 0.1 * width and boxes[i][0] < 0.4 * width]
    left = [i for i in left if boxes[i][1] >= top[1] - 0.3 * (top[3] - top[1])]
    right = [i for i in lower if boxes[i][0] >= 0.4 * width and i not in set(left)]
    return left, right
