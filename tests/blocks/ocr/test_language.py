"""The second opinion (EX01): a bigram of syllables chooses among letters that the network finds nearly alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blocks.ocr import runtime
from blocks.ocr.engine import OcrEngine
from blocks.ocr.language import START, Bigram, best_path, bigram, tokens
from tests.bench.pages import drawn_pages
from tests.blocks.ocr.scoring import error_rate

CHARACTERS = [
    "blank",
    *"abcdefghijklmnopqrstuvwxyz",
    *"àáảãạâầấẩẫậăđêềếểễệôồốổỗộơớờởợưứừửữựìíỉĩị",
    *"BHIMX",
    *"ỂẾÃẢ",
    *"0123456789",
    " ",
]


def output(text: str, doubts: dict[int, tuple[str, float]]) -> np.ndarray:
    """CTC output (columns, classes) that reads as `text`; doubts: place → other letter and its probability."""
    rows = []
    for place, character in enumerate(text):
        column = np.full(len(CHARACTERS), 1e-6, np.float32)
        other, chance = doubts.get(place, ("", 0.0))
        column[CHARACTERS.index(character)] = 1 - chance
        if other:
            column[CHARACTERS.index(other)] = chance
        blank = np.full(len(CHARACTERS), 1e-6, np.float32)
        blank[0] = 1.0
        rows += [column, column, blank]
    return np.array(rows, np.float32)


def read(columns: np.ndarray) -> str:
    path, _ = best_path(columns, CHARACTERS, bigram())
    kept = [c for i, c in enumerate(path) if c and (i == 0 or path[i - 1] != c)]
    return "".join(CHARACTERS[c] for c in kept)


@pytest.mark.parametrize(
    ("seen", "doubts", "wanted"),
    [
        ("bảo hiếm xã hội", {6: ("ể", 0.3)}, "bảo hiểm xã hội"),
        ("bảo hiểm xã hội", {6: ("ế", 0.45)}, "bảo hiểm xã hội"),
        ("HIẾM", {2: ("Ể", 0.3)}, "HIỂM"),
        ("cơ quan bảo hiếm", {13: ("ể", 0.001)}, "cơ quan bảo hiếm"),  # the network is sure: it stands
    ],
)
def test_EX01_the_language_chooses_among_what_the_network_holds_possible(
    seen: str, doubts: dict[int, tuple[str, float]], wanted: str
) -> None:
    assert read(output(seen, doubts)) == wanted


@pytest.mark.parametrize("text", ["001099012345", "a12b", "xzq"])
def test_EX01_digits_codes_and_unknown_words_stand(text: str) -> None:
    assert read(output(text, {0: ("5" if text[0].isdigit() else "b", 0.4)})) == text


def test_an_exchanged_letter_keeps_the_confidence_of_a_doubtful_one() -> None:
    columns = output("bảo hiếm", {6: ("ể", 0.4)})
    path, sure = best_path(columns, CHARACTERS, bigram())
    assert CHARACTERS[path[6 * 3]] == "ể"
    assert sure[6 * 3] == pytest.approx(0.6)


def test_runs_end_at_signs_and_numbers() -> None:
    assert tokens("Điều 13. Trình tự, thủ tục") == [["điều"], ["trình", "tự"], ["thủ", "tục"]]


def test_probabilities_sum_to_one() -> None:
    model = Bigram()
    known = list(model._index)
    for before in (START, "bảo", "nguyễn"):
        assert sum(np.exp(model.log(before, w)) for w in known) == pytest.approx(1, abs=0.01)


@pytest.mark.long
def test_EX01_fewer_errors_with_the_second_opinion() -> None:
    with_it, without = OcrEngine(), OcrEngine(second_opinion=False)
    assert "vi-bigram@" in with_it.name and "vi-bigram" not in without.name
    pages = [page for page in drawn_pages(2, 4711) if page.split in ("low-dpi", "bilevel")]
    assert pages
    errors = [sum(error_rate(p.text, e.read(p.pixels, p.dpi).text) for p in pages) for e in (with_it, without)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("cpuinfo", "wanted"),
    [
        ("flags\t\t: sse avx512_bf16 avx2\n", "bf16"),
        ("flags\t\t: sse avx2\n", "f32"),
        ("Features\t: fp bf16\n", "bf16"),
        ("", "f32"),
    ],
)
def test_precision_follows_the_processor(cpuinfo: str, wanted: str, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    assert runtime.precision(file) == wanted


def test_precision_of_an_unknown_machine(tmp_path: Path) -> None:
    assert runtime.precision(tmp_path / "none") == "f32"
