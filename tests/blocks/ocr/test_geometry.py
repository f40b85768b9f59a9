"""Ways there and back, rows, reading order, words."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blocks.ocr.geometry import back_matrix, to_upright
from blocks.ocr.order import reading_order, rows
from blocks.ocr.readers import RawLine, words

SIDE = st.integers(50, 4000)


@given(SIDE, SIDE, st.sampled_from([0, 90, 180, 270]), st.floats(-15, 15), st.floats(0, 1), st.floats(0, 1))
def test_there_and_back(width: int, height: int, rotation: int, skew: float, fx: float, fy: float) -> None:
    point = np.array([[fx * width, fy * height]])
    upright = to_upright(point, width, height, rotation, skew)
    matrix = back_matrix(width, height, rotation, skew)
    assert np.allclose(upright @ matrix[:, :2].T + matrix[:, 2], point, atol=1e-6 * max(width, height))


@given(st.lists(st.tuples(st.floats(0, 1500), st.floats(0, 2000), st.floats(5, 300), st.floats(8, 60)), max_size=30))
def test_every_line_is_in_one_row(boxes: list[tuple[float, float, float, float]]) -> None:
    made = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    assert sorted(i for row in rows(made) for i in row) == list(range(len(made)))
    order = reading_order(made, ["chữ"] * len(made), 1654, 2339)
    assert sorted(order) == list(range(len(made)))


@given(st.text(alphabet="abcđêơ ƯẤ.,/0123456789 ", min_size=1, max_size=60))
def test_words_follow_the_line(text: str) -> None:
    spans = words(RawLine(text, 1.0, np.zeros((4, 2))))
    assert [span.text for span in spans] == text.split()
    for before, after in pairwise(spans):
        assert 0 <= before.start <= before.end <= after.end <= 1


def test_head_and_foot_are_read_by_columns() -> None:
    lines = [
        ("BẢO HIỂM XÃ HỘI VIỆT NAM", (150, 100, 620, 130)),
        ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", (760, 100, 1500, 130)),
        ("BẢO HIỂM XÃ HỘI TỈNH", (200, 140, 580, 170)),
        ("Độc lập - Tự do - Hạnh phúc", (900, 140, 1360, 170)),
        ("Số: 12/QĐ-BHXH", (250, 190, 520, 220)),
        ("Hà Nội, ngày 05 tháng 3 năm 2024", (850, 190, 1400, 220)),
        ("QUYẾT ĐỊNH", (650, 290, 1000, 330)),
        ("Điều 1. Nội dung của quyết định này gồm hai phần", (200, 400, 1500, 430)),
        ("Nơi nhận:", (180, 1800, 320, 1830)),
        ("GIÁM ĐỐC", (1050, 1800, 1300, 1830)),
        ("- Như Điều 1;", (180, 1840, 360, 1870)),
        ("Nguyễn Văn A", (1030, 2000, 1320, 2030)),
    ]
    shuffled = [lines[i] for i in (5, 0, 9, 3, 11, 1, 7, 2, 10, 4, 8, 6)]
    order = reading_order([box for _, box in shuffled], [text for text, _ in shuffled], 1654, 2339)
    assert [shuffled[i][0] for i in order] == [lines[i][0] for i in (0, 2, 4, 1, 3, 5, 6, 7, 8, 10, 9, 11)]
