"""What the reader of digits sees of a number by hand is proposed where it has the field's form, and is never sure."""

from __future__ import annotations

from datetime import date

import pytest

from blocks.ocr.types import Box, Line, PageText, Word, Written
from tasks.extraction.extract import extract
from tasks.extraction.fields import PROPOSAL, Extracted
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tests.tasks.extraction.test_extract import line

WHERE = (500.0, 195.0, 800.0, 245.0)  # behind the label


def field(name: str, label: str, read: str, *texts: tuple[str, float], where: Box = WHERE) -> Extracted:
    """A field of TK1-TS whose line was read so, and by the reader of digits as these texts with their probabilities."""
    printed = label.split()
    step = 380 / len(printed)
    words = [Word(w, (100 + n * step, 200, 90 + (n + 1) * step, 240)) for n, w in enumerate(printed)]
    words.append(Word(read, (500, 200, 800, 240), by_hand=True))
    corners = ((100.0, 200.0), (800.0, 200.0), (800.0, 240.0), (100.0, 240.0))
    item = Line(f"{label} {read}", 0.9, corners, tuple(words), written=(Written(where, texts),) if texts else ())
    page = PageText(1654, 2339, 200, (item, _wide()))
    return extract([(1, page)], "LOCAL:TK1-TS", date(2026, 3, 1)).fields[name]


def _wide() -> Line:
    return line("Nơi đăng ký khám bệnh, chữa bệnh ban đầu: theo mẫu của cơ quan bảo hiểm xã hội tỉnh", 900)


@pytest.mark.parametrize(
    ("name", "label", "read", "texts", "wanted"),
    [
        ("owner_id", "Số CCCD:", "0480689I729", [("048068917294", 0.8)], "048068917294"),
        ("special.bhxh_number", "Mã số BHXH:", "64473/87", [("4614473187", 0.7), ("461443187", 0.3)], "4614473187"),
        ("birth_date", "Ngày, tháng, năm sinh:", "l5/0l/I998", [("1510111998", 0.9)], "1998-01-15"),
        ("birth_date", "Ngày, tháng, năm sinh:", "l5/0l/I998", [("1510111998", 0.2), ("15011998", 0.2)], "1998-01-15"),
        ("birth_date", "Ngày, tháng, năm sinh:", "l5/0l/I998", [("3510111998", 0.9)], None),  # no such day
        ("owner_id", "Số CCCD:", "0480689I729", [("04806891729", 0.9)], None),  # a digit was lost
        ("owner_id", "Số CCCD:", "0480689I729", [("048068917294", 0.5)], None),  # hardly likely
        ("owner_id", "Số CCCD:", "0480689I729", [], None),
    ],
)
def test_EX01_a_number_by_hand_is_proposed_if_it_has_the_fields_form(
    name: str, label: str, read: str, texts: list[tuple[str, float]], wanted: str | None
) -> None:
    item = field(name, label, read, *texts)
    assert item.value == wanted and item.box is not None
    assert wanted is None or (PROPOSAL in item.rule.split(";") and item.confidence < CONFIDENCE_THRESHOLD)


def test_EX01_digits_count_more_than_letters_where_a_hand_wrote() -> None:
    assert field("special.bhxh_number", "Mã số BHXH:", "6101287727", ("6109287727", 0.9)).value == "6109287727"
    unsure = field("special.bhxh_number", "Mã số BHXH:", "6101287727", ("6109287727", 0.5))
    assert unsure.value == "6101287727" and unsure.confidence < CONFIDENCE_THRESHOLD


def test_EX01_a_number_elsewhere_on_the_page_is_not_the_fields() -> None:
    other = (500.0, 1195.0, 800.0, 1245.0)
    assert field("owner_id", "Số CCCD:", "0480689I729", ("048068917294", 0.9), where=other).value is None
