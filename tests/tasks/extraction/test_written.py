"""Numbers and dates that a hand wrote into print: proposed, never sure; and no paper is of tomorrow."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.clock import vietnam_day
from blocks.ocr.engine import OcrEngine
from blocks.ocr.types import Line, PageText, Slot, Word
from tasks.extraction.extract import HIGHEST_PROPOSAL, extract
from tasks.extraction.fields import PROPOSAL, Extracted
from tasks.extraction.settings import CONFIDENCE_THRESHOLD
from tasks.extraction.written import HAND, PRINT, Doubtful, chosen, settled
from tests.bench.heads import TYPE, drawn_head

SEED = "written 1"


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


def page(engine: OcrEngine, *, by_hand: bool, day: date = date(2024, 8, 25)) -> PageText:
    head = drawn_head(random.Random(SEED), day=day, number="637", by_hand=by_hand)
    return engine.read(head.pixels, head.dpi)


@pytest.fixture(scope="module")
def written(engine: OcrEngine) -> PageText:
    return page(engine, by_hand=True)


@pytest.fixture(scope="module")
def printed(engine: OcrEngine) -> PageText:
    return page(engine, by_hand=False)


def fields(text: PageText, today: date | None = None) -> dict[str, Extracted]:
    return extract([(1, text)], TYPE, today).fields


def sure(item: Extracted) -> bool:
    return item.value is not None and item.confidence >= CONFIDENCE_THRESHOLD


def test_EXd_EXđ_what_a_hand_wrote_is_proposed_and_never_sure(written: PageText) -> None:
    found = fields(written)
    number, issued = found["number_symbol"], found["issue_date"]
    assert number.value and number.value.startswith("637/")
    assert issued.value == "2024-08-25"
    for item in (number, issued):
        assert 0 < item.confidence < CONFIDENCE_THRESHOLD and item.box is not None and item.page == 1


def test_EXd_EXđ_what_is_printed_stays_sure(printed: PageText) -> None:
    found = fields(printed)
    assert found["issue_date"].value == "2024-08-25" and sure(found["issue_date"])
    assert found["number_symbol"].value and found["number_symbol"].value.startswith("637/")
    assert PROPOSAL not in found["number_symbol"].rule and found["number_symbol"].confidence > HIGHEST_PROPOSAL


def other(page: PageText, changes: dict[str, object]) -> PageText:
    """The page with its slots changed."""
    lines = tuple(replace(line, slots=tuple(replace(s, **changes) for s in line.slots)) for line in page.lines)  # type: ignore[arg-type]
    return replace(page, lines=lines)


@pytest.mark.parametrize(
    "changes",
    [{"handwritten": PRINT}, {"stamped": True}, {"text": "13"}, {"text": "", "handwritten": 1.0}],
    ids=["hand", "stamp", "other digits", "nobody could look"],
)
def test_EXd_EXđ_print_that_may_be_none_is_not_sure(printed: PageText, changes: dict[str, object]) -> None:
    found = fields(other(printed, changes))
    for item in (found["number_symbol"], found["issue_date"]):
        assert PROPOSAL in item.rule and not sure(item)


def test_EXđ_no_paper_is_of_tomorrow(printed: PageText, written: PageText) -> None:
    """A printed date that hasn't come yet goes to the officer; of a written one a digit is read wrong."""
    issued = date(2024, 8, 25)
    assert sure(fields(printed, issued)["issue_date"])
    early = fields(printed, issued - timedelta(days=1))["issue_date"]
    assert early.value == "2024-08-25" and not sure(early)
    assert fields(written, issued)["issue_date"].value == "2024-08-25"
    assert fields(written, issued - timedelta(days=1))["issue_date"].value is None


def test_EXđ_today_is_viet_nams_day_where_nobody_says_another(engine: OcrEngine) -> None:
    today = vietnam_day()
    assert not sure(fields(page(engine, by_hand=False, day=today + timedelta(days=40)))["issue_date"])


def test_EXđ_a_day_that_its_month_lacks_is_no_date(written: PageText) -> None:
    lines = tuple(
        replace(line, slots=tuple(replace(s, text="31" if s.kind == "day" else "02") for s in line.slots))
        for line in written.lines
    )
    assert fields(replace(written, lines=lines))["issue_date"].value is None


slot_of_chance = st.builds(
    Slot,
    kind=st.sampled_from(["number", "day", "month"]),
    start=st.just(4),
    end=st.just(4),
    box=st.just((10.0, 0.0, 60.0, 30.0)),
    text=st.text("0123456789", max_size=4),
    probability=st.floats(0, 1),
    weakest=st.floats(0, 1),
    handwritten=st.floats(0, 1),
    stamped=st.booleans(),
)


@given(slot_of_chance, st.text("0123456789AQ. ", max_size=5))
def test_EXd_sure_is_only_print_that_both_readers_read_alike(slot: Slot, printed: str) -> None:
    text, proposal = chosen(slot, printed)
    assert chosen(replace(slot, split=True), printed)[1]
    if any(c.isdigit() for c in text) and not proposal:
        assert slot.handwritten < PRINT and not slot.stamped
        assert "".join(c for c in printed if not c.isspace() and c != ".") == slot.text
    if slot.text == "" and not any(c.isdigit() for c in printed):
        assert not any(c.isdigit() for c in text)  # nothing is invented


@given(slot_of_chance, st.text("0123456789AQ", min_size=0, max_size=4))
def test_EXd_the_print_round_a_slot_stays(slot: Slot, printed: str) -> None:
    texts = ["Số:", *([printed] if printed else []), "/QĐ-BHXH"]
    words = tuple(Word(text, (100.0 * n, 0.0, 100.0 * n + 90, 30.0)) for n, text in enumerate(texts))
    line = Line(" ".join(texts), 0.9, ((0, 0), (300, 0), (300, 30), (0, 30)), words)
    after = settled(replace(line, slots=(replace(slot, kind="number", start=4, end=4 + len(printed)),)))
    assert after.text == " ".join(word.text for word in after.words)
    assert after.text.startswith("Số:") and after.text.endswith("/QĐ-BHXH")
    assert settled(line) is line
    marked = "".join(word.text for word in after.words if isinstance(word, Doubtful))
    _, proposal = chosen(replace(slot, kind="number"), printed)
    assert bool(marked) <= proposal
    if slot.handwritten >= HAND and slot.text and slot.probability >= 0.5 and slot.text != printed:
        assert slot.text in marked
